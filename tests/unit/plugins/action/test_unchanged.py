# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules whose result discovery knows: the host is asked only where that result does not apply."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from unittest.mock import Mock

import pytest
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.chamilo.hardening.plugins.action import chamilo_database_account, chamilo_env
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _told
from ansible_collections.chamilo.hardening.plugins.plugin_utils._discovered import request
from tests.tools.plans import answered

SITE = Site("campus.test", "/srv/campus")
TOLD = asdict(SITE.installation)
LISTS = ("files", "secrets", "generated", "refused", "consequences", "notes")
# What each is asked for, and what it answers.
MODULES: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "chamilo_env": (
        chamilo_env,
        {"domain": "campus.test", "values": {"APP_ENV": "prod"}},
        {**{name: [] for name in LISTS}, "changes": {}, "cache_cleared": False, "sealed": ""},
    ),
    "chamilo_database_account": (
        chamilo_database_account,
        {"domain": "campus.test", "site": "campus"},
        {"server_here": False, "needs_admin": False, "source": "", "accounts": {}, "moved": {}, "notes": []},
    ),
}


@pytest.fixture(params=MODULES)
def module(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def host(module: str, monkeypatch: pytest.MonkeyPatch) -> Mock:
    """What the host answers; whether it was asked."""
    asked = Mock(side_effect=[{"changed": True, **MODULES[module][2]}])
    monkeypatch.setattr(ActionBase, "_execute_module", asked)
    return asked


def run(module: str, args: dict[str, Any], asked: dict[str, Any], **variables: Any) -> dict[str, Any]:
    plugin, _args, found = MODULES[module]
    info = answered(SITE, unchanged={module: {"request": request(asked), "result": found}})
    given = args if module == "chamilo_env" else {"request": args}
    task = Mock(action=f"chamilo.hardening.{module}", args=given, async_val=0, diff=False, delegate_to=None)
    action = plugin.ActionModule(task, Mock(), Mock(), Mock(), Mock(), Mock())
    known = {"_chamilo_each_once": True, "__chamilo_common_info": info, **variables}
    result: dict[str, Any] = action.run(task_vars=known)
    return result


def test_only_what_discovery_found_as_it_is_asked_for_is_not_asked_for_again(module: str, host: Mock) -> None:
    _plugin, args, found = MODULES[module]
    assert run(module, args, args) == {**found, "changed": False} and not host.called
    assert run(module, args, {**args, "root": "/srv"})["changed"] and host.call_count == 1
    sent = {
        "chamilo_env": {**args, "request": request(args), "installation": TOLD},
        "chamilo_database_account": {
            "request": {**args, "digest": request(args), "installation": TOLD},
            "secrets": {"admin_password": "", "installation_salt": ""},
        },
    }
    assert host.call_args.kwargs["module_args"] == sent[module]


def test_in_another_playbook_it_is_asked_for(module: str, host: Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_told.ToldAction, "_told", lambda *_asked: {"installation": TOLD})
    args = MODULES[module][1]
    assert run(module, args, args, _chamilo_each_once=False)["changed"]


def test_the_digest_cannot_be_given(module: str, host: Mock) -> None:
    args = MODULES[module][1]
    name = "request" if module == "chamilo_env" else "digest"
    with pytest.raises(AnsibleActionFail, match=f"{name} is made by the collection"):
        run(module, {**args, name: "5f"}, args)
