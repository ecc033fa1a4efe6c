# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
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
import os
import socket
import stat
import struct
import syslog
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._common import alert, files, locks, records, services
from .._common.errors import HardeningError
from .._common.paths import open_path, shown

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
_BLOCK = 1 << 18
_DEEPEST = 100  # levels of directories; each keeps a descriptor open
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


def _reach(scanner: socket.socket) -> None:
    """Connect. The package's unit does not start without signatures, and nothing starts it once they came: we do."""
    with contextlib.suppress(OSError):
        scanner.connect(SOCKET)
        return
    code, output = services.run(["systemctl", "start", "clamav-daemon.socket", "clamav-daemon.service"], 60)
    try:
        scanner.connect(SOCKET)
    except OSError as problem:
        why = output.strip().rpartition("\n")[2] if code else "has it signatures? (systemctl status clamav-daemon)"
        raise AntivirusError(f"The virus scanner does not answer: {problem}; {why}.") from problem


def judge(handle: int) -> str:
    """The scanner's answer for an open file: the name of a virus, or nothing.

    Retried when the scanner goes down meanwhile, so that no file is skipped for that.
    """
    try:
        reported = _ask(_sent(handle)) or _ask(_sent(handle))
    except socket.timeout as problem:
        ping()
        raise NotJudged(f"no answer in {_PATIENCE:.0f} seconds") from problem
    except OSError as problem:
        raise NotJudged(str(problem)) from problem
    if not reported:
        ping()  # while it is down, nothing is skipped
        raise NotJudged("the scanner breaks off over it, each time")
    reported = reported.removeprefix("stream: ")
    if reported == "OK":
        return ""
    virus = reported[: -len(" FOUND")] if reported.endswith(" FOUND") else ""
    if virus and not virus.startswith(_PARTLY):
        return virus
    raise NotJudged(f"the scanner did not scan all of it, {virus}" if virus else reported)


def _sent(handle: int) -> Iterator[bytes]:
    """A file, as the scanner is sent one."""
    os.lseek(handle, 0, os.SEEK_SET)
    yield b"zINSTREAM\0"
    while block := os.read(handle, _BLOCK):
        yield struct.pack("!L", len(block)) + block
    yield struct.pack("!L", 0)


def _ask(parts: Iterable[bytes]) -> str:
    """What the scanner answers, or nothing where it breaks off."""
    answer = b""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as scanner:
        scanner.settimeout(_PATIENCE)
        _reach(scanner)
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the reason is read below
                for part in parts:
                    scanner.sendall(part)
            while not answer.endswith(b"\0") and (part := scanner.recv(4096)):
                answer += part
        except ConnectionError:
            return ""
    return answer[:-1].decode("utf-8", "replace") if answer.endswith(b"\0") else ""


def ping() -> None:
    """See that the scanner is there, also when there is nothing to scan."""
    try:
        answer = _ask([b"zPING\0"])
    except OSError as problem:
        raise AntivirusError(f"The virus scanner does not answer: {problem}.") from problem
    if answer != "PONG":
        raise AntivirusError(f"The virus scanner answers {answer!r} to a ping.")


