# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts of the section database share: the portal, its server, and how a change is proved."""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional, Protocol

from .._application import clients
from .._application.database import SOCKET, Account, Reader, writing
from .._application.installation import Installation
from .._common.files import STATE
from .._transaction.probe import Probe
from .._transaction.recovery import Recovery
from .grants import Who
from .server import AccountError, Server, see
from .undo_data import UndoData

CREDENTIALS = "/etc/chamilo-hardening"
_ANSWER_SECONDS = 5.0
_LONGEST = 80  # characters of an account's name


@dataclass(frozen=True)
class Desired:
    """The desired state.

    ``clients``: who may connect from elsewhere; None: not checked. ``listen``: the addresses at which a server of this
    host will listen; none: not checked. ``elsewhere``: the database's own host is at hand, so what is needed to change
    accounts there can be provided. ``retire``: the old account has no other user.
    """

    site: str
    application: bool = True
    split: bool = False
    backup: bool = False
    clients: Optional[Sequence[str]] = None  # noqa: UP045 (Python 3.9 evaluates it)
    listen: Sequence[str] = ()
    tls: bool = False
    elsewhere: bool = False
    retire: bool = True
    web_user: str = ""
    probe: Sequence[Probe] = ()


@dataclass
class Result:
    """The result. Contains no secret."""

    changed: bool = False
    server_here: bool = False
    needs_admin: bool = False
    source: str = ""
    accounts: dict[str, str] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)

    def record_change(self, before: str, after: str) -> None:
        self.changed = True
        self.before += [before] if before else []
        self.after += [after] if after else []


class WriteLogin(Protocol):
    """Has the application log in so. Notes are added; what is returned are the files that changed."""

    def __call__(
        self, context: Context, user: str, password: str, notes: list[str], check: bool = False
    ) -> Sequence[str]: ...


class Context:
    """One portal, its database server, and the desired state of both. ``step`` is called after each step.

    ``write_login``: needed where the application may get another account.
    """

    def __init__(
        self,
        portal: Installation,
        desired: Desired,
        admin: Account | None = None,
        root: str = STATE,
        credentials: str = CREDENTIALS,
        engine: Recovery | None = None,
        step: Callable[[str], None] = lambda name: None,
        write_login: WriteLogin | None = None,
    ) -> None:
        self.portal = portal
        self.desired = desired
        self.engine = engine or Recovery(root)
        self.step = step
        self._write_login = write_login
        self.given_admin = admin
        self.root = root
        self.credentials = credentials
        self.undo = UndoData(os.path.join(root, f"database-{desired.site}.json"), step)

    def application(self) -> Account:
        """The account that the application's environment names now."""
        return Reader.of(self.portal).account

    @property
    def write_login(self) -> WriteLogin:
        if self._write_login is None:
            raise AssertionError("a check changes no account")
        return self._write_login

    def account_name(self, end: str) -> str:
        name = f"chamilo_{self.desired.site}{end}"
        if len(name) > _LONGEST:
            raise AccountError(f"{name} is too long for an account. No account was changed. Set chamilo_site.")
        return name

    @functools.cached_property
    def host(self) -> str:
        """The host of the database; empty where no application is on this one."""
        return self.portal.environment().get("DATABASE_HOST")

    @functools.cached_property
    def is_local(self) -> bool:
        own, found = self.portal.addresses, clients.addresses(self.host)
        return self.host in clients.LOCAL or (
            bool(found) and all(each in own or ipaddress.ip_address(each).is_loopback for each in found)
        )

    @property
    def tls(self) -> bool:
        return self.desired.tls and not self.is_local

    @property
    def is_here(self) -> bool:
        """Whether a server of this host's own serves it: not one in a container that is reached by 127.0.0.1."""
        return self.is_local and os.path.exists(SOCKET)

    @property
    def reachable(self) -> bool:
        """Whether accounts can be changed now."""
        return self.given_admin is not None or self.is_here

    def _admin(self) -> Account:
        if self.given_admin is not None:
            return self.given_admin
        if self.host and not self.is_local:
            raise AccountError(
                f"The database is on {self.host}, and nothing here may change accounts there. Put that host into the "
                "group chamilo_db, or set chamilo_database_admin_user and chamilo_database_admin_password."
            )
        if not os.path.exists(SOCKET):
            raise AccountError(
                f"The database's administrator cannot be reached: there is no {SOCKET}. Set "
                "chamilo_database_admin_user and chamilo_database_admin_password."
            )
        return Account("root", socket=SOCKET)

    @contextlib.contextmanager
    def server(self) -> Iterator[Server]:
        with writing(self._admin()) as ask:
            yield Server(ask)

    def prove(self, account: Account, who: Who) -> None:
        """Log in just as the application does."""
        seen = see(account)
        if seen.who != who:
            raise AccountError(f"The server takes {account.user} for {seen.who} instead of {who}.")

    def ask_portal(self) -> dict[Probe, Any]:
        return {probe: self.engine.fetch(probe) for probe in self.desired.probe}

    def probe(self, before: Mapping[Probe, Any]) -> None:
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
