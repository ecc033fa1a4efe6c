# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

HARDEN = "chamilo.hardening.harden"


def preflight(sections: list[str] | None = None) -> list[dict[str, Any]]:
    task = {"chamilo.hardening.guide_preflight": {"sections": ["headers"] if sections is None else sections}}
    return [{"hosts": "all", "gather_facts": False, "tasks": [task]}]


def test_the_smallest_inventory_goes_through(ansible: Any) -> None:
    outcome = ansible.play(preflight(), {"campus.test": {}})
    assert outcome.code == 0
    assert outcome.recap("campus.test")["changed"] == 0


def test_no_connection_is_needed(ansible: Any) -> None:
    gone = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9}
    assert ansible.play(preflight(), {"campus.test": gone}).code == 0


def test_everything_is_refused_at_once(ansible: Any) -> None:
    outcome = ansible.play(
        preflight(),
        {
            "my host": {
                "chamilo_domian": "x",
                "chamilo_level": "mast",
                "chamilo_root": "{{ nothing }}",
                "chamilo_waivers": [{"control": "headers_cps", "reason": "r", "owner": "o", "until": "2999-01-01"}],
                "_chamilo_private": 1,
                "__chamilo_private": 1,
            }
        },
    )
    assert outcome.code == 2
    for said in (
        "chamilo_domian is not a variable of this collection. Did you mean chamilo_domain?",
        "chamilo_level is 'mast', but must be one of",
        "chamilo_root cannot be worked out: 'nothing' is undefined",
        "there is no such control. Did you mean headers_csp",
        "'my host', and that is no valid domain name",
    ):
        assert said in outcome.output
    assert "_chamilo_private is not" not in outcome.output


def test_values_are_templates_that_are_worked_out(ansible: Any) -> None:
    host = {"chamilo_level": "{{ 'should' if on else 'mast' }}", "on": False}
    assert "chamilo_level is 'mast'" in ansible.play(preflight(), {"campus.test": host}).output


def test_a_waiver_that_ran_out_is_announced(ansible: Any) -> None:
    waiver = {"control": "headers_csp", "reason": "The editor breaks.", "owner": "Anna", "until": "2020-01-01"}
    outcome = ansible.play(preflight(), {"campus.test": {"chamilo_waivers": [waiver]}})
    assert outcome.code == 0
    assert "The waiver of headers_csp (Anna: The editor breaks.) ran out on 2020-01-01" in outcome.output


def test_a_section_that_is_none_is_refused(ansible: Any) -> None:
    outcome = ansible.play(preflight(["header"]), {"campus.test": {}})
    assert outcome.code == 2 and "header" in outcome.output


def test_one_bad_host_stops_all_of_harden_under_any_tag(ansible: Any) -> None:
    hosts = {"campus.test": {}, "bad.test": {"chamilo_headers_cps": "off"}}
    for arguments in ((), ("--tags", "headers"), ("--check",)):
        outcome = ansible.play(HARDEN, hosts, *arguments)
        assert outcome.code == 2
        assert "Did you mean chamilo_headers_csp" in outcome.output
        assert "Make the security guide true" not in outcome.output
    # A host that is not meant does not stop the others.
    assert ansible.play(HARDEN, hosts, "--limit", "campus.test", "--skip-tags", "https,headers").code == 0


def test_a_section_that_is_left_out_is_not_judged(ansible: Any) -> None:
    hosts = {"campus.test": {"chamilo_https_hsts": "never"}}
    assert ansible.play(HARDEN, hosts, "--skip-tags", "https,headers").code == 0
    # Ansible would refuse it in the middle of the run otherwise: argument specifications are held under every tag.
    refused = ansible.play(HARDEN, hosts, "--tags", "headers")
    assert refused.code == 2 and "chamilo_https_hsts is 'never'" in refused.output
    assert "Make the security guide true" not in refused.output
