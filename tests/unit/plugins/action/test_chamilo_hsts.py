# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the host is asked: one that cannot be reached gives it away."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils import _hsts
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction import plan

SINCE = "2026-01-01"
CONFIGURATION = {
    "domain": "campus.test",
    "site": "campus",
    "service": "nginx",
    "test": [],
    "hsts": {"mode": "full", "subdomains": [], "files": [{"path": "/etc/hsts.conf", "content": "@hsts@"}], "probe": []},
}
STEP = _hsts.Step(_hsts.GUIDE, _hsts.Ramp("full", SINCE, True))
IN_FORCE = {
    "https:campus.hsts": {
        "generation": plan(_hsts._transaction(CONFIGURATION, STEP)).generation,
        "files": {"/etc/hsts.conf": "file", _hsts.record_of("campus"): "file"},
    }
}
AWAY = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9}


def play(ansible: Any, in_force: dict[str, Any], configuration: Any = CONFIGURATION, once: bool = True) -> Any:
    info = {"in_force": in_force, "site": {"hsts_since": SINCE}}
    variables = {"_chamilo_each_once": once, "__chamilo_common_info": info}
    tasks = [{"chamilo.hardening.chamilo_hsts": {"configuration": configuration}}]
    plays = [{"hosts": "chamilo", "gather_facts": False, "vars": variables, "tasks": tasks}]
    return ansible.play(plays, {"campus.test": AWAY}, "--diff").recap("campus.test")


def test_a_step_that_discovery_found_in_force_is_not_taken_again(ansible: Any) -> None:
    found = play(ansible, IN_FORCE)
    assert (found["ok"], found["changed"], found["unreachable"]) == (1, 0, 0)


@pytest.mark.parametrize(
    ("configuration", "once"),
    [
        (CONFIGURATION, False),
        ({**CONFIGURATION, "site": "other"}, True),
        ({**CONFIGURATION, "hsts": {**CONFIGURATION["hsts"], "mode": "off"}}, True),
        ({**CONFIGURATION, "hsts": {}}, True),
        ("none", True),
    ],
)
def test_the_host_is_asked_about_everything_else(ansible: Any, configuration: Any, once: bool) -> None:
    assert play(ansible, IN_FORCE, configuration, once)["unreachable"] == 1
