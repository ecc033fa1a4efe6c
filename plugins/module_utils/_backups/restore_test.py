# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore test: the newest backup is restored into a scratch directory, compared, and started up to its login page.

It reads the repository that is farthest away. What it starts (a database server of its own, PHP) runs as an account
that owns nothing else, without a network (sandbox.py). The portal in use is only read.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import glob
import hashlib
import json
import os
import random
import re
import stat
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .._common import files, records
from .._common.paths import open_path
from .._common.sentences import first_of
from . import dump as backups_dump
from . import jobs, restic, sandbox, saved_files
from . import portal as backups_portal
from .portal import BackupError, Portal
from .proof import fingerprint
from .restic import Pair, Repository
from .restore_tables import quoted
from .sandbox import Server

_FILES, _BYTES, _LARGEST = 200, 1 << 30, 200 << 20  # of the sample
_READ_ALL = 2 << 30  # a repository of this size is read whole each time, a larger one in turn
_BASE = 300 << 20  # a database server without data, and the cache of the application
_KEPT = 100  # results
_BLOCK = 1 << 20
_LONGEST = 3900  # bytes of a path that comes back also in a scratch directory: the kernel takes 4095
_EVERY, _PATIENCE = ".drills", 6 * 3600.0  # the name of their lock; seconds for the restore test of another portal
_BULK = ("var/upload", "var/courses", "var/log")  # of these only a sample comes back
_DEFINER = re.compile(rb"(?:/\*!\d+ )?(?:CREATE\b[^`']*?)?\bDEFINER=(`(?:[^`]|``)*`@`(?:[^`]|``)*`)")


def restore_test(portal: Portal, accept: bool = False) -> list[str]:
    """Test that the newest backup can be restored. What is wrong is recorded and reported; then it is raised."""
    # One on the whole host: whatever runs as the account of restore tests is ended when one begins.
    with jobs.alone(replace(portal, site=_EVERY), "drill", _PATIENCE), jobs.alone(portal, "drill", 600):
        memory = backups_portal.remembered(portal)
        began = time.time()
        attempt = _RestoreTest(portal, memory, accept)
        problem = ""
        try:
            attempt.run()
        except Exception as stopped:  # whatever it was, it is reported
            problem = str(stopped) or type(stopped).__name__
        words = problem or " ".join(attempt.lines)
        result = {"began": began, "seconds": time.time() - began, "ok": not problem, "detail": words}
        if problem:
            jobs.failed(portal, ["drill"], "The restore test failed", problem)
            _write(portal, result)
            raise BackupError(problem)
        _write(portal, result)
        backups_portal.note(portal, "drill", True, words)
        backups_portal.remember(portal, memory)
    return attempt.lines


def _write(portal: Portal, result: dict[str, Any]) -> None:
    """A dated result. The newest hundred are kept."""
    directory = os.path.join(files.STATE, "backups", "drills")
    now = datetime.datetime.now(datetime.timezone.utc)
    path = os.path.join(directory, f"{portal.site}-{now:%Y%m%dT%H%M%SZ}.json")
    files.replace_file(path, json.dumps(result, indent=1, sort_keys=True) + "\n")
    for old in sorted(glob.glob(os.path.join(directory, f"{glob.escape(portal.site)}-????????T??????Z.json")))[:-_KEPT]:
        os.unlink(old)


@dataclass(frozen=True)
class File:
    path: str
    size: int
    modified: float


