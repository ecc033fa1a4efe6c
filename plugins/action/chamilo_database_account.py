# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Spares a host the question that its discovery has answered in this run. The module of the same name does the work."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _discovered
from ansible_collections.chamilo.hardening.plugins.plugin_utils._host_action import HostAction


class ActionModule(HostAction):
    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        given = dict(self._task.args)
        if "request" in given:
            raise AnsibleActionFail("chamilo_database_account: request is made by the collection and cannot be given.")
        info = _discovered.seen(self._task, task_vars or {})
        known = _discovered.unchanged(info, "chamilo_database_account", given)
        request = {"request": _discovered.request(given)}
        result.update(known or self._execute_module(module_args={**given, **request}, task_vars=task_vars))
        return result
