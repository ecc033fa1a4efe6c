# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which password rules are set, and that none becomes less strict than it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.tools.plans import discovered, planned, waived

RULES, DAYS = "security.password_requirements", "security.password_rotation_days"
STRICT = json.dumps({"min": {"length": 20, "lowercase": 1, "uppercase": 1, "numeric": 3, "specials": 1}})


@pytest.fixture
def site(host: Any) -> dict[str, Any]:
    host.install("nginx")
    host.chamilo()
    host.testbed_site("nginx", "plain")
    return discovered(host, missing_packages=["restic"])


def seen(**settings: Any) -> dict[str, Any]:
    return {"settings": {f"security.{name}": {"before": {"effective": {"1": it}}} for name, it in settings.items()}}


def minimums(length: int, others: int, **more: int) -> dict[str, int]:
    return {"length": length, **dict.fromkeys(("lowercase", "uppercase", "numeric", "specials"), others), **more}


NO_LENGTH, NO_MIX = ({"chamilo_waivers": waived(one)} for one in ("passwords_length", "passwords_mix"))
LONG = json.dumps({"min": {"length": 16, "uppercase": 3, "numeric": "0"}})


@pytest.mark.parametrize(
    ("stored", "given", "least"),
    [
        *((nothing, {}, minimums(12, 1)) for nothing in ("", "{", "[]", "{}", "null", '{"min": 7}')),
        ('{"min": {"length": "many"}}', {}, minimums(12, 1)),
        ("", NO_MIX, minimums(12, 0, numeric=2, specials=1)),
        ("", NO_LENGTH, minimums(5, 1)),
        (STRICT, {}, minimums(20, 1, numeric=3)),
        (STRICT, {"chamilo_passwords_minimum_length": 24}, minimums(24, 1, numeric=3)),
        (LONG, {}, minimums(16, 1, uppercase=3)),
        (LONG, NO_MIX, minimums(16, 0, uppercase=3, specials=1)),
        (LONG, NO_LENGTH, minimums(16, 1, uppercase=3)),
    ],
)
def test_a_stricter_rule_stays_and_without_one_the_built_in_counts(host, site, stored, given, least):
    info = {"site": site}
    plan = planned(host, "passwords", __chamilo_common_info=info, **given)
    assert plan["unknown"] == [RULES]
    known = {**given, "__chamilo_passwords_seen": seen(password_requirements=stored)}
    plan = planned(host, "passwords", __chamilo_common_info=info, **known)
    assert plan["settings"]["settings"][RULES] == {"min": least}


def test_what_discovery_saw_in_this_run_is_not_read_again(host, site):
    held = {"passwords:campus_test": {"values": {RULES: STRICT}}}
    info = {"site": site, "settings_in_force": held}
    plan = planned(host, "passwords", __chamilo_common_info=info, _chamilo_each_once=True)
    assert plan["unknown"] == [] and plan["settings"]["settings"][RULES]["min"]["length"] == 20
    assert planned(host, "passwords", __chamilo_common_info=info)["unknown"] == [RULES]


@pytest.mark.parametrize(
    ("given", "stored", "days"),
    [
        ({}, {}, None),
        ({"chamilo_passwords_rotation_days": 90}, {}, 90),
        ({"chamilo_passwords_rotation_days": "90"}, {}, 90),
        ({"chamilo_level": "consider"}, {}, 365),
        ({"chamilo_level": "consider"}, {"password_rotation_days": "180"}, 180),
        ({"chamilo_level": "consider"}, {"password_rotation_days": "x"}, 365),
        ({"chamilo_passwords_rotation_days": 90, "chamilo_waivers": waived("passwords_expiry")}, {}, None),
    ],
)
def test_passwords_expire_where_that_is_asked_for(host, site, given, stored, days):
    known = {"__chamilo_common_info": {"site": site}, "__chamilo_passwords_seen": seen(**stored), **given}
    assert planned(host, "passwords", **known)["settings"]["settings"].get(DAYS) == days


def test_with_everything_waived_only_what_was_set_is_reset(host, site):
    controls = ("passwords_length", "passwords_mix", "passwords_enforced", "passwords_expiry")
    info: dict[str, Any] = {"site": site}
    given = {"__chamilo_common_info": info, "chamilo_waivers": waived(*controls)}
    plan = planned(host, "passwords", **given)
    assert (plan["settings"], plan["unknown"]) == (None, [])
    info["settings_kept"] = ["passwords:campus_test"]
    assert planned(host, "passwords", **given)["settings"]["state"] == "absent"
