# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the web server goes by the files that this collection has written for a portal."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .._common.http import Answer, fetch
from .._common.in_force import InForce
from .._webserver.configuration import VirtualHost
from .site import Site, include_line

# Sections whose drop-in answers with its generation. One of them speaks for all: they are included by one line.
_ANSWERING = ("https", "headers", "uploads", "permissions", "sessions", "updates")
_TRIES = 3
_PAUSE = 0.5  # seconds

_SECONDS = 5.0


@dataclass(frozen=True)
class Endpoint:
    """Where a virtual host answers."""

    address: str
    port: int
    tls: bool


Ask = Callable[[Endpoint, str, str], Answer]


def held(word: str, in_force: Mapping[str, InForce]) -> dict[str, str]:
    """The sections that have a drop-in for this portal, each with its generation."""
    found = {}
    for section in _ANSWERING:
        record = in_force.get(f"{section}:{word}", InForce())
        drop_in = f"/sites-available/chamilo-{word}.d/{section}.conf"
        if any(path.endswith(drop_in) and kind == "file" for path, kind in record.files.items()):
            found[section] = record.generation
    return found


def inactive(site: Site, word: str, sections: Mapping[str, str], ask: Ask | None = None) -> str:
    """Why what these sections wrote is not active, and what to do; an empty text where it is.

    Where the web server does not run, only its configuration can be read.
    """
    line = include_line(site.web, word)
    without = [host for host in site.serving if not (host.includes_ours or host.leads_away)]
    reload = f"systemctl reload {site.web.service}"
    if without or not site.serving:
        if without:
            why = f"{' and '.join(map(_place, without))} includes no files of this collection"
            remedy = f'Add the line "{line}" there'
        else:
            why = "No virtual host carries this name"
            remedy = f'Give one the name, and the line "{line}"'
        return f"Web configuration of {site.domain}: not active. {why}. {remedy}, then run: {reload}"
    section, generation = next(((name, known) for name, known in sections.items() if known), ("", ""))
    if not section or not site.web.running:
        return ""
    path = f"/.well-known/chamilo-hardening/{section}"
    seen: list[str] = []
    for attempt in range(_TRIES):
        seen = []
        for endpoint in _endpoints(site):
            answer = (ask or _ask)(endpoint, site.domain, path)
            if answer.status == 204 and answer.values("X-Chamilo-Generation") == [generation]:
                return ""
            seen.append(f"{endpoint.address} port {endpoint.port} answers {answer.status or answer.error}")
        time.sleep(_PAUSE if attempt + 1 < _TRIES else 0)
    return (
        f"Web configuration of {site.domain}: not active. The web server does not go by the files of this collection "
        f"that its configuration includes: {', '.join(seen) or 'it has no address'}. Have it read them again: {reload}"
    )


def _place(host: VirtualHost) -> str:
    return f"{host.file} line {host.line}"


def _endpoints(site: Site) -> list[Endpoint]:
    """Those without TLS first: they are asked sooner. A virtual host for one address alone is not asked instead."""
    listens = [listen for host in site.virtual_hosts or site.serving for listen in host.listens]
    taken = {listen.address.strip("[]") for listen in listens}
    free = [address for address in ("127.0.0.1", "::1", *site.addresses) if address not in taken]
    found = set()
    for host in site.serving:
        for listen in host.listens:
            address = listen.address.strip("[]")
            if address in ("*", "::"):
                address = next((each for each in free if (":" in each) == (address == "::")), "127.0.0.1")
            if listen.port:  # else it is a socket file
                found.add(Endpoint(address, listen.port, listen.tls))
    return sorted(found, key=lambda endpoint: (endpoint.tls, ":" in endpoint.address, endpoint.port, endpoint.address))


def _ask(endpoint: Endpoint, name: str, path: str) -> Answer:
    scheme, usual = ("https", 443) if endpoint.tls else ("http", 80)
    port = "" if endpoint.port == usual else f":{endpoint.port}"
    return fetch(f"{scheme}://{name}{port}{path}", address=endpoint.address, timeout=_SECONDS)