def _opened(name: str, start: int) -> int:
    """A directory, open. A link on the way has to be root's or its owner's.

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
    wrong = errno.EPERM if stat.S_ISDIR(status.st_mode) else errno.ENOTDIR
    raise OSError(wrong, _STRANGE, name)


def _entries(
    path: str, handle: int, left: list[str], skipped: Sequence[str] = (), level: int = 0
) -> Iterator[tuple[str, str, int]]:
    """What is no directory below an open one: the path, the name, the open directory. ``left``: what is not searched.

    In var/ itself, where some are ``skipped``, links to directories are followed: uploads may be on another disk.
    """
    with os.scandir(handle) as entries:
        kinds = {each.name: (each.is_dir(follow_symlinks=False), each.is_symlink()) for each in entries}
    yield from ((os.path.join(path, name), name, handle) for name, (directory, _link) in kinds.items() if not directory)
    below = [name for name, (directory, link) in kinds.items() if directory or link and skipped]
    if below and level == _DEEPEST:
        left.append(f"{shown(path)}: {_TOO_DEEP}")
        return
    for name in sorted(set(below).difference(skipped), key=lambda name: kinds[name][1]):
        try:
            opened = _opened(name, handle) if kinds[name][1] else os.open(name, _DIRECTORY, dir_fd=handle)
        except (FileNotFoundError, NotADirectoryError):  # gone, or another thing since
            continue
        except OSError as problem:  # a user's own mount, or a failing disk
            left.append(f"{shown(os.path.join(path, name))}: could not be opened: {problem.strerror}")
            continue
        try:
            yield from _entries(os.path.join(path, name), opened, left, level=level + 1)
        finally:
            os.close(opened)


def scan_portal(root: str, since: float, keep: str, seen: Seen) -> None:
    """Show every file that is new to the scanner, and take away what it finds. ``seen`` is filled as things happen."""
    with contextlib.ExitStack() as opened:
        portal = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        opened.callback(os.close, portal)
        var = _opened("var", portal)
        opened.callback(os.close, var)
        for path, name, directory in _entries("var", var, seen.not_judged, _SKIPPED):
            with contextlib.suppress(FileNotFoundError):  # gone since
                _show(path, name, directory, root, since, keep, seen)


def _show(path: str, name: str, directory: int, root: str, since: float, keep: str, seen: Seen) -> None:
    info = os.stat(name, dir_fd=directory, follow_symlinks=False)
    # The time of the last change of the entry: only root can set it to an earlier time.
    if not stat.S_ISREG(info.st_mode) or info.st_ctime < since:
        return
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    except OSError:  # changed since: if it is a file again, that is new too
        return
    try:
        virus = judge(handle)
        seen.scanned += 1
        if virus:
            kept = _take_away(handle, name, directory, keep, os.path.join(root, path), virus)
            seen.found.append(f"{shown(path)}: {virus}, kept as {kept}")
    except NotJudged as problem:
        seen.not_judged.append(f"{shown(path)}: {problem}")
    finally:
        os.close(handle)


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


def scan(everything: bool = False) -> list[str]:
    """Scan what is new in each portal. Notifies the administrator; returns lines for the journal."""
    lines: list[str] = []
    problems: list[str] = []
    os.makedirs(files.STATE, 0o700, exist_ok=True)
    try:
        with locks.lock(os.path.join(files.STATE, "antivirus.lock"), "scan for viruses", 0):
            for path in sorted(glob.glob(CONFIGURATION)):
                try:
                    with open(path, encoding="utf-8") as stream:
                        _scan_site(_site(path), json.load(stream), everything, lines)
                except Exception as problem:  # a damaged configuration, a full disk: the others are scanned
                    text = str(problem) if isinstance(problem, HardeningError) else f"The scan ended with {problem!r}."
                    problems.append(f"{_site(path)}: {text} Its new files are scanned as soon as that is mended.")
    except locks.Busy:
        return ["The last scan is still going on."]
    if problems:
        _report("Uploads are not scanned for viruses", problems, problems)
        raise AntivirusError(" ".join([*lines, *problems]))
    return lines


def _scan_site(site: str, known: Mapping[str, str], everything: bool, lines: list[str]) -> None:
    """Scan one portal, report and record the findings."""
    with contextlib.suppress(FileNotFoundError):  # directories that an earlier version knew
        os.unlink(os.path.join(files.STATE, f"antivirus-{site}.json"))
    began, domain = time.time(), known["domain"]
    last = records.read(RECORD).get(site, {})
    since = 0.0 if everything else float(last.get("since") or began - _DAY)
    if since > began:  # the clock was set to an earlier time: the time of the last scan is unknown
        since = began - _DAY
    seen, unsent, problem = Seen(), list(last.get("unsent", ())), ""
    try:
        ping()
        scan_portal(known["root"], since, os.path.join(files.STATE, QUARANTINE), seen)
        since = began - _OVERLAP
    except Exception as raised:  # it goes on to the caller, and into the record of this scan
        problem = str(raised) or repr(raised)
        raise
    finally:  # what is in quarantine is reported all the same: the next scan does not find it
        text = f"{seen.scanned} new files scanned, {len(seen.found)} with a virus, {len(seen.not_judged)} not judged."
        if seen.scanned or seen.not_judged:
            lines += [f"{domain}: {text}", *seen.found, *seen.not_judged]
        unsent = _report(f"A virus was uploaded to {domain}", [*unsent, *seen.found], lines)
        _report(f"Uploads to {domain} were not judged", seen.not_judged, lines)
        records.note(RECORD, site, not problem, problem or text, since=since, unsent=unsent)


def _report(title: str, news: list[str], lines: list[str]) -> list[str]:
    """Notify; the same once a day. Returns what is to be reported again, as it did not go out."""
    more = f"\nand {len(news) - _REPORTED} more; the journal names them" if len(news) > _REPORTED else ""
    try:
        if news:
            alert.notify("uploads", title, "\n".join(news[:_REPORTED]) + more)
    except alert.AlertError as problem:
        lines.append(str(problem))
        return news[:_REPORTED]
    return []


def _site(path: str) -> str:
    return os.path.basename(path)[len("uploads-") : -len(".json")]


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
