# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _controls, _screen

ROOT = Path(__file__).resolve().parents[4]

DEFAULTS = {"inventory": ["/etc/ansible/hosts"], "connection": "ssh", "remote_user": None, "private_key_file": None}
NAMED = {
    "args": ["chamilo.hardening.harden"],
    "inventory": ["/home/anna/hosts.yml"],
    "connection": "ssh",
    "tags": ["all"],
}


def run(playbook: str = "harden", **options: Any) -> _screen.Run:
    hosts = options.pop("hosts", {"a.test": _screen.HostRun()})
    return _screen.Run(playbook, hosts=hosts, **options)


def command(of: _screen.Run, **called: Any) -> str:
    return _screen.next_command(of, {**NAMED, **called}, DEFAULTS, "/home/anna")[1]


def cause(kind: str, number: int = 1, severity: str = "high") -> dict[str, Any]:
    return {"kind": kind, "text": f"Text {number}. " * 20, "severity": severity, "controls": ["headers_csp"] * number}


def test_the_next_command_is_complete_with_the_inventory_as_it_was_named() -> None:
    assert command(run()) == "ansible-playbook chamilo.hardening.audit -i hosts.yml"
    assert command(run(), inventory=["/etc/ansible/hosts"]) == "ansible-playbook chamilo.hardening.audit"
    assert command(run(), inventory=["/srv/hosts.yml", "a.test,"]) == (
        "ansible-playbook chamilo.hardening.audit -i /srv/hosts.yml -i a.test,"
    )
    path = command(run(), args=["playbooks/harden.yml"], subset="a.test", become_ask_pass=True, connection="local")
    assert path == "ansible-playbook playbooks/audit.yml -i hosts.yml --limit a.test -c local -K"


def test_a_value_that_may_be_a_password_is_not_repeated() -> None:
    given = ["@vars.yml", "chamilo_hosts=web", "chamilo_backups_password=hunter2", '{"x": "hunter2"}']
    messages = command(run(), extra_vars=given)
    assert "hunter2" not in messages
    assert messages.endswith("-e @vars.yml -e chamilo_hosts=web -e ... -e ...")


@pytest.mark.parametrize(
    ("of", "called", "ends"),
    [
        (run(check=True), {"check": True, "diff": True}, "harden -i hosts.yml"),
        (run(check=True), {"check": True, "tags": ["headers"]}, "harden -i hosts.yml --tags headers"),
        (run(hosts={"a.test": _screen.HostRun(failed="x")}), {"diff": True}, "harden -i hosts.yml --diff"),
        (run(), {"tags": ["preflight"]}, "harden -i hosts.yml --check --diff"),
        (run("audit", causes={"a.test": [cause("role")]}), {}, "harden -i hosts.yml --check --diff"),
        (run("audit", causes={"a.test": [cause("variable")]}), {}, "harden -i hosts.yml"),
        (run("audit"), {}, "prove -i hosts.yml"),
        (run("restore"), {}, "audit -i hosts.yml"),
    ],
)
def test_the_next_command_follows_from_what_happened(of: _screen.Run, called: dict[str, Any], ends: str) -> None:
    assert command(of, **called) == f"ansible-playbook chamilo.hardening.{ends}"


@pytest.mark.parametrize("hosts", [1, 3, 200])
@pytest.mark.parametrize("causes", [0, 1, 8, 60])
@pytest.mark.parametrize("playbook", ["harden", "audit"])
def test_it_never_has_more_than_twenty_lines(hosts: int, causes: int, playbook: str) -> None:
    names = [f"host{number}.test" for number in range(hosts)]
    of = run(
        playbook,
        hosts={name: _screen.HostRun(changed={"https": 3}) for name in names},
        lines=[f"{name}: 3 not met" for name in names] if playbook == "audit" else [],
        causes={name: [cause("hand", number) for number in range(1, causes + 1)] for name in names},
        report="/home/anna/chamilo-report/report.html",
    )
    shown = _screen.lines(of, "Next", "ansible-playbook x")
    assert len(shown) <= 20
    assert shown[-1] == "  ansible-playbook x"
    assert sum("Text" in line for line in shown) >= min(causes, 1), "what is open is never left out altogether"
    if (hosts > 3 or causes > 8) and causes:
        assert any("more" in line for line in shown), "what is left out is counted"
    assert all(len(line) <= 80 for line in shown[:-1] if "Text" in line)


def test_a_first_run_names_each_section_that_changed_on_a_screen_of_80_columns() -> None:
    sections = "updates https permissions passwords brute_force sessions headers uploads database backups monitoring"
    host = _screen.HostRun(dict.fromkeys(sections.split(), 3), sections.split(), sections.split())
    shown = _screen.lines(run(hosts={"campus.school.example": host}), "Next", "ansible-playbook x")
    assert all(len(line) <= 80 for line in shown)
    text = " ".join(line.strip() for line in shown)
    assert all(f"{name} 3" in text for name in sections.split()) and "All sections are active." in text


def test_what_changed_and_what_is_active() -> None:
    enforces = ["https", "headers"]
    of = run(
        hosts={
            "a.test": _screen.HostRun({"https": 2, "common": 1}, ["headers", "https"], enforces),
            "b.test": _screen.HostRun({}, ["https"], enforces),
            "c.test": _screen.HostRun({"https": 1}, ["https"], enforces, failed="Reload nginx"),
        }
    )
    assert _screen.lines(of, "Next", "x")[:3] == [
        'c.test: FAILED at "Reload nginx". 1 change: https 1.',
        "a.test: 3 changes: https 2, host program 1. All sections are active.",
        "b.test: nothing to change. Active: https.",
    ]


