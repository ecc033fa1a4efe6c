# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Spares a host the question that its discovery has answered in this run, and keeps secrets out of its journal.

The module of the same name does the work.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _discovered
from ansible_collections.chamilo.hardening.plugins.plugin_utils._host_action import HostAction


def with_secrets_apart(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the module: secrets in one of their own, by path.

    In the line that a module logs of itself, ansible-core masks each option that is marked as a secret. Of a suboption
    it masks only what repr() leaves as it is: no text of several lines.
    """
    files, secrets = arguments.get("files"), {}
    if not isinstance(files, (list, tuple)):
        return dict(arguments)  # the module reports what is wrong with it
    kept = []
    for file in files:
        if isinstance(file, Mapping) and file.get("secret_content") is not None:
            secrets[file.get("path")] = file["secret_content"]
            file = {name: value for name, value in file.items() if name != "secret_content"}
        kept.append(file)
    return {**arguments, "files": kept, "secrets": secrets}


class ActionModule(HostAction):
    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        if "secrets" in self._task.args:
            raise AnsibleActionFail("config_transaction: secrets is made by the collection and cannot be given.")
        generation = _discovered.generation(_discovered.seen(self._task, variables), self._task.args)
        if generation:
            return self._unchanged(generation=generation, loaded=False, recovered=[], notes=[])
        return self._execute_module(module_args=with_secrets_apart(self._task.args), task_vars=variables)
