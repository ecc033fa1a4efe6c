# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The portal as an outsider sees it: a name, an address, and whatever comes back over the wire."""

from __future__ import annotations

import copy
import dataclasses
import functools
import ssl
from collections.abc import Callable, Collection
from typing import Any

from .._common.control import PASS, Finding, passed
from .._common.handshakes import Handshake, handshake
from .._common.http import Answer, fetch

MISSING = "/chamilo-hardening-asks-for-what-is-not-there"


class Target:
    """What is attacked.

    ``address``: where to connect, empty for what the name resolves to; ``ca_file``: whom to trust besides the system's;
    ``proxied``: whether the name leads to a proxy instead of the host; ``unenforced``: the controls that are waived or
    that the level leaves out. ``names``: further names under which this host was proved to serve the portal.
    """

    names: tuple[str, ...] = ()

    def __init__(
        self,
        domain: str,
        address: str = "",
        ca_file: str = "",
        proxied: bool = False,
        unenforced: Collection[str] = (),
    ) -> None:
        self.domain = domain
        self.address = address
        self.ca_file = ca_file
        self.proxied = proxied
        self.unenforced = unenforced

    def under(self, name: str) -> Target:
        """The same portal by another one of its names."""
        other = copy.copy(self)
        for seen in ("scheme", "page", "missing"):
            other.__dict__.pop(seen, None)
        other.names = tuple(dict.fromkeys((self.domain, *self.names)))
        other.domain = name
        return other

    def ask(self, scheme: str, path: str, **request: Any) -> Answer:
        """Send a request. Its certificate is not verified, unless ``verify`` is set."""
        return fetch(f"{scheme}://{self.domain}{path}", address=self.address, ca_file=self.ca_file, **request)

    @functools.cached_property
    def scheme(self) -> str:
        """https where it is spoken, whatever its certificate is worth, else http."""
        return "https" if self.ask("https", "/").status else "http"

    def get(self, path: str, **request: Any) -> Answer:
        """Ask for a path as a visitor does who was there before."""
        return self.ask(self.scheme, path, **request)

    @functools.cached_property
    def page(self) -> Answer:
        """The first page."""
        return self.get("/")

    @functools.cached_property
    def missing(self) -> Answer:
        """The portal's answer to an address that does not exist: many answer with a page of their own."""
        return self.get(MISSING)

    def shake(self, context: ssl.SSLContext | None = None) -> Handshake:
        return handshake(self.domain, 443, self.address, context)


def by_every_name(one: Callable[[Target], Finding]) -> Callable[[Target], Finding]:
    """An attack that is tried under each name of the portal, until it gets through."""

    @functools.wraps(one)
    def each(target: Target) -> Finding:
        first = one(target)
        if first.status != PASS or not target.names:
            return first
        for name in target.names:
            found = one(target.under(name))
            if found.status != PASS:
                return dataclasses.replace(found, evidence=f"By the name {name}: {found.evidence}")
        return passed(f"{first.evidence} The same applies to {', '.join(target.names)}.")

    return each
