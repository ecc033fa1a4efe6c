# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A set of files, tested, loaded, probed, or rolled back.

The undo data of a change (old bytes, owner, mode) is saved before the first file moves. The change is complete only
when ``state.json`` was replaced by one without it. Whatever interrupts it (a failed step, a killed process, a reboot),
the old files are restored from the undo data: by this run, the next one, a timer or the unit at boot.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from .._common.files import STATE, Item, Tree, now
from .._common.in_force import InForce
from . import marked, our_lines
from .difference import compare, restored
from .job import Change, Job, Load, Outcome, TransactionError
from .judgement import Before, judge, plain
from .ownership import give_up, given_up, shared, written_by_another
from .plan import Plan, as_item, as_seen
from .probe import Probe
from .recovery import LOCK_SECONDS
from .undo import restoration
from .writing import Writing


class Engine(Writing):
    """Applies plans, undoes sections, and recovers what was interrupted, on one host."""

    def apply(self, plan: Plan, outcome: Outcome, check: bool = False) -> None:
        """Make the files of a plan true. ``outcome`` is filled as things happen, so a failure keeps what it knew."""
        outcome.generation = plan.generation
        if os.geteuid() != 0 and self.store.root == STATE:
            raise TransactionError("Only root may do this: run the task with become.")
        if check:
            state = self.store.peek()
            if state["open"]:
                name = state["open"]["name"]
                outcome.notes.append(f"A run of {name} did not finish; its files would be rolled back first.")
                outcome.changed = True
                return
            changes, _kept = compare(state, plan, outcome)
            edits, _known = marked.compare(self.store.root, state, plan, outcome)
            changes += restored(self.store, state, plan, outcome)
            changes += [*edits, *marked.restored(state, plan.name, changes, outcome)[0]]
            outcome.changed = bool(changes or state["pending"])
            # No request is for a timer.
            if changes and plan.load and plan.load.action == "restart" and not plan.load.service.endswith(".timer"):
                words = f"{plan.load.service} would be restarted: requests that need it fail for that moment.\n"
                outcome.diff.append({"prepared": words})
            return
        with self.store.lock(plan.name, LOCK_SECONDS):
            state = self.store.peek()
            settled = self._recover(state, outcome.recovered)
            outcome.changed = bool(outcome.recovered)
            self._or_repaired(state, outcome, lambda: self._apply(state, plan, settled, outcome))

    def _apply(self, state: dict[str, Any], plan: Plan, settled: Collection[str], outcome: Outcome) -> None:
        changes, keep = compare(state, plan, outcome)
        edits, known = marked.compare(self.store.root, state, plan, outcome)
        back = restored(self.store, state, plan, outcome)
        freed, tracked = marked.restored(state, plan.name, [*changes, *back], outcome)
        job = self._job(state, plan, [*changes, *edits, *freed], back, keep, known, tracked)
        self._keep_written([*map(as_item, plan.files), *(change.new for change in job.changes)], known)
        if job.changes:
            self._carry_out(state, job, outcome)
            outcome.changed = True
            if back:
                self._sweep(state)
            return
        edited = known != our_lines.of(state["records"].get(plan.name, {}))
        if given_up(state, plan) or shared(state, plan) or written_by_another(state, plan) or edited:
            # No file moves, but who wants which does.
            after = copy.deepcopy(state)
            job.commit(after, self._keep(state, job), {})
            self._commit(state, after)
            self._forget(state, outcome)
        if plan.load and plan.load.service in state["pending"]:
            raise TransactionError(" ".join(outcome.recovered))
        elif plan.load and plan.load.service in settled:
            # The pending load should have activated these files: check it.
            self._probe(plan.probe, {}, judge)
            outcome.loaded = True

    def _repair(self, state: dict[str, Any], outcome: Outcome) -> bool:
        """Whether there was something to repair: see ``Repairing``."""
        return False

    def _or_repaired(self, state: dict[str, Any], outcome: Outcome, act: Callable[[], None]) -> None:
        """Do it; where files were broken before by other means, and so could not be loaded, once more without that."""
        try:
            try:
                act()
            except TransactionError as problem:
                outcome.diff.clear()
                if not problem.broken or not self._repair(state, outcome):
                    raise
                act()
        except TransactionError:
            if not state["open"]:
                self._forget(state, outcome)
            raise

    def _keep_written(self, items: Iterable[Item], known: Mapping[str, our_lines.Known]) -> None:
        """Copies of what a transaction writes, to repair it by."""
        with Tree() as tree:
            for item in [*items, *(tree.inspect(one["file"]) for one in known.values())]:
                if item.is_file and our_lines.written(self.store.root, item.sha256) is None:
                    self.store.keep(f"written/{item.sha256}", item.data)

    def in_force(self) -> dict[str, InForce]:
        """All transactions. None has a generation after a run that was cut off."""
        root, state = self.store.root, self.store.peek()
        quiet = settled(state)
        found: dict[str, InForce] = {}
        with Tree() as tree:
            for name, record in state["records"].items():
                items = {path: Item.from_json(known["after"]) for path, known in record["files"].items()}
                whole = quiet and all(tree.inspect(path).same(item) for path, item in items.items())
                edited = our_lines.of(record)
                whole = whole and all(our_lines.as_written(root, tree, path, known) for path, known in edited.items())
                files = {path: as_seen(item.kind, item.target) for path, item in items.items()}
                files.update({path: known["seen"] for path, known in edited.items()})
                found[name] = InForce(record["generation"] if whole else "", files)
        return found

    def undo(self, name: str, outcome: Outcome) -> None:
        """Restore what was there before the first transaction of this name."""
        with self.store.lock(f"undo {name}", LOCK_SECONDS):
            state = self.store.peek()
            self._recover(state, outcome.recovered)
            if name not in state["records"]:
                raise TransactionError(f"Nothing of {name} is active here: there is nothing to undo.")
            self._or_repaired(state, outcome, lambda: self._undo(state, name, outcome))
            self._sweep(state)

    def _undo(self, state: dict[str, Any], name: str, outcome: Outcome) -> None:
        job = restoration(self.store, state, name, outcome)
        outcome.changed = True
        if job.changes:
            self._carry_out(state, job, outcome)
            outcome.notes += job.left_out or []
        else:
            without = copy.deepcopy(state)
            job.commit(without, {}, {})
            self._commit(state, without)
            self._forget(state, outcome)

    def withdraw(self, name: str, outcome: Outcome, check: bool = False) -> None:
        """Like ``undo``, but without an error when there is nothing to undo."""
        outcome.changed = name in self.store.peek()["records"]
        if outcome.changed and not check:
            self.undo(name, outcome)

    # -- one transaction ---------------------------------------------------------------------------------------------

    def _job(
        self,
        state: Mapping[str, Any],
        plan: Plan,
        changes: Sequence[Change],
        back: Sequence[Change],
        found: Mapping[str, Item],
        edited: Mapping[str, our_lines.Known],
        tracked: Mapping[str, Mapping[str, our_lines.Known]],
    ) -> Job:
        test, load = plan.test, plan.load
        last = state["records"].get(plan.name, {})
        if (back or len(edited) < len(our_lines.of(last))) and not load and last["load"]:
            # Deactivate the files by the load that activated them.
            load = Load(**last["load"])
            written = [tuple(argv) for argv in last["test"]]
            test = (*test, *(argv for argv in written if argv not in test))

        def commit(state: dict[str, Any], kept: Mapping[str, Item], before: Mapping[Probe, Before]) -> None:
            state["serial"] += 1
            seen = [{**plain(was.probe), "seen": was.answer.status} for was in before.values()]
            record = state["records"].setdefault(plan.name, {"files": {}, "seen": seen})
            record.update(
                generation=plan.generation,
                at=now(),
                test=[list(argv) for argv in plan.test],
                load=asdict(plan.load) if plan.load else None,
                probe=[plain(probe) for probe in plan.probe],
            )
            for want in plan.files:
                # The first time, what was there before is kept for undo.
                if want.path in kept:
                    first = {"before": kept[want.path].to_json(), "since": state["serial"]}
                    record["files"][want.path] = first
                known = record["files"][want.path]
                known["after"] = as_item(want).to_json()
                known["secret"] = want.secret
            if edited or our_lines.of(record):
                record["marked"] = dict(edited)
            marked.remember(state, tracked)
            give_up(state, plan)

        return Job(plan.name, [*changes, *back], found, test, load, plan.listen, plan.probe, judge, commit)


def settled(state: Mapping[str, Any]) -> bool:
    """Whether no run was cut off, and nothing is owed to a service."""
    return not state["open"] and not state["pending"]
