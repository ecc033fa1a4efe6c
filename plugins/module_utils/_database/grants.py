# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an account of MariaDB may do: read from SHOW GRANTS, compared with what it should, and written as statements."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

DATA = ("SELECT", "INSERT", "UPDATE", "DELETE")
GUIDE = (*DATA, "CREATE", "ALTER", "DROP", "INDEX")
BACKUP = ("SELECT", "LOCK TABLES", "SHOW VIEW", "TRIGGER", "EVENT")
# What the server calls ALL PRIVILEGES on one database, where it knows them.
_OF_DATABASE = frozenset(
    (
        *GUIDE,
        "ALTER ROUTINE",
        "CREATE ROUTINE",
        "CREATE TEMPORARY TABLES",
        "CREATE VIEW",
        "DELETE HISTORY",
        "EVENT",
        "EXECUTE",
        "LOCK TABLES",
        "REFERENCES",
        "SHOW CREATE ROUTINE",
        "SHOW VIEW",
        "TRIGGER",
    )
)
_NAME = r"`(?:[^`]|``)*`|\*"
_GRANT = re.compile(
    rf"GRANT (?P<what>.+?) ON (?P<where>(?:(?:FUNCTION|PROCEDURE|PACKAGE|PACKAGE BODY) )?(?:{_NAME})(?:\.(?:{_NAME}))?)"
    r" TO `.*?(?: WITH(?P<option> GRANT OPTION)?(?: MAX_\w+ \S+)*)?$",
    re.DOTALL,
)
_ROLE = re.compile(r"GRANT (?P<role>`(?:[^`]|``)*`|'[^']*') TO ")


@dataclass(frozen=True, order=True)
class Who:
    """An account as the server knows it."""

    user: str
    host: str

    def __str__(self) -> str:
        return f"{self.user}@{self.host}"

    @property
    def sql(self) -> str:
        return f"{_text(self.user)}@{_text(self.host)}"


@dataclass(frozen=True)
class Grant:
    """One line of SHOW GRANTS. ``where`` is what stands behind ON; a role has none."""

    what: tuple[str, ...]
    where: str = ""
    passes_on: bool = False

    def give(self, who: Who) -> str:
        option = " WITH GRANT OPTION" if self.passes_on else ""
        return f"GRANT {', '.join(self.what)}{f' ON {self.where}' if self.where else ''} TO {who.sql}{option}"

    def take(self, who: Who) -> str:
        return f"REVOKE {', '.join(self.what)}{f' ON {self.where}' if self.where else ''} FROM {who.sql}"

    def __str__(self) -> str:
        option = ", which it may pass on" if self.passes_on else ""
        return (
            f"{', '.join(self.what)} on {self.where.replace('`', '')}{option}" if self.where else f"role {self.what[0]}"
        )


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def place(database: str) -> str:
    """A database in a GRANT, where ``_`` and ``%`` would stand for other names too."""
    escaped = re.sub(r"([\\_%])", r"\\\1", database)
    return f"`{escaped.replace('`', '``')}`.*"


def hashed(password: str) -> str:
    """What the server stores of a password, so that the password itself is in no statement and no log of it."""
    once = hashlib.sha1(password.encode()).digest()  # the server's own way; the password is long and random
    return f"*{hashlib.sha1(once).hexdigest().upper()}"


def parse(lines: Iterable[str]) -> list[Grant]:
    """The rights in the lines of SHOW GRANTS. That an account may log in (USAGE) is none."""
    found = []
    for line in lines:
        right = _GRANT.match(line)
        role = _ROLE.match(line)
        if right:
            what = tuple(word.strip() for word in re.split(r",(?![^(]*\))", right["what"]))
            if what != ("USAGE",) or right["option"]:
                found.append(Grant(what, right["where"], bool(right["option"])))
        elif role:
            found.append(Grant((role["role"],)))
        elif not line.startswith("SET DEFAULT ROLE"):
            found.append(Grant((line.partition(" TO ")[0],), "something unknown"))
    return found


def is_right(current: Iterable[Grant], expected: Collection[str], where: str) -> bool:
    """Exactly the desired rights, at one place and nowhere else."""
    return [(set(one.what), one.where, one.passes_on) for one in current] == [(set(expected), where, False)]


def is_global(one: Grant) -> bool:
    return one.where == "*.*"


def database_of(one: Grant) -> str:
    """The name of the database (or pattern of names) that a right is about; empty where it is about all or none."""
    found = re.search(r"`((?:[^`]|``)*)`", one.where)
    return re.sub(r"\\([\\_%])", r"\1", found[1].replace("``", "`")) if found and one.where else ""


def change(
    who: Who, current: Iterable[Grant], expected: Collection[str], where: str, known: Collection[str]
) -> list[str]:
    """The statements that grant exactly the desired rights, without a moment in which one of those is missing.

    ``known``: the privileges this server knows.
    """
    here = {word for one in current if one.where == where for word in _spelled(one.what, known)}
    missing = [word for word in expected if word not in here]
    statements = [Grant(tuple(missing), where).give(who)] if missing else []
    for one in current:
        if one.where == where:
            surplus = sorted(_spelled(one.what, known) - set(expected))
            statements += [Grant(tuple(surplus), where).take(who)] if surplus else []
        elif one.what != ("USAGE",):
            statements.append(one.take(who))
        if one.passes_on:
            statements.append(Grant(("GRANT OPTION",), one.where).take(who))
    return statements


def _spelled(what: Iterable[str], known: Collection[str]) -> set[str]:
    return set(_OF_DATABASE & set(known)) if "ALL PRIVILEGES" in what else set(what)
