# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A portal's accounts for a review by a person: unused ones, and unexpected ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from .._common.errors import HardeningError
from .database import DatabaseError, Reader, Row, as_number

MOST = 50  # names of each kind that are reported

_PEOPLE = "`user` WHERE status NOT IN (6, 99) AND active <> -2"
_ADMIN = "(roles LIKE '%ROLE_ADMIN%' OR roles LIKE '%ROLE_GLOBAL_ADMIN%')"
# Which other roles make an administrator depends on the application's role hierarchy: some releases and the
# permissions page know ROLE_SUPER_ADMIN as well. A person judges each.
_ADMINISTERS = "roles REGEXP 'ROLE_([A-Z]+_)*ADMIN'"
# The application adds the roles of these groups to those of their members. Its pages for accounts show none of them.
_GROUPS = ("fos_group", "fos_user_user_group")
# A locked account stays locked until an administrator unlocks it, however long ago it was attacked.
LOCKED_DAYS = 400
_FAILURES = (
    f"SELECT username FROM track_e_login_record WHERE success = 0 AND login_date > NOW() - INTERVAL {LOCKED_DAYS} DAY"
)
LOCKED = f"active <= 0 AND username IN ({_FAILURES} GROUP BY username HAVING COUNT(*) > 2)"


class AccountsError(HardeningError):
    """The accounts cannot be read; the message states why."""


@dataclass
class Kind:
    """Accounts of one kind: how many, and the first names."""

    title: str
    count: int = 0
    names: list[str] = field(default_factory=list)

    def description(self) -> str:
        more = f" and {self.count - len(self.names)} more" if self.count > len(self.names) else ""
        return f"{self.title}: {self.count or 'none'}" + (f" ({', '.join(self.names)}{more})" if self.count else "")


@dataclass
class Review:
    """The accounts to review, among them administrators that were neither declared nor present before."""

    every_address: int
    kinds: list[Kind]
    administrators: list[str]
    unrelated: list[str]

    def description(self) -> str:
        lines = [f"{self.every_address} accounts.", *(kind.description() for kind in self.kinds)]
        lines.append(f"Administrators: {', '.join(self.administrators) or 'none'}")
        if self.unrelated:
            lines.insert(0, f"UNEXPECTED ADMINISTRATORS: {', '.join(self.unrelated)}\n")
        return "\n".join(lines)


def administrators(reader: Reader, late: int) -> list[Row]:
    """Username, status and whether it is active; ``late`` is 1 for those made in the last ``late`` days."""
    return reader.query(
        "SELECT username, status, active, created_at > NOW() - INTERVAL %s DAY AS late FROM `user`"
        f" WHERE {administers(reader)} AND active <> -2 ORDER BY id",
        (late,),
    )


def administers(reader: Reader) -> str:
    """The condition for accounts of `user` with an administrator's role, of their own or of a group."""
    there = {next(iter(row.values())) for row in reader.query("SHOW TABLES LIKE 'fos\\_%'")}
    if not there.issuperset(_GROUPS):
        return _ADMINISTERS
    groups, members = _GROUPS
    return (
        f"({_ADMINISTERS} OR `user`.id IN (SELECT {members}.user_id FROM {members} JOIN {groups} ON {groups}.id ="
        f" {members}.group_id WHERE {groups}.{_ADMINISTERS}))"
    )


def review(reader: Reader, days: int, expected: Collection[str]) -> Review:
    """Review the accounts. ``expected``: names of administrators that are known."""
    people, since = _PEOPLE, f"INTERVAL {int(days)} DAY"
    try:
        admin = administers(reader)
    except DatabaseError as problem:
        raise AccountsError(f"The accounts could not be read. {problem}") from problem
    twice = f"SELECT email FROM {people} AND email <> '' GROUP BY email HAVING COUNT(*) > 1"
    kinds = (
        (f"Not used for {days} days", f"{people} AND active = 1 AND last_login < NOW() - {since}"),
        (
            f"Made over {days} days ago and never used",
            f"{people} AND active = 1 AND last_login IS NULL AND created_at < NOW() - {since}",
        ),
        ("With a mail address that another account has too", f"{people} AND email IN ({twice})"),
        ("Locked by guessed passwords", f"{people} AND {LOCKED}"),
        ("Administrators without a second factor", f"{people} AND active = 1 AND {admin} AND mfa_enabled = 0"),
    )
    try:
        found = [_kind(reader, title, source) for title, source in kinds]
        every_address = reader.query(f"SELECT COUNT(*) AS number FROM {people}")[0]["number"]
        admins = _names(reader.query(f"SELECT username FROM {people} AND active = 1 AND {admin} ORDER BY username"))
    except DatabaseError as problem:
        raise AccountsError(f"The accounts could not be read. {problem}") from problem
    return Review(as_number(every_address), found, admins, [name for name in admins if name not in expected])


def _kind(reader: Reader, title: str, source: str) -> Kind:
    number = as_number(reader.query(f"SELECT COUNT(*) AS number FROM {source}")[0]["number"])
    rows = reader.query(f"SELECT username FROM {source} ORDER BY username LIMIT {MOST}") if number else []
    return Kind(title, number, _names(rows))


def _names(rows: Iterable[Row]) -> list[str]:
    """Names as text that harms no terminal and no mail."""
    names = (row["username"] or "" for row in rows)
    return [name if name.isprintable() else ascii(name)[1:-1] for name in names]
