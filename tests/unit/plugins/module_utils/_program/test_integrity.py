# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What monit and an administrator ask: an alarm is no error, and an error is no alarm."""

from __future__ import annotations

import json
from pathlib import Path

import jinja2
import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.comparison import (
    CHANGED,
    Comparison,
    Group,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring import daily, watch
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.integrity import Changes
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.watch import Seen
from ansible_collections.chamilo.hardening.plugins.module_utils._program import integrity as commands
from ansible_collections.chamilo.hardening.plugins.module_utils._program import main

MONIT = Path(__file__).parents[5] / "roles/monitoring/templates/monit/site.j2"


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setattr(main.syslog, "syslog", lambda level, line: None)


@pytest.mark.parametrize(("alarm", "code"), [(False, 0), (True, commands.ALARM)])
def test_an_alarm_has_a_code_of_its_own_that_monit_knows(monkeypatch, capsys, alarm, code):
    monkeypatch.setattr(watch, "logins", lambda site: Seen(f"{site}: 20", alarm))
    assert main.main(["watch", "logins", "campus"]) == code
    assert capsys.readouterr().out == "campus: 20\n"
    assert f"if status = {commands.ALARM} then" in MONIT.read_text()


def test_what_cannot_be_checked_is_no_alarm(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(watch, "DIRECTORY", str(tmp_path))
    assert main.main(["watch", "disks", "campus"]) == 1
    assert "Run the playbook harden" in capsys.readouterr().err
    (tmp_path / "monitoring-campus.json").write_text(json.dumps({"disks": ["/"], "percent": 101}))
    assert main.main(["watch", "disks", "campus"]) == 0


@pytest.mark.parametrize("enforced", [True, False])
def test_who_waived_the_count_is_not_reported_that_it_is_not_made(enforced):
    plan = {"resources": False, "app_log": False, "site": "campus", "domain": "campus.test", "auth": enforced}
    text = jinja2.Template(MONIT.read_text(), undefined=jinja2.StrictUndefined).render(plan=plan)
    assert [words in text for words in ("if status = 1 for 3 cycles", "if status = 10")] == [enforced, enforced]
    assert "watch logins campus" in text, "the daily work sees by it that monit runs"


def test_monit_tries_each_alert_again():
    """By itself it tries once, and an alert that did not go out then would never be sent."""
    plan = {
        "site": "campus",
        "domain": "campus.test",
        "disk_percent": 90,
        "services": [{"name": "php", "pid": "/run/php.pid"}],
        "log": "/srv/campus/var/log/prod.log",
        **dict.fromkeys(("app_log", "auth", "resources"), True),
    }
    lines = [
        line
        for path in MONIT.parent.iterdir()
        for line in jinja2.Template(path.read_text(), undefined=jinja2.StrictUndefined).render(plan=plan).splitlines()
        if " exec " in line
    ]
    assert len(lines) == 13 and [line for line in lines if not line.endswith('" repeat every 15 cycles')] == []


def test_files_are_compared_for_each_portal(monkeypatch, capsys):
    monkeypatch.setattr(daily, "sites", lambda: ["campus", "shop"])
    monkeypatch.setattr(daily, "compare", lambda site, against: Changes(added=["x.php"] if site == "shop" else []))
    assert main.main(["integrity", "check"]) == 1
    assert capsys.readouterr().out == "campus: as listed\nshop: new: x.php\n"
    assert main.main(["integrity", "check", "--site", "campus"]) == 0
    monkeypatch.setattr(daily, "accept", lambda site: "new: x.php")
    assert main.main(["integrity", "accept", "--site", "shop"]) == 0
    monkeypatch.setattr(daily, "sites", list)
    assert main.main(["integrity", "check"]) == 1


def test_the_lists_of_each_portal_are_shown(monkeypatch, capsys):
    monkeypatch.setattr(daily, "sites", lambda: ["campus", "shop"])
    monkeypatch.setattr(daily, "lists_of", lambda site: ["* Crontab: x", "  At job: y"] if site == "shop" else [])
    assert main.main(["integrity", "lists"]) == 0
    assert capsys.readouterr().out == "campus:   nothing is there\nshop: * Crontab: x\nshop:   At job: y\n"


def test_where_a_copy_of_each_list_lies_is_written_down(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(daily, "sites", lambda: ["campus", "shop"])
    monkeypatch.setattr(daily, "copied", lambda *what: asked.append(what))
    assert main.main(["integrity", "copied", "--digest", "00", "--where", "the machine of ada"]) == 0
    assert asked == [("campus", "00", "the machine of ada"), ("shop", "00", "the machine of ada")]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("answer", "accepted"), [("y", True), (" YES ", True), ("", False), ("n", False), ("yet", False), (None, True)]
)
def test_a_person_is_asked_before_what_differs_is_accepted(monkeypatch, capsys, answer, accepted):
    """``None``: a script, which cannot be asked."""
    asked, done = [], []
    changes = {"campus": Changes(added=["x.php"]), "shop": Changes()}
    monkeypatch.setattr(daily, "sites", lambda: list(changes))
    monkeypatch.setattr(daily, "compare", changes.get)
    monkeypatch.setattr(daily, "lists_of", lambda site: [f"* Crontab: {site}"])
    monkeypatch.setattr(daily, "accept", lambda site: done.append(site) or "accepted")
    monkeypatch.setattr(commands.sys.stdin, "isatty", lambda: answer is not None, raising=False)
    monkeypatch.setattr("builtins.input", lambda words: asked.append(words) or answer)
    assert main.main(["integrity", "accept"]) == int(not accepted)
    output = capsys.readouterr().out
    assert done == (["campus", "shop"] if accepted else [])
    assert ("Nothing was accepted." in output) is not accepted
    if answer is not None:
        assert output.startswith("new: x.php\n* Crontab: campus\n") and ("Nothing differs.\n" in output) is accepted
        assert asked == ["Are these yours? [y/N] "] * (2 if accepted else 1)


def test_the_program_is_compared_with_the_package_that_is_known_or_named(monkeypatch, capsys):
    groups = (Group("bin", CHANGED, 1, "www-data", "2026-05-04"),)
    found = [Comparison("the package x.zip", groups), Comparison("the package x.zip"), Comparison()]
    asked = []
    monkeypatch.setattr(daily, "sites", lambda: ["campus"])
    monkeypatch.setattr(daily, "compare_release", lambda *given: asked.append(given) or found[len(asked) - 1])
    assert main.main(["integrity", "compare", "x.zip", "--sha256", "00"]) == 1
    lines = ["campus: bin: 1 file differs from the package (owner www-data, newest 2026-05-04)"]
    assert capsys.readouterr().out.splitlines() == [*lines, "campus: all else is as in the package x.zip"]
    assert main.main(["integrity", "compare"]) == 0
    assert main.main(["integrity", "compare"]) == 1
    assert "no package of the installed release is known here" in capsys.readouterr().err
    assert asked == [("campus", "x.zip", "00"), ("campus", "", ""), ("campus", "", "")]


def test_the_checks_have_names_of_their_own():
    """monit refuses all of its configuration where an administrator's check has the name of one of ours."""
    found = [
        line.split()[2]
        for path in MONIT.parent.iterdir()
        for line in path.read_text().splitlines()
        if line.startswith("check ")
    ]
    assert len(found) == 6 and [name for name in found if not name.startswith("chamilo_")] == []


@pytest.mark.parametrize(
    ("given", "account", "sender"),
    [
        ("", "", "root@%C"),
        ("", "campus", "root@%C"),
        ("", "campus@school.example", "campus@school.example"),
        ("it@school.example", "campus@school.example", "it@school.example"),
    ],
)
def test_mail_comes_from_the_host_or_from_the_account_that_sends_it(given, account, sender):
    text = (MONIT.parents[1] / "msmtprc.j2").read_text()
    known = {"plan": {"smtp": {"from": given, "user": account}}}
    lines = jinja2.Environment(trim_blocks=True).from_string(text).render(known).splitlines()
    assert [line for line in lines if line.startswith("from ")] == [f"from {sender}"] and lines[4].startswith("from ")
    assert ("set_from_header on" in lines) == (sender != "root@%C"), "what the reader sees is the same"
