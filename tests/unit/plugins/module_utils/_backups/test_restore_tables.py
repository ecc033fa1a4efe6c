# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of a restore, against a server that is not there."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import IO

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application import database
from ansible_collections.chamilo.hardening.plugins.module_utils._backups import restore_tables
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import BackupError, Portal
from tests.unit.plugins.module_utils._backups.conftest import NAMES, Server


def test_a_database_elsewhere_is_asked_over_tls_where_the_portal_does(
    portal: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "AUTHORITY", str(tmp_path / "database.pem"))
    assert len(restore_tables.client_options(portal)) == 3
    (tmp_path / "database.pem").write_text("x")
    assert restore_tables.client_options(portal)[3:] == [
        f"--ssl-ca={tmp_path}/database.pem",
        "--ssl-verify-server-cert",
    ]
    assert restore_tables.client_options(replace(portal, host="localhost"))[0] == "--no-defaults"


def test_tables_change_places_in_one_statement_and_the_rest_is_made_anew(
    portal: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(monkeypatch)
    portal = replace(portal, name="chamilo")
    coming = tmp_path / "coming.sql"
    coming.write_text("CREATE VIEW coming")
    assert restore_tables.change_tables(portal, *NAMES.values(), str(coming)) == []
    swap, drops, made, end = server.messages
    assert "DROP TRIGGER IF EXISTS `chamilo`.`trimmed`" in swap and "DROP VIEW" not in swap
    assert swap.count("RENAME TABLE") == 1 and swap.index("DROP TRIGGER") < swap.index("RENAME TABLE")
    assert "`chamilo`.`user` TO `chamilo_before_x`.`user`, `chamilo_restoring`.`course` TO `chamilo`.`course`" in swap
    assert "DROP VIEW IF EXISTS `chamilo`.`active`" in drops
    assert (made, end) == ("CREATE VIEW coming", "DROP DATABASE IF EXISTS `chamilo_restoring`")
    # Cut off after the tables: only the rest is done.
    server.messages.clear()
    server.tables["chamilo_restoring"] = []
    restore_tables.change_tables(portal, *NAMES.values(), str(coming))
    assert server.messages == [drops, made, end]


@pytest.mark.parametrize("views", [[], ["active", "all"]])
def test_views_are_written_down_without_the_triggers_of_their_tables(
    portal: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, views: list[str]
) -> None:
    done: list[list[str]] = []

    def asked(command: list[str], _source: object, output: IO[bytes]) -> bytes:
        done.append(command)
        output.write(f"{len(done)};".encode())
        return b""

    monkeypatch.setattr(restore_tables, "rows", lambda _portal, _sql: views)
    monkeypatch.setattr(restore_tables.backups_dump, "program", lambda: "dump")
    monkeypatch.setattr(restore_tables, "_asked", asked)
    restore_tables.write_objects(portal, "chamilo", str(tmp_path / "x.sql"), "--force")
    rest = ["--no-create-info", "--add-drop-trigger", "--routines", "--events", "--", "chamilo"]
    expected = [rest, *([["--skip-triggers", "--", "chamilo", *views]] if views else [])]
    assert [command[command.index("--force") + 1 :] for command in done] == expected
    assert (tmp_path / "x.sql").read_text() == ("1;2;" if views else "1;")


def test_what_was_moved_aside_points_no_longer_to_what_is_in_use(
    portal: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(monkeypatch)
    server.pointing = "course\0fk1"
    lines = restore_tables.change_tables(replace(portal, name="chamilo"), *NAMES.values(), str(tmp_path / "none"))
    assert server.messages[-1] == "ALTER TABLE `chamilo_before_x`.`course` DROP FOREIGN KEY `fk1`"
    assert any(line.endswith("were removed: fk1 of course.") for line in lines)


SECRET = b"""\
--------------
CREATE USER chamilo IDENTIFIED BY 'secret'
--------------

ERROR 1819 (HY000) at line 1: Your password does not satisfy the current policy requirements
"""


def test_no_message_contains_the_statement_that_failed(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], **_more: object) -> subprocess.CompletedProcess[bytes]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 1, b"", SECRET)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(BackupError, match="refused: ERROR 1819") as raised:
        restore_tables.execute(portal, "CREATE USER")
    assert "secret" not in str(raised.value)
    assert "--loose-skip-print-query-on-error" in commands[0]


