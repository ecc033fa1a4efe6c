# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""The accounts with which one portal, its upgrades and its backups log in to the database.

The application is moved to an account of its own in steps, and the site serves after each of them: the new account is
made and proved before the environment names it, and the old one loses its rights when nobody needs them any more. What
is going on is written down first, so a run that was killed is gone on with, or taken back, by the next one.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import ipaddress
import json
import os
import re
import secrets
import socket
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.chamilo.hardening.plugins.module_utils._common.files import STATE, Busy, Tree, file_item
from ansible_collections.chamilo.hardening.plugins.module_utils._common.paths import read_guarded
from ansible_collections.chamilo.hardening.plugins.module_utils._database import grants as database_grants
from ansible_collections.chamilo.hardening.plugins.module_utils._database.grants import BACKUP, DATA, GUIDE, Grant, Who
from ansible_collections.chamilo.hardening.plugins.module_utils._portal import dotenv
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Place
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Tree as Files
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.database import (
    SOCKET,
    Account,
    DatabaseError,
    Query,
    Reader,
    writing,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.discovery import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._settings import env_file
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.plan import TransactionError
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.probe import Probe

CREDENTIALS = "/etc/chamilo-hardening"
LOCK_SECONDS = 180.0
_ANSWER_SECONDS = 5.0
_RELOAD_SECONDS = 3.0  # PHP looks at the time of its compiled files every two seconds
_LONGEST = 80  # characters of an account's name
# Accounts of the server itself or of those who look after it: never changed, whoever uses them.
_PEOPLE = ("root", "admin", "administrator", "dba", "mysql", "mariadb.sys", "debian-sys-maint", "phpmyadmin")
_GUESSABLE = ("password", "passwort", "secret", "changeme", "chamilo", "root", "admin", "mysql", "mariadb", "12345678")
# Where other sites say who they are: older Chamilos, WordPress, Joomla, Moodle, Nextcloud, Drupal, Symfony.
_CONFIGURATIONS = (
    *("app/config/configuration.php", "main/inc/conf/configuration.php", "wp-config.php", "configuration.php"),
    *("config.php", "config/config.php", "sites/default/settings.php", "app/config/parameters.yml"),
    *(".env", ".env.local"),
)
_MOST = 1 << 20  # bytes of such a file
_LOCAL = ("", "localhost", "127.0.0.1", "::1")
_EVERYWHERE = ("0.0.0.0", "::", "*")

Fetch = Callable[[Probe], Any]


class AccountError(Exception):
    """The accounts cannot be made as they are wanted. The text says why, and how things were left."""


@dataclass(frozen=True)
class Wish:
    """What is wanted.

    ``clients``: who may connect from elsewhere; None: nobody looks. ``listen``: the addresses at which a server of this
    host will listen; none: nobody looks. ``elsewhere``: the database's own host is at hand, so what it takes to change
    accounts there can be had. ``retire``: nobody else uses the old account.
    """

    site: str
    application: bool = True
    split: bool = False
    backup: bool = False
    clients: Sequence[str] | None = None
    listen: Sequence[str] = ()
    tls: bool = False
    elsewhere: bool = False
    retire: bool = True
    web_user: str = ""
    probe: Sequence[Probe] = ()


@dataclass
class Result:
    """What came of it. Holds no secret."""

    changed: bool = False
    server_here: bool = False
    needs_admin: bool = False
    source: str = ""
    accounts: dict[str, str] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)

    def told(self, before: str, after: str) -> None:
        self.changed = True
        self.before += [before] if before else []
        self.after += [after] if after else []


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

    def give(self, who: Who, wanted: Collection[str], where: str) -> list[str]:
        """Make the rights exactly the wanted ones. Returns the statements."""
        statements = database_grants.change(who, self.grants(who), wanted, where, self.privileges())
        for statement in statements:
            self.run(statement)
        held = self.grants(who)
        if not database_grants.is_right(held, wanted, where):
            raise AccountError(f"{who} could not be given exactly {', '.join(wanted)}: it has {_told(held)}.")
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
        nobody = "('system user', 'unauthenticated user', 'event_scheduler')"
        rows = self._ask(f"{sql} WHERE USER NOT IN {nobody} AND ID <> CONNECTION_ID()", ())
        return [{key: str(value or "") for key, value in row.items()} for row in rows]


