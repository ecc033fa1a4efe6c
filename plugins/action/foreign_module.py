# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module of ansible-core or of another collection, and keeps its answer from setting variables.

Any module may return facts. ansible-core takes them over after the action plugin, and those of async_status where it
polls a job: so this plugin stands in for that of the module, and polls.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.executor.module_common import _apply_action_arg_defaults
from ansible.plugins.action import ActionBase

from ansible_collections.chamilo.hardening.plugins.plugin_utils._host_action import HostAction, InvalidAnswer, printed

CORE = ("apt", "command", "copy", "fetch", "file", "get_url", "service", "slurp")
MODULES = {**{name: f"ansible.builtin.{name}" for name in CORE}, "mariadb_user": "ansible.mariadb.mariadb_user"}
POLL_SECONDS = 2
SILENT_SECONDS = 3600  # at most, while the host cannot report the state of its job


def not_there(module: str) -> str:
    """Why a module cannot be run, where its collection is not on the controller. ansible-core's own always are."""
    collection = module.rpartition(".")[0]
    try:
        if collection == "ansible.builtin" or importlib.util.find_spec(f"ansible_collections.{collection}"):
            return ""
    except ModuleNotFoundError:  # nor is any other of that namespace
        pass
    return (
        f"The collection {collection} is not on this controller. A database on another host needs it, and nothing "
        f"else does. Install it: ansible-galaxy collection install {collection}"
    )


class ActionModule(HostAction):
    _supports_async = True

    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        name, options = next(iter(self._task.args.items()), ("", None))
        if name not in MODULES or len(self._task.args) != 1 or not isinstance(options, dict):
            raise AnsibleActionFail(
                f"foreign_module takes one of {', '.join(MODULES)}, with the options of that module."
            )
        refused = not_there(MODULES[name])
        if refused:
            raise AnsibleActionFail(refused)
        seconds = self._task.async_val
        if seconds and self._task.poll:
            raise AnsibleActionFail("foreign_module waits for the end of its job. Set poll to 0.")
        # A user's module_defaults hold for the module, as in a task of its own. ansible-core's service does the same.
        options = _apply_action_arg_defaults(MODULES[name], self._task, options, self._templar)
        answer = self._run(name, self._plugin(MODULES[name], options, seconds), variables)
        if seconds and not answer.get("failed"):
            answer = self._wait(name, answer.get("ansible_job_id", ""), variables)
        return answer

    def _plugin(self, module: str, options: Mapping[str, Any], seconds: int = 0) -> ActionBase:
        plugin = super()._plugin(module, options, seconds)
        parse = plugin._parse_returned_data
        plugin._parse_returned_data = lambda res, profile: parse(printed(res), profile)
        return plugin

    def _run(self, name: str, plugin: ActionBase, variables: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._answer("foreign_module", lambda: plugin.run(task_vars=variables), asked=name)
        finally:
            plugin.cleanup()

    def _wait(self, name: str, job: str, variables: dict[str, Any]) -> dict[str, Any]:
        """The answer of a job that was started. The connection may be lost in the meantime."""
        started = heard = time.monotonic()
        while True:
            time.sleep(POLL_SECONDS)
            status = self._plugin("ansible.builtin.async_status", {"jid": job})
            try:
                answer = self._run(name, status, variables)
            except InvalidAnswer:
                raise
            except AnsibleError as error:  # the job goes on: a disk without room, or sudo that is out of reach
                answer = {"failed": True, "msg": str(error)}
                reset = getattr(self._connection, "reset", None)
                if reset:
                    reset()
            if answer.get("finished"):
                break
            now = time.monotonic()
            heard = heard if answer.get("failed") else now
            if now > started + self._task.async_val or now > heard + SILENT_SECONDS:
                why = f" {answer['msg']}" if answer.get("msg") else ""
                raise AnsibleActionFail(f"The job of {name} did not report its end: {job}.{why} Check the host.")
        self._run(name, self._plugin("ansible.builtin.async_status", {"jid": job, "mode": "cleanup"}), variables)
        return answer
