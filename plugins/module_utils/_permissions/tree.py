# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""A tree and its declared parts, open, and what is known of it before anything changes."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.chamilo.hardening.plugins.module_utils._common import acl
from ansible_collections.chamilo.hardening.plugins.module_utils._common.paths import (
    DIRECTORY,
    FILE,
    mounts,
    of_root,
    open_path,
    shown,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import vouch
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.journal import Journal
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.policy import (
    GIT,
    Order,
    PermsError,
    Policy,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.release import MAPPED, Release, born, seen

_FS_IOC_GETFLAGS = 0x80086601
IMMUTABLE = 0x30  # FS_IMMUTABLE_FL | FS_APPEND_FL
DENIED = (errno.EACCES, errno.EPERM)
# A wrong variable, or a link to the wrong place, must not give the host itself away.
_SYSTEM = frozenset(
    "/ /bin /boot /dev /etc /home /lib /lib32 /lib64 /media /mnt /opt /proc /root /run /sbin /sys /tmp /usr /usr/bin "
    "/usr/lib /usr/local /usr/sbin /usr/share /var /var/cache /var/lib /var/log /var/tmp".split()
)
_ENVIRONMENT = ".env"
_TAKEN = (*MAPPED, "bin", "config", "public")  # where one of them is not as it should be, code gets another owner


@dataclass(frozen=True)
class Root:
    """An open directory, or file, that the walk starts from."""

    handle: int
    path: str  # relative to the tree; empty for the tree itself
    device: int
    inode: int
    squashed: bool = False  # root may not work there, as on NFS with root_squash: the web user does


def open_trusted(path: str, start: int = -1) -> int:
    """Open a directory or file. A link on the way is followed only where root owns it and its directory."""
    try:
        return open_path(path, of_root, start)[0]
    except OSError as problem:
        raise PermsError(f"{shown(path)}: {problem.strerror}.") from problem


class Tree:
    """The tree and its declared parts, open, with what must not be crossed.

    ``partly``: a part that cannot be trusted is ``unfinished``, and no reason to leave the others as they are.
    ``check``: nothing may be changed, not even for a try.
    """

    def __init__(
        self,
        order: Order,
        partly: bool = False,
        check: bool = False,
        lists: Sequence[str] = (),
        journal: Journal | None = None,
    ) -> None:
        self.order = order
        self.journal = journal
        self.policy = Policy(order)
        self.roots: list[Root] = []
        self.unfinished = ""
        top = open_trusted(order.path)
        status = os.fstat(top)
        if not stat.S_ISDIR(status.st_mode):
            os.close(top)
            raise PermsError(f"{shown(order.path)} is not a directory.")
        self.roots.append(Root(top, "", status.st_dev, status.st_ino))
        try:
            self._not_the_system(top, order.path)
            for part in order.roots:
                try:
                    self._declared(part, top, check)
                except PermsError as problem:
                    if not partly:
                        raise
                    self.unfinished = self.unfinished or str(problem)
        except PermsError:
            self.close()
            raise
        # Walked on their own, so passed over where they are met by the way.
        self.claimed = {(root.device, root.inode) for root in self.roots}
        self.release = Release(top, order.web)
        self.lists = vouch.Lists(order.path, lists)
        # Each file that the web user can write, where there is a package of this release.
        self.compares = any(os.path.basename(path).startswith("release-") for path in lists)
        self._laid: vouch.Release | None = None
        # Before anything changes: what a run changes is root's then.
        self._index_is_sound = self._is_sound(top)
        self._tracked: dict[str, bytes] | None = None
        self._own: dict[str, vouch.Release] = {}
        if not all(self._is_right(top, part) for part in _TAKEN):
            # Before anything changes: what a run changes has another owner and another time then.
            self.release.inspect()
            self._laid = vouch.release(top, order.web)
            self._inspect_plugins(top)
        real = os.readlink(f"/proc/self/fd/{top}")
        self.mounted = set(self._mounted(real))

    def open_below(self, path: str) -> int:
        """Open what is in the tree; no link below the root it belongs to is followed."""
        root = max((root for root in self.roots if is_below(path, root.path)), key=lambda root: len(root.path))
        names = path[len(root.path) :].strip("/").split("/")
        handle = os.dup(root.handle)
        try:
            for number, name in enumerate(filter(None, names), 1):
                below = os.open(name, FILE if number == len(names) else DIRECTORY, dir_fd=handle)
                os.close(handle)
                handle = below
        except OSError:
            os.close(handle)
            raise
        return handle

    def _declared(self, part: str, top: int, check: bool) -> None:
        squashed = False
        try:
            handle = open_trusted(part, top)
        except PermsError as problem:
            if getattr(problem.__cause__, "errno", 0) not in DENIED:
                raise
            with as_web(self.order):
                handle = open_trusted(part, top)
            squashed = True
        try:
            self._not_the_system(handle, part)
        except PermsError:
            os.close(handle)
            raise
        status = os.fstat(handle)
        if not (squashed or check or status.st_dev == self.roots[0].device):
            try:
                os.fchmod(handle, stat.S_IMODE(status.st_mode))
            except OSError as problem:
                squashed = problem.errno in DENIED and not flags(handle) & IMMUTABLE
            if squashed:
                handle = self._opened_again(handle, part, top)
        self.roots.append(Root(handle, part, status.st_dev, status.st_ino, squashed))

    def _opened_again(self, handle: int, part: str, top: int) -> int:
        """As the web user: NFS lists an open directory with the rights of the user who opened it."""
        try:
            with as_web(self.order):
                again = open_trusted(part, top)
        except PermsError:  # its mode does not let the web user in
            return handle
        if not os.path.sameopenfile(handle, again):
            os.close(again)
            return handle
        os.close(handle)
        return again

    def _is_right(self, top: int, part: str) -> bool:
        """Was this part made what it should be in a run before?"""
        status, want = seen(top, part), self.policy.of(part).want
        return (
            status is None
            or want is None
            or stat.S_ISLNK(status.st_mode)
            or (status.st_mode, status.st_uid, status.st_gid)
            == (stat.S_IFDIR | want.directory_mode, want.owner, want.group)
        )

    @property
    def laid(self) -> vouch.Release:
        if self._laid is None:
            self._laid = vouch.release(self.roots[0].handle, self.order.web)
            self._inspect_plugins(self.roots[0].handle)
        return self._laid

    def _inspect_plugins(self, top: int) -> None:
        for place in vouch.OWN:
            try:
                handle = vouch.open_below(top, place, os.O_DIRECTORY)
            except OSError:  # not every tree has both
                continue
            try:
                directories = [f"{place}/{name}" for name in os.listdir(handle)[: vouch.PLUGINS]]
            finally:
                os.close(handle)
            self._own.update((directory, vouch.own_history(top, directory)) for directory in directories)

    def _is_sound(self, top: int) -> bool:
        """Was Git's index written by another user than the web user, and could the web user not have exchanged it?"""
        way = [os.fstat(top), seen(top, GIT), seen(top, f"{GIT}/index")]
        # Behind the rights of a group may be those of an ACL.
        return not any(status is None or self.loose(status) or status.st_mode & 0o020 for status in way)

    def is_tracked(self, path: str, handle: int) -> bool:
        """Does Git have it as it is? An update by Git changes few files, and later than the others were laid.

        An index that the web user could write vouches for no web shell. Many a portal is updated as that user, though,
        and would lose the pages of its last update.
        """
        if self._tracked is None:
            self._tracked = vouch.tracked(self.roots[0].handle)
        if path not in self._tracked or self._tracked[path] != vouch.blob(handle):
            return False
        return self._index_is_sound or not vouch.is_shell(path, handle)

    def planted(self, status: os.stat_result, handle: int) -> bool:
        """Could the web user have put this file here, or changed it, since the release was laid?"""
        laid = self._laid or self.laid
        if status[9] > laid.changed or status[8] > laid.written:
            return status[9] < self.order.opened and self.loose(status, handle)
        theirs = status[4] == self.order.web and not laid.web
        return theirs and status[9] < self.order.opened and laid is not vouch.NOT_THERE

    def is_weak(self, handle: int, status: os.stat_result) -> bool:
        """Is its change time all that came later? A mode, an owner or a second name changes that one as well.

        A file that was made later is a new one, whatever date its owner gave it, where that is known.
        """
        theirs = status.st_uid == self.order.web and not self.laid.web
        if theirs or status.st_mtime > self.laid.written or self.lists.release:
            return False
        birth = born(handle)
        return birth is None or birth <= self.laid.changed

    def has_own_history(self, path: str, status: os.stat_result) -> bool:
        """Did it come together with the rest of its plugin or theme, which is no part of the release?"""
        directory = vouch.own_directory(path)
        own = self._own.get(directory, vouch.NOT_THERE)
        if own is vouch.NOT_THERE or own.later(status):
            return False
        # What its package does not contain was added later, whatever its times.
        return not self.lists.release or directory not in self.lists.own_directories

    def came(self, path: str) -> float:
        """When the plugin or theme came."""
        return self._own[vouch.own_directory(path)].changed - vouch.LAID

    def is_writable(self, handle: int, path: str, kind: str, status: os.stat_result) -> bool:
        """Could the web user write this file of the program? Environment files are judged separately."""
        return kind != "" and not path.startswith(_ENVIRONMENT) and self.loose(status, handle)

    def is_environment(self, handle: int, path: str, status: os.stat_result) -> bool:
        """Is it an environment file that the web user could write?"""
        return path.startswith(_ENVIRONMENT) and self.loose(status, handle)

    def loose(self, status: os.stat_result, where: int | str = -1) -> bool:
        """Can the web user write to it? An ACL counts where ``where`` is given, an open file or a path.

        The group's bits of the mode are its mask then. One that cannot be read may let the web user write.
        """
        mode = status[0]
        if status[4] == self.order.web or mode & 0o002:
            return True
        return bool(mode & 0o020) and (status[5] in self.order.web_groups or (where != -1 and self._lets(where)))

    def _lets(self, where: int | str) -> bool:
        try:
            given = acl.access(where)
        except OSError:
            return True
        return given is not None and given.writable_by(self.order.web, self.order.web_groups)

    @staticmethod
    def _not_the_system(handle: int, path: str) -> None:
        real = os.readlink(f"/proc/self/fd/{handle}")
        if real in _SYSTEM:
            raise PermsError(f"{shown(path)} leads to {real}, which belongs to the system and not to Chamilo.")

    def _mounted(self, real: str) -> Iterator[tuple[int, int]]:
        """What other file systems, or other parts of this one, show within the tree."""
        for path in mounts():
            if path.startswith(real.rstrip("/") + "/"):
                try:
                    status = os.lstat(path)
                except OSError:  # unmounted meanwhile
                    continue
                yield status.st_dev, status.st_ino

    def close(self) -> None:
        for root in self.roots:
            os.close(root.handle)


def is_below(path: str, directory: str) -> bool:
    return not directory or path == directory or path.startswith(f"{directory}/")


def flags(handle: int) -> int:
    try:
        return int(struct.unpack("=I", fcntl.ioctl(handle, _FS_IOC_GETFLAGS, b"\0" * 8)[:4])[0])
    except OSError:  # a file system without such flags
        return 0


@contextlib.contextmanager
def as_web(order: Order) -> Iterator[None]:
    """Where root may not: as the web user, to whom the data belongs."""
    groups, group = os.getgroups(), os.getegid()
    os.setgroups(sorted(order.web_groups))
    os.setegid(min(order.web_groups))
    os.seteuid(order.web)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)
