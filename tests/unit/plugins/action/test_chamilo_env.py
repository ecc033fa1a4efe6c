# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.chamilo.hardening.plugins.action.chamilo_env import ActionModule
from ansible_collections.chamilo.hardening.plugins.plugin_utils._discovered import request


def test_an_answer_that_cannot_be_one_is_refused(answered: Any) -> None:
    answer = {"changed": False, "files": {"/var/www/chamilo/.env": "rm"}}
    with pytest.raises(AnsibleActionFail) as refused:
        answered("chamilo_env", answer)
    assert "is missing" in str(refused.value)


ARGS: dict[str, Any] = {"domain": "campus.test", "values": {"APP_ENV": "prod"}}
FOUND: dict[str, Any] = {name: [] for name in ("files", "secrets", "generated", "refused", "consequences", "notes")} | {
    "changes": {},
    "cache_cleared": False,
    "sealed": "",
}


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """What the host answers; whether it was asked."""
    asked = Mock(side_effect=[{"changed": True, **FOUND}])
    monkeypatch.setattr(ActionBase, "_execute_module", asked)
    return asked


def run(args: dict[str, Any], asked: dict[str, Any], **variables: Any) -> dict[str, Any]:
    info = {"unchanged": {"chamilo_env": {"request": request(asked), "result": FOUND}}}
    task = Mock(action="chamilo.hardening.chamilo_env", args=args, async_val=0, diff=False, delegate_to=None)
    action = ActionModule(task, Mock(), Mock(), Mock(), Mock(), Mock())
    known = {"_chamilo_each_once": True, "__chamilo_common_info": info, **variables}
    result: dict[str, Any] = action.run(task_vars=known)
    return result


def test_only_what_discovery_found_as_it_is_asked_for_is_not_asked_for_again(host: Mock) -> None:
    assert run(ARGS, ARGS) == {**FOUND, "changed": False} and not host.called
    assert run(ARGS, {**ARGS, "root": "/srv"})["changed"] and host.call_count == 1
    assert host.call_args.kwargs["module_args"] == {**ARGS, "request": request(ARGS)}


def test_in_another_playbook_it_is_asked_for(host: Mock) -> None:
    assert run(ARGS, ARGS, _chamilo_each_once=False)["changed"]


def test_the_digest_cannot_be_given(host: Mock) -> None:
    with pytest.raises(AnsibleActionFail, match="request is made by the collection"):
        run({**ARGS, "request": "5f"}, ARGS)
