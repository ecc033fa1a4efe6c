# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""Sends new uploads to ClamAV and quarantines infected files. An upload never waits for it.

The web user owns the directories and may change them meanwhile: each file is opened once, without following links, and
the bytes that were read are judged and kept. While the scanner is down nothing is skipped: the next scan begins where
the last successful one did.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import glob
import json
import math
import os
import socket
import stat
import struct
import syslog
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.chamilo.hardening.plugins.module_utils._common import alert, files, locks, records, services
from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._common.paths import open_path

CONFIGURATION = "/etc/chamilo-hardening/uploads-*.json"
RECORD = "antivirus.json"
QUARANTINE = "quarantine"  # below the state
SOCKET = "/run/clamav/clamd.ctl"
_SKIPPED = ("cache", "log")  # below var/
LATE_HOURS = 2  # a scan begins every two minutes
_OVERLAP = 10.0  # seconds that the last scan and this one have in common
_DAY = 86400.0  # seconds before the first scan whose uploads it covers
_PATIENCE = 180.0  # seconds for one answer of the scanner, which gives a file two minutes
_PARTLY = "Heuristics.Limits.Exceeded"  # its name for archives larger than its limits
_REPORTED = 20  # files that one alert names
_HOUR = 3600.0  # between two alerts of a kind
_REMEMBERED = 1000  # files that are not reported again
_BLOCK = 1 << 18
_DEEPEST = 100  # levels of directories; each keeps a descriptor open
_PLACES = 200_000  # directories that are known from the last scan
_NAME = 300  # characters of a path that are shown
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_TOO_DEEP = f"more than {_DEEPEST} nested directories, not scanned; remove them, or move them further up"
_STRANGE = "a link to a directory of another user, which is not followed; if it is right: chown -h root"


class AntivirusError(HardeningError):
    """Uploads could not be scanned; the message states why."""


class NotJudged(HardeningError):
    """The scanner does not judge this file: it is too large for it, outside or inside, or it stumbles over it."""


@dataclass
class Seen:
    """What came of one portal's files."""

    scanned: int = 0
    found: list[str] = field(default_factory=list)
    not_judged: list[str] = field(default_factory=list)


def _reach(scanner: socket.socket, address: str) -> None:
    """Connect. The package's unit does not start without signatures, and nothing starts it once they came: we do."""
    try:
        scanner.connect(address or SOCKET)
        return
    except OSError as problem:
        if address:
            raise AntivirusError(f"The virus scanner does not answer: {problem}.") from problem
    code, output = services.run(["systemctl", "start", "clamav-daemon.socket", "clamav-daemon.service"], 60)
    try:
        scanner.connect(SOCKET)
    except OSError as problem:
        why = output.strip().rpartition("\n")[2] if code else "has it signatures? (systemctl status clamav-daemon)"
        raise AntivirusError(f"The virus scanner does not answer: {problem}; {why}.") from problem


def judge(handle: int, address: str = "") -> str:
    """The scanner's answer for an open file: the name of a virus, or nothing.

    Retried when the scanner goes down meanwhile, so that no file is skipped for that.
    """
    reported = _ask(handle, address) or _ask(handle, address)
    if not reported:
        ping(address)  # while it is down, nothing is skipped
        raise NotJudged("the scanner breaks off over it, each time")
    if reported == "OK":
        return ""
    virus = reported[: -len(" FOUND")] if reported.endswith(" FOUND") else ""
    if virus and not virus.startswith(_PARTLY):
        return virus
    raise NotJudged(f"the scanner did not scan all of it, {virus}" if virus else reported)


