# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module guide_audit and joins the table of controls, the level and the waivers to what it saw.

The table does not travel to the host, so this happens on the controller.
"""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _controls
from ansible_collections.chamilo.hardening.plugins.plugin_utils._host_action import HostAction, reason


class ActionModule(HostAction):
    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        try:
            table = _controls.load()
            level = _controls.parse_level(arguments.pop("level", "should"))
            waivers = _controls.parse_waivers(arguments.pop("waivers", []), table)
        except _controls.ControlError as error:
            raise AnsibleActionFail(str(error)) from error

        arguments["unenforced"] = _controls.unenforced(table, level, waivers)
        answer = self._look(arguments, task_vars or {})
        unseen = "The audit gave no answer for this control."
        if arguments.get("sections"):
            unseen = f"The audit was asked about other sections alone: {', '.join(arguments['sections'])}."
        if answer.get("failed"):
            # The host goes on, or the report, which is made by the hosts that are left, could be missing altogether.
            # guide_report fails the play once the report is there.
            result["error"] = reason(answer)
            unseen = f"The audit could not run: {result['error']}"
        else:
            result.update((key, value) for key, value in answer.items() if key != "observed")
        try:
            result["controls"] = _controls.rows(table, answer.get("observed", {}), unseen, level, waivers)
        except _controls.ControlError as error:
            raise AnsibleActionFail(str(error)) from error
        result["summary"] = _controls.summary(result["controls"])
        result["changed"] = False
        return result

    def _look(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = self._execute_module(
                module_name="chamilo.hardening.guide_audit", module_args=arguments, task_vars=task_vars
            )
        except AnsibleConnectionFailure:
            raise
        except AnsibleError as error:
            return {"failed": True, "msg": str(error)}
        return answer
