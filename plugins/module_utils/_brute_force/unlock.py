# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unlocks accounts that an attack has locked, CAPTCHA counters and banned addresses."""

from __future__ import annotations

import glob
import json
import os
import pwd
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field

from .._application.accounts import LOCKED_DAYS
from .._application.database import Row, as_number, writing
from .._application.discovery import discover
from .._application.portal_reader import PortalReader
from .._application.site import Site
from .._common import services
from .._common.errors import HardeningError
from .._common.networks import counted, normal
from .._common.paths import shown
from . import fail2ban
from .fail2ban import Fail2banError

PORTALS = "/etc/chamilo-hardening/brute_force-*.json"
_ATTACK = 3  # failures that are no longer typing errors, where the portal locks later than that
_CONSOLE_SECONDS = 120
# All failures, not those since the last login: a right password for a locked account counts as a login, although it is
# refused. An account where that was tried first must still be unlocked.
_ACCOUNTS = """
SELECT user.id, user.username, user.email, user.roles, user.active, failed.failures, failed.last, failed.addresses
FROM user LEFT JOIN (
  SELECT username, COUNT(*) AS failures, MAX(login_date) AS last,
    GROUP_CONCAT(DISTINCT user_ip ORDER BY user_ip SEPARATOR ' ') AS addresses
  FROM track_e_login_record WHERE success = 0 AND {failures} GROUP BY username
) failed ON failed.username = user.username
WHERE {accounts} ORDER BY user.username
"""
# A named account is unlocked, however long ago it was attacked.
_NAMED = _ACCOUNTS.format(failures="username = %s", accounts="user.username = %s")
_LOCKED = _ACCOUNTS.format(
    failures=f"login_date > NOW() - INTERVAL {LOCKED_DAYS} DAY", accounts="user.active = 0 AND failed.failures > 0"
)


class UnlockError(HardeningError):
    """Unlocking failed; the message states why."""


@dataclass(frozen=True)
class Account:
    """An account of a portal, and how many logins to it failed since it was last used."""

    site: Site
    number: int
    name: str
    mail: str
    administrator: bool
    active: int
    failures: int
    last: str
    addresses: str
    enough: int  # failures to call it an attack

    @property
    def attacked(self) -> bool:
        """Whether failed logins have locked it, not a person."""
        return self.active == 0 and self.failures >= self.enough

    def description(self) -> str:
        who = f"{self.name} ({'administrator, ' if self.administrator else ''}{self.mail}) of {self.site.domain}"
        if self.active == 1:
            return f"{who} is not locked."
        if not self.attacked:
            return (
                f"{who} was switched off, but not by failed logins. That is for an administrator to change in Chamilo."
            )
        where = self.addresses if len(self.addresses) <= 120 else f"{self.addresses[:120]} ..."
        return f"{who} is locked: {self.failures} failed logins, the last at {self.last}, from {where}."


@dataclass
class Todo:
    """What there is to do for a target; without a target, all that could be done."""

    target: str
    accounts: list[Account] = field(default_factory=list)
    sites: list[Site] = field(default_factory=list)
    bans: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def acts(self) -> bool:
        return bool(self.bans) or bool(self.accounts) and any(one.attacked or one.active == 1 for one in self.accounts)

    def description(self) -> Iterator[str]:
        yield from self.notes
        for account in self.accounts:
            yield account.description()
        for address, jails in sorted(self.bans.items()):
            yield f"{address} is banned by {', '.join(jails)}."
        if self.target and self.accounts and self.acts:
            yield "The count of wrong CAPTCHA answers will be forgotten, of all accounts; they are not kept apart."
        if not self.accounts and not self.bans:
            yield f"{self.target} is neither locked nor banned." if self.target else "Nothing is locked or banned."

    def act(self) -> Iterator[str]:
        """Do it, and report each action."""
        for account in self.accounts:
            if account.attacked:
                yield _activate(account)
        if any(one.attacked or one.active == 1 for one in self.accounts):
            for site in self.sites:
                yield _forget_captchas(site)
        for address in self.bans:
            fail2ban.unban(address)
            yield f"{address} may come in again."
        if any(account.attacked for account in self.accounts):
            yield "Log in soon: a good login makes Chamilo forget the failed ones, one more bad one locks it again."


def inspect(target: str) -> Todo:
    """What a target is, and what can be done for it."""
    todo = Todo(target)
    address = normal(target)
    try:
        bans = fail2ban.banned()
    except Fail2banError as problem:
        bans = {}
        todo.notes.append(f"{problem}.")
    if address:
        todo.bans = {one: jails for one, jails in bans.items() if one in (counted(address), address)}
        return todo
    if not target:
        todo.bans = bans
    for site in sites():
        found = _accounts(site, target)
        todo.accounts += found
        if found:
            todo.sites.append(site)
    return todo


def sites(pattern: str = PORTALS) -> list[Site]:
    """The portals of this host: those the role has written down. Without it the one that can be found."""
    found = []
    for path in sorted(glob.glob(pattern)):
        with open(path, encoding="utf-8") as file:
            known = json.load(file)
        found.append(discover(known["domain"], known["root"]))
    if found:
        return found
    alone = discover(os.uname().nodename)
    if not alone.root:
        raise UnlockError(f"No portal is known here: there is no {pattern}. {' '.join(alone.problems)}")
    return [alone]


def _accounts(site: Site, name: str) -> list[Account]:
    reader = PortalReader.of(site.installation)
    rows = reader.query(_NAMED, (name, name)) if name else reader.query(_LOCKED)
    limit = reader.settings().get("security.login_max_attempt_before_blocking_account", "")
    enough = min(_ATTACK, int(limit)) if limit.isdigit() and int(limit) > 0 else _ATTACK
    accounts = [_account(site, row, enough) for row in rows]
    return [account for account in accounts if name or account.attacked]


def _account(site: Site, row: Row, enough: int) -> Account:
    return Account(
        site,
        as_number(row["id"]),
        shown(row["username"] or ""),
        shown(row["email"] or ""),
        "ADMIN" in (row["roles"] or ""),
        as_number(row["active"]),
        as_number(row["failures"]),
        shown(row["last"] or ""),
        shown(row["addresses"] or ""),
        enough,
    )


def _activate(account: Account) -> str:
    with writing(PortalReader.of(account.site.installation).account) as ask:
        ask("UPDATE user SET active = 1 WHERE id = %s AND active = 0", (account.number,))
    return f"{account.name} of {account.site.domain} is active again."


def _forget_captchas(site: Site) -> str:
    """The counters lie in the application's cache, which only the application knows how to find."""
    user, php = site.php.user, shutil.which("php")
    if php is None or not user:
        return "The CAPTCHA counters stay as they are: there is no php command here. They run out by themselves."
    if pwd.getpwnam(user).pw_uid == 0:
        raise UnlockError("PHP runs as root here. The application is not started as root.")
    console = [php, "bin/console", "cache:pool:clear", "cache.app", "--no-interaction"]
    code, output = services.run(services.as_user(user, site.root, *console), _CONSOLE_SECONDS)
    if code:
        words = shown(" ".join(output.split())[-300:])
        raise UnlockError(f"The CAPTCHA counters could not be forgotten. Output of bin/console: {words}")
    return f"the CAPTCHA counters of {site.domain} are forgotten."
