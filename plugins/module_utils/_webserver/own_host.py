# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual host that this collection writes where a portal has none, and why each way to a virtual host is refused.

Versions before wrote it in place of an owner's: then it has lines of his, which stay.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .._common.tree import Place
from . import nginx
from .configuration import Configuration, Directive, Server, VirtualHost, every, is_public, sockets, walk
from .planned import InPlace

_MOST = 6  # lines that one message names
_ENABLED = "/etc/nginx/sites-enabled"
_OF_PHP = ("php_value", "php_flag", "php_admin_value", "php_admin_flag", "fastcgi_param")
_PHP_PARAMETERS = ("PHP_VALUE", "PHP_ADMIN_VALUE")
_WAITS = ("proxytimeout", "timeout", "fastcgi_read_timeout", "fastcgi_send_timeout", "fastcgi_connect_timeout")
_LOGS = ("customlog", "logformat", "access_log")
# One that no template takes for its own. The others somebody wrote into a file that says that changes are lost.
_LINE = re.compile(r"(?!.*\{[{%#])[ -~]+")


@dataclass(frozen=True)
class Portal:
    """What ours will serve."""

    domain: str
    roots: frozenset[str]  # what leads to its document root, or to the project directory, where it does not belong
    link: str  # the name in sites-enabled under which it is read


def refused(
    portal: Portal,
    web_server: str,
    configuration: Configuration,
    servers: Sequence[Server],
    serving: Sequence[Server],
    in_place: InPlace,
    unwritable: Sequence[Place] = (),
) -> dict[str, str]:
    """Why it is not done, for each value of chamilo_https_vhost.

    ``unwritable``: access rules that would be lost, whoever writes the virtual host.
    """
    lost = (
        [
            f"Access rules of {portal.domain} would be lost: {_written(unwritable)}. They can be kept only where the "
            "file can be read, and the name of its directory written into a configuration of Apache. Mend the file or "
            "rename the directory, or remove it if it is none of yours."
        ]
        if unwritable
        else []
    )
    owners = [(block.file, block.line) for block in in_place.blocks if block.kind == "portal"]
    owners += [(server.host.file, server.host.line) for server in serving if not server.host.ours]
    theirs = "; ".join(_some([f"{file} line {line}" for file, line in dict.fromkeys(owners)]))
    there = [f"{portal.domain} has a virtual host of its owner's: {theirs}. "] if owners else []
    first = [] if owners else [*_goes_dark(portal, web_server, servers, serving), *_unread(web_server, configuration)]
    edited = [
        f"{one.file} line {one.line}: {one.what.rstrip('.')}. {one.remedy.rstrip('.')}." for one in in_place.obstacles
    ]
    if in_place.blocks or edited:
        automatic = _some(edited)
    else:
        automatic = [*(f"{text}Remove it, so that one of this collection can be written." for text in there), *first]
    managed = [
        f"{text}Leave chamilo_https_vhost out, which keeps it, or remove it, so that one of this collection can be "
        "written."
        for text in there
    ]
    why = {"include": lost, "managed": [*managed, *first, *lost], "auto": [*automatic, *lost]}
    return {value: " ".join(reasons) for value, reasons in why.items() if reasons}


