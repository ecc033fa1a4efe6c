# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
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
import ctypes
import datetime
import errno
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import IO, Any

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import dump as backups_dump
from ansible_collections.chamilo.hardening.plugins.module_utils._backups import jobs, restic, saved_files
from ansible_collections.chamilo.hardening.plugins.module_utils._backups import portal as backups_portal
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import (
    ABANDONING,
    CHANGING,
    FETCHING,
    STAGED,
    BackupError,
    Portal,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import journal_path as _journal
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.restic import Pair, Repository
from ansible_collections.chamilo.hardening.plugins.module_utils._common import files as common_files
from ansible_collections.chamilo.hardening.plugins.module_utils._common import records as common_records
from ansible_collections.chamilo.hardening.plugins.module_utils._common import services
from ansible_collections.chamilo.hardening.plugins.module_utils._common.paths import mounts
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import walk
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.walk import PermsError, open_trusted
from ansible_collections.chamilo.hardening.plugins.module_utils._portal import database as portal_database
from ansible_collections.chamilo.hardening.plugins.module_utils._portal import dotenv
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Tree

PARTS = ("host", "database", "files", "file")
_FILES = ("var", "config", "public/plugin")  # and the environment files
_LEFT = (".git", "node_modules")  # in no backup
_EXCHANGE = 2
_ENDING = 30.0  # seconds
_SPARSE = 1 << 20  # bytes from which on holes in a file matter
_HERE = -100
# What cannot be moved with a table, as statements: what comes, what was there, and what of that hinders the move.
_COMING, _GOING, _TRIGGERS = "coming.sql", "views-and-programs.sql", "triggers.sql"
_OBJECTS = """
SELECT 'VIEW', TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA = {0}
UNION ALL SELECT 'TRIGGER', TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = {0}
UNION ALL SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = {0}
UNION ALL SELECT 'EVENT', EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = {0}"""
_STRANGERS = """
SELECT DISTINCT DEFINER FROM (
SELECT DEFINER FROM information_schema.VIEWS WHERE TABLE_SCHEMA = {0}
UNION ALL SELECT DEFINER FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = {0}
UNION ALL SELECT DEFINER FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = {0}
UNION ALL SELECT DEFINER FROM information_schema.EVENTS WHERE EVENT_SCHEMA = {0}
) AS named WHERE DEFINER NOT IN (SELECT CONCAT(User, '@', Host) FROM mysql.user)"""
_POINTING = """
SELECT TABLE_NAME, CONSTRAINT_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS
WHERE CONSTRAINT_SCHEMA = {0} AND UNIQUE_CONSTRAINT_SCHEMA = {1}"""
# Newer clients would print the statement that failed, with the passwords and rows in it. Older ones do not know this.
DISCREET = "--loose-skip-print-query-on-error"
_PACKET = 1 << 30  # the largest there is
# What the guide gives the application's account.
_RIGHTS = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX"


def restore(portal: Portal, part: str, path: str = "", run: str = "", source: str = "") -> list[str]:
    """Bring a part back. ``run``: how the name of a backup begins, else the newest; ``source``: local, offsite."""
    with jobs.alone(portal, "restore", 60):
        _refuse_less(portal, part)
        begun = backups_portal.journal(portal)
        lines = finish(portal)
        if lines and (begun["part"], begun["path"]) == (part, path) and begun.get("run", "").startswith(run):
            return ["The restore that was interrupted is resumed.", *lines]
        place, pair = _found(portal, run, source)
        when = datetime.datetime.fromtimestamp(pair.at, datetime.timezone.utc)
        lines.append(f"From the backup of {when:%Y-%m-%d %H:%M} UTC in {place.shown}:")
        work = _Work(portal, place, pair, part, path)
        try:
            work.write_down(FETCHING)
            work.clear()
            if part in ("host", "files"):
                work.stage_files(part == "host")
                lines += work.elsewhere()
            if part == "file":
                work.stage_file(path)
            if part in ("host", "database"):
                work.stage_database()
            lines += work.left
        except (BackupError, OSError):
            if not work.wanted:
                work.discard()  # a disk that is full would stay full
            with contextlib.suppress(FileNotFoundError):  # on a full disk there never was one
                os.unlink(_journal(portal))
            raise
        work.write_down()
        return lines + finish(portal)


def begin(site: str, url: str) -> Portal:
    """For a machine that knows nothing yet: how this portal is backed up stands in its backups."""
    place = Repository(Portal(site, site, "/", offsite=url), url)
    pairs = place.pairs()
    if not pairs:
        raise BackupError(f"{place.shown} holds no complete backup of {site}.")
    path = backups_portal.path_of(site)
    text, _complaint = place.run("dump", pairs[-1].files.id, path)
    portal = replace(backups_portal.parse(text, path), offsite=url)
    if not os.path.exists(path):  # with the address given: the one in the backup may be gone
        common_files.replace_file(path, json.dumps(asdict(portal), indent=1, sort_keys=True) + "\n")
    return portal


def runs(portal: Portal, source: str = "") -> list[str]:
    """The backups there are, that of the last run last."""
    place, _pair = _found(portal, "", source)
    return [
        f"{pair.run}  {datetime.datetime.fromtimestamp(pair.at):%Y-%m-%d %H:%M}"
        f"{'  dated in the future: the clock was wrong' if pair.ahead else ''}"
        for pair in place.pairs()
    ]


def _found(portal: Portal, run: str, source: str) -> tuple[Repository, Pair]:
    """The backup that is meant, in the nearest repository that has it."""
    known = {"local": portal.repository, "offsite": portal.offsite}
    places = [known[source]] if source else list(portal.places)
    problems = []
    for url in filter(None, places):
        place = Repository(portal, url)
        try:
            pairs = [pair for pair in place.pairs() if pair.run.startswith(run)]
        except BackupError as problem:
            problems.append(str(problem))
            continue
        if pairs:
            return place, pairs[-1]
        problems.append(f"{place.shown} holds no {'backup ' + run if run else 'complete backup'} of {portal.domain}.")
    raise BackupError(" ".join(problems) or f"{portal.domain} has no {source or 'repository'}.")


class _Work:
    """What is fetched beside the portal, before anything changes places."""

    def __init__(self, portal: Portal, place: Repository, pair: Pair, part: str = "host", path: str = "") -> None:
        self.portal = portal
        self.place = place
        self.pair = pair
        self.root = portal.folder
        self.saved = saved_files.saved_root(portal, place, pair.files)
        self.staging = _staging(portal, part != "database")
        self.kept = _kept(self.staging)
        self.left: list[str] = []  # what did not come back, or could not be kept
        self.wanted = False  # what was fetched, though nothing of it can change places
        self.journal: dict[str, Any] = {
            "part": part,
            "path": path,
            "run": pair.run,
            "since": common_files.now(),
            "staging": self.staging,
            "kept": self.kept,
            "swaps": [],
            "database": {},
        }

    def clear(self) -> None:
        """Begin anew, without what a restore fetched that was killed before anything changed places."""
        self.discard()
        folder, name = os.path.split(self.staging)
        os.makedirs(folder, exist_ok=True)
        handle = _open_roots_alone(folder)
        try:
            os.mkdir(f"/proc/self/fd/{handle}/{name}", 0o700)  # ours, and closed, before anything lies in it
        finally:
            os.close(handle)
        self.made = os.lstat(self.staging)

    def discard(self) -> None:
        _discard(self.portal, self.staging)

    def write_down(self, phase: str = STAGED) -> None:
        _reach(self.portal, self.journal, phase)

    def stage_files(self, everything: bool) -> None:
        """Fetch the whole folder, or what the application writes and is configured by."""
        self._refuse_mounts(everything)
        self._room(everything)
        chosen = [self.saved] if everything else [f"{self.saved}/{name}" for name in (*_FILES, ".env", ".env.*")]
        patterns = [
            f"--include={_literal(path) if not path.endswith('*') else _literal(path[:-1]) + '*'}" for path in chosen
        ]
        self._fetch(*patterns)
        fetched = f"{self.staging}{self.saved}"
        if not os.path.lexists(f"{fetched}/var"):  # a link may lead to what is not there yet
            raise BackupError(f"The backup holds no {self.saved}/var.")
        if not os.path.lexists(self.root):
            self._swap(fetched, self.saved)
            if self.saved != self.root:  # it lay behind a link, and links in it lead on from where it lay
                link = f"{self.staging}{self.root}"
                os.makedirs(os.path.dirname(link), exist_ok=True)
                os.symlink(os.path.relpath(self.saved, os.path.dirname(self.root)), link)
                self._swap(link, self.root)
            return
        names = os.listdir(fetched)
        if everything:  # what came later goes aside too
            names += [name for name in os.listdir(self.root) if name not in names and name not in _LEFT]
        for name in sorted(names):
            if name == "public" and not everything:
                self._swap(f"{fetched}/public/plugin", f"{self.root}/public/plugin")
            elif f"{self.root}/{name}" != self.staging:
                self._swap(f"{fetched}/{name}", f"{self.root}/{name}")

    def _refuse_mounts(self, everything: bool) -> None:
        """Before anything is fetched, which may take hours."""
        left = [f"{self.root}/{name}" for name in _LEFT]
        inside = [mount for mount in mounts() if mount != self.root and not any(_below(mount, path) for path in left)]
        for path in [self.root] if everything else [f"{self.root}/{name}" for name in _FILES]:
            _refuse_mount(path, [mount for mount in inside if _below(mount, path)])

    def _fetch(self, *patterns: str) -> None:
        if self.place.fetch(self.pair.files.id, self.staging, "--verify", *patterns):
            self.left.append(
                f"Files whose paths are too long did not come back. Snapshot {self.pair.files.id} has them. "
                "Because of them restic did not read the others once more after it wrote them."
            )
        if not os.path.samestat(os.lstat(self.staging), self.made):
            raise BackupError(f"{self.staging} was exchanged while the backup was fetched. Nothing was changed.")
        self._holes()

    def elsewhere(self) -> list[str]:
        """What links lead to stays as it is: it may be on another disk, and others may use it."""
        return [
            f"Left as it is, because a link leads there: {path}. Snapshot {self.pair.files.id} has it too."
            if os.path.lexists(path)
            else f"A link leads to {path}, which is not there. To bring it back as well, restore this file or folder."
            for path in self._linked()
        ]

    def _linked(self) -> list[str]:
        ours = (self.saved, backups_portal.path_of(self.portal.site))
        return [path for path in self.pair.files.paths if path not in ours]

    def stage_file(self, path: str) -> None:
        """Fetch one file, or one folder, also of what links lead to."""
        live = os.path.normpath(os.path.join(self.root, path))
        if live.startswith(f"{self.saved}/"):  # as the backup calls it
            live = self.root + live.removeprefix(self.saved)
        wanted = live
        if live.startswith(f"{self.root}/"):
            wanted = self.saved + live.removeprefix(self.root)
        elif not any(_below(live, linked) for linked in self._linked()):
            raise BackupError(f"{path} is not below {self.root}, nor does a link of the backup lead there.")
        self._fetch(f"--include={_literal(wanted)}")
        fetched = f"{self.staging}{wanted}"
        if not os.path.lexists(fetched):
            if self.left:
                raise BackupError(" ".join(self.left))
            raise BackupError(f"{wanted} is not in that backup.{self._alike(os.path.basename(wanted))}")
        self._swap(fetched, live)

    def _alike(self, name: str) -> str:
        every = (node["path"] for node in self.place.nodes(self.pair.files.id))
        alike = [path for path in every if path.endswith(f"/{name}")][:5]
        return f" Did you mean {' or '.join(alike)}?" if alike else ""

    def stage_database(self) -> None:
        """Load the dump into a database of its own."""
        if not _may_restore(self.portal):
            raise BackupError(
                "No database server runs on this host: install mariadb-server first."
                if self.portal.local
                else f"The database is on {self.portal.host}. Put the login of an account that may make databases "
                f"there into {_login(self.portal)}, below [client], for as long as the restore takes."
            )
        path = f"{self.staging}/database.sql"
        with open(path, "xb") as output:
            self.place.run("dump", self.pair.database.id, restic.DUMP, output=output)
        reading = backups_dump.Reading()
        with open(path, "rb") as stream:
            for part in iter(lambda: stream.read(1 << 20), b""):
                reading.take(part)
        if not reading.tail.endswith(backups_dump.stamp(self.pair.run)):
            raise BackupError("The dump in the backup is not whole, or of another run. Nothing was changed.")
        new = _restoring(self.portal)
        _sql(self.portal, f"CREATE DATABASE {_quoted(new)} CHARACTER SET utf8mb4")
        with open(path, "rb") as stream, _large_rows(self.portal):
            _sql(self.portal, "", new, stream)
        if not set(reading.done().tables) <= set(_tables(self.portal, new)):
            raise BackupError("Not every table of the dump could be loaded. Nothing was changed.")
        os.unlink(path)
        _write_objects(self.portal, new, f"{self.staging}/{_COMING}")
        _sql(self.portal, _drops(self.portal, new))
        if _rows(self.portal, f"SHOW DATABASES WHERE `Database` = {_text(self.portal.name)}"):
            self._keep_objects()
        moment = os.path.basename(self.kept).rpartition("-")[2]
        self.journal["database"] = {"new": new, "old": f"{self.portal.name[:40]}_before_{moment}"}

    def _keep_objects(self) -> None:
        """Write down what cannot move aside. What is damaged cannot be written down, and is a reason to restore."""
        for write, name in ((_write_triggers, _TRIGGERS), (_write_objects, _GOING)):
            try:
                write(self.portal, self.portal.name, f"{self.staging}/{name}", "--force")
            except BackupError as problem:
                self.left.append(f"Not all that was there could be written down in {self.kept}/{name}. {problem}")

    def _room(self, everything: bool) -> None:
        prefix = tuple(f"{self.saved}/{name}" for name in ("", *_FILES))[not everything :]
        needed = 0
        for node in self.place.nodes(self.pair.files.id):
            if node["path"].startswith(prefix):
                needed += self._occupied(node["path"], int(node.get("size", 0)))
        folder = os.path.dirname(self.staging)
        there = os.statvfs(folder)
        free = there.f_bavail * there.f_frsize
        if free < needed * 1.05:
            raise BackupError(f"{folder} has {free / 1e6:.0f} MB free, the restore needs {needed / 1e6:.0f}.")

    def _occupied(self, saved: str, size: int) -> int:
        """What a file will occupy: where it is still in use as it was, and sparse, less than its size."""
        if size > _SPARSE and restic.restores_sparse():
            with contextlib.suppress(OSError):
                used = os.lstat(self.root + saved.removeprefix(self.saved))
                if stat.S_ISREG(used.st_mode) and used.st_size == size:
                    return min(size, used.st_blocks * 512)
        return size

    def _holes(self) -> None:
        """Report which files came back sparse, or no longer are."""
        listed = ["find", self.staging, "-type", "f", "-size", f"+{_SPARSE // 1024}k", "-printf", "%b %s %P\\0"]
        told = subprocess.run(listed, stdout=subprocess.PIPE, env=restic.environment(), check=False).stdout
        kept, lost = [], []
        for blocks, size, name in (line.split(b" ", 2) for line in told.split(b"\0") if line):
            path = ascii(f"/{os.fsdecode(name)}")[1:-1]
            if int(blocks) * 512 < int(size) * 0.9:
                kept.append(path)
            elif self._was_sparse(f"/{os.fsdecode(name)}", int(size)):
                lost.append(path)
        for paths, words in (
            (kept, "Sparse files came back with their holes"),
            (lost, "Sparse files came back without their holes, for which restic 0.15 or later is needed"),
        ):
            if paths:
                more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
                self.left.append(f"{words}: {', '.join(paths[:3])}{more}.")

    def _was_sparse(self, saved: str, size: int) -> bool:
        try:
            used = os.lstat(self.root + saved.removeprefix(self.saved))
        except OSError:
            return False
        return stat.S_ISREG(used.st_mode) and used.st_size == size and used.st_blocks * 512 < size * 0.9

    def _swap(self, fetched: str, live: str) -> None:
        """Note what is to change places, and refuse while nothing was changed what could not."""
        _refuse_mount(live, [mount for mount in mounts() if _below(mount, live)])
        above = os.path.dirname(live)
        while not os.path.lexists(above):
            above = os.path.dirname(above)
        if _disk(above) != _disk(os.path.dirname(self.staging)):
            self.wanted = True
            raise BackupError(
                f"{live} is on another file system than {self.staging}, so it cannot change places. "
                f"Nothing was changed. What came back is {fetched}: copy it from there."
            )
        try:
            os.close(open_trusted(above))
        except PermsError as problem:
            raise BackupError(f"{problem} Nothing was changed.") from problem
        inode = os.lstat(fetched).st_ino if os.path.lexists(fetched) else 0
        self.journal["swaps"].append([fetched, live, inode, above])


# ------------------------------------------------------------------------------------------------- changing places


class Unchanged(BackupError):
    """What was to change places may not, and did not."""


def _reach(portal: Portal, journal: dict[str, Any], phase: str) -> None:
    """Write the journal, before anything of a phase is done."""
    journal["phase"] = phase
    common_files.replace_file(_journal(portal), json.dumps(journal, indent=1) + "\n")


def _refuse_less(portal: Portal, part: str) -> None:
    """Who asks for one file has not agreed to what a restore of more would still do that was killed."""
    journal = backups_portal.journal(portal)
    unfinished = journal.get("part", "host")
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
        _abandon(portal, journal)
        return []
    lines = []
    try:
        if journal["phase"] == STAGED:
            _rehearse(journal["swaps"])
            _reach(portal, journal, CHANGING)
        if journal["database"]:
            lines += _change_tables(portal, journal["database"], journal["staging"], journal["kept"])
    except Unchanged:
        os.unlink(_journal(portal))  # first: it must not be taken for one whose tables are in their place
        _discard(portal, journal["staging"])
        raise
    if os.path.lexists(journal["staging"]):  # else all is in its place, and what came there since stays
        for fetched, live, inode, *_above in journal["swaps"]:
            _change_places(fetched, live, inode)
        os.rename(journal["staging"], journal["kept"])
    if journal["swaps"]:
        lines.append(f"{len(journal['swaps'])} files or folders are back; what was there is in {journal['kept']}.")
    lines += _wake(portal)
    os.unlink(_journal(portal))
    return lines


def _rehearse(swaps: Sequence[Sequence[Any]]) -> None:
    """Do each exchange and undo it at once. One that cannot be done is a reason to change nothing."""
    for swap in reversed(swaps):  # a rehearsal may have been killed
        _put_back(*swap)
    for fetched, live, inode, *above in swaps:
        refused: Exception | None = None
        try:
            _change_places(fetched, live, inode)
        except (BackupError, PermsError, OSError) as problem:
            refused = problem
        _put_back(fetched, live, inode, *above)
        if refused:
            why = (getattr(refused, "strerror", "") or str(refused)).rstrip(".")
            hint = f" Something may be immutable: lsattr -d {shlex.quote(live)} {shlex.quote(os.path.dirname(live))}"
            hint = hint if os.strerror(errno.EPERM) in why else ""
            raise Unchanged(f"{live} cannot be replaced: {why}. Nothing was changed.{hint}") from refused


def abandon(portal: Portal) -> list[str]:
    """Roll back a restore that was interrupted: tables and files are as they were before it."""
    with jobs.alone(portal, "restore", 60):
        journal = backups_portal.journal(portal)
        if not journal:
            raise BackupError(f"No restore of {portal.domain} is unfinished. Nothing was changed.")
        return _abandon(portal, journal)


def _abandon(portal: Portal, journal: dict[str, Any]) -> list[str]:
    staging, kept, swaps = journal["staging"], journal["kept"], journal["swaps"]
    if journal["phase"] in (FETCHING, STAGED):
        for swap in reversed(swaps):
            _put_back(*swap)
        _discard(portal, staging)
        os.unlink(_journal(portal))
        return ["Nothing had been changed for good. What was fetched is removed."]
    if journal["phase"] != ABANDONING and journal["database"]:
        _end_renames(portal)
        journal["moved"] = not _tables(portal, journal["database"]["new"])
    _reach(portal, journal, ABANDONING)
    lines = []
    aside = kept.replace(".before-", ".abandoned-")
    base = next(filter(os.path.lexists, (staging, kept, aside)))
    if journal["database"]:
        lines += _return_tables(portal, journal["database"], base, journal["moved"])
    if base != aside:  # else all was done but the end
        for fetched, *rest in reversed(swaps):
            _put_back(base + fetched.removeprefix(staging), *rest)
        os.rename(base, aside)
    if swaps:
        lines.append(f"Files and directories are as they were before; what had come from the backup is in {aside}.")
    lines += _wake(portal)
    os.unlink(_journal(portal))
    return lines


def _put_back(fetched: str, live: str, inode: int, above: str = "") -> None:
    """Undo ``_change_places``, as far as it got: what was in use before is in use again.

    An exchange that takes several steps may have been killed in between, forwards or backwards.
    """
    aside = f"{fetched}.aside"
    waiting, used, third = (os.lstat(path).st_ino if os.path.lexists(path) else 0 for path in (fetched, live, aside))
    if inode and inode in (used, third) or inode and third or not inode and waiting:
        with _open(os.path.dirname(fetched), os.path.dirname(live)) as folder:
            path = f"{folder}/{os.path.basename(live)}"
            if third and third == inode:
                if not used:
                    os.rename(fetched, path)
                os.rename(aside, fetched)
            elif third:
                if used:
                    os.rename(path, fetched)
                os.rename(aside, path)
            elif waiting and used:
                exchange(fetched, path)
            elif waiting:
                os.rename(fetched, path)
            else:
                os.rename(path, fetched)
    way = os.path.dirname(live)
    if above and inode and not os.path.lexists(live):  # what was made for it alone
        while way != above and _below(way, above):
            if os.path.lexists(way):
                with contextlib.suppress(OSError, PermsError), _open(above, os.path.dirname(way)) as folder:
                    os.rmdir(f"{folder}/{os.path.basename(way)}")
            way = os.path.dirname(way)


def _change_places(fetched: str, live: str, inode: int) -> None:
    """What was fetched goes where it belongs, what was there goes where that lay."""
    waiting = os.lstat(fetched).st_ino if os.path.lexists(fetched) else 0
    if waiting != inode:
        if not waiting and os.path.lexists(f"{fetched}.aside"):
            os.rename(f"{fetched}.aside", fetched)
        return  # done before
    if not inode and not os.path.lexists(live):
        return
    with _open(os.path.dirname(fetched), os.path.dirname(live)) as folder:
        there = f"{folder}/{os.path.basename(live)}"
        if not inode:  # it came after the backup
            os.makedirs(os.path.dirname(fetched), 0o700, exist_ok=True)
            os.rename(there, fetched)
        elif os.path.lexists(there):
            exchange(fetched, there)
        else:
            os.rename(fetched, there)
            if os.path.lexists(f"{fetched}.aside"):  # an exchange in several steps was killed after the first
                os.rename(f"{fetched}.aside", fetched)


@contextlib.contextmanager
def _open(fetched: str, live: str) -> Iterator[str]:
    """The way to a folder that is open: the web user, who may own it, can lay no link into that way any more."""
    handle = _make_way(fetched, live)
    try:
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)


