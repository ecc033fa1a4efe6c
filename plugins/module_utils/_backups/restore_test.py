# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""A restore test: the newest backup is restored into a scratch directory, and started up to its login page.

It reads the repository that is farthest away. What it starts (a database server of its own, PHP) runs as an account
that owns nothing else, without a network (sandbox.py). The portal in use is only read.
"""

from __future__ import annotations

import datetime
import functools
import json
import os
import tempfile
import time
from dataclasses import replace
from typing import Any

from .._common.sentences import first_of
from . import dump as backups_dump
from . import jobs, restic, sandbox, saved_files
from . import portal as backups_portal
from .portal import BackupError, Portal
from .restic import Pair, Repository

_READ_ALL = 2 << 30  # a repository of this size is read whole each time, a larger one in turn
_BASE = 300 << 20  # a database server without data, and the cache of the application
_EVERY, _PATIENCE = ".drills", 6 * 3600.0  # the name of their lock; seconds for the restore test of another portal
_BULK = ("var/upload", "var/courses", "var/log")  # what lies there is read, and does not come back


def restore_test(portal: Portal) -> list[str]:
    """Test that the newest backup can be restored. What is wrong is recorded and reported; then it is raised."""
    # One on the whole host: whatever runs as the account of restore tests is ended when one begins.
    with jobs.alone(replace(portal, site=_EVERY), "drill", _PATIENCE), jobs.alone(portal, "drill", 600):
        memory = backups_portal.remembered(portal)
        began = time.time()
        attempt = _RestoreTest(portal, memory)
        problem = ""
        try:
            attempt.run()
        except Exception as stopped:  # whatever it was, it is reported
            problem = str(stopped) or type(stopped).__name__
        if problem:
            jobs.failed(portal, "drill", ["drill"], problem)
            raise BackupError(problem)
        backups_portal.note(portal, "drill", True, " ".join(attempt.lines), seconds=time.time() - began)
        backups_portal.remember(portal, memory)
        jobs.report(portal, "drill", [])
    return attempt.lines


class _RestoreTest:
    def __init__(self, portal: Portal, memory: dict[str, Any]) -> None:
        self.portal = portal
        self.memory = memory
        self.place = Repository(portal, portal.farthest)
        self.last: dict[str, Any] = memory["last"]
        self.sent: dict[str, Any] = self.last.get("places", {}).get(self.place.shown, {})
        self.lines: list[str] = []
        self.saved = portal.directory

    def run(self) -> None:
        self._clear()
        pair = self._newest()
        self.saved = saved_files.saved_root(self.portal, self.place, pair.files)
        self._room(pair)
        self._read()
        scratch = tempfile.mkdtemp(prefix="chamilo-hardening-drill-", dir=self.portal.scratch or "/var/tmp")
        self.memory["scratch"] = scratch
        backups_portal.remember(self.portal, self.memory)
        try:
            tables = self._fetch_dump(pair, scratch)
            self._fetch_files(pair, scratch)
            sandbox.hand_over(scratch)
            sandbox.prove(self.portal, scratch, self._places(pair, f"{scratch}/files"), tables)
            self.lines.append(f"its database came back with {len(tables)} tables;")
            self.lines.append("the restored portal started and showed its login page.")
        finally:
            self._clear()

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
        return sorted({*saved, *used, *map(os.path.realpath, used)})

    def _newest(self) -> Pair:
        """The newest pair, if it is what this host sent last."""
        self.place.reached(self.memory)
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
        # Older versions of restic name what they saved by its first digits.
        saved = self.sent.get("snapshots", ["", ""])
        same = pair.database.id.startswith(saved[0]) and pair.files.id.startswith(saved[1])
        if not same:
            raise BackupError(
                f"The backup in {self.place.shown} is not the one this host sent: its content is another."
            )
        self.lines.append(f"The backup of {when:%Y-%m-%d %H:%M} UTC in {self.place.shown}:")
        return pair

    def _room(self, pair: Pair) -> None:
        bulk = tuple(f"{path}/" for path in self.bulk)
        needed = _BASE + sum(5 * int(node.get("size", 0)) for node in self.place.nodes(pair.database.id))
        for node in self.place.nodes(pair.files.id):
            needed += 0 if node["path"].startswith(bulk) else int(node.get("size", 0))
        directory = self.portal.scratch or "/var/tmp"
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
        if not reading.tail.endswith(backups_dump.stamp(pair.run)):
            raise BackupError("The dump in the backup is not whole, or of another run.")
        dumped = reading.done()
        if self.sent and dumped.sha256 != self.sent["dump_sha256"]:
            raise BackupError("The dump in the backup is not the one this host sent: its checksum is another.")
        return dumped.tables

    def _fetch_files(self, pair: Pair, scratch: str) -> None:
        target = f"{scratch}/files"
        # Patterns: what lies in the bulky directories stays away, the directories themselves do not.
        bulk = [f"--exclude={restic.literal(path)}/*" for path in self.bulk]
        unread = self.place.fetch(pair.files.id, target, "--verify", *bulk)
        damaged = [f"{path}: {words}" for path, words in unread.items() if not restic.too_long(words)]
        if damaged:
            raise BackupError(f"The backup in {self.place.shown} cannot be read whole: {first_of(damaged, 3)}.")
        if unread:
            self.lines.append("files whose paths are too long did not come back;")

    def _places(self, pair: Pair, fetched: str) -> dict[str, str]:
        """Where what came back is to lie, and where it is: the restored portal goes by nothing that is in use."""
        saved = {path: f"{fetched}{path}" for path in pair.files.paths if path != self.saved and os.path.isdir(path)}
        saved |= {path: f"{fetched}{self.saved}" for path in (self.portal.directory, self.saved) if os.path.isdir(path)}
        return {place: source for place, source in saved.items() if os.path.isdir(source)}
