# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps in which the application is moved, against a server that knows accounts and rights and nothing else.

tests/hosts/test_database.py has a real one.
"""

from __future__ import annotations

import json
import socket

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import locks
from ansible_collections.chamilo.hardening.plugins.module_utils._common.locks import Busy
from ansible_collections.chamilo.hardening.plugins.module_utils._database import accounts
from ansible_collections.chamilo.hardening.plugins.module_utils._database.server import AccountError


def test_a_prediction_writes_nothing(sloppy):
    before = json.dumps(sloppy.server.users)
    result = sloppy.apply(check=True, split=True, backup=True)
    assert result.changed and json.dumps(sloppy.server.users) == before and sloppy.user == "chamilo"
    assert not (sloppy.directory / "state").exists() and sloppy.server.statements == []


@pytest.mark.parametrize(
    ("host_of_client", "allowed", "refused"),
    [("10.0.0.9:4711", [], True), ("10.0.0.9:4711", ["10.0.0.0/24"], False), ("localhost", [], False),
     ("10.0.0.9:4711", None, False),  # none is declared
     ("pc7.school.test:4711", ["10.0.0.0/24"], True), ("127.0.0.1:4711", [], False)],
)  # fmt: skip
def test_an_undeclared_client_ends_the_run_before_anything_is_changed(sloppy, host_of_client, allowed, refused):
    sloppy.server.connected = [{"USER": "report", "HOST": host_of_client, "DB": "chamilo"}]
    if refused:
        known = host_of_client.split(":")[0]
        with pytest.raises(AccountError, match=f"chamilo_database_clients does not name: report from {known}\\. "):
            sloppy.apply(clients=allowed)
        assert sloppy.user == "chamilo" and sloppy.server.statements == []
    else:
        sloppy.apply(clients=allowed)
        assert sloppy.user == "chamilo_campus"


@pytest.mark.parametrize(
    ("there", "listen", "refused"),
    [
        ("192.0.2.5", ["127.0.0.1"], True),
        ("192.0.2.5", ["127.0.0.1", "192.0.2.5"], False),
        ("192.0.2.5", ["0.0.0.0"], False),
        ("mariadb.test", ["127.0.0.1"], True),
        ("::1", ["127.0.0.1"], True),
        ("127.0.0.1", ["192.0.2.5"], True),
    ],
)
def test_chamilo_itself_is_not_cut_off(sloppy, monkeypatch, there, listen, refused):
    names = {"mariadb.test": "127.0.1.1", "here.test": "127.0.0.1"}
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, port: [(0, 0, 0, "", (names.get(host, host), 0))])
    sloppy.own = ("192.0.2.5",)
    if refused:
        with pytest.raises(AccountError, match=f"reaches the database at {there} .DATABASE_HOST.*No account was"):
            sloppy.apply(there=there, listen=listen)
        assert sloppy.user == "chamilo" and sloppy.server.statements == []
    else:
        assert sloppy.apply(there=there, listen=listen).server_here
        assert sloppy.user == "chamilo_campus"


def test_a_network_that_is_none_is_named(sloppy):
    with pytest.raises(AccountError, match="chamilo_database_clients: .office."):
        sloppy.apply(clients=["office"])


@pytest.mark.parametrize("check", [True, False])
def test_what_was_changed_on_another_host_of_the_inventory_is_undone_by_hand(host, check):
    host.server.add("'chamilo'@'%'", "old-password-1", "ALL PRIVILEGES ON *.*")
    host.apply()
    before, known = json.dumps(host.server.users), host.memory()
    with pytest.raises(AccountError, match="database is on db.test.*no account was changed.*by hand.*README"):
        host.apply(check, state="absent", there="db.test", elsewhere=True)
    assert json.dumps(host.server.users) == before and host.memory() == known


def test_where_another_host_has_the_database_its_administrator_is_asked_first(host):
    host.server.add("'chamilo'@'%'", "old-password-1", "ALL PRIVILEGES ON *.*")
    result = host.apply(there="192.0.2.5", elsewhere=True)
    assert result.needs_admin and not result.changed and host.user == "chamilo"
    with pytest.raises(AccountError, match="nothing here may change accounts there"):
        host.apply(there="192.0.2.5")


def test_where_no_account_is_to_be_changed_none_is(sloppy):
    result = sloppy.apply(application=False)
    assert not result.changed and result.server_here
    assert sloppy.server.statements == [] and not (sloppy.directory / "state/database-campus.json").exists()


def test_a_check_restores_nothing_and_reports_what_a_run_would(sloppy):
    sloppy.apply()
    before, known = json.dumps(sloppy.server.users), sloppy.memory()
    result = sloppy.apply(check=True, state="absent")
    assert (result.before, result.after) == (
        ["chamilo@%: no rights\n"],
        ["chamilo@%: GRANT ALL PRIVILEGES ON *.* TO 'chamilo'@'%' WITH GRANT OPTION\n"],
    )
    assert json.dumps(sloppy.server.users) == before and sloppy.memory() == known


def test_one_run_at_a_time_changes_accounts(sloppy, monkeypatch):
    monkeypatch.setattr(accounts, "LOCK_SECONDS", 0.0)
    (sloppy.directory / "state").mkdir(0o700)
    busy = AccountError("busy")
    with locks.lock(str(sloppy.directory / "state/database.lock"), "database", 0.0, lambda _holder: busy):
        with pytest.raises(Busy, match="^Another run changes the accounts of the database. No account was changed.$"):
            sloppy.apply()
        assert sloppy.user == "chamilo" and sloppy.apply(check=True).changed
    assert sloppy.apply().changed


def test_only_the_accounts_that_are_desired_are_made(sloppy):
    assert sloppy.apply().accounts == {"application": "chamilo_campus@localhost"}
    made = sloppy.apply(backup=True).accounts
    assert made["backup"] == "chamilo_campus_backup@localhost"
    assert set(sloppy.apply(application=False, backup=True).accounts) == {"backup"}