class _RestoreTest:
    def __init__(self, portal: Portal, memory: dict[str, Any], accept: bool) -> None:
        self.portal = portal
        self.memory = memory
        self.accept = accept
        self.place = Repository(portal, portal.farthest)
        self.last: dict[str, Any] = memory["last"]
        self.lines: list[str] = []
        self.untried = 0
        self.saved = portal.directory

    def run(self) -> None:
        self._clear()
        pair = self._newest()
        self.saved = saved_files.saved_root(self.portal, self.place, pair.files)
        dump_size, program, sample = self._list(pair)
        self._room(dump_size, program, sample)
        self._read()
        scratch = tempfile.mkdtemp(prefix="chamilo-hardening-drill-", dir=self.portal.scratch or "/var/tmp")
        self.memory["scratch"] = scratch
        backups_portal.remember(self.portal, self.memory)
        try:
            tables = self._fetch_dump(pair, scratch)
            self._fetch_files(pair, scratch, sample)
            root = f"{scratch}/files{self.saved}"
            _without_tls(root)
            sandbox.hand_over(scratch)
            server = sandbox.database(scratch)
            self._load(server, scratch)
            self._start(server, scratch)
        finally:
            self._clear()
        self.memory["drill"] = {"tables": list(tables), "run": pair.run}

    def _clear(self) -> None:
        """What this or an earlier restore test left behind, should it have been killed."""
        sandbox.end_all()
        scratch = str(self.memory.pop("scratch", ""))
        if scratch and os.path.lexists(scratch):
            restic.on_tree("rm", "-rf", "--", scratch)
            backups_portal.remember(self.portal, self.memory)

    @functools.cached_property
    def bulk(self) -> list[str]:
        saved = [f"{self.saved}/{name}" for name in _BULK]
        used = [f"{self.portal.directory}/{name}" for name in _BULK]
        directories = {*saved, *used, *map(os.path.realpath, used)}
        for link, target in saved_files.links(self.portal):  # some lead to another disk, and from there to the next
            if target and any(link.startswith(f"{directory}/") for directory in directories):
                directories.add(target)
        return sorted(directories)

    def _newest(self) -> Pair:
        """The newest pair, if it is what this host sent last."""
        self.place.reached(self.memory)
        encrypted = records.read(f"backups-{self.portal.site}.json").get("encrypted", {})
        with open(self.portal.key_file, encoding="utf-8") as stream:
            present = fingerprint(stream.read(), str(encrypted.get("salt", "")))
        if encrypted.get("fingerprint") not in (None, present):
            raise BackupError("The key on this host is no longer the one of which there is a copy elsewhere.")
        self.place.unlock()
        pairs = self.place.pairs()
        if not pairs:
            raise BackupError(f"{self.place.shown} contains no complete backup of {self.portal.domain}.")
        pair = pairs[-1]
        when = datetime.datetime.fromtimestamp(pair.at, datetime.timezone.utc)
        if self.last and pair.run != self.last["run"]:
            sent = datetime.datetime.fromtimestamp(self.last["at"], datetime.timezone.utc)
            raise BackupError(
                f"The newest backup in {self.place.shown} is of {when:%Y-%m-%d %H:%M} UTC, but this host made one at "
                f"{sent:%Y-%m-%d %H:%M} UTC."
            )
        if pair.ahead:
            raise BackupError(
                f"The newest backup in {self.place.shown} is dated {when:%Y-%m-%d %H:%M} UTC, in the future. Set the "
                "clock of this host right, then make another: chamilo-hardening backup"
            )
        hours = (time.time() - pair.at) / 3600
        if hours > jobs.LATE_HOURS:
            raise BackupError(f"The newest backup in {self.place.shown} is {hours:.0f} hours old.")
        if self.place.url == self.portal.places[0]:
            # Older versions of restic name what they saved by its first digits.
            saved = self.last.get("snapshots", ["", ""])
            same = pair.database.id.startswith(saved[0]) and pair.files.id.startswith(saved[1])
        else:
            trees = [pair.database.tree, pair.files.tree]
            same = self.last.get("trees", trees) == trees
        if not same:
            raise BackupError(
                f"The backup in {self.place.shown} is not the one this host sent: its content is another."
            )
        self.lines.append(f"The backup of {when:%Y-%m-%d %H:%M} UTC in {self.place.shown}:")
        return pair

    def _list(self, pair: Pair) -> tuple[int, int, list[File]]:
        """Bytes of the dump, bytes of the program, and the sample: the same one whenever this backup is tried."""
        dump = sum(file.size for file in self._files(pair.database.id))
        bulk = tuple(f"{path}/" for path in self.bulk)
        chance = random.Random(pair.run)
        program = seen = self.untried = 0
        sample: list[File] = []
        for file in self._files(pair.files.id):
            if not file.path.startswith(bulk):
                program += file.size
            # restic lists bytes that are no UTF-8 so, and cannot be asked for them.
            elif "\ufffd" in file.path or len(file.path.encode(errors="replace")) > _LONGEST:
                self.untried += 1
            elif file.size <= _LARGEST:
                seen += 1
                place = len(sample) if len(sample) < _FILES else chance.randrange(seen)
                if place < len(sample):
                    sample[place] = file
                elif place < _FILES:
                    sample.append(file)
        bounded, total = [], 0
        for file in sample:
            total += file.size
            if total > _BYTES:
                break
            bounded.append(file)
        return dump, program, bounded

    def _files(self, snapshot: str) -> Iterator[File]:
        for node in self.place.nodes(snapshot):
            if node["type"] == "file":
                yield File(node["path"], int(node.get("size", 0)), restic.moment(node["mtime"]))

    def _room(self, dump: int, program: int, sample: Sequence[File]) -> None:
        directory = self.portal.scratch or "/var/tmp"
        needed = _BASE + 5 * dump + program + sum(file.size for file in sample)
        there = os.statvfs(directory)
        free = there.f_bavail * there.f_frsize
        if free < needed:
            raise BackupError(
                f"{directory} has {free / 1e6:.0f} MB free, a restore test needs {needed / 1e6:.0f}: make room, or set "
                "chamilo_backups_scratch to another directory."
            )

    def _read(self) -> None:
        """Have restic read what it stored: all of it, or of a large repository the next part."""
        size = int(json.loads(self.place.run("stats", "--json", "--no-lock", "--mode", "raw-data")[0])["total_size"])
        parts = -(-size // _READ_ALL) or 1
        turn = int(self.memory.get("turn", 0)) % parts + 1
        how = "--read-data" if parts == 1 else f"--read-data-subset={turn}/{parts}"
        self.place.run("check", "--no-lock", how)
        self.memory["turn"] = turn
        self.lines.append(
            f"{'all' if parts == 1 else f'part {turn} of {parts}'} of its {size / 1e6:.0f} MB is readable;"
        )

    def _fetch_dump(self, pair: Pair, scratch: str) -> tuple[str, ...]:
        path = f"{scratch}/database.sql"
        with open(path, "xb") as stream:
            self.place.run("dump", pair.database.id, restic.DUMP, output=stream)
        reading = backups_dump.read(path)
        stamp = backups_dump.stamp(pair.run)
        found = reading.tail.rsplit(b"\n", 2)[-2:-1]
        if not found or not found[0].startswith(backups_dump.STAMP):
            raise BackupError("The dump of the database in the backup was cut short: its last line is missing.")
        if not reading.tail.endswith(stamp):
            raise BackupError(
                f"The dump in the backup is an older one, of run {found[0][len(backups_dump.STAMP) :].decode()}."
            )
        dumped = reading.done()
        if self.last and dumped.sha256 != self.last["dump_sha256"]:
            raise BackupError("The dump in the backup is not the one this host sent: its checksum is another.")
        before = set(self.memory.get("drill", {}).get("tables", ())) | set(self.memory["good"].get("tables", ()))
        gone = sorted(before - set(dumped.tables))
        if gone and not self.accept:
            raise BackupError(
                f"Tables that were there before are not in the backup: {', '.join(gone[:5])}. If an update removed "
                "them: `chamilo-hardening backup --accept`, then `chamilo-hardening drill --accept`"
            )
        return dumped.tables

    def _fetch_files(self, pair: Pair, scratch: str, sample: Sequence[File]) -> None:
        target = f"{scratch}/files"
        # Patterns: what lies in the bulky directories stays away, the directories themselves do not.
        bulk = [f"--exclude={restic.literal(path)}/*" for path in self.bulk]
        unread = self.place.fetch(pair.files.id, target, *bulk)
        if sample:
            chosen = [f"--include={restic.literal(file.path)}" for file in sample]
            unread |= self.place.fetch(pair.files.id, target, *chosen)
        damaged = [f"{path}: {words}" for path, words in unread.items() if not restic.too_long(words)]
        if damaged:
            raise BackupError(f"The backup in {self.place.shown} cannot be read whole: {first_of(damaged, 3)}.")
        if unread:
            self.lines.append("files whose paths are too long did not come back;")
        self._turn_links(target)
        same = changed = 0
        for file in sample:
            restored = f"{target}{file.path}"
            if not os.path.isfile(restored) or os.path.getsize(restored) != file.size:
                raise BackupError(f"{file.path} did not come back whole.")
            used = _used(file)
            if not used:
                changed += 1
            elif _digest(restored) != used:
                raise BackupError(f"{file.path} came back with another content than it has, though it was not changed.")
            else:
                same += 1
        self.lines.append(
            f"{len(sample)} of its uploads came back, {same} compared with those in use"
            f"{f', {changed} changed since' if changed else ''}"
            f"{f', {self.untried} not tried because their names are no UTF-8 or too long' if self.untried else ''};"
        )

    def _turn_links(self, tree: str) -> None:
        """Have links lead to what came back. Else the restored portal would go by, or change, what is in use."""
        directories = [tree]
        while directories:  # no recursion: the web user decides how deep it goes
            with contextlib.suppress(OSError), os.scandir(directories.pop()) as entries:
                for entry in list(entries):
                    if entry.is_symlink():
                        self._turn_link(tree, entry.path)
                    elif entry.is_dir(follow_symlinks=False):
                        directories.append(entry.path)

    def _turn_link(self, tree: str, path: str) -> None:
        if not os.readlink(path).startswith("/"):
            return
        used = self.portal.directory
        leads = os.path.realpath(os.readlink(path))
        if f"{leads}/".startswith(f"{used}/"):
            leads = self.saved + leads.removeprefix(used)
        if os.path.lexists(tree + leads):
            os.unlink(path)
            os.symlink(tree + leads, path)

    def _load(self, server: Server, scratch: str) -> None:
        """Load the dump, dump it again, and compare the two table by table."""
        server.ask(f"CREATE DATABASE {quoted(self.portal.name)}")
        for account in _definers(f"{scratch}/database.sql"):
            server.ask(f"CREATE USER IF NOT EXISTS {account}; GRANT ALL ON *.* TO {account}")
        with open(f"{scratch}/database.sql", "rb") as stream:
            server.client(["--database", self.portal.name], stream)
        again = f"{scratch}/again.sql"
        with open(again, "xb") as output:
            options = [*backups_dump.OPTIONS, *backups_dump.PROGRAMS, "--", self.portal.name]
            problem = server.run(backups_dump.program(), options, stdout=output)
        if problem:
            raise BackupError(f"The restored database could not be dumped: {problem[-300:]}")
        desired, found = _tables(f"{scratch}/database.sql"), _tables(again)
        different = sorted(name for name in desired.keys() | found.keys() if desired.get(name) != found.get(name))
        if different:
            raise BackupError(f"The restored database differs from its dump in: {', '.join(different[:5])}.")
        self.lines.append(f"its database came back with {len([name for name in found if name])} tables, all the same;")

    def _start(self, server: Server, scratch: str) -> None:
        root = f"{scratch}/files{self.saved}"
        problem = sandbox.boot(self.portal, root, server.socket)
        if problem:
            raise BackupError(f"The restored portal does not start: {problem}")
        self.lines.append("the restored portal started and showed its login page.")


def _definers(path: str) -> set[str]:
    """The accounts that views, triggers, routines and events of a dump run as, quoted."""
    found = set()
    with open(path, "rb") as stream:
        for line in stream:
            named = _DEFINER.match(line)
            if named:
                found.add(named[1].decode())
    return found


def _used(file: File) -> str:
    """A digest of the file that is in use; empty where it was changed since it was saved, or is not there any more.

    The web user may have laid something there that never ends, or holds up whoever opens it.
    """
    handle = -1
    try:
        handle, _linked = open_path(file.path, lambda *_link: "it was no link when it was saved")
        before = os.fstat(handle)
        same = before.st_size == file.size and int(before.st_mtime) == int(file.modified)
        if not same or not stat.S_ISREG(before.st_mode):
            return ""
        digest = hashlib.sha256()
        for start in range(0, file.size, _BLOCK):
            digest.update(os.pread(handle, min(_BLOCK, file.size - start), start))
        return digest.hexdigest() if os.fstat(handle).st_mtime_ns == before.st_mtime_ns else ""
    except OSError:
        return ""
    finally:
        if handle >= 0:
            os.close(handle)


def _digest(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for part in iter(lambda: stream.read(1 << 20), b""):
            digest.update(part)
    return digest.hexdigest()


def _tables(path: str) -> dict[str, str]:
    """A digest of each table in a dump, by name; what belongs to none is under the empty name. No comments."""
    digests = {"": hashlib.sha256()}
    name = ""
    with open(path, "rb") as stream:
        for line in stream:
            if line.startswith((b"--", b"/*M!", b"\n")):
                continue
            begins = re.match(rb"(?:DROP TABLE IF EXISTS|CREATE TABLE|INSERT INTO|LOCK TABLES) `((?:[^`]|``)+)`", line)
            if begins:
                name = begins[1].decode(errors="replace")
            elif line.startswith(b"UNLOCK TABLES"):
                name = ""
            digests.setdefault(name, hashlib.sha256()).update(line)
    return {name: digest.hexdigest() for name, digest in digests.items()}


# PDO's options for TLS in the configuration of Doctrine: by number, or as constants of either class.
_TLS = re.compile(
    rb"^[ \t]*(?:\"?10(?:0[789]|1[014])\"?|!php/const(?::|[ \t]+)\\?[\w\\]*::(?:MYSQL_)?ATTR_SSL_\w+)[ \t]*:[^\n]*\n?",
    re.MULTILINE,
)
_CONFIGURED = 1 << 20  # bytes of a file of configuration


def _without_tls(root: str) -> None:
    """Have the restored portal ask its database, behind a socket here, for no TLS, as one elsewhere may demand."""
    for directory, _directories, names in os.walk(f"{root}/config"):
        for name in names:
            path = os.path.join(directory, name)
            if not name.endswith((".yaml", ".yml")) or not stat.S_ISREG(os.lstat(path).st_mode):
                continue
            with open(path, "r+b") as stream:
                text = stream.read(_CONFIGURED)
                plain = _TLS.sub(b"", text)
                if plain != text and not stream.read(1):
                    stream.seek(0)
                    stream.write(plain)
                    stream.truncate()


# ------------------------------------------------------------------------------------------------- the application
