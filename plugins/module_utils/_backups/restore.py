# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a portal, or a part of it, back from a backup. What was there before is moved aside, never removed.

Everything is fetched and checked beside the portal in use first: the database, then the files. What cannot be read is
taken from the other repository or an older run, file by file, and else named in a list. Then directories change places,
and all tables do (in one statement of the server; views, triggers, routines and events cannot move with them and are
made anew). Where one cannot, all go back. The journal is written before each phase: a restore that was killed is
resumed by the next one of its kind, or rolled back; what was fetched stays until then.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from .._common import files, services
from .._common.errors import HardeningError
from .._common.paths import open_path
from . import dump, jobs, restic, restore_tables, saved_files
from . import portal as backups_portal
from .exchange import Exchange, bring, discard, refuse_mounts, remove, take_back
from .portal import ABANDONING, CHANGING, FETCHING, STAGED, UPDATE, BackupError, Portal
from .restic import Pair, Repository
from .restore_tables import COMING, GOING
from .saved_files import below

PARTS = ("host", "database", "files", "file")
_FILES = ("var", "config", "public/plugin")  # and the environment files
_LEFT = (".git", "node_modules")  # in no backup
_NAMES = 500  # paths in one command line
_OLDER = 10  # runs in which what cannot be read is looked for
_ASIDE = r"(?:before|abandoned)_\d{8}T\d{6}Z"  # in the names of databases; of directories with a dash
Source = tuple[Repository, Pair]


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
        work.stage()
        when = datetime.datetime.fromtimestamp(work.pair.at, datetime.timezone.utc)
        lines.append(f"From the backup of {when:%Y-%m-%d %H:%M} UTC in {work.place.shown}:")
        return _told(work.journal, [*lines, *work.left, *finish(portal)])


def _kept(journal: dict[str, Any], portal: Portal) -> str:
    return (
        f"What was fetched is kept in {journal['staging']}: the same command goes on with it, "
        f"chamilo-hardening restore --abandon --site {portal.site} removes it."
    )


def _told(journal: dict[str, Any], lines: list[str]) -> list[str]:
    if journal.get("incomplete"):
        raise Incomplete(journal["incomplete"], lines)
    return lines


