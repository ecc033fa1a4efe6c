# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apache: what a VirtualHost of the portal serves beside it, or instead of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from .._common.tree import Tree
from .beside import everything
from .configuration import Configuration, Directive, Server, every, is_public, walk
from .in_place import PLAIN_443, PROXY_PROTOCOL, DesiredHost, below, by_name, other_status, public_of
from .planned import Obstacle

_LITERAL = re.compile(r"/[\w./@~+-]*", re.ASCII)


def refusal(server: Server, tree: Tree, roots: set[str], desired: DesiredHost) -> tuple[str, str] | None:
    """Why a VirtualHost is not edited for what it serves or for how it is reached, and what to do."""
    return misplaced(server, tree, roots, desired) or unasked(server, desired)


def misplaced(server: Server, tree: Tree, roots: set[str], desired: DesiredHost) -> tuple[str, str] | None:
    """Why its document root is not the portal's, and what to do: our rules would break another program there."""
    root, domain = server.host.root.rstrip("/"), desired.domain
    if "%" in root:
        lines = f'"ServerName {domain}" and "DocumentRoot {public_of(desired.roots)}"'
        return by_name(root, f"{lines} instead of VirtualDocumentRoot")
    if root and tree.real(f"{root}/public") in roots:
        return (
            f"DocumentRoot is {root}, the project directory with its secrets and programs",
            f"Set DocumentRoot to {root}/public there",
        )
    if root and tree.real(root) not in roots and not _reaches(server, tree, roots):
        for item in walk(server.block.block or ()):
            if item.name in ("alias", "aliasmatch") and tree.real(_directory(item)) in roots:
                return below(item.arguments[0], domain)
        return (
            f"{domain} is served from {root}, where no portal is",
            "Set DocumentRoot to the directory public of the portal, or chamilo_root to where the portal is; where it "
            f"has https already, you may lead visitors there instead (Redirect permanent / https://{domain}/)",
        )
    return None


def other_statuses(server: Server, configuration: Configuration) -> Iterator[Obstacle]:
    """Pages of their own for what is refused, which are answered with a status of theirs."""
    outside = (item for item in configuration.directives if item.name != "virtualhost")
    for item in every(walk([*outside, *(server.block.block or ())]), "errordocument"):
        page = item.arguments[-1] if item.arguments[:1] == ("403",) else ""
        if page.startswith("http") or re.fullmatch(r"/\S*\.php\S*", page):
            yield Obstacle.at(item, *other_status(item.written))


def unasked(server: Server, desired: DesiredHost) -> tuple[str, str] | None:
    """Why visitors, or this host itself, would not get an answer by https, and what to do."""
    for item in every(server.block.block or (), "remoteipproxyprotocol"):
        if item.arguments[:1] and item.arguments[0].lower() == "on":
            return PROXY_PROTOCOL
    plain = any(one.port == 443 and not one.tls and is_public(*one.socket) for one in server.host.listens)
    # A section for any port leaves this one to the section for https.
    if desired.tls and plain and any(address.endswith(":443") for address in server.block.arguments):
        return PLAIN_443
    return None


def _reaches(server: Server, tree: Tree, roots: set[str]) -> bool:
    """Whether the portal is reached by another way than the document root."""
    if any(not alias.path and tree.real(alias.directory) in roots for alias in server.host.aliases):
        return True
    return any(_handed_on(server))


def _handed_on(server: Server) -> Iterator[tuple[str, bool]]:
    """Where a VirtualHost hands on requests for any address, and whether it does so with all of them."""
    condition = False
    for item in server.block.block or ():
        words = item.arguments
        if item.name == "location" and words[-1:] == ("/",):
            yield from ((one.arguments[0], True) for one in every(item.block or (), "proxypass") if one.arguments)
        elif item.name in ("proxypass", "proxypassmatch", "rewriterule") and len(words) > 1:
            proxied = item.name != "rewriterule" or re.search(r"[\[,]\s*(?:P|proxy)\s*[\],]", words[-1])
            if proxied and everything(words[0]):
                yield words[1], not (condition and item.name == "rewriterule")
        condition = item.name == "rewritecond" or (condition and item.name != "rewriterule")


def _directory(item: Directive) -> str:
    """Where an alias leads."""
    return re.sub(r"/?(?:\$\d)?$", "", item.arguments[-1])


def elsewhere(server: Server) -> tuple[str, str] | None:
    """Why nothing of the portal's PHP is here, where all requests go to another host, and what to do."""
    for target in (target for target, always in _handed_on(server) if always):
        found = re.match(r"(?:https?|wss?|h2c?|ajp)://(\[[^\]]*\]|[^/:]+)", target)
        if found and not re.fullmatch(r"localhost|127\.[\d.]+|\[::1\]|[\w-]+|.*[%$].*", found[1]):
            return (
                f"all requests are handed on to {found[1]}, which is another host",
                "Harden the portal on that host, under the name it has there",
            )
    return None


def paths(level: Iterable[Directive]) -> Iterator[str]:
    """Addresses that are written as they are."""
    for item in walk(level):
        words = [word for word in item.arguments if word.startswith(("/", "^/"))]
        if item.name in ("location", "alias", "scriptalias", "proxypass", "redirect", "redirectpermanent"):
            words = words[:1]
        elif item.name == "rewriterule":
            words = [re.sub(r"^\^?/?", "/", item.arguments[0])] if item.arguments else []
            words = [re.sub(r"(?:.\?)?\$?$", "", word) for word in words]
        else:
            continue
        for path in words:
            if _LITERAL.fullmatch(path) and path != "/":
                yield path
