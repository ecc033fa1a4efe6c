# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups of a portal with restic: a snapshot of the database and one of the files, always as one backup run.

A run counts only when both snapshots exist, the dump ended well, and it carries the stamp of its run. The newest run
has the highest number, a tag of both snapshots: a clock may have been wrong. What a run needs of the last one is in
``/var/lib/chamilo-hardening/backups/<site>.json``; its results are in ``backups.json`` beside, for the audit.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import re
import secrets
import shutil
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
    lines: list[str] = []
    with jobs.alone(portal, "backup"):
        memory = remembered(portal)
        problems: list[str] = []
        if journal(portal).get("phase") in (CHANGING, ABANDONING):  # saved all the same: for long there may be no other
            problems.append(f"This backup was made while a restore was not finished. {unfinished(portal)}")
        try:
            strange = saved_files.strange_links(portal)
            chosen = saved_files.chosen(portal)
            failed = _save(portal, memory, chosen)
        except Exception as problem:  # whatever it was, it is reported
            jobs.failed(portal, "backup", ("database", "files"), _words(problem))
            raise BackupError(_words(problem)) from problem
        last = memory["last"]
        saved = [url for url in portal.places if url not in failed]
        where = " and ".join(map(shown, saved))
        less = [] if accept else shrunken(memory["good"], last)
        if less:
            problems.append(f"{' '.join(less)} If that is right: chamilo-hardening backup --accept")
        else:
            memory["good"] = {name: last[name] for name in ("dump_bytes", "tables", "files", "bytes")}
        here = [words for url, words in failed.items() if url != portal.offsite]
        size = f"{last['dump_bytes'] / 1e6:.1f} MB"
        for name, detail in (
            ("database", f"A dump of {size} with {len(last['tables'])} tables, in one transaction, in {where}."),
            ("files", f"{last['files']} files, {last['bytes'] / 1e6:.0f} MB, in {where}."),
        ):
            wrong = [*less, *here, *(chosen.problems if name == "files" else ())]
            note(portal, name, not wrong, " ".join([*wrong, detail]), run=last["run"])
            lines.append(detail)
        problems += [*failed.values(), *chosen.problems]
        elsewhere = _elsewhere(portal, failed, last["run"])
        lines += [] if portal.offsite in failed else [elsewhere]
        # One that is much less than before may not be enough to go back to, nor one in a repository that is not sound.
        doubtful = bool(less)
        for url in saved:
            try:
                lines += retention.upkeep(portal, memory, url)
            except (BackupError, OSError, ValueError, KeyError) as problem:
                problems.append(str(problem))
                doubtful |= saved == [url]
        memory["open"] = ""
        remember(portal, memory)
        try:
            problems += _compared_key(portal)
        except (BackupError, OSError) as problem:
            problems.append(str(problem))
    problems += strange
    words = " ".join([*problems, f"The backup {last['run']} is in {where}."])
    try:
        jobs.report(portal, "backup", problems, jobs.PARTIAL if failed else jobs.CHECK)
    except BackupError as problem:
        words = str(problem)
        problems.append(words)
    if problems:
        raise BackupError(words) if doubtful else NeedsReview(words)
    return lines


def _words(problem: Exception) -> str:
    return str(problem) or type(problem).__name__


def _save(portal: Portal, memory: dict[str, Any], chosen: saved_files.Chosen) -> dict[str, str]:
    """Save the portal in each repository, from the data: none needs another. Returns where that failed, and why."""
    now = datetime.datetime.now(datetime.timezone.utc)
    run = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
    if not portal.places:
        raise BackupError("No repository is configured: set chamilo_backups_repository.")
    killed = memory["open"]  # the last run did not end
    memory["open"] = run
    remember(portal, memory)
    # Both of one day: with midnight between them, `forget` would keep of a week the one of this run and the other of
    # another, and two halves are no backup. The files are the later ones, even for restic's own "latest".
    later = now.astimezone()
    earlier = max(later - datetime.timedelta(seconds=1), later.replace(hour=0, minute=0, second=0))
    last: dict[str, Any] = {"run": run, "at": time.time(), "places": {}, "offsite": False}
    number, failed = int(memory.get("number", 0)) + 1, {}
    for url in portal.places:
        place = Repository(portal, url)
        try:
            place.prepare(memory)
            place.reached(memory)
            if killed:
                place.unlock()
                retention.forget_halves(place)
            # A new machine, or one that could not ask this repository so far, counts on from what is there.
            pairs = place.pairs()
            number = max([number, *(pair.number + 1 for pair in pairs)])
            _room(place, memory, chosen.since(pairs[-1].at if pairs else 0))
            tags = ["--host", portal.site, "--tag", restic.TAG, "--tag", f"run={run}", "--tag", f"number={number}"]
            dumped, database = dump.save(place, run, [*tags, "--time", f"{earlier:%Y-%m-%d %H:%M:%S}"])
            saved = saved_files.save(place, [*tags, "--time", f"{later:%Y-%m-%d %H:%M:%S}"], chosen)
        except (BackupError, OSError, ValueError, KeyError) as problem:
            failed[url] = (
                f"Nothing was saved in {place.shown}: {_words(problem).rstrip('.').removeprefix(f'{place.shown}: ')}."
            )
            continue
        last["places"][place.shown] = {"dump_sha256": dumped.sha256, "snapshots": [database, saved["snapshot_id"]]}
        last |= {"dump_bytes": dumped.size, "tables": list(dumped.tables)}
        last |= {"files": saved["total_files_processed"], "bytes": saved["total_bytes_processed"]}
    if not last["places"]:
        raise BackupError(" ".join(failed.values()))
    if portal.offsite and portal.offsite not in failed:
        last["offsite"] = shown(portal.offsite)
    memory.update(last=last, number=number)
    remember(portal, memory)
    return failed


def _room(place: Repository, memory: Mapping[str, Any], changed: int) -> None:
    """Refuse to fill the disk, on which the portal may be as well."""
    if not place.url.startswith("/"):
        return
    free = shutil.disk_usage(place.url).free
    needed = changed + int(memory["good"].get("dump_bytes", 0))
    if free < needed:
        raise BackupError(
            f"{free / 1e6:.0f} MB are free there, and what was changed since its last backup may need up to "
            f"{needed / 1e6:.0f}. Make room, or keep fewer backups (chamilo_backups_keep_daily)."
        )


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


def _elsewhere(portal: Portal, failed: Mapping[str, str], run: str) -> str:
    """Write down how it stands with the repository elsewhere."""
    if not portal.offsite:
        problem = "There is no off-site repository: set chamilo_backups_offsite_repository."
    else:
        problem = failed.get(portal.offsite, "") or nearby(portal)
    more = {} if problem else {"run": run}
    note(portal, "offsite", not problem, problem or f"In {shown(portal.offsite)}.", **more)
    return problem or f"A copy is in {shown(portal.offsite)}."


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


def _compared_key(portal: Portal) -> list[str]:
    """The copy elsewhere is of the key that was there when the two were compared."""
    known = key.compared(portal)
    with open(portal.key_file, encoding="utf-8") as stream:
        present = fingerprint(stream.read(), str(known.get("salt", "")))
    if not known.get("ok") or known["fingerprint"] == present:
        return []
    words = "The key on this host is no longer the one of which there is a copy elsewhere."
    note(portal, "encrypted", False, words, salt=known["salt"], fingerprint=known["fingerprint"])
    return [words]
