# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts that the application used before, and whether other applications still use them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from .._application import clients, dotenv
from .._application.database import Account
from .._common.paths import read_guarded
from .._common.tree import Tree as Files
from .._transaction.probe import Probe
from . import grants
from .context import Context, Result
from .grants import Who
from .server import PEOPLE, AccountError, Server, described, see, sentence

# Where other sites have their account: older Chamilos, WordPress, Joomla, Moodle, Nextcloud, Drupal, Symfony.
_CONFIGURATIONS = (
    *("app/config/configuration.php", "main/inc/conf/configuration.php", "wp-config.php", "configuration.php"),
    *("config.php", "config/config.php", "sites/default/settings.php", "app/config/parameters.yml"),
    *(".env", ".env.local"),
)
_MOST = 1 << 20  # bytes of such a file


class OldAccounts:
    """Accounts that the application used before: they lose their rights, or are locked, when no longer needed."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.desired = context.desired
        self.undo = context.undo

    def leave(
        self, server: Server, move: Mapping[str, Any], account: Account, before: Mapping[Probe, Any], result: Result
    ) -> None:
        """Revoke the rights of the old account, which is no longer needed. One that others use keeps them."""
        old = Who(*move["old"]["who"])
        # Another web node still uses it: the last of them retires it. Until then the audit names it.
        if old.user in PEOPLE or not self.desired.retire:
            return
        why = self._still_needed(server, old, account.name)
        if why:
            result.notes.append(f"{old} keeps its rights: {why}.")
            return
        self.undo.remember_old(old, [one.give(old) for one in server.grants(old)])
        # A lock shows whether it is still needed, and is removed in a moment.
        server.lock(old, True)
        self.context.step("locked")
        self.context.probe(before)
        if str(old) in server.definers(account.name):
            result.notes.append(
                f"{old} cannot log in any more and keeps its rights: triggers, events, routines or views of "
                f"{account.name} run with them."
            )
            return
        server.run(f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {old.sql}")
        for one in server.grants(old):
            server.run(one.take(old))
        self.context.step("revoked")
        self.context.probe(before)

    def leave_again(self, account: Account, own: Who, result: Result, check: bool) -> None:
        """Remove again what ``restore`` restored."""
        restored = [Who(*who) for who in self.undo.known.get("restored", [])]
        for old in restored:
            if old == own:
                continue
            result.record_change(f"{old}: its old rights\n", f"{old}: no rights\n")
            if not check:
                with self.context.server() as server:
                    try:
                        self.leave(
                            server, {"old": {"who": [old.user, old.host]}}, account, self.context.ask_portal(), result
                        )
                    except Exception as problem:  # whatever it was, the old rights are restored and it is reported
                        self.undo.restore(server, old)
                        raise AccountError(f"{sentence(problem)} {old} has its old rights again.") from problem
        if restored and not check:
            self.undo.remember(restored=None)

    def lock_namesakes(self, result: Result, check: bool) -> None:
        """What the application once logged in with: accounts of its names, now and before, at other hosts."""
        if not self.desired.retire or not self.context.reachable:
            return
        account = self.context.application()
        own = see(account).who
        known = [*(one["who"] for one in self.undo.known.get("old", {}).values()), *self.undo.known.get("restored", [])]
        users = {own.user, *(user for user, _host in known)} - {"", *PEOPLE}
        with self.context.server() as server:
            namesakes = [Who(user, host) for user in sorted(users) for host in sorted(server.hosts(user)) if host]
            for who in namesakes:
                if who == own or server.is_locked(who) or not server.grants(who):
                    continue
                why = self._declared(who.host) or self.used_elsewhere(server, who, account.name)
                if why:
                    result.notes.append(f"{who} can still log in: {why}.")
                    continue
                result.record_change(f"{who}: {described(server.grants(who))}\n", f"{who}: locked\n")
                if not check:
                    self._lock(server, who)

    def _lock(self, server: Server, who: Who) -> None:
        """Its rights stay: triggers and views may need them. What may be run with them is for the audit to name."""
        before = self.context.ask_portal()
        self.undo.remember_old(who, None)
        server.lock(who, True)
        self.context.step("namesake locked")
        try:
            self.context.probe(before)
        except Exception as problem:  # whatever it was, the account can log in again and it is reported
            self.undo.restore(server, who)
            raise AccountError(f"{sentence(problem)} {who} is unlocked again.") from problem

    def _declared(self, host: str) -> str:
        """Why an account at a host may be needed by a declared client, or an empty text."""
        if self.desired.clients is None:
            return "" if host in clients.LOCAL else "which clients connect from elsewhere is not declared here"
        used = [each for each in self.desired.clients if clients.may_come(each, host)]
        return f"chamilo_database_clients names {', '.join(used)}" if used else ""

    def _still_needed(self, server: Server, old: Who, database: str) -> str:
        if not old.user:
            return "it belongs to no account"
        if old.host not in server.hosts(old.user):
            return "it is gone"
        return self.used_elsewhere(server, old, database)

    def used_elsewhere(self, server: Server, old: Who, database: str) -> str:
        """Who else than this portal uses an account, as far as can be seen."""
        others = sorted({grants.database_of(one) for one in server.grants(old)} - {"", database})
        if others:
            return f"it is used for {', '.join(others)} too"
        for client in server.clients():
            if client["USER"] == old.user and client["DB"] not in ("", database):
                return f"it is used for {client['DB']} now"
            if client["USER"] == old.user and not clients.is_local(client["HOST"]) and self.context.is_local:
                return f"it is used from {client['HOST'].rpartition(':')[0]} now"
        own = os.path.realpath(self.context.portal.root)
        for root in self.context.portal.document_roots:
            for directory in {root, os.path.dirname(root)} - {"", "/"}:
                if os.path.realpath(directory) == own or os.path.realpath(directory).startswith(f"{own}/"):
                    continue
                if os.path.isfile(f"{directory}/.env"):
                    known = dotenv.read(Files(), directory, web_user=self.context.portal.web_user)
                    if not known.files:
                        return f"the portal in {directory} may use it too: {' '.join(known.problems).rstrip('.')}"
                    if known.get("DATABASE_USER") == old.user:
                        return f"the portal in {directory} uses it too"
                for path in (f"{directory}/{name}" for name in _CONFIGURATIONS):
                    if _names(path, old.user, self.context.portal.web_user):
                        return f"{path} names it too"
        return ""


def _names(path: str, user: str, web_user: str) -> bool:
    """Whether a file of a site names an account, or cannot be read."""
    if not os.path.isfile(path):
        return False
    try:
        text = read_guarded(path, web_user, _MOST).decode("utf-8", "replace")
    except OSError:
        return True
    return re.search(rf"""["'=/ ]{re.escape(user)}(?:["':\s]|$)""", text) is not None
