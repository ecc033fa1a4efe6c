# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _actions, _controls, _preflight

TABLE = _controls.load()
ALERTED = [
    "monitoring_app_log",
    "monitoring_resources",
    "monitoring_auth",
    "monitoring_accounts",
    "monitoring_delivery",
]
ALL = [section.id for section in TABLE.sections]


def rows(*failed: str, status: str = "fail", **more: Any) -> list[dict[str, Any]]:
    seen = {name: {"status": status, "evidence": f"Seen of {name}.", **more} for name in failed}
    whole = {control.id: {"status": "pass", "evidence": "-"} for control in TABLE.controls}
    return _controls.rows(TABLE, {**whole, **seen}, "-")


def causes(failed: list[dict[str, Any]], variables: Any = None, active: Any = (), earlier: Any = None) -> Any:
    _actions.annotate(failed, TABLE, variables or {}, active, earlier or {})
    return [(one["kind"], one["severity"], one["controls"]) for one in _actions.causes(failed)]


def test_five_controls_open_for_want_of_one_variable_are_one_cause() -> None:
    (cause,) = causes(rows(*ALERTED), active=ALL)
    assert cause == ("variable", "high", ALERTED)
    failed = rows(*ALERTED)
    _actions.annotate(failed, TABLE, {}, ALL, {})
    text = _actions.causes(failed)[0]["text"]
    assert text.startswith("Set chamilo_alert_mail or chamilo_alert_webhook, for example chamilo_alert_mail: ")


@pytest.mark.parametrize("name", ["chamilo_alert_mail", "chamilo_alert_webhook"])
def test_one_of_the_variables_is_enough(name: str) -> None:
    assert causes(rows(*ALERTED), {name: "x"})[0][0] == "role"
    assert causes(rows(*ALERTED), {name: ""})[0][0] == "variable"


def test_five_controls_open_for_an_alert_that_does_not_arrive_are_one_cause() -> None:
    mail = {"chamilo_alert_mail": "admin@school.test"}
    failed = rows(*ALERTED, cause="No notification was sent: mail.school.test refuses. When that is mended, run it.")
    assert causes(failed, mail, ALL) == [("hand", "high", ALERTED)]
    assert _actions.causes(failed)[0]["text"].startswith("No notification was sent")
    assert "cause" not in rows("monitoring_auth", status="pass", cause="x")[0]


def test_a_role_that_did_not_close_it_is_not_named_once_more() -> None:
    failed = rows("headers_nosniff")
    assert causes(failed)[0][0] == "role", "it never ran"
    assert causes(rows("headers_nosniff"), active=ALL)[0][0] == "role", "nothing is known of before"
    before = {"headers_nosniff": {"status": "fail", "since": "-", "met": False}}
    assert causes(rows("headers_nosniff"), active=ALL, earlier=before)[0][0] == "hand"
    assert causes(rows("headers_nosniff"), active=["https"], earlier=before)[0][0] == "role"
    met = {"headers_nosniff": {"status": "pass", "since": "-", "met": True}}
    assert causes(rows("headers_nosniff"), active=ALL, earlier=met)[0][0] == "role", "something changed since"


def test_by_hand_reports_what_was_seen_and_what_to_do() -> None:
    failed = rows("updates_version")
    _actions.annotate(failed, TABLE, {}, ALL, {})
    (cause,) = _actions.causes(failed)
    assert cause["kind"] == "hand" and cause["severity"] == "critical"
    assert cause["text"].startswith("Seen of updates_version. An update changes the application")


def test_what_waits_needs_nothing() -> None:
    assert causes(rows("https_hsts", waits="The full value is due on 2026-12-01."))[0][0] == "waiting"


def test_what_could_not_be_seen_is_one_cause_for_one_reason() -> None:
    failed = _controls.rows(TABLE, {}, "This needs root.")
    (cause,) = causes(failed)
    assert cause[0] == "unseen" and len(cause[2]) == sum(one.level != "people" for one in TABLE.controls)


def test_the_most_severe_comes_first_and_what_harden_does_is_one_entry_each() -> None:
    found = causes(rows("headers_csp", "headers_nosniff", "https_redirect", "uploads_no_exec", "backups_offsite"))
    assert [one[:2] for one in found] == [
        ("role", "critical"),
        ("role", "high"),
        ("variable", "high"),
        ("role", "medium"),
    ]
    assert found[1][2] == ["https_redirect", "headers_nosniff"]


def test_each_need_names_variables_that_there_are() -> None:
    known = {name for spec in _preflight.specs().values() for name in spec}
    needs = {name for control in TABLE.controls for name in control.fixer.needs}
    assert needs and needs <= known


def test_several_hosts_share_a_cause() -> None:
    failed = rows("backups_offsite")
    _actions.annotate(failed, TABLE, {}, ALL, {})
    one = _actions.causes(failed)
    (cause,) = _actions.merge({"a.test": one, "b.test": one, "c.test": []})
    assert cause["hosts"] == ["a.test", "b.test"] and cause["controls"] == ["backups_offsite"]
