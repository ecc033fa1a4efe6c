# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Spares a host the question that its discovery has answered in this run. The module of the same name does the work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.chamilo.hardening.plugins.module_utils._settings.plan import SettingsError, wish
from ansible_collections.chamilo.hardening.plugins.plugin_utils._discovered import seen
from ansible_collections.chamilo.hardening.plugins.plugin_utils._host_action import HostAction

# The options that say what is wanted, and what stands for each that is left out. Whoever gives more asks the host.
WANTED: Mapping[str, Any] = {
    "settings": {},
    "secret_settings": {},
    "reset": (),
    "access_url": ("all",),
    "lock": None,
    "pin": None,
}
ELSE = {"chamilo_root", "web_user", "section"}


class ActionModule(HostAction):
    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        if self._holds(task_vars or {}):
            result.update(changed=False, settings={}, repaired=[], sessions_hold_old_values=False, cache_cleared=False)
            return result
        result.update(self._execute_module(task_vars=task_vars))
        return result

    def _holds(self, task_vars: Mapping[str, Any]) -> bool:
        given = {"state": "present", **self._task.args}
        info = seen(self._task, task_vars)
        known = info.get("settings_in_force", {}).get(given.get("section", ""))
        if not known or given.pop("state") != "present" or not set(given) <= {*WANTED, *ELSE}:
            return False
        try:
            asked = wish(**{name: given.get(name, default) for name, default in WANTED.items()})
        except (SettingsError, AttributeError, TypeError):
            return False  # the module says what is wrong with its options
        return bool(given.get("chamilo_root") == info["site"]["root"] and asked.to_json() == known)
