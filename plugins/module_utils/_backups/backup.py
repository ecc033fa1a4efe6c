# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups of a portal with restic: a snapshot of the database and one of the files, always as one backup run.

A run counts only when both snapshots exist, the dump ended well, and it carries the stamp of its run. The newest run
has the highest number, a tag of both snapshots: a clock may have been wrong. What a run needs of the last one is in
``/var/lib/chamilo-hardening/backups/<site>.json``; its results are in ``backups.json`` beside, for the audit.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import re
import secrets
import socket
import time
from collections.abc import Mapping
from typing import Any

from .._application import clients
from .._common.tree import Tree
from .._host import host
from . import dump, jobs, key, restic, retention, saved_files
from .portal import ABANDONING, CHANGING, BackupError, Portal, journal, note, remember, remembered, shown, unfinished
from .proof import fingerprint
from .restic import Repository

_SHRUNKEN = 0.5


class NeedsReview(BackupError):
    """The backup was made, but something else is wrong; the message states what."""


def backup(portal: Portal, accept: bool = False) -> list[str]:
    """Save the portal. Everything that is wrong is recorded and reported; then it is raised."""
    problems: list[str] = []
    lines: list[str] = []
    less: list[str] = []
    with jobs.alone(portal, "backup"):
        memory = remembered(portal)
        if journal(portal).get("phase") in (CHANGING, ABANDONING):  # saved all the same: for long there may be no other
            problems.append(f"This backup was made while a restore was not finished. {unfinished(portal)}")
        alone = ""  # why the one in the other repository is the only one
        try:
            strange = saved_files.strange_links(portal)
            last, alone = _saved(portal, memory)
        except Exception as problem:  # whatever it was, it is reported
            jobs.failed(portal, ("database", "files"), "The backup failed", _words(problem))
            raise BackupError(_words(problem)) from problem
        problems += filter(None, [alone])
        size = f"{last['dump_bytes'] / 1e6:.1f} MB"
        less = [] if accept else shrunken(memory["good"], last)
        if less:
            problems.append(f"{' '.join(less)} If that is right: chamilo-hardening backup --accept")
        else:
            memory["good"] = {name: last[name] for name in ("dump_bytes", "tables", "files", "bytes")}
        where = shown(portal.places[-1 if alone else 0])
        database = f"A dump of {size} with {len(last['tables'])} tables, in one transaction, in {where}."
        wrong = [*less, *filter(None, [alone])]
        note(portal, "database", not wrong, " ".join([*wrong, database]), run=last["run"])
        files = f"{last['files']} files, {last['bytes'] / 1e6:.0f} MB, in {where}."
        note(portal, "files", not wrong, " ".join([*wrong, files]), run=last["run"])
        lines += [database, files]
        # One that is much less than before may not be enough to go back to, nor one in a repository that is not sound.
        doubtful = bool(less)
        for url, step in ((portal.offsite, _offsite), *((place, retention.upkeep) for place in portal.places)):
            try:
                lines += step(portal, memory, url)
            except (BackupError, OSError, ValueError, KeyError) as problem:
                problems.append(str(problem))
                doubtful |= url == portal.places[0] and not alone
        memory["open"] = ""
        remember(portal, memory)
        try:
            _compare_key(portal)
        except (BackupError, OSError) as problem:
            problems.append(str(problem))
    problems += strange
    if problems:
        words = " ".join(problems)
        try:
            jobs.notify(portal, "Check the backup", words)
        except BackupError as problem:
            words = str(problem)
        raise BackupError(words) if doubtful else NeedsReview(words)
    return lines


def _words(problem: Exception) -> str:
    return str(problem) or type(problem).__name__


