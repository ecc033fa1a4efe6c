# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All names of a portal: of its virtual hosts, of the application's access URLs, and those that are declared."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from .._common.naming import is_name
from .beside import leads
from .configuration import Server, every, in_order, walk

Answering = Callable[[Sequence[Server], str], tuple[list[Server], list[Server]]]
# What a whole virtual host is redirected by, and the pattern of a rewrite that every address fits.
_REDIRECTS = ("return", "rewrite", "redirect", "redirectpermanent", "redirectmatch", "rewriterule")
_TARGET = re.compile(r"https?://([a-z0-9.-]+)(?::\d+)?(?:[/$%].*)?", re.IGNORECASE)

_HERE = re.compile(r"https?://(?:127\.0\.0\.1|localhost|\[::1\]):(\d+)")


def visitors_names(server: Server) -> tuple[str, ...]:
    """The names that are written in a virtual host and that a visitor could type. Wildcards stay as they are."""
    if not any(every(server.block.block or (), "server_name", "servername", "serveralias")):
        return ()  # Apache gives it the name of the host
    return tuple(name for name in server.host.names if "." in name and re.search(r"[a-z]", name) and name[0] != "_")


def portal_names(
    domain: str, declared: Iterable[str], virtual_hosts: Iterable[str], access_urls: Iterable[str]
) -> tuple[str, ...]:
    """Each name once, the domain first, if it is known. A declared ``!name`` is left out, wherever it comes from."""
    declared = [name.lower() for name in declared]
    found = [*filter(None, [domain]), *(name for name in declared if name[:1] != "!")]
    for name in (*virtual_hosts, *access_urls):
        # nginx's .example.org is the name and all below it.
        found += [name[1:], f"*{name}"] if name[:1] == "." else [name]
    excluded = {name[1:] for name in declared if name[:1] == "!"} - {domain}
    return tuple(name for name in dict.fromkeys(found) if name == domain or (is_name(name) and name not in excluded))


def redirected(servers: Iterable[Server], names: Sequence[str]) -> list[str]:
    """The names of virtual hosts that do nothing but lead to one of the portal's names."""
    return [name for server in servers if _leads_to(server) & {*names} for name in visitors_names(server)]


def of_no_other_site(
    servers: Sequence[Server],
    portal: Sequence[Server],
    names: Sequence[str],
    addresses: Sequence[str],
    answering: Answering,
) -> list[str]:
    """The addresses that no virtual host of another site has: who may write one does not get its visitors so.

    One that leads to one of the portal's ``names``, or hands on to it, is none of another site.
    """
    ports = {listen.port for server in portal for listen in server.host.listens}

    def foreign(server: Server) -> bool:
        return not (server in portal or _leads_to(server) & {*names} or _handed_to(server) & ports)

    return [name for name in addresses if not any(map(foreign, answering(servers, name)[0]))]


def answered(
    servers: Sequence[Server], portal: Sequence[Server], names: Sequence[str], answering: Answering
) -> tuple[list[Server], tuple[str, ...]]:
    """The virtual hosts of the portal that answer to one of its names, and these names."""
    found: list[Server] = []
    known = []
    for name in names:
        own = [server for part in answering(servers, name) for server in part if server in portal]
        found += own
        known += [name] if own and name[:2] != "*." else []
    return in_order(servers, found), tuple(known)


def _leads_to(server: Server) -> set[str]:
    """The names to which a virtual host that serves nothing leads its visitors."""
    lines = every(walk(server.block.block or ()), *_REDIRECTS) if leads(server) else ()
    found = (_TARGET.fullmatch(word) for item in lines for word in item.arguments)
    return {one[1].lower() for one in found if one}


def _handed_to(server: Server) -> set[int]:
    """The ports of this host to which a virtual host hands on requests."""
    lines = every(walk(server.block.block or ()), "proxy_pass", "proxypass")
    found = (_HERE.match(word) for item in lines for word in item.arguments)
    return {int(one[1]) for one in found if one}
