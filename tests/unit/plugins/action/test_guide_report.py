# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _controls

TABLE = _controls.load()
GONE = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9}


def audit(**observed: str) -> dict[str, Any]:
    """Host variables that become a registered audit in which all but these controls passed."""
    seen = {control.id: {"status": "pass", "evidence": "Seen."} for control in TABLE.controls}
    seen.update({name: {"status": status, "evidence": "Seen."} for name, status in observed.items()})
    return {"given": {"controls": _controls.rows(TABLE, seen, "-"), "chamilo_version": "2.0.1"}}


def plays(**options: Any) -> list[dict[str, Any]]:
    report = {"hosts": "{{ ansible_play_hosts_all }}", "register": "audit", **options}
    tasks = [
        {"ansible.builtin.ping": {}, "ignore_unreachable": True, "register": "audit", "when": "given is not defined"},
        {"ansible.builtin.set_fact": {"audit": "{{ given }}"}, "when": "given is defined"},
        {"ansible.builtin.fail": {}, "when": "broken is defined"},
        {
            "chamilo.hardening.guide_report": report,
            "run_once": True,
            "delegate_to": "localhost",
            "become": False,
        },
    ]
    return [{"hosts": "chamilo", "gather_facts": False, "tasks": tasks}]


def read(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "report.json").read_text()))


def test_one_report_for_all_hosts_whatever_became_of_them(ansible: Any) -> None:
    hosts = {
        "bad.test": {"broken": True},
        "gone.test": GONE,
        "good.test": audit(https_hsts="fail"),
    }
    for arguments in ((), ("-f", "1"), ("--check",)):
        outcome = ansible.play(plays(directory="out"), hosts, *arguments)
        assert outcome.code == 2, "bad.test failed before"
        assert outcome.recap("good.test")["changed"] == 0
        report = read(ansible.folder / "out")
        by_name = {host["name"]: host for host in report["hosts"]}
        assert list(by_name) == list(hosts)
        assert by_name["gone.test"]["reachable"] is False
        assert by_name["gone.test"]["summary"]["not_assessed"] == 64
        assert by_name["bad.test"]["summary"]["pass"] == 0
        assert by_name["good.test"]["summary"]["pass"] == 63
        (ansible.folder / "out" / "report.json").unlink()


def test_limit_keeps_the_other_hosts_out(ansible: Any) -> None:
    hosts = {"one.test": audit(), "two.test": audit()}
    outcome = ansible.play(plays(), hosts, "--limit", "two.test")
    assert outcome.code == 0
    assert f"The report is {ansible.folder}/chamilo-report/report.html" in " ".join(outcome.output.split())
    assert [host["name"] for host in read(ansible.folder / "chamilo-report")["hosts"]] == ["two.test"]


def test_only_an_unreachable_host_is_no_failure_until_asked(ansible: Any) -> None:
    assert ansible.play(plays(), {"gone.test": GONE}).code == 0
    outcome = ansible.play(plays(fail_on="must"), {"gone.test": GONE})
    assert outcome.code == 2
    assert "gone.test: The host could not be reached" in outcome.output


def test_the_report_is_there_although_the_run_fails(ansible: Any) -> None:
    outcome = ansible.play(plays(fail_on="should"), {"one.test": audit(headers_csp="fail")})
    assert outcome.code == 2
    assert "one.test: 1 not met (headers_csp)" in outcome.output
    assert read(ansible.folder / "chamilo-report")["hosts"][0]["summary"]["fail"] == 1


def test_an_unknown_threshold_is_refused(ansible: Any) -> None:
    outcome = ansible.play(plays(fail_on="always"), {"one.test": audit()})
    assert outcome.code == 2 and "fail_on" in outcome.output


def test_a_folder_that_cannot_be_written_is_named(ansible: Any) -> None:
    (ansible.folder / "file").touch()
    outcome = ansible.play(plays(directory="file/report"), {"one.test": audit()})
    assert outcome.code == 2
    assert "Set chamilo_report_dir" in outcome.output
