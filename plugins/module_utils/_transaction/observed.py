# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on this host of what the transactions wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._common.files import Item, Tree
from .._common.in_force import InForce
from .our_lines import as_written, of
from .plan import as_seen


def settled(state: Mapping[str, Any]) -> bool:
    """Whether no run was cut off, and nothing is owed to a service."""
    return not state["open"] and not state["pending"]


def in_force(root: str, state: Mapping[str, Any]) -> dict[str, InForce]:
    """All transactions. None has a generation after a run that was cut off."""
    quiet = settled(state)
    found: dict[str, InForce] = {}
    with Tree() as tree:
        for name, record in state["records"].items():
            items = {path: Item.from_json(known["after"]) for path, known in record["files"].items()}
            whole = quiet and all(tree.inspect(path).same(item) for path, item in items.items())
            whole = whole and all(as_written(root, tree, path, known) for path, known in of(record).items())
            files = {path: as_seen(item.kind, item.target) for path, item in items.items()}
            files.update({path: known["seen"] for path, known in of(record).items()})
            found[name] = InForce(record["generation"] if whole else "", files)
    return found
