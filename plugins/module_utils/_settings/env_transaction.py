# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The transaction in which files of the environment change, and what it leaves to be done once it is committed."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from .._common.errors import HardeningError
from .._common.files import Tree as Disk
from .._transaction.job import Change, Job, Outcome, Refused, TransactionError
from .._transaction.judgement import judge
from .._transaction.probe import page
from .._transaction.recovery import LOCK_SECONDS, Recovery
from .._transaction.writing import Writing

CACHE_SECONDS = 300.0
OWED = "logins"  # in the state: the portals whose secrets were replaced and whose logins did not end yet


class Writer(Writing):
    """The transaction of this module: nothing of it is kept, for no secret of yesterday may come back by an undo."""

    def __init__(self, engine: Recovery) -> None:
        super().__init__(engine.store.root, engine.machine, engine.fetch)

    def write(
        self,
        work: Sequence[Change],
        test: Sequence[Sequence[str]],
        pages: Sequence[Mapping[str, Any]],
        outcome: Outcome,
        owing: str = "",
    ) -> None:
        """``pages``: what visitors get of them has to be the same before and after.

        ``owing``: the portal whose logins are to end once this is committed, whatever becomes of this process.
        """
        probe = [page(one) for one in pages]

        def commit(state: dict[str, Any], *_nothing: object) -> None:
            if owing:
                state[OWED] = sorted({*state.get(OWED, ()), owing})

        job = Job("environment", work, {}, test, None, (), probe, judge, commit)
        with self.store.lock("environment", LOCK_SECONDS):
            state: dict[str, Any] = copy.deepcopy(self.store.peek())
            self._recover(state, outcome.recovered)
            with Disk() as disk:
                moved = [change.path for change in work if not disk.inspect(change.path).same(change.old)]
            if moved:
                raise TransactionError(
                    f"{' and '.join(moved)} changed while it was read. No file was changed; run again."
                )
            self._carry_out(state, job, outcome)

    def logins_ended(self, root: str) -> list[str]:
        """Owe the end of the logins no longer. Why that could not be noted, in a sentence."""
        try:
            with self.store.lock("environment", LOCK_SECONDS):
                state = self.store.peek()
                left = [each for each in state.pop(OWED, ()) if each != root]
                self.store.commit({**state, OWED: left} if left else state)
        except (HardeningError, OSError) as problem:
            return [f"That the logins are ended could not be noted: {problem}. The next run ends them once more."]
        return []

    def _test(self, commands: Sequence[Sequence[str]], left_out: list[str] | None = None) -> None:
        for argv in commands:
            code, output = self.machine.command(argv, CACHE_SECONDS)
            if code:
                output = output or "no output"
                if "cache:clear" not in argv:
                    raise Refused(f"`{' '.join(argv)}` failed (exit code {code}): {output}")
                raise Refused(f"The cache could not be cleared as {argv[2]} (exit code {code}): {output}")
