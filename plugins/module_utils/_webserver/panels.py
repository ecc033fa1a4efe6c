# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""Virtual hosts that a hosting panel or another tool writes again: recognised by what they write, and never edited.

Each has a place for directives of its owner's, which it keeps. An include line that is active from there is accepted.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.configuration import (
    Configuration,
    Directive,
    Server,
    every,
    walk,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.in_place import DesiredHost, Obstacle


@dataclass(frozen=True)
class _Written:
    """A virtual host with all by which a panel can be recognised."""

    server: Server
    web: str  # nginx or apache
    name: str  # of the site, as its owner knows it
    text: str  # of its file

    @property
    def file(self) -> str:
        return self.server.host.file

    @property
    def tls(self) -> bool:
        return any(listen.tls for listen in self.server.host.listens)

    def included(self, pattern: str) -> str:
        """What the virtual host includes by a path of this form, or an empty text."""
        paths = (item.arguments[0] for item in _includes(self.server.block) if item.arguments)
        return next((path for path in paths if re.search(pattern, path)), "")


@dataclass(frozen=True)
class _Panel:
    name: str
    path: str  # how its files are called
    text: str  # the text of those whose name is not specific
    place: Callable[[_Written], str]  # where more directives go, and what activates them

    def wrote(self, host: _Written) -> bool:
        names = (host.file, host.server.host.enabled_by)
        return any(re.search(self.path, name) for name in names if name) and (
            re.search(self.text, host.text, re.MULTILINE) is not None
        )


def _plesk(host: _Written) -> str:
    directory = f"/var/www/vhosts/system/{host.name}/conf"
    if host.web == "nginx":
        file, field = "vhost_nginx.conf", "Additional nginx directives"
    else:
        file = "vhost_ssl.conf" if host.tls else "vhost.conf"
        field = f"Additional directives for {'HTTPS' if host.tls else 'HTTP'}"
    return (
        f'in Plesk under Domains > {host.name} > Apache & nginx Settings, in the field "{field}", or to '
        f"{directory}/{file}, followed by: plesk sbin httpdmng --reconfigure-domain {host.name}"
    )


def _hestia(host: _Written) -> str:
    service = "nginx" if host.web == "nginx" else "apache2"
    stem = f"{service}.ssl.conf_" if host.tls else f"{service}.conf_"
    found = host.included(rf"/{re.escape(stem)}\*$")
    directory = posixpath.dirname(found) if found else f"/home/USER/conf/web/{host.name}"
    return f"to the file {directory}/{stem}chamilo, which HestiaCP includes and keeps"


def _cloudpanel(host: _Written) -> str:
    return f'in CloudPanel under Sites > {host.name} > Vhost, behind "server_name" of each server block'


def _ispconfig(host: _Written) -> str:
    field = "nginx Directives" if host.web == "nginx" else "Apache Directives"
    return f'in ISPConfig under Sites > Website > {host.name} > Options, in the field "{field}"'


def _aapanel(host: _Written) -> str:
    extension = host.included(rf"/www/server/panel/vhost/{host.web}/extension/.*\*\.conf$")
    if extension:
        return f"to the file {posixpath.dirname(extension)}/chamilo.conf, which aaPanel includes and keeps"
    rewrite = host.included(r"/www/server/panel/vhost/rewrite/[^*]+\.conf$")
    if rewrite:
        return f"in aaPanel under Website > {host.name} > URL rewrite, which is {rewrite}"
    return f"in aaPanel under Website > {host.name} > Config"


def _virtualmin(host: _Written) -> str:
    return f"in Virtualmin under {host.name} > Web Configuration > Configure Website > Edit Directives"


def _tool(host: _Written) -> str:
    return "to the template from which that tool writes it"


_PANELS = (
    _Panel("Plesk", r"/plesk\.conf\.d/|^/var/www/vhosts/system/[^/]+/conf/", "", _plesk),
    _Panel(
        "HestiaCP",
        r"^/etc/(?:nginx|apache2|httpd)/conf\.d/domains/|^/home/[^/]+/conf/web/",
        r"/conf/web/|/(?:nginx|apache2)/domains/",
        _hestia,
    ),
    _Panel("aaPanel", r"^/www/server/", "", _aapanel),
    _Panel("aaPanel", "", r"/www/server/panel/|^\s*#PHP-INFO-START", _aapanel),
    _Panel("CloudPanel", "", r"/etc/nginx/global_settings\b|/etc/nginx/ssl-certificates/", _cloudpanel),
    _Panel("ISPConfig", r"\.vhost$", r"/var/www/clients/client\d|/var/log/ispconfig/|ispconfig", _ispconfig),
    _Panel("Virtualmin", "", r"/var/log/virtualmin/|/etc/ssl/virtualmin/", _virtualmin),
    _Panel(
        "A tool",
        "",
        r"(?i)\A(?:\s*#.*\n){0,20}?\s*#.*\b(?:do not (?:manually )?(?:edit|modify|change)\b"
        r"|(?:ansible|puppet|chef|salt) managed|managed by (?:ansible|puppet|chef|salt))",
        _tool,
    ),
)


def rewritten(web: str, server: Server, configuration: Configuration, desired: DesiredHost) -> Obstacle | None:
    """Why a virtual host cannot be edited, if a panel or another tool writes it. See ``includes``."""
    host = _Written(server, web, _site(server, desired.domain), configuration.texts.get(server.host.file, ""))
    panel = next((panel for panel in _PANELS if panel.wrote(host)), None)
    if panel is None:
        return None
    path = f"{desired.drop_ins}/*.conf"
    line = f"include {path};" if web == "nginx" else f"IncludeOptional {path}"
    return Obstacle.at(
        server.host,
        f"{panel.name} writes this file again, and lines of ours would be lost with it",
        f'Add the line "{line}" {panel.place(host)}',
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