def kept(web_server: str, serving: Iterable[Server]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The lines of an owner's in ours, from the time when it took the place of his: those of PHP, waits and logs.

    The log that ours goes on with in any case is not among them. The second part: where nginx hands requests to PHP.
    """
    own = [server for server in serving if server.host.ours]
    log = next((server.host.access_log for server in own if server.host.access_log not in ("", "off")), "")
    level = [item for server in own for item in server.block.block or () if item.file == server.block.file]
    lines = [item.written for item in level if _is_kept(item) and item.rest not in (log, "off")]
    inner = [item for section in level if web_server == "nginx" for item in walk(section.block or ())]
    php = [item.written for item in inner if _is_kept(item) and item.name not in _LOGS]
    return tuple(dict.fromkeys(lines)), tuple(dict.fromkeys(php))


def logs(hosts: Sequence[VirtualHost], inherited: VirtualHost) -> dict[str, str]:
    """The logs that ours goes on with: of what serves the portal until then, or of any virtual host without its own."""
    known = [host for host in hosts if host.access_log] or [inherited]
    access = next((host for host in known if host.access_log != "off"), known[0])  # what redirects alone often has none
    return {
        "access_log": access.access_log,
        "access_log_file": access.access_log_file,
        "error_log": next((host.error_log for host in (*hosts, inherited) if host.error_log), ""),
    }


def _is_kept(item: Directive) -> bool:
    if _LINE.fullmatch(item.written) is None:
        return False
    if item.name == "fastcgi_param":
        return item.arguments[:1] != () and item.arguments[0] in _PHP_PARAMETERS
    return item.name in (*_OF_PHP, *_WAITS, *_LOGS)


def _goes_dark(portal: Portal, web_server: str, servers: Sequence[Server], serving: Sequence[Server]) -> Iterator[str]:
    places = _sorted(_displaced(portal, web_server, servers, serving))
    if places:
        yield (
            f"The virtual host of {portal.domain} was not written, because another site would go dark: "
            f"{_written(places)}. Do so."
        )


def _unread(web_server: str, configuration: Configuration) -> Iterator[str]:
    """The package of nginx's own makers does not read Debian's directory for virtual hosts."""
    if web_server != "nginx" or configuration.problems:
        return
    lines = (line for http in every(configuration.directives, "http") for line in every(http.block or (), "include"))
    patterns = (posixpath.join(posixpath.dirname(nginx.MAIN), line.arguments[0]) for line in lines if line.arguments)
    if not any(fnmatch.fnmatchcase(f"{_ENABLED}/chamilo-campus.conf", pattern) for pattern in patterns):
        yield (
            f'{nginx.MAIN}: the line "include {_ENABLED}/*;" is missing from its section http, so the virtual host of '
            "this collection would not be read. Add the line there."
        )


def _displaced(
    portal: Portal, web_server: str, servers: Sequence[Server], serving: Sequence[Server]
) -> Iterator[Place]:
    """Other sites without a name, which answer for being read first: ours would be read before them."""
    directory, remedy = {
        "nginx": (_ENABLED, 'write default_server behind "listen"'),
        "apache": ("/etc/apache2/sites-enabled", f"rename its link so that it comes before {portal.link}"),
    }[web_server]
    addresses = {listen.address for server in serving for listen in server.host.listens} or {"*", "[::]"}
    for (address, port), candidates in sockets(servers).items():
        if address not in addresses or not is_public(address, port):
            continue
        foremost = candidates[0][0]
        host = foremost.host
        link = host.enabled_by or host.file
        if (
            not any(listen.default for _server, listen in candidates)
            and foremost not in serving
            and not (host.ours or host.root.rstrip("/") in portal.roots or _has_name(foremost))
            and posixpath.dirname(link) == directory
            and posixpath.basename(link) > portal.link
        ):
            what = f"{foremost.block.written} without a name, and no longer the first one that is read: {remedy}"
            yield Place(host.file, host.line, what)


def _has_name(server: Server) -> bool:
    """Whether visitors can reach it by a name that is written in it."""
    written = every(server.block.block or (), "server_name", "servername", "serveralias")
    return any("." in name for item in written for name in item.arguments)


def _written(places: Iterable[Place]) -> str:
    return "; ".join(_some([f"{place.file} line {place.line}: {place.what}" for place in places]))


def _some(found: Sequence[str]) -> list[str]:
    """As many as fit on a screen."""
    more = len(found) - _MOST
    return [*found[:_MOST], *([f"and {more} more, named when these are solved"] if more > 0 else [])]


def _sorted(places: Iterable[Place]) -> tuple[Place, ...]:
    return tuple(sorted(set(places), key=lambda place: (place.file, place.line)))
