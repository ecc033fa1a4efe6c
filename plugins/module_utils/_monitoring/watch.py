# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks that monit runs every few minutes: failed logins over all addresses, and disks.

monit runs this in a sandbox that can write to /run alone, so it only checks and answers; monit has the alert sent.
"""

from __future__ import annotations

import calendar
import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from .._application.login_addresses import LOGIN
from .._common import files
from .._common.errors import HardeningError
from .._common.paths import open_regular

DIRECTORY = "/etc/chamilo-hardening"
PULSE = "/run/chamilo-hardening"
_BLOCK = 4 << 20  # bytes of a log that are read together
_MOST = 256 << 20  # bytes that are read; with long headers a visitor fills them with a few thousand requests
_RECENT = 1 << 16  # bytes of it that show in which form it is written now
_RETAINED = 3600  # seconds; Apache writes when a request began, and a visitor can make one last
# A user name can resemble a date, but no bare quote can stand in it.
_START = rb"^\S+ [^\"\\\n]*(?:\\.[^\"\\\n]*)*\[(\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] \""
_DATED = re.compile(_START, re.M)
_UNDERSTOOD = re.compile(_START + rb"[^\"\n]*\" \d{3}\b", re.M)
# Where they go to a login path: as the jail of section brute_force counts them, from any client.
_FAILED = re.compile(_START + rb"(?i:POST) +(\S+) +HTTP/[\d.]+\" (?:401|403|429)\b", re.M)
_LONGEST = 1 << 16  # of a line; no server takes a longer request
_ADDRESS = re.compile(
    rb"(?:^|\s)((?:[0-9a-fA-F:]{0,40}:)?\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F]{0,4}:[0-9a-fA-F:]{1,40})\s"
)
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


class WatchError(HardeningError):
    """A check could not be done; the message states why."""


@dataclass(frozen=True)
class Seen:
    """The answer, and whether it is an alarm."""

    text: str
    alarm: bool


def configuration(site: str) -> dict[str, Any]:
    """What section monitoring wrote down about a portal."""
    path = f"{DIRECTORY}/monitoring-{site}.json"
    try:
        with open(path, encoding="utf-8") as stream:
            known: dict[str, Any] = json.load(stream)
    except FileNotFoundError as problem:
        raise WatchError(f"There is no {path}. Run the playbook harden with the section monitoring.") from problem
    except ValueError as problem:
        raise WatchError(f"{path} is damaged: {problem}.") from problem
    return known


def logins(site: str, moment: float | None = None) -> Seen:
    """Count failed logins of the last minutes, over all addresses."""
    known = configuration(site)
    moment = time.time() if moment is None else moment
    since = moment - 60 * int(known["minutes"])
    try:
        addresses = _counted(known, since)
    except WatchError as problem:  # monit runs and asks all the same
        _pulse(site, {"at": moment, "error": str(problem)})
        raise
    count = len(addresses)
    span = f"{known['minutes']} minutes at {known['domain']}"
    text = f"{count} failed logins from {len(set(addresses))} addresses in {span}."
    _pulse(site, {"at": moment, "text": text})
    return Seen(text, count >= int(known["failures"]))


def _counted(known: Mapping[str, Any], since: float) -> list[bytes]:
    if not known["logs"]:
        raise WatchError(
            f"The web server does not have the visitors of {known['domain']} written into a file, so failed logins are "
            "not seen. Have the virtual host write one in the format combined and run the playbook harden, or waive "
            "monitoring_auth."
        )
    return [address for path in known["logs"] for address in _failures(path, since)]


def _failures(path: str, since: float) -> list[bytes]:
    """The address of each failed login since then, read from the end of the log and of the one before."""
    found: list[bytes] = []
    if not os.path.isfile(path):
        raise WatchError(f"There is no file {path}, so failed logins are not seen.")
    recent = _end(path, _RECENT)
    if recent.count(b"\n") > 1 and not _UNDERSTOOD.search(recent):
        raise WatchError(
            f"The lines of {path} are in a form that is not understood, so failed logins are not seen. Have the "
            "virtual host write them in the format combined, or waive monitoring_auth."
        )
    for log in (path, f"{path}.1"):
        if not os.path.exists(log) or os.path.getmtime(log) < since:
            continue
        for piece in _backwards(log):
            for line in _FAILED.finditer(piece):
                if LOGIN.fullmatch(line[2]) and _moment(line[1].decode()) >= since:
                    address = _ADDRESS.search(line[0].partition(b"[")[0])
                    found.append(address[1] if address else b"")
            dates = [line[1] for line in _DATED.finditer(piece)]
            if dates and not any(_moment(date.decode()) >= since - _RETAINED for date in reversed(dates)):
                break
    return found


def _backwards(path: str) -> Iterator[bytes]:
    """A log from its end on, in pieces of whole lines."""
    with _opened(path) as stream:
        size = start = os.fstat(stream.fileno()).st_size
        cut = b""
        while start:
            if size - start >= _MOST:
                raise WatchError(
                    f"{path} grew by more than {_MOST >> 20} MB within the hour, so not all failed logins are seen. "
                    "Find out which client sends so many long requests."
                )
            end, start = start, max(0, start - _BLOCK)
            stream.seek(start)
            piece = stream.read(end - start) + cut
            if start:
                first, newline, piece = piece.partition(b"\n")
                cut = (first + newline) if len(first) <= _LONGEST else b""
            yield piece


def _end(path: str, size: int) -> bytes:
    with _opened(path) as stream:
        stream.seek(max(0, os.fstat(stream.fileno()).st_size - size))
        return stream.read(size)


def _opened(path: str) -> BinaryIO:
    try:
        return open(open_regular(path), "rb")
    except OSError as problem:
        raise WatchError(f"{path} cannot be read: {problem.strerror}, so failed logins are not seen.") from problem


def _moment(text: str) -> float:
    """``25/Nov/2026:17:03:29 +0000``, whatever the language of the host."""
    day, month, year = text[:11].split("/")
    hour, minute, second = text[12:20].split(":")
    if month not in _MONTHS:
        return 0
    parts = (int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second), 0, 0, 0)
    offset = (int(text[22:24]) * 60 + int(text[24:26])) * 60
    return calendar.timegm(parts) - (-offset if text[21] == "-" else offset)


def _pulse(site: str, output: Mapping[str, Any]) -> None:
    """A sign of life: the daily work checks that it is fresh, which shows that monit runs and asks."""
    files.replace_file(f"{PULSE}/watch-{site}.json", json.dumps(output) + "\n")


def pulse(site: str) -> Mapping[str, Any]:
    """The last sign of life; empty when there is none since the host came up."""
    try:
        with open(f"{PULSE}/watch-{site}.json", encoding="utf-8") as stream:
            known: dict[str, Any] = json.load(stream)
    except (FileNotFoundError, ValueError):
        return {}
    return known


def disks(paths: Sequence[str], percent: int) -> Seen:
    """The file systems behind some paths that are fuller than so many percent; each is named once."""
    full: dict[str, str] = {}
    seen: dict[str, str] = {}
    for path in paths:
        if not os.path.exists(path):
            continue
        mount = mount_of(path)
        info = os.statvfs(path)
        if mount in seen or not info.f_blocks:
            continue
        # As df counts: of what an ordinary process could use.
        used = info.f_blocks - info.f_bfree
        share = 100 * used / max(1, used + info.f_bavail)
        seen[mount] = f"{mount} {share:.0f} % full"
        nodes = 100 * (info.f_files - info.f_ffree) / info.f_files if info.f_files else 0
        if share >= percent or nodes >= percent:
            full[mount] = f"{mount} is {share:.0f} % full, {nodes:.0f} % of its inodes are in use"
    return Seen("; ".join(full.values()) or "; ".join(seen.values()) or "No such path.", bool(full))


def mount_of(path: str) -> str:
    path = os.path.realpath(path)
    while not os.path.ismount(path):
        path = os.path.dirname(path)
    return path
