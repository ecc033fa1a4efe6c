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

pytestmark = pytest.mark.slow

HARDEN = "chamilo.hardening.harden"
WAIVER = {"control": "headers_csp", "reason": "The editor breaks.", "owner": "Anna", "until": "2020-01-01"}


def plays(sections: list[str]) -> list[dict[str, Any]]:
    task = {"chamilo.hardening.guide_preflight": {"request": {"sections": sections}}}
    return [{"hosts": "chamilo", "gather_facts": False, "tasks": [task]}]


def test_each_host_hears_all_that_is_wrong_with_its_variables(ansible: Any) -> None:
    hosts = {
        "smallest.test": {},
        "gone.test": {
            "ansible_connection": "ssh",
            "ansible_host": "127.0.0.1",
            "ansible_port": 9,
            "ansible_timeout": 60,
        },
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
    for messages in (
        "The waiver of headers_csp (Anna: The editor breaks.) ran out on 2020-01-01",
        "chamilo_domian is not a variable of this collection. Did you mean chamilo_domain",
        "Invalid value for chamilo_level: 'mast'. Valid: must, should, consider",
        "chamilo_root cannot be worked out: 'nothing' is undefined",
        "there is no such control. Did you mean headers_csp",
        "'my host', and that is no valid domain name",
    ):
        assert messages in output
    assert len(re.findall("Task failed: Action failed: Invalid value for chamilo_level: 'mast'", output)) == 1
    assert "chamilo_private is not" not in output


def test_a_copy_of_the_backup_key_that_would_be_lost_is_refused_before_any_change(
    ansible: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    vault = {"chamilo_backups_password": "from a vault"}
    outcome = ansible.play(plays(["headers", "backups"]), {"campus.test": {}, "vault.test": vault})
    assert outcome.recap("campus.test")["failed"] == 1 and outcome.recap("vault.test")["failed"] == 0
    output = " ".join(outcome.output.split())
    assert "does not outlive the run (the environment variable CI is set)" in output
    assert f"the copy of the backup key in {ansible.directory}/chamilo-keys would be lost" in output


def test_one_bad_host_costs_harden_its_own_line_under_any_tag(ansible: Any) -> None:
    away = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9, "ansible_timeout": 60}
    hosts = {"bad.test": {"chamilo_headers_cps": "off", "chamilo_https_hsts": "never"}, "campus.test": away}
    outcome = ansible.play(HARDEN, hosts, "--tags", "headers")
    assert outcome.code != 0
    assert "Did you mean chamilo_headers_csp" in outcome.output
    # Ansible would refuse it in the middle of the run otherwise: it validates argument specifications under every tag.
    assert "Invalid value for chamilo_https_hsts: 'never'" in outcome.output
    refused, other = (outcome.recap(name) for name in hosts)
    assert (refused["ok"], refused["failed"], refused["changed"]) == (0, 1, 0)
    assert other["unreachable"] == 1, "its turn came"


@pytest.mark.parametrize("option", ["--tags", "--skip-tags"])
def test_a_tag_that_is_no_section_ends_harden(ansible: Any, option: str) -> None:
    """Nothing would run, or the section that was to be left out."""
    outcome = ansible.play(HARDEN, {"campus.test": {}}, option, "header,preflight")
    assert outcome.code == 2
    assert f"Invalid value for {option}: 'header'. Did you mean headers? Valid: updates," in " ".join(
        outcome.output.split()
    )
    assert "Enforce the security guide" not in outcome.output


def test_a_tag_may_belong_to_another_playbook_or_to_the_import_of_this_one(ansible: Any) -> None:
    every = ",".join(section.id for section in _controls.load().sections)
    play = [{"ansible.builtin.import_playbook": HARDEN, "tags": "portal"}]
    for tag in ("portal", "header"):
        outcome = ansible.play(play, {"campus.test": {}}, "--tags", tag, "--skip-tags", every)
        assert outcome.code == 0, outcome.output


@pytest.mark.parametrize("name", ["audit", "harden", "prove", "restore"])
def test_where_no_host_is_meant_a_playbook_ends_with_an_error(
    ansible: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_HOST_PATTERN_MISMATCH", "ignore")  # Ansible's own warning, after which it succeeds
    for pattern in ('"chamillo"', '["chamillo", "x"]'):
        more = ["-e", f'{{"chamilo_hosts": {pattern}}}']
        outcome = ansible.play(f"chamilo.hardening.{name}", {"campus.test": {}}, *more)
        assert outcome.code != 0 and "No host of the inventory is in " in outcome.output
        assert "Put your hosts into the group chamilo" in " ".join(outcome.output.split())


def test_a_group_without_hosts_is_none_that_is_misspelt(ansible: Any) -> None:
    """In a site.yml over several inventories the later plays go on."""
    outcome = ansible.play("chamilo.hardening.harden", {"campus.test": {}}, "-e", "chamilo_hosts=ungrouped")
    assert outcome.code == 0, outcome.output


def test_the_playbooks_own_variables_are_refused_by_name(ansible: Any) -> None:
    away = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9, "ansible_timeout": 60}
    hosts = {"campus.test": {**away, "chamilo_restore": "all", "chamilo_restore_run": "{{ '--x' }}"}}
    outcome = ansible.play("chamilo.hardening.restore", hosts, "-e", "chamilo_restore_confirm=campus.test")
    messages = " ".join(outcome.output.split())
    assert outcome.recap("campus.test")["unreachable"] == 0
    assert "Invalid value for chamilo_restore: 'all'. Valid: host, database, files, file." in messages
    assert "Invalid value for chamilo_restore_run: '--x'." in messages


def test_what_is_left_out_is_not_judged(ansible: Any) -> None:
    hosts = {"campus.test": {"chamilo_https_hsts": "never"}, "bad.test": {"chamilo_headers_cps": "off"}}
    every = ",".join(section.id for section in _controls.load().sections)
    outcome = ansible.play(HARDEN, hosts, "--limit", "campus.test", "--skip-tags", every)
    assert outcome.code == 0, outcome.output


TEXTS = {
    "chamilo_https_terminated_elsewhere": "false",
    "chamilo_backups_first": "{{ 'true' }}",
    "chamilo_uploads_blocked_extensions": "exe,bat,php",
    "chamilo_monitoring_smtp_port": "465",
}


@pytest.mark.parametrize(
    "play",
    [
        {"roles": ["chamilo.hardening.sessions", "chamilo.hardening.headers"]},
        {"tasks": [{"ansible.builtin.include_role": {"name": "chamilo.hardening.headers"}}]},
    ],
    ids=["roles", "include_role"],
)
def test_a_section_in_another_play_is_validated_before_the_host_is_touched(ansible: Any, play: dict[str, Any]) -> None:
    away = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9, "ansible_timeout": 60}
    values = {"chamilo_headers_csp": "never", "chamilo_private": "x", **TEXTS}
    outcome = ansible.play([{"hosts": "all", "gather_facts": False, **play}], {"campus.test": {**away, **values}})
    assert outcome.recap("campus.test")["failed"] == 1 and outcome.recap("campus.test")["unreachable"] == 0
    assert "Invalid value for chamilo_headers_csp: 'never'" in outcome.output
    assert all(f"{variable} is " in outcome.output for variable in TEXTS)


