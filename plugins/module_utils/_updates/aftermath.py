# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""What an update leaves to do where the version before had published vulnerabilities: an update takes nothing back."""

from __future__ import annotations

import argparse
import sys
import syslog
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.chamilo.hardening.plugins.module_utils._common.alert import harmless
from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.accounts import administers
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.database import (
    Account,
    Reader,
    as_number,
    writing,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.discovery import discover
from ansible_collections.chamilo.hardening.plugins.module_utils._updates import advisories, releases

ABOUT = """\
Shows what an update leaves to do where the version before had published vulnerabilities: what the releases ask for, how
many tokens of password resets and confirmations are open (an attacker may have guessed one), and which accounts LTI,
LDAP, SCIM or another service made, and which keys and tokens of the API are open, since they outlive each change of a
password. With --invalidate the open tokens of mails no longer work; a person who waits for such
a mail asks for another."""
_MOST = 20  # names that are shown
_OPEN = "FROM `user` WHERE confirmation_token IS NOT NULL AND confirmation_token <> ''"
_INVALIDATE = (
    "UPDATE `user` SET confirmation_token = NULL, password_requested_at = NULL WHERE confirmation_token IS NOT NULL"
)
_PROVISIONED = (
    "SELECT authentication AS source, COUNT(DISTINCT user_id) AS number FROM user_auth_source "
    "WHERE authentication <> 'platform' GROUP BY authentication ORDER BY authentication"
)
_OF_THEM = (
    "SELECT DISTINCT username FROM `user` JOIN user_auth_source ON user_auth_source.user_id = `user`.id "
    f"WHERE authentication = %s ORDER BY `user`.id DESC LIMIT {_MOST}"
)


# What lets a program in without a password: where it lies, and the column of its owner.
_KEYS = {
    "user": ("id", "api_token <> ''", "UPDATE `user` SET api_token = NULL"),
    "user_api_key": ("user_id", "TRUE", "DELETE FROM user_api_key"),
    "oauth_client": ("", "TRUE", "DELETE FROM oauth_client"),
    "oauth_access_token": ("user_id", "TRUE", "DELETE FROM oauth_access_token"),
    "oauth_refresh_token": ("user_id", "TRUE", "DELETE FROM oauth_refresh_token"),
}
_COLUMNS = (
    "SELECT TABLE_NAME AS place, COLUMN_NAME AS name FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE()"
    " AND TABLE_NAME IN ('user', 'user_api_key', 'oauth_client', 'oauth_access_token', 'oauth_refresh_token')"
    " ORDER BY place"
)


class AftermathError(HardeningError):
    """There is no portal to check."""


@dataclass
class Aftermath:
    """Of one portal. ``provisioned``: by the service that made them, how many, and the newest names.

    ``keys``: by their table, how many, the administrators among their owners, and the statement that revokes them.
    """

    domain: str
    version: str
    account: Account
    steps: tuple[str, ...]
    tokens: int
    administrators: list[str]
    provisioned: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    unseen: str = ""
    keys: dict[str, tuple[int, list[str], str]] = field(default_factory=dict)

    def description(self) -> Iterator[str]:
        yield f"{self.domain}, Chamilo {self.version or 'of an unknown version'}"
        yield from (f"  To do: {step}" for step in self.steps)
        of_whom = f", of administrators: {', '.join(self.administrators)}" if self.administrators else ""
        yield f"  Open tokens of password resets and confirmations: {self.tokens or 'none'}{of_whom}"
        for source, (number, names) in self.provisioned.items():
            more = f" and {number - len(names)} more" if number > len(names) else ""
            yield f"  Accounts made by {source}: {number} (newest first: {', '.join(names)}{more})"
        if not self.provisioned:
            yield f"  Accounts made by other services: {self.unseen or 'none'}"
        for place, (number, names, revoke) in self.keys.items():
            of_whom = f", of administrators: {', '.join(names)}" if names else ""
            yield f"  Keys or tokens of the API in {place}: {number}{of_whom} (to revoke all of them: {revoke};)"
        if not self.keys:
            yield "  Keys and tokens of the API: none"
        yield "  What an attacker may have left: chamilo-hardening integrity lists, and integrity check"


def add(commands: Any, report: Callable[..., None]) -> None:
    """Add the command. Its output goes to the terminal and to the journal."""
    command = commands.add_parser(
        "aftermath", help="what an update leaves to do after a vulnerability", description=ABOUT
    )
    command.add_argument("--domain", default="", help="which portal, where there are several")
    command.add_argument("--invalidate", action="store_true", help="invalidate the open tokens")
    command.add_argument("--yes", action="store_true", help="do not ask")
    command.set_defaults(run=lambda options, _engine: _run(options, report))


def _run(options: argparse.Namespace, report: Callable[..., None]) -> int:
    known = inspect(options.domain)
    for each in known:
        print(*(harmless(line) for line in each.description()), sep="\n")
    tokens = [each for each in known if each.tokens]
    if not options.invalidate or not tokens:
        return 0
    if sys.stdin.isatty() and not options.yes and input("Invalidate them? [y/N] ").strip().lower() not in ("y", "yes"):
        print("No token was invalidated.")
        return 1
    for each in tokens:
        report(f"aftermath {each.domain}: open tokens invalidated: {invalidate(each)}.", syslog.LOG_INFO)
    return 0


def inspect(domain: str = "") -> list[Aftermath]:
    """What is left to do, of the portals that are watched for updates."""
    watched = [(str(known["domain"]), str(known["root"])) for known in releases.watched()]
    found = [_of(*each) for each in watched if domain in ("", each[0])]
    if not found:
        names = ", ".join(each[0] for each in watched) or "none"
        raise AftermathError(f"There is no portal {domain or 'here'}. Known by the section updates: {names}.")
    return found


def _of(domain: str, root: str) -> Aftermath:
    site = discover(domain, root)
    reader = Reader.of_site(site)
    count = reader.query(f"SELECT COUNT(*) AS number {_OPEN}")[0]["number"]
    admins = reader.query(f"SELECT username {_OPEN} AND {administers(reader)} ORDER BY username LIMIT {_MOST}")
    found = Aftermath(
        domain,
        site.version,
        reader.account,
        advisories.packed().after(site.version),
        as_number(count),
        [row["username"] or "" for row in admins],
    )
    found.keys = _keys(reader)
    if not reader.query("SHOW TABLES LIKE 'user\\_auth\\_source'"):
        found.unseen = "not known, since this release keeps no table user_auth_source"
        return found
    for row in reader.query(_PROVISIONED):
        source = row["source"] or ""
        names = [each["username"] or "" for each in reader.query(_OF_THEM, (source,))]
        found.provisioned[source] = (as_number(row["number"]), names)
    return found


def _keys(reader: Reader) -> dict[str, tuple[int, list[str], str]]:
    found = {}
    columns = {(row["place"] or "", row["name"] or "") for row in reader.query(_COLUMNS)}
    for place, (owner, which, revoke) in _KEYS.items():
        if (place, "api_token" if place == "user" else "id") not in columns:
            continue
        number = as_number(reader.query(f"SELECT COUNT(*) AS number FROM `{place}` WHERE {which}")[0]["number"])
        names = []
        if number and (place, owner) in columns:
            owners = f"SELECT {owner} FROM `{place}` WHERE {which}"
            names = reader.query(
                f"SELECT username FROM `user` WHERE {administers(reader)} AND `user`.id IN ({owners}) ORDER BY username"
                f" LIMIT {_MOST}"
            )
        if number:
            found[place] = (number, [row["username"] or "" for row in names], revoke)
    return found


def invalidate(portal: Aftermath) -> int:
    """Have the open tokens work no longer. Returns how many there were."""
    with writing(portal.account) as ask:
        ask(_INVALIDATE, ())
    return portal.tokens
