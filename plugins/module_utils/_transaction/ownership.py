# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which transactions manage which file, from their records: several may manage the same one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._common.files import Item
from .plan import Plan, as_item, no_longer_named


def our_link(state: Mapping[str, Any], path: str) -> bool:
    records = state["records"].values()
    return any(record["files"].get(path, {}).get("after", {}).get("kind") == "link" for record in records)


def ours_and_plain(state: Mapping[str, Any], path: str, old: Item) -> bool:
    """Whether this is our own content without a secret: then it may be shown, whatever the mode of the file."""
    known = [record["files"][path] for record in state["records"].values() if path in record["files"]]
    return any(not each.get("secret", True) and Item.from_json(each["after"]).same(old) for each in known)


def next_owner(state: Mapping[str, Any], name: str, path: str, since: int) -> str:
    """The section that took this path over after ``name`` did, the earliest of them."""
    later = [
        (record["files"][path]["since"], other)
        for other, record in state["records"].items()
        if other != name and path in record["files"] and record["files"][path]["since"] > since
    ]
    return min(later)[1] if later else ""


def last_owner(state: Mapping[str, Any], path: str, but: str = "") -> str:
    """The section that touched a path last, but for one."""
    owners = [
        (record["files"][path]["since"], name)
        for name, record in state["records"].items()
        if name != but and path in record["files"]
    ]
    return max(owners)[1] if owners else ""


def given_up(state: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    """What the transaction of that name wrote, and wants no more."""
    files = state["records"].get(plan.name, {"files": {}})["files"]
    tracked = (path for path, known in files.items() if known["after"]["kind"] != "absent")
    return {path: files[path] for path in no_longer_named(plan, tracked)}


def shared(state: Mapping[str, Any], plan: Plan) -> bool:
    """Whether the plan names files that only others manage so far, which they must no longer remove."""
    tracked = {name: record["files"] for name, record in state["records"].items()}
    own = tracked.pop(plan.name, {})
    return any(want.path not in own and any(want.path in files for files in tracked.values()) for want in plan.files)


def written_by_another(state: Mapping[str, Any], plan: Plan) -> bool:
    """Whether files that are right are not as the transaction itself wrote them: they would seem edited for ever."""
    own = state["records"].get(plan.name, {"files": {}})["files"]
    known = ((want, own[want.path]["after"]) for want in plan.files if want.path in own)
    return any(not Item.from_json(after).same(as_item(want)) for want, after in known)


def give_up(state: dict[str, Any], plan: Plan) -> None:
    """Remove its record. A transaction that took over a file inherits the state before both."""
    record = state["records"][plan.name]
    record["generation"] = plan.generation
    for path, known in given_up(state, plan).items():
        over = next_owner(state, plan.name, path, known["since"])
        if over:
            state["records"][over]["files"][path]["before"] = known["before"]
        del record["files"][path]
    if not record["files"] and not record.get("marked"):
        del state["records"][plan.name]
