# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is planned for virtual hosts: what is written into those of an owner, or is in the way of one of ours."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .._webserver import access_rules, apache, edits, nginx, own_host
from .._webserver.configuration import Server
from .._webserver.in_place import DesiredHost
from .._webserver.planned import AccessFile, InPlace, OwnHost
from .discovery import Hosts, answering_of, roots_of
from .site import Site, include_line


@dataclass(frozen=True)
class Planned:
    """Given to ``discover``. What is desired of an owner's virtual host: see ``DesiredHost``."""

    once: frozenset[str] = frozenset()
    headers: frozenset[str] = frozenset()
    tls: bool = False

    def __call__(self, site: Site, hosts: Hosts) -> Site:
        web, tree = site.web, hosts.tree
        if not web.name:
            return site
        roots = roots_of(tree, site.root, hosts.servers)
        in_place = self.in_place(site, hosts, roots)
        named, fallback = answering_of(web.name)(hosts.servers, hosts.domain)
        own = [server for server in (*named, *fallback) if server.host.root.rstrip("/") in roots]
        files = access_files(site, hosts, own) if web.name == "apache" else ()
        portal = own_host.Portal(hosts.domain, roots, f"chamilo-{hosts.site}.conf")
        lost = access_rules.unwritable(files)
        why = own_host.refused(portal, web.name, hosts.configuration, hosts.servers, named, in_place, lost)
        lines, php = own_host.kept(web.name, named)
        before = named or [server for server in fallback if server.host.root == f"{site.root}/public"]
        inherited = (nginx if web.name == "nginx" else apache).inherited(hosts.configuration)
        logs = own_host.logs([server.host for server in before], inherited)
        foreign = [server for server in named if not server.host.ours]
        return replace(
            site,
            in_place=in_place,
            redirected=edits.to_https(web.name, hosts.configuration, foreign, hosts.domain),
            own_host=OwnHost(why, lines, php, **logs),
            access_files=files,
        )

    def in_place(self, site: Site, hosts: Hosts, roots: frozenset[str]) -> InPlace:
        """What is written into the virtual hosts of an owner. Our own are none, and so have none of it."""
        drop_ins = posixpath.dirname(include_line(site.web, hosts.site).split()[1])
        once, headers = edits.shared(hosts.tree, drop_ins)
        desired = DesiredHost(
            site=hosts.site,
            domain=hosts.domain,
            names=frozenset(site.portal_names),
            roots=roots,
            drop_ins=drop_ins,
            headers=frozenset(map(str.lower, self.headers)) | headers,
            tls=self.tls,
            once=self.once | once,
        )
        return edits.plan(hosts.tree, site.web.name, site.web.version, hosts.configuration, desired)


def access_files(site: Site, hosts: Hosts, own: Sequence[Server]) -> tuple[AccessFile, ...]:
    """What .htaccess files of the portal close."""
    kept = (site.root, f"{site.root}/public", *(server.host.root for server in own))
    try:
        return access_rules.access_files(hosts.tree, hosts.configuration, own, kept, site.php.user)
    except OSError as problem:  # what cannot be seen may close something
        unseen = f"access rules in .htaccess files cannot be searched: {problem.strerror}"
        return (AccessFile(site.root, lost=unseen),)
