# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one run over a tree changed, so that it can be rolled back. On disk, since a tree has any number of entries.

Nothing that the web user can write meanwhile becomes root's again, and no setuid or setgid bit is restored.
"""

from __future__ import annotations

import array
import contextlib
import errno
import itertools
import json
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from typing import IO, Any

from .._common.paths import shown

_FULL = 2000  # changes of one process that are kept in memory

Rights = tuple[int, int, int]  # owner, group, mode


def rights_of(status: os.stat_result) -> Rights:
    return status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)


class Journal:
    """A file in a directory of root. Several processes write to it; each calls ``flush`` at its end.

    A full disk does not stop the run: ``problem`` states that not all can be rolled back.
    """

    def __init__(self, directory: str, web: int) -> None:
        self._web = web
        self._waiting: list[list[Any]] = []
        self.problem = ""
        self._file: IO[bytes] | None = None
        try:
            os.makedirs(directory, 0o700, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=directory, buffering=0)
        except OSError as problem:
            self.problem = problem.strerror or str(problem)

    def changed(self, path: str, status: os.stat_result, after: Rights) -> None:
        self._add(["rights", path, status.st_dev, status.st_ino, rights_of(status), after])

    def lifted(self, path: str, status: os.stat_result, name: str, value: bytes) -> None:
        self._add(["acl", path, status.st_dev, status.st_ino, name, value.hex()])

    def renamed(self, path: str, old: str, new: str) -> None:
        self._add(["name", os.path.dirname(path), old, new])

    def _add(self, change: list[Any]) -> None:
        self._waiting.append(change)
        if len(self._waiting) >= _FULL:
            self.flush()

    def flush(self) -> None:
        lines = "".join(f"{json.dumps(change)}\n" for change in self._waiting).encode()
        self._waiting.clear()
        try:
            if lines and self._file and not self.problem and self._file.write(lines) != len(lines):
                self.problem = os.strerror(errno.ENOSPC)
        except OSError as problem:
            self.problem = problem.strerror or str(problem)

    def close(self) -> None:
        if self._file:
            self._file.close()

    def roll_back(self, open_below: Callable[[str], int]) -> list[str]:
        """Returns what could not be rolled back. ``open_below``: opens what is in the tree, and follows no link."""
        self.flush()
        failed = [f"not all changes could be noted: {self.problem}"] if self.problem else []
        # What was renamed has its old name in the other entries, and an ACL sets the mode of its file as well.
        for turn, back in (("name", self._rename), ("rights", self._give), ("acl", self._grant)):
            for kind, path, *change in self._changes(latest_first=turn == "rights"):  # some are changed twice
                if kind == turn:
                    try:
                        with _opened(open_below(path)) as handle:
                            back(handle, *change)
                    except OSError as problem:
                        failed.append(f"{shown(path)}: {problem.strerror or problem}")
        return failed

    def _changes(self, latest_first: bool) -> Iterator[list[Any]]:
        if self._file:
            with os.fdopen(os.dup(self._file.fileno()), "rb") as lines:
                lines.seek(0)
                begins = array.array("Q", itertools.accumulate(map(len, lines), initial=0))  # and where the last ends
                for begin in reversed(begins) if latest_first else begins:
                    lines.seek(begin)
                    line = lines.readline()
                    if line.endswith(b"\n"):
                        yield json.loads(line)

    @staticmethod
    def _rename(directory: int, old: str, new: str) -> None:
        if old not in os.listdir(directory):
            os.rename(new, old, src_dir_fd=directory, dst_dir_fd=directory)

    def _give(self, handle: int, device: int, inode: int, before: list[int], after: list[int]) -> None:
        status = os.fstat(handle)
        if (status.st_dev, status.st_ino, [*rights_of(status)]) != (device, inode, after):
            return  # another file, or one that was changed meanwhile
        owner, group, mode = before
        if owner == 0 and after[0] == self._web:
            return
        if after[:2] != before[:2]:
            os.fchown(handle, owner, group)
        os.fchmod(handle, mode & 0o1777 if stat.S_ISREG(status.st_mode) else mode)

    def _grant(self, handle: int, device: int, inode: int, name: str, value: str) -> None:
        status = os.fstat(handle)
        if (status.st_dev, status.st_ino) == (device, inode) and name not in os.listxattr(handle):
            os.setxattr(handle, name, bytes.fromhex(value))


@contextlib.contextmanager
def _opened(handle: int) -> Iterator[int]:
    try:
        yield handle
    finally:
        os.close(handle)
