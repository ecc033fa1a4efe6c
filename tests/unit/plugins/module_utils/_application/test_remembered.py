# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import Account, Reader
from ansible_collections.chamilo.hardening.plugins.module_utils._application.remembered import forget

ACCOUNT = Account("campus", "hunter2", "db.test", name="chamilo", authority="/etc/ca.pem")


@pytest.fixture
def database():
    """``tokens``: their types; ``account``: the one that wrote, None if there is none."""

    class Database:
        tokens = [3, 1, 3, 2]
        account = None

        def count(self, sql):
            assert sql == "SELECT COUNT(*) AS kept FROM validation_token WHERE type = 3"
            return [{"kept": str(self.tokens.count(3))}]

        @contextlib.contextmanager
        def transaction(self, account):
            self.account = account

            def ask(sql, params):
                assert sql == "DELETE FROM validation_token WHERE type = %s"
                self.tokens = [each for each in self.tokens if each not in params]
                return []

            yield ask

    return Database()


def run(database, check=False):
    return forget(Reader(ACCOUNT, ask=database.count), check, database.transaction)


def test_stored_logins_go_and_links_in_mails_stay(database):
    assert run(database) == 2
    assert database.tokens == [1, 2]
    assert database.account == ACCOUNT, "with the portal's own account, wherever its database is"


def test_a_check_counts_and_writes_nothing(database):
    assert run(database, check=True) == 2
    assert database.account is None


def test_without_remembered_logins_nothing_is_written(database):
    database.tokens = [1]
    assert run(database) == 0
    assert database.account is None