class Staging(Exchange):
    """What is fetched of a backup; what cannot be read of it, of another repository or of an older run.

    What was fetched stays when that fails: a second try of the same goes on where the first ended.
    """

    def __init__(self, portal: Portal, sources: Sequence[Source], part: str = "host", path: str = "") -> None:
        self.place, self.pair = sources[0]
        super().__init__(portal, part, path, self.pair.run)
        self.saved = saved_files.saved_root(portal, self.place, self.pair.files)
        # A link may have led elsewhere then.
        same = self.pair.files.paths
        self.sources = [one for one in sources if one[1].files.paths == same or self.saved in one[1].files.paths]
        self.left: list[str] = []  # what could not be kept, or has another place
        self.number = 0  # of the files of the backup, where it is known
        self.missing: dict[str, str] = {}  # paths, and why they cannot be read
        self.older: dict[str, str] = {}  # what was taken from older runs

    def stage(self) -> None:
        """Fetch all there is. What was fetched stays when that fails, for the next try."""
        part = self.journal["part"]
        if part in ("host", "files"):
            for path in [self.root] if part == "host" else [f"{self.root}/{name}" for name in _FILES]:
                refuse_mounts(path, self.root, *(f"{self.root}/{name}" for name in _LEFT))  # before hours of fetching
        try:
            self.clear()
            if part in ("host", "database"):
                self.stage_database()
            if part in ("host", "files"):
                self.stage_files(part == "host")
                self.left += self.elsewhere()
            if part == "file":
                self.stage_file(self.journal["path"])
            self.journal["incomplete"] = self.incomplete()
        except (BackupError, OSError) as problem:
            full = getattr(problem, "errno", 0) == errno.ENOSPC  # a disk that is full would stay full
            if not full and os.path.lexists(self.staging) and os.listdir(self.staging):
                raise BackupError(f"{problem} {_kept(self.journal, self.portal)}") from problem
            discard(self.portal, self.staging)
            with contextlib.suppress(FileNotFoundError):  # on a full disk there never was one
                os.unlink(backups_portal.journal_path(self.portal))
            raise
        self.write_down()

    def stage_files(self, everything: bool) -> None:
        """Fetch the whole directory, or what the application writes and is configured by."""
        self._room(everything)
        saved = restic.literal(self.saved)
        chosen = [saved] if everything else [f"{saved}/{name}" for name in (*_FILES, ".env", ".env.*")]
        self._fetch(*chosen)
        fetched = f"{self.staging}{self.saved}"
        if not os.path.lexists(f"{fetched}/var"):  # a link may lead to what is not there yet
            raise BackupError(f"The backup contains no {self.saved}/var.")
        if not os.path.lexists(self.root):
            self.swap(fetched, self.saved)
            if self.saved != self.root:  # it lay behind a link, and links in it lead on from where it lay
                link = f"{self.staging}{self.root}"
                os.makedirs(os.path.dirname(link), exist_ok=True)
                if not os.path.lexists(link):
                    os.symlink(os.path.relpath(self.saved, os.path.dirname(self.root)), link)
                self.swap(link, self.root)
            return
        names = os.listdir(fetched)
        if everything:  # what came later goes aside too
            names += [name for name in os.listdir(self.root) if name not in names and name not in _LEFT]
        for name in sorted(names):
            if name == "public" and not everything:
                self.swap(f"{fetched}/public/plugin", f"{self.root}/public/plugin")
            elif f"{self.root}/{name}" != self.staging:
                self.swap(f"{fetched}/{name}", f"{self.root}/{name}")

    def _fetch(self, *patterns: str) -> None:
        """Fetch all that can be read, each file of the first source that has it whole."""
        asked, problem = list(patterns), ""
        known = False  # which files there are
        for place, pair in self.sources:
            try:
                unread = self._take(place, pair, asked)
            except BackupError as unreadable:
                place.identity()  # where nobody answers, nothing is known to be damaged
                problem = problem or str(unreadable)
                continue
            if not known and any(below(self.saved, path) for path in unread):
                problem = problem or f"{place.shown}: {next(iter(unread.values()))}"
                continue
            came = [path for path in self.missing if path not in unread and os.path.lexists(self.staging + path)]
            came = came if known else [self.saved]
            self.older |= dict.fromkeys(came if pair.run != self.pair.run else (), pair.run)
            self.missing = {path: words for path, words in self.missing.items() if path not in came} | unread
            known = True
            if not self.missing:
                break
            lost = map(restic.literal, self.missing)
            # Of a directory that was asked for in part no more is.
            asked = [one for path in lost for one in ([name for name in patterns if below(name, path)] or [path])]
        if not known:
            raise BackupError(f"Nothing of it can be read. {problem}")
        if not os.path.samestat(os.lstat(self.staging), self.made):
            raise BackupError(f"{self.staging} was exchanged while the backup was fetched. Nothing was changed.")

    def _take(self, place: Repository, pair: Pair, patterns: Sequence[str]) -> dict[str, str]:
        """Fetch some of one source. Returns what it has not whole; of that nothing stays."""
        unread: dict[str, str] = {}
        for first in range(0, len(patterns), _NAMES):
            chosen = [f"--include={pattern}" for pattern in patterns[first : first + _NAMES]]
            unread |= place.fetch(pair.files.id, self.staging, "--verify", *chosen)
        full = [words for words in unread.values() if words.endswith(os.strerror(errno.ENOSPC).lower())]
        if full:
            raise OSError(errno.ENOSPC, full[0])
        if unread:
            place.identity()
        for path in unread:
            with contextlib.suppress(FileNotFoundError, IsADirectoryError, NotADirectoryError):
                self._remove(os.path.normpath(f"/{path}"))
        return unread

    def _remove(self, path: str) -> None:
        """Remove what is not whole. Older versions of restic print names as they are, with line breaks: a name that the
        web user made up may lead through a link of what came back, to any file of the host."""
        directory, name = os.path.split(path)
        try:
            handle = open_path(self.staging + directory, lambda *_link: "a link")[0]
        except OSError as problem:
            if problem.errno == errno.ELOOP:
                return
            raise
        try:
            os.unlink(name, dir_fd=handle)
        finally:
            os.close(handle)

    def incomplete(self) -> str:
        """What is not as in the backup, in a sentence; its list is written. Empty where all is."""
        if not self.missing and not self.older:
            return ""
        name = f"{self.portal.site}.not-restored-{os.path.basename(self.kept).rpartition('-')[2]}.txt"
        path = os.path.join(files.STATE, "backups", name)
        lines = [f"Of the backup {self.pair.run}:"]
        lines += [f"{ascii(name)[1:-1]}\tmissing: {why}" for name, why in sorted(self.missing.items())]
        lines += [f"{ascii(name)[1:-1]}\tof the older backup {run}" for name, run in sorted(self.older.items())]
        files.replace_file(path, "\n".join([*lines, ""]))
        of = f" of {self.number:,} files" if self.number else f" path{'s' * (len(self.missing) > 1)}"
        counts = [f"{len(self.missing)}{of} that cannot be read"] if self.missing else []
        counts += [f"{len(self.older)} of an older backup"] if self.older else []
        return f"Restored but for {', and '.join(counts)}. The list: {path}"

    def elsewhere(self) -> list[str]:
        """What lies elsewhere stays as it is: it may be on another disk, and others may use it."""
        return [
            f"Left as it is, outside of the portal's directory: {path}. Snapshot {self.pair.files.id} has it too."
            if os.path.lexists(path)
            else f"Not there, outside of the portal's directory: {path}. To have it, too, restore it as a file."
            for path in self._linked()
        ]

    def _linked(self) -> list[str]:
        ours = (self.saved, backups_portal.path_of(self.portal.site))
        return [path for path in self.pair.files.paths if path not in ours]

    def stage_file(self, path: str) -> None:
        """Fetch one file, or one directory, also of what links lead to."""
        live = os.path.normpath(os.path.join(self.root, path))
        if live.startswith(f"{self.saved}/"):  # as the backup calls it
            live = self.root + live.removeprefix(self.saved)
        desired = live
        if live.startswith(f"{self.root}/"):
            desired = self.saved + live.removeprefix(self.root)
        elif not any(below(live, linked) for linked in self._linked()):
            raise BackupError(f"{path} is not below {self.root}, nor in the backup besides.")
        self._fetch(restic.literal(desired))
        fetched = f"{self.staging}{desired}"
        if not os.path.lexists(fetched):
            raise BackupError(" ".join([*self.left, *self.missing.values()]) or f"{desired} is not in that backup.")
        self.swap(fetched, live)

    def stage_database(self) -> None:
        """Load the dump into a database of its own."""
        if not restore_tables.may_restore(self.portal):
            raise BackupError(
                "No database server runs on this host: install mariadb-server first."
                if self.portal.local
                else f"The database is on {self.portal.host}. Put the login of an account that may make databases "
                f"there into {restore_tables.login_file(self.portal)}, below [client], for as long as the restore "
                "takes."
            )
        if not self.journal["database"]:  # else the first try loaded it
            self._load()
        if self.journal["database"]["run"] != self.pair.run:
            self.older["the database"] = self.journal["database"]["run"]
        if self.portal.name in restore_tables.databases(self.portal):
            self._keep_objects()

    def _load(self) -> None:
        path = f"{self.staging}/database.sql"
        run, reading = self._dump(path)
        new = restore_tables.new_database(self.portal)
        made = f"{restore_tables.quoted(new)} CHARACTER SET utf8mb4"
        restore_tables.execute(self.portal, f"DROP DATABASE IF EXISTS {restore_tables.quoted(new)}")
        restore_tables.execute(self.portal, f"CREATE DATABASE {made}")
        with open(path, "rb") as stream:
            restore_tables.execute(self.portal, "", new, stream)
        if not set(reading.done().tables) <= set(restore_tables.tables(self.portal, new)):
            raise BackupError("Not every table of the dump could be loaded. Nothing was changed.")
        os.unlink(path)
        restore_tables.write_objects(self.portal, new, f"{self.staging}/{COMING}")
        restore_tables.execute(self.portal, restore_tables.drops(self.portal, new))
        moment = os.path.basename(self.kept).rpartition("-")[2]
        self.journal["database"] = {"new": new, "old": f"{self.portal.name[:40]}_before_{moment}", "run": run}
        self.write_down(FETCHING)

    def _dump(self, path: str) -> tuple[str, dump.Reading]:
        """The newest dump that can be read, and the run it is of."""
        problem = ""
        for place, pair in self.sources:
            try:
                with open(path, "wb") as output:
                    place.run("dump", pair.database.id, restic.DUMP, output=output)
                reading = dump.read(path)
                if reading.tail.endswith(dump.stamp(pair.run)):
                    return pair.run, reading
                problem = problem or "The dump in the backup is not whole, or of another run."
            except BackupError as unread:
                place.identity()  # as above
                problem = problem or str(unread)
        raise BackupError(f"{problem} Nothing was changed.")

    def _keep_objects(self) -> None:
        """Write down what cannot move aside. What is damaged cannot be written down, and is a reason to restore."""
        try:
            restore_tables.write_objects(self.portal, self.portal.name, f"{self.staging}/{GOING}", "--force")
        except BackupError as problem:
            self.left.append(f"Not all that was there could be written down in {self.kept}/{GOING}. {problem}")

    def _room(self, everything: bool) -> None:
        prefix = tuple(f"{self.saved}/{name}" for name in ("", *_FILES))[not everything :]
        needed = 0
        try:
            for node in self.place.nodes(self.pair.files.id):
                if node["path"].startswith(prefix):
                    needed += int(node.get("size", 0))
                    self.number += node["type"] == "file"
        except BackupError:  # what of it can be read is found out below
            self.number = 0
            return
        directory = os.path.dirname(self.staging)
        there = os.statvfs(directory)
        free = there.f_bavail * there.f_frsize
        if free < needed * 1.05 and not self.resumed:  # some of it is there then
            raise BackupError(f"{directory} has {free / 1e6:.0f} MB free, the restore needs {needed / 1e6:.0f}.")


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
    further = journal and journal["phase"] != FETCHING and part not in ("host", journal["part"])
    if further or journal.get("part") == UPDATE:
        raise BackupError(f"Nothing was changed. {backups_portal.unfinished(portal)}")


