# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What brings the files back as they were before the first transaction of a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .._common.files import Item, Tree
from . import marked
from .difference import diff, private
from .job import Change, Job, Load, Outcome
from .judgement import Before, revive
from .ownership import last_owner, next_owner
from .probe import Probe
from .store import Store

if TYPE_CHECKING:
    from .._common.http import Answer


def restoration(store: Store, state: Mapping[str, Any], name: str, outcome: Outcome) -> Job:
    """The job that undoes a transaction. A file that was edited since is kept aside, which ``outcome`` notes."""
    record = state["records"][name]
    outcome.generation = record["generation"]
    changes: list[Change] = []
    above: dict[str, str] = {}
    with Tree() as tree:
        for path, known in sorted(record["files"].items()):
            before, after = Item.from_json(known["before"]), Item.from_json(known["after"])
            over = next_owner(state, name, path, known["since"])
            if over:
                # A later section has this file. It stays; that section's undo will go back to before ours.
                above[path] = over
                continue
            current = tree.inspect(path)
            if before.same(after) or current.same(before):
                continue
            below = last_owner(state, path, name)
            if below and current.same(Item.from_json(state["records"][below]["files"][path]["after"])):
                # As that section wrote it, which it may have done anew since.
                continue
            if not current.reads_as(after):
                outcome.notes.append(store.keep_edited(path, current))
            before = store.load(before)
            changes.append(Change(path, current, before))
            outcome.diff.extend(diff(path, current, before, private(current), private(before)))
    changes += marked.without(store.root, state, name, outcome)
    released, tracked = marked.restored(state, name, changes, outcome)
    changes += released

    seen = {revive(each): each["seen"] for each in record["seen"]}
    tokens = [probe for probe in map(revive, record["probe"]) if probe.generation]

    def judge(probe: Probe, was: Answer | None, answer: Answer) -> str:
        if probe.generation:
            shown = all(answer.values(name) == [value] for name, value in probe.headers.items())
            return f"{probe.where} still answers with the configuration that was to go" if shown else ""
        # As it was before the section, or as it was a moment ago: either is no harm done.
        if was is None or not 0 < was.status < 500 or answer.status in (was.status, seen[probe]):
            return ""
        return f"{probe.where} answers {answer.status or answer.error}; before this it was {was.status}"

    def commit(after: dict[str, Any], _kept: Mapping[str, Item], _before: Mapping[Probe, Before]) -> None:
        for path, over in above.items():
            after["records"][over]["files"][path]["before"] = record["files"][path]["before"]
        marked.remember(after, tracked)
        del after["records"][name]

    load = Load(**record["load"]) if record["load"] else None
    # Another PHP, or no portal any more: a test that cannot be run must not keep things as they are for ever.
    return Job(name, changes, {}, record["test"], load, (), [*seen, *tokens], judge, commit, left_out=[])
