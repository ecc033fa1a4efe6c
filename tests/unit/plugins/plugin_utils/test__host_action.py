# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import gc
from typing import Any
from unittest.mock import Mock

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.chamilo.hardening.plugins.action import chamilo_perms
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _host_action

PROMPT = "[sudo via ansible, key=abc] password:"


def run(monkeypatch: pytest.MonkeyPatch, answer: Any) -> dict[str, Any]:
    monkeypatch.setattr(ActionBase, "_execute_module", Mock(side_effect=[answer]))
    task = Mock(action="chamilo.hardening.chamilo_remembered", args={}, async_val=0)
    action = chamilo_perms.ActionModule(task, Mock(become=Mock()), Mock(), Mock(), Mock(), Mock())
    action._connection.become.name = "sudo"
    return action.run(task_vars={})


def test_the_answer_of_the_module_is_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    found = run(monkeypatch, {"changed": True, "forgotten": 3, "ansible_facts": {"a": 1}, "_ansible_verbose": 1})
    assert found == {"changed": True, "forgotten": 3, "_ansible_verbose": 1}


def test_what_a_task_s_process_inherited_is_not_searched_for_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    gc.unfreeze()
    run(monkeypatch, {"changed": False, "forgotten": 0})
    inherited = gc.get_freeze_count()
    gc.unfreeze()
    assert inherited


@pytest.mark.parametrize(
    ("path", "kept"),
    [("/usr/bin/python3.13", True), ("/usr/bin/python3", True), (None, False), ("/tmp/python3", False), ("a;b", False)],
)
def test_the_python_that_was_found_is_kept_for_the_next_task(
    monkeypatch: pytest.MonkeyPatch, path: str | None, kept: bool
) -> None:
    """Or each task would ask the host for it again: a round trip more, and a warning."""

    def execute(action: Any, **_options: Any) -> dict[str, Any]:
        action._discovered_interpreter_key, action._discovered_interpreter = "discovered_interpreter_python", path
        return {"changed": True, "forgotten": 3, "ansible_facts": {"discovered_interpreter_python": path, "a": 1}}

    monkeypatch.setattr(ActionBase, "_execute_module", execute)
    task = Mock(action="chamilo.hardening.chamilo_remembered", args={}, async_val=0)
    found = chamilo_perms.ActionModule(task, Mock(), Mock(), Mock(), Mock(), Mock()).run(task_vars={})
    assert found.get("ansible_facts") == ({"discovered_interpreter_python": path} if kept else None)


def test_what_cannot_be_an_answer_ends_with_a_sentence_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AnsibleActionFail, match="Invalid answer of the host to chamilo_remembered") as refused:
        run(monkeypatch, {"changed": True, "forgotten": {}})
    assert refused.value.__cause__ is None, "ansible-core would append it"


@pytest.mark.parametrize(
    ("error", "output"),
    [
        (
            "Premature end of stream waiting for become success.\n>>> Standard Error\nsudo: a password is required",
            "sudo requires a password and got none. The task was not run. Provide it with -K",
        ),
        ("Missing sudo password", "sudo requires a password and got none"),
        ("Incorrect sudo password", "sudo rejected the password. The task was not run. Provide the right one with -K"),
        (
            f"Duplicate become password prompt while waiting for become success.\n{PROMPT}Sorry, try again.\n",
            "sudo rejected the password",
        ),
        (
            "Premature end of stream waiting for become success.\nada is not in the sudoers file.\n",
            "Privilege escalation failed: ada is not in the sudoers file. The task was not run. Permit",
        ),
        ("Timeout (12s) waiting for privilege escalation prompt: \x1b[2J", "privilege escalation prompt"),
    ],
)
def test_a_failure_to_become_root_is_explained(monkeypatch: pytest.MonkeyPatch, error: str, output: str) -> None:
    with pytest.raises(AnsibleActionFail) as refused:
        run(monkeypatch, AnsibleError(error))
    assert output in str(refused.value) and "\n" not in str(refused.value) and "\x1b" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_other_errors_stay_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (
        AnsibleConnectionFailure("Premature end of stream waiting for become success."),
        AnsibleError("boom"),
    ):
        with pytest.raises(type(error)) as raised:
            run(monkeypatch, error)
        assert raised.value is error


@pytest.mark.parametrize(
    ("answer", "output"),
    [
        ({"msg": " Why. "}, "Why."),
        ({"exception": Mock(event=Mock(msg="boom"))}, "the module crashed: boom"),
        ({}, "the module gave no reason"),
    ],
)
def test_a_failure_has_a_reason(answer: dict[str, Any], output: str) -> None:
    assert _host_action.reason(answer) == output