def finish(portal: Portal) -> list[str]:
    """Do what was written down and not done yet. Doing it twice does nothing."""
    journal = backups_portal.journal(portal)
    if not journal or journal["phase"] == FETCHING:
        return []
    if journal["phase"] == ABANDONING:
        roll_back(portal, journal)
        return []
    backups_portal.reach(portal, journal, CHANGING)
    staging, kept = journal["staging"], journal["kept"]
    lines = []
    try:
        bring(journal)
        if journal["database"]:
            new, old = journal["database"]["new"], journal["database"]["old"]
            further = restore_tables.change_tables(portal, new, old, f"{staging}/{COMING}")
            lines += [f"The database is back; what was there is in the database {old}.", *further]
    except (HardeningError, OSError) as problem:
        if restore_tables.lost(problem):
            raise
        roll_back(portal, journal, FETCHING)
        raise BackupError(f"{problem} Nothing was changed. {_kept(journal, portal)}") from problem
    keep(journal)
    if journal["swaps"]:
        lines.append(f"{len(journal['swaps'])} files or directories were restored; the old ones: {kept}.")
    lines += wake(portal)
    if journal["part"] != "file":
        lines.append("Settings are those of the backup as well: run the playbook harden again.")
    os.unlink(backups_portal.journal_path(portal))
    return lines