def _ask(handle: int, address: str) -> str:
    """Show a file to the scanner; what it answers, or nothing where it breaks off."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as scanner:
        scanner.settimeout(_PATIENCE)
        _reach(scanner, address)
        answer = b""
        try:
            os.lseek(handle, 0, os.SEEK_SET)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the reason is read below
                scanner.sendall(b"zINSTREAM\0")
                while block := os.read(handle, _BLOCK):
                    scanner.sendall(struct.pack("!L", len(block)) + block)
                scanner.sendall(struct.pack("!L", 0))
            while not answer.endswith(b"\0") and (part := scanner.recv(4096)):
                answer += part
        except ConnectionError:
            return ""
        except socket.timeout as problem:
            ping(address)
            raise NotJudged(f"no answer in {_PATIENCE:.0f} seconds") from problem
        except OSError as problem:
            raise NotJudged(str(problem)) from problem
    return answer[:-1].decode("utf-8", "replace").removeprefix("stream: ") if answer.endswith(b"\0") else ""


def ping(address: str = "") -> None:
    """See that the scanner is there, also when there is nothing to scan."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as scanner:
        scanner.settimeout(_PATIENCE)
        _reach(scanner, address)
        try:
            scanner.sendall(b"zPING\0")
            answer = scanner.recv(64)
        except OSError as problem:
            raise AntivirusError(f"The virus scanner does not answer: {problem}.") from problem
    if answer != b"PONG\0":
        raise AntivirusError(f"The virus scanner answers {answer!r} to a ping.")


def _tops(root: str, left: list[tuple[str, str]]) -> Iterator[int]:
    """var/ and the targets of links in it, open: uploads may be on another disk. ``left``: not followed."""
    path = os.path.join(root, "var")
    portal = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        top = _led("var", portal)
    finally:
        os.close(portal)
    if top is None:
        raise AntivirusError(f"{path} is a link to another user's directory, and not followed: chown -h root {path}.")
    var = os.dup(top)
    try:
        yield top
        with os.scandir(var) as entries:
            links = sorted(entry.name for entry in entries if entry.is_symlink() and entry.name not in _SKIPPED)
        for name in links:
            with contextlib.suppress(OSError):  # it leads nowhere, or was gone meanwhile
                directory = _led(name, var)
                if directory is None:
                    left.append((os.path.join(path, name), _STRANGE))
                else:
                    yield directory
    finally:
        os.close(var)


def _led(name: str, start: int) -> int | None:
    """The target directory of a name, open; None where a link on the way belongs neither to root nor to its owner.

    The opened directory is judged: the owner of a link can change its target at any time.
    """
    owners: set[int] = set()

    def noted(_part: str, _target: str, link: os.stat_result, _directory: os.stat_result) -> str:
        owners.add(link.st_uid)
        return ""

    handle, _linked = open_path(name, noted, start)
    status = os.fstat(handle)
    if stat.S_ISDIR(status.st_mode) and owners <= {0, status.st_uid}:
        return handle
    os.close(handle)
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name)
    return None


class Places:
    """Where the scanned directories were, by number. Files in one that was moved here keep their old time.

    So a directory is scanned whole if it was not in this place in the last scan, and else only for what is new in it.
    Files it got while it was elsewhere are new, unless a scan missed it: then it is no longer known.
    """

    def __init__(self, since: float, known: Collection[str] | None = ()) -> None:
        """``known``: from the last scan; None before the first one, to which nothing was moved."""
        self.since = since
        self.known = None if known is None else frozenset(known)
        self._seen: set[str] = set()

    def begins(self, place: str, changed: float, above: float) -> float:
        """The time from which on files in the directory in this place are new; ``above``: in its parent."""
        if len(self._seen) < _PLACES:  # parents come first, so the upper ones are kept
            self._seen.add(place)
        if self.known is None or place in self.known:
            return self.since
        # Where some were forgotten, it was moved here only if that changed its time, or that of one above it.
        moved = len(self.known) < _PLACES or changed >= self.since
        return 0.0 if moved else above

    def seen(self) -> list[str]:
        """For the next scan."""
        return sorted(self._seen)


