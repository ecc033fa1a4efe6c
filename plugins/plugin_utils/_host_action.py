# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of each action plugin that asks a host: no answer reaches the controller but through ``_answers``."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ..module_utils._common.request import apart, specification
from ..module_utils._common.typed import made
from . import _answers, _facts

_T = TypeVar("_T")

# The messages of ansible-core's connection and become plugins for a failed privilege escalation.
_ESCALATION = re.compile(
    r"become (?:success|password)|privilege escalation|(?:Incorrect|Missing) \S+ password|password is required"
)
_INTERPRETER = re.compile(r"/usr/(?:local/)?bin/python3(?:\.\d{1,2})?")
_NO_PASSWORD = re.compile(r"Missing \S+ password|password is required|a terminal is required")
_WRONG_PASSWORD = re.compile(r"Duplicate become password|Incorrect \S+ password|incorrect password|try again")


def escalation_failure(error: str, method: str = "sudo") -> str:
    """The message for a failed privilege escalation; empty for another error."""
    if not _ESCALATION.search(error):
        return ""
    if _WRONG_PASSWORD.search(error):
        why, remedy = f"{method} rejected the password", "Provide the right one with -K (--ask-become-pass)"
    elif _NO_PASSWORD.search(error):
        why = f"{method} requires a password and got none"
        remedy = "Provide it with -K (--ask-become-pass), or connect as root"
    else:
        lines = [line.strip() for line in error.splitlines() if line.strip()]
        why = _answers.printable(lines[-1][:200]).rstrip(".")
        remedy = f"Permit the user to become root by {method}, or connect as root"
    return f"Privilege escalation failed: {why}. The task was not run. {remedy}."


def _message(summary: Any) -> str:
    """The words of a warning or an error, which ansible-core has in a summary."""
    return str(getattr(getattr(summary, "event", None), "msg", "") or (summary if isinstance(summary, str) else ""))


def reason(answer: Mapping[str, Any]) -> str:
    """Why the module failed. After a crash the words are in the exception alone."""
    crash = _message(answer.get("exception"))
    return str(answer.get("msg") or (f"the module crashed: {crash}" if crash else "the module gave no reason")).strip()


def printed(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What a module printed, without control characters."""
    texts = {name: _answers.without_controls(answer[name]) for name in ("stdout", "stderr") if name in answer}
    return {**answer, **texts}


class InvalidAnswer(AnsibleActionFail):
    """The host answered what no module answers."""


class CollectionAction(ActionBase):
    """The base of each action plugin of this collection: it runs with no variable that a host has set."""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        gc.freeze()  # this process was forked for one task: what it inherited is not searched for garbage again
        refused = _facts.refusal(task_vars or {}, self._connection)
        if refused:
            raise AnsibleActionFail(_answers.printable(refused))
        return {**super().run(tmp, task_vars), "changed": False, **self.act(task_vars or {})}

    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        """The result of the task."""
        raise NotImplementedError

    def _request(self, *made: str) -> dict[str, Any]:
        """What this task asks an internal module for. ``made``: what the collection adds."""
        module, request = self._task.action.rpartition(".")[2], self._task.args.get("request")
        if set(self._task.args) != {"request"} or not isinstance(request, Mapping):
            raise AnsibleActionFail(f"{module} takes one option: request, a map.")
        for name in made:
            if name in request:
                raise AnsibleActionFail(f"{module}: {name} is made by the collection and cannot be given.")
        return dict(request)

    def _validated(self, kind: type[_T]) -> _T:
        """The same, of a module that is asked on the controller."""
        option = {"type": "dict", "required": True, "options": specification(kind)}
        _validation, arguments = self.validate_argument_spec({"request": option})
        return made(kind, arguments["request"])

    def _plugin(self, module: str, options: Mapping[str, Any], seconds: int = 0) -> ActionBase:
        """The action plugin of another module, for this task."""
        task = self._task.copy()
        task.action, task.args, task.async_val = module, dict(options), seconds
        loader = self._shared_loader_obj.action_loader
        return loader.get(
            module if loader.has_plugin(module) else "ansible.builtin.normal",
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )


class HostAction(CollectionAction):
    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        return self._execute_module(task_vars=variables)

    def _ask(self, module: str, kind: type, request: Mapping[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """The answer of an internal module to a request of that kind."""
        name, options = f"chamilo.hardening.{module}", apart(kind, request)
        return self._execute_module(module_name=name, module_args=options, task_vars=variables)

    def _unchanged(self, **known: Any) -> dict[str, Any]:
        """The answer of a module that has nothing to do."""
        return {**known, **({"diff": []} if self._task.diff else {})}

    # All options but one are passed on as they came, whatever ansible-core calls them.
    def _execute_module(self, module_name: str | None = None, **options: Any) -> dict[str, Any]:
        execute = super()._execute_module
        module = (module_name or self._task.action).rpartition(".")[2]
        answer = self._answer(module, lambda: execute(module_name=module_name, **options))
        # Found by ansible-core itself. Without it each task would search the host for Python again.
        key, path = self._discovered_interpreter_key, str(self._discovered_interpreter)
        if key == "discovered_interpreter_python" and _INTERPRETER.fullmatch(path):
            answer["ansible_facts"] = {key: path}
        return answer

    def _parse_returned_data(self, res: Any, profile: str) -> Any:
        try:
            _answers.bounded(self._task.action.rpartition(".")[2], res.get("stdout") or "", res.get("stderr") or "")
        except _answers.AnswerError as error:
            raise InvalidAnswer(str(error)) from None
        return super()._parse_returned_data(printed(res), profile)

    def _answer(self, module: str, ask: Callable[[], dict[str, Any]], asked: str = "") -> dict[str, Any]:
        """What the host answers, as the documentation of this module has it."""
        try:
            answer = ask()
        except AnsibleConnectionFailure:
            raise
        except AnsibleError as error:
            message = escalation_failure(str(error), getattr(self._connection.become, "name", "sudo"))
            if not message:
                raise
            raise AnsibleActionFail(message) from None  # or ansible-core appends its own
        # Both as plain texts, which can be examined.
        if answer.get("failed"):
            answer["msg"] = reason(answer)
        if isinstance(answer.get("warnings"), list):
            answer["warnings"] = [_message(warning) for warning in answer["warnings"]]
        try:
            return _answers.read(module, answer, asked)
        except _answers.AnswerError as error:
            raise InvalidAnswer(str(error)) from None
