# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""Helpers to inspect files: who may read them, and walks that end in time."""

from __future__ import annotations

import glob
import json
import os
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.chamilo.hardening.plugins.module_utils._common.control import FAIL, Finding, failed, passed
from ansible_collections.chamilo.hardening.plugins.module_utils._common.paths import open_regular
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.tree import Identity
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.observer import Observer, Unseen
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.processes import jobs, named, processes

_BEAT = 500  # entries between two checks of the clock
_READ, _ENTER = 4, 1
_PIECE = 8 << 20  # bytes
_LONGEST = 1 << 18  # bytes of a line
# Access logs where a virtual host names none.
USUAL_LOGS = ("/var/log/nginx/access.log", "/var/log/apache2/access.log", "/var/log/apache2/other_vhosts_access.log")


@dataclass
class Budget:
    """How long a scan may take. ``cut`` and ``unread`` record what it did not see."""

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
        gaps += [f"{self.unread} directories or files could not be opened"] if self.unread else []
        return f"Not everything was checked: {' and '.join(gaps)}." if gaps else ""


def can_read(who: Identity, path: str) -> bool:
    """Whether the account can open the file: by the mode of the file, and of every directory above it."""
    desired = _READ
    path = os.path.realpath(path)
    while True:
        try:
            status = os.stat(path)
        except OSError:
            return False
        if not who.may(desired, status.st_mode, status.st_uid, status.st_gid):
            return False
        if path == "/":
            return True
        path, desired = os.path.dirname(path), _ENTER


def walk(top: str, budget: Budget, skip: Collection[str] = ()) -> Iterator[os.DirEntry[str]]:
    """Everything below a directory except directories, links not followed, until the time is over."""
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


def head(path: str, size: int, web_user: str = "") -> bytes:
    """The first bytes of a regular file; nothing where it cannot be read, or only through a link of the web user's."""
    return _piece(path, size, os.SEEK_SET, web_user)


def tail(path: str, size: int, web_user: str = "") -> bytes:
    """The last bytes of a regular file; nothing where it cannot be read, or only through a link of the web user's."""
    return _piece(path, size, os.SEEK_END, web_user)


def pieces(path: str, size: int, web_user: str = "") -> Iterator[bytes]:
    """The last bytes of a regular file, in pieces of whole lines. Raises an ``OSError`` when it cannot be read."""
    descriptor = open_regular(path, web_user)
    try:
        end = os.fstat(descriptor).st_size
        start, cut = max(0, end - size), b""
        while start < end:
            piece = os.pread(descriptor, min(_PIECE, end - start), start)
            if not piece:  # it was emptied meanwhile
                break
            start += len(piece)
            whole, newline, rest = (cut + piece).rpartition(b"\n")
            yield whole + newline
            cut = rest[-_LONGEST:]  # a line is no longer than that; a longer one hides nothing after it
        yield cut
    finally:
        os.close(descriptor)


def _piece(path: str, size: int, whence: int, web_user: str) -> bytes:
    try:
        descriptor = open_regular(path, web_user)
    except OSError:
        return b""
    try:
        start = max(0, os.fstat(descriptor).st_size - size) if whence == os.SEEK_END else 0
        return os.pread(descriptor, size, start)
    except OSError:  # on some file systems of the kernel's
        return b""
    finally:
        os.close(descriptor)


RECORDS = "/var/lib/chamilo-hardening"
SETTINGS = "/etc/chamilo-hardening"
PROGRAM = "/usr/local/sbin/chamilo-hardening"


@dataclass(frozen=True)
class Record:
    """What the host program wrote down when it last did a job, or tried to."""

    at: float
    done: bool
    detail: str


def settings(section: str) -> dict[str, dict[str, Any]]:
    """What the host program works by in a section, by portal. All of them: its records are of the whole host."""
    found = {}
    for path in sorted(glob.glob(f"{SETTINGS}/{section}-*.json")):
        try:
            with open(path, encoding="utf-8") as stream:
                found[os.path.basename(path)[len(section) + 1 : -len(".json")]] = dict(json.load(stream))
        except (OSError, ValueError, TypeError) as problem:
            raise Unseen(f"{path} cannot be read: {problem}") from problem
    return found


def record(file: str, name: str) -> Record | None:
    """An entry of one of the host program's own records, which root alone can write; None where there is none."""
    try:
        with open(os.path.join(RECORDS, file), encoding="utf-8") as stream:
            entry = json.load(stream).get(name)
        return Record(float(entry["at"]), entry["ok"] is True, str(entry.get("detail", ""))) if entry else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise Unseen(f"{RECORDS}/{file} cannot be read: {problem}") from problem


def job_of_ours(
    observer: Observer, file: str, name: str, what: str, hours: float, starts: str, lost: Callable[[], str] = lambda: ""
) -> Finding | None:
    """The finding from our own record of a job that must have succeeded lately; None without a record.

    One success is not enough: ``starts`` (the command of the host program) must still run it, and ``lost`` names what
    else it needs and is missing.
    """
    entry = record(file, name)
    if entry is None:
        return None
    age = (observer.now - entry.at) / 3600
    if not entry.done:
        words = f"{what} failed {age:.0f} hours ago. {entry.detail}".strip()
        return Finding(FAIL, words, cause=_undelivered(entry))
    if age <= -1:
        return failed(f"{what} is dated {-age / 24:.1f} days in the future: the clock was wrong then, or is now.")
    if age > hours:
        return failed(f"{what} last succeeded {age / 24:.1f} days ago; it should be no older than {hours:.0f} hours.")
    gone = is_started(observer, starts) or lost()
    if gone:
        return failed(f"{what} succeeded {age:.0f} hours ago, but {gone}.")
    return passed(f"{what} succeeded {age:.0f} hours ago. {entry.detail}".strip())


def _undelivered(entry: Record) -> str:
    """The cause, where a job failed for want of a way for alerts."""
    delivery = record("monitoring.json", "delivery")
    if delivery is None or delivery.done or not delivery.detail or delivery.detail not in entry.detail:
        return ""
    return f"{delivery.detail} When that is mended, run on the host: chamilo-hardening daily monitoring"


def is_started(observer: Observer, command: str) -> str:
    """Why a command of the host program does not start by itself any more; empty where it does."""
    if not os.access(PROGRAM, os.X_OK):
        return f"{PROGRAM} is not there any more"
    started = named(observer.once(jobs), rf"\bchamilo-hardening {command}(?:\s|$)")
    if not started:
        return f"no timer and no cron job of this host calls chamilo-hardening {command} any more"
    runs = {process.name for process in observer.once(processes)} & {"cron", "crond"}
    if not runs and not any(job.service for job in started):
        return f"{started[0].source} is to start it, and cron does not run"
    return ""
