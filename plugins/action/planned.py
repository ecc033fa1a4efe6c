# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives a transaction or settings of a plan to the module that they are for, whole.

ansible-core warns of a task whose options come from a variable, since facts of a host could be in it. This action names
the modules, and checks like any other of the collection that no host has set a variable.
"""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.chamilo.hardening.plugins.plugin_utils._host_action import HostAction

MODULES = ("config_transaction", "chamilo_settings")


class ActionModule(HostAction):
    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        name, options = next(iter(self._task.args.items()), ("", None))
        if name not in MODULES or len(self._task.args) != 1 or not isinstance(options, dict):
            raise AnsibleActionFail(f"planned takes one of {', '.join(MODULES)}, with the options of that module.")
        answer: dict[str, Any] = self._plugin(f"chamilo.hardening.{name}", options).run(task_vars=variables)
        return answer
