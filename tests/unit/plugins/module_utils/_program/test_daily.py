# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daily work: each step on its own, what breaks is reported, and what is due is what never succeeded."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import alert as common_alert
from ansible_collections.chamilo.hardening.plugins.module_utils._common import files, records, recurring
from ansible_collections.chamilo.hardening.plugins.module_utils._program import daily, main
from ansible_collections.chamilo.hardening.plugins.module_utils._program.daily import DailyError, run


@pytest.fixture
def host(monkeypatch, tmp_path):
    """``reported``: the alerts; ``etc``: the configuration; ``steps``: one that works and one that breaks."""
    host = SimpleNamespace(reported=[], etc=tmp_path / "etc", ran=[], broken=True)

    def breaks():
        host.ran.append("https")
        if host.broken:
            raise ValueError("no such file")
        return []

    def works():
        host.ran.append("updates")
        return ["All is new."]

    host.etc.mkdir()
    host.steps = (("https", breaks), ("updates", works))
    monkeypatch.setattr(daily, "STEPS", host.steps)
    monkeypatch.setattr(files, "STATE", str(tmp_path / "state"))
    monkeypatch.setattr(common_alert, "CONFIGURATION", str(host.etc / "alert.json"))
    monkeypatch.setattr(common_alert, "notify", lambda *words, **_more: host.reported.append(words) or [])
    monkeypatch.setattr(main.syslog, "syslog", lambda level, line: None)
    return host


def test_a_step_that_breaks_is_reported_and_the_others_go_on(host):
    assert [(done.name, done.problem) for done in run()] == [("https", "no such file"), ("updates", "")]
    assert host.reported == [("https", "The daily work of https failed", "no such file")]
    record = records.read(recurring.DAILY)
    assert record["https"]["ok"] is False and record["updates"]["ok"] is True


def test_what_came_out_as_before_is_no_change(host):
    assert [done.changed for done in run()] == [True, True]
    host.broken = False
    assert [done.changed for done in run()] == [True, False]
    assert [done.changed for done in run()] == [False, False]


def test_due_is_what_never_succeeded_as_it_is_configured(host):
    list(run())
    host.ran.clear()
    list(run(due=True))
    assert host.ran == ["https"]
    host.broken = False
    list(run(due=True))
    host.ran.clear()
    assert list(run(due=True)) == [] and host.ran == []
    (host.etc / "updates-campus.json").write_text("{}")
    list(run(due=True))
    assert host.ran == ["updates"]
    (host.etc / "alert.json").write_text("{}")
    list(run(due=True))
    assert host.ran == ["updates", "https", "updates"], "who is told has changed"


def test_two_at_a_time_do_it_once(host):
    """Two portals of one host are two hosts to Ansible, which works on both at the same time."""
    begun, go_on = threading.Event(), threading.Event()

    def works():
        begun.set()
        assert go_on.wait(10)
        host.ran.append("updates")
        return []

    steps = (("updates", works),)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(lambda: list(run(due=True, steps=steps)))
        assert begun.wait(10)
        second = pool.submit(lambda: list(run(due=True, steps=steps)))
        with pytest.raises(TimeoutError):
            second.result(0.3)
        go_on.set()
        assert [len(first.result(10)), len(second.result(10))] == [1, 0]
    assert host.ran == ["updates"]


@pytest.mark.parametrize(("alert", "again"), [({}, []), ({"mail": "admin@school.example"}, ["updates"])])
def test_a_failed_job_is_due_again_where_there_is_a_recipient(host, alert, again):
    host.broken = False
    (host.etc / "alert.json").write_text(json.dumps(alert))
    list(run())
    records.note("updates.json", "delivery", False, "not told")
    host.ran.clear()
    list(run(due=True))
    assert host.ran == again


def test_one_step_alone_and_none_that_is_not_there(host):
    list(run(["updates"]))
    assert host.ran == ["updates"]
    with pytest.raises(DailyError, match="no step uploads. There are: https, updates"):
        list(run(["uploads"]))


def test_where_nothing_can_be_written_down_the_next_steps_are_done_all_the_same(host, monkeypatch):
    def full(*_words, **_more):
        raise OSError(28, "No space left on device")

    host.broken = False
    monkeypatch.setattr(records, "note", full)
    done = list(run())
    assert host.ran == ["https", "updates"]
    assert all("cannot be written down" in one.problem and "No space left" in one.problem for one in done)


def test_an_alert_that_cannot_be_sent_leaves_its_step_failed_and_the_others_go_on(host, monkeypatch):
    def refused(*_words, **_more):
        raise common_alert.AlertError("No mail server.")

    journal = []
    monkeypatch.setattr(common_alert, "notify", refused)
    monkeypatch.setattr(daily.syslog, "syslog", lambda level, line: journal.append((level, line)))
    assert [(done.name, done.problem) for done in run()] == [("https", "no such file"), ("updates", "")]
    assert journal == [(daily.syslog.LOG_ERR, "https: No mail server.")]
