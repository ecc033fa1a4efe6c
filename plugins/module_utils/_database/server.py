# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The accounts of a database server: as its administrator changes them, and as they find themselves."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from .._application.database import Account, DatabaseError, Query, Reader
from .._common.errors import HardeningError
from . import grants as database_grants
from .grants import Grant, Who

# Accounts of the server itself or of its administrators: never changed, whatever uses them.
PEOPLE = ("root", "admin", "administrator", "dba", "mysql", "mariadb.sys", "debian-sys-maint", "phpmyadmin")


class AccountError(HardeningError):
    """The accounts cannot be brought to the desired state. The message states why, and what was left."""


@dataclass(frozen=True)
class Seen:
    """An account as it finds itself when it logs in."""

    who: Who  # whom the server takes it for
    source: str  # from where, as the server sees it
    grants: tuple[Grant, ...]


class Server:
    """The accounts of a database server, as its administrator changes them."""

    def __init__(self, ask: Query) -> None:
        self._ask = ask

    def run(self, statement: str) -> list[dict[str, Any]]:
        # As a value: no character of a name can be taken for the place of another value.
        return list(self._ask("EXECUTE IMMEDIATE %s", (statement,)))

    def hosts(self, user: str) -> list[str]:
        return [str(row["Host"]) for row in self._ask("SELECT Host FROM mysql.user WHERE User = %s", (user,))]

    def grants(self, who: Who) -> list[Grant]:
        return database_grants.parse(str(next(iter(row.values()))) for row in self.run(f"SHOW GRANTS FOR {who.sql}"))

    def privileges(self) -> set[str]:
        return {str(row["Privilege"]).upper() for row in self.run("SHOW PRIVILEGES")}

    def password(self, who: Who, hashed: str, tls: bool = False) -> None:
        verb = "ALTER" if who.host in self.hosts(who.user) else "CREATE"
        require = "SSL" if tls else "NONE"
        # By its hash: the password is in none of the server's logs.
        self.run(f"{verb} USER {who.sql} IDENTIFIED VIA mysql_native_password USING '{hashed}' REQUIRE {require}")

    def give(self, who: Who, expected: Collection[str], where: str) -> list[str]:
        """Grant exactly the desired rights. Returns the statements."""
        statements = database_grants.change(who, self.grants(who), expected, where, self.privileges())
        for statement in statements:
            self.run(statement)
        current = self.grants(who)
        if not database_grants.is_right(current, expected, where):
            raise AccountError(f"{who} could not be given exactly {', '.join(expected)}: it has {described(current)}.")
        return statements

    def drop(self, user: str, hosts: Collection[str]) -> None:
        for host in set(self.hosts(user)) & set(hosts):
            self.run(f"DROP USER {Who(user, host).sql}")

    def lock(self, who: Who, on: bool) -> None:
        self.run(f"ALTER USER {who.sql} ACCOUNT {'LOCK' if on else 'UNLOCK'}")

    def is_locked(self, who: Who) -> bool:
        (row,) = self.run(f"SHOW CREATE USER {who.sql}")
        return re.search(r" ACCOUNT LOCK(?: PASSWORD EXPIRE[^'`]*)?$", str(next(iter(row.values())))) is not None

    def definers(self, database: str) -> set[str]:
        """The accounts with whose rights triggers, events, routines and views of a database may run."""
        kinds = ("TRIGGER", "EVENT", "ROUTINE", "TABLE")
        tables = ("TRIGGERS", "EVENTS", "ROUTINES", "VIEWS")
        parts = (f"SELECT DEFINER FROM information_schema.{t} WHERE {k}_SCHEMA = %s" for k, t in zip(kinds, tables))
        return {str(row["DEFINER"]) for row in self._ask(" UNION ".join(parts), (database,) * len(kinds))}

    def clients(self) -> list[dict[str, str]]:
        """Who is connected: user, host, database."""
        sql = "SELECT USER, HOST, IFNULL(DB, '') AS DB FROM information_schema.PROCESSLIST"
        background = "('system user', 'unauthenticated user', 'event_scheduler')"
        rows = self._ask(f"{sql} WHERE USER NOT IN {background} AND ID <> CONNECTION_ID()", ())
        return [{key: str(value or "") for key, value in row.items()} for row in rows]


def see(account: Account) -> Seen:
    reader = Reader(account)
    (row,) = reader.query("SELECT CURRENT_USER() AS who, USER() AS came")
    user, _at, host = str(row["who"]).rpartition("@")
    # What PUBLIC may do is not the account's own, and cannot be revoked here.
    lines = [str(next(iter(one.values()))) for one in reader.query("SHOW GRANTS")]
    lines = [line for line in lines if not re.search(r" TO PUBLIC(?: WITH GRANT OPTION)?$", line)]
    return Seen(Who(user, host), str(row["came"]).rpartition("@")[2], tuple(database_grants.parse(lines)))


def try_login(account: Account) -> Seen | None:
    """None where it cannot log in."""
    try:
        return see(account)
    except DatabaseError:
        return None


def set_rights(server: Server, who: Who, grants: Sequence[str]) -> None:
    """Exactly these, given as statements."""
    for statement in grants:
        server.run(statement)
    for one in server.grants(who):
        if one.give(who) not in grants:
            server.run(one.take(who))
    for statement in grants:
        server.run(statement)


def described(grants: Collection[Grant]) -> str:
    return "; ".join(map(str, grants)) or "no rights"


def sentence(problem: BaseException) -> str:
    text = str(problem) or type(problem).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."
