# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual host of a portal: the content of ours, and what is written beside an owner's.

Ours is made from what serves the portal now, so that a second run finds its own values again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from ...module_utils._common.version import VersionError, parse
from ...module_utils._webserver.configuration import Listen
from ...module_utils._webserver.configuration import VirtualHost as Host
from .certificate import Certificate
from .portal import Portal

# The files by which an owner's virtual host speaks https that did not.
LENT = re.compile(r"/chamilo-[^/]+[.]d/tls/")
# Since then, HTTP/2 belongs to a virtual host. Before, to an address: switched on for us it would be on for the
# unrelated sites there too.
HTTP2_DIRECTIVE = (1, 25, 1)
# How long a web server waits for PHP by itself, in seconds.
WAITS = {"nginx": 60, "apache": 300}
UNLIMITED = 3600


class VirtualHost:
    """Each value is worked out when it is asked for."""

    def __init__(self, portal: Portal, certificate: Certificate) -> None:
        self.portal, self.certificate = portal, certificate

    @property
    def managed(self) -> bool:
        """Whether it is ours: its owner has none."""
        return not self.portal.vhost_kept

    @property
    def hosts(self) -> list[Host]:
        return list(self.portal.site.virtual_hosts)

    # -------------------------------------------------------------------------------- where it listens

    @property
    def listens(self) -> list[Listen]:
        return [listen for host in self.portal.site.serving for listen in host.listens]

    @property
    def speaks_tls(self) -> bool:
        return self.certificate.pair.certificate != ""

    @property
    def brings_tls(self) -> bool:
        """Whether it does by files of ours, managed virtual host or not."""
        return self.managed or (self.portal.in_place and bool(self.portal.site.in_place.tls))

    @property
    def spoken(self) -> bool:
        """Whether it speaks https now."""
        return any(listen.tls for listen in self.listens)

    @property
    def mute(self) -> bool:
        """There is a certificate, and it is not served yet."""
        return self.speaks_tls and not self.spoken

    @property
    def every_address(self) -> list[str]:
        both = not self.portal.apache and any(":" in one for one in self.portal.site.addresses)
        return ["*", "[::]"] if both else ["*"]

    @property
    def plain_addresses(self) -> list[str]:
        return _once(one.address for one in self.listens if not one.tls) or self.every_address

    @property
    def tls_addresses(self) -> list[str]:
        return _once(one.address for one in self.listens if one.tls) or self.plain_addresses

    def defaults(self, tls: bool) -> list[str]:
        """The addresses of which it is the default: of another one, an unrelated site may be, and nginx takes one."""
        return [one.address for one in self.listens if one.tls == tls and one.default]

    @cached_property
    def http2_directive(self) -> bool:
        try:
            return not self.portal.apache and parse(self.portal.site.web.version)[:3] >= HTTP2_DIRECTIVE
        except VersionError:
            return False

    @property
    def http2(self) -> bool:
        """Whether it speaks HTTP/2 now."""
        return any(one.http2 for one in self.listens)

    @property
    def plain_listens(self) -> list[str]:
        """The values of nginx's directive ``listen``."""
        default = self.defaults(tls=False)
        return [f"{_bound(one)}80{' default_server' if one in default else ''}" for one in self.plain_addresses]

    @property
    def tls_listens(self) -> list[str]:
        """Those for https, in an owner's virtual host as well."""
        http2 = " http2" if self.http2 and not self.http2_directive else ""
        default = self.defaults(tls=True) if self.managed and self.unrelated else []
        return [
            f"{_bound(one)}443 ssl{http2}{' default_server' if one in default else ''}" for one in self.tls_addresses
        ]

    @property
    def refusal_listens(self) -> list[str]:
        return [f"{_bound(one)}443 ssl default_server" for one in self.every_address]

    # -------------------------------------------------------------------------------- who else is there

    @cached_property
    def unrelated(self) -> list[Sequence[str]]:
        """The names of each other site that speaks https.

        What speaks it by files of ours alone is none, of any portal. An owner's virtual host that spoke it before is.
        """
        return [
            host.names
            for host in self.hosts
            if not host.ours and not any(map(LENT.search, host.includes)) and any(listen.tls for listen in host.listens)
        ]

    @property
    def neighbours(self) -> list[str]:
        """Their names as patterns."""
        return [_pattern(name) for name in _once(name for names in self.unrelated for name in names)]

    @property
    def names(self) -> list[str]:
        """The names that ours answers to.

        Names of the portal in virtual hosts that stay, such as one that only leads here, by http and by https, go on
        answering. Of two with one name the web server takes the first, and that one's certificate.
        """
        beside = [host for host in self.hosts if not host.ours]

        def spoken(tls: bool) -> set[str]:
            return {name for host in beside for name in host.names if any(listen.tls == tls for listen in host.listens)}

        left = (spoken(tls=True) & spoken(tls=False)) - {self.portal.domain}
        return [name for name in self.portal.site.portal_names if name not in left]

    @property
    def stays(self) -> list[str]:
        """Who comes by one of these names is redirected to https under the same name."""
        return self.certificate.patterns + (self.neighbours if self.managed else [])

    # -------------------------------------------------------------------------------- its logs and its PHP

    @property
    def kept(self) -> list[str]:
        """Lines of an owner's in ours. How long nginx waits is set once, by our own files where PHP may take longer."""
        lines = list(self.portal.site.own_host.kept)
        return [line for line in lines if not (self.impatient and line.startswith("fastcgi_read_timeout"))]

    @property
    def php_handler(self) -> str:
        """What Apache hands scripts to."""
        php = self.portal.site.php
        if php.sapi == "mod_php":
            return "application/x-httpd-php"
        return f"proxy:{php.socket}|fcgi://localhost" if "unix:" in php.socket else f"proxy:fcgi://{php.socket}"

    @property
    def patience(self) -> int:
        """A script may take the time PHP gives it: what waits for its answer waits longer. Without a limit, an hour."""
        return int(self.portal.site.php.time_limit or UNLIMITED) + 30

    @property
    def impatient(self) -> bool:
        """Whether the web server waits less long than PHP may take.

        nginx refuses a second line in one virtual host: an owner's stays.
        """
        waits = [host.patience for host in self.portal.site.serving if host.patience >= 0]
        if self.patience <= min(waits or [WAITS[self.portal.web]]):
            return False
        return self.portal.apache or self.managed or not any(host.patience_own for host in self.portal.site.answering)


def _once(values: Any) -> list[str]:
    return list(dict.fromkeys(values))


def _bound(address: str) -> str:
    return "" if address == "*" else f"{address}:"


def _pattern(name: str) -> str:
    """nginx writes .shop.test for a name and all below it, and ~ before what is a pattern already."""
    if name.startswith("~"):
        return name[1:]
    if name.startswith("."):
        return f"(?:^|[.]){re.escape(name[1:])}$"
    return f"^{'.*'.join(map(re.escape, name.replace('?', '*').split('*')))}$"
