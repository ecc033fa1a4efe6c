# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes that were put off, because the service that reads them must not be restarted now.

No file of theirs was changed. A run that may restart the service carries them out; so does nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._common.files import now
from .._common.services import Machine
from .job import Change, Load, Outcome
from .plan import Plan


def is_due(plan: Plan, changes: Sequence[Change], machine: Machine, outcome: Outcome) -> bool:
    """Whether these changes are to be put off, as ``outcome`` reports. A service that does not run is not restarted."""
    load = plan.load if changes else None
    if load is None or not put_off(load, machine):
        return False
    outcome.deferred = load.service
    return True


def put_off(load: Load, machine: Machine) -> bool:
    return load.deferred and machine.state(load.service) == "active"


def noted(
    state: Mapping[str, Any], plan: Plan, changes: Sequence[Change], machine: Machine, outcome: Outcome
) -> dict[str, Any]:
    """All that is put off on this host after this plan, which may put these changes off."""
    found = {name: entry for name, entry in state["deferred"].items() if name != plan.name}
    if is_due(plan, changes, machine, outcome):
        since = state["deferred"].get(plan.name, {}).get("since") or now()
        files = sorted(change.path for change in changes)
        found[plan.name] = {"service": outcome.deferred, "since": since, "files": files}
    return found
