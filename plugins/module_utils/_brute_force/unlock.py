# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unlocks accounts that an attack has locked or that wait for their CAPTCHA, and banned addresses."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import pwd
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .._application.accounts import LOCKED_DAYS
from .._application.database import Row, as_number, writing
from .._application.discovery import discover
from .._application.portal_reader import PortalReader
from .._application.site import Site
from .._common import services
from .._common.errors import HardeningError
from .._common.networks import counted, normal
from .._common.paths import head, shown
from . import fail2ban
from .fail2ban import Fail2banError

PORTALS = "/etc/chamilo-hardening/brute_force-*.json"
_ATTACK = 3  # failures that are no longer typing errors, where the portal locks later than that
_CONSOLE_SECONDS = 120
_FEW = 1000  # accounts that wait for their CAPTCHA, and are listed
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
_BLOCKED = _ACCOUNTS.format(failures="FALSE", accounts="SHA1(LOWER(TRIM(user.username))) IN ({marks})")
# As the application's cache writes it: when it expires, the key, and what Chamilo counts under it.
_COUNTED = re.compile(rb"(login_captcha\.(?:\w+\.)?([0-9a-f]{40}))\n")
_APP_CACHE = re.compile(rb"(?m)^\s+app: *['\"]?cache\.adapter\.(\w+)")
_UNTIL = re.compile(rb'until";i:(\d+);')


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
    counter: str  # the key of its wrong CAPTCHA answers in the application's cache
    blocked: int  # for how many seconds Chamilo takes none of its passwords, whatever the CAPTCHA

    @property
    def attacked(self) -> bool:
        """Whether failed logins have locked it, not a person."""
        return self.active == 0 and self.failures >= self.enough

    def description(self) -> str:
        who = f"{self.name} ({'administrator, ' if self.administrator else ''}{self.mail}) of {self.site.domain}"
        if self.blocked:
            minutes = -(-self.blocked // 60)
            return f"{who} is blocked for {minutes} minutes, after wrong CAPTCHA answers."
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
            yield "Its count of wrong CAPTCHA answers will be forgotten."
        if not self.accounts and not self.bans:
            nothing = "Nothing that was looked at is" if self.notes else "Nothing is"
            yield f"{self.target} is neither locked nor banned." if self.target else f"{nothing} locked or banned."

    def act(self) -> Iterator[str]:
        """Do it, and report each action."""
        for account in self.accounts:
            if account.attacked:
                yield _activate(account)
            if account.attacked or account.active == 1:
                yield _forget_captcha(account)
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
        keeper = _keeper(site)
        if keeper and not target:
            todo.notes.append(f"Whom the CAPTCHA of {site.domain} blocks is not seen: {keeper} keeps its cache.")
        todo.accounts += _accounts(site, target, {} if keeper else _counters(site))
    return todo


def _keeper(site: Site) -> str:
    """What keeps the application's cache in the place of files, as far as its configuration says so."""
    for path in glob.iglob(f"{glob.escape(site.root)}/config/packages/**/cache.yaml", recursive=True):
        found = _APP_CACHE.search(head(path, 20_000, site.php.user))
        if found and found[1] not in (b"filesystem", b"system"):
            return shown(f"cache.adapter.{found[1].decode()}")
    return ""


def _counters(site: Site) -> dict[str, tuple[str, int]]:
    """By the checksum of a name the key under which Chamilo counts, and for how many seconds it is blocked still."""
    found = {}
    for path in glob.iglob(f"{glob.escape(site.root)}/var/cache/*/pools/app/*/?/?/*"):
        text = head(path, 2000, site.php.user)
        counted, until = _COUNTED.search(text), _UNTIL.search(text)
        if counted:
            seconds = int(until[1]) - int(time.time()) if until else 0
            found[counted[2].decode()] = (counted[1].decode(), max(0, seconds))
    return found


def known(pattern: str = PORTALS) -> list[str]:
    """What the role has written down, a file for each portal."""
    return sorted(glob.glob(pattern))


def sites(pattern: str = PORTALS) -> list[Site]:
    """The portals of this host: those the role has written down. Without it the one that can be found."""
    found = []
    for path in known(pattern):
        with open(path, encoding="utf-8") as file:
            one = json.load(file)
        found.append(discover(one["domain"], one["root"]))
    if found:
        return found
    alone = discover(os.uname().nodename)
    if not alone.root:
        raise UnlockError(f"No portal is known here: there is no {pattern}. {' '.join(alone.problems)}")
    return [alone]


def _accounts(site: Site, name: str, counters: Mapping[str, tuple[str, int]]) -> list[Account]:
    reader = PortalReader.of(site.installation)
    rows = reader.query(_NAMED, (name, name)) if name else reader.query(_LOCKED)
    blocked = [checksum for checksum, (_key, seconds) in counters.items() if seconds][:_FEW]
    if blocked and not name:
        known = {row["id"] for row in rows}
        found = reader.query(_BLOCKED.format(marks=", ".join(["%s"] * len(blocked))), blocked)
        rows = [*rows, *(row for row in found if row["id"] not in known)]
    limit = reader.settings().get("security.login_max_attempt_before_blocking_account", "")
    enough = min(_ATTACK, int(limit)) if limit.isdigit() and int(limit) > 0 else _ATTACK
    accounts = [_account(site, row, enough, counters) for row in rows]
    return [account for account in accounts if name or account.attacked or account.blocked]


def _account(site: Site, row: Row, enough: int, counters: Mapping[str, tuple[str, int]]) -> Account:
    checksum = hashlib.sha1((row["username"] or "").strip().lower().encode(), usedforsecurity=False).hexdigest()
    counter, blocked = counters.get(checksum, (f"login_captcha.state.{checksum}", 0))
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
        counter,
        blocked,
    )


def _activate(account: Account) -> str:
    with writing(PortalReader.of(account.site.installation).account) as ask:
        ask("UPDATE user SET active = 1 WHERE id = %s AND active = 0", (account.number,))
    return f"{account.name} of {account.site.domain} is active again."


def _forget_captcha(account: Account) -> str:
    """The counter lies in the application's cache, which only the application knows how to change."""
    site = account.site
    user, php = site.php.user, shutil.which("php")
    if php is None or not user:
        return "The count of wrong CAPTCHA answers stays: there is no php command here. It runs out by itself."
    if pwd.getpwnam(user).pw_uid == 0:
        raise UnlockError("PHP runs as root here. The application is not started as root.")
    console = [php, "bin/console", "cache:pool:delete", "cache.app", account.counter, "--no-interaction"]
    code, output = services.run(services.as_user(user, site.root, *console), _CONSOLE_SECONDS)
    if code:
        words = shown(" ".join(output.split())[-300:])
        raise UnlockError(f"The count of wrong CAPTCHA answers could not be forgotten. Output of bin/console: {words}")
    return f"the wrong CAPTCHA answers of {account.name} are forgotten."
