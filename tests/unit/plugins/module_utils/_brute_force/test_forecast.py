# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom bans that are not active yet would have met."""

from __future__ import annotations

import re

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import (
    Account,
    Reader,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force import forecast as brute_force_forecast
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.forecast import Rules, forecast


def login(address, ago, name="teacher", good=False):
    return {"username": name, "user_ip": address, "success": str(int(good)), "moment": str(100_000 - ago)}


def inspect(*rows, rules=None):
    newest_first = sorted(rows, key=lambda row: -int(row["moment"]))
    return forecast(Reader(Account("chamilo"), ask=lambda _sql: newest_first), rules or Rules(attempts=5))


def met(reported):
    """How often each address would have been banned, as the sentences have it."""
    found = re.findall(r"([0-9a-f.:/]+) (?:(once)|(\d+) times) \(\d+ failed", " ".join(reported))
    return {address: int(times or 1) for address, _once, times in found}


def test_whom_it_would_have_met_how_often_and_whether_that_is_a_school():
    school = [login("10.1.2.3", 9000 - turn, f"pupil{turn}") for turn in range(6)]
    school += [login("10.1.2.3", 5000 - turn) for turn in range(5)]
    school += [login("10.1.2.3", 4000 - turn, f"pupil{turn}", good=True) for turn in range(3)]
    attacker = [login("203.0.113.7", 3000 - turn, "admin") for turn in range(200)]
    reported = inspect(*school, *attacker, login("198.51.100.4", 10), login("198.51.100.4", 9, good=True))
    assert met(reported) == {"10.1.2.3": 2, "203.0.113.7": 1}
    output = " ".join(reported)
    assert "would have met 2 addresses, 3 times: 10.1.2.3 2 times (11 failed and 3 good logins, 3 accounts)" in output
    assert "203.0.113.7 once (200 failed and 0 good logins, 0 accounts)" in output
    assert "Several people log in from 10.1.2.3. If that is the gateway of your school" in output
    assert "By Chamilo's record of the last 7 days: 216 logins." in output


def test_friends_are_spared_and_the_same_network_is_one():
    logins = [login("10.0.0.9", 10), login("::ffff:203.0.113.7", 10), login("203.0.113.7", 9)] * 3
    assert met(inspect(*logins, rules=Rules(attempts=3, spared=("10.0.0.0/8", "nonsense")))) == {"203.0.113.7": 1}
    assert met(inspect(*logins, rules=Rules(attempts=3))) == {"10.0.0.9": 1, "203.0.113.7": 1}
    assert met(inspect(*(login(f"2001:db8::{turn}", turn) for turn in range(5)))) == {"2001:db8::/64": 1}
    assert inspect(*[login("no address", 1)] * 9)[0].endswith("would have met no address.")


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([0, 1, 2, 3], 0),
        ([0, 1, 2, 3, 4], 1),
        ([0, 1, 2, 3, 4, 5, 900, 903, 904, 905, 906, 907, 908], 2),
        ([0, 1, 2, 3, 604], 0),
        ([0, 200, 400, 600, 800], 0),
        ([0, 100, 200, 300, 400], 1),
    ],
)
def test_bans_are_counted_as_fail2ban_counts(times, expected):
    assert brute_force_forecast.bans(times, Rules(attempts=5, find_seconds=600)) == expected
