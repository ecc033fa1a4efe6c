# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is the same for all hosts is worked out before Ansible forks a process for each task of each of them."""

from __future__ import annotations

import subprocess
import sys
from typing import Any
from unittest.mock import Mock

import pytest

from ansible_collections.chamilo.hardening.playbooks.callback_plugins.chamilo_screen import CallbackModule
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _portals

HOSTS = [f"school{number}.test" for number in range(500)]
KNOWN = """
import sys
from ansible_collections.chamilo.hardening.playbooks.callback_plugins.chamilo_screen import CallbackModule
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _controls, _preflight, _program
CallbackModule._work_ahead(sys.argv[1])
print(*(one.cache_info().currsize for one in (_controls.load, _preflight.specs, _program.build)))
"""


class Hosts(dict[str, dict[str, Any]]):
    """As ansible-core has it: to work out the variables of a host takes its time."""

    asked = 0
    _variable_manager: Any = None

    def __getitem__(self, name: str) -> dict[str, Any]:
        self.asked += 1
        return super().__getitem__(name)


@pytest.mark.parametrize(("playbook", "known"), [("audit", "1 1 0"), ("harden", "1 1 1")])
def test_tasks_find_tables_and_program_there(playbook: str, known: str) -> None:
    done = subprocess.run([sys.executable, "-c", KNOWN, playbook], check=True, stdout=subprocess.PIPE, text=True)
    assert done.stdout.strip() == known


def test_tasks_find_the_nodes_of_all_portals_there() -> None:
    hostvars = Hosts({name: {"chamilo_portal": name} for name in HOSTS})
    variables = {"groups": {"all": HOSTS, "chamilo": HOSTS}, "hostvars": hostvars, "ansible_play_hosts_all": HOSTS}
    play = Mock()
    play.get_variable_manager().get_vars.return_value = variables
    callback = CallbackModule()
    callback._run = Mock()
    callback.v2_playbook_on_play_start(play)
    assert hostvars.asked == len(HOSTS)
    for name in HOSTS[:3]:
        own = {**variables, "inventory_hostname": name, "chamilo_portal": name}
        assert _portals.here(own, hostvars)[1]["web"] == [name]
    assert hostvars.asked == len(HOSTS) + 3, "the answers of its own portal alone"


def test_a_portal_is_compared_with_what_others_answered_alone() -> None:
    answers = {name: {"__chamilo_common_info": {"site": {"fingerprint": name, "root": "/"}}} for name in HOSTS}
    hostvars = Hosts({name: {"group_names": []} for name in HOSTS})
    hostvars._variable_manager = Mock(_nonpersistent_fact_cache=answers)
    own = {**answers[HOSTS[0]], "inventory_hostname": HOSTS[0], "ansible_play_hosts_all": HOSTS, "hostvars": hostvars}
    assert _portals.refusal(own) == "" and hostvars.asked == 0
    answers[HOSTS[7]] = answers[HOSTS[0]]
    assert f"{HOSTS[0]}, {HOSTS[7]}: one portal" in _portals.refusal(own) and hostvars.asked == 1
