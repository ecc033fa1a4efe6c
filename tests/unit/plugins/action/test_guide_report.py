# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.chamilo.hardening.plugins.action.guide_report import ActionModule
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _controls, _preflight

TABLE = _controls.load()
GONE = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9, "ansible_timeout": 60}


# The controls that a host can meet; the others are for people.
SEEN = sum(control.level != "people" for control in TABLE.controls)


def audit(**observed: str) -> dict[str, Any]:
    """A registered audit in which all but these controls passed."""
    seen = {control.id: {"status": "pass", "evidence": "Seen."} for control in TABLE.controls}
    seen.update({name: {"status": status, "evidence": "Seen."} for name, status in observed.items()})
    return {"controls": _controls.rows(TABLE, seen, "-"), "chamilo_version": "2.0.1"}


def plays(**options: Any) -> list[dict[str, Any]]:
    report = {"hosts": "{{ ansible_play_hosts_all }}", "register": "audit", **options}
    tasks = [
        {"ansible.builtin.ping": {}, "ignore_unreachable": True, "register": "audit", "when": "given is not defined"},
        {"ansible.builtin.set_fact": {"audit": "{{ given }}"}, "when": "given is defined"},
        {"ansible.builtin.fail": {}, "when": "broken is defined"},
        {
            "chamilo.hardening.guide_report": {"request": report},
            "run_once": True,
            "delegate_to": "localhost",
            "become": False,
        },
    ]
    return [{"hosts": "chamilo", "gather_facts": False, "tasks": tasks}]


def report(arguments: dict[str, Any], hostvars: dict[str, Any]) -> dict[str, Any]:
    """The result of the action, called without Ansible around it."""
    task = Mock(args={"request": {"hosts": list(hostvars), "register": "audit", **arguments}}, async_val=0)
    action = ActionModule(task, Mock(), Mock(), Mock(), Mock(), Mock())
    return dict(action.run(task_vars={"hostvars": Mock(raw_get=hostvars.get)}))


def read(directory: Path) -> dict[str, Any]:
    return {host["name"]: host for host in json.loads((directory / "report.json").read_text())["hosts"]}


@pytest.mark.slow
def test_one_report_for_all_hosts_whatever_became_of_them(ansible: Any) -> None:
    hosts = {"bad.test": {"broken": True}, "gone.test": GONE, "good.test": {"given": audit(https_hsts="fail")}}
    outcome = ansible.play(plays(directory="out"), hosts, "-f", "1", "--check")
    assert outcome.code == 2, "bad.test failed before"
    assert outcome.recap("good.test")["changed"] == 0
    by_name = read(ansible.directory / "out")
    assert list(by_name) == list(hosts)
    assert by_name["gone.test"]["reachable"] is False
    assert by_name["gone.test"]["summary"]["not_assessed"] == SEEN
    assert by_name["bad.test"]["summary"]["pass"] == 0
    assert by_name["good.test"]["summary"]["pass"] == SEEN - 1


@pytest.mark.slow
def test_limit_keeps_the_other_hosts_out(ansible: Any) -> None:
    hosts = {"one.test": {"given": audit()}, "two.test": {"given": audit()}}
    outcome = ansible.play(plays(), hosts, "--limit", "two.test")
    assert outcome.code == 0
    assert f"The report is {ansible.directory}/chamilo-report/report.html" in " ".join(outcome.output.split())
    assert list(read(ansible.directory / "chamilo-report")) == ["two.test"]


@pytest.mark.slow
def test_only_unreachable_hosts_are_no_failure_until_asked(ansible: Any) -> None:
    assert ansible.play(plays(), {"gone.test": GONE}).code == 0
    outcome = ansible.play(plays(fail_on="must"), {"gone.test": GONE})
    assert outcome.code == 2
    assert "gone.test: The host could not be reached" in outcome.output


