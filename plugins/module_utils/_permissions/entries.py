# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One entry of a directory that is not as it should be: a file, a link, or what has no business there."""

from __future__ import annotations

import errno
import os
import stat

from .._common.paths import FILE, shown
from .._host.accounts import rights
from . import aside
from .change import Changes, Work
from .found import words
from .policy import Place, Want
from .tree import Root

_LINKS = 100_000  # files with several names that are remembered
_NAMELESS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
}


class Entries:
    """Judges entries with wrong rights, and files with several names."""

    def __init__(self, work: Work) -> None:
        self._at = work
        self.changes = Changes(work)

    def wrong(self, handle: int, name: str, directory: str, place: Place, status: os.stat_result, root: Root) -> bool:
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFREG:
            return self.file(handle, name, directory, place, root)
        path = f"{directory}/{name}" if directory else name
        if kind != stat.S_IFLNK:  # its owner and mode mean nothing, and where it leads is for the audit to report
            self._special(path, place, status, kind)
        return False

    def file(self, handle: int, name: str, directory: str, place: Place, root: Root) -> bool:
        """Open a file and make it right. False when it was, or is no longer there."""
        try:
            opened = os.open(name, FILE, dir_fd=handle)
        except OSError as problem:
            self.moved(f"{directory}/{name}" if directory else name, problem)
            return False
        try:
            status = os.fstat(opened)
            if status[0] in place.modes and status[3:6] == place.owned and not place.private:
                return False
            path = f"{directory}/{name}" if directory else name
            self.opened(opened, path, place, status, root.device, handle)
            return True
        finally:
            os.close(opened)

    def _open_now(self, handle: int, place: Place) -> bool:
        """Whether the web user can still move names in this directory. A check asks what would be."""
        if self._at.check:
            if place.want is None:
                raise AssertionError("only what has a rule is opened")
            want = place.want
            web = self._at.tree.order.web
            mode = want.directory_mode
            return want.owner == web or bool(
                mode & 0o002 or (mode & 0o020 and want.group in self._at.tree.order.web_groups)
            )
        return self._at.tree.loose(os.fstat(handle), handle)

    def _special(self, path: str, place: Place, status: os.stat_result, kind: int) -> None:
        what = _NAMELESS.get(kind, "no file")
        want = place.want
        if want is None:
            raise AssertionError("only entries with a rule are checked")
        right = (status.st_uid, status.st_gid) == (want.owner, want.group)
        if kind in (stat.S_IFBLK, stat.S_IFCHR):
            self._at.found.refuse(path, "a device has no business here; remove it")
        elif not right or stat.S_IMODE(status.st_mode) & ~want.file_mode:
            self._at.found.refuse(path, f"{what}, left as it is ({rights(status)}); remove it if no program needs it")

    def opened(
        self, handle: int, path: str, place: Place, status: os.stat_result, device: int, directory: int = -1
    ) -> None:
        """A file, through its descriptor."""
        want = place.want
        if want is None:
            return
        if not stat.S_ISREG(status.st_mode):
            self._at.found.refuse(path, "was exchanged during the check")
            return
        if status.st_dev != device or (status.st_dev, status.st_ino) in self._at.tree.mounted:
            self._at.found.refuse(path, "another file is mounted here; left as it is")
            return
        if self._at.aside.waits(path, status):
            alone = status.st_nlink == 1
            if not alone or not self._at.aside.returns(path, handle) or not self._named_again(path, directory):
                self._at.found.disabled[os.path.dirname(path)] += 1
                return
            self._at.found.given_back += 1
            want = self._at.tree.policy.of(aside.original(path)).want or want
        if status.st_nlink != 1:
            key = (status.st_dev, status.st_ino)
            if status.st_nlink and (key in self._at.found.links or len(self._at.found.links) < _LINKS):
                movable = directory >= 0 and self._open_now(directory, place)
                self._at.found.link(key, [status.st_nlink, 1, movable, [place.index], path])
            elif status.st_nlink:
                self._at.found.refuse(path, "has several names, and too many files here have; left as it is")
            return
        self.changes.change(handle, path, want, status)

    def _named_again(self, path: str, directory: int) -> bool:
        """Give a disabled file its name. One that is taken by now is left alone."""
        old, new = os.path.basename(path), os.path.basename(aside.original(path))
        if old == new or self._at.check:
            return True
        try:
            os.link(old, new, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)
            os.unlink(old, dir_fd=directory)
        except OSError as problem:
            self._at.found.refuse(path, f"cannot be renamed to {shown(new)}: {words(problem)}")
            return False
        if self._at.tree.journal:
            self._at.tree.journal.renamed(path, old, new)
        return True

    def moved(self, path: str, problem: OSError) -> None:
        """A removed entry is no error. An exchanged one is left alone and reported."""
        if problem.errno == errno.ENOENT:
            return
        exchanged = problem.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO)
        self._at.found.refuse(path, "was exchanged during the check" if exchanged else words(problem))

    def settle_links(self) -> None:
        """Files with several names, once all names have been counted."""
        wants = list(self._at.tree.policy.wants)
        for key, (there, met, movable, indexes, path) in sorted(self._at.found.links.items()):
            if met != there:
                self._at.found.refuse(path, f"has {there} names, and {there - met} of them not in this tree")
                continue
            if len(indexes) > 1:
                self._at.found.refuse(path, "has several names, for which different rules apply")
                continue
            self._settle(key, there, movable, wants[indexes[0]], path)

    def _settle(self, key: tuple[int, int], there: int, movable: bool, want: Want, path: str) -> None:
        try:
            handle = self._at.tree.open_below(path)
        except OSError as problem:
            self.moved(path, problem)
            return
        try:
            status = os.fstat(handle)
            if (status.st_dev, status.st_ino) != key or status.st_nlink != there:
                self._at.found.refuse(path, "was exchanged during the check")
            elif movable and status.st_uid != self._at.tree.order.web:
                # A user who can move a name can have it counted twice, and hide one that is elsewhere.
                self._at.found.refuse(path, "has several names where the web user can move them")
            else:
                self.changes.change(handle, path, want, status)
        except OSError as problem:
            self.moved(path, problem)
        finally:
            os.close(handle)
