# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the database accounts of a portal are still as they were asked for last."""

from __future__ import annotations

import dataclasses
from typing import Any

from .._application.installation import Installation
from .._common import asked
from .accounts import AccountManager
from .context import Context, Desired, Result

MODULE = "chamilo_database_account"


def remember(root: str, request: str, desired: Desired) -> None:
    """What another host has a part in is asked for anew in each run."""
    if request and root and not desired.elsewhere:
        options = dataclasses.asdict(dataclasses.replace(desired, probe=()))
        asked.remember(MODULE, root, request, {name: value for name, value in options.items() if name != "probe"})


def answer(portal: Installation) -> dict[str, Any]:
    """What the module would answer, where it would change nothing and has nothing to report; else nothing."""
    request, options = asked.recall(MODULE, portal.root)
    if not request:
        return {}
    result = Result()
    AccountManager(Context(portal, Desired(**options))).apply(result, check=True)
    return {} if result.changed or result.notes else {"request": request, "result": reported(result)}


def reported(result: Result) -> dict[str, Any]:
    """The result as the module answers it."""
    return {name: value for name, value in dataclasses.asdict(result).items() if name not in ("before", "after")}
