# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What updates the system, what checks for releases, and what a waiver of each leaves."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.plugin_utils._plans import updates
from tests.tools.plans import discovered, planned, waived


def site(host: Any, server: str = "nginx", **changes: Any) -> dict[str, Any]:
    host.install(server)
    host.chamilo()
    host.testbed_site(server, "plain")
    return {"site": discovered(host, missing_packages=["unattended-upgrades"], **changes)}


def files(transaction: dict[str, Any]) -> dict[str, str]:
    return {file["path"]: file.get("content", "") for file in transaction["files"]}


@pytest.mark.parametrize(
    ("given", "system"),
    [
        ({}, True),
        ({"chamilo_updates_unattended": False}, False),
        ({"chamilo_updates_unattended": "false"}, False),  # as -e gives it
        ({"chamilo_updates_state": "absent"}, False),
        ({"chamilo_waivers": waived("updates_os")}, False),
    ],
)
def test_the_system_is_updated_unless_that_is_disabled(host, given, system):
    plan = planned(host, "updates", __chamilo_common_info=site(host), **given)
    assert plan["packages"] == (["unattended-upgrades"] if system else [])
    assert ("/etc/apt/apt.conf.d/52chamilo-hardening" in files(plan["host"])) is system
    assert plan["host"]["test"] == ([["apt-config", "dump"]] if system else [])


@pytest.mark.parametrize(("given", "asks"), [({}, True), ({"chamilo_waivers": waived("updates_watch")}, False)])
def test_no_feed_is_requested_where_that_is_waived(host, given, asks):
    plan = planned(host, "updates", __chamilo_common_info=site(host), **given)
    known = json.loads(files(plan["host"])["/etc/chamilo-hardening/updates-campus_test.json"])
    assert bool(known["feed"]) is asks and known["domain"] == "campus.test"


@pytest.mark.parametrize("server", ["nginx", "apache"])
def test_the_installer_is_closed_with_all_that_attackers_ask_for(host, server):
    info = site(host, server)
    plan = planned(host, "updates", __chamilo_common_info=info)
    (text,) = [text for path, text in files(plan["web"]).items() if path.endswith("/updates.conf")]
    assert "main/+install|check\\.php" in text and "/window/*.conf" in text
    for item, pattern in updates.EXPLOITED.items():
        assert pattern.replace("/", "/+") in text
        given = {"chamilo_waivers": waived(f"updates_installer:{item}")}
        plan = planned(host, "updates", __chamilo_common_info=info, **given)
        (opened,) = [text for path, text in files(plan["web"]).items() if path.endswith("/updates.conf")]
        assert pattern.replace("/", "/+") not in opened and "main/+install|check\\.php" in opened, "its way back alone"


@pytest.mark.parametrize("server", ["nginx", "apache"])
def test_where_all_of_them_are_waived_nothing_but_the_installer_is_closed(host, server):
    given = {"chamilo_waivers": [each for item in updates.EXPLOITED for each in waived(f"updates_installer:{item}")]}
    plan = planned(host, "updates", __chamilo_common_info=site(host, server), **given)
    (text,) = [text for path, text in files(plan["web"]).items() if path.endswith("/updates.conf")]
    assert "(?:)" not in text and "(?i:)" not in text, "a pattern that matches every address"


@pytest.mark.parametrize(
    "given", [{"chamilo_waivers": waived("updates_installer")}, {"chamilo_updates_state": "absent"}]
)
def test_an_installer_that_is_not_closed_any_more_is_opened(host, given):
    info: dict[str, Any] = site(host)
    plan = planned(host, "updates", __chamilo_common_info=info, **given)
    assert (plan["web"], plan["vhost"]) == (None, False)
    info["in_force"] = {"updates:campus_test": {}}
    assert planned(host, "updates", __chamilo_common_info=info, **given)["web"]["state"] == "absent"


def test_the_section_is_due_where_a_package_is_missing(host):
    info = {**site(host), "in_force": {}}
    info["site"]["serving"] = [{**one, "includes_ours": True} for one in info["site"]["serving"]]
    given = {"__chamilo_common_info": info, "_chamilo_each_once": True}
    assert planned(host, "updates", due=True, **given) is True
    assert planned(host, "updates", due=True, chamilo_updates_state="absent", **given) is False