@pytest.mark.parametrize("playbook", [HARDEN, "chamilo.hardening.audit"])
def test_variables_of_ones_own_may_begin_as_ours_do(ansible: Any, playbook: str) -> None:
    every = ",".join(section.id for section in _controls.load().sections)
    own = {"chamilo_theme": "{{ only_where_it_is_used }}", "chamilo_db_password": "x", "chamilo_version": "2.0.1"}
    hosts = {"campus.test": own, "other.test": {**own, "chamilo_freinds": []}}
    outcome = ansible.play(playbook, hosts, "--skip-tags", every, "-e", "ansible_become=false")
    assert outcome.recap("other.test")["failed"] == 1
    messages = " ".join(outcome.output.split())
    assert not any(name in messages for name in own)
    assert "chamilo_freinds is not a variable of this collection. Did you mean chamilo_friends?" in messages


@pytest.mark.parametrize("name", ["audit", "harden", "prove", "restore"])
def test_each_playbook_refuses_what_it_cannot_read_before_it_does_anything(ansible: Any, name: str) -> None:
    away = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9, "ansible_timeout": 60}
    other = {"chamilo_report_dir": [], "chamilo_audit_failon": "must"}
    hosts = {"campus.test": {**away, **TEXTS}, "other.test": {**away, **other}, "good.test": away}
    outcome = ansible.play(f"chamilo.hardening.{name}", hosts)
    assert outcome.code != 0
    output = " ".join(outcome.output.split())
    assert all(f"{variable} is " in output for variable in TEXTS)
    assert "chamilo_report_dir is [], a list, but must be a text" in output
    assert "chamilo_audit_failon is not a variable of this collection. Did you mean chamilo_audit_fail_on" in output
    assert all(outcome.recap(host)["unreachable"] == 0 for host in ("campus.test", "other.test"))
    # restore changes hosts, and reaches none of them. The others go on.
    good = outcome.recap("good.test")
    assert good["unreachable"] + good["ignored"] == (0 if name == "restore" else 1), outcome.output


