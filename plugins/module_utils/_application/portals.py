# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All portals of Chamilo on a host, by their virtual hosts and directories, before anything is known of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .._common.naming import is_name
from .._common.tree import Tree
from .._webserver.configuration import VirtualHost
from .discovery import discover, unfit
from .project import PLACES, Findings, Projects

_UNPRIVILEGED = "localhost"  # no portal has this name, so that each virtual host is judged by its directory alone


@dataclass(frozen=True)
class Portal:
    """``domain`` is empty where no virtual host names it. ``obstacles``: why it cannot be hardened as it is."""

    domain: str
    names: tuple[str, ...]
    root: str
    web_server: str
    php: str
    database: str
    version: str
    obstacles: tuple[str, ...]


def portals(sections: Iterable[str] = (), tree: Tree | None = None) -> list[Portal]:
    """The portals of this host, by name."""
    tree = tree or Tree()
    projects = Projects(Findings(tree), _UNPRIVILEGED)
    served: dict[str, list[VirtualHost]] = {}
    roots: dict[str, str] = {}
    for host in discover(_UNPRIVILEGED, tree=tree).virtual_hosts:
        root = projects.project(host.root)
        if root:
            roots.setdefault(tree.real(root), root)
            served.setdefault(tree.real(root), []).append(host)
    for path in (path for pattern in PLACES for path in tree.glob(pattern) if projects.is_chamilo(path)):
        roots.setdefault(tree.real(path), path)
    found = [_portal(root, served.get(real, []), tuple(sections), tree) for real, root in roots.items()]
    return sorted(found, key=lambda portal: (portal.domain, portal.root))


def _portal(root: str, hosts: Sequence[VirtualHost], sections: Sequence[str], tree: Tree) -> Portal:
    names = list(dict.fromkeys(name for host in hosts for name in host.names if is_name(name)))
    # Where visitors arrive at last: the first name that is served over TLS.
    secure = [name for host in hosts if any(one.tls for one in host.listens) for name in host.names if name in names]
    domain = next((name for name in (*secure, *names) if not name.startswith("*.")), "")
    site = discover(domain or _UNPRIVILEGED, root=root, tree=tree, names=[])
    obstacles = [*site.errors, *(each.why for one in unfit(site, tree) for each in one.of(sections))]
    if not domain:
        obstacles.insert(0, "No virtual host names this portal. Set chamilo_domain to the name that visitors use.")
    server = f"{site.web.name} {site.web.version}".strip()
    return Portal(
        domain=domain,
        names=tuple(dict.fromkeys([*([domain] if domain else []), *names, *(site.portal_names if domain else ())])),
        root=root,
        web_server=server,
        php=f"{site.php.version} as {site.php.user}" if site.php.version else "",
        database=site.database.name and f"{site.database.name} on {site.database.host or 'localhost'}",
        version=site.version,
        obstacles=tuple(dict.fromkeys(obstacles)),
    )
