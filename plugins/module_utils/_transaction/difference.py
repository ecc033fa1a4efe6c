# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to change, compared with what is there, and how that is shown to people."""

from __future__ import annotations

import grp
import pwd
from collections.abc import Mapping
from typing import Any

from .._common.files import Item, Tree
from .job import Change, Outcome, TransactionError
from .ownership import given_up, last_owner, next_owner, our_link, ours_and_plain
from .plan import Plan, as_item
from .store import Store


def compare(state: Mapping[str, Any], plan: Plan, outcome: Outcome) -> tuple[list[Change], dict[str, Item]]:
    """What differs, and the present state of every file (needed when its section changes it for the first time)."""
    changes: list[Change] = []
    found: dict[str, Item] = {}
    with Tree() as tree:
        for want in plan.files:
            new = as_item(want)
            old = tree.inspect(want.path)
            found[want.path] = old
            if old.same(new):
                continue
            if old.is_link and new.is_file and not our_link(state, want.path):
                raise TransactionError(
                    f"{want.path} is a link to {old.target} that this collection did not make. "
                    "No file was changed. Remove the link, or name the file it leads to."
                )
            changes.append(Change(want.path, old, new))
            unknown = want.secret or (private(old) and not ours_and_plain(state, want.path, old))
            outcome.diff.extend(diff(want.path, old, new, unknown, want.secret))
    return changes, found


def restored(store: Store, state: Mapping[str, Any], plan: Plan, outcome: Outcome) -> list[Change]:
    """How files come back as they were that the transaction wrote once and wants no more."""
    back: list[Change] = []
    with Tree() as tree:
        for path, known in given_up(state, plan).items():
            current = tree.inspect(path)
            before, after = Item.from_json(known["before"]), Item.from_json(known["after"])
            below = last_owner(state, path, plan.name)
            if next_owner(state, plan.name, path, known["since"]) or current.same(before):
                continue
            if below:
                # As that section wrote it, which it may have done anew since.
                wrote = Item.from_json(state["records"][below]["files"][path]["after"])
                if current.same(wrote) or not before.same(wrote):
                    continue
            if not current.reads_as(after):
                outcome.notes.append(
                    f"{path} was edited by hand after it was written, so it stays. It is no longer needed: check it."
                )
                continue
            before = store.load(before)
            back.append(Change(path, current, before))
            hidden = known.get("secret", True) or (private(current) and not ours_and_plain(state, path, current))
            outcome.diff.extend(diff(path, current, before, hidden, private(before)))
    return back


def diff(path: str, old: Item, new: Item, hide_old: bool, hide_new: bool) -> list[dict[str, str]]:
    """What changes, for people."""
    before, after = _shown(old, hide_old, "before"), _shown(new, hide_new, "after")
    found = []
    if before != after:
        headers = {"before_header": path if old.is_there else f"{path} (absent)"}
        headers["after_header"] = path if new.is_there else f"{path} (absent)"
        found.append({**headers, "before": before, "after": after})
    if old.is_file and new.is_file and (old.uid, old.gid, old.mode) != (new.uid, new.gid, new.mode):
        header = f"{path} (owner and mode)"
        found.append({"before_header": header, "after_header": header, "before": _rights(old), "after": _rights(new)})
    return found


def private(item: Item) -> bool:
    return item.is_file and not item.mode & 0o004


def _shown(item: Item, hidden: bool, when: str) -> str:
    if not item.is_there:
        return ""
    if item.is_link:
        return f"link to {item.target}\n"
    if hidden:
        return f"(secret content, not shown: {when})\n"
    try:
        text = item.data.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        return f"(binary, {len(item.data)} bytes, sha256 {item.sha256})\n"
    return text


def _rights(item: Item) -> str:
    return f"owner: {_name_of(item.uid, True)}\ngroup: {_name_of(item.gid, False)}\nmode: {item.mode:04o}\n"


def _name_of(number: int, user: bool) -> str:
    try:
        return pwd.getpwuid(number).pw_name if user else grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
