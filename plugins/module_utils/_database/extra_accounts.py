# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The accounts for upgrades and backups, whose passwords lie in files that only root reads."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Sequence

from .._application.database import Account
from .._common.files import Tree, file_item
from . import grants
from .context import Context, Result
from .grants import Who
from .server import AccountError, described, see, try_login


class ExtraAccounts:
    """Accounts of ours besides the application's, for upgrades and backups: in files that only root reads."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.desired = context.desired
        self.undo = context.undo

    def make(self, role: str, expected: Sequence[str], result: Result, check: bool) -> None:
        """An account whose password lies in a file that only root reads."""
        path = self._file(role)
        application = self.context.application()
        where = grants.place(application.name)
        with Tree() as tree:
            item = tree.inspect(path)
        known = option_file(item.data.decode("utf-8", "replace"))
        user = known.get("user") or self.context.account_name(f"_{role}")
        account = Account(
            user,
            known.get("password") or secrets.token_urlsafe(24),
            application.host,
            application.port,
            application.socket,
            authority=application.authority,
        )
        desired_item = file_item(self._options(account).encode(), os.geteuid(), os.getegid(), 0o600)
        seen = try_login(account) if known else None
        result.accounts[role] = str(seen.who) if seen else user
        if seen and grants.is_right(seen.grants, expected, where) and item.same(desired_item):
            return
        new = f"{user}: {', '.join(expected)} on {application.name}, its password in {path}\n"
        result.record_change(f"{seen.who}: {described(seen.grants)}\n" if seen else "", new)
        if check:
            return
        ours = self.undo.known.get("accounts", {}).get(role)
        source = seen.who.host if seen else see(application).source
        who = Who(user, source)
        with self.context.server() as server:
            there = source in server.hosts(user)
            if there and not seen and ours != [user, source]:
                raise AccountError(
                    f"There is an account {who} that this collection did not make. It was left as it is. Drop or "
                    f"rename it, or put its password into {path}."
                )
            self.undo.remember(accounts={**self.undo.known.get("accounts", {}), role: [user, source]})
            self.context.step(f"{role} noted")
            try:
                if not seen:
                    server.password(who, grants.hashed(account.password), self.context.tls)
                    self.context.step(f"{role} created")
                server.give(who, expected, where)
                self.context.step(f"{role} granted")
                self.context.prove(account, who)
                with Tree() as tree:
                    for directory in tree.missing_parents(path):
                        tree.make_directory(directory, 0o700)
                    tree.write(path, desired_item)
                self.context.step(f"{role} written")
            except BaseException:
                if not there:
                    server.drop(user, [source])
                raise
            result.accounts[role] = str(who)

    def retire(self, role: str, result: Result, check: bool) -> None:
        """Remove an account of ours that is no longer needed."""
        ours = self.undo.known.get("accounts", {}).get(role)
        if not ours:
            return
        result.record_change(f"{Who(*ours)}: an account for the {role}\n", "")
        if check:
            return
        with self.context.server() as server:
            server.drop(ours[0], [ours[1]])
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._file(role))
        self.undo.remember(accounts={name: who for name, who in self.undo.known["accounts"].items() if name != role})

    def _file(self, role: str) -> str:
        return os.path.join(self.context.credentials, f"{role}-{self.desired.site}.cnf")

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


def option_file(text: str) -> dict[str, str]:
    """What stands in an option file of ours."""
    return {found[1]: found[2] for found in re.finditer(r'^([\w-]+)="([^"\n]*)"$', text, re.MULTILINE)}
