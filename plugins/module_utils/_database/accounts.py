# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The accounts with which one portal, its upgrades and its backups log in to the database.

The application is moved to an account of its own in steps, and the site serves after each of them: the new account is
made and proved before the environment names it, and the old one loses its rights when they are no longer needed. What
is going on is recorded first, so a run that was killed is resumed, or undone, by the next one.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
from collections.abc import Iterator

from .._application import clients
from .._common import locks
from .._common.locks import Busy
from . import grants
from .application import Application
from .context import Context, Result
from .extra_accounts import ExtraAccounts
from .grants import BACKUP, GUIDE, Who
from .old_accounts import OldAccounts
from .server import AccountError

LOCK_SECONDS = 180.0
_EVERYWHERE = ("0.0.0.0", "::", "*")


class AccountManager:
    """Keeps the accounts of one portal in the desired state."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.desired = context.desired
        self.undo = context.undo
        self.old = OldAccounts(context)
        self.extra = ExtraAccounts(context)
        self.application = Application(context, self.old)

    def apply(self, result: Result, check: bool = False) -> None:
        """Apply the desired state. ``result`` is filled step by step."""
        result.server_here = self.context.is_here
        if self.desired.elsewhere and self.context.given_admin is None and not self.context.is_local and not check:
            # Rights have to be granted for it first, if there is anything to do.
            self.apply(result, check=True)
            result.needs_admin, result.changed = result.changed, False
            return
        if self.context.is_here:
            self._refuse_to_cut_off()
        if self.desired.clients is not None and self.context.is_here:
            self._refuse_unrelated()
        if not (self.desired.application or self.desired.backup):
            return
        with self._locked(check):
            self.undo.load()
            if self.desired.split:
                self.extra.make("upgrade", GUIDE, result, check)
                self._place(check)
            if self.desired.application:
                self.application.apply(result, check)
                self.old.lock_namesakes(result, check)
            # After it: a move that is undone leaves nothing. Alone, it was asked for explicitly and may fail.
            may_change = self.context.reachable or self.desired.elsewhere
            if self.desired.backup and (may_change or not self.desired.application):
                self.extra.make("backup", BACKUP, result, check)
            if self.desired.application and not self.desired.split:
                self.extra.retire("upgrade", result, check)

    def restore(self, result: Result, check: bool = False) -> None:
        """Give old accounts the rights they had. The application keeps its account, and may do what it needs."""
        result.server_here = self.context.is_here
        if self.desired.elsewhere and self.context.given_admin is None and not self.context.is_local:
            raise AccountError(
                f"The database is on {self.context.host}. Changes there cannot be undone from "
                "here, so no account was changed. Undo the changes by hand: see 'Undo' in the README of "
                "the role database."
            )
        with self._locked(check):
            self.undo.load()
            own = self.undo.known.get("application")
            if own and "upgrade" in self.undo.known.get("accounts", {}) and not check:
                with self.context.server() as server:
                    server.give(Who(*own), GUIDE, grants.place(self.context.application().name))
            self.extra.retire("upgrade", result, check)
            old = dict(self.undo.known.get("old", {}))
            for name, known in old.items():
                locked = known["grants"] is None
                result.record_change(
                    f"{name}: {'locked' if locked else 'no rights'}\n",
                    f"{name}: {'not locked' if locked else '; '.join(known['grants'])}\n",
                )
                if not check:
                    # First: what is not remembered to have its rights again would keep them for ever.
                    others = [who for who in self.undo.known.get("restored", []) if who != known["who"]]
                    self.undo.remember(restored=[*others, *([] if locked else [known["who"]])])
                    with self.context.server() as server:
                        self.undo.restore(server, Who(*known["who"]))

    def _refuse_to_cut_off(self) -> None:
        host, found = self.context.host, clients.addresses(self.context.host)
        if self.desired.listen and found and not {*found, *_EVERYWHERE} & {*self.desired.listen}:
            there = ",".join(self.desired.listen)
            raise AccountError(
                f"Chamilo reaches the database at {host} (DATABASE_HOST), and it is to listen at {there} alone. "
                "No account was changed. Have DATABASE_HOST name one of these, such as 127.0.0.1, or set "
                f"chamilo_database_bind_address to {there},{min(found)}."
            )

    def _refuse_unrelated(self) -> None:
        try:
            allowed = [ipaddress.ip_network(each, strict=False) for each in self.desired.clients or ()]
        except ValueError as problem:
            raise AccountError(f"chamilo_database_clients: {problem}. No account was changed.") from problem
        own = self.context.portal.addresses
        with self.context.server() as server:
            unrelated = {
                f"{client['USER']} from {client['HOST'].rpartition(':')[0]}"
                for client in server.clients()
                if not clients.is_local(client["HOST"], own) and not clients.is_among(client["HOST"], allowed)
            }
        if unrelated:
            raise AccountError(
                f"The database is used from another host that chamilo_database_clients does not name: "
                f"{', '.join(sorted(unrelated))}. No account was changed. Name that host or network there, or end it."
            )

    def _place(self, check: bool) -> None:
        """Save what the host program needs to run the application, so that it need not discover it."""
        php = f"/usr/bin/php{self.context.portal.php}"
        place = {
            "root": self.context.portal.root,
            "user": self.desired.web_user or self.context.portal.web_user,
            "php": php if os.path.exists(php) else "php",
            "database": self.context.application().name,
        }
        if not check and self.undo.known.get("place") != place:
            self.undo.remember(place=place)

    @contextlib.contextmanager
    def _locked(self, check: bool) -> Iterator[None]:
        """One run at a time. Not the host's lock: the transaction that writes the environment takes that."""
        if check:
            yield
            return
        with self.context.engine.store.lock("database", LOCK_SECONDS):
            pass  # this makes the directory

        def busy(_holder: str) -> Busy:
            return Busy("Another run changes the accounts of the database. No account was changed.")

        with locks.lock(os.path.join(self.context.root, "database.lock"), "database", LOCK_SECONDS, busy):
            yield
