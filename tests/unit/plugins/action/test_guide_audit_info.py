# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError

from ansible_collections.chamilo.hardening.plugins.action.guide_audit_info import ActionModule
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.proof import fingerprint
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _advisories, _beliefs, _controls

WAIVER = {"control": "headers_csp", "reason": "The editor breaks.", "owner": "Anna", "until": "2999-01-01"}


def template(value: Any) -> Any:
    """A value from a vault that was not decrypted cannot be templated."""
    if value == "{{ vault }}":
        raise AnsibleError("'vault' is undefined")
    return value


def run(
    answer: Any, variables: dict[str, Any] | None = None, **arguments: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The result of the action when the module answers so, and what the module was asked."""
    task = Mock(action="guide_audit_info", args={"request": arguments}, async_val=0, check_mode=False, diff=False)
    connection, templar = Mock(transport="ssh"), Mock(template=template)
    action = ActionModule(task, connection, Mock(), Mock(), templar, Mock())
    action._execute_module = Mock(side_effect=[answer])
    result = action.run(task_vars={"inventory_hostname": "campus", **(variables or {})})
    asked = action._execute_module.call_args.kwargs["module_args"]
    return result, {**asked["request"], **asked.get("secrets", {})}


def test_observations_become_statuses() -> None:
    observed = {
        "https_hsts": {"status": "fail", "evidence": "It is sent twice."},
        "headers_csp": {"status": "fail", "evidence": "It is not sent."},
        "passwords_expiry": {"status": "fail", "evidence": "0 days."},
        "https_redirect": {"status": "pass", "evidence": "301."},
    }
    answer = {"changed": False, "observed": observed, "chamilo_version": "2.0.1", "signs": ["A shell."]}
    result, asked = run(answer, domain="campus.test", waivers=[WAIVER], level="should")
    assert asked.pop("unenforced") == _controls.unenforced(
        _controls.load(), "should", _controls.parse_waivers([WAIVER], _controls.load())
    )
    assert asked.pop("advisories") == _advisories.brief()
    assert asked.pop("facts") == _beliefs.brief()
    assert set(asked) == {"domain", "key_holder", "key_copy"} and asked["domain"] == "campus.test"
    statuses = {row["id"]: row["status"] for row in result["controls"]}
    assert list(statuses) == [control.id for control in _controls.load().controls]
    assert {name: statuses[name] for name in observed} == {
        "https_hsts": "fail",
        "headers_csp": "waived",
        "passwords_expiry": "advice",
        "https_redirect": "pass",
    }
    assert statuses["updates_version"] == "not_assessed"
    seen = {control.id for control in _controls.load().controls if control.level != "people"}
    assert result["summary"]["not_assessed"] == len(seen - set(observed))
    assert (result["chamilo_version"], result["signs"], result["changed"]) == ("2.0.1", ["A shell."], False)
    assert "observed" not in result and "failed" not in result


@pytest.mark.parametrize(
    ("answer", "output"),
    [
        ({"failed": True, "msg": "chamilo_root is '/nowhere', no Chamilo there."}, "chamilo_root is '/nowhere'"),
        ({"failed": True}, "the module gave no reason"),
        ({"failed": True, "exception": Mock(event=Mock(msg="boom"))}, "the module crashed: boom"),
        (AnsibleError("sudo: a password is required"), "sudo: a password is required"),
    ],
)
def test_an_audit_that_could_not_run_passes_nothing_and_lets_the_report_be_written(answer: Any, output: str) -> None:
    result, _asked = run(answer)
    assert output in result["error"]
    assert "failed" not in result
    assert {row["status"] for row in result["controls"]} == {"not_assessed", "people"}
    assert output in result["controls"][0]["evidence"]


def test_sections_that_were_not_asked_about_report_so() -> None:
    result, asked = run({"observed": {}}, sections=["https", "headers"])
    assert asked.pop("unenforced")
    assert asked["sections"] == ["https", "headers"]
    assert result["controls"][0]["evidence"] == "The audit was asked about other sections alone: https, headers."


def compared(key: str, asked: dict[str, Any]) -> bool:
    proof = asked.get("key_proof", {})
    return bool(proof) and proof["fingerprint"] == fingerprint(key, proof["salt"])


def test_the_host_compares_its_key_with_the_copy_that_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    school = {"inventory_dir": str(tmp_path / "school")}
    copy = tmp_path / "school/chamilo-keys/campus-campus_test.key"
    _result, asked = run({}, school, domain="campus.test")
    assert asked["key_copy"] == f"there is no {copy}" and "key_proof" not in asked and asked["key_holder"]
    copy.parent.mkdir(parents=True)
    copy.write_text("a secret\n")
    _result, asked = run({}, school, domain="campus.test")
    assert asked["key_copy"] == str(copy) and compared("a secret", asked) and "a secret" not in str(asked)
    copy.write_text("")
    _result, asked = run({}, school, domain="campus.test")
    assert "is empty" in asked["key_copy"] and "key_proof" not in asked
    _result, asked = run({}, {"chamilo_backups_key_folder": str(tmp_path)}, domain="campus.test", site="x")
    assert asked["key_copy"] == f"there is no {tmp_path}/campus-x.key"


def test_a_password_is_the_copy_where_it_can_be_opened() -> None:
    _result, asked = run({}, {"chamilo_backups_password": "a secret"}, domain="campus.test")
    assert asked["key_copy"] == "chamilo_backups_password" and compared("a secret", asked)
    _result, asked = run({}, {"chamilo_backups_password": "{{ vault }}"}, domain="campus.test")
    assert asked["key_copy"] == "chamilo_backups_password cannot be opened here: 'vault' is undefined"
    assert "key_proof" not in asked


@pytest.mark.parametrize("name", ["advisories", "facts", "key_copy", "key_holder", "key_proof"])
def test_a_task_cannot_set_what_the_host_compares_its_key_with(name: str) -> None:
    with pytest.raises(AnsibleActionFail, match=f"{name} is made by the collection"):
        run({}, **{name: "x"})


def test_an_unreachable_host_stays_unreachable() -> None:
    with pytest.raises(AnsibleConnectionFailure):
        run(AnsibleConnectionFailure("no route to host"))


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        ({"level": "mast"}, "chamilo_level is 'mast'"),
        ({"waivers": [{**WAIVER, "control": "headers_cps"}]}, "Did you mean headers_csp"),
    ],
)
def test_invalid_arguments_are_refused_before_the_audit(arguments: dict[str, Any], output: str) -> None:
    with pytest.raises(AnsibleActionFail, match=output):
        run({}, **arguments)


def test_an_observation_that_is_none_is_refused() -> None:
    with pytest.raises(AnsibleActionFail, match="https_hsts: 'ok' is no observation"):
        run({"observed": {"https_hsts": {"status": "ok", "evidence": ""}}})


@pytest.mark.slow
def test_the_playbook_checks_all_hosts_and_fails_for_none(ansible: Any) -> None:
    """The real module on this machine without root, whatever stands on it, beside a host that does not answer."""
    gone = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9, "ansible_timeout": 60}
    hosts = {"gone.test": gone, "here.test": {"chamilo_root": "/nonexistent"}}
    outcome = ansible.play("chamilo.hardening.audit", hosts, "-e", "ansible_become=false")
    assert outcome.code == 0, outcome.output
    assert outcome.recap("here.test")["changed"] == 0
    report = json.loads((ansible.directory / "chamilo-report" / "report.json").read_text())
    by_name = {host["name"]: host for host in report["hosts"]}
    assert by_name["gone.test"]["reachable"] is False
    assert "error" not in by_name["here.test"]
    assert "gave no answer" not in json.dumps(by_name["here.test"])


@pytest.mark.slow
def test_what_keeps_one_host_from_being_audited_keeps_no_other(ansible: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under a strategy of the user's that lets no host wait for another, and ends all with the first that fails."""
    monkeypatch.setenv("ANSIBLE_STRATEGY", "free")
    monkeypatch.setenv("ANSIBLE_ANY_ERRORS_FATAL", "true")
    hung = ansible.directory / "hung"
    hung.write_text("#!/bin/sh\nexec sleep 20\n")
    hung.chmod(0o755)
    here = {"chamilo_root": "/nonexistent"}
    hosts = {
        "a.test": here,
        "hung.test": {**here, "ansible_python_interpreter": str(hung), "chamilo_host_timeout": 6},
        "misspelt.test": {**here, "chamilo_headers_cps": "off"},
        "template.test": {**here, "chamilo_owner": "{{ 1 / 0 }}"},
        "waiver.test": {**here, "chamilo_waivers": [{**WAIVER, "control": "headers_cps"}]},
        "z.test": {**here, "ansible_python_interpreter": sys.executable},
    }
    outcome = ansible.play("chamilo.hardening.audit", hosts, "-e", "ansible_become=false")
    assert outcome.code == 2
    report = json.loads((ansible.directory / "chamilo-report" / "report.json").read_text())
    found = {host["name"]: host for host in report["hosts"]}
    assert list(found) == list(hosts)
    for name in ("a.test", "z.test"):
        assert "error" not in found[name], found[name].get("error")
    output = {
        "hung.test": "chamilo_host_timeout",
        "misspelt.test": "chamilo_headers_cps is not a variable of this collection. Did you mean chamilo_headers_csp",
        "template.test": "division by zero",
        "waiver.test": "Did you mean headers_csp",
    }
    for name, reason in output.items():
        assert reason in found[name]["error"]
        assert set(found[name]["summary"].items()) & {("pass", 0), ("fail", 0)} == {("pass", 0), ("fail", 0)}
        assert reason in found[name]["controls"][0]["evidence"]


@pytest.mark.slow
def test_a_host_that_hangs_keeps_no_other_from_being_hardened(ansible: Any) -> None:
    hung = ansible.directory / "hung"
    hung.write_text("#!/bin/sh\nexec sleep 20\n")
    hung.chmod(0o755)
    hosts = {
        "hung.test": {"ansible_python_interpreter": str(hung), "chamilo_host_timeout": 6},
        "z.test": {"chamilo_root": "/nonexistent", "ansible_python_interpreter": sys.executable},
    }
    outcome = ansible.play("chamilo.hardening.harden", hosts, "--tags=preflight", "-e", "ansible_become=false")
    assert outcome.code == 2
    assert outcome.recap("hung.test")["failed"] == outcome.recap("z.test")["failed"] == 1
    assert "Timed out after 6 second(s)" in outcome.output
    assert "/nonexistent" in outcome.output, "the other one is discovered"


@pytest.mark.slow
def test_a_report_is_written_where_no_host_could_be_audited(ansible: Any) -> None:
    outcome = ansible.play("chamilo.hardening.audit", {"misspelt.test": {"chamilo_headers_cps": "off"}})
    assert outcome.code == 2
    (host,) = json.loads((ansible.directory / "chamilo-report" / "report.json").read_text())["hosts"]
    assert "chamilo_headers_cps" in host["error"]