def test_what_the_host_goes_on_with_is_open_and_waits() -> None:
    severities = {"backups_database": "high", "backups_restore_tested": "medium", "https_tls": "high"}
    host = _screen.HostRun({"backups": 2}, ["https", "backups"], ["https", "backups"], begun=["backup", "drill"])
    host.controls = severities
    one = run(hosts={"a.test": host})
    one.settle()
    assert [(cause["kind"], cause["controls"]) for cause in one.causes["a.test"]] == [
        ("waiting", ["backups_database", "backups_restore_tested"])
    ]
    text = " ".join(" ".join(_screen.lines(one, "Next", "x")).split())
    assert "Active: https. Open" in text and "The first backup and restore test go on on the host." in text


def test_a_host_that_went_away_in_the_middle_and_one_that_was_never_begun() -> None:
    """What a host did whose answer never came is not known. One after it was not inspected at all."""
    hosts = {
        "web1.test": _screen.HostRun({"headers": 1}, ["headers"], unreachable=True, lost="Reload"),
        "web2.test": _screen.HostRun(),
        "gone.test": _screen.HostRun(unreachable=True),
        "done.test": _screen.HostRun({}, ["headers"]),
    }
    messages = [
        'web1.test: no longer reachable at "Reload". What that task did is not known. 1',
        "  change: headers 1.",
        "gone.test: could not be reached. Nothing was done.",
        "web2.test: left as it was: the run ended before its turn.",
        "done.test: nothing to change.",
    ]
    assert _screen.lines(run(hosts=hosts), "Next", "x")[:5] == messages
    assert _screen.lines(run(hosts={"a.test": _screen.HostRun()}), "Next", "x")[0] == "a.test: nothing to change."


def test_an_example_is_shown_whole() -> None:
    text = "Set chamilo_alert_mail or chamilo_alert_webhook, for example chamilo_alert_mail: admin@school.example"
    of = run(causes={"a.test": [{**cause("variable", 5), "text": text}, cause("hand")]})
    shown = " ".join(" ".join(_screen.lines(of, "Next", "x")).split())
    assert f"high variable missing (5): {text} high" in shown


def test_what_a_host_answered_stays_text() -> None:
    of = run("audit", lines=["a.test: \x1b[31mred"], causes={"a.test": [{**cause("hand"), "text": "\x1b]0;x\x07 y"}]})
    assert not {"\x1b", "\x07"} & set("".join(_screen.lines(of, "Next", "x")))


OBSTACLE = {"why": "No authority can reach campus.test.", "sections": ["https"], "controls": []}
SEVERITIES = {"https_hsts": "medium", "https_certificate": "critical", "headers_csp": "high"}


def hindered(**of: Any) -> _screen.Run:
    host = _screen.HostRun({"headers": 2}, ["https", "headers"], ["https", "headers"], controls=SEVERITIES, **of)
    found = run(hosts={"a.test": host}, causes={"a.test": [cause("variable")]})
    found.settle()
    return found


def test_what_is_left_is_open_with_its_severity_and_never_active() -> None:
    of = hindered(obstacles=[OBSTACLE])
    shown = " ".join(" ".join(_screen.lines(of, "Next", "x")).split())
    assert "a.test: Not enforced: https. 2 changes: headers 2. Active: headers." in shown
    assert "critical in the way (2): No authority can reach campus.test. high variable missing" in shown
    assert _screen.next_command(of, NAMED, DEFAULTS, "/home/anna") == (
        "When that is mended",
        "ansible-playbook chamilo.hardening.harden -i hosts.yml",
    )
    (host,) = _screen.outcome(of, "When that is mended", "x")["hosts"]
    assert host["sections"] == {"https": "left", "headers": "enforced"}
    assert host["left"] == {"https": OBSTACLE["why"]} and len(host["open"]) == 2


def test_a_section_that_failed_is_left_with_the_task_and_its_message() -> None:
    of = hindered(left={"headers": "Load: nginx -t"})
    shown = " ".join(" ".join(_screen.lines(of, "Next", "x")).split())
    assert "Not enforced: headers." in shown and "high in the way: Load: nginx -t" in shown


def test_in_check_mode_nothing_is_called_active() -> None:
    host = _screen.HostRun({"headers": 2}, ["headers"], ["headers"])
    assert _screen.lines(run(check=True, hosts={"a.test": host}), "Next", "x")[0] == (
        "a.test: 2 changes to make: headers 2."
    )


def test_of_a_host_on_which_nothing_was_done_no_cause_is_called_the_most_severe() -> None:
    host = _screen.HostRun({}, [], ["https"], failed="Discover Chamilo and what serves it", controls=SEVERITIES)
    of = run(hosts={"a.test": host}, causes={"a.test": [cause("variable")]})
    of.settle()
    assert not any("Open" in line for line in _screen.lines(of, "Next", "x"))


def test_setup_says_what_harden_will_make_true_by_the_headings_of_the_guide() -> None:
    host = _screen.HostRun(enforces=["https"], left={"https": "no authority"})
    of = run("setup", inventory=f"{os.getcwd()}/hosts.yml", hosts={"a.test": host}, sudo=True)
    why, command = _screen.next_command(of, {"inventory": ["localhost,"]}, {}, os.getcwd())
    assert (why, command) == (
        "When that is mended",
        "ansible-playbook chamilo.hardening.harden -i hosts.yml -K --tags preflight",
    )
    screen = _screen.lines(of, why, command)
    assert all(len(line) <= 80 for line in screen) and "  https       not yet, see below" in screen
    readme = (ROOT / "README.md").read_text()
    assert all(f"| {one.afterwards} |" in readme for one in _controls.load().sections)
