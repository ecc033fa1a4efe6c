# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives an open file or directory its owner, group and mode, and removes ACLs that give more."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field

from .._common import acl
from .._common.paths import shown
from .._host.accounts import rights, who
from .aside import Aside
from .found import LISTED, Found, words
from .policy import PermsError, Place, Want, executable
from .tree import IMMUTABLE, Tree, flags


@dataclass
class Work:
    """What one process does: in which tree, until when, and what came of it. ``check``: nothing is changed."""

    tree: Tree
    check: bool
    until: float
    aside: Aside = field(default_factory=Aside)
    found: Found = field(default_factory=Found)


class Changes:
    """Makes each change through an open descriptor, and counts it."""

    def __init__(self, work: Work) -> None:
        self._at = work
        self.no_xattrs: set[int] = set()  # devices

    def directory(self, handle: int, path: str, place: Place, status: os.stat_result) -> None:
        want = place.want
        if want is None:
            return
        if want.owner != self._at.tree.order.web or place.private:
            self.lift_acls(handle, path, want, want.directory_mode, status)
        right = (want.owner, want.group, want.directory_mode)
        if (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) != right:
            self.give(handle, path, status, want.owner, want.group, want.directory_mode)

    def change(self, handle: int, path: str, want: Want, status: os.stat_result) -> None:
        mode = want.file_mode
        if want.keep_x and status.st_mode & 0o100:
            mode = executable(mode)
        if (mode >> 3 & ~mode & 7) or self.had_more(want, mode, status.st_mode):
            self.lift_acls(handle, path, want, mode, status)
        if (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) != (want.owner, want.group, mode):
            self.give(handle, path, status, want.owner, want.group, mode)

    def give(self, handle: int, path: str, status: os.stat_result, owner: int, group: int, mode: int) -> None:
        was = stat.S_IMODE(status.st_mode)
        given = (status.st_uid, status.st_gid) != (owner, group)
        try:
            if self._at.check:
                self._would(handle)
            else:
                if given and gain(was, mode):
                    os.fchmod(handle, was & mode)
                if given:
                    os.fchown(handle, owner, group)
                os.fchmod(handle, mode)
        except OSError as problem:
            if problem.errno == errno.EROFS:
                raise PermsError(
                    f"{shown(self._at.tree.order.path)}: {shown(path) or 'it'} is on a read-only file system."
                ) from problem
            self._at.found.refuse(path, self._why(handle, problem))
            return
        if self._at.tree.journal:
            self._at.tree.journal.changed(path, status, (owner, group, mode))
        kinds = self._at.found.fixed
        kinds["owner"] += status.st_uid != owner
        kinds["group"] += status.st_gid != group
        kinds["mode"] += was != mode
        kinds["setuid"] += stat.S_ISREG(status.st_mode) and bool(was & 0o6000)
        if len(self._at.found.samples) < LISTED:
            after = f"{who(owner, group)} {mode:04o}"
            self._at.found.samples.append({"path": shown(path) or ".", "before": rights(status), "after": after})

    @staticmethod
    def _would(handle: int) -> None:
        """Raise what a change would."""
        if os.fstatvfs(handle).f_flag & os.ST_RDONLY:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        if flags(handle) & IMMUTABLE:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    @staticmethod
    def _why(handle: int, problem: OSError) -> str:
        if problem.errno == errno.EPERM and flags(handle) & IMMUTABLE:
            return "is immutable; chattr -i -a lets it be changed"
        return words(problem)

    def acls(self, file: str | int, device: int) -> list[str]:
        """The present ACLs, default ACLs first. By name only for reading."""
        if device in self.no_xattrs:
            return []
        try:
            names = os.listxattr(file) if isinstance(file, int) else os.listxattr(file, follow_symlinks=False)
        except OSError as problem:
            if problem.errno == errno.ENOTSUP:
                self.no_xattrs.add(device)
            return []
        return [name for name in acl.BOTH if name in names] if names else []

    def had_more(self, want: Want, mode: int, was: int) -> bool:
        """Could an ACL have given more so far? The group's bits of a mode are all that it can give."""
        return want.owner != self._at.tree.order.web and bool(was & ~mode & 0o070)

    def lift_acls(self, handle: int, path: str, want: Want, mode: int, status: os.stat_result) -> None:
        """Remove rights that the mode does not show. In data it is reported: they were set on purpose."""
        for name in self.acls(handle, status.st_dev):
            if want.owner == self._at.tree.order.web:
                self._at.found.refuse(path, "has an ACL, which may give rights to others; setfacl -b removes it")
                return
            try:
                value = os.getxattr(handle, name)
                if not acl.parse(value).could_exceed(mode):
                    continue
                if self._at.check:
                    self._would(handle)
                else:
                    os.removexattr(handle, name)
            except OSError as problem:
                self._at.found.refuse(path, f"has an ACL that cannot be removed: {self._why(handle, problem)}")
                continue
            if self._at.tree.journal and not self._at.check:
                self._at.tree.journal.lifted(path, status, name, value)
            self._at.found.fixed["acl"] += 1
            if len(self._at.found.samples) < LISTED:
                before = f"{rights(status)} with an ACL ({name.rpartition('_')[2]})"
                self._at.found.samples.append({"path": shown(path) or ".", "before": before, "after": rights(status)})


def gain(was: int, mode: int) -> int:
    """Bits that a new owner and group must not have even for a moment, because only the old ones had them."""
    return was & ~mode & ~((was & 7) * 0o110) & 0o770
