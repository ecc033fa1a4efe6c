# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual hosts that a hosting panel or another tool writes again: recognised by what they write, and never edited.

Each has a place for directives of its owner's, which it keeps. An include line that is active from there is accepted.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .configuration import Configuration, Directive, Server, every, walk
from .in_place import DesiredHost
from .planned import Obstacle


@dataclass(frozen=True)
class _Panel:
    name: str
    path: str  # how its files are called
    text: str  # the text of those whose name is not specific
    place: str  # where more directives go: more on each is in docs/recipes.md

    def wrote(self, server: Server, text: str) -> bool:
        names = (server.host.file, server.host.enabled_by)
        return any(re.search(self.path, name) for name in names if name) and (
            re.search(self.text, text, re.MULTILINE) is not None
        )


_AAPANEL = "in aaPanel under Website > {site} > URL rewrite, or Config where there is none"
_PANELS = (
    _Panel(
        "Plesk",
        r"/plesk\.conf\.d/|^/var/www/vhosts/system/[^/]+/conf/",
        "",
        "in Plesk under Domains > {site} > Apache & nginx Settings, in the field of more directives for {web}{tls}",
    ),
    _Panel(
        "HestiaCP",
        r"^/etc/(?:nginx|apache2|httpd)/conf\.d/domains/|^/home/[^/]+/conf/web/",
        r"/conf/web/|/(?:nginx|apache2)/domains/",
        "to a file {service}{ssl}.conf_chamilo in /home/USER/conf/web/{site}, which HestiaCP includes and keeps",
    ),
    _Panel("aaPanel", r"^/www/server/", "", _AAPANEL),
    _Panel("aaPanel", "", r"/www/server/panel/|^\s*#PHP-INFO-START", _AAPANEL),
    _Panel(
        "CloudPanel",
        "",
        r"/etc/nginx/global_settings\b|/etc/nginx/ssl-certificates/",
        'in CloudPanel under Sites > {site} > Vhost, behind "server_name" of each server block',
    ),
    _Panel(
        "ISPConfig",
        r"\.vhost$",
        r"/var/www/clients/client\d|/var/log/ispconfig/|ispconfig",
        'in ISPConfig under Sites > Website > {site} > Options, in the field "{web} Directives"',
    ),
    _Panel(
        "Virtualmin",
        "",
        r"/var/log/virtualmin/|/etc/ssl/virtualmin/",
        "in Virtualmin under {site} > Web Configuration > Configure Website > Edit Directives",
    ),
    _Panel(
        "A tool",
        "",
        r"(?i)\A(?:\s*#.*\n){0,20}?\s*#.*\b(?:do not (?:manually )?(?:edit|modify|change)\b"
        r"|(?:ansible|puppet|chef|salt) managed|managed by (?:ansible|puppet|chef|salt))",
        "to the template from which that tool writes it",
    ),
)


def rewritten(web: str, server: Server, configuration: Configuration, desired: DesiredHost) -> Obstacle | None:
    """Why a virtual host cannot be edited, if a panel or another tool writes it. See ``includes``."""
    text = configuration.texts.get(server.host.file, "")
    panel = next((panel for panel in _PANELS if panel.wrote(server, text)), None)
    if panel is None:
        return None
    nginx, tls = web == "nginx", any(listen.tls for listen in server.host.listens)
    place = panel.place.format(
        site=_site(server, desired.domain),
        web="nginx" if nginx else "Apache",
        tls=", for HTTPS" if tls else "",
        service="nginx" if nginx else "apache2",
        ssl=".ssl" if tls else "",
    )
    path = f"{desired.drop_ins}/*.conf"
    line = f"include {path};" if nginx else f"IncludeOptional {path}"
    return Obstacle.at(
        server.host,
        f"{panel.name} writes this file again, and lines of ours would be lost with it",
        f'Add the line "{line}" {place}',
    )


def includes(block: Directive, drop_ins: str) -> bool:
    """Whether a line in a virtual host, or in a file that it includes, includes our files."""
    path = f"/sites-available/{posixpath.basename(drop_ins)}/*.conf"
    return any(f"/{argument}".endswith(path) for item in _includes(block) for argument in item.arguments)


def _includes(block: Directive) -> Iterator[Directive]:
    return every(walk(block.block or ()), "include", "includeoptional")


def _site(server: Server, domain: str) -> str:
    """The name by which a panel knows the site: its first one."""
    name = next(iter(server.host.names), "")
    return name if re.fullmatch(r"[a-z0-9.-]+", name) else domain
