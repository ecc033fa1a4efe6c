# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What watches a host, and when its daily work has to run once more."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.tools.plans import discovered, planned, waived


@pytest.fixture
def site(host: Any) -> dict[str, Any]:
    host.install("nginx")
    host.chamilo()
    host.testbed_site("nginx", "plain")
    return discovered(host, missing_packages=["monit", "msmtp-mta"], sendmail=True)


def paths(plan: dict[str, Any]) -> list[str]:
    return [file["path"] for file in plan["main"]["files"]]


CONFIG = "/var/www/chamilo/config/packages/prod/zz_chamilo_hardening_log.yaml"


def test_a_waived_log_is_neither_configured_nor_watched_and_what_was_there_is_taken_out_of_use(host, site):
    info = {"site": site}
    plan = planned(host, "monitoring", __chamilo_common_info=info)
    assert CONFIG in paths(plan) and len(plan["main"]["test"]) == 3
    given = {"chamilo_waivers": waived("monitoring_app_log")}
    plan = planned(host, "monitoring", __chamilo_common_info=info, **given)
    assert CONFIG not in paths(plan) and plan["main"]["test"] == [["monit", "-t"]]
    assert json.loads(plan["main"]["files"][0]["content"])["log"] == ""
    info["in_force"] = {"monitoring:campus_test": {"files": {CONFIG: "file"}}}
    assert len(planned(host, "monitoring", __chamilo_common_info=info, **given)["main"]["test"]) == 3


@pytest.mark.parametrize(
    ("host_name", "sendmail", "missing", "installed", "written"),
    [
        ("", False, ["msmtp-mta"], False, False),
        ("mail.test", False, ["msmtp-mta"], True, True),
        ("mail.test", True, ["msmtp-mta"], False, False),  # another mail program's
        ("mail.test", True, [], False, True),
    ],
)
def test_a_mail_program_that_is_there_is_left_alone(host, site, host_name, sendmail, missing, installed, written):
    info = {"site": {**site, "sendmail": sendmail, "missing_packages": missing}}
    given = {"chamilo_monitoring_smtp_host": host_name, "chamilo_monitoring_smtp_password": "secret-word"}
    plan = planned(host, "monitoring", __chamilo_common_info=info, **given)
    assert ("msmtp-mta" in plan["packages"], "/etc/msmtprc" in paths(plan)) == (installed, written)
    shown = [file for file in plan["main"]["files"] if "secret-word" in str(file.get("content"))]
    assert shown == []


DONE = {"daily": True, "copied": True}


@pytest.mark.parametrize(
    ("recurring", "given", "again"),
    [
        (DONE, {}, False),
        ({**DONE, "daily": False}, {}, True),
        ({**DONE, "copied": False}, {}, True),
        ({**DONE, "copied": False}, {"ansible_connection": "local"}, False),
        (DONE, {"__chamilo_common_program": {"changed": True}}, True),
        (DONE, {"chamilo_monitoring_state": "absent", "__chamilo_common_program": {"changed": True}}, False),
        ({}, {}, True),
    ],
)
def test_the_daily_work_runs_where_something_of_it_is_due(host, site, recurring, given, again):
    known = {"__chamilo_common_info": {"site": site, "recurring": recurring}, **given}
    assert planned(host, "monitoring", **known)["again"] is again


def test_nothing_is_installed_for_a_section_that_is_removed(host, site):
    given = {"chamilo_monitoring_state": "absent", "__chamilo_common_info": {"site": site}}
    plan = planned(host, "monitoring", **given)
    assert plan["packages"] == [] and plan["main"]["state"] == "absent"
    given["__chamilo_common_info"]["in_force"] = {"headers:campus_test": {}}
    assert planned(host, "monitoring", due=True, _chamilo_each_once=True, **given) is False


def test_a_database_elsewhere_has_no_process_to_watch(host, site):
    def watched(database: str) -> bool:
        info = {"site": {**site, "database": {**site["database"], "host": database}}}
        (text,) = [
            file["content"]
            for file in planned(host, "monitoring", __chamilo_common_info=info)["main"]["files"]
            if file["path"].endswith("chamilo-campus_test") and "monit" in file["path"]
        ]
        return "mysqld.pid" in text

    assert [watched("localhost"), watched(""), watched("db.test")] == [True, True, False]