@pytest.fixture
def fresh(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A machine without the application's account; ``asked``: what was asked of its server."""
    there = SimpleNamespace(asked=[], known=[], portal=replace(portal, host="localhost", name="chamilo_2"))
    monkeypatch.setattr(restore_tables, "may_restore", lambda _portal: True)
    monkeypatch.setattr(restore_tables, "rows", lambda _portal, sql: there.asked.append(sql) or there.known)
    monkeypatch.setattr(restore_tables, "execute", lambda _portal, sql: there.asked.append(sql))
    (Path(portal.root) / ".env").write_text("DATABASE_USER=chamilo\nDATABASE_PASSWORD=it\\'s\n")
    return there


def test_the_account_of_the_application_is_made_anew_on_a_fresh_machine(fresh: SimpleNamespace) -> None:
    assert restore_tables.recreate_account(fresh.portal) == ["The database account chamilo was made anew."]
    asked, *made = fresh.asked
    assert asked == "SELECT HEX(User) FROM mysql.user WHERE User = 'chamilo' LIMIT 1"
    for sql, host in zip(made, ("localhost", "127.0.0.1"), strict=True):
        assert sql.startswith(f"CREATE USER 'chamilo'@'{host}' IDENTIFIED BY '")
        assert sql.endswith(f" ON `chamilo\\_2`.* TO 'chamilo'@'{host}'")


@pytest.mark.parametrize("problem", ["", "Access denied."])
def test_an_account_that_is_there_is_left_as_it_is_and_named_where_it_cannot_read(
    fresh: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, problem: str
) -> None:
    def query(_reader: database.Reader, sql: str) -> list[object]:
        if problem:
            raise database.DatabaseError(problem)
        return []

    fresh.known = ["1"]
    monkeypatch.setattr(database.Reader, "query", query)
    lines = restore_tables.recreate_account(fresh.portal)
    assert ["chamilo, which cannot read the portal's tables: Access denied. Where" in line for line in lines] == (
        [True] * bool(problem)
    )
    assert len(fresh.asked) == 1


def test_where_no_account_is_to_be_made_none_is(fresh: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert restore_tables.recreate_account(replace(fresh.portal, host="db.test")) == []
    assert restore_tables.recreate_account(replace(fresh.portal, root=f"{fresh.portal.root}/none")) == []
    env = Path(fresh.portal.root) / ".env"
    for user in ("root", ""):
        env.write_text(f"DATABASE_USER={user}\nDATABASE_PASSWORD=x\n")
        assert restore_tables.recreate_account(fresh.portal) == []
    env.unlink()
    (line,) = restore_tables.recreate_account(fresh.portal)
    assert ".env" in line
    monkeypatch.setattr(restore_tables, "may_restore", lambda _portal: False)
    assert restore_tables.recreate_account(fresh.portal) == []
    assert fresh.asked == []


def test_tables_come_back_in_one_statement(portal: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server does all of it or nothing, whenever it is killed; what comes next waits for it."""
    server, portal = Server(monkeypatch), replace(portal, name="chamilo")
    assert restore_tables.moved(portal, NAMES) is False
    (locked,) = server.messages
    server.tables |= {"chamilo_before_x": ["course"], "chamilo_restoring": []}
    assert restore_tables.moved(portal, NAMES) is True
    (going := tmp_path / "going.sql").write_text("CREATE VIEW going")
    restore_tables.return_tables(portal, NAMES, str(going), True)
    (swap,) = [message for message in server.messages if "RENAME TABLE" in message]
    assert swap.startswith(locked) and "GET_LOCK" in locked and swap.count("RENAME TABLE") == 1
    assert "`chamilo`.`user` TO `chamilo_abandoned_x`.`user`, `chamilo_before_x`.`course` TO `chamilo`.`course`" in swap
    assert "CREATE VIEW going" in server.messages
    # Had they not changed places, triggers alone were gone.
    server.messages.clear()
    restore_tables.return_tables(portal, NAMES, str(going), False)
    assert server.messages[0] == "CREATE VIEW going" and "RENAME" not in " ".join(server.messages)
