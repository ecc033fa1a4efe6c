# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What discovery is asked for before any section changes something."""

from __future__ import annotations

import pytest

from tests.tools.plans import planned, variables

REPORT = "Content-Security-Policy-Report-Only"


@pytest.mark.parametrize(
    ("due", "given", "headers"),
    [
        (["headers"], {}, ["X-Frame-Options", REPORT]),
        (["headers"], {"_chamilo_common_takes_over": True}, ["Strict-Transport-Security"]),
        ([], {"_chamilo_common_takes_over": True}, ["Strict-Transport-Security"]),
        ([], {}, []),
    ],
)
def test_discovery_looks_who_else_sends_what_is_ours_to_send(host, due, given, headers):
    known = {"_chamilo_common_takes_over": False, **given}
    plan = planned(host, "discovery", **variables(host, "headers", _chamilo_common_due=due, **known))
    assert plan["headers"][-len(headers) :] == headers if headers else plan["headers"] == []
    assert ("X-Frame-Options" in plan["headers"]) is (due == ["headers"]) and "X-Powered-By" not in plan["headers"]
