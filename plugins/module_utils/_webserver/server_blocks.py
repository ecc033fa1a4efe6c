# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which server blocks of nginx serve a portal, which lead to it alone, and what else is under its name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from .._common.tree import Tree
from . import nginx
from .beside import FRONT, PATH, leads, prefixes
from .configuration import Configuration, Directive, Listen, Server, default_of, every, is_public, sockets, walk
from .in_place import PLAIN_443, PROXY_PROTOCOL, DesiredHost, below, by_name, other_status, public_of, unreached
from .planned import Obstacle, Page

_LOCAL = ("127.0.0.1", "localhost", "[::1]")
_NAME = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")


@dataclass
class Found:
    """The server blocks that have to do with a portal."""

    desired: DesiredHost
    servers: Sequence[Server]
    sockets: dict[tuple[str, int], list[tuple[Server, Listen]]]
    portal: list[Server] = field(default_factory=list)
    redirect: list[Server] = field(default_factory=list)
    elsewhere: list[Server] = field(default_factory=list)  # they answer to its name, and serve something else
    upstreams: dict[str, list[str]] = field(default_factory=dict)  # the addresses behind a name
    apache: bool = False  # it is on this host too

    def behind(self, target: str) -> list[str]:
        """The addresses behind what requests are handed on to."""
        named = re.match(r"https?://(unix:[^:]*|\[[^]]*\](?::\d+)?|[^/]+)", target)
        return self.upstreams.get(named[1], [named[1]]) if named else []

    def is_here(self, target: str) -> bool:
        """Whether all of it is on this host."""
        addresses = self.behind(target)
        return bool(addresses) and all(
            address.startswith("unix:") or re.sub(r":\d+$", "", address) in _LOCAL for address in addresses
        )

    def names(self, server: Server) -> list[str]:
        """The names under which visitors reach it, as far as they are words."""
        written = [name for name in server.host.names if _NAME.fullmatch(name)]
        more = [name for name in _all_names(self.desired) if nginx.by_name([server], name)]
        return list(dict.fromkeys([*written, *more, *self.unnamed(server)]))

    def unnamed(self, server: Server) -> list[str]:
        """Names of the portal that it answers for want of a server block that has them."""
        there = [self.sockets[one.socket] for one in server.host.listens if one.port]
        if not any(default_of(one) is server and is_public(*one[0][1].socket) for one in there):
            return []
        return [name for name in _all_names(self.desired) if not any(_by_name(one, name) for one in there)]

    def needs_tls(self, server: Server) -> bool:
        """Whether it is to speak https from here on: its names are asked for by http alone."""
        plain = any(is_public(*one.socket) and not one.tls for one in server.host.listens)
        return self.desired.tls and plain and any(not self._speaks_tls(name) for name in self.names(server))

    def _speaks_tls(self, name: str) -> bool:
        return any(
            self._answers(there, name)
            for socket, there in self.sockets.items()
            if is_public(*socket) and any(listen.tls for _server, listen in there)
        )

    def _answers(self, there: Sequence[tuple[Server, Listen]], name: str) -> bool:
        """Whether the portal, or what leads to it, has the name there or is going to get it."""
        found = _by_name(there, name)
        if found is None and there and name in self.unnamed(default_of(there)):
            found = default_of(there)
        return found is not None and _is_in(found, [*self.portal, *self.redirect])

    def displaced(self, server: Server) -> Iterator[tuple[Server, str]]:
        """Other sites that answer for being read first, and no longer would once this one listens there too."""
        plain = [one.address for one in server.host.listens if is_public(*one.socket) and not one.tls]
        order = {id(one): number for number, one in enumerate(self.servers)}
        for socket in [(address, 443) for address in plain] if self.needs_tls(server) else []:
            there = self.sockets.get(socket, [])
            if not there or any(listen.default for _server, listen in there):
                continue
            first = default_of(there)
            named = any(_NAME.fullmatch(name) for name in first.host.names)
            if order[id(server)] < order[id(first)] and not named and not _is_in(first, self.portal):
                yield first, f"{socket[0]}:{socket[1]}"


def _all_names(desired: DesiredHost) -> list[str]:
    return [desired.domain, *sorted(name for name in desired.names - {desired.domain} if _NAME.fullmatch(name))]


def _by_name(there: Sequence[tuple[Server, Listen]], name: str) -> Server | None:
    return nginx.by_name([server for server, _listen in there], name)


def _is_in(server: Server, servers: Iterable[Server]) -> bool:
    return any(one is server for one in servers)


