# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Spares a host the question that its discovery has answered in this run. The module of the same name does the work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.chamilo.hardening.plugins.module_utils._transaction import (
    TransactionError,
    asks_for_nothing,
    plan,
)
from ansible_collections.chamilo.hardening.plugins.plugin_utils._discovered import seen


class ActionModule(ActionBase):
    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        generation = self._in_force(task_vars or {})
        if generation:
            result.update(changed=False, generation=generation, loaded=False, recovered=[], notes=[])
            if self._task.diff:
                result["diff"] = []
            return result
        result.update(self._execute_module(task_vars=task_vars))
        return result

    def _in_force(self, task_vars: Mapping[str, Any]) -> str:
        """The generation that is in force already; empty when the host has to be asked."""
        given = self._task.args
        known = seen(self._task, task_vars).get("in_force", {}).get(given.get("name"))
        if not known or given.get("state", "present") != "present":
            return ""
        try:
            wanted = plan(given)
        except (TransactionError, AttributeError, KeyError, TypeError):
            return ""  # the module says what is wrong with its options
        return wanted.generation if asks_for_nothing(wanted, known) else ""
