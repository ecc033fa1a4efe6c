# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an account finds when it logs in."""

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._database.grants import Who
from ansible_collections.chamilo.hardening.plugins.module_utils._database.server import AccountError, Server, set_rights

EIGHT = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX"


def test_rights_of_public_are_not_the_account_s_own(host, monkeypatch):
    host.server.add("'chamilo'@'%'", "old-password-1", f"{EIGHT} ON `chamilo`.*")
    lines = host.server.lines
    every_address = [{"line": "GRANT SELECT ON `help`.* TO PUBLIC"}]
    monkeypatch.setattr(host.server, "lines", lambda name: [*lines(name), *every_address])
    assert not host.apply().changed


@pytest.mark.parametrize(
    ("more", "locked"),
    [
        (" ACCOUNT LOCK", True),
        (" ACCOUNT LOCK PASSWORD EXPIRE INTERVAL 90 DAY", True),
        ("", False),
        (" PASSWORD EXPIRE", False),
        (" COMMENT ' ACCOUNT LOCK'", False),
    ],
)
def test_a_locked_account_is_known_by_its_statement(more, locked):
    asked = []
    server = Server(lambda sql, params: asked.append((sql, params)) or [{"x": f"CREATE USER `a`@`b`{more}"}])
    assert server.is_locked(Who("a", "b")) is locked
    assert asked == [("EXECUTE IMMEDIATE %s", ("SHOW CREATE USER 'a'@'b'",))]


def test_an_account_is_made_once_and_dropped_where_it_is_asked_for():
    statements = []

    def ask(sql, params):
        if sql.startswith("SELECT Host"):
            return [{"Host": "localhost"}, {"Host": "%"}]
        statements.append(params[0])
        return []

    server = Server(ask)
    server.password(Who("a", "%"), "*1")
    server.password(Who("a", "db.test"), "*2", tls=True)
    server.drop("a", ["localhost", "gone.test"])
    by = "IDENTIFIED VIA mysql_native_password USING"
    assert statements == [
        f"ALTER USER 'a'@'%' {by} '*1' REQUIRE NONE",
        f"CREATE USER 'a'@'db.test' {by} '*2' REQUIRE SSL",
        "DROP USER 'a'@'localhost'",
    ]


def test_rights_that_cannot_be_given_exactly_are_reported():
    """As where a role gives more."""

    def ask(_sql, params=()):
        if params[0].startswith("SHOW GRANTS"):
            return [{"line": "GRANT SELECT, FILE ON *.* TO `a`@`b`"}]
        return []

    words = r"^a@b could not be given exactly SELECT, INSERT: it has .*FILE.*\.$"
    with pytest.raises(AccountError, match=words):
        Server(ask).give(Who("a", "b"), ["SELECT", "INSERT"], "`chamilo`.*")


def test_rights_are_set_exactly_whatever_there_was(host):
    host.server.add("'a'@'b'", "p", "FILE ON *.*", "SELECT, DROP ON `chamilo`.*")
    desired = ["GRANT SELECT, INSERT ON `chamilo`.* TO 'a'@'b'"]
    set_rights(Server(host.server.ask), Who("a", "b"), desired)
    assert host.server.rights("'a'@'b'") == ["SELECT, INSERT ON `chamilo`.*"]
