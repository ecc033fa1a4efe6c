# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chamilo's own record of logins: each password that was tried, for which account and from which address.

Visitors choose the names. Its times have no zone, so they are compared with each other alone; its numbers only grow.
"""

from __future__ import annotations

from dataclasses import dataclass

from .._common.networks import counted, normal
from .database import Reader, as_number

MOST = 20_000  # rows that are read
_NEWEST = "SELECT COALESCE(MAX(id), 0) AS id FROM track_e_login_record"
_SINCE = (
    "SELECT username, user_ip, COUNT(*) AS failures, username IN (SELECT username FROM user) AS known"
    f" FROM track_e_login_record WHERE id > %s AND success = 0 GROUP BY username, user_ip LIMIT {MOST}"
)
_DAYS = (
    "SELECT username, user_ip, success, UNIX_TIMESTAMP(login_date) AS moment FROM track_e_login_record"
    f" WHERE login_date > NOW() - INTERVAL %s DAY ORDER BY id DESC LIMIT {MOST}"
)


@dataclass(frozen=True)
class Guesses:
    """Failed logins of one account from one address."""

    name: str
    network: str  # of IPv6 the /64
    count: int
    known: bool  # there is such an account


@dataclass(frozen=True)
class Login:
    name: str
    address: str
    good: bool
    moment: int  # seconds


def newest(reader: Reader) -> int:
    """The number of the last login."""
    return as_number(reader.query(_NEWEST)[0]["id"])


def failed_after(reader: Reader, number: int) -> list[Guesses]:
    """What failed after the login of that number."""
    return [
        Guesses(
            row["username"] or "",
            counted(row["user_ip"] or ""),
            as_number(row["failures"]),
            row["known"] == "1",
        )
        for row in reader.query(_SINCE, (number,))
    ]


def of_days(reader: Reader, days: int) -> list[Login]:
    """The logins of the last days, in their order."""
    rows = reader.query(_DAYS, (days,))
    return [
        Login(row["username"] or "", normal(row["user_ip"] or ""), row["success"] == "1", as_number(row["moment"]))
        for row in reversed(rows)
    ]
