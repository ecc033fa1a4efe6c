# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""Files of the program that nothing vouches for: what could run of what the web user wrote, and what waits marked."""

from __future__ import annotations

import glob
import os
import stat

from ansible_collections.chamilo.hardening.plugins.module_utils._common import files
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.tree import Identity
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import marks, vouch
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.observer import Observer

_MOST = 5000  # files that are read


class Unvouched:
    """Collects files during another walk. Doubtful ones can run, the others cannot until they are reviewed."""

    def __init__(self, observer: Observer, users: tuple[Identity, ...]) -> None:
        self.root = os.path.realpath(observer.root)
        self.users = users
        self.doubtful: list[str] = []
        self.held: list[str] = []
        self.unread = 0
        self._top = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        self._release: vouch.Release | None = None
        self._own: dict[str, vouch.Release] = {}
        self._lists = vouch.Lists(
            self.root, [path for pattern in vouch.LISTS for path in glob.glob(f"{files.STATE}/{pattern}")]
        )
        self._read = 0

    def close(self) -> None:
        os.close(self._top)

    def inspect(self, path: str, status: os.stat_result) -> None:
        """A file, by its path below the project directory."""
        if not stat.S_ISREG(status.st_mode):
            return
        waits = marks.waits(path, status)
        if waits == marks.DOUBTFUL:
            self.doubtful.append(path)
        elif path.endswith(marks.ASIDE_NAME) and waits:
            self.held.append(path.removesuffix(marks.ASIDE_NAME))
        elif waits and path.startswith("public/") and self._runs(path) in (vouch.PHP, vouch.HANDLER):
            self.held.append(path)
        elif self._theirs(os.path.join(self.root, path), status) and self._later(path, status):
            if self._runs(path, ask=True):
                self.doubtful.append(path)

    def git(self) -> list[str]:
        """What Git would run that the web user could have set, each with its directory."""
        found = []
        patterns = (".git", *(f"{place}/*/.git" for place in vouch.OWN))
        for directory in [path for pattern in patterns for path in glob.glob(os.path.join(self.root, pattern))]:
            below = os.path.relpath(directory, self.root)
            try:
                handle = vouch.open_below(self._top, below, os.O_DIRECTORY)
            except NotADirectoryError:  # a worktree's, or a link: Git asks whose that is itself
                continue
            except OSError:
                self.unread += 1
                continue
            try:
                found += [f"{below}: {name}" for name in vouch.git_runs(handle, self._theirs)]
            except OSError:
                self.unread += 1
            finally:
                os.close(handle)
        return found

    def _theirs(self, where: int | str, status: os.stat_result) -> bool:
        return any(user.changes(where, status) for user in self.users)

    def _later(self, path: str, status: os.stat_result) -> bool:
        if self._release is None:
            self._release = vouch.release(self._top, self.users[0].user)
        mine = not self._release.web and any(status.st_uid == user.user for user in self.users)
        if self._release is vouch.NOT_THERE or not (mine or self._release.later(status)):
            return False
        directory = vouch.own_directory(path)
        if not directory:
            return True
        if directory not in self._own:
            self._own[directory] = vouch.own_history(self._top, directory)
        own = self._own[directory]
        return own is vouch.NOT_THERE or own.later(status) or self._is_shell(path)

    def _is_shell(self, path: str) -> bool:
        try:
            handle = vouch.open_below(self._top, path)
        except OSError:
            self.unread += 1
            return False
        try:
            return vouch.is_shell(path, handle)
        finally:
            os.close(handle)

    def _runs(self, path: str, ask: bool = False) -> str:
        """What it runs; with ``ask``, empty where a list vouches for it."""
        self._read += 1
        if self._read > _MOST:
            return vouch.STEERS
        try:
            handle = vouch.open_below(self._top, path)
        except OSError:
            self.unread += 1
            return ""
        try:
            what = vouch.runs(path, handle)
            return "" if ask and what and self._lists.vouch(path, handle) else what
        finally:
            os.close(handle)
