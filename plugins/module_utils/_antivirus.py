# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""Shows new uploads to ClamAV and takes away what it finds. An upload never waits for it.

The web user owns the folders and may change them meanwhile: each file is opened once, without following links, and what
was read is what is judged and kept. While the scanner is down nothing is skipped: the next scan begins where the last
good one did.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import glob
import json
import os
import socket
import stat
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.chamilo.hardening.plugins.module_utils import _alert, _machine, _records, _state

CONFIGURATION = "/etc/chamilo-hardening/uploads-*.json"
RECORD = "antivirus.json"
QUARANTINE = "quarantine"  # below the state
SOCKET = "/run/clamav/clamd.ctl"
_SKIPPED = ("cache", "log")  # below var/
_OVERLAP = 10.0  # seconds that the last scan and this one have in common
_DAY = 86400.0  # seconds that the first scan looks back
_PATIENCE = 180.0  # seconds for one answer of the scanner, which gives a file two minutes
_PARTLY = "Heuristics.Limits.Exceeded"  # how it names what is larger inside than it looks at
_TOLD = 20  # files that one alert names
_HOUR = 3600.0  # between two alerts of a kind
_REMEMBERED = 1000  # files that are not told again
_BLOCK = 1 << 18
_STRANGE = "a link to a folder of somebody else's, which is not followed; if it is right: chown -h root"


class AntivirusError(Exception):
    """Uploads could not be scanned; the text says why."""


class NotJudged(Exception):
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
    code, said = _machine.run(["systemctl", "start", "clamav-daemon.socket", "clamav-daemon.service"], 60)
    try:
        scanner.connect(SOCKET)
    except OSError as problem:
        why = said.strip().rpartition("\n")[2] if code else "has it signatures? (systemctl status clamav-daemon)"
        raise AntivirusError(f"The virus scanner does not answer: {problem}; {why}.") from problem


def judge(handle: int, address: str = "") -> str:
    """What the scanner says about an open file: the name of a virus, or nothing.

    Where it goes down meanwhile it is asked again, so that a file is not passed over which has nothing to do with that.
    """
    told = _ask(handle, address) or _ask(handle, address)
    if not told:
        ping(address)  # while it is down, nothing is skipped
        raise NotJudged("the scanner breaks off over it, each time")
    if told == "OK":
        return ""
    virus = told[: -len(" FOUND")] if told.endswith(" FOUND") else ""
    if virus and not virus.startswith(_PARTLY):
        return virus
    raise NotJudged(f"the scanner did not look at all of it, {virus}" if virus else told)


