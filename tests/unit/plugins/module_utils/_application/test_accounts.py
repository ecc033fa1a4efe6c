# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of accounts."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application import accounts
from ansible_collections.chamilo.hardening.plugins.module_utils._application.accounts import (
    AccountsError,
    review,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import (
    Account,
    DatabaseError,
    Reader,
)


@pytest.fixture
def database():
    """``found``: the names that a part of a question leads to; ``asked``: the questions."""
    database = SimpleNamespace(found={}, asked=[], broken=False)

    def ask(sql):
        database.asked.append(sql)
        if database.broken:
            raise DatabaseError("It is gone.")
        names = next((names for part, names in database.found.items() if part in sql), [])
        if "COUNT(*) AS number" in sql:
            return [{"number": str(len(names))}]
        return [{"username": name} for name in names[: accounts.MOST]]

    database.reader = Reader(Account("chamilo"), ask=ask)
    return database


def test_each_kind_is_counted_and_named(database):
    database.found = {
        "last_login <": ["old"],
        "last_login IS NULL": [f"never{number}" for number in range(60)],
        "mfa_enabled": ["admin"],
        "ORDER BY username": ["admin", "new\x1b"],
    }
    seen = review(database.reader, 90, ["admin"])
    reported = seen.description()
    assert (
        "Not used for 90 days: 1 (old)" in reported
        and "never used: 60 (never0," in reported
        and "and 10 more" in reported
    )
    assert "Locked by guessed passwords: none" in reported and "without a second factor: 1 (admin)" in reported
    assert seen.unrelated == ["new\\x1b"] and reported.startswith("UNEXPECTED ADMINISTRATORS: new\\x1b")


@pytest.mark.parametrize(
    ("tables", "counts"),
    [(["fos_group", "fos_user_user_group"], True), (["fos_group"], False), ([], False)],
)
def test_a_member_of_a_group_of_administrators_is_one(tables, counts):
    """Old releases keep groups with roles in a table of their own."""
    asked = []

    def ask(sql):
        asked.append(sql)
        return (
            [{"Tables_in_chamilo (fos\\_%)": name} for name in tables]
            if "SHOW TABLES" in sql
            else [{"number": "0", "username": "x"}]
        )

    review(Reader(Account("chamilo"), ask=ask), 90, [])
    of_administrators = [sql for sql in asked if "ROLE_" in sql]
    assert len(of_administrators) == 2
    assert all(("FROM fos_user_user_group JOIN fos_group" in sql) is counts for sql in of_administrators)


def test_a_database_that_is_away_is_an_error(database):
    database.broken = True
    with pytest.raises(AccountsError, match=r"could not be read. It is gone"):
        review(database.reader, 90, [])