def keep(journal: Mapping[str, Any]) -> None:
    """What was there stays, with the statements that make anew what could not move aside."""
    staging, kept = journal["staging"], journal["kept"]
    going = f"{staging}/{GOING}"
    if os.path.lexists(going):
        os.makedirs(kept, 0o700, exist_ok=True)
        os.rename(going, f"{kept}/{GOING}")
    if os.path.lexists(staging):
        remove(staging)


def _before(portal: Portal) -> tuple[list[str], list[str]]:
    """What restores and updates moved aside: directories and databases, with all personal data."""
    parent, name = os.path.split(portal.directory)
    records = os.path.join(os.path.realpath(files.STATE), "backups")
    directories = []
    for directory, called in ((parent, name), (portal.directory, name), (records, portal.site)):
        aside = re.compile(rf"\.{re.escape(called)}\.{_ASIDE.replace('_', '-')}")
        names = os.listdir(directory) if os.path.isdir(directory) else []
        directories += [f"{directory}/{one}" for one in sorted(names) if aside.fullmatch(one)]
    databases = []
    if portal.name and restore_tables.may_restore(portal):
        known = restore_tables.databases(portal)
        databases = [one for one in known if re.fullmatch(f"{re.escape(portal.name[:40])}_{_ASIDE}", one)]
    return directories, databases