def test_an_ini_inventory_reports_what_it_can_and_the_command_line_takes_json(ansible: Any, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts.ini"
    hosts.write_text("[chamilo:vars]\nchamilo_friends=['10.0.0.0/8']\nchamilo_sessions_lifetime=600\n")
    more = ["-i", str(hosts), "-e", '{"chamilo_backups_first": true}', "-e", "chamilo_restore_confirm=campus.test"]
    outcome = ansible.play(plays(["sessions"]), {"campus.test": {}}, *more, "-e", "chamilo_headers_xss_protection=0")
    assert outcome.code == 0, outcome.output


def test_without_a_section_only_types_are_checked_and_no_vault_is_opened(ansible: Any) -> None:
    values = {
        "chamilo_https_hsts": "never",
        "chamilo_backups_password": "{{ nothing }}",
        "chamilo_backups_environment": "{{ nothing }}",
        "chamilo_friends": "{{ nothing }}",
        "chamilo_root": "{{ nothing }}",
        "_chamilo_private": 1,
    }
    outcome = ansible.play(plays([]), {"my host": values})
    assert outcome.code == 0, outcome.output


VAULT = """$ANSIBLE_VAULT;1.1;AES256
33336336643230623836623962326138333438323636633062353937393731393335306430376535
3030663037356633386633383964663930316264326433320a636437643133306332366562626434
65386133656434393334613364663832313831646639613863663161636536633165303138633330
3461656264386533620a643135353839383837383239653234366438626336356264353566396134
6334"""


def test_without_a_section_the_key_of_a_vault_is_not_needed(ansible: Any, tmp_path: Path) -> None:
    names = ["chamilo_backups_password", "chamilo_friends", "chamilo_domain"]
    lines = [f"{name}: !vault |\n{VAULT}".replace("\n", "\n  ") for name in names]
    lines += ["chamilo_backups_environment:", "  KEY: !vault |", "    " + VAULT.replace("\n", "\n    ")]
    (tmp_path / "secrets.yml").write_text("\n".join(lines) + "\n")
    (play,) = plays([])
    outcome = ansible.play([{**play, "vars_files": [str(tmp_path / "secrets.yml")]}], {"campus.test": {}})
    assert outcome.code == 0, outcome.output


@pytest.mark.parametrize(
    ("arguments", "given", "judged"),
    [
        ([], {}, True),
        (["--tags", "permissions"], {}, True),
        (["--tags", "updates"], {}, False),
        (["--skip-tags", "permissions"], {}, False),
        ([], {"_chamilo_ahead": ["updates"]}, False),
        ([], {"waived": ["code"]}, True),
        ([], {"waived": ["code", "var", "env", "config"]}, False),
    ],
)
def test_who_is_to_own_the_tree_is_judged_where_rights_are_given(
    ansible: Any, arguments: list[str], given: dict[str, Any], judged: bool
) -> None:
    """A user who is missing there must not keep the sections that were asked for from running."""
    common = Path(__file__).resolve().parents[4] / "roles/common"
    tree = yaml.safe_load((common / "tasks/discover.yml").read_text())[0]["chamilo.hardening.chamilo_site_info"][
        "request"
    ]["tree"]
    waivers = [{**WAIVER, "control": f"permissions_{part}", "until": "2999-01-01"} for part in given.get("waived", [])]
    play = {
        "hosts": "all",
        "gather_facts": False,
        "vars_files": [str(common / "defaults/main.yml"), str(common / "vars/main.yml")],
        "tasks": [{"ansible.builtin.debug": {"msg": f"<{tree}>"}, "tags": "always"}],
    }
    more = {"_chamilo_ahead": ["updates", "permissions"], "chamilo_waivers": waivers, **given}
    outcome = ansible.play([play], {"campus.test": {}}, *arguments, "-e", json.dumps(more))
    assert outcome.code == 0, outcome.output
    assert ("<{}>" not in outcome.output) is judged
    assert ("owner" in outcome.output) is judged


@pytest.mark.slow
def test_the_collection_for_a_database_elsewhere_is_asked_for_there_alone(ansible: Any) -> None:
    """Without it nothing else is missing: the collection has no dependencies."""
    task = {"chamilo.hardening.guide_preflight": {"request": {"sections": ["database"]}}}
    plays = [{"hosts": "all", "gather_facts": False, "tasks": [task]}]
    more = "[chamilo_db]\ndb.test ansible_connection=local\n"
    (ansible.directory / "more.ini").write_text(more)
    alone = ansible.play(plays, {"campus.test": {}})
    assert alone.code == 0, alone.output
    outcome = ansible.play(plays, {"campus.test": {}}, "-i", "more.ini")
    messages = " ".join(outcome.output.split())
    assert outcome.code == 2 and "The collection ansible.mariadb is not on this controller." in messages
    assert outcome.recap("campus.test")["failed"] == 0


def test_of_a_host_of_the_database_alone_no_other_section_is_called_active(ansible: Any) -> None:
    request = {"sections": ["database", "headers"]}
    task = {"chamilo.hardening.guide_preflight": {"request": request}, "register": "found"}
    shown = {"ansible.builtin.debug": {"msg": "{{ inventory_hostname }}: {{ found.enforces | sort | join(', ') }}."}}
    plays = [{"hosts": "all", "gather_facts": False, "tasks": [task, shown]}]
    outcome = ansible.play(plays, {"campus.test": {}, "store.test": {"chamilo_node": ["database"]}})
    assert "campus.test: database, headers." in outcome.output and "store.test: database." in outcome.output
