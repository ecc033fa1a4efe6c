# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a portal, or a part of it, back from a backup. What was there before is moved aside, never removed.

Everything is fetched and checked beside the portal in use first. Each exchange of directories is rehearsed, that is,
done and undone at once: what is immutable, or on another file system, shows only then. Then all tables change places
(in one statement of the server; views, triggers, routines and events cannot move with them and are made anew) and
directories do (each in one step of the kernel). Tables come first: a server may refuse, and then nothing was changed.
The journal is written before each phase: a restore that was killed is resumed by the next one of its kind, or rolled
back.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import json
import os
import shlex
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from .._common import files, services
from . import jobs, restore_files, restore_tables
from . import portal as backups_portal
from .portal import ABANDONING, CHANGING, FETCHING, STAGED, UPDATE, BackupError, Portal, Unchanged
from .restic import Pair, Repository
from .restore_files import Source, Staging

PARTS = ("host", "database", "files", "file")
_OLDER = 10  # runs in which what cannot be read is looked for


class Incomplete(BackupError):
    """All is restored but for what cannot be read; the message counts it, ``lines`` say what was done."""

    def __init__(self, message: str, lines: list[str]) -> None:
        super().__init__(message)
        self.lines = lines


def restore(portal: Portal, part: str, path: str = "", run: str = "", source: str = "") -> list[str]:
    """Bring a part back. ``run``: how the name of a backup begins, else the newest; ``source``: local, offsite."""
    with jobs.alone(portal, "restore", 60):
        _refuse_less(portal, part)
        begun = backups_portal.journal(portal)
        same = (begun.get("part"), begun.get("path")) == (part, path) and str(begun.get("run")).startswith(run)
        lines = finish(portal)
        if lines and same:
            return _told(begun, ["The restore that was interrupted is resumed.", *lines])
        if same and begun["phase"] == FETCHING:
            run = begun["run"]
        work = Staging(portal, found(portal, run, source), part, path)
        when = datetime.datetime.fromtimestamp(work.pair.at, datetime.timezone.utc)
        lines.append(f"From the backup of {when:%Y-%m-%d %H:%M} UTC in {work.place.shown}:")
        if part in ("host", "files"):
            work.refuse_mounts(part == "host")  # before anything is fetched, which may take hours
        try:
            work.clear()
            work.write_down(FETCHING)
            if part in ("host", "database"):
                work.stage_database()
            if part in ("host", "files"):
                work.stage_files(part == "host")
                lines += work.elsewhere()
            if part == "file":
                work.stage_file(path)
            lines += work.left
            work.journal["incomplete"] = work.incomplete()
        except (BackupError, OSError) as problem:
            full = getattr(problem, "errno", 0) == errno.ENOSPC  # a disk that is full would stay full
            if not full and os.path.lexists(work.staging) and os.listdir(work.staging):
                raise BackupError(f"{problem} {_kept(work.journal, portal)}") from problem
            work.discard()
            with contextlib.suppress(FileNotFoundError):  # on a full disk there never was one
                os.unlink(backups_portal.journal_path(portal))
            raise
        work.write_down()
        return _told(work.journal, lines + finish(portal))


def _kept(journal: dict[str, Any], portal: Portal) -> str:
    return (
        f"What was fetched is kept in {journal['staging']}: the same command goes on with it, "
        f"chamilo-hardening restore --abandon --site {portal.site} removes it."
    )


def _told(journal: dict[str, Any], lines: list[str]) -> list[str]:
    if journal.get("incomplete"):
        raise Incomplete(journal["incomplete"], lines)
    return lines


def begin(site: str, url: str) -> Portal:
    """For a machine that knows nothing yet: how this portal is backed up stands in its backups."""
    place = Repository(Portal(site, site, "/", offsite=url), url)
    path = backups_portal.path_of(site)
    problem = BackupError(f"{place.shown} contains no complete backup of {site}.")
    for pair in reversed(place.pairs()):
        try:
            text, _complaint = place.run("dump", pair.files.id, path)
        except BackupError as unread:  # an older one may be whole
            problem = unread
            continue
        portal = replace(backups_portal.parse(text, path), offsite=url)
        if not os.path.exists(path):  # with the address given: the one in the backup may be gone
            files.replace_file(path, json.dumps(asdict(portal), indent=1, sort_keys=True) + "\n")
        return portal
    raise problem