def _ask(handle: int, address: str) -> str:
    """Show a file to the scanner; what it answers, or nothing where it breaks off."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as scanner:
        scanner.settimeout(_PATIENCE)
        _reach(scanner, address)
        answer = b""
        try:
            os.lseek(handle, 0, os.SEEK_SET)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it says why below
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


def _tops(root: str, refused: list[str]) -> list[str]:
    """var/, and the folders that links in it lead to: uploads may lie on another disk.

    Only links of root's are followed, and those of others to what is their own; the others are ``refused``.
    """
    top = os.path.join(root, "var")
    with os.scandir(top) as entries:  # where there is none, that is told
        links = [entry.path for entry in entries if entry.is_symlink() and entry.name not in _SKIPPED]
    found = [os.path.realpath(top)]
    for link in (*filter(os.path.islink, [top]), *sorted(filter(os.path.isdir, links))):
        with contextlib.suppress(FileNotFoundError):  # gone meanwhile
            target = os.path.realpath(link)  # once: it may lead elsewhere in a moment
            if os.lstat(link).st_uid not in (0, os.lstat(target).st_uid):
                refused.append(link)
            elif link != top:
                found.append(target)
    if top in refused:
        raise AntivirusError(f"{top} is a link to what is somebody else's, and not followed: chown -h root {top}.")
    return found


def _new(tops: list[str], since: float) -> Iterator[tuple[str, str, int]]:
    """Files below folders that changed since then: the path, the name, the open folder. The first one is var/."""
    for number, top in enumerate(tops):
        for folder, folders, names, handle in os.fwalk(top):
            if folder == top and not number:
                folders[:] = [name for name in folders if name not in _SKIPPED]
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    info = os.stat(name, dir_fd=handle, follow_symlinks=False)
                    # The time of the last change of the entry: nobody but root can set it back.
                    if stat.S_ISREG(info.st_mode) and info.st_ctime >= since:
                        yield os.path.join(folder, name), name, handle


def scan_portal(root: str, since: float, keep: str, address: str = "", seen: Seen | None = None) -> Seen:
    """Show every file that is new to the scanner, and take away what it finds. ``seen`` is filled as things happen."""
    seen = seen or Seen()
    refused: list[str] = []
    tops = _tops(root, refused)
    seen.not_judged += [f"{ascii(os.path.relpath(link, root))[1:-1]}: {_STRANGE}" for link in refused]
    for path, name, folder in _new(tops, since):
        shown = ascii(os.path.relpath(path, root))[1:-1]
        try:
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        except OSError:  # gone or changed since: if it is a file again, that is new too
            continue
        try:
            virus = judge(handle, address)
            seen.scanned += 1
            if virus:
                seen.found.append(f"{shown}: {virus}, kept as {_take_away(handle, name, folder, keep, path, virus)}")
        except NotJudged as problem:
            seen.not_judged.append(f"{shown}: {problem}")
        finally:
            os.close(handle)
    return seen


def _take_away(handle: int, name: str, folder: int, keep: str, path: str, virus: str) -> str:
    """Copy what was judged to where only root reads it, and remove it where it lay, if it still lies there."""
    os.makedirs(keep, 0o700, exist_ok=True)
    info = os.fstat(handle)
    kept = os.path.join(keep, f"{time.strftime('%Y%m%dT%H%M%S')}-{info.st_ino}")
    with open(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as copy:
        os.lseek(handle, 0, os.SEEK_SET)
        while block := os.read(handle, _BLOCK):
            copy.write(block)
    _state.replace_file(f"{kept}.json", json.dumps({"path": path, "virus": virus, "owner": info.st_uid}) + "\n")
    with contextlib.suppress(FileNotFoundError):
        now = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if (now.st_dev, now.st_ino) == (info.st_dev, info.st_ino):
            os.unlink(name, dir_fd=folder)
    return kept


def scan(everything: bool = False, address: str = "") -> list[str]:
    """Scan what is new in each portal. Tells whoever looks after the host; returns lines for the journal."""
    lines: list[str] = []
    problems: list[str] = []
    unheard: list[str] = []
    os.makedirs(_state.STATE, 0o700, exist_ok=True)
    with open(os.path.join(_state.STATE, "antivirus.lock"), "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return ["The last scan is still going on."]
        for path in sorted(glob.glob(CONFIGURATION)):
            with open(path, encoding="utf-8") as stream:
                known: dict[str, Any] = json.load(stream)
            site, began = os.path.basename(path)[len("uploads-") : -len(".json")], time.time()
            last = _records.read(RECORD).get(site, {})
            known_before = last.get("not_judged") or {}  # what was told, and when
            since = 0.0 if everything else float(last.get("since") or began - _DAY)
            if since > began:  # the clock was put back: nobody knows when the last scan was
                since = began - _DAY
            seen, problem = Seen(), ""
            try:
                ping(address)
                scan_portal(known["root"], since, os.path.join(_state.STATE, QUARANTINE), address, seen)
            except (AntivirusError, OSError) as raised:
                problem = f"{raised} New files of {known['domain']} are scanned as soon as it does."
                problems.append(problem)
            text = (
                f"{seen.scanned} new files scanned, {len(seen.found)} with a virus, {len(seen.not_judged)} not judged."
            )
            if problem:  # what was taken away is told all the same: the next scan finds it no more
                news, told = [], known_before
                lines += seen.found
            else:
                # What every scan finds again (a link, say) is told once a day.
                news = [one for one in seen.not_judged if not 0 <= began - known_before.get(one, -_DAY) < _DAY]
                told = {**{one: known_before.get(one) for one in seen.not_judged}, **dict.fromkeys(news, began)}
                since = began - _OVERLAP
                if seen.scanned or seen.not_judged:
                    lines += [f"{known['domain']}: {text}", *seen.found, *seen.not_judged]
            outbox = last.get("outbox") or {}
            _post(outbox, f"A virus was uploaded to {known['domain']}", seen.found, began, unheard)
            _post(outbox, f"Uploads to {known['domain']} were not judged", news, began, unheard)
            remembered = dict(list(told.items())[:_REMEMBERED])
            _records.note(RECORD, site, not problem, problem or text, since=since, not_judged=remembered, outbox=outbox)
    if problems:
        try:
            _alert.tell("uploads", "Uploads are not scanned for viruses", "\n".join(problems))
        except _alert.AlertError as problem:
            unheard.append(str(problem))
    if problems or unheard:
        raise AntivirusError(" ".join([*lines, *problems, *unheard]))
    return lines


def _post(outbox: dict[str, Any], title: str, news: list[str], now: float, unheard: list[str]) -> None:
    """Tell at once, and what follows within the hour together: a student decides how often there is news.

    What nobody could be told stays in the outbox.
    """
    box = outbox.setdefault(title, {"sent": 0.0, "lines": [], "more": 0})
    room = max(_TOLD - len(box["lines"]), 0)
    box["lines"] += news[:room]
    box["more"] += len(news[room:])
    if not box["lines"] or 0 <= now - box["sent"] < _HOUR:
        return
    more = f"\nand {box['more']} more; the journal names them" if box["more"] else ""
    try:
        _alert.tell("uploads", title, "\n".join(box["lines"]) + more, again=True)
    except _alert.AlertError as problem:
        unheard.append(str(problem))
    else:
        outbox[title] = {"sent": now, "lines": [], "more": 0}


def add(commands: Any, say: Callable[..., None]) -> None:
    """The command of the host program."""

    def run(options: argparse.Namespace, _engine: object) -> int:
        for line in scan(options.all):
            say(line)
        return 0

    text = "Show new uploads to ClamAV, take away what it finds, and tell who looks after this host. cron calls this."
    command = commands.add_parser("scan", help="scan new uploads for viruses now", description=text)
    command.add_argument("--all", action="store_true", help="every upload, not only new ones")
    command.set_defaults(run=run)
