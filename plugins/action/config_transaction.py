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
        """The generation that is in force already; empty when the host has to be asked.

        Only the playbook harden says that no section comes twice. In any other play a task in between may have changed
        what discovery saw.
        """
        given = self._task.args
        if task_vars.get("_chamilo_each_once") is not True or self._task.delegate_to:
            return ""
        known = (task_vars.get("__chamilo_common_info") or {}).get("in_force", {}).get(given.get("name"))
        if not known or given.get("state", "present") != "present":
            return ""
        try:
            wanted = plan(given)
        except (TransactionError, AttributeError, KeyError, TypeError):
            return ""  # the module says what is wrong with its options
        return wanted.generation if asks_for_nothing(wanted, known) else ""