class Keeper:
    """Keeps the accounts of one portal as they are wanted. ``step`` hears of each step that is done."""

    def __init__(
        self,
        site: Site,
        given: Mapping[str, Place],
        wish: Wish,
        admin: Account | None = None,
        root: str = STATE,
        credentials: str = CREDENTIALS,
        engine: Engine | None = None,
        step: Callable[[str], None] = lambda name: None,
    ) -> None:
        self.site = site
        self.given = given
        self.wish = wish
        self.engine = engine or Engine(root)
        self.step = step
        self._given_admin = admin
        self._root = root
        self._credentials = credentials
        self._memory: dict[str, Any] = {}

    def apply(self, result: Result, check: bool = False) -> None:
        """Make the wish true. ``result`` is filled as things happen."""
        result.server_here = self._is_here
        if self.wish.elsewhere and self._given_admin is None and not self._is_local and not check:
            # Somebody has to be given the rights for it first, if there is anything to do.
            self.apply(result, check=True)
            result.needs_admin, result.changed = result.changed, False
            return
        if self._is_here:
            self._refuse_to_cut_off()
        if self.wish.clients is not None and self._is_here:
            self._refuse_strangers()
        if not (self.wish.application or self.wish.backup):
            return
        with self._locked(check):
            self._memory = self._remembered()
            if self.wish.split:
                self._extra("upgrade", GUIDE, result, check)
                self._place(check)
            if self.wish.application:
                self._application(result, check)
                self._lock_namesakes(result, check)
            # After it: a move that is taken back leaves nothing. Alone, it is somebody's express wish and may fail.
            if self.wish.backup and (self._has_admin or not self.wish.application):
                self._extra("backup", BACKUP, result, check)
            if self.wish.application and not self.wish.split:
                self._retire("upgrade", result, check)

    # -- the application ---------------------------------------------------------------------------------------------

    def _application(self, result: Result, check: bool) -> None:
        account = Reader.of_site(self.site).account
        wanted = DATA if self.wish.split else GUIDE
        where = database_grants.place(account.name)
        move = self._memory.get("move")
        if move and check:
            result.notes.append("A run that moved the application to another account did not finish.")
        elif move:
            self._go_on(move, account, wanted, where, result)
            account = Reader.of_site(self.site).account
        try:
            seen = _see(account)
        except DatabaseError as problem:
            if account.password:
                raise
            raise AccountError(
                f"{_sentence(problem)} Chamilo has no password for it. Where the server knows it by its Unix account, "
                "which nothing here can be, waive database_account and database_privileges. No account was changed."
            ) from problem
        result.accounts["application"] = str(seen.who)
        result.source = seen.source
        others = sorted({database_grants.database_of(one) for one in seen.grants} - {"", account.name})
        why = self._why_move(account, seen, others)
        reachable = self._given_admin is not None or self._is_here
        if not why and reachable and any(database_grants.is_global(one) for one in seen.grants):
            with self._server() as server:
                why = self._used_elsewhere(server, seen.who, account.name)
        if not why and database_grants.is_right(seen.grants, wanted, where):
            self._leave_again(account, seen.who, result, check)
            return
        new = f"{', '.join(wanted)} on {account.name}"
        if not why:
            result.told(f"{seen.who}: {_told(seen.grants)}\n", f"{seen.who}: {new}\n")
            if not check:
                self._trim(account, seen, wanted, where)
            self._leave_again(account, seen.who, result, check)
            return
        user = f"chamilo_{self.wish.site}"
        result.told(f"Chamilo logs in as {seen.who}: {why}\n", f"Chamilo logs in as {user}: {new}\n")
        if not check:
            self._move(account, seen, wanted, where, result)

    def _why_move(self, account: Account, seen: Seen, others: Sequence[str]) -> str:
        """Why the application needs another account, or an empty text."""
        name = seen.who.user
        if name in _PEOPLE:
            return "an account of the server's administrator"
        if not name:
            return "an account without a name, as which anybody may log in"
        if any(database_grants.is_global(one) and "ALL PRIVILEGES" in one.what for one in seen.grants):
            return "it may do everything on the whole server"
        if others:
            return f"it is used for {', '.join(others)} too"
        if account.password.lower() in ("", *_GUESSABLE, name.lower(), account.name.lower()):
            return "anybody would guess its password"
        return ""

    def _trim(self, account: Account, seen: Seen, wanted: Sequence[str], where: str) -> None:
        """The account stays, its rights change."""
        with self._server() as server:
            held = [one.give(seen.who) for one in server.grants(seen.who)]
            first = str(seen.who) not in self._memory.get("old", {})
            if self._memory.get("application") != [seen.who.user, seen.who.host]:  # that one we made
                self._remember_old(seen.who, held)
            before = self._ask_portal()
            try:
                server.give(seen.who, wanted, where)
                self.step("trimmed")
                self._prove(account, seen.who)
                self._probe(before)
                self.step("probed")
            except BaseException as problem:
                _set_rights(server, seen.who, held)
                if first:
                    self._forget_old(seen.who)
                if not isinstance(problem, Exception):
                    raise
                raise AccountError(f"{_sentence(problem)} {seen.who} has its old rights again.") from problem

    def _move(self, account: Account, seen: Seen, wanted: Sequence[str], where: str, result: Result) -> None:
        self._may_write(account)
        with self._server() as server:
            before = self._ask_portal()
            move: dict[str, Any] = {
                "new": {"user": self._free_name(server), "hosts": [seen.source]},
                "old": {"user": account.user, "password": account.password, "who": [seen.who.user, seen.who.host]},
            }
            self._remember(move=move)
            self.step("noted")
            new = Account(
                move["new"]["user"],
                secrets.token_urlsafe(24),
                account.host,
                account.port,
                account.socket,
                account.name,
                account.authority,
            )
            try:
                for host in move["new"]["hosts"]:
                    who = Who(new.user, host)
                    server.password(who, database_grants.hashed(new.password), self._tls)
                    self.step("created")
                    server.give(who, wanted, where)
                    self.step("granted")
                self._prove(new, Who(new.user, seen.source))
                self.step("proved")
                self._write(new.user, new.password, result)
                self.step("written")
                self._probe(before)
                self.step("probed")
                self._leave(server, move, account, before, result)
            except BaseException as problem:
                self._take_back(server, move, result)
                if not isinstance(problem, Exception):
                    raise
                raise AccountError(f"{_sentence(problem)} Everything is as it was before.") from problem
            self._moved(move, seen.who, result)

    def _go_on(
        self, move: Mapping[str, Any], account: Account, wanted: Sequence[str], where: str, result: Result
    ) -> None:
        """With what a run that was killed had begun."""
        result.changed = True
        with self._server() as server:
            if account.user != move["new"]["user"]:
                server.drop(move["new"]["user"], move["new"]["hosts"])
                self._remember(move=None)
                return
            before = self._ask_portal()
            try:
                seen = _see(account)
                server.give(seen.who, wanted, where)
                self._probe(dict.fromkeys(before))
                self._leave(server, move, account, before, result)
            except Exception as problem:  # whatever broke the move, it is taken back and told
                self._take_back(server, move, result)
                raise AccountError(f"{_sentence(problem)} Everything is as it was before.") from problem
            self._moved(move, Who(*move["old"]["who"]), result)

    def _moved(self, move: Mapping[str, Any], old: Who, result: Result) -> None:
        new = Who(move["new"]["user"], move["new"]["hosts"][0])
        result.moved = {"from": str(old), "to": str(new)}
        result.accounts["application"] = str(new)
        self._remember(move=None, application=[new.user, new.host])
        self.step("done")

    def _leave(
        self, server: Server, move: Mapping[str, Any], account: Account, before: Mapping[Probe, Any], result: Result
    ) -> None:
        """Take the rights of the old account, which nobody needs any more. Whoever is somebody else's stays."""
        old = Who(*move["old"]["who"])
        if old.user in _PEOPLE:
            return
        why = self._still_needed(server, old, account.name)
        if why:
            result.notes.append(f"{old} keeps its rights: {why}.")
            return
        self._remember_old(old, [one.give(old) for one in server.grants(old)])
        # A lock shows whether somebody still needs it, and is taken off in a moment.
        server.lock(old, True)
        self.step("locked")
        self._probe(before)
        if str(old) in server.definers(account.name):
            result.notes.append(
                f"{old} cannot log in any more and keeps its rights: triggers, events, routines or views of "
                f"{account.name} run with them."
            )
            return
        server.run(f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {old.sql}")
        for one in server.grants(old):
            server.run(one.take(old))
        self.step("revoked")
        self._probe(before)

    def _lock_namesakes(self, result: Result, check: bool) -> None:
        """What the application once logged in with: accounts of its names, now and before, at other hosts."""
        if not self.wish.retire or not (self._given_admin is not None or self._is_here):
            return
        account = Reader.of_site(self.site).account
        own = _see(account).who
        known = [*(one["who"] for one in self._memory.get("old", {}).values()), *self._memory.get("restored", [])]
        users = {own.user, *(user for user, _host in known)} - {"", *_PEOPLE}
        with self._server() as server:
            namesakes = [Who(user, host) for user in sorted(users) for host in sorted(server.hosts(user)) if host]
            for who in namesakes:
                if who == own or server.is_locked(who) or not server.grants(who):
                    continue
                why = self._declared(who.host) or self._used_elsewhere(server, who, account.name)
                if why:
                    result.notes.append(f"{who} can still log in: {why}.")
                    continue
                result.told(f"{who}: {_told(server.grants(who))}\n", f"{who}: locked\n")
                if not check:
                    self._lock(server, who)

    def _lock(self, server: Server, who: Who) -> None:
        """Its rights stay: triggers and views may need them. What may be run with them is for the audit to name."""
        before = self._ask_portal()
        self._remember_old(who, None)
        server.lock(who, True)
        self.step("namesake locked")
        try:
            self._probe(before)
        except Exception as problem:  # whatever it was, the account can log in again and it is reported
            self._give_back(server, who)
            raise AccountError(f"{_sentence(problem)} {who} is unlocked again.") from problem

    def _declared(self, host: str) -> str:
        """Why an account at a host may be needed by a declared client, or an empty text."""
        if self.wish.clients is None:
            return "" if host in _LOCAL else "which clients connect from elsewhere is not declared here"
        used = [each for each in self.wish.clients if _may_come(each, host)]
        return f"chamilo_database_clients names {', '.join(used)}" if used else ""

    def _leave_again(self, account: Account, own: Who, result: Result, check: bool) -> None:
        """What ``restore`` gave back is taken again."""
        restored = [Who(*who) for who in self._memory.get("restored", [])]
        for old in restored:
            if old == own:
                continue
            result.told(f"{old}: its old rights\n", f"{old}: no rights\n")
            if not check:
                with self._server() as server:
                    try:
                        self._leave(server, {"old": {"who": [old.user, old.host]}}, account, self._ask_portal(), result)
                    except Exception as problem:  # whatever it was, the old rights come back and it is told
                        self._give_back(server, old)
                        raise AccountError(f"{_sentence(problem)} {old} has its old rights again.") from problem
        if restored and not check:
            self._remember(restored=None)

    def _still_needed(self, server: Server, old: Who, database: str) -> str:
        if not old.user:
            return "it is nobody's own"
        if not self.wish.retire:
            return "other web nodes may still use it; lock it when they have all been moved"
        if old.host not in server.hosts(old.user):
            return "it is gone"
        return self._used_elsewhere(server, old, database)

    def _used_elsewhere(self, server: Server, old: Who, database: str) -> str:
        """Who else than this portal uses an account, as far as can be seen."""
        others = sorted({database_grants.database_of(one) for one in server.grants(old)} - {"", database})
        if others:
            return f"it is used for {', '.join(others)} too"
        for client in server.clients():
            if client["USER"] == old.user and client["DB"] not in ("", database):
                return f"somebody uses it for {client['DB']} now"
            if client["USER"] == old.user and not _is_local(client["HOST"]) and self._is_local:
                return f"somebody uses it from {client['HOST'].rpartition(':')[0]} now"
        own = os.path.realpath(self.site.root)
        for host in self.site.virtual_hosts:
            for folder in {host.root, os.path.dirname(host.root)} - {"", "/"}:
                if os.path.realpath(folder) == own or os.path.realpath(folder).startswith(f"{own}/"):
                    continue
                if os.path.isfile(f"{folder}/.env"):
                    known = dotenv.read(Files(), folder, web_user=self.site.php.user)
                    if not known.files:
                        return f"the portal in {folder} may use it too: {' '.join(known.problems).rstrip('.')}"
                    if known.get("DATABASE_USER") == old.user:
                        return f"the portal in {folder} uses it too"
                for path in (f"{folder}/{name}" for name in _CONFIGURATIONS):
                    if _names(path, old.user, self.site.php.user):
                        return f"{path} names it too"
        return ""

    def _take_back(self, server: Server, move: Mapping[str, Any], result: Result) -> None:
        """The old account with its rights, in the environment as well; without the new one."""
        old = Who(*move["old"]["who"])
        if self._memory.get("old", {}).get(str(old)):
            self._give_back(server, old)
        known = dotenv.read(Files(), self.site.root, self.given, self.site.php.user)
        if not known.files:
            raise AccountError(f"{' '.join(known.problems)} The account {move['new']['user']} stays until it can be.")
        if known.get("DATABASE_USER") == move["new"]["user"]:
            self._write(move["old"]["user"], move["old"]["password"], result)
        server.drop(move["new"]["user"], move["new"]["hosts"])
        self._remember(move=None)

    def _write(self, user: str, password: str, result: Result) -> None:
        """Into the environment, and the cache cleared as the web user."""
        told = env_file.Result()
        wish = env_file.Wish(
            values={"DATABASE_USER": user},
            secret_values={"DATABASE_PASSWORD": password},
            web_user=self.wish.web_user,
        )
        try:
            env_file.Editor(self.site, self.given, self.engine).apply(wish, told)
        finally:
            result.notes += told.notes
        self.site = replace(self.site, database=replace(self.site.database, user=user))
        if any(path.endswith(".php") for path in told.files) and self.site.php.service:
            time.sleep(_RELOAD_SECONDS)  # it was told to reload

    def _may_write(self, account: Account) -> None:
        """Refuse before anything is made what could only end in taking it back."""
        wish = env_file.Wish(
            values={"DATABASE_USER": f"{account.user}_"},
            secret_values={"DATABASE_PASSWORD": f"{account.password}_"},
            web_user=self.wish.web_user,
        )
        env_file.Editor(self.site, self.given, self.engine).apply(wish, env_file.Result(), check=True)

    def _free_name(self, server: Server) -> str:
        base = self._name("")
        for name in (base, *(f"{base}_{number}" for number in range(2, 10))):
            if not server.hosts(name):
                return name
        raise AccountError(f"The server has accounts {base} to {base}_9 already. No account was changed. Drop some.")

    # -- accounts for upgrades and backups ---------------------------------------------------------------------------

    def _extra(self, role: str, wanted: Sequence[str], result: Result, check: bool) -> None:
        """An account whose password lies in a file that only root reads."""
        path = self._file(role)
        application = Reader.of_site(self.site).account
        where = database_grants.place(application.name)
        with Tree() as tree:
            item = tree.look(path)
        known = option_file(item.data.decode("utf-8", "replace"))
        user = known.get("user") or self._name(f"_{role}")
        account = Account(
            user,
            known.get("password") or secrets.token_urlsafe(24),
            application.host,
            application.port,
            application.socket,
            authority=application.authority,
        )
        wanted_item = file_item(self._options(account).encode(), os.geteuid(), os.getegid(), 0o600)
        seen = _try(account) if known else None
        result.accounts[role] = str(seen.who) if seen else user
        if seen and database_grants.is_right(seen.grants, wanted, where) and item.same(wanted_item):
            return
        new = f"{user}: {', '.join(wanted)} on {application.name}, its password in {path}\n"
        result.told(f"{seen.who}: {_told(seen.grants)}\n" if seen else "", new)
        if check:
            return
        ours = self._memory.get("accounts", {}).get(role)
        source = seen.who.host if seen else _see(application).source
        who = Who(user, source)
        with self._server() as server:
            there = source in server.hosts(user)
            if there and not seen and ours != [user, source]:
                raise AccountError(
                    f"There is an account {who} that this collection did not make. It was left as it is. Drop or "
                    f"rename it, or put its password into {path}."
                )
            self._remember(accounts={**self._memory.get("accounts", {}), role: [user, source]})
            self.step(f"{role} noted")
            try:
                if not seen:
                    server.password(who, database_grants.hashed(account.password), self._tls)
                    self.step(f"{role} created")
                server.give(who, wanted, where)
                self.step(f"{role} granted")
                self._prove(account, who)
                with Tree() as tree:
                    for folder in tree.missing_parents(path):
                        tree.make_directory(folder, 0o700)
                    tree.write(path, wanted_item)
                self.step(f"{role} written")
            except BaseException:
                if not there:
                    server.drop(user, [source])
                raise
            result.accounts[role] = str(who)

    def _retire(self, role: str, result: Result, check: bool) -> None:
        """An account of ours that is not wanted any more."""
        ours = self._memory.get("accounts", {}).get(role)
        if not ours:
            return
        result.told(f"{Who(*ours)}: an account for the {role}\n", "")
        if check:
            return
        with self._server() as server:
            server.drop(ours[0], [ours[1]])
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._file(role))
        self._remember(accounts={name: who for name, who in self._memory["accounts"].items() if name != role})

    def _place(self, check: bool) -> None:
        """What the host program needs to run the application, so that it need not look for it."""
        php = f"/usr/bin/php{self.site.php.version}"
        place = {
            "root": self.site.root,
            "user": self.wish.web_user or self.site.php.user,
            "php": php if os.path.exists(php) else "php",
        }
        if not check and self._memory.get("place") != place:
            self._remember(place=place)

    def _name(self, end: str) -> str:
        name = f"chamilo_{self.wish.site}{end}"
        if len(name) > _LONGEST:
            raise AccountError(f"{name} is too long for an account. No account was changed. Set chamilo_site.")
        return name

    def _file(self, role: str) -> str:
        return os.path.join(self._credentials, f"{role}-{self.wish.site}.cnf")

    def _options(self, account: Account) -> str:
        """An option file for the server's own programs."""
        lines = ["# Managed by Ansible: chamilo.hardening, section database. Changes here are lost.", "[client]"]
        there = {"user": account.user, "password": account.password}
        if account.socket:
            there["socket"] = account.socket
        else:
            there.update(host=account.host, port=str(account.port))
        lines += [f'{name}="{value}"' for name, value in there.items()]
        if account.authority:
            lines += [f'ssl-ca="{account.authority}"', "ssl-verify-server-cert"]
        return "\n".join(lines) + "\n"

    # -- undoing -----------------------------------------------------------------------------------------------------

    def restore(self, result: Result, check: bool = False) -> None:
        """Give old accounts the rights they had. The application keeps its account, and may do what it needs."""
        result.server_here = self._is_here
        if self.wish.elsewhere and self._given_admin is None and not self._is_local:
            raise AccountError(
                f"The database is on {self.site.database.host}. What was done there is not taken back from here, so "
                "no account was changed. Take it back by hand, as the role database's README says in 'Taking it back'."
            )
        with self._locked(check):
            self._memory = self._remembered()
            own = self._memory.get("application")
            if own and "upgrade" in self._memory.get("accounts", {}) and not check:
                with self._server() as server:
                    server.give(Who(*own), GUIDE, database_grants.place(self.site.database.name))
            self._retire("upgrade", result, check)
            old = dict(self._memory.get("old", {}))
            for name, known in old.items():
                locked = known["grants"] is None
                result.told(
                    f"{name}: {'locked' if locked else 'no rights'}\n",
                    f"{name}: {'not locked' if locked else '; '.join(known['grants'])}\n",
                )
                if not check:
                    # First: what is not remembered to have its rights again would keep them for ever.
                    others = [who for who in self._memory.get("restored", []) if who != known["who"]]
                    self._remember(restored=[*others, *([] if locked else [known["who"]])])
                    with self._server() as server:
                        self._give_back(server, Who(*known["who"]))

    def _remember_old(self, who: Who, grants: Sequence[str] | None) -> None:
        """What an account may do before we first change it, as statements. None: it is locked and keeps its rights."""
        old = self._memory.get("old", {})
        if str(who) not in old:
            known = {"who": [who.user, who.host], "grants": None if grants is None else list(grants)}
            self._remember(old={**old, str(who): known})
            self.step("old rights noted")

    def _give_back(self, server: Server, who: Who) -> None:
        known = self._memory.get("old", {}).get(str(who))
        if known and who.host in server.hosts(who.user):
            if known["grants"] is not None:
                _set_rights(server, who, known["grants"])
            server.lock(who, False)
        self._forget_old(who)

    def _forget_old(self, who: Who) -> None:
        self._remember(old={name: one for name, one in self._memory.get("old", {}).items() if name != str(who)})

    # -- proof -------------------------------------------------------------------------------------------------------

    def _prove(self, account: Account, who: Who) -> None:
        """Log in just as the application does."""
        seen = _see(account)
        if seen.who != who:
            raise AccountError(f"The server takes {account.user} for {seen.who} instead of {who}.")

    def _ask_portal(self) -> dict[Probe, Any]:
        return {probe: self.engine.fetch(probe) for probe in self.wish.probe}

    def _probe(self, before: Mapping[Probe, Any]) -> None:
        """The portal answers as before. What was wrong before cannot count against us."""
        for probe, answer in before.items():
            was = probe.faults(answer) if answer is not None else {}
            end = time.monotonic() + _ANSWER_SECONDS
            while True:
                wrong = [text for part, text in probe.faults(self.engine.fetch(probe)).items() if part not in was]
                if not wrong:
                    break
                if time.monotonic() >= end:
                    raise AccountError(f"The portal does not go on with it: {'; '.join(wrong)}.")
                time.sleep(0.2)

    # -- the server --------------------------------------------------------------------------------------------------

    @functools.cached_property
    def _is_local(self) -> bool:
        found = _addresses(self.site.database.host)
        return self.site.database.host in _LOCAL or (
            bool(found) and all(each in self.site.addresses or ipaddress.ip_address(each).is_loopback for each in found)
        )

    @property
    def _tls(self) -> bool:
        return self.wish.tls and not self._is_local

    @property
    def _is_here(self) -> bool:
        """Whether a server of this host's own serves it: not one in a container that is reached by 127.0.0.1."""
        return self._is_local and os.path.exists(SOCKET)

    @property
    def _has_admin(self) -> bool:
        """Whether somebody may change accounts, now or when ``elsewhere`` is asked."""
        return self._given_admin is not None or self._is_here or self.wish.elsewhere

    def _admin(self) -> Account:
        there = self.site.database
        if self._given_admin is not None:
            return self._given_admin
        if there.host and not self._is_local:
            raise AccountError(
                f"The database is on {there.host}, and nothing here may change accounts there. Put that host into the "
                "group chamilo_db, or set chamilo_database_admin_user and chamilo_database_admin_password."
            )
        if not os.path.exists(SOCKET):
            raise AccountError(
                f"The database's administrator cannot be reached: there is no {SOCKET}. Set "
                "chamilo_database_admin_user and chamilo_database_admin_password."
            )
        return Account("root", socket=SOCKET)

    @contextlib.contextmanager
    def _server(self) -> Iterator[Server]:
        with writing(self._admin()) as ask:
            yield Server(ask)

    def _refuse_to_cut_off(self) -> None:
        host, found = self.site.database.host, _addresses(self.site.database.host)
        if self.wish.listen and found and not {*found, *_EVERYWHERE} & {*self.wish.listen}:
            there = ",".join(self.wish.listen)
            raise AccountError(
                f"Chamilo reaches the database at {host} (DATABASE_HOST), and it is to listen at {there} alone. "
                "No account was changed. Have DATABASE_HOST name one of these, such as 127.0.0.1, or set "
                f"chamilo_database_bind_address to {there},{min(found)}."
            )

    def _refuse_strangers(self) -> None:
        try:
            allowed = [ipaddress.ip_network(each, strict=False) for each in self.wish.clients or ()]
        except ValueError as problem:
            raise AccountError(f"chamilo_database_clients: {problem}. No account was changed.") from problem
        own = self.site.addresses
        with self._server() as server:
            strangers = {
                f"{client['USER']} from {client['HOST'].rpartition(':')[0]}"
                for client in server.clients()
                if not _is_local(client["HOST"], own) and not _is_among(client["HOST"], allowed)
            }
        if strangers:
            raise AccountError(
                f"Somebody uses the database from another host that chamilo_database_clients does not name: "
                f"{', '.join(sorted(strangers))}. No account was changed. Name that host or network there, or end it."
            )

    # -- memory ------------------------------------------------------------------------------------------------------

    @property
    def _path(self) -> str:
        return os.path.join(self._root, f"database-{self.wish.site}.json")

    def _remembered(self) -> dict[str, Any]:
        try:
            with open(self._path, "rb") as stream:
                known: dict[str, Any] = json.load(stream)
        except FileNotFoundError:
            return {}
        except ValueError as problem:
            raise AccountError(f"{self._path} is damaged ({problem}). Restore it from a backup.") from problem
        return known

    def _remember(self, **parts: Any) -> None:
        """Durably, before what it tells of is done."""
        known = {name: part for name, part in {**self._memory, **parts}.items() if part}
        with Tree() as tree:
            data = json.dumps(known, indent=1, sort_keys=True).encode()
            tree.write(self._path, file_item(data, os.geteuid(), os.getegid(), 0o600))
        self._memory = known

    @contextlib.contextmanager
    def _locked(self, check: bool) -> Iterator[None]:
        """One run at a time. Not the host's lock: the transaction that writes the environment takes that."""
        if check:
            yield
            return
        with self.engine.store.lock("database", LOCK_SECONDS):
            pass  # this makes the folder
        handle = os.open(os.path.join(self._root, "database.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        end = time.monotonic() + LOCK_SECONDS
        try:
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as problem:
                    if time.monotonic() >= end:
                        raise Busy(
                            "Another run changes the accounts of the database. No account was changed."
                        ) from problem
                    time.sleep(0.1)
            yield
        finally:
            os.close(handle)


def _set_rights(server: Server, who: Who, grants: Sequence[str]) -> None:
    """Exactly these, given as statements."""
    for statement in grants:
        server.run(statement)
    for one in server.grants(who):
        if one.give(who) not in grants:
            server.run(one.take(who))
    for statement in grants:
        server.run(statement)


def _see(account: Account) -> Seen:
    reader = Reader(account)
    (row,) = reader.query("SELECT CURRENT_USER() AS who, USER() AS came")
    user, _at, host = str(row["who"]).rpartition("@")
    # What everybody may do is not the account's own, and nothing here could take it.
    lines = [str(next(iter(one.values()))) for one in reader.query("SHOW GRANTS")]
    lines = [line for line in lines if not re.search(r" TO PUBLIC(?: WITH GRANT OPTION)?$", line)]
    return Seen(Who(user, host), str(row["came"]).rpartition("@")[2], tuple(database_grants.parse(lines)))


def _try(account: Account) -> Seen | None:
    """None where it cannot log in."""
    try:
        return _see(account)
    except DatabaseError:
        return None


def _names(path: str, user: str, web_user: str) -> bool:
    """Whether a file of a site names an account, or cannot be read."""
    if not os.path.isfile(path):
        return False
    try:
        text = read_guarded(path, web_user, _MOST).decode("utf-8", "replace")
    except OSError:
        return True
    return re.search(rf"""["'=/ ]{re.escape(user)}(?:["':\s]|$)""", text) is not None


def option_file(text: str) -> dict[str, str]:
    """What stands in an option file of ours."""
    return {found[1]: found[2] for found in re.finditer(r'^(\w+)="([^"\n]*)"$', text, re.MULTILINE)}


def _is_local(host: str, own: Collection[str] = ()) -> bool:
    """Is a client (as the list of processes shows it, with a port) on this host."""
    name = host if host == "localhost" or ":" not in host else host.rpartition(":")[0]
    return name in _LOCAL or name in own


def _addresses(host: str) -> set[str]:
    """Where a client that is told this host connects to. Empty for a socket, and for a name that leads nowhere."""
    if host in ("", "localhost"):
        return set()
    try:
        return {str(entry[4][0]).partition("%")[0] for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return set()


def _is_among(host: str, networks: Collection[Any]) -> bool:
    """Is a client in one of the networks. The server shows a name where the address has one."""
    name = host.rpartition(":")[0]
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(name, None)}
    except OSError:
        return False
    return any(ipaddress.ip_address(address.partition("%")[0]) in net for address in found for net in networks)


def _may_come(client: str, host: str) -> bool:
    """May a client, an address or a network, log in by an account at a host (a pattern, as the server has it)?

    It may where that is not known: by a pattern of names, or a name that leads nowhere now.
    """
    if host == "localhost":
        return False
    network = ipaddress.ip_network(client, strict=False)
    fixed = re.split("[%_]", host)[0]
    numbers = fixed.split(".")[:-1]  # those that are whole
    try:
        if fixed == host:
            places = [ipaddress.ip_network(host, strict=False)]
        elif numbers:
            places = [ipaddress.ip_network(f"{'.'.join([*numbers, '0', '0', '0'][:4])}/{8 * len(numbers)}")]
        else:
            return True
    except ValueError:  # names
        places = [ipaddress.ip_network(each) for each in _addresses(host)] if fixed == host else []
    return not places or any(place.version == network.version and place.overlaps(network) for place in places)


def _told(grants: Collection[Grant]) -> str:
    return "; ".join(map(str, grants)) or "no rights"


def _sentence(problem: BaseException) -> str:
    text = str(problem) or type(problem).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."


FAILURES = (AccountError, DatabaseError, env_file.EnvError, TransactionError)
