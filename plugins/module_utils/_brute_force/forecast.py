# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""Impact preview: the clients that rules not yet active would have blocked in the last seven days, by the access log.

A log can be long, and clients control it: the bytes, seconds and addresses that are read are limited; what was left out
is reported. Bans are counted as fail2ban counts them, without fail2ban, which need not be installed yet.
"""

from __future__ import annotations

import bisect
import calendar
import glob
import gzip
import ipaddress
import os
import re
import time
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Union, cast
from urllib.parse import unquote

from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import AGENT
from ansible_collections.chamilo.hardening.plugins.module_utils._common.paths import open_regular, shown
from ansible_collections.chamilo.hardening.plugins.module_utils._common.sentences import first_of

DAYS = 7
MOST_BYTES = 512 << 20  # of log, unpacked
MOST_SECONDS = 20.0
MOST_ADDRESSES = 20_000
MOST_FAILURES = 1_000_000  # of which the time is remembered
_BLOCK = 1 << 20
_LONGEST = 1 << 16  # of a line
_FORMATS = ("", "combined", "common", "vhost_combined")
_SHOWN = 5  # addresses in a sentence
_LISTED = 100
_BROWSERS = 3  # as many behind one address are several people
_MOST_BROWSERS = 20
_GOOD = 3
_MONTHS = {name.encode(): number for number, name in enumerate(calendar.month_abbr)}

# As the filter of the role brute_force: a user name can resemble a date, but no bare quote can stand in it.
_LINE = re.compile(
    rb'(?:(?P<front>[^\s:"]+):\d+ )?(?P<address>[0-9A-Fa-f:.]{1,45}) \S+ (?:[^"\\]|\\.)*'
    rb'\[(?P<date>\d\d/\w\w\w/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] "(?P<method>[A-Za-z]+) +(?P<target>\S+) +HTTP/[\d.]+" '
    rb'(?P<status>\d\d\d)\b(?:[^"]*"(?:[^"\\]|\\.)*" "(?P<agent>(?:[^"\\]|\\.)*)")?'
)
_REQUEST = re.compile(rb'[^"\\]*"([A-Za-z]+) +([^ ?"]*)')  # of a usual line, quickly
_DATE = re.compile(rb"\[(\d\d/\w\w\w/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\]")
_LOGINS = ("login_json", "login/ldap/check", "oauth/token", "oauth/register", "api/authentication_token")


def _spelled(*texts: str) -> str:
    """Each letter as it is, or escaped."""
    return "|".join("".join(f"(?:{re.escape(one)}|%(?i:{ord(one):02x}))" for one in text) for text in texts)


LOGIN = re.compile(
    (
        r"(?:[A-Za-z][A-Za-z0-9+.-]*://[^/]*)?/"
        rf"(?:(?:[^?#%]{{0,200}}\.php/|index\.php)?(?:{'|'.join(_LOGINS)})"
        rf"|(?=[^?#%]{{0,240}}%)(?:[^?#]{{0,200}}{_spelled('.php/')}|{_spelled('index.php')})?"
        rf"(?:{_spelled(*_LOGINS)}))(?:[?#].*)?"
    ).encode()
)
_FAILED = (b"401", b"403", b"429")
# What the web server will refuse, by the control that asks for it. Of the path without escapes, in lower case.
REFUSED = {
    "updates_installer": (
        r"/(?:main/install|check\.php|main/inc/lib/javascript/bigupload|main/webservices/additional_webservices\.php"
        r"|main/admin/sub_language_ajax\.inc\.php|plugin/vchamilo|plugin/pens/pens\.php)(?:/|$)"
    ),
    "permissions_docroot": (
        r".*/\.(?!well-known(?:/|$))|/documentation(?:/|$)"
        r"|/(?:main|plugin)/.*(?:\.(?:tpl|twig|sql|ya?ml|neon|dist|md|inc|lock)|/composer\.[^/]*)(?:/|$)"
        r"|.*(?:\.(?:sql(?:\.\w+)?|dump|bak|old|orig|save|swp|swo|rej)|~|/(?:composer|package(?:-lock)?)\.(?:json|lock))$"
    ),
    "uploads_no_exec": (
        r"(?!/(?:(?:main|plugin|certificates)/.+|[^/]+)\.php(?:/|$)).*\.(?:ph(?:p\d*|tml|ar|t|ps)|inc)(?:[./]|$)"
    ),
}
BANS = "brute_force_fail2ban"
_MOST_PATHS = 50_000  # judged once, and remembered by their hash: they can be long

_OWN = AGENT.encode()
_Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


@dataclass(frozen=True)
class Rules:
    """What would be active. ``missing``: the controls that are not yet."""

    missing: frozenset[str]
    attempts: int = 5
    find_seconds: int = 900
    ban_seconds: int = 900
    spared: tuple[str, ...] = ()  # networks that are never banned
    names: tuple[str, ...] = ()  # of the portal, where several share a log


@dataclass(frozen=True)
class Log:
    file: str
    form: str = ""  # of its lines, as the web server calls it


@dataclass
class Visitor:
    """An address, and what it did. There can be thousands of them, so they are kept small."""

    failures: array[int] = field(default_factory=lambda: array("q"))  # their times, as many as can matter
    failed: int = 0
    good: int = 0
    browsers: array[int] = field(default_factory=lambda: array("q"))
    refused: dict[str, int] = field(default_factory=dict)
    bans: int = 0

    def came_with(self, browsers: Iterable[int]) -> None:
        self.browsers.extend(one for one in browsers if one not in self.browsers)
        del self.browsers[_MOST_BROWSERS:]


@dataclass(frozen=True)
class _Part:
    path: str
    start: int
    size: int
    packed: bool


@dataclass
class _Reading:
    """What was read, and what was not."""

    files: list[str] = field(default_factory=list)
    lines: int = 0
    first: float = 0.0
    last: float = 0.0
    notes: list[str] = field(default_factory=list)
    whole: bool = True
    crowded: bool = False
    failures: int = 0
    examples: dict[str, str] = field(default_factory=dict)


def forecast(
    logs: Sequence[Log],
    rules: Rules,
    now: float,
    most_bytes: int = MOST_BYTES,
    most_seconds: float = MOST_SECONDS,
) -> dict[str, Any]:
    """Returns sentences for the report, and the same as numbers."""
    if not rules.missing & {BANS, *REFUSED}:
        return {}
    began = time.monotonic()
    reading = _Reading()
    known = [log for log in logs if log.form in _FORMATS]
    reading.notes += [
        f"{log.file} is written in the form {log.form}, which is not understood."
        for log in logs
        if log.form not in _FORMATS
    ]
    parts = _parts(known, now, most_bytes, reading)
    visitors: dict[bytes, Visitor] = {}
    spared = [network for text in rules.spared for network in _network(text)]
    observer = _Accounting(rules, spared, now - DAYS * 86400, visitors, reading)
    for part in parts:
        if not _read(part, observer, reading, began + most_seconds):
            break
    people = _people(visitors)
    for visitor in people.values():
        visitor.bans = bans(sorted(visitor.failures), rules) if BANS in rules.missing else 0
    return _report(rules, reading, people, time.monotonic() - began)


# ------------------------------------------------------------------------------------------------- what is read


def _parts(logs: Sequence[Log], now: float, most: int, reading: _Reading) -> list[_Part]:
    """The newest pieces of all logs that fit, oldest first."""
    if not logs:
        reading.notes.append("No access log of the portal is known, so blocked clients cannot be counted.")
        return []
    found: list[tuple[float, str]] = []
    for path in dict.fromkeys(log.file for log in logs):
        siblings = [
            one
            for one in glob.glob(f"{glob.escape(path)}[.-]*")
            if re.fullmatch(r"[.-]\d+(?:\.\w+)?", one[len(path) :])
        ]
        for one in (path, *siblings):
            try:
                status = os.stat(one)
            except FileNotFoundError:
                continue
            except OSError as problem:
                reading.notes.append(f"{one} cannot be read: {problem.strerror}.")
                continue
            if status.st_mtime >= now - DAYS * 86400 and status.st_size:
                found.append((status.st_mtime, one))
    if not found and not reading.notes:
        reading.notes.append(f"There is no access log of the last {DAYS} days: {', '.join(log.file for log in logs)}.")
    parts: list[_Part] = []
    for _when, path in sorted(found, reverse=True):
        packed = path.endswith(".gz")
        if not packed and path.endswith((".xz", ".bz2", ".zst", ".lz4")):
            reading.notes.append(f"{path} is packed in a way that is not read here.")
            continue
        try:
            with _open(path) as file:
                size = _unpacked(file) if packed else os.fstat(file.fileno()).st_size
        except OSError as problem:
            reading.notes.append(f"{path} cannot be read: {problem.strerror or problem}.")
            continue
        if packed and size > most:
            reading.notes.append(f"{path} is too long to be read as well.")
            continue
        if not most:
            reading.whole = False
            break
        parts.append(_Part(path, max(0, size - most), size, packed))
        reading.whole = reading.whole and size <= most
        most = max(0, most - size)
    return parts[::-1]


def _open(path: str) -> BinaryIO:
    """A regular file, not behind a link that the web user could have laid. Never waits for a pipe."""
    return open(open_regular(path), "rb")


def _unpacked(file: BinaryIO) -> int:
    """The unpacked size, from the last bytes of a packed file. It limits how much is read."""
    file.seek(-4, os.SEEK_END)
    return int.from_bytes(file.read(4), "little")


def _read(part: _Part, observer: _Accounting, reading: _Reading, end: float) -> bool:
    """All lines of a piece. False when the time is over."""
    try:
        with _open(part.path) as raw:
            file = cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if part.packed else raw
            if part.start:
                file.seek(part.start)
            reading.files.append(part.path)
            for lines in _blocks(file, part.size - part.start, bool(part.start)):
                observer.at(lines)
                if time.monotonic() > end:
                    reading.whole = False
                    return False
    except (OSError, EOFError, gzip.zlib.error) as problem:  # type: ignore[attr-defined]  # zlib, as gzip raises it
        reading.notes.append(f"{part.path} cannot be read to its end: {getattr(problem, 'strerror', '') or problem}.")
    return True


def _blocks(file: BinaryIO, size: int, torn: bool) -> Iterator[list[bytes]]:
    """Lines, some thousands at a time. A line too long to be one is left out; so is one that is still being written."""
    rest, left = b"", size
    while left > 0:
        block = file.read(min(_BLOCK, left))
        if not block:
            return
        left -= len(block)
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        if torn and lines:
            del lines[0]
            torn = False
        if len(rest) > _LONGEST:
            rest, torn = b"", True
        yield lines


class _Accounting:
    """Reads lines and collects the events of each address."""

    def __init__(
        self, rules: Rules, spared: Sequence[_Network], since: float, visitors: dict[bytes, Visitor], reading: _Reading
    ) -> None:
        self.rules = rules
        self.spared = spared
        self.since = since
        self.visitors = visitors
        self.reading = reading
        self.bans = BANS in rules.missing
        self.refused = {name: re.compile(pattern) for name, pattern in REFUSED.items() if name in rules.missing}
        self.judged: dict[int, str] = {}
        self.names = {name.lower().encode() for name in rules.names}
        self.friends: dict[bytes, bool] = {}

    def at(self, lines: Sequence[bytes]) -> None:
        reading, request, judged = self.reading, _REQUEST.match, self.judged
        reading.lines += len(lines)
        for line in lines:
            if len(line) > _LONGEST:
                continue
            asked = request(line)
            if asked is None:  # no request at all, or a user name with a quote
                self._one(line)
                continue
            method, path = asked.groups()
            known = hash(path)
            refused = judged.get(known)
            if refused is None:
                if len(judged) >= _MOST_PATHS:
                    judged.clear()
                refused = judged[known] = self._refuses(path)
            if refused or (method.upper() == b"POST" and LOGIN.fullmatch(path)):
                self._one(line)
        if lines:
            reading.first = reading.first or max(_when(lines[0]), 0.0)
            reading.last = _when(lines[-1]) or reading.last

    def _one(self, line: bytes) -> None:
        found = _LINE.match(line, 0, _LONGEST)
        if not found or (found["front"] and self.names and found["front"].lower() not in self.names):
            return
        if found["agent"] == _OWN:
            return  # an audit or an attack of this collection is no visitor
        target, status = found["target"], found["status"]
        login = self.bans and found["method"].upper() == b"POST" and LOGIN.fullmatch(target)
        control = "" if status >= b"400" else self._refuses(target)
        if not control and not (login and (status in _FAILED or status == b"200")):
            return
        moment = _seconds(found["date"])
        if moment < self.since:
            return
        visitor = self._visitor(found["address"])
        if visitor is None:
            return
        visitor.came_with([hash(found["agent"])])
        if control:
            visitor.refused[control] = visitor.refused.get(control, 0) + 1
            self.reading.examples.setdefault(control, shown(target[:80].decode("utf-8", "replace")))
        if login and status in _FAILED and not self._spared(found["address"]):
            visitor.failed += 1
            self._remember(visitor, int(moment))
        elif login and status == b"200":
            visitor.good += 1

    def _refuses(self, target: bytes) -> str:
        if not self.refused:
            return ""
        path = re.sub("^https?://[^/]*", "", unquote(target.partition(b"?")[0].decode("utf-8", "replace")).lower())
        return next((name for name, pattern in self.refused.items() if pattern.match(path)), "")

    def _remember(self, visitor: Visitor, moment: int) -> None:
        enough = self.rules.attempts
        if self.rules.ban_seconds and visitor.failures[-enough:].count(moment) == enough:
            return  # banned within this second, whatever came before
        if self.reading.failures < MOST_FAILURES:
            visitor.failures.append(moment)
        self.reading.failures += 1

    def _visitor(self, address: bytes) -> Visitor | None:
        visitor = self.visitors.get(address)
        if visitor is None and len(self.visitors) < MOST_ADDRESSES:
            visitor = self.visitors[address] = Visitor()
        self.reading.crowded = self.reading.crowded or visitor is None
        return visitor

    def _spared(self, address: bytes) -> bool:
        if address not in self.friends:
            one = _address(address)
            self.friends[address] = one is None or any(one in network for network in self.spared)
        return self.friends[address]


def _address(text: bytes) -> Any:
    try:
        address = ipaddress.ip_address(text.decode("ascii"))
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _network(text: str) -> list[_Network]:
    try:
        return [ipaddress.ip_network(text, strict=False)]
    except ValueError:
        return []


def _people(visitors: dict[bytes, Visitor]) -> dict[str, Visitor]:
    """By address; one that is written in two ways is one."""
    people: dict[str, Visitor] = {}
    for text, visitor in visitors.items():
        address = _address(text)
        if address is None:
            continue
        other = people.setdefault(str(address), visitor)
        if other is not visitor:
            other.failures.extend(visitor.failures)
            other.failed += visitor.failed
            other.good += visitor.good
            other.came_with(visitor.browsers)
            for control, count in visitor.refused.items():
                other.refused[control] = other.refused.get(control, 0) + count
    return people


def _seconds(date: bytes) -> float:
    """25/Nov/2026:10:00:00 +0000 as a time."""
    day, month, year = int(date[:2]), _MONTHS.get(date[3:6], 0), int(date[7:11])
    if not month:
        return 0.0
    hour, minute, second = int(date[12:14]), int(date[15:17]), int(date[18:20])
    offset = (int(date[22:24]) * 60 + int(date[24:26])) * 60
    moment = calendar.timegm((year, month, day, hour, minute, second))
    return float(moment + offset if date[21:22] == b"-" else moment - offset)


def _when(line: bytes) -> float:
    found = _DATE.search(line, 0, _LONGEST)
    return _seconds(found[1]) if found else 0.0


# -------------------------------------------------------------------------------------------------- what it means


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


def _gateway(address: str, visitor: Visitor) -> bool:
    """Whether several people seem to share the address: many browsers, and good logins or a private network."""
    return len(visitor.browsers) >= _BROWSERS and (visitor.good >= _GOOD or ipaddress.ip_address(address).is_private)


def _report(rules: Rules, reading: _Reading, people: dict[str, Visitor], seconds: float) -> dict[str, Any]:
    messages: list[str] = []
    shut_out = sorted(
        ((address, one) for address, one in people.items() if one.bans),
        key=lambda met: (not _gateway(*met), -met[1].bans, met[0]),
    )
    if BANS in rules.missing and reading.files:
        ban = f"A ban of {rules.ban_seconds} s" if rules.ban_seconds >= 0 else "A ban without an end"
        rule = f"{ban} after {rules.attempts} failed logins in {rules.find_seconds} s"
        if shut_out:
            listed = first_of((_one_banned(*met) for met in shut_out), _SHOWN, "; ")
            messages.append(
                f"{rule} would have met {_many(len(shut_out), 'address', 'addresses')}, "
                f"{_times(sum(one.bans for _address, one in shut_out))}: {listed}."
            )
        else:
            messages.append(f"{rule} would have met no address.")
        gateways = [address for address, one in shut_out if _gateway(address, one)]
        if gateways:
            messages.append(
                f"Several people share {', '.join(gateways[:_SHOWN])}: likely the gateway of a school. If it is yours, "
                "put it into chamilo_friends first."
            )
    refused = []
    for control in REFUSED:
        met = {address: one.refused[control] for address, one in people.items() if control in one.refused}
        if control not in rules.missing or not met:
            continue
        top = sorted(met, key=lambda address: (-met[address], address))
        refused.append({"control": control, "requests": sum(met.values()), "addresses": len(met), "most": top[:_SHOWN]})
        messages.append(
            f"{_many(sum(met.values()), 'request', 'requests')} of {_many(len(met), 'address', 'addresses')} would "
            f"have been refused by {control}, such as {reading.examples[control]}: {', '.join(top[:_SHOWN])}"
            f"{' and more' if len(met) > _SHOWN else ''}."
        )
    if any(control in rules.missing for control in REFUSED) and reading.files and not refused:
        messages.append("No request that was answered would have been refused.")
    if reading.files:
        messages.append(_read_what(reading, seconds))
    messages += reading.notes
    return {
        "said": messages,
        "shut_out": [
            {
                "address": address,
                "times": one.bans,
                "failed": one.failed,
                "good": one.good,
                "browsers": len(one.browsers),
                "gateway": _gateway(address, one),
            }
            for address, one in shut_out[:_LISTED]
        ],
        "refused": refused,
        "lines": reading.lines,
        "whole": reading.whole and not reading.crowded and reading.failures <= MOST_FAILURES and not reading.notes,
    }


def _one_banned(address: str, one: Visitor) -> str:
    number = len(one.browsers)
    browsers = f"{number} or more browsers" if number >= _MOST_BROWSERS else _many(number, "browser", "browsers")
    return f"{address} {_times(one.bans)} ({one.failed} failed and {one.good} good logins, {browsers})"


def _read_what(reading: _Reading, seconds: float) -> str:
    days = [time.strftime("%d %b %H:%M", time.gmtime(moment)) for moment in (reading.first, reading.last) if moment]
    text = (
        f"Read: {_many(reading.lines, 'line', 'lines')} of {', '.join(reading.files[::-1][:_SHOWN])}"
        f"{' and older ones' if len(reading.files) > _SHOWN else ''}"
        f"{', ' + ' to '.join(days) + ' UTC' if days else ''}, in {seconds:.1f} s."
    )
    if not reading.whole:
        text += " There is more, which would have taken too long."
    if reading.crowded:
        text += f" More than {MOST_ADDRESSES} addresses were in it; only the first ones count here."
    if reading.failures > MOST_FAILURES:
        text += f" More than {MOST_FAILURES} logins failed; only the first ones count here."
    return text


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _many(number: int, one: str, several: str) -> str:
    return f"{number:,} {one if number == 1 else several}"
