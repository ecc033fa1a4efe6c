# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _controls

HARDEN = "chamilo.hardening.harden"
WAIVER = {"control": "headers_csp", "reason": "The editor breaks.", "owner": "Anna", "until": "2020-01-01"}


def plays(sections: list[str]) -> list[dict[str, Any]]:
    task = {"chamilo.hardening.guide_preflight": {"sections": sections}}
    return [{"hosts": "chamilo", "gather_facts": False, "tasks": [task]}]


def test_each_host_hears_all_that_is_wrong_with_its_variables(ansible: Any) -> None:
    hosts = {
        "smallest.test": {},
        "gone.test": {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9},
        "waived.test": {"chamilo_waivers": [WAIVER]},
        "template.test": {"chamilo_level": "{{ 'should' if on else 'mast' }}", "on": False},
        "my host": {
            "chamilo_domian": "x",
            "chamilo_level": "mast",
            "chamilo_root": "{{ nothing }}",
            "chamilo_waivers": [{**WAIVER, "control": "headers_cps"}],
            "_chamilo_private": 1,
            "__chamilo_private": 1,
        },
    }
    outcome = ansible.play(plays(["headers"]), hosts)
    assert outcome.code == 2
    failed = {name for name in hosts if outcome.recap(name)["failed"]}
    assert failed == {"template.test", "my host"}, "a connection is not needed, and a waiver that ran out is no error"
    output = " ".join(outcome.output.split())
    for said in (
        "The waiver of headers_csp (Anna: The editor breaks.) ran out on 2020-01-01",
        "chamilo_domian is not a variable of this collection. Did you mean chamilo_domain",
        "chamilo_level is 'mast', but must be one of",
        "chamilo_root cannot be worked out: 'nothing' is undefined",
        "there is no such control. Did you mean headers_csp",
        "'my host', and that is no valid domain name",
    ):
        assert said in output
    assert len(re.findall("Task failed: Action failed: chamilo_level is 'mast'", output)) == 1
    assert "chamilo_private is not" not in output


def test_a_role_for_another_portal_than_the_play_looked_for_is_refused(ansible: Any) -> None:
    play = plays(["uploads"])
    play[0]["tasks"][0]["chamilo.hardening.guide_preflight"]["found_domain"] = "campus.test"
    outcome = ansible.play(play, {"Campus.test": {}, "primary.test": {}})
    assert outcome.recap("Campus.test")["failed"] == 0
    assert outcome.recap("primary.test")["failed"] == 1
    said = "This play looked for the portal campus.test, and uploads is to harden primary.test"
    assert said in " ".join(outcome.output.split())


def test_a_section_that_is_none_is_refused(ansible: Any) -> None:
    outcome = ansible.play(plays(["header"]), {"campus.test": {}})
    assert outcome.code == 2 and "must be one or more of" in outcome.output


def test_one_bad_host_stops_all_of_harden_under_any_tag(ansible: Any) -> None:
    hosts = {"campus.test": {}, "bad.test": {"chamilo_headers_cps": "off", "chamilo_https_hsts": "never"}}
    outcome = ansible.play(HARDEN, hosts, "--tags", "headers")
    assert outcome.code == 2
    assert "Did you mean chamilo_headers_csp" in outcome.output
    # Ansible would refuse it in the middle of the run otherwise: argument specifications are held under every tag.
    assert "chamilo_https_hsts is 'never'" in outcome.output
    assert "Make the security guide true" not in outcome.output


def test_what_is_left_out_is_not_judged(ansible: Any) -> None:
    hosts = {"campus.test": {"chamilo_https_hsts": "never"}, "bad.test": {"chamilo_headers_cps": "off"}}
    every = ",".join(section.id for section in _controls.load().sections)
    outcome = ansible.play(HARDEN, hosts, "--limit", "campus.test", "--skip-tags", every)
    assert outcome.code == 0, outcome.output


@pytest.mark.parametrize(
    "play",
    [
        {"roles": ["chamilo.hardening.sessions", "chamilo.hardening.headers"]},
        {"tasks": [{"ansible.builtin.include_role": {"name": "chamilo.hardening.headers"}}]},
    ],
    ids=["roles", "include_role"],
)
def test_a_section_in_somebody_else_s_play_is_judged_before_the_host_is_touched(
    ansible: Any, play: dict[str, Any]
) -> None:
    away = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9}
    values = {"chamilo_headers_csp": "never", "chamilo_private": "x"}
    outcome = ansible.play([{"hosts": "all", "gather_facts": False, **play}], {"campus.test": {**away, **values}})
    assert outcome.recap("campus.test")["failed"] == 1 and outcome.recap("campus.test")["unreachable"] == 0
    assert "chamilo_headers_csp is 'never'" in outcome.output


@pytest.mark.parametrize("name", ["audit", "prove", "restore"])
def test_each_other_playbook_refuses_a_variable_that_nothing_reads_before_it_does_anything(
    ansible: Any, name: str
) -> None:
    away = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9}
    hosts = {"campus.test": away, "other.test": {**away, "chamilo_audit_failon": "must"}}
    outcome = ansible.play(f"chamilo.hardening.{name}", hosts)
    assert outcome.code == 2
    assert "chamilo_audit_failon is not a variable" in outcome.output
    assert "Did you mean chamilo_audit_fail_on" in outcome.output
    assert all(outcome.recap(host)["unreachable"] == 0 for host in hosts)


def test_without_a_section_no_value_is_looked_at(ansible: Any) -> None:
    values = {"chamilo_https_hsts": "never", "chamilo_backups_password": "{{ nothing }}", "_chamilo_private": 1}
    outcome = ansible.play(plays([]), {"my host": values})
    assert outcome.code == 0, outcome.output


@pytest.mark.parametrize(
    ("arguments", "given", "judged"),
    [
        ([], {}, True),
        (["--tags", "permissions"], {}, True),
        (["--tags", "updates"], {}, False),
        (["--skip-tags", "permissions"], {}, False),
        ([], {"_chamilo_common_asked": ["updates"]}, False),
        ([], {"waived": ["code"]}, True),
        ([], {"waived": ["code", "var", "env", "config"]}, False),
    ],
)
def test_who_is_to_own_the_tree_is_judged_where_rights_are_given(
    ansible: Any, arguments: list[str], given: dict[str, Any], judged: bool
) -> None:
    """A user who is missing there must not keep the sections that were asked for from running."""
    common = Path(__file__).resolve().parents[4] / "roles/common"
    tree = yaml.safe_load((common / "tasks/main.yml").read_text())[1]["chamilo.hardening.chamilo_site_info"]["tree"]
    waivers = [{**WAIVER, "control": f"permissions_{part}", "until": "2999-01-01"} for part in given.get("waived", [])]
    play = {
        "hosts": "all",
        "gather_facts": False,
        "vars_files": [str(common / "defaults/main.yml"), str(common / "vars/main.yml")],
        "tasks": [{"ansible.builtin.debug": {"msg": f"<{tree}>"}, "tags": "always"}],
    }
    more = {"_chamilo_common_asked": ["updates", "permissions"], "chamilo_waivers": waivers, **given}
    outcome = ansible.play([play], {"campus.test": {}}, *arguments, "-e", json.dumps(more))
    assert outcome.code == 0, outcome.output
    assert ("<{}>" not in outcome.output) is judged
    assert ("owner" in outcome.output) is judged
