# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lock files, each of one process at a time. The kernel releases a lock when its process ends, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import time
from collections.abc import Callable, Iterator

from .errors import HardeningError
from .files import now

FOREVER = math.inf
_OPEN = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
_PAUSE_SECONDS = 0.1
_LONGEST = 200  # bytes of what its holder wrote


class Busy(HardeningError):
    """Another process holds a lock. The message states which, and the consequence."""


@contextlib.contextmanager
def lock(path: str, who: str, patience: float, busy: Callable[[str], Exception] = Busy) -> Iterator[int]:
    """Hold the lock file at ``path`` as ``who``; see ``acquire``."""
    handle = acquire(path, patience, busy)
    try:
        with contextlib.suppress(OSError):  # only text for waiting processes: a full disk is reported later
            os.ftruncate(handle, 0)
            os.write(handle, f"{who} (process {os.getpid()}, since {now()})\n".encode())
        yield handle
    finally:
        os.close(handle)


def acquire(path: str, patience: float, busy: Callable[[str], Exception] = Busy) -> int:
    """The open lock file, once the lock is acquired. It is as its last holder left it.

    After ``patience`` seconds, the exception that ``busy`` makes of the holder's text is raised.
    """
    end = time.monotonic() + patience
    while True:
        handle = os.open(path, _OPEN, 0o600)
        with contextlib.ExitStack() as failed:
            failed.callback(os.close, handle)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | (0 if patience == FOREVER else fcntl.LOCK_NB))
            except BlockingIOError as problem:
                if time.monotonic() >= end:
                    raise busy(_words(handle)) from problem
                time.sleep(_PAUSE_SECONDS)
                continue
            # Its last holder may have removed or renamed it just now.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), os.lstat(path)):
                    failed.pop_all()
                    return handle


def holder(path: str) -> str:
    """Who holds a lock now, or an empty text."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return ""
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _words(handle) or "an unknown process"
    finally:
        os.close(handle)
    return ""


def _words(handle: int) -> str:
    return os.pread(handle, _LONGEST, 0).decode(errors="replace").strip()