def _saved(portal: Portal, memory: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Save the portal in the first repository; where that fails, in the other one. Returns why, too."""
    if not portal.places:
        raise BackupError("No repository is configured: set chamilo_backups_repository.")
    first, *other = portal.places
    try:
        return _pair(portal, memory, first), ""
    except (BackupError, OSError) as problem:
        if not other:
            raise
        words = _words(problem)
    try:
        last = _pair(portal, memory, other[0])
    except (BackupError, OSError) as problem:
        raise BackupError(" ".join(dict.fromkeys([words, _words(problem)]))) from problem
    return last, f"This backup is in {shown(other[0])} alone: {words}"


def _pair(portal: Portal, memory: dict[str, Any], url: str) -> dict[str, Any]:
    now = datetime.datetime.now(datetime.timezone.utc)
    run = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
    place = Repository(portal, url)
    place.prepare(memory)
    if memory["open"]:  # the last run did not end
        for url in portal.places:
            with contextlib.suppress(BackupError):  # one that cannot be reached is found out below
                Repository(portal, url).unlock()
        retention.forget_halves(place)
    memory["open"] = run
    memory["number"] = _highest(portal, memory) + 1
    remember(portal, memory)
    numbered = ("--tag", f"run={run}", "--tag", f"number={memory['number']}")
    tags = ["--host", portal.site, "--tag", restic.TAG, *numbered, "--time"]
    # Both of one day: with midnight between them, `forget` would keep of a week the one of this run and the other of
    # another, and two halves are no backup. The files are the later ones, even for restic's own "latest".
    later = now.astimezone()
    earlier = max(later - datetime.timedelta(seconds=1), later.replace(hour=0, minute=0, second=0))
    dumped, database = dump.save(place, run, [*tags, f"{earlier:%Y-%m-%d %H:%M:%S}"])
    saved = saved_files.save(place, [*tags, f"{later:%Y-%m-%d %H:%M:%S}"])
    last = {
        "run": run,
        "at": time.time(),
        "dump_bytes": dumped.size,
        "dump_sha256": dumped.sha256,
        "tables": list(dumped.tables),
        "files": saved["total_files_processed"],
        "bytes": saved["total_bytes_processed"],
        "snapshots": [database, saved["snapshot_id"]],
        "offsite": False,
        "place": place.shown,
    }
    memory["last"] = last
    remember(portal, memory)
    return last


def _highest(portal: Portal, memory: Mapping[str, Any]) -> int:
    """The number of the last run; on a machine that does not know it, as the repositories have it."""
    if "number" in memory:
        return int(memory["number"])
    numbers = [0]
    for url in portal.places:
        place = Repository(portal, url)
        with contextlib.suppress(BackupError):  # one that cannot be reached is found out when it is written to
            place.reached(memory)
            numbers += [pair.number for pair in place.pairs()]
    return max(numbers)


def shrunken(good: Mapping[str, Any], last: Mapping[str, Any]) -> list[str]:
    """What is much less than it was in the last good backup, in sentences."""
    found = []
    for name, what in (("dump_bytes", "bytes of database"), ("files", "files"), ("bytes", "bytes of files")):
        if last[name] < _SHRUNKEN * good.get(name, 0):
            found.append(f"{last[name]} {what} were saved; it were {good[name]} before.")
    gone = sorted(set(good.get("tables", ())) - set(last["tables"]))
    if gone:
        found.append(f"Tables are gone: {', '.join(gone[:5])}{' ...' if len(gone) > 5 else ''}.")
    return found


def _offsite(portal: Portal, memory: dict[str, Any], url: str) -> list[str]:
    """Have the pair in the repository elsewhere too, and see it there."""
    if not url:
        note(portal, "offsite", False, "There is no off-site repository: set chamilo_backups_offsite_repository.")
        return ["Nothing left this host: there is no off-site repository."]
    there = Repository(portal, url)
    try:
        if portal.repository and memory["last"].get("place") != there.shown:
            here = Repository(portal, portal.repository)
            there.prepare(memory, here)
            there.reached(memory)
            there.run("copy", "--quiet", "--host", portal.site, "--tag", restic.TAG, source=here)
        pairs = there.pairs()
        pair = next((pair for pair in pairs if pair.run == memory["last"]["run"]), None)
        if pair is None:
            raise BackupError(f"{there.shown} does not show what was just sent there.")
        if pairs[-1].number > pair.number:  # it could not be asked when this machine, new then, began to count
            memory["number"] = pairs[-1].number
            raise BackupError(
                f"The backup {pairs[-1].run} in {there.shown} has a higher number ({pairs[-1].number}) than this one "
                f"({pair.number}), so a restore would prefer it. The next backup gets the number after it."
            )
        memory["last"].update(offsite=there.shown, trees=[pair.database.tree, pair.files.tree])
        near = nearby(portal)
        if near:
            note(portal, "offsite", False, near)
            return [near]
    except (BackupError, OSError, ValueError, KeyError) as problem:
        note(portal, "offsite", False, str(problem))
        raise
    note(portal, "offsite", True, f"In {there.shown}.", run=pair.run)
    return [f"A copy is in {there.shown}."]


_REMOTE = re.compile(r"(?:azure|b2|gs|rclone|rest|s3|sftp|swift):")  # all else is a directory for restic


def nearby(portal: Portal) -> str:
    """Why the off-site repository is no other place, or an empty text."""
    if not _REMOTE.match(portal.offsite):
        mount = os.path.join("/", portal.offsite.partition("local:")[2] or portal.offsite)
        while not os.path.exists(mount):
            mount = os.path.dirname(mount)
        if os.stat(mount).st_dev in (os.stat(portal.directory).st_dev, os.stat("/").st_dev):
            return f"{portal.offsite} lies on the same disk as the portal: a fire takes both."
        return ""
    found = re.match(r"(?:rest:|s3:)?(?:\w+://)?(?:sftp:)?(?:[^/@]+@)?(\[[^]]+\]|[^/:]+)", portal.offsite)
    name = found[1].strip("[]") if found else ""
    own = name in ("localhost", socket.gethostname(), portal.domain) or _leads_here(name)
    return f"{shown(portal.offsite)} is this very machine." if own else ""


def _leads_here(name: str) -> bool:
    """Whether a name or an address is one of this host."""
    own = set(host.addresses(Tree()))
    return any(address in own or ipaddress.ip_address(address).is_loopback for address in clients.addresses(name))


def _compare_key(portal: Portal) -> None:
    """The copy elsewhere is of the key that was there when the two were compared."""
    known = key.compared(portal)
    with open(portal.key_file, encoding="utf-8") as stream:
        present = fingerprint(stream.read(), str(known.get("salt", "")))
    if known.get("ok") and known["fingerprint"] != present:
        words = "The key on this host is no longer the one of which there is a copy elsewhere."
        note(portal, "encrypted", False, words, salt=known["salt"], fingerprint=known["fingerprint"])
        jobs.notify(portal, "The key of the backups has changed", words)
