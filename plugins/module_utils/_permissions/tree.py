# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree and its declared parts, open, and what is known of it before anything changes."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from .._common import acl
from .._common.mounts import mounts
from .._common.paths import DIRECTORY, FILE, of_root, open_path, shown
from .aside import is_below
from .journal import Journal
from .policy import Order, PermsError, Policy

_FS_IOC_GETFLAGS = 0x80086601
IMMUTABLE = 0x30  # FS_IMMUTABLE_FL | FS_APPEND_FL
DENIED = (errno.EACCES, errno.EPERM)
# A wrong variable, or a link to the wrong place, must not give the host itself away.
_SYSTEM = frozenset(
    "/ /bin /boot /dev /etc /home /lib /lib32 /lib64 /media /mnt /opt /proc /root /run /sbin /sys /tmp /usr /usr/bin "
    "/usr/lib /usr/local /usr/sbin /usr/share /var /var/cache /var/lib /var/log /var/tmp".split()
)


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