def _make_way(fetched: str, live: str) -> int:
    """Open a folder; make it, and those above, as they were in the backup."""
    if os.path.lexists(live):
        return open_trusted(live)
    with _open(os.path.dirname(fetched), os.path.dirname(live)) as above:
        os.mkdir(f"{above}/{os.path.basename(live)}", 0o700)
        handle = os.open(f"{above}/{os.path.basename(live)}", os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    known = os.stat(fetched)
    os.fchown(handle, known.st_uid, known.st_gid)
    os.fchmod(handle, stat.S_IMODE(known.st_mode))
    return handle


def exchange(one: str, other: str) -> None:
    """Two paths change places in one step."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0:
        return
    code = ctypes.get_errno()
    if code not in (errno.EINVAL, errno.ENOSYS):
        place = os.path.realpath(os.path.dirname(other)) + "/" + os.path.basename(other)
        raise BackupError(f"{place} cannot change places with {one}: {os.strerror(code)}.")
    aside = f"{one}.aside"  # a file system that cannot do it in one step
    os.rename(other, aside)
    os.rename(one, other)
    os.rename(aside, one)


def _change_tables(portal: Portal, names: Mapping[str, str], staging: str, kept: str) -> list[str]:
    new, old, live = names["new"], names["old"], portal.name
    coming, going = f"{staging}/{_COMING}", f"{staging}/{_GOING}"
    fresh = _tables(portal, new)
    if fresh:  # else it was done before
        present = _tables(portal, live)
        moves = [f"{_quoted(live)}.{_quoted(name)} TO {_quoted(old)}.{_quoted(name)}" for name in present]
        moves += [f"{_quoted(new)}.{_quoted(name)} TO {_quoted(live)}.{_quoted(name)}" for name in fresh]
        triggers = _drops(portal, live, "TRIGGER")
        try:
            _sql(
                portal,
                f"SET SESSION lock_wait_timeout = 60; "
                f"CREATE DATABASE IF NOT EXISTS {_quoted(live)} CHARACTER SET utf8mb4; "
                f"CREATE DATABASE IF NOT EXISTS {_quoted(old)} CHARACTER SET utf8mb4; "
                f"{triggers}; RENAME TABLE {', '.join(moves)}",
            )
        except BackupError as problem:
            if _lost(problem) or _tables(portal, new) != fresh or _tables(portal, old):
                raise
            words = f"{problem} The tables could not change places.{_advice(live, problem)}"
            try:
                _load(portal, live, f"{staging}/{_TRIGGERS}")
            except BackupError as another:
                raise BackupError(f"{words} Nor could triggers be put back. {another}") from problem
            _sql(portal, f"DROP DATABASE IF EXISTS {_quoted(old)}")
            same = sorted(_drops(portal, live, "TRIGGER").split("; ")) == sorted(triggers.split("; "))
            raise Unchanged(
                f"{words} {'Nothing was changed.' if same else 'Nothing was changed, but triggers of it are gone.'}"
            ) from problem
    if os.path.exists(coming):
        _sql(portal, _drops(portal, live))
        _load(portal, live, coming)
    _sql(portal, f"DROP DATABASE IF EXISTS {_quoted(new)}")
    lines = [f"The database is back; what was there is in the database {old}."]
    if os.path.exists(going) and b"CREATE" in _read(going):
        lines.append(f"Views, triggers, routines and events that were there are in {kept}/{_GOING}.")
    return [*lines, *_cut(portal, old, live), *_strangers(portal, live)]


def _end_renames(portal: Portal) -> None:
    """End the statement that moves the tables: the server may go on with it after its client was killed."""
    ours = _text(f"RENAME TABLE %{_restoring(portal)}%")
    moving = f"FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND INFO LIKE {ours}"
    end = time.monotonic() + _ENDING
    while True:
        running = _rows(portal, f"SELECT ID {moving}")
        if not running:
            return
        if time.monotonic() > end:
            raise BackupError("The server still moves tables. See SHOW FULL PROCESSLIST, then roll back again.")
        for number in running:
            with contextlib.suppress(BackupError):  # it has ended just now
                _sql(portal, f"KILL {int(number)}")
        time.sleep(0.2)


def _return_tables(portal: Portal, names: Mapping[str, str], base: str, moved: bool) -> list[str]:
    """Undo ``_change_tables``, as far as it got. What came from the backup, and was changed since, is kept aside."""
    new, old, live = names["new"], names["old"], portal.name
    aside = f"{live[:40]}_abandoned_{old.rpartition('_')[2]}"[:64]
    lines = []
    if not moved:
        _load(portal, live, f"{base}/{_TRIGGERS}")  # they go before the tables do
        lines.append("The tables had not changed places.")
    else:
        if not _tables(portal, aside):
            _cut(portal, old, live)
            moves = [
                f"{_quoted(live)}.{_quoted(name)} TO {_quoted(aside)}.{_quoted(name)}" for name in _tables(portal, live)
            ]
            moves += [
                f"{_quoted(old)}.{_quoted(name)} TO {_quoted(live)}.{_quoted(name)}" for name in _tables(portal, old)
            ]
            _sql(
                portal,
                f"SET SESSION lock_wait_timeout = 60; "
                f"CREATE DATABASE IF NOT EXISTS {_quoted(aside)} CHARACTER SET utf8mb4; "
                f"{_drops(portal, live)}; {f'RENAME TABLE {chr(44).join(moves)}' if moves else 'DO 0'}",
            )
        lines += _cut(portal, live, aside)
        _sql(portal, _drops(portal, live))
        _load(portal, live, f"{base}/{_GOING}")
        lines.append(f"The tables are as they were before; those from the backup are in the database {aside}.")
    _sql(portal, f"DROP DATABASE IF EXISTS {_quoted(new)}; DROP DATABASE IF EXISTS {_quoted(old)}")
    return lines


def _lost(problem: BackupError) -> bool:
    """Whether the client lost the server, so that nobody knows whether it still does what it was asked."""
    return bool(re.search(r"\bERROR 2\d{3} ", str(problem)))


def _advice(live: str, problem: BackupError) -> str:
    """What to do about tables that stay where they are."""
    damaged = re.search(r"\bERROR (?:1025|1033|1932) .*?['./](?!/)([^'./]+)(?:\.frm)?'", str(problem))
    if damaged:
        name = f"{_quoted(live)}.{_quoted(damaged[1])}"
        return (
            f" The table {name} is damaged and cannot be moved aside. Repair it, or save what can still be read of it "
            f"and remove it with the statements SET foreign_key_checks = 0; DROP TABLE {name}; then restore again."
        )
    if "ERROR 1030 " in str(problem):  # a trigger of such a table
        return f" A table may be damaged: mariadb-check --databases {shlex.quote(live)} says which."
    if "ERROR 1205 " in str(problem):
        return " Something uses them for long: see SHOW FULL PROCESSLIST, let it end or KILL it, then restore again."
    return ""


def _cut(portal: Portal, old: str, live: str) -> list[str]:
    """Have no table that was moved aside point to the tables in use: it would go on refusing or following deletions."""
    pointing = [line.split("\t", 1) for line in _rows(portal, _POINTING.format(_text(old), _text(live)))]
    for table, name in pointing:
        _sql(portal, f"ALTER TABLE {_quoted(old)}.{_quoted(table)} DROP FOREIGN KEY {_quoted(name)}")
    if not pointing:
        return []
    named = ", ".join(f"{name} of {table}" for table, name in pointing)
    return [f"Foreign keys in {old} pointed to tables of the portal in use and were removed: {named}."]


def _strangers(portal: Portal, live: str) -> list[str]:
    """Only advice: who may do the rest may still not be allowed to list accounts."""
    try:
        strangers = _rows(portal, _STRANGERS.format(_text(live)))
    except BackupError as problem:
        return [f"Whether views, triggers, routines or events name accounts that are not there is unknown. {problem}"]
    named = ", ".join(strangers)
    return [f"Views, triggers, routines or events name accounts that are not there: {named}."] if strangers else []


def _wake(portal: Portal) -> list[str]:
    """Have the application see what came back: PHP keeps the program in memory."""
    lines = _account(portal)
    if portal.php_service:
        problem = services.Machine().service("reload", portal.php_service)
        lines += [problem] if problem else []
    return lines


_LOCKED = (
    "The files that came back name the database account {user}, from which the section database had taken the rights "
    "meanwhile. Give them back, and harden again: ansible-playbook chamilo.hardening.harden --tags database "
    "-e chamilo_database_state=absent"
)


def _account(portal: Portal) -> list[str]:
    """On a fresh machine the application's account is missing: make it, with the rights the guide gives it."""
    if not portal.local or not _may_restore(portal) or not os.path.isdir(portal.folder):
        return []
    known = dotenv.read(Tree(), portal.folder, web_user=portal.web_user)
    if not known.files:
        return list(known.problems)
    user, password = known.get("DATABASE_USER"), known.secret("DATABASE_PASSWORD")
    if not user or user == "root":
        return []
    if _rows(portal, f"SELECT 1 FROM mysql.user WHERE User = {_text(user)} LIMIT 1"):
        old = common_records.read(f"database-{portal.site}.json").get("old", {})
        # Its backup is older than the move, and what reads the database as the portal does cannot go on from here.
        locked = any(who.startswith(f"{user}@") for who in old)
        return [_LOCKED.format(user=user)] if locked else []
    for host in ("localhost", "127.0.0.1"):
        account = f"{_text(user)}@{_text(host)}"
        _sql(
            portal,
            f"CREATE USER {account} IDENTIFIED BY {_text(password)}; "
            f"GRANT {_RIGHTS} ON {_quoted(portal.name).replace('_', chr(92) + '_')}.* TO {account}",
        )
    return [f"The database account {user} was made anew."]


# ------------------------------------------------------------------------------------------------- small things


def _staging(portal: Portal, files: bool = True) -> str:
    """Beside the portal's folder, inside where that is a file system of its own, or else where our records are.

    From there ``files`` can change places with the portal's, and nobody else can lead them elsewhere. No pattern
    matches a dot.
    """
    root = portal.folder
    parent, name = os.path.split(root)
    records = os.path.join(os.path.realpath(common_files.STATE), "backups")
    problems = []
    for folder, called in ((parent, name), (root, name), (records, portal.site)):
        if _disk(folder) == _disk(root) or folder == records and not files:
            try:
                os.close(_open_roots_alone(folder))
                return f"{folder}/.{called}.restoring"
            except BackupError as problem:
                problems.append(problem)
    raise problems[0]


def _discard(portal: Portal, staging: str) -> None:
    """Remove what was fetched."""
    if os.path.lexists(staging):
        os.close(_open_roots_alone(os.path.dirname(staging)))
        restic.on_tree("rm", "-rf", "--", staging)
    if _may_restore(portal):
        _sql(portal, f"DROP DATABASE IF EXISTS {_quoted(_restoring(portal))}")


def _disk(path: str) -> tuple[int, str]:
    """The file system of a path, or of where it would be, and where that is mounted."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return os.stat(path).st_dev, max((mount for mount in mounts() if _below(path, mount)), key=len, default="/")


def _refuse_mount(path: str, mounted: Sequence[str]) -> None:
    if mounted:
        raise BackupError(
            f"{mounted[0]} is a file system of its own, which cannot change places. Nothing was changed. Unmount "
            "it first; afterwards mount it elsewhere, and copy what came back onto it."
        )


def _below(path: str, folder: str) -> bool:
    return f"{path}/".startswith(f"{folder.rstrip('/')}/")


def _open_roots_alone(path: str) -> int:
    """Open a folder, or the nearest above it, on a way on which root alone can move or exchange anything."""
    here, way = os.open("/", os.O_DIRECTORY | os.O_CLOEXEC), "/"
    try:
        for name in [*filter(None, path.split("/")), ""]:
            status = os.fstat(here)
            shared = status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX
            if shared or status.st_uid not in (0, os.geteuid()):
                raise BackupError(
                    f"{way} can be written by others than root ({walk.rights(status)}): they could lead what is "
                    f"fetched to elsewhere. Nothing was changed. Give it to root first: chown root:root {way} && "
                    f"chmod go-w {way}"
                )
            if not name or not os.path.lexists(f"/proc/self/fd/{here}/{name}"):
                break
            below = os.open(name, os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            os.close(here)
            here, way = below, os.path.join(way, name)
        return here
    except (BackupError, OSError):
        os.close(here)
        raise


def _kept(staging: str) -> str:
    now = datetime.datetime.now(datetime.timezone.utc)
    return f"{os.path.splitext(staging)[0]}.before-{now:%Y%m%dT%H%M%SZ}"


def _restoring(portal: Portal) -> str:
    return f"{portal.name[:50]}_restoring"


def _literal(path: str) -> str:
    """A path as a pattern of restic that stands for itself."""
    return re.sub(r"([*?\[\]\\])", r"\\\1", path)


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _socket(portal: Portal) -> str:
    return portal.socket or portal_database.SOCKET


def _login(portal: Portal) -> str:
    return f"{backups_portal.CONFIGURATION}/restore-{portal.site}.cnf"


def _may_restore(portal: Portal) -> bool:
    """Whether we know a server, and may do everything there."""
    return os.path.exists(_socket(portal) if portal.local else _login(portal))


def _server(portal: Portal) -> list[str]:
    """How the programs of the server log in: as root of the one on this host, or as told on another."""
    if portal.local:
        return ["--no-defaults", "--user=root", f"--socket={_socket(portal)}"]
    there = [f"--defaults-file={_login(portal)}", f"--host={portal.host}", f"--port={portal.port}"]
    authority = portal_database.authority(portal.host)
    return [*there, f"--ssl-ca={authority}", "--ssl-verify-server-cert"] if authority else there


def _sql(portal: Portal, sql: str, database: str = "", source: IO[bytes] | None = None) -> str:
    """Statements go through the input: no password is in the process list."""
    program = shutil.which("mariadb", path=restic.environment()["PATH"]) or "mysql"
    options = [DISCREET, "--binary-mode", "--batch", "--skip-column-names", "--max-allowed-packet=1G"]
    options += ["--default-character-set=utf8mb4", *([f"--database={database}"] if database else [])]
    with tempfile.TemporaryFile() as statements:
        statements.write(f"{sql};\n".encode())
        statements.seek(0)
        return _asked([program, *_server(portal), *options], source or statements).decode(errors="replace")


def _asked(command: Sequence[str], source: IO[bytes] | int, output: IO[bytes] | int = subprocess.PIPE) -> bytes:
    done = subprocess.run(
        [*restic.LEASH, *command],
        stdin=source,
        stdout=output,
        stderr=subprocess.PIPE,
        env=restic.environment(),
        check=False,
    )
    if done.returncode:
        raise BackupError(f"The database server refused: {complaint(done.stderr)}")
    return done.stdout or b""


def complaint(words: bytes) -> str:
    """What a program of the server complains of, without the statement, which may hold passwords and rows."""
    lines = words.decode(errors="replace").strip().splitlines()
    return " ".join([line for line in lines if line.startswith("ERROR ")] or lines[-1:])[-300:]


@contextlib.contextmanager
def _large_rows(portal: Portal) -> Iterator[None]:
    """Have the server take rows as large as a dump holds them, where it lets us say so."""
    usual = int(_sql(portal, "SELECT @@GLOBAL.max_allowed_packet"))
    raised = usual < _PACKET
    if raised:
        try:
            _sql(portal, f"SET GLOBAL max_allowed_packet = {_PACKET}")
        except BackupError:
            raised = False
    try:
        yield
    except BackupError as problem:
        if usual < _PACKET and not raised and re.search(r"\bERROR (?:1153|2006) ", str(problem)):
            raise BackupError(
                f"{problem} The server takes no row larger than {usual} bytes, and the account may not change that. "
                "Nothing was changed. Set max_allowed_packet of the server to 1G, then restore again."
            ) from problem
        raise
    finally:
        if raised:
            with contextlib.suppress(BackupError):  # a server that is gone comes back with what it had
                _sql(portal, f"SET GLOBAL max_allowed_packet = {usual}")


def _rows(portal: Portal, sql: str) -> list[str]:
    return _sql(portal, sql).splitlines()


def _tables(portal: Portal, database: str) -> Sequence[str]:
    """All that can be moved to another database."""
    where = f"TABLE_SCHEMA = {_text(database)} AND TABLE_TYPE <> 'VIEW'"
    return sorted(_rows(portal, f"SELECT TABLE_NAME FROM information_schema.TABLES WHERE {where}"))


def _drops(portal: Portal, database: str, only: str = "") -> str:
    """The statements that remove what cannot be moved."""
    found = [line.split("\t", 1) for line in _rows(portal, _OBJECTS.format(_text(database)))]
    drops = [f"DROP {kind} IF EXISTS {_quoted(database)}.{_quoted(name)}" for kind, name in found if only in ("", kind)]
    return "; ".join(drops) or "DO 0"


def _write_objects(portal: Portal, database: str, path: str, *more: str) -> None:
    """The statements that make anew what cannot be moved."""
    views = _rows(portal, f"SELECT TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA = {_text(database)}")
    dump = [*_no_data(portal), *more]
    with open(path, "xb") as output:
        every = ["--no-create-info", "--add-drop-trigger", "--routines", "--events", "--", database]
        _asked([*dump, *every], subprocess.DEVNULL, output)
        if views:
            _asked([*dump, "--skip-triggers", "--", database, *views], subprocess.DEVNULL, output)


def _write_triggers(portal: Portal, database: str, path: str, *more: str) -> None:
    with open(path, "xb") as output:
        options = [*more, "--no-create-info", "--add-drop-trigger", "--", database]
        _asked([*_no_data(portal), *options], subprocess.DEVNULL, output)


def _no_data(portal: Portal) -> list[str]:
    return [
        backups_dump.program(),
        *_server(portal),
        "--default-character-set=utf8mb4",
        "--single-transaction",
        "--no-data",
    ]


def _load(portal: Portal, database: str, path: str) -> None:
    if os.path.exists(path):
        with open(path, "rb") as stream:
            _sql(portal, "", database, stream)


def _read(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()
