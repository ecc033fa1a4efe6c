# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What bin/demo lets pass at its end, and what it does not."""

from __future__ import annotations

import pytest

from tests.demo import apart


def control(name, level="must", status="pass"):
    return {"id": name, "level": level, "status": status}


FINE = [
    control("headers_csp"),
    control("updates_announcements", "people", "people"),
    control("passwords_education", "people", "people"),
    control("uploads_antivirus", "consider", "advice"),
    control("https_renewal", "must", "not_applicable"),
]


def test_what_is_not_green_is_named():
    named, red = apart(FINE)
    assert red == []
    assert named.splitlines() == [
        "    for a person to do: updates_announcements, passwords_education",
        "    not asked for (chamilo_level: consider): uploads_antivirus",
        "    what a throw-away host cannot have: https_renewal",
    ]
    assert apart(FINE[:1]) == ("", [])


@pytest.mark.parametrize(
    "one",
    [
        control("monitoring_compromise", "should", "fail"),
        control("updates_version", "must", "fail"),
        control("permissions_web_user", "must", "not_assessed"),
        control("https_hsts", "must", "waived"),
        control("https_hsts", "must", "people"),
        control("uploads_antivirus", "consider", "fail"),
    ],
)
def test_anything_else_fails(one):
    assert apart([*FINE, one]) == (apart(FINE)[0], [one])
