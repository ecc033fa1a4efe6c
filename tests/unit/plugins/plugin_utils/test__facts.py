# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible import constants
from ansible.vars.clean import namespace_facts

from ansible_collections.chamilo.hardening.plugins.plugin_utils._facts import plugin_options, refusal, reserved


@pytest.fixture
def ssh(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A connection by ssh, and of the variables of its plugins those that are hardest to find."""
    options = {
        ("connection", "ssh"): [
            "inventory_hostname",
            "ansible_host",
            "ansible_sftp_executable",
            "ansible_scp_executable",
        ],
        ("shell", "sh"): ["ansible_remote_tmp"],
        ("become", "sudo"): ["ansible_sudo_exe"],
    }
    monkeypatch.setattr(constants.config, "get_plugin_vars", lambda kind, name: options[kind, name])
    shell, become = SimpleNamespace(_load_name="sh"), SimpleNamespace(_load_name="sudo")
    return SimpleNamespace(_load_name="ssh", _shell=shell, become=become)


@pytest.mark.parametrize(
    "name",
    [
        *("chamilo_site", "_chamilo_each_once", "__chamilo_audit", "ansible_chamilo_x", "inventory_hostname"),
        *("inventory_file", "group_names", "ansible_parent_role_names"),
        # What ansible-core leaves among the facts, and its plugin takes: such as a program of the controller.
        *("ansible_sftp_executable", "ansible_scp_executable", "ansible_sudo_exe"),
        *("ansible_remote_tmp", "ansible_host"),
    ],
)
def test_facts_that_are_variables_of_the_controller_are_refused(ssh: Any, name: str) -> None:
    variables = namespace_facts({"ansible_distribution": "Debian", name: "x"})
    assert f": {name.removeprefix('ansible_')}. They" in refusal(variables, ssh)
    assert refusal({"ansible_delegated_vars": {"db.test": variables}}, ssh).startswith("Facts of db.test are")


def test_what_hosts_report_of_themselves_is_no_variable_of_the_controller(ssh: Any) -> None:
    names = """ansible_distribution ansible_user_id ansible_user_shell ansible_hostname ansible_ssh_host_key_rsa_public
        ansible_local ansible_env ansible_python discovered_interpreter_python module_setup gather_subset services
        packages ansible_pkg_mgr ansible_service_mgr ansible_system ansible_date_time ansible_python_version"""
    facts: dict[str, Any] = dict.fromkeys(names.split(), "x")
    facts["ansible_local"] = {"chamilo_site": "x"}
    assert refusal(namespace_facts(facts), ssh) == ""
    assert refusal({}, ssh) == refusal({"ansible_facts": None, "ansible_delegated_vars": None}, ssh) == ""


def test_a_connection_without_plugins_takes_no_options() -> None:
    assert plugin_options(None) == set()


@pytest.mark.parametrize("facts", [None, "chamilo_site", ["chamilo_site"], 7, {}, {7: 7}])
def test_what_is_no_map_of_names_has_none(facts: Any) -> None:
    assert reserved(facts) == []
