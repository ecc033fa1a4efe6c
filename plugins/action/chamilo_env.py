# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validates the result of a host against the documentation of the module of the same name."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _nodes
from ansible_collections.chamilo.hardening.plugins.plugin_utils._host_action import HostAction


class ActionModule(HostAction):
    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        if "salt" in self._task.args:
            raise AnsibleActionFail("chamilo_env: salt is made by the collection and cannot be given.")
        arguments = dict(self._task.args)
        if arguments.get("require") or arguments.get("sealed"):
            arguments |= _nodes.salted(self._templar, task_vars or {})
        result.update(self._execute_module(module_args=arguments, task_vars=task_vars))
        return result
