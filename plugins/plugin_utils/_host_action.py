# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""The base of each action plugin that asks a host: no answer reaches the controller but through ``_answers``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _answers

# What the connection plugins and the become plugins of ansible-core say where nobody becomes root.
_NOT_ROOT = re.compile(
    r"become (?:success|password)|privilege escalation|(?:Incorrect|Missing) \S+ password|password is required"
)
_NO_PASSWORD = re.compile(r"Missing \S+ password|password is required|a terminal is required")
_WRONG_PASSWORD = re.compile(r"Duplicate become password|Incorrect \S+ password|incorrect password|try again")


def not_root(error: str, method: str = "sudo") -> str:
    """A sentence for whoever did not become root; empty where the error is another one."""
    if not _NOT_ROOT.search(error):
        return ""
    if _WRONG_PASSWORD.search(error):
        why, remedy = f"{method} refused the password", "Give the right one with -K (--ask-become-pass)"
    elif _NO_PASSWORD.search(error):
        why = f"{method} asked for a password and got none"
        remedy = "Give it with -K (--ask-become-pass), or connect as root"
    else:
        lines = [line.strip() for line in error.splitlines() if line.strip()]
        why = _answers.printable(lines[-1][:200]).rstrip(".")
        remedy = f"Let the user become root by {method}, or connect as root"
    return f"Nobody became root on this host: {why}. The task was not run. {remedy}."


def _message(summary: Any) -> str:
    """The words of a warning or an error, which ansible-core has in a summary."""
    return str(getattr(getattr(summary, "event", None), "msg", "") or (summary if isinstance(summary, str) else ""))


def reason(answer: Mapping[str, Any]) -> str:
    """Why the module failed. After a crash the words are in the exception alone."""
    crash = _message(answer.get("exception"))
    return str(answer.get("msg") or (f"the module crashed: {crash}" if crash else "the module gave no reason")).strip()


class HostAction(ActionBase):
    def _execute_module(self, module_name: str | None = None, **options: Any) -> dict[str, Any]:  # type: ignore[override]
        try:
            answer = super()._execute_module(module_name=module_name, **options)
        except AnsibleConnectionFailure:
            raise
        except AnsibleError as error:
            said = not_root(str(error), getattr(self._connection.become, "name", "sudo"))
            if not said:
                raise
            raise AnsibleActionFail(said) from None  # what ansible-core says would be appended
        # Both as plain texts, which can be looked at.
        if answer.get("failed"):
            answer["msg"] = reason(answer)
        if isinstance(answer.get("warnings"), list):
            answer["warnings"] = [_message(warning) for warning in answer["warnings"]]
        try:
            return _answers.read((module_name or self._task.action).rpartition(".")[2], answer)
        except _answers.AnswerError as error:
            raise AnsibleActionFail(str(error)) from None


class ModuleAction(HostAction):
    """Runs the module of its name, and nothing else."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        result.update(self._execute_module(task_vars=task_vars))
        return result
