# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Impact preview: the clients that bans not yet active would have met in the last seven days, by the access log.

A log can be long, and clients control it: the bytes, seconds and addresses that are read are limited; what was left out
is reported. Bans are counted as fail2ban counts them, without fail2ban, which need not be installed yet.
"""

from __future__ import annotations

import bisect
import glob
import gzip
import io
import os
import re
import time
import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import mktime_tz, parsedate_tz
from functools import lru_cache
from typing import BinaryIO, cast

from .._application.login_addresses import LOGIN
from .._common.http import AGENT
from .._common.networks import normal, within
from .._common.paths import open_regular
from .._common.sentences import first_of

DAYS = 7
MOST_BYTES = 512 << 20  # of a log
MOST_SECONDS = 20.0
MOST_ADDRESSES = 20_000
_LONGEST = 1 << 16  # of a line
_FORMATS = ("", "combined", "common", "vhost_combined")
_TIME = "There is more, which would have taken too long."
_SHOWN = 5  # addresses in a sentence
_BROWSERS, _GOOD = 3, 3  # with as many, several people share an address
_MOST_BROWSERS = 20

# As the filter of the role brute_force: a user name can resemble a date, but no bare quote can stand in it.
_LINE = re.compile(
    rb'(?:(?P<front>[^\s:"]+):\d+ )?(?P<address>[0-9A-Fa-f:.]{1,45}) \S+ (?:[^"\\]|\\.)*'
    rb'\[(?P<date>\d\d/\w\w\w/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "(?P<method>[A-Za-z]+) +(?P<target>\S+) +HTTP/[\d.]+" '
    rb'(?P<status>\d\d\d)\b(?:[^"]*"(?:[^"\\]|\\.)*" "(?P<agent>(?:[^"\\]|\\.)*)")?'
)
_REQUEST = re.compile(rb'[^"\\]*"([A-Za-z]+) +([^ ?"]*)')  # of a usual line, quickly
_FAILED = (b"401", b"403", b"429")
BANS = "brute_force_fail2ban"
_OWN = AGENT.encode()


@dataclass(frozen=True)
class Rules:
    """Whom fail2ban would ban."""

    attempts: int = 5
    find_seconds: int = 900
    ban_seconds: int = 900
    spared: tuple[str, ...] = ()  # networks that are never banned
    names: tuple[str, ...] = ()  # of the portal, where several share a log


@dataclass
class _Visitor:
    """What an address did. There can be thousands of them, so they are kept small."""

    spared: bool
    failures: array[int] = field(default_factory=lambda: array("q"))  # their times
    good: int = 0
    browsers: array[int] = field(default_factory=lambda: array("q"))

    @property
    def shared(self) -> bool:
        return len(self.browsers) >= _BROWSERS and self.good >= _GOOD

    def __str__(self) -> str:
        browsers = _many(len(self.browsers), "browser")
        return f"{len(self.failures)} failed and {self.good} good logins, {browsers}"


def forecast(logs: Mapping[str, str], rules: Rules, now: float, most_seconds: float = MOST_SECONDS) -> list[str]:
    """Returns sentences for the report. ``logs``: the format of each."""
    began, since = time.monotonic(), now - DAYS * 86400
    preview = _Preview(rules, since, began + most_seconds)
    for path in _files([file for file, form in logs.items() if form in _FORMATS], since):
        if _TIME in preview.limits:
            break
        try:
            preview.read(path)
        except (OSError, EOFError, zlib.error) as problem:
            preview.notes.append(f"{path} cannot be read: {getattr(problem, 'strerror', '') or problem}.")
    for file, form in logs.items():
        if form not in _FORMATS:
            preview.notes.append(f"{file} is written in the form {form}, which is not understood.")
    if not preview.files and not preview.notes:
        preview.notes.append(f"There is no access log of the last {DAYS} days: {', '.join(logs) or 'none is known'}.")
    return preview.report(time.monotonic() - began)


def _files(logs: Iterable[str], since: float) -> list[str]:
    """The logs and the rotated ones that were written since then, newest first."""
    found = []
    for log in logs:
        name = re.compile(rf"{re.escape(log)}(?:[.-]\d+(?:\.gz)?)?")
        for path in filter(name.fullmatch, glob.glob(f"{glob.escape(log)}*")):
            try:
                changed = os.stat(path).st_mtime
            except OSError:
                changed = since  # reading it reports why
            if changed >= since:
                found.append((changed, path))
    return [path for _changed, path in sorted(found, reverse=True)]


def _lines(file: BinaryIO, torn: bool) -> Iterator[bytes]:
    """Whole lines: none that is too long, or still being written. ``torn``: the first one is none."""
    for line in iter(lambda: file.readline(_LONGEST), b""):
        ends = line.endswith(b"\n")
        if ends and not torn:
            yield line
        torn = not ends


class _Preview:
    """What visitors did, and what the rules would have made of it."""

    def __init__(self, rules: Rules, since: float, end: float) -> None:
        self.rules, self.since, self.end = rules, since, end
        self.files: list[str] = []
        self.notes: list[str] = []
        self.limits: dict[str, None] = {}  # that were met
        self.lines = 0
        self.visitors: dict[str, _Visitor] = {}
        self._names = {name.lower().encode() for name in rules.names}
        self._address = lru_cache(MOST_ADDRESSES)(lambda text: normal(text.decode("ascii")))

    def read(self, path: str) -> None:
        """Count the lines of a file; of a long one that is not packed, the newest."""
        with open(open_regular(path), "rb") as raw:
            file: BinaryIO = raw
            if path.endswith(".gz"):
                file = cast("BinaryIO", io.BufferedReader(cast("io.RawIOBase", gzip.GzipFile(fileobj=raw))))
            start = 0 if path.endswith(".gz") else max(0, os.fstat(raw.fileno()).st_size - MOST_BYTES)
            file.seek(start)
            self.files.append(path)
            for line in _lines(file, bool(start)):
                self.lines += 1
                self._count(line)
                if not self.lines & 4095 and time.monotonic() > self.end:
                    self.limits[_TIME] = None
                    break
            if start:
                self.limits[_TIME] = None

    def _count(self, line: bytes) -> None:
        request = _REQUEST.match(line)  # else there is none, or a user name with a quote
        if request and not (request[1].upper() == b"POST" and LOGIN.fullmatch(request[2])):
            return
        found = _LINE.match(line)
        if not found or found["agent"] == _OWN:  # an audit or an attack of this collection is no visitor
            return
        if found["front"] and self._names and found["front"].lower() not in self._names:
            return
        status, moment = found["status"], _seconds(found["date"])
        login = found["method"].upper() == b"POST" and LOGIN.fullmatch(found["target"])
        failed, good = login and status in _FAILED, login and status == b"200"
        visitor = self._visitor(found["address"]) if moment >= self.since and (failed or good) else None
        if visitor is None:
            return
        browser = hash(found["agent"])
        if browser not in visitor.browsers and len(visitor.browsers) < _MOST_BROWSERS:
            visitor.browsers.append(browser)
        if good:
            visitor.good += 1
        elif failed and not visitor.spared:
            visitor.failures.append(int(moment))

    def _visitor(self, text: bytes) -> _Visitor | None:
        address = self._address(text)
        if address and address not in self.visitors:
            if len(self.visitors) >= MOST_ADDRESSES:
                self.limits[f"More than {MOST_ADDRESSES} addresses were in it; {MOST_ADDRESSES} count here."] = None
                return None
            self.visitors[address] = _Visitor(within(address, self.rules.spared))
        return self.visitors.get(address)

    def report(self, seconds: float) -> list[str]:
        if not self.files:
            return self.notes
        read = f"Read: {_many(self.lines, 'line')} of {first_of(self.files, _SHOWN)}, in {seconds:.1f} s."
        return [*self._bans(), " ".join([read, *self.limits]), *self.notes]

    def _bans(self) -> list[str]:
        """The addresses that would have been banned; those that several people share come first."""
        rules = self.rules
        ban = f"A ban of {rules.ban_seconds} s" if rules.ban_seconds >= 0 else "A ban without an end"
        rule = f"{ban} after {rules.attempts} failed logins in {rules.find_seconds} s would have met"
        times = {address: bans(sorted(one.failures), rules) for address, one in self.visitors.items()}
        shared = {address for address, one in self.visitors.items() if one.shared and times[address]}
        met = sorted(filter(times.get, times), key=lambda each: (each not in shared, -times[each], each))
        if not met:
            return [f"{rule} no address."]
        each_one = (f"{address} {_times(times[address])} ({self.visitors[address]})" for address in met)
        addresses, total = _many(len(met), "address", "es"), _times(sum(times.values()))
        messages = [f"{rule} {addresses}, {total}: {first_of(each_one, _SHOWN, '; ')}."]
        if shared:
            messages.append(
                f"Several people log in from {first_of(sorted(shared), _SHOWN)}. "
                "If that is the gateway of your school, put it into chamilo_friends first."
            )
        return messages


@lru_cache(4096)
def _seconds(date: bytes) -> float:
    """25/Nov/2026:10:00:00 +0000 as a time."""
    known = parsedate_tz(date.decode().replace("/", " ").replace(":", " ", 1))
    return float(mktime_tz(known)) if known else 0.0


def bans(times: Sequence[int], rules: Rules) -> int:
    """How often fail2ban would have banned an address that failed at these times, which are in order."""
    count = total = 0
    first = last = 0
    at = 0
    while at < len(times):
        moment = times[at]
        at += 1
        if not count or last + rules.find_seconds <= moment:
            count, first = 1, moment
        else:
            # fail2ban keeps no list of times: what is older than its window goes on counting by its share.
            if first < moment - rules.find_seconds:
                count = round(count / float(moment - first) * rules.find_seconds)
                first = moment - rules.find_seconds
            count += 1
        last = moment
        if count >= rules.attempts:
            total, count = total + 1, 0
            # A banned client cannot fail.
            at = bisect.bisect_left(times, moment + rules.ban_seconds, at) if rules.ban_seconds >= 0 else len(times)
    return total


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _many(number: int, one: str, ending: str = "s") -> str:
    return f"{number:,} {one}{'' if number == 1 else ending}"