class _Directory:
    """An open directory on the way down; it closes the handle."""

    since: float

    def __init__(self, handle: int, path: str, above: _Directory | None, places: Places) -> None:
        self.handle = handle
        self.path = path
        self.files: list[str] = []
        self.directories: list[str] = []
        try:
            info = os.fstat(self.handle)
            with os.scandir(self.handle) as entries:
                for entry in entries:
                    (self.directories if entry.is_dir(follow_symlinks=False) else self.files).append(entry.name)
        except BaseException:
            os.close(self.handle)
            raise
        self.number = info.st_ino
        if above:
            place = f"{info.st_dev} {above.number} {info.st_ino}"
            self.since = places.begins(place, info.st_ctime, above.since)
        else:  # the time of the directory does not show that a link leads to it since
            self.since = places.begins(f"{info.st_ino} {path}", math.inf, places.since)

    def new(self) -> Iterator[tuple[str, str, int]]:
        for name in self.files:
            with contextlib.suppress(FileNotFoundError):
                info = os.stat(name, dir_fd=self.handle, follow_symlinks=False)
                # The time of the last change of the entry: only root can set it to an earlier time.
                if stat.S_ISREG(info.st_mode) and info.st_ctime >= self.since:
                    yield os.path.join(self.path, name), name, self.handle


def _new(tops: Iterable[int], places: Places, left: list[tuple[str, str]]) -> Iterator[tuple[str, str, int]]:
    """New files below open directories: the path, the name, the open directory. The first directory is var/.

    Directories that were not scanned go into ``left``, with the reason.
    """
    for number, top in enumerate(tops):
        way: list[_Directory] = []  # no recursion: the web user decides how deep it goes
        try:
            way.append(_Directory(top, os.readlink(f"/proc/self/fd/{top}"), None, places))
            if not number:
                way[0].directories = [name for name in way[0].directories if name not in _SKIPPED]
            yield from way[0].new()
            while way:
                here = way[-1]
                if here.directories and len(way) == _DEEPEST:
                    left.append((here.path, _TOO_DEEP))
                    here.directories = []
                if not here.directories:
                    os.close(way.pop().handle)
                    continue
                name = here.directories.pop()
                path = os.path.join(here.path, name)
                try:
                    way.append(_Directory(os.open(name, _DIRECTORY, dir_fd=here.handle), path, here, places))
                except (FileNotFoundError, NotADirectoryError):
                    continue
                except OSError as problem:  # a user's own mount, or a failing disk; once it opens, it is scanned whole
                    left.append((path, f"could not be opened: {problem.strerror}"))
                    continue
                yield from way[-1].new()
        finally:
            for directory in way:
                os.close(directory.handle)


def _shown(path: str, root: str) -> str:
    text = ascii(os.path.relpath(path, root))[1:-1]
    return text if len(text) <= _NAME else f"{text[: _NAME // 2]}...{text[-_NAME // 2 :]}"


def scan_portal(
    root: str, since: float, keep: str, address: str = "", seen: Seen | None = None, places: Places | None = None
) -> Seen:
    """Show every file that is new to the scanner, and take away what it finds. ``seen`` is filled as things happen."""
    seen = seen or Seen()
    left: list[tuple[str, str]] = []
    for path, name, directory in _new(_tops(root, left), places or Places(since), left):
        shown = _shown(path, root)
        try:
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
        except OSError:  # gone or changed since: if it is a file again, that is new too
            continue
        try:
            virus = judge(handle, address)
            seen.scanned += 1
            if virus:
                seen.found.append(f"{shown}: {virus}, kept as {_take_away(handle, name, directory, keep, path, virus)}")
        except NotJudged as problem:
            seen.not_judged.append(f"{shown}: {problem}")
        finally:
            os.close(handle)
    seen.not_judged += [f"{_shown(path, root)}: {why}" for path, why in left]
    return seen


