# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""What a look at files needs: who may read them, and walks that end in time."""

from __future__ import annotations

import grp
import os
import pwd
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

_BEAT = 500  # entries between two looks at the clock

READ, ENTER = 4, 1


@dataclass(frozen=True)
class User:
    """An account of this host."""

    name: str
    number: int
    groups: frozenset[int]
    home: str = ""


@dataclass
class Budget:
    """How long a scan may take. ``cut`` and ``unread`` say what it did not see."""

    seconds: float
    cut: bool = False
    unread: int = 0
    _end: float = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._end = time.monotonic() + self.seconds

    @property
    def left(self) -> bool:
        self.cut = self.cut or time.monotonic() > self._end
        return not self.cut

    @property
    def gap(self) -> str:
        """What was not seen, as a sentence; empty when all was."""
        gaps = [f"the time for it ({self.seconds:g} s) was over"] if self.cut else []
        gaps += [f"{self.unread} folders or files could not be opened"] if self.unread else []
        return f"Not everything was looked at: {' and '.join(gaps)}." if gaps else ""


def user(name: str) -> User | None:
    """The account of that name, or None."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    groups = {entry.pw_gid} | {group.gr_gid for group in grp.getgrall() if name in group.gr_mem}
    return User(name, entry.pw_uid, frozenset(groups), entry.pw_dir)


def users(names: Iterable[str]) -> list[User]:
    """The accounts that are there, each once."""
    return [known for known in map(user, sorted({name for name in names if name})) if known is not None]


def may(who: User, path: str, what: int) -> bool:
    """Whether the mode of one file or folder lets the account read or enter it."""
    try:
        status = os.stat(path)
    except OSError:
        return False
    if who.number == 0:
        return True
    shift = 6 if status.st_uid == who.number else 3 if status.st_gid in who.groups else 0
    return bool(status.st_mode >> shift & what)


def can_read(who: User, path: str) -> bool:
    """Whether the account can open the file: its own mode, and that of every folder above it."""
    folder = os.path.dirname(os.path.realpath(path))
    while may(who, folder, ENTER):
        if folder == "/":
            return may(who, path, READ)
        folder = os.path.dirname(folder)
    return False


def walk(top: str, budget: Budget, skip: Collection[str] = ()) -> Iterator[os.DirEntry[str]]:
    """Everything below a folder that is no folder, links not followed, until the time is over."""
    waiting = [top]
    seen = 0
    while waiting and budget.left:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    seen += 1
                    if seen % _BEAT == 0 and not budget.left:
                        return
                    if not entry.is_dir(follow_symlinks=False):
                        yield entry
                    elif entry.path not in skip:
                        waiting.append(entry.path)
        except FileNotFoundError:  # it went meanwhile, or was never there
            continue
        except OSError:
            budget.unread += 1


def head(path: str, size: int) -> bytes:
    """The first bytes of a regular file; nothing where it cannot be read. Never waits for a pipe."""
    return _piece(path, size, os.SEEK_SET)


def tail(path: str, size: int) -> bytes:
    """The last bytes of a regular file; nothing where it cannot be read."""
    return _piece(path, size, os.SEEK_END)


def _piece(path: str, size: int, whence: int) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if status.st_mode & 0o170000 != 0o100000:
            return b""
        if whence == os.SEEK_END:
            file.seek(max(0, status.st_size - size))
        return file.read(size)


def names(values: Iterable[str], most: int = 5) -> str:
    """A list for a sentence, cut where it gets long."""
    listed = list(values)
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")
