# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Back to what was: after a failure, a killed process or a reboot, from what was written down before the change."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from .._common.files import STATE, Item, StateError, Tree
from .._common.mounts import not_mounted
from .._common.services import Machine
from .job import Job, Outcome, Refused, TransactionError, clears_a_cache, owed
from .judgement import Before, Judge, judge
from .probe import ANSWER_SECONDS, Probe, ask, ask_until, visit
from .store import Store, copies, tracked

if TYPE_CHECKING:
    from .._common.http import Answer

LOCK_SECONDS = 180.0
TEST_SECONDS = 60.0
_NOT_THERE = (5, 125, 127)  # systemctl knows no such unit, env no such directory, and there is no such program
AGAIN_SECONDS = 300.0  # as a cache may need that the application makes anew
TOKEN_SECONDS = 10.0
PAGES_SECONDS = 15.0  # for all that are to stay the same, before the change
LEAVE_SECONDS = 0.2  # nginx: for up to half of it old workers take connections beside the new ones after a reload


class Recovery:
    """Rolls back what an interrupted or failed run left on a host, and activates the result."""

    def __init__(
        self,
        root: str = STATE,
        machine: Machine | None = None,
        fetch: Callable[[Probe], Answer] | None = None,
    ) -> None:
        self.store = Store(root)
        self.machine = machine or Machine()
        self.fetch = fetch or ask

    def recover(self, wait: float = LOCK_SECONDS, early: bool = False) -> list[str]:
        """Roll back an interrupted run, and load the old files. Returns what was done.

        ``early``: at boot, with no more than the files of the host itself. What needs more is left, and raised.
        """
        done: list[str] = []
        with self.store.lock("chamilo-hardening recover", wait):
            state = self.store.peek()
            self._recover(state, done, early)
            # What an undo that died at its very end had left to tidy up.
            if not early:
                self._sweep(state)
            self.store.prune(copies(state))
            if state["pending"]:
                raise TransactionError(" ".join(done))
        return done

    def _commit(self, state: dict[str, Any], after: Mapping[str, Any]) -> None:
        """What we know changes only when the disk knows it."""
        gone = tracked(state) - tracked(after)
        if gone:
            # The daily comparison expects them to differ from its list.
            with Tree() as tree:
                left = {path: tree.inspect(path).to_json() for path in sorted(gone)}
            after = {**after, "left": {**after["left"], **left}}
        self.store.commit(after)
        state.update(after)

    def _exchange(self, items: Sequence[tuple[str, Item, str]], directories: Sequence[str]) -> None:
        """Everything is written beside its place and durable before the first name changes."""
        paths = [path for path, as_item, _temporary in items]
        with Tree() as tree:
            for directory in directories:
                tree.make_directory(directory)
            for path, item, temporary in items:
                tree.stage(path, item, temporary)
            tree.sync(paths)
            for path, item, temporary in items:
                tree.swap(path, item, temporary)
            tree.sync(paths)

    def _test(self, commands: Sequence[Sequence[str]], left_out: list[str] | None = None) -> None:
        for argv in commands:
            code, output = self.machine.command(argv, AGAIN_SECONDS if "cache:clear" in argv else TEST_SECONDS)
            if left_out is not None and code in _NOT_THERE:
                left_out.append(f"`{' '.join(argv)}` was left out, because this host cannot run it any more: {output}")
            elif code:
                raise Refused(f"The test `{' '.join(argv)}` failed ({code}): {output or 'no output'}")

    def _probe(self, probes: Sequence[Probe], before: Mapping[Probe, Before], judge: Judge) -> None:
        """Request until the answer is right or time is up. The generation first: it identifies new workers."""
        reported, pages, end = False, False, 0.0
        known = [probe for probe in probes if not probe.same or probe in before]
        for probe in sorted(known, key=lambda probe: (not probe.generation, probe.same)):
            if reported and not probe.generation:
                # The token came from a new worker; an old one could still take the next question.
                time.sleep(LEAVE_SECONDS)
            reported = probe.generation
            if not probe.same or not pages:
                end = time.monotonic() + (TOKEN_SECONDS if probe.generation else ANSWER_SECONDS)
                pages = probe.same  # which have that time together
            was = before.get(probe)
            problem = ask_until(partial(self._fault, probe, was.answer if was else None, judge), end)
            if problem:
                raise TransactionError(problem)

    def _fault(self, probe: Probe, before: Answer | None, judge: Judge) -> str:
        return judge(probe, before, visit(probe, self.fetch))

    def _roll_back(
        self,
        state: dict[str, Any],
        job: Job,
        before: Mapping[Probe, Before],
        loaded: bool,
        again: bool,
        refused: bool,
    ) -> tuple[str, bool]:
        """Restore the old files and activate them. Returns the result as a sentence, and whether they were broken.

        ``again``: the tests are run once more. ``refused``: one of them failed with the new files.
        """
        edited = "".join(f" {reported}" for reported in self._restore(state))
        failure = ""
        if again:
            try:
                self._test(job.test, job.left_out)
            except Refused as still:
                failure = f"The old files were restored, but could not be activated: {still}"
                if refused:
                    failure = "The old files were restored, and fail the same test: the fault was there before. "
                    failure += "Mend that first."
        # A disk without room keeps nothing from being loaded: the files are back already.
        unnoted = _unnoted(lambda: self._close(state, loaded))
        if failure:
            return failure + unnoted + edited, refused
        if job.load and loaded:
            service = job.load.service
            problem = self._bring_in(service, owed(job, True), start=True)
            if problem:
                return (
                    f"The old files were restored, but could not be loaded: {sentence(problem)}" + unnoted + edited,
                    True,
                )
            unnoted = unnoted or _unnoted(lambda: self._paid(state, service))
        elif job.load or not again:
            return f"The old files were restored.{unnoted}{edited}", False
        try:
            self._probe([was.probe for was in before.values()], {was.probe: was for was in before.values()}, judge)
        except TransactionError as worse:
            return f"The old files were restored and loaded, but {worse}.{unnoted}{edited}", False
        return f"The old configuration was restored and is active.{unnoted}{edited}", False

    def _restore(self, state: Mapping[str, Any], early: bool = False) -> list[str]:
        """Restore every file of the open transaction. Returns concurrent modifications.

        Raises a StateError when some of them lie on a missing disk, as early at boot. The others are restored.
        """
        journal = state["open"]
        items: list[tuple[str, Item, str]] = []
        parents: list[str] = []
        edited: list[str] = []
        waiting: dict[str, list[str]] = {}
        with Tree() as tree:
            for entry in journal["entries"]:
                path, old = entry["path"], Item.from_json(entry["old"])
                # A journal of an older version does not know them.
                point = not_mounted(entry.get("mounts", ()), os.path.dirname(path), early)
                if point:
                    waiting.setdefault(point, []).append(path)
                    continue
                tree.discard(path, entry["temporary"])
                there = tree.inspect(path)
                if not there.same(old):
                    # A journal of an older version does not know the new file.
                    if not there.same(Item.from_json(entry["new"]) if "new" in entry else there):
                        edited.append(self.store.keep_edited(path, there))
                    items.append((path, self.store.load(old), entry["temporary"]))
                    parents += tree.missing_parents(path) if old.is_there else []
        self._exchange(items, parents)
        if waiting:
            reported = [
                f"{point} is not mounted, and {len(paths)} of the files that the run of {journal['name']} left there "
                f"have to be restored. Mount it. If it is gone for good, take it out of /etc/fstab and remove {point}."
                for point, paths in waiting.items()
            ]
            raise StateError(" ".join([*edited, *reported]))
        return edited

    def _close(self, state: dict[str, Any], load: bool) -> None:
        """Forget the open transaction, whose files are back; from then on at most a load is owed."""
        journal = state["open"]
        with Tree() as tree:
            for directory in reversed(journal["directories"]):
                tree.remove_directory(directory)
        after = {**state, "open": None}
        if load and journal["service"]:
            after["pending"] = {**state["pending"], journal["service"]: journal["owed"]}
        self._commit(state, after)

    def _recover(self, state: dict[str, Any], done: list[str], early: bool = False) -> set[str]:
        """Roll back an interrupted transaction and do pending loads. Returns the loaded services."""
        journal = state["open"]
        if journal:
            edited = self._restore(state, early)
            done.append(
                f"The run of {journal['name']} that began at {journal['since']} did not finish. "
                f"Its files ({len(journal['entries'])}) are as they were before."
            )
            done += edited
            if early and (clears_a_cache(journal["owed"]) or (not journal["service"] and journal["owed"]["test"])):
                raise TransactionError(" ".join([*done, "They cannot be activated this early at boot."]))
            if not journal["service"]:
                self._again(journal["owed"]["test"], done)
            self._close(state, load=True)
        settled = set()
        for service in sorted(state["pending"]):
            later = early and clears_a_cache(state["pending"][service])
            problem = "the cache that goes with them needs more than is there." if later else ""
            problem = problem or self._settle(state, service, start=False)
            if problem:
                done.append(f"{service} could not load its files: {problem}")
            else:
                settled.add(service)
                done.append(f"{service} has loaded its present files.")
        if journal:
            self.store.prune(copies(state))
        return settled

    def _again(self, commands: Sequence[Sequence[str]], done: list[str]) -> None:
        """Run the commands that activate files without a service. Once: a failure is reported, not retried."""
        for argv in commands:
            code, _output = self.machine.command(argv, AGAIN_SECONDS)  # its output may contain a secret
            if code:
                done.append(f"Activating the files failed ({code}): `{' '.join(argv)}`. Run it by hand.")

    def _settle(self, state: dict[str, Any], service: str, start: bool) -> str:
        """Load what is owed. Returns why that failed, or an empty text."""
        problem = self._bring_in(service, state["pending"][service], start)
        if not problem:
            self._paid(state, service)
        return problem

    def _paid(self, state: dict[str, Any], service: str) -> None:
        left = {name: load for name, load in state["pending"].items() if name != service}
        self._commit(state, {**state, "pending": left})

    def _bring_in(self, service: str, due: Mapping[str, Any], start: bool) -> str:
        """Load the files that are there. Returns why that failed, or an empty text."""
        running = self.machine.state(service)
        # A service that failed after our load is started again; one that the administrator stopped is not.
        if running == "failed" or (start and running == "inactive"):
            action = "restart" if due["active"] else ""
        else:
            action = "" if running == "inactive" else due["action"]
        if action:
            try:
                self._test(due["test"])
            except Refused as problem:
                return str(problem)
            return self.machine.service(action, service)
        return ""

    def _forget(self, state: Mapping[str, Any], outcome: Outcome) -> None:
        """Remove copies that are of no use any more. That this fails is no reason to hide how the run went."""
        try:
            self.store.prune(copies(state))
        except OSError as problem:
            outcome.notes.append(f"Old copies below {self.store.root} could not be removed: {problem}.")

    def _sweep(self, state: dict[str, Any]) -> None:
        """Remove our directories that are no longer in use."""
        with Tree() as tree:
            left = [each for each in sorted(state["directories"], reverse=True) if not tree.remove_directory(each)]
        if sorted(left) != state["directories"]:
            self._commit(state, {**state, "directories": sorted(left)})


def _unnoted(note: Callable[[], None]) -> str:
    """Why something could not be written down, as a sentence to add; nothing where it was."""
    try:
        note()
    except (OSError, StateError) as problem:
        return f" That could not be noted; a timer and the next run will do it: {sentence(problem)}"
    return ""


def sentence(problem: BaseException | str) -> str:
    text = str(problem) or type(problem).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."