def classify(tree: Tree, configuration: Configuration, desired: DesiredHost) -> Found:
    """All server blocks with the document root of the portal, and those that answer to its names."""
    servers = nginx.servers(configuration)
    found = Found(desired, servers, sockets(servers), apache=tree.exists("/usr/sbin/apache2"))
    for http in every(configuration.directives, "http"):
        for one in every(http.block or (), "upstream"):
            addresses = [item.arguments[0] for item in every(one.block or (), "server") if item.arguments]
            found.upstreams[one.arguments[0] if one.arguments else ""] = addresses
    roots = {tree.real(root.rstrip("/")) for root in desired.roots}
    own = [server for server in servers if not server.host.ours]
    asked = [nginx.answering(servers, name) for name in _all_names(desired)]
    named = {id(one) for by_names, _default in asked for one in by_names}
    reached = named | {id(one) for _by_names, default in asked for one in default}
    found.portal = [
        server for server in own if not leads(server) and _has_root(tree, server, roots, nested=id(server) in reached)
    ]
    answering = [server for server in own if id(server) in named]
    found.redirect = [server for server in answering if leads(server)]
    fronts = [server for server in answering if _is_front(server, found)]
    found.portal = [server for server in own if _is_in(server, found.portal) or _is_in(server, fronts)]
    known = [*found.portal, *found.redirect]
    answering += [one for one in own if id(one) in reached - named and "$" in one.host.root]
    public = [one for one in answering if any(is_public(*listen.socket) for listen in one.host.listens)]
    found.elsewhere = [server for server in public if not _is_in(server, known)]
    return found


def obstacles(tree: Tree, configuration: Configuration, found: Found) -> Iterator[Obstacle]:
    """Why the server blocks cannot be edited so that the portal is served well."""
    roots = {tree.real(root.rstrip("/")) for root in found.desired.roots}
    for server in found.elsewhere:
        yield _elsewhere(tree, server, found)
    yield from _behind_another_server(found)
    yield from _behind_a_proxy(found)
    for server in (*found.portal, *found.redirect):
        for item in every(server.block.block or (), "listen"):
            refusal = _unasked(item, found)
            if refusal:
                yield Obstacle.at(item, *refusal)
    yield from _unreached(found)
    yield from _other_status(configuration, found)
    for server in found.portal:
        root = server.host.root.rstrip("/")
        if root and tree.real(f"{root}/public") in roots:
            yield Obstacle.at(
                server.host,
                f"root is {root}, the project directory with its secrets and programs",
                f"Set root to {root}/public there",
            )
        for other, socket in found.displaced(server):
            yield Obstacle.at(
                other.host,
                f"this site answers on {socket} to every name that no other has, because it is read first; the portal "
                "would be read before it",
                'Write default_server behind "listen" in this server block',
            )


def _unasked(item: Directive, found: Found) -> tuple[str, str] | None:
    """Why an address does not answer, to requests of this host or by https, and what to do."""
    if "proxy_protocol" in item.arguments:
        return PROXY_PROTOCOL
    if not found.desired.tls or not item.arguments or "quic" in item.arguments:
        return None
    socket = nginx.parse_listen(item.arguments).socket
    there = found.sockets.get(socket, [])  # one of them that speaks TLS has all of them speak it
    plain = socket[1] == 443 and is_public(*socket) and not any(listen.tls for _server, listen in there)
    return PLAIN_443 if plain else None


def _has_root(tree: Tree, server: Server, roots: set[str], nested: bool) -> bool:
    """``nested``: a location with the root counts as well. By other names, it is a part of another site."""
    level = server.block.block or ()
    found = [server.host.root]
    if nested:
        found += [
            nginx.with_variables(item.arguments[0], level) for item in every(walk(level), "root") if item.arguments
        ]
    return any(tree.real(path.rstrip("/")) in roots for path in found if path.startswith("/"))


def _handed_on(server: Server) -> str:
    """The address to which the whole site is handed on, or an empty text."""
    level = server.block.block or ()
    fronts = (item.block or () for item in every(level, "location") if item.arguments in FRONT)
    return next((item.arguments[0] for front in fronts for item in every(front, "proxy_pass") if item.arguments), "")


def _is_front(server: Server, found: Found) -> bool:
    """Whether it hands on to what serves the portal on this host.

    That is a server block of this nginx, perhaps by way of a cache, or a program of its own, such as in a container.
    """
    target = _handed_on(server)
    if not found.is_here(target):
        return False
    if not found.portal:
        return not found.apache
    behind = [listen for one in found.portal for listen in one.host.listens]
    ports = {int(port) for address in found.behind(target) for port in re.findall(r":(\d+)$", address)}
    if any(listen.port in ports and listen.address in ("*", "[::]", *_LOCAL) for listen in behind):
        return True
    # Of two that have its name, one cannot be reached by visitors: a program such as Varnish is between them.
    known = {port for _address, port in found.sockets}
    named = any(nginx.by_name(found.portal, name) for name in _all_names(found.desired))
    return named and not any(is_public(*listen.socket) for listen in behind) and not ports & known


