# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the host is asked: one that cannot be reached gives it away."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.chamilo.hardening.plugins.action.config_transaction import ActionModule
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.plan import plan
from tests.tools.plans import answered

NAME, PATH = "headers:campus", "/etc/nginx/headers.conf"
FILES = [{"path": PATH, "content": "# @generation@\n"}, {"path": "/etc/nginx/old.conf", "state": "absent"}]
MARK: dict[str, Any] = {"at": 9, "lines": ["include x;", [0, 9]]}
OWNERS: dict[str, Any] = {"path": "/etc/nginx/campus.conf", "digest": "0" * 64, "marks": [MARK]}
IN_PLACE = plan({"name": NAME, "files": [*FILES, OWNERS]})
SEEN: dict[str, Any] = {
    "generation": plan({"name": NAME, "files": FILES}).generation,
    "files": {PATH: "file", "/etc/nginx/old.conf": "absent", "/etc/nginx/older.conf": "absent"},
}


def known(seen: dict[str, Any]) -> dict[str, Any]:
    return {"_chamilo_each_once": True, "__chamilo_common_info": answered(in_force={NAME: seen})}


QUESTIONS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({**known(SEEN), "_chamilo_each_once": False}, {}),
    (known({**SEEN, "generation": "0000000000000000"}), {}),
    (known({**SEEN, "files": {PATH: "file"}}), {}),
    (known(SEEN), {"state": "absent"}),
    (known(SEEN), {"name": "headers:other"}),
    (known(SEEN), {"files": [{**FILES[0], "mode": "0600"}, FILES[1]]}),
    (known(SEEN), {"files": [{**FILES[0], "mode": "a+r"}, FILES[1]]}),
    (known(SEEN), {"files": "none"}),
]
SEEN_IN_PLACE = {
    "generation": IN_PLACE.generation,
    "files": {**SEEN["files"], "/etc/nginx/campus.conf": IN_PLACE.marked[0].seen},
}
QUESTIONS += [
    (known({**SEEN, "generation": IN_PLACE.generation}), {"files": [*FILES, OWNERS]}),
    (known(SEEN_IN_PLACE), {"files": FILES}),
    (known(SEEN_IN_PLACE), {"files": [*FILES, {**OWNERS, "digest": "1" * 64}]}),
    (known(SEEN_IN_PLACE), {"files": [*FILES, {**OWNERS, "marks": [{**MARK, "at": 8}]}]}),
]
ANSWERED = [
    (known(SEEN), {"test": [["nginx", "-t"]], "load": {"service": "nginx"}}),
    (known(SEEN_IN_PLACE), {"files": [*FILES, OWNERS]}),
]


def test_only_what_discovery_observed_active_is_not_requested_again(ansible: Any) -> None:
    questions = [
        (variables, {"chamilo.hardening.config_transaction": {"name": NAME, "files": FILES, **options}})
        for variables, options in [*QUESTIONS, *ANSWERED]
    ]
    assert ansible.ask(questions) == [(0, 0, 1)] * len(QUESTIONS) + [(1, 0, 0)] * len(ANSWERED)


def sent(**arguments: Any) -> dict[str, Any]:
    """What goes to the module."""
    action = ActionModule(Mock(args=arguments, async_val=0, check_mode=False, diff=False), *[Mock()] * 5)
    action._execute_module = Mock(return_value={"changed": True})
    action.run(task_vars={})
    arguments = action._execute_module.call_args.kwargs["module_args"]
    assert isinstance(arguments, dict)
    return arguments


def test_secrets_go_to_the_host_apart_from_the_files() -> None:
    """ansible-core masks no text of several lines within a list in the line that a module logs of itself."""
    secret = {"path": "/etc/restic.env", "secret_content": "A=1\nB=2\n", "mode": "0600"}
    assert sent(name=NAME, files=[*FILES, secret], test=[]) == {
        "name": NAME,
        "files": [*FILES, {"path": "/etc/restic.env", "mode": "0600"}],
        "secrets": {"/etc/restic.env": "A=1\nB=2\n"},
        "test": [],
    }
    assert secret["secret_content"] == "A=1\nB=2\n", "the task keeps its own"


def test_a_secret_of_an_impossible_file_goes_to_the_host_apart_all_the_same() -> None:
    both = {"path": "/x", "content": "", "secret_content": "A\n"}
    assert sent(name=NAME, files=[both, "y"])["files"] == [{"path": "/x", "content": ""}, "y"]
    assert sent(name=NAME, files="none")["files"] == "none"
    assert sent(name=NAME, state="absent") == {"name": NAME, "state": "absent"}


def test_a_task_cannot_set_secrets() -> None:
    with pytest.raises(AnsibleActionFail, match="secrets is made by the collection"):
        sent(name=NAME, files=FILES, secrets={})