def runs(portal: Portal, source: str = "") -> list[str]:
    """The backups there are, that of the last run last."""
    return dated(found(portal, "", source)[0][0].pairs())


def dated(pairs: Sequence[Pair]) -> list[str]:
    return [
        f"{pair.run}  {datetime.datetime.fromtimestamp(pair.at):%Y-%m-%d %H:%M}"
        f"{'  dated in the future: the clock was wrong' if pair.ahead else ''}"
        for pair in pairs
    ]


def found(portal: Portal, run: str, source: str) -> list[Source]:
    """The backup that is meant, where it is nearest, where it is too, and those before it."""
    known = {"local": portal.repository, "offsite": portal.offsite}
    every: list[Source] = []
    newest: list[Pair] = []
    problems = []
    for url in filter(None, [known[source]] if source else portal.places):
        place = Repository(portal, url)
        try:
            pairs = place.pairs()
        except BackupError as problem:
            problems.append(str(problem))
            continue
        every += [(place, pair) for pair in pairs]
        asked = [pair for pair in pairs if pair.run.startswith(run)]
        newest += asked[-1:]
        if not asked:
            problems.append(f"{place.shown} has no {'backup ' + run if run else 'complete backup'} of {portal.domain}.")
    if not newest:
        raise BackupError(" ".join(problems) or f"{portal.domain} has no {source or 'repository'}.")
    meant = max(newest, key=_order)  # of two the nearer
    older = sorted((one for one in every if _order(one[1]) < _order(meant)), key=lambda one: _order(one[1]))
    return [one for one in every if one[1].run == meant.run] + older[::-1][:_OLDER]


def _order(pair: Pair) -> tuple[int, float]:
    return pair.number, pair.at


def _refuse_less(portal: Portal, part: str) -> None:
    """Who asks for one file has not agreed to what a restore of more would still do that was killed."""
    journal = backups_portal.journal(portal)
    unfinished = journal.get("part", "host")
    if unfinished == UPDATE:
        raise BackupError(backups_portal.unfinished(portal))
    if (
        journal
        and journal["phase"] != FETCHING
        and part not in ("host", unfinished)
        and (part, unfinished) != ("files", "file")
    ):
        again = f"{unfinished} {shlex.quote(journal['path'])}" if unfinished == "file" else unfinished
        raise BackupError(
            f"A restore of the {unfinished} of {portal.domain} was begun and is not finished. Nothing was changed. "
            f"Finish it first: chamilo-hardening restore {again} --site {portal.site} --confirm {portal.domain} "
            f"or roll it back: chamilo-hardening restore --abandon --site {portal.site}"
        )


def finish(portal: Portal) -> list[str]:
    """Do what was written down and not done yet. Doing it twice does nothing."""
    journal = backups_portal.journal(portal)
    if not journal or journal["phase"] == FETCHING:
        return []
    if journal["phase"] == ABANDONING:
        roll_back(portal, journal)
        return []
    lines = []
    try:
        if journal["phase"] == STAGED:
            restore_files.rehearse(journal["swaps"])
            backups_portal.reach(portal, journal, CHANGING)
        if journal["database"]:
            lines += restore_tables.change_tables(portal, journal["database"], journal["staging"], journal["kept"])
    except Unchanged as problem:
        backups_portal.reach(portal, journal, FETCHING)
        raise BackupError(f"{problem} {_kept(journal, portal)}") from problem
    if os.path.lexists(journal["staging"]):  # else all is in its place, and what came there since stays
        for fetched, live, inode, *_above in journal["swaps"]:
            restore_files.change_places(fetched, live, inode)
        os.rename(journal["staging"], journal["kept"])
    if journal["swaps"]:
        lines.append(f"{len(journal['swaps'])} files or directories were restored; the old ones: {journal['kept']}.")
    lines += wake(portal)
    entry = [journal["kept"], journal["database"].get("old", "")]
    files.replace_file(_before_path(portal), json.dumps([*(one for one in _before(portal) if one != entry), entry]))
    os.unlink(backups_portal.journal_path(portal))
    return lines


