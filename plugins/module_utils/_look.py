# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""What a check may look at: the discovered site, the wire, the database, the clock. It only reads."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from ansible_collections.chamilo.hardening.plugins.module_utils._database import Reader
from ansible_collections.chamilo.hardening.plugins.module_utils._site import Listen, Site
from ansible_collections.chamilo.hardening.plugins.module_utils._wire import Answer, fetch

_T = TypeVar("_T")


@dataclass(frozen=True)
class Door:
    """Where a name of this host answers: what a visitor calls it, and the address behind it."""

    scheme: str
    name: str
    port: int
    address: str = ""  # empty: whatever the name resolves to

    def url(self, path: str) -> str:
        usual = self.port == (443 if self.scheme == "https" else 80)
        return f"{self.scheme}://{self.name}{'' if usual else f':{self.port}'}{path}"


class Look:
    """One look at one host. Whatever two checks need is fetched once."""

    def __init__(self, site: Site, options: Mapping[str, Any]) -> None:
        self.site = site
        self.options = options  # the options of guide_audit: what the administrator declared
        self.as_root = os.geteuid() == 0
        self.now = time.time()
        self._answers: dict[tuple[Any, ...], Answer] = {}
        self._known: dict[Callable[[Look], Any], Any] = {}

    @functools.cached_property
    def database(self) -> Reader:
        """The application's own database, read only. Its methods raise DatabaseError with the reason."""
        return Reader.of_site(self.site)

    @functools.cached_property
    def settings(self) -> Mapping[str, str]:
        """Effective platform settings of the main portal, ``category.variable`` to text. One query."""
        return self.database.settings()

    def once(self, question: Callable[[Look], _T]) -> _T:
        """The answer to a question that several checks ask: the tree, the processes."""
        if question not in self._known:
            self._known[question] = question(self)
        return cast("_T", self._known[question])

    @functools.cached_property
    def doors(self) -> dict[str, Door]:
        """Where the portal answers, by scheme. Behind a proxy that is the proxy, found by its name."""
        if self.options.get("terminated_elsewhere"):
            return {scheme: Door(scheme, self.site.domain, port) for scheme, port in (("http", 80), ("https", 443))}
        listens = [listen for host in self.site.serving for listen in host.listens]
        if not self.site.serving:  # no configuration could be read: what listens on the usual ports
            ports = {int(address.rpartition(":")[2]) for address in self.site.listening}
            listens = [Listen("*", port, port == 443) for port in (80, 443) if port in ports]
        doors: dict[str, Door] = {}
        for listen in sorted(listens, key=lambda listen: listen.port not in (80, 443)):
            scheme = "https" if listen.tls else "http"
            doors.setdefault(scheme, Door(scheme, self.site.domain, listen.port, self.address_of(listen)))
        return doors

    def address_of(self, listen: Listen) -> str:
        """The address to call for a listening socket: rather the host's own than loopback, as visitors do."""
        address = listen.address.strip("[]")
        if address not in ("*", "0.0.0.0", "::", ""):  # noqa: S104 (compared, not bound)
            return address
        six = address == "::"
        own = [known for known in self.site.addresses if (":" in known) == six]
        far = [known for known in own if not known.startswith(("127.", "169.254.", "fe80")) and known != "::1"]
        return next(iter(far), "::1" if six else "127.0.0.1")

    @property
    def scheme(self) -> str:
        """https where it is served, else http."""
        return "https" if "https" in self.doors else "http"

    def get(self, path: str, scheme: str = "", **request: Any) -> Answer:
        """Fetch a path of the portal from this host. ``scheme`` default: https where it is served."""
        scheme = scheme or self.scheme
        door = self.doors.get(scheme)
        if door is None:
            return Answer(f"{scheme}://{self.site.domain}{path}", error=f"nothing here serves {scheme} for this name")
        return self.ask(door, path, **request)

    def ask(self, door: Door, path: str, **request: Any) -> Answer:
        """Fetch a path behind any door of this host. The same question is sent once."""
        headers = tuple(sorted(dict(request.pop("headers", None) or {}).items()))
        key = (door, path, headers, tuple(sorted(request.items())))
        if key not in self._answers:
            self._answers[key] = self._fetch(door, path, headers=dict(headers), **request)
        return self._answers[key]

    def _fetch(self, door: Door, path: str, **request: Any) -> Answer:
        return fetch(door.url(path), address=door.address, **request)