def _elsewhere(tree: Tree, server: Server, found: Found) -> Obstacle:
    target, host, desired = _handed_on(server), server.host, found.desired
    if target:
        return _another_server(server, target)
    if "$" in host.root:
        lines = f'"server_name {desired.domain};" and "root {public_of(desired.roots)};"'
        return Obstacle.at(host, *by_name(host.root, lines))
    roots = {tree.real(root.rstrip("/")) for root in desired.roots}
    for path, location in prefixes(server.block.block or (), ""):
        for item in every(location.block or (), "alias"):
            if item.arguments and tree.real(item.arguments[0].rstrip("/")) in roots:
                return Obstacle.at(location, *below(path, desired.domain))
    return Obstacle.at(
        host,
        f"{desired.domain} is served from {host.root or 'no directory'}, where no portal is",
        "Set root to the directory public of the portal, or chamilo_root to where the portal is; where it has https "
        f"already, you may lead visitors there instead (return 301 https://{desired.domain}$request_uri;)",
    )


def _other_status(configuration: Configuration, found: Found) -> Iterator[Obstacle]:
    """Our locations inherit the pages of the server block, or of http where it has none."""
    http = [
        item for block in every(configuration.directives, "http") for item in every(block.block or (), "error_page")
    ]
    for server in found.portal:
        for item in list(every(server.block.block or (), "error_page")) or http:
            *statuses, page = item.arguments or ("",)
            changes = any(word[0] == "=" and word != "=403" for word in statuses) or page.startswith("http")
            if "403" in statuses and changes:
                yield Obstacle.at(item, *other_status(item.written))


def _unreached(found: Found) -> Iterator[Obstacle]:
    """Of a portal in server blocks without a name, which are not asked for want of a better either."""
    domain = found.desired.domain
    named, default = nginx.answering(found.servers, domain)
    known = [*found.portal, *found.redirect]
    if named or not default or not found.portal or any(_is_in(one, known) for one in default):
        return
    if not any(found.names(server) for server in found.portal):
        other = default[0].host
        place = f"{other.file} line {other.line}"
        yield Obstacle.at(found.portal[0].host, *unreached(domain, place, f"server_name {domain};"))


def _another_server(server: Server, target: str) -> Obstacle:
    return Obstacle.at(
        server.host,
        f"the portal is handed on to {re.sub(r'(?<=://)[^/@]*@', '', target)}: nothing of PHP is here",
        "Run chamilo.hardening against the host and web server that run its PHP, with chamilo_trusted_proxies and "
        "chamilo_https_terminated_elsewhere for this one",
    )


def _behind_another_server(found: Found) -> Iterator[Obstacle]:
    if any(item.name == "fastcgi_pass" for server in found.portal for item in walk(server.block.block or ())):
        return
    for server in found.portal:
        target = _handed_on(server)
        if target and (found.apache or not found.is_here(target)):
            yield _another_server(server, target)


def _behind_a_proxy(found: Found) -> Iterator[Obstacle]:
    public = [one for one in (*found.portal, *found.redirect) if any(is_public(*it.socket) for it in one.host.listens)]
    if found.desired.tls and found.portal and not public:
        yield Obstacle.at(
            found.portal[0].host,
            "no server block of the portal listens on port 80 or 443 of an address that visitors reach",
            "If a proxy speaks https for it, set chamilo_https_terminated_elsewhere and chamilo_trusted_proxies; else "
            'write "listen 80;" into this server block',
        )


def pages(found: Found, desired: DesiredHost) -> Iterator[Page]:
    """The addresses that the owner wrote down, under each name and scheme."""
    for server in (*found.portal, *found.redirect):
        paths = ["/"]
        if _is_in(server, found.portal):
            paths += [path for path in _paths(server.block.block or ()) if not path.startswith("/.well-known")]
        schemes = sorted({"https" if one.tls else "http" for one in server.host.listens if is_public(*one.socket)})
        for name in found.names(server) or [desired.domain]:
            for scheme in schemes:
                yield from (Page(scheme, name, path) for path in dict.fromkeys(paths))


def _paths(level: Iterable[Directive]) -> Iterator[str]:
    for item in every(walk(level), "location"):
        if item.arguments and item.arguments[0] not in ("~", "~*") and PATH.fullmatch(item.arguments[-1]):
            internal = any(every(item.block or (), "internal"))
            if not internal:
                yield item.arguments[-1]
