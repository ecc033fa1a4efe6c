# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What discovery saw in this run. Action plugins that can answer from it spare the host a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from ..module_utils._application.discovered import Discovered
from ..module_utils._common.typed import made
from ..module_utils._settings.plan import SettingsError, desired
from ..module_utils._transaction.job import TransactionError
from ..module_utils._transaction.plan import asks_for_nothing, plan

if TYPE_CHECKING:
    from ansible.playbook.task import Task

# The options of chamilo_settings with the desired state, and the default of each.
DESIRED: Mapping[str, Any] = {
    "settings": {},
    "secret_settings": {},
    "reset": (),
    "access_url": ("all",),
    "lock": None,
    "pin": None,
}
ELSE = {"root", "chamilo_root", "domain", "web_user", "section"}


def answer(registered: Mapping[str, Any]) -> Discovered:
    """What chamilo_site_info answered, from the variable in which a task registered it."""
    return made(Discovered, {one.name: registered[one.name] for one in fields(Discovered) if one.name in registered})


def seen(task: Task | None, variables: Mapping[str, Any]) -> Discovered | None:
    """What chamilo_site_info returned; nothing when the host has to be asked.

    Only the playbook harden says that no section comes twice. In any other play a task in between may have changed what
    discovery saw.
    """
    if variables.get("_chamilo_each_once") is not True or (task and task.delegate_to):
        return None
    registered = variables.get("__chamilo_common_info") or {}
    return answer(registered) if "site" in registered else None


def generation(info: Discovered | None, given: Mapping[str, Any]) -> str:
    """The generation of a transaction that is active already, with these options; empty: the host has to be asked."""
    known = info.in_force.get(str(given.get("name"))) if info else None
    if not known or given.get("state", "present") != "present":
        return ""
    try:
        expected = plan(given)
    except (TransactionError, AttributeError, KeyError, TypeError):
        return ""  # the module reports what is wrong with its options
    return expected.generation if asks_for_nothing(expected, known) else ""


def holds(info: Discovered | None, options: Mapping[str, Any]) -> bool:
    """Whether platform settings are as these options of chamilo_settings set them. With others the host is asked."""
    given = {"state": "present", **options}
    known = info.settings_in_force.get(given.get("section", "")) if info else None
    if not (info and known) or given.pop("state") != "present" or not set(given) <= {*DESIRED, *ELSE}:
        return False
    try:
        asked = desired(**{name: given.get(name, default) for name, default in DESIRED.items()})
    except (SettingsError, AttributeError, TypeError):
        return False  # the module reports what is wrong with its options
    root = given.get("root") or given.get("chamilo_root")
    return bool(root == info.site.root and asked.to_json() == known)