def test_the_report_is_there_although_the_run_fails(tmp_path: Path) -> None:
    arguments = {"fail_on": "should", "directory": str(tmp_path)}
    result = report(arguments, {"one.test": {"audit": audit(headers_csp="fail")}, "two.test": {}})
    assert result["failed"]
    assert result["msg"].splitlines() == [
        "one.test: 1 not met (headers_csp)",
        "two.test: The audit did not run: An earlier task failed on this host.",
        f"The report is {tmp_path}/report.html",
    ]
    assert read(tmp_path)["one.test"]["summary"]["fail"] == 1


def test_a_result_is_no_change(tmp_path: Path) -> None:
    result = report({"directory": str(tmp_path)}, {"one.test": {"audit": audit(headers_csp="fail")}})
    assert result["changed"] is False and "failed" not in result
    assert result["msg"][0] == f"one.test: 1 not met, {len(TABLE.controls) - SEEN} for people, {SEEN - 1} met"


@pytest.mark.slow
def test_a_job_of_awx_keeps_what_is_open_as_its_artifact(ansible: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """ansible-runner makes one of what ansible-core prints at the end of the run."""
    monkeypatch.setenv("ANSIBLE_SHOW_CUSTOM_STATS", "1")
    outcome = ansible.play(plays(directory="out"), {"good.test": {"given": audit(https_hsts="fail")}})
    kept = outcome.output.partition("RUN: ")[2].split()
    assert kept[0] == "guide_report_good_test:" and "https_hsts" in kept


def test_the_artifacts_of_slices_are_as_many_as_hosts(tmp_path: Path) -> None:
    """AWX keeps one of each name, and gives the next job all of them as variables."""
    audits = {"good.test": {"audit": audit(https_hsts="fail")}, "gone.test": {"audit": {"unreachable": True}}}
    kept = report({"directory": str(tmp_path)}, audits)["ansible_stats"]
    assert (kept["per_host"], kept["aggregate"]) == (False, True)
    assert _preflight.unknown(kept["data"], []) == []
    good, gone = kept["data"]["guide_report_good_test"], kept["data"]["guide_report_gone_test"]
    assert (good["host"], gone["host"]) == ("good.test", "gone.test")
    assert good["fail"] == ["https_hsts"] and good["summary"]["pass"] == SEEN - 1 and "error" not in good
    assert len(gone["not_assessed"]) == SEEN and gone["error"]


def test_a_host_that_was_not_audited_keeps_its_last_good_result(tmp_path: Path) -> None:
    """It is unreachable, or sudo refuses the password: what its last result was stays, with its date and the reason."""
    arguments = {"directory": str(tmp_path)}
    report(arguments, {"one.test": {"audit": audit(headers_csp="fail")}})
    (first,) = (tmp_path / "history").iterdir()
    day = "2026-11-01T00:00:00Z"  # not in the same second
    (tmp_path / "history/2026-11-01T000000Z.json").write_text(
        json.dumps({**json.loads(first.read_text()), "generated": day})
    )
    first.unlink()
    unseen = _controls.rows(TABLE, {}, "-")
    for answer in (
        {"unreachable": True, "msg": "no route"},
        {"controls": unseen, "error": "sudo refused the password"},
        {"failed": True, "msg": "chamilo_x is not a variable"},
    ):
        result = report(arguments, {"one.test": {"audit": answer}, "new.test": {"audit": answer}})
        hosts = read(tmp_path)
        assert "last" not in hosts["new.test"]
        one = hosts["one.test"]
        assert one["summary"]["pass"] == one["summary"]["fail"] == 0, "what was not seen now is not green"
        assert (one["last"]["generated"], one["last"]["fail"]) == (day, ["headers_csp"])
        page = (tmp_path / "report.html").read_text()
        assert answer.get("error", answer.get("msg")) in page and f"The last good result is of {day[:10]}" in page
        output = result["msg"] if isinstance(result["msg"], str) else "\n".join(result["msg"])
        assert f"(last good result: {day[:10]}, 1 not met)" in output
    report(arguments, {"one.test": {"audit": audit()}})
    assert "last" not in read(tmp_path)["one.test"]


def test_the_last_thirty_audits_are_in_the_report(tmp_path: Path) -> None:
    for day in range(1, 36):
        known = {
            "one.test": {"headers_csp": {"status": "fail" if day < 34 else "pass", "since": "2026-10-01T00:00:00Z"}}
        }
        path = tmp_path / f"history/2026-{10 + day // 28:02}-{day % 28 + 1:02}T000000Z.json"
        path.parent.mkdir(exist_ok=True)
        generated = f"2026-{10 + day // 28:02}-{day % 28 + 1:02}T00:00:00Z"
        path.write_text(json.dumps({"generated": generated, "hosts": known}))
    report({"directory": str(tmp_path)}, {"one.test": {"audit": audit(headers_csp="fail")}})
    course = read(tmp_path)["one.test"]["course"]
    assert len(course) == 30 and course[0]["open"] == {TABLE.control("headers_csp").severity: 1}
    assert [step["better"] for step in course if step["better"]] == [["headers_csp"]]
    assert course[-1]["worse"] == ["headers_csp"] and course[-1]["met"] == SEEN - 1


def test_an_unknown_threshold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnsibleActionFail, match="value of fail_on must be one of"):
        report({"fail_on": "always", "directory": str(tmp_path)}, {"one.test": {"audit": audit()}})


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AnsibleActionFail, match="Set chamilo_report_dir"):
        report({"directory": str(tmp_path / "file" / "report")}, {"one.test": {"audit": audit()}})