def _take_away(handle: int, name: str, directory: int, keep: str, path: str, virus: str) -> str:
    """Copy what was judged to where only root reads it, and remove it where it lay, if it still lies there."""
    os.makedirs(keep, 0o700, exist_ok=True)
    info = os.fstat(handle)
    kept = os.path.join(keep, f"{time.strftime('%Y%m%dT%H%M%S')}-{info.st_ino}")
    judged = os.lseek(handle, 0, os.SEEK_CUR)  # since then it may have grown without end
    try:
        with open(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as copy:
            os.lseek(handle, 0, os.SEEK_SET)
            while block := os.read(handle, min(_BLOCK, judged - copy.tell())):
                copy.write(block)
    except OSError:  # a full disk is not filled further by each scan
        with contextlib.suppress(FileNotFoundError):
            os.unlink(kept)
        raise
    files.replace_file(f"{kept}.json", json.dumps({"path": path, "virus": virus, "owner": info.st_uid}) + "\n")
    with contextlib.suppress(FileNotFoundError):
        now = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if (now.st_dev, now.st_ino) == (info.st_dev, info.st_ino):
            os.unlink(name, dir_fd=directory)
    return kept


def scan(everything: bool = False, address: str = "") -> list[str]:
    """Scan what is new in each portal. Notifies the administrator; returns lines for the journal."""
    lines: list[str] = []
    problems: list[str] = []
    unheard: list[str] = []
    os.makedirs(files.STATE, 0o700, exist_ok=True)
    # Its time is the beginning of the running scan.
    lock = os.path.join(files.STATE, "antivirus.lock")
    with contextlib.ExitStack() as held:
        try:
            handle = held.enter_context(locks.lock(lock, "scan for viruses", 0))
        except locks.Busy:
            return [_still(os.stat(lock).st_mtime)]
        os.utime(handle)
        for path in sorted(glob.glob(CONFIGURATION)):
            try:
                problem = _scan_site(path, everything, address, lines, unheard)
            except Exception as raised:  # a damaged configuration, a full disk: the others are scanned all the same
                problem = f"The scan by {path} ended with {raised!r}."
            if problem:
                problems.append(problem)
    if problems:
        try:
            alert.notify("uploads", "Uploads are not scanned for viruses", "\n".join(problems))
        except alert.AlertError as problem:
            unheard.append(str(problem))
    if problems or unheard:
        raise AntivirusError(" ".join([*lines, *problems, *unheard]))
    return lines


def _scan_site(path: str, everything: bool, address: str, lines: list[str], unheard: list[str]) -> str:
    """Scan one portal, report and record the findings. Returns why it was not completed."""
    with open(path, encoding="utf-8") as stream:
        known: dict[str, Any] = json.load(stream)
    site, began = _site(path), time.time()
    last = records.read(RECORD).get(site, {})
    known_before = last.get("told") or {}  # which files are not judged, and when that was reported
    since = 0.0 if everything else float(last.get("since") or began - _DAY)
    if since > began:  # the clock was set to an earlier time: the time of the last scan is unknown
        since = began - _DAY
    remembered = f"antivirus-{site}.json"
    places = Places(since, records.read(remembered).get("places"))
    seen, problem = Seen(), ""
    try:
        ping(address)
        scan_portal(known["root"], since, os.path.join(files.STATE, QUARANTINE), address, seen, places)
        now = places.seen()
        if places.known != frozenset(now):  # before the time is written down from which on files are new
            text = json.dumps({"places": now}) + "\n"
            files.replace_file(os.path.join(files.STATE, remembered), text)
    except (AntivirusError, OSError) as raised:
        problem = f"{raised} New files of {known['domain']} are scanned as soon as it does."
    except Exception as raised:  # any failure is reported
        problem = f"The scan of {known['domain']} ended with {raised!r}. Its new files wait until that is mended."
    text = f"{seen.scanned} new files scanned, {len(seen.found)} with a virus, {len(seen.not_judged)} not judged."
    if problem:  # quarantined files are reported all the same: the next scan does not find them
        news, reported = [], known_before
        lines += seen.found
    else:
        # What every scan finds again (a link, for instance) is reported once a day.
        news = [one for one in seen.not_judged if not 0 <= began - known_before.get(one, -_DAY) < _DAY]
        reported = {**{one: known_before.get(one) for one in seen.not_judged}, **dict.fromkeys(news, began)}
        since = began - _OVERLAP
        if seen.scanned or seen.not_judged:
            lines += [f"{known['domain']}: {text}", *seen.found, *seen.not_judged]
    outbox = last.get("outbox") or {}
    _post(outbox, f"A virus was uploaded to {known['domain']}", seen.found, began, unheard)
    _post(outbox, f"Uploads to {known['domain']} were not judged", news, began, unheard)
    reported = dict(list(reported.items())[:_REMEMBERED])
    records.note(RECORD, site, not problem, problem or text, since=since, told=reported, outbox=outbox)
    return problem


def _site(path: str) -> str:
    return os.path.basename(path)[len("uploads-") : -len(".json")]


def _still(began: float) -> str:
    """The message about a scan that another one waits for. Any user can upload files that take long to scan."""
    hours = (time.time() - began) / 3600
    if hours > LATE_HOURS:
        words = (
            f"The scan that began {hours:.0f} hours ago is still going on, and what was uploaded since waits for it. "
            "If it is no first scan of many files: ls -l /proc/$(pgrep -nf 'chamilo-hardening scan')/fd shows at which "
            "file it is."
        )
        try:
            alert.notify("uploads", "The scan for viruses does not come to its end", words)
        except alert.AlertError as problem:
            raise AntivirusError(f"{words} {problem}") from problem
        return words
    return "The last scan is still going on."


def late() -> list[str]:
    """A step of the daily work: a scan that did not start, or is not completed, cannot report that itself."""
    lines = []
    paths = sorted(glob.glob(CONFIGURATION))
    known = records.read(RECORD)
    for path in paths:
        last = known.get(_site(path), {}).get("at")
        age = (time.time() - float(last or os.stat(path).st_mtime)) / 3600
        if not -1 < age <= LATE_HOURS:
            since = f"for {age:.0f} hours" if age > 0 else "that is known: the last one is of a time to come"
            lines.append(
                f"There was no scan of the uploads of {_site(path)} {since}. "
                "See: /etc/cron.d/chamilo-hardening-scan, and chamilo-hardening scan"
            )
    if lines:
        alert.notify("uploads", "The scan for viruses is late", "\n".join(lines))
    return lines or (["Uploads are scanned in time."] if paths else [])


def _post(outbox: dict[str, Any], title: str, news: list[str], now: float, unheard: list[str]) -> None:
    """Notify at once, then hourly at most: any student can cause any number of findings.

    Undelivered findings stay in the outbox.
    """
    box = outbox.setdefault(title, {"sent": 0.0, "lines": [], "more": 0})
    room = max(_REPORTED - len(box["lines"]), 0)
    box["lines"] += news[:room]
    box["more"] += len(news[room:])
    if not box["lines"] or 0 <= now - box["sent"] < _HOUR:
        return
    more = f"\nand {box['more']} more; the journal names them" if box["more"] else ""
    try:
        alert.notify("uploads", title, "\n".join(box["lines"]) + more, again=True)
    except alert.AlertError as problem:
        unheard.append(str(problem))
    else:
        outbox[title] = {"sent": now, "lines": [], "more": 0}


def add(commands: Any, report: Callable[..., None]) -> None:
    """The command of the host program."""

    def run(options: argparse.Namespace, _engine: object) -> int:
        lines = scan(options.all)
        if not glob.glob(CONFIGURATION):
            report("No portal of this host is scanned: chamilo_uploads_antivirus is not set.", syslog.LOG_ERR)
            return 1
        for line in lines:
            report(line)
        return 0

    text = "Scan new uploads with ClamAV, quarantine what it finds, and notify the administrator. cron calls this."
    command = commands.add_parser("scan", help="scan new uploads for viruses now", description=text)
    command.add_argument("--all", action="store_true", help="every upload, not only new ones")
    command.set_defaults(run=run)
