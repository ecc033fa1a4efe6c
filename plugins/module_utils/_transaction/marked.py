# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that stay their owner's, with lines of ours between marks: how these come in, and how they go again."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

from .._common.files import Item, StateError, Tree
from .._common.markers import MarkerError, apply, released, sites, strip, sums
from .._common.mending import mended
from .._webserver import shared_directives
from .._webserver.shared_directives import mentions
from .job import Change, Outcome, TransactionError
from .our_lines import Known, file_of_root, of, places_of, site_of, text_of, whole
from .plan import Marked, Plan

_CONTEXT = 2  # lines around each change that a diff shows


def compare(root: str, state: Mapping[str, Any], plan: Plan, outcome: Outcome) -> tuple[list[Change], dict[str, Known]]:
    """How files get the desired marks and lose the others, and what is saved of them."""
    changes: list[Change] = []
    record = state["records"].get(plan.name, {})
    kept = {} if plan.complete else dict(of(record))
    _not_as_a_whole(state, plan)
    used: set[str] = set()
    with Tree() as tree:
        for want in plan.marked:
            file = _file(want)
            kept.pop(want.path, None)
            if file in used or file in [known["file"] for known in kept.values()]:
                raise TransactionError(f"files: {want.path} and another path lead to {file}. No file was changed.")
            used.add(file)
            _no_file_of_ours(state, file)
            old = tree.inspect(file)
            known = next((one for one in of(record).values() if one["file"] == file), None)
            text = whole(root, text_of(old), known, site_of(plan.name))
            new = with_text(old, _edited(want, file, text, site_of(plan.name)))
            if want.marks:
                blocks = sums(text_of(new), site_of(plan.name))
                kept[want.path] = {"file": file, "seen": want.seen, "sha256": new.sha256, "blocks": blocks}
            if not old.same(new):
                changes.append(Change(file, old, new))
                outcome.diff.append(diff(file, old, new))
        gone = {path: known for path, known in of(record).items() if path not in kept}
        used |= {known["file"] for known in kept.values()}
        changes += _without(root, tree, plan.name, gone, used, outcome)
    return changes, kept


def without(root: str, state: Mapping[str, Any], name: str, outcome: Outcome) -> list[Change]:
    """How the files of a transaction lose its marks, and nothing else."""
    with Tree() as tree:
        return list(_without(root, tree, name, of(state["records"][name]), (), outcome))


def restored(
    state: Mapping[str, Any], name: str, changes: Sequence[Change], outcome: Outcome
) -> tuple[list[Change], dict[str, dict[str, Known]]]:
    """How what other transactions of a site set aside comes back, where these changes take away what it stood for.

    With what is to be remembered of those files, by transaction.
    """
    site = site_of(name)
    holders = [other for other, record in state["records"].items() if site_of(other) == site and of(record)]
    found: list[Change] = []
    known: dict[str, dict[str, Known]] = {}
    with Tree() as tree:
        before, after = _output(tree, state, site, changes)
        gone = before - after
        for holder in holders if gone else ():
            if holder == name:
                continue
            for path, last in of(state["records"][holder]).items():
                try:
                    places = places_of(tree, path, last, site)
                except StateError as problem:
                    outcome.notes.append(f"{problem} What {holder} set aside there stays so.")
                    continue
                for file in places:
                    old = tree.inspect(file)
                    text = released(text_of(old), site, lambda line: mentions(line, gone) and not mentions(line, after))
                    new = with_text(old, text)
                    if old.same(new):
                        continue
                    found.append(Change(file, old, new))
                    outcome.diff.append(diff(file, old, new))
                    # This form was not requested: the next run of its section checks it again.
                    kept: Known = {"file": file, "seen": "", "sha256": new.sha256, "blocks": sums(text, site)}
                    known.setdefault(holder, {})[path] = kept
    return found, known


def remember(state: Mapping[str, Any], tracked: Mapping[str, Mapping[str, Known]]) -> None:
    """Files of other transactions as ``restored`` leaves them."""
    for name, files in tracked.items():
        state["records"][name]["marked"].update(files)