ROWS = [
    {"id": "headers_nosniff", "title": "No guessing", "status": "held", "evidence": "It is sent."},
    {"id": "updates_installer", "title": "No installer", "status": "through", "evidence": "<b>200</b> \x1b[31m"},
]


def test_attacks_are_in_the_report_until_they_are_run_again(tmp_path: Path) -> None:
    given = {"directory": str(tmp_path), "attacks": True}
    result = report(given, {"one.test": {"audit": {"attacks": ROWS}}, "db.test": {"audit": {"skipped": True}}})
    assert result["lines"] == ["one.test: 1 of 2 attacks rejected"]
    assert result["msg"][1].split()[:3] == ["GOT", "THROUGH", "updates_installer"], "the worst first"
    assert [cause["severity"] for cause in result["causes"]["one.test"]] == ["critical"]
    assert list(read(tmp_path)) == ["one.test"], "without an audit nothing else is known"

    report({"directory": str(tmp_path)}, {"one.test": {"audit": audit(headers_csp="fail")}})
    assert read(tmp_path)["one.test"]["attacks"]["rows"][1]["status"] == "through"
    assert read(tmp_path)["one.test"]["summary"]["fail"] == 1
    page = (tmp_path / "report.html").read_text()
    assert "1 of 2 rejected" in page and "&lt;b&gt;200" in page and "\x1b" not in page

    report(given, {"one.test": {"audit": {"attacks": ROWS[:1]}}})
    one = read(tmp_path)["one.test"]
    assert len(one["attacks"]["rows"]) == 1 and one["summary"]["fail"] == 1, "the audit stays"


def test_attacks_do_not_replace_what_is_no_report(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text('{"generated": "yesterday", "hosts": []}')
    with pytest.raises(AnsibleActionFail, match="Run the playbook audit, or move it away"):
        report({"directory": str(tmp_path), "attacks": True}, {"one.test": {"audit": {"attacks": ROWS}}})


def test_the_commands_of_the_report_are_for_the_hosts_that_were_audited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    called = {"inventory": [str(tmp_path / "hosts.yml")], "subset": "one.test", "become_ask_pass": True}
    monkeypatch.setattr("ansible.context.CLIARGS", called)
    result = report({"directory": "out"}, {"one.test": {"audit": audit(https_hsts="fail")}})
    page = re.sub("</?span>", "", Path(result["report"]).read_text())
    assert "ansible-playbook chamilo.hardening.harden -i hosts.yml --limit one.test -K --tags https --check" in page
