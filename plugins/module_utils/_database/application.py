# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The account with which the application logs in to the database."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from .._application.database import Account, DatabaseError
from . import grants
from .context import Context, Result
from .grants import DATA, GUIDE, Who
from .old_accounts import OldAccounts
from .server import PEOPLE, AccountError, Seen, Server, described, see, sentence, set_rights

_RELOAD_SECONDS = 3.0  # PHP checks the time of its compiled files every two seconds
_GUESSABLE = ("password", "passwort", "secret", "changeme", "chamilo", "root", "admin", "mysql", "mariadb", "12345678")


class Application:
    """The application's own account: its rights are made exactly what it needs, or it is moved to another one."""

    def __init__(self, context: Context, old: OldAccounts) -> None:
        self.context = context
        self.desired = context.desired
        self.undo = context.undo
        self.old = old

    def apply(self, result: Result, check: bool) -> None:
        account = self.context.application()
        expected = DATA if self.desired.split else GUIDE
        where = grants.place(account.name)
        move = self.undo.known.get("move")
        if move and check:
            result.notes.append("A run that moved the application to another account did not finish.")
        elif move:
            self._resume(move, account, expected, where, result)
            account = self.context.application()
        try:
            seen = see(account)
        except DatabaseError as problem:
            if account.password:
                raise
            raise AccountError(
                f"{sentence(problem)} Chamilo has no password for it. Where the server knows it by its Unix account, "
                "which nothing here can be, waive database_account and database_privileges. No account was changed."
            ) from problem
        result.accounts["application"] = str(seen.who)
        result.source = seen.source
        others = sorted({grants.database_of(one) for one in seen.grants} - {"", account.name})
        why = self._why_move(account, seen, others)
        reachable = self.context.reachable
        if not why and reachable and any(grants.is_global(one) for one in seen.grants):
            with self.context.server() as server:
                why = self.old.used_elsewhere(server, seen.who, account.name)
        if not why and grants.is_right(seen.grants, expected, where):
            self.old.leave_again(account, seen.who, result, check)
            return
        new = f"{', '.join(expected)} on {account.name}"
        if not why:
            result.record_change(f"{seen.who}: {described(seen.grants)}\n", f"{seen.who}: {new}\n")
            if not check:
                self._trim(account, seen, expected, where)
            self.old.leave_again(account, seen.who, result, check)
            return
        user = f"chamilo_{self.desired.site}"
        result.record_change(f"Chamilo logs in as {seen.who}: {why}\n", f"Chamilo logs in as {user}: {new}\n")
        if not check:
            self._move(account, seen, expected, where, result)

    def _why_move(self, account: Account, seen: Seen, others: Sequence[str]) -> str:
        """Why the application needs another account, or an empty text."""
        name = seen.who.user
        if name in PEOPLE:
            return "an account of the server's administrator"
        if not name:
            return "an account without a name, as which any user may log in"
        if any(grants.is_global(one) and "ALL PRIVILEGES" in one.what for one in seen.grants):
            return "it may do everything on the whole server"
        if others:
            return f"it is used for {', '.join(others)} too"
        if account.password.lower() in ("", *_GUESSABLE, name.lower(), account.name.lower()):
            return "its password is easy to guess"
        return ""

    def _trim(self, account: Account, seen: Seen, expected: Sequence[str], where: str) -> None:
        """The account stays, its rights change."""
        with self.context.server() as server:
            current = [one.give(seen.who) for one in server.grants(seen.who)]
            first = str(seen.who) not in self.undo.known.get("old", {})
            if self.undo.known.get("application") != [seen.who.user, seen.who.host]:  # that one we made
                self.undo.remember_old(seen.who, current)
            before = self.context.ask_portal()
            try:
                server.give(seen.who, expected, where)
                self.context.step("trimmed")
                self.context.prove(account, seen.who)
                self.context.probe(before)
                self.context.step("probed")
            except BaseException as problem:
                set_rights(server, seen.who, current)
                if first:
                    self.undo.forget_old(seen.who)
                if not isinstance(problem, Exception):
                    raise
                raise AccountError(f"{sentence(problem)} {seen.who} has its old rights again.") from problem

    def _move(self, account: Account, seen: Seen, expected: Sequence[str], where: str, result: Result) -> None:
        self._may_write(account)
        with self.context.server() as server:
            before = self.context.ask_portal()
            move: dict[str, Any] = {
                "new": {"user": self._free_name(server), "hosts": [seen.source]},
                "old": {"user": account.user, "password": account.password, "who": [seen.who.user, seen.who.host]},
            }
            self.undo.remember(move=move)
            self.context.step("noted")
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
                    server.password(who, grants.hashed(new.password), self.context.tls)
                    self.context.step("created")
                    server.give(who, expected, where)
                    self.context.step("granted")
                self.context.prove(new, Who(new.user, seen.source))
                self.context.step("proved")
                self._write(new.user, new.password, result)
                self.context.step("written")
                self.context.probe(before)
                self.context.step("probed")
                self.old.leave(server, move, account, before, result)
            except BaseException as problem:
                self._restore_rights(server, move, result)
                if not isinstance(problem, Exception):
                    raise
                raise AccountError(f"{sentence(problem)} Everything is as it was before.") from problem
            self._moved(move, seen.who, result)

    def _resume(
        self, move: Mapping[str, Any], account: Account, expected: Sequence[str], where: str, result: Result
    ) -> None:
        """With what a run that was killed had begun."""
        result.changed = True
        with self.context.server() as server:
            if account.user != move["new"]["user"]:
                server.drop(move["new"]["user"], move["new"]["hosts"])
                self.undo.remember(move=None)
                return
            before = self.context.ask_portal()
            try:
                seen = see(account)
                server.give(seen.who, expected, where)
                self.context.probe(dict.fromkeys(before))
                self.old.leave(server, move, account, before, result)
            except Exception as problem:  # whatever broke the move, it is undone and reported
                self._restore_rights(server, move, result)
                raise AccountError(f"{sentence(problem)} Everything is as it was before.") from problem
            self._moved(move, Who(*move["old"]["who"]), result)

    def _moved(self, move: Mapping[str, Any], old: Who, result: Result) -> None:
        new = Who(move["new"]["user"], move["new"]["hosts"][0])
        result.moved = {"from": str(old), "to": str(new)}
        result.accounts["application"] = str(new)
        self.undo.remember(move=None, application=[new.user, new.host])
        self.context.step("done")

    def _restore_rights(self, server: Server, move: Mapping[str, Any], result: Result) -> None:
        """The old account with its rights, in the environment as well; without the new one."""
        old = Who(*move["old"]["who"])
        if self.undo.known.get("old", {}).get(str(old)):
            self.undo.restore(server, old)
        known = self.context.portal.environment()
        if not known.files:
            raise AccountError(f"{' '.join(known.problems)} The account {move['new']['user']} stays until it can be.")
        if known.get("DATABASE_USER") == move["new"]["user"]:
            self._write(move["old"]["user"], move["old"]["password"], result)
        server.drop(move["new"]["user"], move["new"]["hosts"])
        self.undo.remember(move=None)

    def _write(self, user: str, password: str, result: Result) -> None:
        """Into the environment."""
        files = self.context.write_login(self.context, user, password, result.notes)
        if any(path.endswith(".php") for path in files) and self.context.portal.service:
            time.sleep(_RELOAD_SECONDS)  # a reload was requested

    def _may_write(self, account: Account) -> None:
        """Refuse before anything is made what could only end in taking it back."""
        self.context.write_login(self.context, f"{account.user}_", f"{account.password}_", [], check=True)

    def _free_name(self, server: Server) -> str:
        base = self.context.account_name("")
        for name in (base, *(f"{base}_{number}" for number in range(2, 10))):
            if not server.hosts(name):
                return name
        raise AccountError(f"The server has accounts {base} to {base}_9 already. No account was changed. Drop some.")
