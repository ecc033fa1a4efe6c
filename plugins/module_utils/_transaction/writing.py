# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries out a job: its files are swapped, tested, loaded, probed and committed, or the old ones come back."""

from __future__ import annotations

import copy
import os
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .._common.files import TEMPORARY, Item, StateError, Tree, now
from .._common.mounts import mounts_on_the_way
from .job import Job, Load, Outcome, Refused, TransactionError, owed
from .judgement import Before, answers
from .probe import Probe
from .recovery import PAGES_SECONDS, Recovery, sentence
from .store import copies


class Writing(Recovery):
    """What a change of files needs besides the way back."""

    def _carry_out(self, state: dict[str, Any], job: Job, outcome: Outcome) -> None:
        service = job.load.service if job.load else ""
        running = self.machine.state(service) if service else ""
        start_owed = service in state["pending"] and state["pending"][service]["active"]
        if start_owed and running == "failed":
            # A restart of ours stopped it. These files may be what it needs to start.
            job, running = replace(job, load=Load(service, "restart")), "active"
        if service and running != "active":
            outcome.notes.append(f"{service} is {running}, so nothing was loaded or probed; it was not started.")
        # Without a service only the commands of the test activate the files.
        asks = not service or running == "active"
        asked = [each for each in job.probe if not each.generation] if asks else []
        before = answers(asked, self.fetch, PAGES_SECONDS)
        left = len(asked) - len(before)
        if left:
            outcome.notes.append(
                f"{left} of {len(asked)} pages are not compared with what they were before: they are "
                f"not the same twice, or the others took {PAGES_SECONDS:.0f} seconds."
            )
        for address in job.listen:
            problem = self.machine.occupied(address, service)
            if problem:
                raise TransactionError(f"{problem} No file was changed. Stop that program or give it another port.")
        token = secrets.token_hex(4)
        unprotected = self.machine.arm(token)
        if unprotected:
            outcome.notes.append(unprotected)
        try:
            try:
                kept = self._write_down(state, job, token, running == "active" or start_owed)
            except OSError as problem:
                raise TransactionError(f"{sentence(problem)} No file was changed.") from problem
            self._change(state, job, running, kept, before)
            outcome.loaded = running == "active"
        finally:
            if not state["open"]:
                self._forget(state, outcome)
                if service not in state["pending"]:
                    self.machine.disarm(token)

    def _change(
        self,
        state: dict[str, Any],
        job: Job,
        running: str,
        kept: Mapping[str, Item],
        before: Mapping[Probe, Before],
    ) -> None:
        """Swap, test, load, probe, commit; back again when one of them fails."""
        loaded = tested = False
        try:
            journal = state["open"]
            items = [
                (change.path, change.new, entry["temporary"]) for change, entry in zip(job.changes, journal["entries"])
            ]
            self._exchange(items, journal["directories"])
            tested = True
            self._test(job.test, job.left_out)
            if job.load and running == "active":
                loaded = True
                problem = self.machine.service(job.load.action, job.load.service)
                if problem:
                    raise TransactionError(problem)
                self._probe(job.probe, before, job.judge)
                if self.machine.state(job.load.service) != "active":
                    raise TransactionError(f"{job.load.service} stopped after the {job.load.action}")
            elif not job.load:
                self._probe(job.probe, before, job.judge)
            after = copy.deepcopy(state)
            job.commit(after, kept, before)
            after["open"] = None
            after["directories"] = sorted({*after["directories"], *journal["directories"]})
            if job.load:
                after["pending"].pop(job.load.service, None)
                if running not in ("active", "inactive", "failed"):
                    # It was on its way up or down and may have read the old files.
                    after["pending"][job.load.service] = journal["owed"]
            self._commit(state, after)
        except BaseException as problem:
            try:
                # With a service a test changes nothing; without one the commands activate the files.
                refused = isinstance(problem, Refused)
                again = refused or (tested and not job.load)
                ended, broken = self._roll_back(state, job, before, loaded, again, refused)
            except (OSError, StateError) as worse:
                left = "The old files could not be restored; a timer and the next run will try again"
                raise TransactionError(f"{sentence(problem)} {left}: {sentence(worse)}") from worse
            if not isinstance(problem, Exception):
                raise
            raise TransactionError(f"{sentence(problem)} {ended}", str(problem), broken) from problem

    def _write_down(self, state: dict[str, Any], job: Job, token: str, active: bool) -> dict[str, Item]:
        """The journal. Returns the files the section has not touched before, with a copy that stays."""
        used = set(copies(state))
        kept = self._keep(state, job)
        entries: list[dict[str, Any]] = []
        directories: list[str] = []
        with Tree() as tree:
            for change in job.changes:
                old = kept.get(change.path) or self._copy(f"transactions/{job.name}", change.path, change.old, used)
                temporary = f"{TEMPORARY}{token}.{len(entries)}"
                known = {"old": old.to_json(), "new": change.new.to_json()}
                points = mounts_on_the_way(os.path.dirname(change.path))
                entries.append({"path": change.path, "temporary": temporary, "mounts": points, **known})
                if change.new.is_there:
                    directories += [each for each in tree.missing_parents(change.path) if each not in directories]
        journal = {
            "name": job.name,
            "since": now(),
            "entries": entries,
            "directories": directories,
            "service": job.load.service if job.load else "",
            "owed": owed(job, active),
        }
        self._commit(state, {**state, "open": journal})
        return kept

    def _keep(self, state: Mapping[str, Any], job: Job) -> dict[str, Item]:
        """The files the section has not touched before, with a copy that stays."""
        files = state["records"].get(job.name, {"files": {}})["files"]
        used = set(copies(state))
        new = {path: item for path, item in job.keep.items() if path not in files}
        return {path: self._copy(f"baseline/{job.name}", path, item, used) for path, item in new.items()}

    def _copy(self, directory: str, path: str, item: Item, used: set[str]) -> Item:
        if not item.is_file:
            return item
        blob = directory + path
        while blob in used:
            blob += "~"
        self.store.keep(blob, item.data)
        return replace(item, blob=blob)