def kept(portal: Portal) -> list[str]:
    """What is still there from before a restore."""
    try:
        directories, databases = _before(portal)
    except BackupError as problem:
        return [f"What is kept from before a restore of {portal.domain} is unknown: {problem}"]
    words = [*directories, *(f"the database {database}" for database in databases)]
    return [
        f"Kept from before a restore of {portal.domain}: {', '.join(words)}. When all is well: "
        f"chamilo-hardening backup --site {portal.site} forget-before"
    ][: len(words)]


def forget_before(portal: Portal) -> list[str]:
    """Remove what restores moved aside."""
    with jobs.alone(portal, "restore", 60):
        if backups_portal.journal(portal):
            raise BackupError(f"{backups_portal.unfinished(portal)} Nothing was removed.")
        directories, databases = _before(portal)
        for database in databases:
            restore_tables.execute(portal, f"DROP DATABASE {restore_tables.quoted(database)}")
        for directory in directories:
            remove(directory)
    words = [*directories, *(f"The database {database}" for database in databases)]
    return [f"{one} is removed." for one in words] or ["Nothing is kept from before a restore."]


def abandon(portal: Portal) -> list[str]:
    """Roll back a restore that was interrupted: tables and files are as they were before it."""
    with jobs.alone(portal, "restore", 60):
        journal = backups_portal.journal(portal)
        if not journal:
            raise BackupError(f"No restore of {portal.domain} is unfinished. Nothing was changed.")
        _refuse_less(portal, "host")
        return roll_back(portal, journal)


def roll_back(portal: Portal, journal: dict[str, Any], then: str = "") -> list[str]:
    """``then``: the phase that follows, in which what was fetched stays; else nothing is left to be done."""
    staging, kept = journal["staging"], journal["kept"]
    if journal["phase"] in (FETCHING, STAGED):
        discard(portal, staging)
        os.unlink(backups_portal.journal_path(portal))
        return ["Nothing had been changed. What was fetched is removed."]
    if journal["phase"] != ABANDONING and journal["database"]:
        journal["moved"] = restore_tables.moved(portal, journal["database"])
    backups_portal.reach(portal, journal, ABANDONING)
    aside = kept.replace(".before-", ".abandoned-")
    lines = []
    if journal["database"]:
        going = next(filter(os.path.exists, (f"{where}/{GOING}" for where in (staging, kept, aside))), "")
        lines += restore_tables.return_tables(portal, journal["database"], going, journal["moved"])
    take_back(journal)
    if os.path.lexists(kept):  # directories of what was there
        restic.on_tree("find", kept, "-depth", "-type", "d", "-empty", "-delete")
    if then:
        journal["database"] = {}
        backups_portal.reach(portal, journal, then)
        return lines
    if os.path.lexists(staging):
        os.rename(staging, aside)
    if journal["swaps"]:
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
