# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The accounts for upgrades and backups."""

from __future__ import annotations

import os

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import Account
from ansible_collections.chamilo.hardening.plugins.module_utils._database import context
from ansible_collections.chamilo.hardening.plugins.module_utils._database.extra_accounts import (
    ExtraAccounts,
    option_file,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._database.server import AccountError

EIGHT = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX"
NEW = "'chamilo_campus'@'localhost'"


def test_split_and_backup_have_passwords_that_root_alone_reads(sloppy):
    sloppy.apply(split=True, backup=True)
    assert sloppy.server.rights(NEW) == ["SELECT, INSERT, UPDATE, DELETE ON `chamilo`.*"]
    for role, rights in (("upgrade", EIGHT), ("backup", "SELECT, LOCK TABLES, SHOW VIEW, TRIGGER, EVENT")):
        path = sloppy.directory / f"etc/{role}-campus.cnf"
        assert os.stat(path).st_mode & 0o777 == 0o600
        found = option_file(path.read_text())
        assert sloppy.server.login(Account(found["user"], found["password"])) == f"'chamilo_campus_{role}'@'localhost'"
        assert sloppy.server.rights(f"'chamilo_campus_{role}'@'localhost'") == [f"{rights} ON `chamilo`.*"]
    assert not sloppy.apply(split=True, backup=True).changed
    sloppy.apply(backup=True)
    assert not (sloppy.directory / "etc/upgrade-campus.cnf").exists()
    assert "'chamilo_campus_upgrade'@'localhost'" not in sloppy.server.users
    assert sloppy.memory()["accounts"] == {"backup": ["chamilo_campus_backup", "localhost"]}


def test_a_move_that_fails_leaves_no_account_for_backups(sloppy):
    sloppy.broken = lambda: sloppy.user != "chamilo"
    before = sorted(sloppy.server.users)
    with pytest.raises(AccountError, match="Everything is as it was before"):
        sloppy.apply(backup=True)
    assert sorted(sloppy.server.users) == before


def test_where_accounts_cannot_be_made_backups_get_none_unless_only_they_are_desired(sloppy, monkeypatch):
    sloppy.apply()
    monkeypatch.setattr(context, "SOCKET", "/nowhere")
    assert not sloppy.apply(backup=True).changed
    with pytest.raises(AccountError, match="cannot be reached"):
        sloppy.apply(application=False, backup=True)


def test_an_unmanaged_account_of_that_name_is_not_taken(sloppy):
    sloppy.server.add("'chamilo_campus_backup'@'localhost'", "theirs", "SELECT ON `shop`.*")
    sloppy.server.add(NEW, "theirs", "SELECT ON `shop`.*")
    with pytest.raises(AccountError, match="did not make"):
        sloppy.apply(backup=True)
    sloppy.apply()
    assert sloppy.user.startswith("chamilo_campus_") and sloppy.server.rights(NEW) == ["SELECT ON `shop`.*"]


@pytest.mark.parametrize(
    ("account", "there"),
    [
        (Account("u", "p", socket="/run/x"), {"socket": "/run/x"}),
        (Account("u", "p", "db.test", 3307), {"host": "db.test", "port": "3307"}),
        (
            Account("u", "p", "db.test", authority="/etc/ca.pem"),
            {"host": "db.test", "port": "3306", "ssl-ca": "/etc/ca.pem"},
        ),
    ],
)
def test_what_is_written_into_an_option_file_is_read_from_it(account, there):
    text = ExtraAccounts._options(None, account)
    assert option_file(text) == {"user": "u", "password": "p", **there}
    assert ("\nssl-verify-server-cert\n" in text) == bool(account.authority)


BACKUP = "'chamilo_campus_backup'@'localhost'"


def test_an_account_of_ours_whose_rights_were_changed_gets_them_again_and_keeps_its_password(sloppy):
    sloppy.apply(backup=True)
    before, text = sloppy.server.users[BACKUP]["hash"], (sloppy.directory / "etc/backup-campus.cnf").read_text()
    sloppy.server.users[BACKUP]["rights"] = ["SELECT ON `shop`.*"]
    sloppy.server.statements.clear()
    assert sloppy.apply(backup=True).changed
    assert sloppy.server.rights(BACKUP) == ["SELECT, LOCK TABLES, SHOW VIEW, TRIGGER, EVENT ON `chamilo`.*"]
    assert sloppy.server.users[BACKUP]["hash"] == before
    assert not any("IDENTIFIED" in statement for statement in sloppy.server.statements)
    assert (sloppy.directory / "etc/backup-campus.cnf").read_text() == text


@pytest.mark.parametrize("there", [True, False])
def test_an_account_that_could_not_be_made_is_dropped_unless_it_was_there(sloppy, there):
    path = sloppy.directory / "etc/backup-campus.cnf"
    if there:
        sloppy.apply(backup=True)
        path.write_text(path.read_text().replace('socket="', 'socket="/another'))

    def step(name):
        if name == "backup granted":
            raise OSError("no further")

    with pytest.raises(OSError, match="no further"):
        sloppy.apply(backup=True, step=step)
    assert (BACKUP in sloppy.server.users) is there
    assert path.exists() is there
