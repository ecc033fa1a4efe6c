# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Spares a host the question that its discovery has answered in this run. The module of the same name does the work."""

from __future__ import annotations

from typing import Any

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _discovered, _nodes
from ansible_collections.chamilo.hardening.plugins.plugin_utils._told import ToldAction


class ActionModule(ToldAction):
    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._not_given("salt", "request")
        given = dict(self._task.args)
        salted = given.get("require") or given.get("sealed")
        salt = _nodes.salted(self._templar, task_vars or {}) if salted else {}
        # Nodes of one portal hand their secrets on, for which each of them is asked.
        info = None if salt else _discovered.seen(self._task, task_vars or {})
        known = _discovered.unchanged(info, "chamilo_env", given)
        if known:
            result.update({**known, "diff": []} if self._task.diff else known)
            return result
        told = self._told(given, task_vars)
        request = {} if salt else {"request": _discovered.request(given)}
        result.update(self._execute_module(module_args={**given, **salt, **request, **told}, task_vars=task_vars))
        return result
