# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _controls
from ansible_collections.chamilo.hardening.plugins.plugin_utils._controls import ControlError

ROOT = Path(__file__).resolve().parents[4]
TODAY = datetime.date(2026, 11, 25)
TABLE = _controls.load()


def waiver(**changes: Any) -> dict[str, Any]:
    return {"control": "headers_csp", "reason": "The editor breaks.", "owner": "Anna", "until": "2026-11-25", **changes}


def test_fix_reports_what_to_do() -> None:
    assert TABLE.control("headers_nosniff").fix == "Run the role chamilo.hardening.headers."
    assert TABLE.control("passwords_education").fix == TABLE.control("passwords_education").guide
    assert TABLE.control("updates_version").fix.startswith("An update changes the application")


def test_an_unknown_control_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ControlError, match=r"no control 'headers_cps'\. Did you mean headers_csp"):
        TABLE.control("headers_cps")


@pytest.mark.parametrize(
    ("value", "output"),
    [
        ("headers_csp", "chamilo_waivers must be a list"),
        (["headers_csp"], "entry 1 must be a map"),
        ([waiver(control="headers_cps")], "entry 1 (headers_cps): there is no such control. Did you mean headers_csp"),
        ([waiver(control="permissions_php_user")], "entry 1 (permissions_php_user): the control was removed. Nothing"),
        ([waiver(), waiver(control="https_hsts", owner="")], "entry 2 (https_hsts): owner is missing"),
        ([waiver(reason=None)], "reason is missing"),
        ([waiver(untill="x")], "unknown field 'untill'. Did you mean until?"),
        ([waiver(until="25.11.2026")], "until '25.11.2026' is no date; write it as YYYY-MM-DD"),
        ([waiver(until="2026-02-30")], "is no date"),
        ([waiver(), waiver()], "waived twice"),
    ],
)
def test_a_waiver_that_is_not_whole_is_refused(value: Any, output: str) -> None:
    with pytest.raises(ControlError) as error:
        _controls.parse_waivers(value, TABLE)
    assert output in str(error.value)


@pytest.mark.parametrize("until", ["2026-11-25", datetime.date(2026, 11, 25)])
def test_a_waiver_is_valid_through_its_last_day(until: Any) -> None:
    (parsed,) = _controls.parse_waivers([waiver(until=until)], TABLE)
    assert parsed.holds(TODAY)
    assert not parsed.holds(TODAY + datetime.timedelta(days=1))


@pytest.mark.parametrize(
    ("control", "observed", "level", "waived", "expected"),
    [
        ("https_hsts", "pass", "should", False, "pass"),
        ("https_hsts", "fail", "should", False, "fail"),
        ("https_hsts", "fail", "must", False, "fail"),
        ("headers_csp", "fail", "must", False, "advice"),
        ("headers_csp", "fail", "should", False, "fail"),
        ("headers_csp", "fail", "should", True, "waived"),
        ("headers_csp", "pass", "should", True, "pass"),
        ("headers_csp", "not_assessed", "should", True, "not_assessed"),
        ("passwords_expiry", "fail", "should", False, "advice"),
        ("passwords_expiry", "fail", "consider", False, "fail"),
        ("passwords_expiry", "pass", "should", False, "pass"),
        ("passwords_expiry", "not_applicable", "should", False, "not_applicable"),
        ("passwords_education", "not_assessed", "consider", False, "people"),
    ],
)
def test_status(control: str, observed: str, level: str, waived: bool, expected: str) -> None:
    waivers = _controls.parse_waivers([waiver(control=control)] if waived else [], TABLE)
    assert _controls.status(TABLE.control(control), observed, level, waivers, TODAY) == expected


def test_an_observation_that_is_none_is_refused() -> None:
    with pytest.raises(ControlError, match="https_hsts: 'ok' is no observation"):
        _controls.status(TABLE.control("https_hsts"), "ok", "should", [], TODAY)


@pytest.mark.parametrize("level", ["all", "", None, ["must"]])
def test_an_unknown_level_is_refused(level: Any) -> None:
    with pytest.raises(ControlError, match="chamilo_level is .*; it must be must"):
        _controls.parse_level(level)


def test_enforced_until_waived() -> None:
    control, waivers = TABLE.control("headers_csp"), _controls.parse_waivers([waiver()], TABLE)
    assert _controls.enforced(control, "should", [], TODAY)
    assert not _controls.enforced(control, "should", waivers, TODAY)
    assert _controls.enforced(control, "should", waivers, TODAY + datetime.timedelta(days=1))
    assert not _controls.enforced(control, "must", [], TODAY)
    assert not _controls.enforced(TABLE.control("passwords_education"), "consider", [], TODAY)


def test_rows_contain_every_control_and_never_pass_unseen() -> None:
    seen = {"https_hsts": {"status": "fail", "evidence": "It is not sent."}}
    waivers = _controls.parse_waivers([waiver(control="https_hsts")], TABLE)
    rows = {row["id"]: row for row in _controls.rows(TABLE, seen, "Nobody looked.", "should", waivers, TODAY)}
    assert list(rows) == [control.id for control in TABLE.controls]
    assert rows["https_hsts"]["status"] == "waived"
    assert rows["https_hsts"]["waiver"] == {
        "reason": "The editor breaks.",
        "owner": "Anna",
        "until": "2026-11-25",
        "holds": True,
    }
    assert (rows["headers_csp"]["status"], rows["headers_csp"]["evidence"]) == ("not_assessed", "Nobody looked.")
    assert rows["passwords_education"]["status"] == "people"
    people = [control for control in TABLE.controls if control.level == "people"]
    assert _controls.summary(rows.values()) == {
        **dict.fromkeys(_controls.STATUSES, 0),
        "waived": 1,
        "people": len(people),
        "not_assessed": len(TABLE.controls) - len(people) - 1,
    }
