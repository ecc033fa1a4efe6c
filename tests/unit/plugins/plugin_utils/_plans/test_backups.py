# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What backups work by, and which run at once."""

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
    return discovered(host, missing_packages=["restic"])


@pytest.mark.parametrize(
    ("given", "first", "now"),
    [
        ({"_chamilo_backups_before": True}, True, ["backup"]),
        ({"_chamilo_backups_before": True, "chamilo_backups_state": "absent"}, False, []),
        ({}, False, []),
        ({"__chamilo_backups_key": {"skipped": True}}, False, []),
        ({"__chamilo_backups_key": {"due": ["drill", "backup"]}}, False, ["backup", "drill"]),
    ],
)
def test_what_never_succeeded_runs_at_once_and_a_backup_first_where_that_is_asked_for(host, site, given, first, now):
    plan = planned(host, "backups", __chamilo_common_info={"site": site}, **given)
    jobs = ["drill" if "drill" in command else "backup" for command in plan["now"]]
    assert (plan["first"], jobs) == (first, now)
    # Without waiting for them, unless one is required first.
    assert all((command[0] == "systemd-run") is not first for command in plan["now"])


@pytest.mark.parametrize("drills", [True, False])
def test_the_host_knows_whether_restore_tests_are_made(host, site, drills):
    """Where a waiver ended them, an alert would else report each day that one is late."""
    given = {"chamilo_waivers": [] if drills else waived("backups_restore_tested")}
    given["__chamilo_backups_key"] = {"due": ["drill"]}
    plan = planned(host, "backups", __chamilo_common_info={"site": site}, **given)
    configuration, _secrets, cron = plan["main"]["files"]
    assert json.loads(configuration["secret_content"])["drills"] is drills
    assert ("chamilo-hardening drill" in cron["content"], len(plan["now"])) == (drills, int(drills))


def test_secrets_are_kept_from_logs(host, site):
    given = {"chamilo_backups_environment": {"RESTIC_REST_PASSWORD": "secret-word"}}
    plan = planned(host, "backups", __chamilo_common_info={"site": site}, **given)
    holding = [file for file in plan["main"]["files"] if "secret-word" in str(file)]
    assert [("content" in file, file["mode"]) for file in holding] == [(False, "0600")]


def test_no_file_of_cron_has_a_dot_in_its_name(host, site):
    """cron would not read it."""
    plan = planned(host, "backups", __chamilo_common_info={"site": site}, chamilo_site="campus.test")
    assert plan["main"]["files"][2]["path"] == "/etc/cron.d/chamilo-hardening-backups-campus_test"


def test_nothing_is_installed_for_a_section_that_is_removed(host, site):
    info = {"site": site}
    assert planned(host, "backups", __chamilo_common_info=info)["packages"] == ["restic"]
    plan = planned(host, "backups", __chamilo_common_info=info, chamilo_backups_state="absent")
    assert (plan["packages"], plan["main"]["state"]) == ([], "absent")
