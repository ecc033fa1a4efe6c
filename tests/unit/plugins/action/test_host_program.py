# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import zlib
from typing import Any
from unittest.mock import Mock

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.chamilo.hardening.plugins.action.host_program import ActionModule
from ansible_collections.chamilo.hardening.plugins.module_utils._common.alert import Addressee
from ansible_collections.chamilo.hardening.plugins.module_utils._program import install
from ansible_collections.chamilo.hardening.plugins.plugin_utils._program import build
from tests.tools.plans import answered

MAIL = Addressee("admin@school.example")
SEEN = {
    "made_of": install._name(build().content, b"1234").hex(),
    "magic": b"1234".hex(),
    "salt": "x",
    "told": install._fingerprint(install._addressee(MAIL), "x"),
    "daily": "01",
}
TOLD = {"alert_mail": MAIL.mail, "alert_webhook": ""}


def run(variables: dict[str, Any], **arguments: Any) -> tuple[dict[str, Any], Any]:
    """The result of the action, and what the module was given, where the host was asked."""
    task = Mock(action="host_program", args={"request": arguments}, async_val=0, delegate_to=None, diff=True)
    action = ActionModule(task, Mock(), Mock(), Mock(), Mock(), Mock())
    action._execute_module = Mock(return_value={"changed": True})
    result = action.run(task_vars=variables)
    asked = action._execute_module.call_args
    return result, asked and {**asked.kwargs["module_args"]["request"], **asked.kwargs["module_args"]["secrets"]}


def known(seen: dict[str, str]) -> dict[str, Any]:
    return {"_chamilo_each_once": True, "__chamilo_common_info": answered(program=seen)}


@pytest.mark.parametrize(
    ("variables", "options", "asked"),
    [
        (known(SEEN), TOLD, False),
        (known(SEEN), {}, False),
        (known(SEEN), {"daily": False}, True),
        ({}, TOLD, True),
        ({**known(SEEN), "_chamilo_each_once": False}, TOLD, True),
        (known({}), TOLD, True),
        (known({**SEEN, "made_of": "00"}), TOLD, True),
        (known({**SEEN, "told": ""}), TOLD, True),
        (known(SEEN), {**TOLD, "alert_webhook": "https://hook.example/x"}, True),
        (known(SEEN), {**TOLD, "path": "/usr/local/sbin/x"}, True),
    ],
)
def test_the_host_is_asked_unless_discovery_saw_it_there(
    variables: dict[str, Any], options: dict[str, Any], asked: bool
) -> None:
    result, given = run(variables, **options)
    assert (given is not None) is asked
    assert result["changed"] is asked and (asked or result["version"] == build().version)


def test_the_module_gets_the_program_and_its_version() -> None:
    result, given = run({}, path="/usr/local/sbin/x")
    assert result["changed"] is True
    assert zlib.decompress(base64.b64decode(given["content"])) == build().content
    assert (given["path"], given["version"]) == ("/usr/local/sbin/x", build().version)


@pytest.mark.parametrize("name", ["content", "version"])
def test_a_task_cannot_set_the_program(name: str) -> None:
    with pytest.raises(AnsibleActionFail, match=f"{name} is made by the collection"):
        run({}, **{name: "x"})


def test_a_second_inventory_name_of_the_portal_is_refused_before_any_change() -> None:
    info = {"site": {"fingerprint": "x", "root": "/var/www/chamilo"}}
    hosts = {name: {"__chamilo_common_info": info} for name in ("campus.test", "library.test")}
    play = {"ansible_play_hosts_all": list(hosts), "hostvars": hosts, "inventory_hostname": "library.test"}
    with pytest.raises(AnsibleActionFail, match="Inventory names campus.test, library.test: one portal"):
        run({**hosts["library.test"], **play})
