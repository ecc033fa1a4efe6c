# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""What goes when the virtual host that this collection writes takes the place of an owner's, and why it may not.

It does where no virtual host serves the portal, and where its administrator has chosen so.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.chamilo.hardening.plugins.module_utils._portal import apache, nginx
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.carried import carried
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import (
    Configuration,
    Listen,
    Place,
    Server,
    Takeover,
    VirtualHost,
    every,
    is_public,
    walk,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.in_place import InPlace

_MOST = 6  # lines that one message names
_ENABLED = "/etc/nginx/sites-enabled"
_IF_FOR_HTTPS = re.compile(r"\( ?\$(scheme|https|host|http_host|server_port)[ )]")


@dataclass(frozen=True)
class Portal:
    """What ours will serve."""

    domain: str
    roots: frozenset[str]  # what leads to its document root, or to the project directory, where it does not belong
    link: str  # the name in sites-enabled under which it is read


def assess(
    portal: Portal,
    web_server: str,
    configuration: Configuration,
    servers: Sequence[Server],
    serving: Sequence[Server],
    closed: Sequence[Place] = (),
) -> Takeover:
    """What has to go for ours, and what would be lost with it.

    ``closed``: access rules outside of the virtual host that would no longer count in ours.
    """
    main = {"nginx": nginx.MAIN, "apache": apache.MAIN}[web_server]
    foreign = [server for server in serving if not server.host.ours]
    files = tuple(dict.fromkeys(server.host.file for server in foreign))
    neighbours: list[Place] = []
    for file in files:
        if file == main:
            neighbours += (server.block.place for server in foreign if server.host.file == file)
            continue
        for server in servers:
            if server.host.file == file and not (server in foreign and _is_root(server.host.root, portal)):
                neighbours += _other_names(server, portal.domain)
    neighbours += _displaced(portal, web_server, servers, serving)
    enabled = [path for file in files if file != main for path in configuration.links.get(file, [file])]
    redirected = any(
        _to_https(argument.rstrip("?"), portal.domain)
        for server in foreign
        for item in server.block.block or ()
        if item.name != "if" or web_server != "nginx" or _IF_FOR_HTTPS.match(" ".join(item.arguments))
        for directive in walk([item])
        if not configuration.is_ours(directive.file)  # by these, this host itself is let through
        for argument in directive.arguments
    )
    own = [server for server in servers if server in serving or _is_root(server.host.root, portal)]
    kept = carried(web_server, configuration, own)
    return Takeover(
        files,
        tuple(dict.fromkeys(enabled)),
        _sorted(neighbours),
        redirected,
        tuple(closed),
        unread=web_server == "nginx" and not (configuration.problems or _reads_ours(configuration)),
        carried=kept.lines,
        carried_php=kept.php,
        uncarried=kept.lost,
    )


def refused(
    domain: str,
    found: Takeover,
    in_place: InPlace,
    include: str,
    unwritable: Sequence[Place] = (),
) -> dict[str, str]:
    """Why it is not done, for each value of chamilo_https_vhost that asks for it.

    ``include``: the line that its owner may add instead. ``unwritable``: access rules that would be lost even then.
    """
    why = {}
    if unwritable:
        why["include"] = (
            f"Access rules of {domain} would be lost: {_written(unwritable)}. They can be kept only where the file can "
            "be read, and the name of its directory written into a configuration of Apache. Mend the file or rename "
            "the directory, or remove it if it is none of yours."
        )
    reasons = []
    if found.closed:
        reasons.append(
            f"Access rules of {domain} would be lost: {_written(found.closed)}. The virtual host of this collection "
            f"allows all clients and reads no .htaccess. Set chamilo_https_vhost to auto, which keeps the portal's own "
            "virtual host, or remove these rules if they are none of yours."
        )
    if found.neighbours:
        shared = any(place.file in found.files for place in found.neighbours)
        remedy = "Give each of the other sites a file of its own." if shared else "Do so."
        reasons.append(
            f"{domain} was left as it is, because another site would go dark: {_written(found.neighbours)}. {remedy} "
            f"Or keep the portal's own virtual host: set chamilo_https_vhost to include and add the line "
            f'"{include}" to it.'
        )
    if found.uncarried:
        reasons.append(
            f"Lines of the virtual host of {domain} would be lost: {_written(found.uncarried)}. The one of this "
            "collection goes on with settings of PHP, timeouts and logs whose values are plain, and none that may be a "
            "secret. "
            "Move these lines to PHP's own configuration, or set chamilo_https_vhost to auto, which keeps the portal's "
            "own virtual host."
        )
    if found.unread:
        reasons.append(
            f'{nginx.MAIN}: the line "include {_ENABLED}/*;" is missing from its section http, so the virtual host of '
            "this collection would not be read. Add the line there."
        )
    if reasons:
        why["managed"] = " ".join(reasons)
    if in_place.blocks or in_place.obstacles:
        obstacles = [
            f"{one.file} line {one.line}: {one.what.rstrip('.')}. {one.remedy.rstrip('.')}."
            for one in in_place.obstacles
        ]
        obstacles += [why["include"]] if unwritable else []
        if obstacles:
            why["auto"] = " ".join(_some(obstacles))
    elif reasons:
        why["auto"] = why["managed"]
    return why


def twice(domain: str, serving: Sequence[VirtualHost], desired: str, ours: Mapping[str, str]) -> str:
    """Why our drop-ins do not fit into the virtual host that its owner keeps, or an empty text.

    ``desired``: chamilo_https_vhost, where it counts. ``ours``: what ours say of directives that nginx takes
    once in a server block. Where its owner says the same in all of them, ours need not.
    """
    if desired != "include":
        return ""
    wrong: list[Place] = []
    for name, value in ours.items():
        messages = [place for host in serving for place in host.once if place.what.split()[0] == name]
        same = [place for place in messages if place.what.lower() == f"{name} {value}".lower()]
        if len(same) < len(messages) or 0 < len(messages) < len(serving):
            wrong += messages
    if not wrong:
        return ""
    places = _written(_sorted(wrong))
    named = sorted({place.what.split()[0] for place in wrong})
    instead = " and ".join(f'"{name} {ours[name]};"' for name in named)
    return (
        f"The virtual host of {domain} sets what nginx accepts once, and what the line that includes our files sets as "
        f"well: {places}. Remove these lines from it: our files set {instead} in all of it."
    )


def _written(places: Iterable[Place]) -> str:
    return "; ".join(_some([f"{place.file} line {place.line}: {place.what}" for place in places]))


def _some(found: Sequence[str]) -> list[str]:
    """As many as fit on a screen."""
    more = len(found) - _MOST
    return [*found[:_MOST], *([f"and {more} more, named when these are solved"] if more > 0 else [])]


def _sorted(places: Iterable[Place]) -> tuple[Place, ...]:
    return tuple(sorted(set(places), key=lambda place: (place.file, place.line)))


def _displaced(
    portal: Portal, web_server: str, servers: Sequence[Server], serving: Sequence[Server]
) -> Iterator[Place]:
    """Other sites without a name, which answer for being read first: ours would be read before them."""
    directory, remedy = {
        "nginx": (_ENABLED, 'write default_server behind "listen"'),
        "apache": ("/etc/apache2/sites-enabled", f"rename its link so that it comes before {portal.link}"),
    }[web_server]
    addresses = {listen.address for server in serving for listen in server.host.listens} or {"*", "[::]"}
    sockets: dict[tuple[str, int], list[tuple[Server, Listen]]] = {}
    for server in servers:
        for listen in server.host.listens:
            if listen.address in addresses and is_public(listen.address, listen.port):
                sockets.setdefault((listen.address, listen.port), []).append((server, listen))
    for candidates in sockets.values():
        foremost = candidates[0][0]
        host = foremost.host
        link = host.enabled_by or host.file
        if (
            not any(listen.default for _server, listen in candidates)
            and foremost not in serving
            and not (host.ours or _is_root(host.root, portal) or _has_name(foremost))
            and posixpath.dirname(link) == directory
            and posixpath.basename(link) > portal.link
        ):
            what = f"{foremost.block.written} without a name, and no longer the first one that is read: {remedy}"
            yield Place(host.file, host.line, what)


def _has_name(server: Server) -> bool:
    """Whether visitors can reach it by a name that is written in it."""
    written = every(server.block.block or (), "server_name", "servername", "serveralias")
    return any("." in name for item in written for name in item.arguments)


def _other_names(server: Server, domain: str) -> Iterator[Place]:
    """Those of another site, which stands in the same file."""
    if set(server.host.names) == {domain}:
        return
    written = list(every(server.block.block or (), "server_name", "servername", "serveralias"))
    for item in written:
        if any(name.lower() != domain for name in item.arguments):
            yield item.place
    if not written:
        yield Place(server.block.file, server.block.line, f"{server.block.written} without a name")


def _is_root(path: str, portal: Portal) -> bool:
    return path.rstrip("/") in portal.roots


def _to_https(target: str, domain: str) -> bool:
    """Whether a redirect goes to the same address under https."""
    host = rf"(?:\$host|\$server_name|\$http_host|%\{{(?:SERVER_NAME|HTTP_HOST)\}}|{re.escape(domain)})"
    path = r"/?(?:\$request_uri|%\{REQUEST_URI\}|\$uri|\$1|%1|)"
    return re.fullmatch(rf"https://{host}(?::443)?{path}", target, re.IGNORECASE) is not None


def _reads_ours(configuration: Configuration) -> bool:
    """Whether nginx reads Debian's directory for virtual hosts; the upstream package does not."""
    lines = (line for http in every(configuration.directives, "http") for line in every(http.block or (), "include"))
    patterns = (posixpath.join(posixpath.dirname(nginx.MAIN), line.arguments[0]) for line in lines if line.arguments)
    return any(fnmatch.fnmatchcase(f"{_ENABLED}/chamilo-campus.conf", pattern) for pattern in patterns)