def _before_path(portal: Portal) -> str:
    return os.path.join(files.STATE, "backups", f"{portal.site}.before.json")


def _before(portal: Portal) -> list[list[str]]:
    """What restores moved aside: directories, and databases."""
    try:
        with open(_before_path(portal), encoding="utf-8") as stream:
            return [[str(directory), str(database)] for directory, database in json.load(stream)]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError) as problem:
        raise BackupError(f"{_before_path(portal)} cannot be read: {problem}.") from problem


def kept(portal: Portal) -> list[str]:
    """What is still there from before a restore, with all personal data in it."""
    found = []
    for directory, database in _before(portal):
        words = [directory] * os.path.lexists(directory) + [f"the database {database}"] * bool(database)
        if words:
            found.append(
                f"Kept from before a restore of {portal.domain}: {' and '.join(words)}. When all is well: "
                f"chamilo-hardening backup --site {portal.site} forget-before"
            )
    return found


def forget_before(portal: Portal) -> list[str]:
    """Remove what restores moved aside."""
    with jobs.alone(portal, "restore", 60):
        if backups_portal.journal(portal):
            raise BackupError(f"{backups_portal.unfinished(portal)} Nothing was removed.")
        lines = []
        for directory, database in _before(portal):
            if database and not restore_tables.may_restore(portal):
                raise BackupError(f"The database {database} cannot be removed from here: see {portal.host}.")
            if database:
                restore_tables.execute(portal, f"DROP DATABASE IF EXISTS {restore_tables.quoted(database)}")
                lines.append(f"The database {database} is removed.")
            if os.path.lexists(directory):
                restore_files.remove(directory)
                lines.append(f"{directory} is removed.")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_before_path(portal))
    return lines or ["Nothing is kept from before a restore."]


def abandon(portal: Portal) -> list[str]:
    """Roll back a restore that was interrupted: tables and files are as they were before it."""
    with jobs.alone(portal, "restore", 60):
        journal = backups_portal.journal(portal)
        if not journal:
            raise BackupError(f"No restore of {portal.domain} is unfinished. Nothing was changed.")
        _refuse_less(portal, "host")
        return roll_back(portal, journal)


def roll_back(portal: Portal, journal: dict[str, Any]) -> list[str]:
    staging, kept, swaps = journal["staging"], journal["kept"], journal["swaps"]
    if journal["phase"] in (FETCHING, STAGED):
        for swap in reversed(swaps):
            restore_files.reverse_swap(*swap)
        restore_files.discard(portal, staging)
        os.unlink(backups_portal.journal_path(portal))
        return ["Nothing had been changed for good. What was fetched is removed."]
    if journal["phase"] != ABANDONING and journal["database"]:
        restore_tables.end_renames(portal)
        journal["moved"] = not restore_tables.tables(portal, journal["database"]["new"])
    backups_portal.reach(portal, journal, ABANDONING)
    lines = []
    aside = kept.replace(".before-", ".abandoned-")
    base = next(filter(os.path.lexists, (staging, kept, aside)))
    if journal["database"]:
        lines += restore_tables.return_tables(portal, journal["database"], base, journal["moved"])
    if base != aside:  # else all was done but the end
        for fetched, *rest in reversed(swaps):
            restore_files.reverse_swap(base + fetched.removeprefix(staging), *rest)
        os.rename(base, aside)
    if swaps:
        lines.append(f"Files and directories are as they were before; what had taken their place is in {aside}.")
    lines += wake(portal)
    os.unlink(backups_portal.journal_path(portal))
    return lines


def wake(portal: Portal) -> list[str]:
    """Have the application see what came back: PHP keeps the program in memory."""
    lines = restore_tables.recreate_account(portal)
    if portal.php_service:
        problem = services.Machine().service("reload", portal.php_service)
        lines += [problem] if problem else []
    return lines
