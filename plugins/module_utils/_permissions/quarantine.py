# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""What the web user could have written and can run: it waits, marked or out of action, for an administrator."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time

from ansible_collections.chamilo.hardening.plugins.module_utils._common import locks
from ansible_collections.chamilo.hardening.plugins.module_utils._common.paths import shown
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import vouch
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.change import Work
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.found import LISTED, Found, who, words
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.marks import (
    ASIDE,
    ASIDE_NAME,
    MARKS,
    QUARANTINE,
    is_aside,
    is_doubted,
    mark,
    waits,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.policy import (
    COMPILED,
    GIT,
    PermsError,
    Want,
    executable,
)

_LIST = 16 << 20  # bytes of the list of suspect PHP: an attacker must not fill the disk with names
_UNREAD = 0o400  # what the owner of a doubtful file lacks; root reads it all the same
# Every page goes through one of them, so the portal would be down.
_FRONT = ("public/index.php", "public/main/inc/global.inc.php")
_HTACCESS = ".htaccess"


class Listing:
    """Suspect PHP, where there is too much of it to be reported: each file is listed before it changes its owner.

    Each process appends. An empty path disables the list. Files that cannot be listed are counted, without an error.
    A process that owns the list has the tree for itself: a second run would mistake what the first quarantines.
    """

    def __init__(self, path: str, patience: float) -> None:
        self.path = path
        self.new = f"{path}.new"  # the last run's list stays until the whole tree was checked
        self.problem = ""  # why nothing more can be named
        self._handle = -1
        if path:
            try:
                os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
                self._handle = locks.acquire(self.new, patience, self._busy)
                os.ftruncate(self._handle, 0)  # of a run that was killed
            except OSError as problem:
                self.problem = words(problem)

    def _busy(self, _holder: str) -> PermsError:
        return PermsError(f"Another run is at the same tree and has {self.new}. Run again when it has ended.")

    def name(self, what: str, path: str) -> bool:
        """False for what could not be named."""
        if not self.path:
            return True
        line = f"{what} {shown(path)}\n".encode()
        try:
            if not self.problem and os.fstat(self._handle).st_size + len(line) > _LIST:
                self.problem = f"the list ends at {_LIST >> 20} MB"
            if not self.problem and os.write(self._handle, line) != len(line):
                self.problem = os.strerror(errno.ENOSPC)
        except OSError as problem:
            self.problem = words(problem)
        return not self.problem

    def done(self, found: Found) -> None:
        """The whole tree was checked: the new list replaces the last one."""
        total = found.quarantined_total + found.doubtful_total
        if self.path and not total:
            with contextlib.suppress(OSError):
                os.unlink(self.path)
        if not self.path or found.unnamed == total:  # what the last run named is better than nothing
            return
        if found.unnamed:
            with contextlib.suppress(OSError):  # it is reported as well
                os.write(self._handle, f"\nand {found.unnamed} more: {found.unnamed_why}\n".encode())
        try:
            os.replace(self.new, self.path)
        except OSError as problem:
            found.unnamed, found.unnamed_why = total, words(problem)
            return
        os.close(self._handle)
        self._handle = -1  # what is called new from here on is another run's
        found.listing = self.path

    def close(self) -> None:
        if self._handle >= 0:
            with contextlib.suppress(OSError):
                os.unlink(self.new)
            os.close(self._handle)


class Quarantine:
    """Decides which files await a review, and their owner, mode and name until then."""

    def __init__(self, work: Work) -> None:
        self._at = work
        self._renames: list[tuple[str, str, str]] = []  # of one directory: path, name, name to be

    def forget(self) -> None:
        """Discard the renames of a directory that could not be read completely."""
        self._renames.clear()

    def suspect(self, handle: int, path: str, kind: str, status: os.stat_result) -> str:
        """What a file runs that the web user could have written, or that awaits a review already.

        Empty for data, and for files that a list vouches for.
        """
        if is_aside(path, status):  # whatever glob fits it by its new name
            return vouch.PHP
        if not kind or f"/{GIT}/" in f"/{path}":  # what Git runs is checked separately
            return ""
        doubted = is_doubted(status)
        waits = doubted or mark(status) == ((ASIDE if kind == "code" else QUARANTINE), 0, 0)
        if not waits:
            if not self._at.tree.order.opened:
                return ""
            where_none_belongs = (
                kind == "foreign" and vouch.PHP_NAME.search(path) and self._at.tree.loose(status, handle)
            )
            if not where_none_belongs and not self._unvouched(handle, path, status):
                return ""
        compared = doubted or (self._at.tree.lists.release and vouch.runs_in_browsers(path))
        what = vouch.runs(path, handle) or (vouch.STEERS if compared else "")
        # A file that cannot run is released only by its path in acknowledged.
        return "" if what and (doubted or not waits) and self._at.tree.lists.vouch(path, handle) else what

    def _unvouched(self, handle: int, path: str, status: os.stat_result) -> bool:
        """Could the web user have written it, and does neither the release's package nor its history vouch for it?"""
        release = self._at.tree.lists.release if self._at.tree.loose(status, handle) else {}
        if release and status[9] < self._at.tree.order.opened:
            if path in release:
                return not self._at.tree.lists.vouch(path, handle)
            return not self._is_of_a_plugin(handle, path, status)
        return self._at.tree.planted(status, handle) and not self._is_of_a_plugin(handle, path, status)

    def _is_of_a_plugin(self, handle: int, path: str, status: os.stat_result) -> bool:
        """Did it come with a plugin or theme that is no part of the release, which is written down then?"""
        if not self._at.tree.has_own_history(path, status):
            return False
        owner, came = who(status.st_uid, status.st_gid).partition(":")[0], time.gmtime(self._at.tree.came(path))
        self._at.found.plugins.setdefault(vouch.own_directory(path), f"{owner}, {time.strftime('%Y-%m-%d', came)}")
        return not vouch.is_shell(path, handle)

    def quarantined(
        self, handle: int, path: str, kind: str, what: str, want: Want, status: os.stat_result, alone: bool = True
    ) -> Want:
        """What is done with such a file. ``alone``: it has one name."""
        if is_aside(path, status):
            name, path = os.path.basename(path), path.removesuffix(ASIDE_NAME)
            if not self._at.tree.policy.of(path).kind:  # acknowledged
                self._renames.append((path, name, os.path.basename(path)))
                return want
            self._report_quarantined(path)
            return Want(0, 0, 0, stat.S_IMODE(ASIDE))
        if self._is_needed(handle, path, kind, what, status):
            # Without its classes and templates the portal would be down, and no URL calls them: only report.
            self._name("doubtful", path)
            self._at.found.doubtful_total += 1
            if len(self._at.found.doubtful) < LISTED:
                self._at.found.doubtful.append(shown(path))
            mode = want.file_mode
            if want.keep_x and status.st_mode & 0o100:
                mode = executable(mode)
            return Want(0, want.group, 0, mode & ~_UNREAD)
        if not waits(path, status) and len(self._at.found.held) < LISTED:
            self._at.found.held.append(shown(path))
        if kind != "code" and not path.endswith(_HTACCESS):
            self._report_quarantined(path)
            return Want(0, 0, 0, stat.S_IMODE(QUARANTINE))
        if alone:
            name = os.path.basename(path)
            self._renames.append((path, name, name + ASIDE_NAME))
        self._report_quarantined(path)
        return Want(0, 0, 0, stat.S_IMODE(ASIDE))

    def _is_needed(self, handle: int, path: str, kind: str, what: str, status: os.stat_result) -> bool:
        """Could the portal be down without this file? What waits as such a one already goes on to."""
        if is_doubted(status):
            return True
        if mark(status) in MARKS:
            return False
        if path in _FRONT:
            return True
        if kind in COMPILED and self._at.tree.is_weak(handle, status) and not vouch.is_shell(path, handle):
            return True
        if what == vouch.HANDLER:
            return path == f"public/{_HTACCESS}"  # the addresses of Chamilo rest on it
        if what == vouch.PHP and kind == "code":
            return not vouch.PHP_NAME.search(path) or self._at.tree.release.needs(path, status)
        if what != vouch.PHP or path.endswith((".tpl", ".twig")):
            return True
        return kind == "program" and self._at.tree.is_tracked(path, handle)

    def _report_quarantined(self, path: str) -> None:
        self._name("quarantined", path)
        self._at.found.quarantined_total += 1
        if len(self._at.found.quarantined) < LISTED:
            self._at.found.quarantined.append(shown(path))

    def _name(self, what: str, path: str) -> None:
        """By its mark the next run knows it all the same, and names it then."""
        if not self._at.listing.name(what, path):
            self._at.found.unnamed += 1
            self._at.found.unnamed_why = self._at.listing.problem

    def rename(self, handle: int) -> None:
        """Rename the files of a directory that was checked. A name that was taken meanwhile is left alone."""
        for path, old, new in self._renames if not self._at.check else ():
            try:
                if old.endswith(ASIDE_NAME):
                    os.link(old, new, src_dir_fd=handle, dst_dir_fd=handle, follow_symlinks=False)
                    os.unlink(old, dir_fd=handle)
                else:
                    os.rename(old, new, src_dir_fd=handle, dst_dir_fd=handle)
                if self._at.tree.journal:
                    self._at.tree.journal.renamed(path, old, new)
            except OSError as problem:
                self._at.found.refuse(path, f"cannot be renamed to {shown(new)}: {words(problem)}")
        self._renames.clear()