def _output(
    tree: Tree, state: Mapping[str, Any], site: str, changes: Sequence[Change]
) -> tuple[frozenset[str], frozenset[str]]:
    """Directives in the virtual hosts of a site that may occur once, before and after some changes."""
    insider = re.compile(rf".*/chamilo-{re.escape(site)}\.d/(?:location/)?[^/]+\.conf")
    files = {path for record in state["records"].values() for path in record["files"] if insider.fullmatch(path)}
    old = {path: text_of(tree.inspect(path)) for path in files}
    new = {**old, **{change.path: text_of(change.new) for change in changes if change.path in old}}
    return (
        shared_directives.once(old.values()) | shared_directives.headers(old.values()),
        shared_directives.once(new.values()) | shared_directives.headers(new.values()),
    )


def diff(path: str, old: Item, new: Item) -> dict[str, str]:
    """The lines that change, with a few around them. Nothing of a file that is not world-readable."""
    if not old.mode & 0o004:
        return {"prepared": f"--- before: {path}\n+++ after: {path}\n(not shown: this file is not world-readable)\n"}
    before, after = (text_of(item).splitlines(keepends=True) for item in (old, new))
    lines = difflib.unified_diff(before, after, f"before: {path}", f"after: {path}", n=_CONTEXT)
    shown = "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
    return {"prepared": shown.encode("utf-8", "surrogateescape").decode("utf-8", "replace")}


def _file(want: Marked) -> str:
    try:
        return file_of_root(want.path)
    except FileNotFoundError as problem:
        raise TransactionError(f"{want.path} is not there any more. No file was changed. Run again.") from problem


def _no_file_of_ours(state: Mapping[str, Any], file: str) -> None:
    for name, record in state["records"].items():
        if record["files"].get(file, {}).get("after", {}).get("kind") == "file":
            raise TransactionError(
                f"{file} was written by {name} as a whole, so nothing is added to it. No file was changed. Undo that "
                f"first: chamilo-hardening undo {name}"
            )


def _not_as_a_whole(state: Mapping[str, Any], plan: Plan) -> None:
    expected = {want.path for want in plan.files}
    for name, record in state["records"].items():
        for file in sorted(expected & {known["file"] for known in of(record).values()}):
            raise TransactionError(
                f"{file} has lines of {name}, so it is not written as a whole. No file was changed. Undo that first: "
                f"chamilo-hardening undo {name}"
            )


def _edited(want: Marked, file: str, text: str, site: str) -> str:
    try:
        bare = strip(text, site)
        new = apply(bare, want.marks, site) if _sha256(bare) == want.digest else _beside(bare, want, site)
        if new is None:
            raise TransactionError(f"{file} was changed since it was read. No file was changed. Run again.")
        return new
    except MarkerError as problem:
        raise TransactionError(f"{file} {problem} No file was changed.") from problem


def _beside(bare: str, want: Marked, site: str) -> str | None:
    """The file with its lines, where only other portals got theirs since it was read, as in one and the same run."""
    others = sites(bare)
    for since in (chosen for number in range(1, len(others) + 1) for chosen in combinations(others, number)):
        texts = [bare]
        for other in since:
            texts.append(strip(texts[-1], other))
        if _sha256(texts[-1]) == want.digest:
            expected = apply(texts[-1], want.marks, site)
            new = alone = mended(bare, expected, site)
            for other in since:
                alone = strip(alone, other)
            return new if alone == expected and strip(new, site) == bare else None
    return None


def _without(
    root: str,
    tree: Tree,
    name: str,
    files: Mapping[str, Known],
    used: Container[str],
    outcome: Outcome,
) -> Iterator[Change]:
    """A file that its owner removed or renamed is no error."""
    done = set()
    for path, known in sorted(files.items()):
        try:
            places = places_of(tree, path, known, site_of(name))
        except StateError as problem:
            outcome.notes.append(f"{problem} Lines of {name} were in that file.")
            continue
        if not places:
            outcome.notes.append(f"{known['file']} is not there any more, and so are the lines of {name} in it.")
        for file in places:
            if file in used or file in done:
                continue
            done.add(file)
            old = tree.inspect(file)
            try:
                new = with_text(old, strip(whole(root, text_of(old), known, site_of(name)), site_of(name)))
            except MarkerError as problem:
                raise TransactionError(f"{file} {problem} No file was changed.") from problem
            if not old.same(new):
                outcome.diff.append(diff(file, old, new))
                yield Change(file, old, new)


def with_text(old: Item, text: str) -> Item:
    """The same file, owner, mode and access list, with another text."""
    data = text.encode("utf-8", "surrogateescape")
    return replace(old, data=data, sha256=hashlib.sha256(data).hexdigest(), mtime_ns=0)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
