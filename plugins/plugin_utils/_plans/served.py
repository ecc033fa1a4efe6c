# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a portal is served and reached, from what discovery observed and the variables of its host."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ...module_utils._application.discovered import Discovered
from ...module_utils._application.site import Site
from ...module_utils._transaction.plan import GENERATION
from ...module_utils._transaction.probe import Probe
from ...module_utils._webserver.configuration import Listen, VirtualHost
from .. import _discovered, _portals

SERVICES = {"nginx": "nginx", "apache": "apache2"}
# What nginx takes once in a server block, as our files set it.
HIDDEN = {"server_tokens": "off"}
PROXIES = {"real_ip_header": "X-Forwarded-For", "real_ip_recursive": "on"}
TESTS = {"nginx": [["nginx", "-t"]], "apache": [["apache2ctl", "configtest"]]}


class Served:
    """Each variable is worked out when it is asked for."""

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self.variables = variables

    @cached_property
    def discovered(self) -> Discovered:
        return _discovered.answer(self.variables["__chamilo_common_info"])

    @property
    def site(self) -> Site:
        return self.discovered.site

    @cached_property
    def word(self) -> str:
        """chamilo_site: its word in names of files."""
        return str(self.variables["chamilo_site"])

    @property
    def is_web(self) -> bool:
        """Whether this host serves it, and is not there for its database alone."""
        return _portals.WEB in _portals.purposes(self.variables)

    @cached_property
    def node(self) -> Mapping[str, Any]:
        """This host among the nodes of its portal, see _portals.Portal.of."""
        return _portals.here(self.variables, self.variables["hostvars"])[1]

    @property
    def leads(self) -> bool:
        """Whether this host does what is done once for all nodes of its portal."""
        return bool(self.node["leads"])

    def attempts(self, allowed: Any) -> int:
        """After how many failed logins this node bans an address, when its portal allows that many."""
        return _portals.share(int(allowed), len(self.node["web"]))

    @cached_property
    def domain(self) -> str:
        """As web servers and browsers write it. Nothing else reads the variable."""
        return str(self.variables["chamilo_domain"]).lower()

    @property
    def root(self) -> str:
        return self.site.root

    @property
    def web(self) -> str:
        return self.site.web.name

    @property
    def apache(self) -> bool:
        return self.web == "apache"

    @property
    def service(self) -> str:
        return SERVICES[self.web]

    @property
    def test(self) -> list[list[str]]:
        """The commands that test the configuration of the web server."""
        return TESTS[self.web]

    @property
    def config(self) -> str:
        """The directory of the web server's configuration."""
        return f"/etc/{self.service}"

    @property
    def drop_ins(self) -> str:
        """The directory of what the virtual host includes: a file for each section."""
        return f"{self.config}/sites-available/chamilo-{self.word}.d"

    @property
    def include_line(self) -> str:
        """What has a virtual host include them."""
        return f"IncludeOptional {self.drop_ins}/*.conf" if self.apache else f"include {self.drop_ins}/*.conf;"

    # -------------------------------------------------------------------------------- its virtual hosts

    @property
    def vhost(self) -> str:
        return str(self.variables["chamilo_https_vhost"])

    @cached_property
    def pages(self) -> list[VirtualHost]:
        """The virtual hosts that answer to the domain, and to https, if it is spoken; none that only leads here."""
        return [host for host in self.site.serving if not host.leads_away]

    @property
    def in_force(self) -> bool:
        """Whether all of them include the drop-ins."""
        return bool(self.pages) and all(host.includes_ours for host in self.pages)

    @property
    def in_place(self) -> bool:
        """Whether an owner's virtual host serves the portal: with auto it stays, and our lines are written into it."""
        return self.vhost == "auto" and bool(self.site.in_place.blocks)

    @property
    def vhost_kept(self) -> bool:
        """Whether the virtual host of its owner stays: none of ours is there, and none comes."""
        return self.vhost == "include" or self.in_place

    @property
    def messages(self) -> list[str]:
        """What nginx takes once in a server block, and its owner sets as ours do. It refuses another value itself."""
        if self.vhost != "include":
            return []
        known = [{place.what.lower() for place in host.once} for host in self.site.serving]
        return [
            name
            for name, value in {**HIDDEN, **PROXIES}.items()
            if all(f"{name} {value}".lower() in lines for lines in known)
        ]

    @property
    def answers(self) -> bool:
        """Whether drop-ins are active once a section has put its own there: not before the owner added the line."""
        return self.in_force or self.vhost != "include"

    @property
    def vhost_written(self) -> bool:
        """Whether the section https wrote it in this play, or a section that needs it. What failed was put back."""
        return not self.variables.get("__chamilo_https_vhost", {"failed": True}).get("failed", False)

    @property
    def vhost_due(self) -> bool:
        """Whether nothing includes the drop-ins, and no section of this run changes that before."""
        return not self.in_force and not self.vhost_written

    # -------------------------------------------------------------------------------- how it is reached

    @property
    def endpoints(self) -> list[Listen]:
        hosts = self.pages if self.in_place else self.site.serving
        return [listen for host in hosts for listen in host.listens]

    @cached_property
    def endpoint(self) -> Listen:
        """Where the probes knock: by plain http as long as the portal speaks it.

        In a virtual host of his own, its owner may redirect before our drop-ins are asked; one that only leads away
        has none of them.
        """
        tls = self.in_force and self.site.redirected
        preferred = [listen for listen in self.endpoints if listen.tls == tls]
        return next(iter([*preferred, *self.endpoints]), Listen("*", 80, tls=False))

    @property
    def probe_base(self) -> str:
        return f"{'https' if self.endpoint.tls else 'http'}://{self.domain}{self.port}"

    @property
    def port(self) -> str:
        """An owner's virtual host may stand behind another port than those of the web, which a proxy has."""
        port = self.endpoint.port
        return f":{port}" if self.vhost_kept and port not in (80, 443) else ""

    @cached_property
    def probe_address(self) -> str:
        """This host. Not where a virtual host answers that asks for the address alone, such as a status page."""
        listens = [listen for host in self.site.virtual_hosts for listen in host.listens]
        taken = {_bare(listen.address) for listen in listens if listen.port in (80, 443)}
        free = [one for one in ("127.0.0.1", "::1", *self.site.addresses) if one not in taken]
        if self.endpoint.address == "*":
            return next((one for one in free if ":" not in one), "127.0.0.1")
        if self.endpoint.address == "[::]":
            return next((one for one in free if ":" in one), "::1")
        return _bare(self.endpoint.address)

    @property
    def bound(self) -> bool:
        """Whether the section https ran in this play, and was not to withdraw."""
        return not self.variables.get("__chamilo_https_bound", {"skipped": True}).get("skipped", False)

    @property
    def tls(self) -> bool:
        """Whether this host speaks https for the portal: already, or since the section https ran in this play.

        In a virtual host of his own, its owner must have it do so.
        """
        hosts = [host for host in self.site.serving if not (self.elsewhere and host.ours)]
        spoken = any(listen.tls for host in hosts for listen in host.listens)
        return spoken or (self.bound and self.vhost != "include" and not self.elsewhere)

    @cached_property
    def front(self) -> Probe:
        """The probe of everything that must not break a page.

        Where TLS ends at a proxy, it says that it came by https: the web server would send it there, and PHP would
        never be asked. See the section https, which believes this host.
        """
        port = self.port if self.endpoint.tls == self.tls else ""
        return Probe(
            f"{'https' if self.tls else 'http'}://{self.domain}{port}/",
            address=self.probe_address,
            status=(200, 301, 302, 303),
            send={"X-Forwarded-Proto": "https"} if self.elsewhere else {},
        )

    def token(self, section: str, mark: str = GENERATION) -> list[Probe]:
        """The probe for the generation of a section's drop-in, unless its owner has yet to include it."""
        if not self.answers:
            return []
        url, headers = f"{self.probe_base}/.well-known/chamilo-hardening/{section}", {"X-Chamilo-Generation": mark}
        return [Probe(url, address=self.probe_address, status=(204,), headers=headers)]

    def probe(self, section: str) -> list[Probe]:
        """The probes of a section that has no other effect than by its drop-in."""
        token = self.token(section)
        return [*token, self.front] if token else []

    @cached_property
    def listens(self) -> list[Listen]:
        return [listen for host in self.site.answering for listen in host.listens]

    @property
    def named(self) -> bool:
        """Whether a virtual host answers to it by its name, once the sections are enforced."""
        return bool(self.site.answering) or not self.vhost_kept

    @cached_property
    def hosts(self) -> list[VirtualHost]:
        """Its virtual hosts, by all of its names. Where none has one, those that answer for want of a better.

        That of this collection is among them before it is written.
        """
        answering, own = self.site.answering, self.site.own_host
        if self.vhost_kept or any(host.ours for host in answering):
            return list(answering or self.site.fallback)
        coming = VirtualHost(
            f"{self.config}/sites-available/chamilo-{self.word}.conf",
            1,
            self.site.portal_names,
            (),
            f"{self.root}/public",
            access_log=own.access_log,
            access_log_file=own.access_log_file,
        )
        return [*answering, coming]

    @property
    def elsewhere(self) -> bool:
        """Whether a proxy in front of it speaks https."""
        return bool(boolean(self.variables["chamilo_https_terminated_elsewhere"]))

    @property
    def encrypted(self) -> bool:
        """Whether visitors reach it by https, from this run on at the latest."""
        return self.tls or (self.elsewhere and (self.bound or self.in_force))

    @property
    def variable(self) -> str:
        """Begins the names of nginx's variables for this portal: as it is set up, nginx takes at most 46 characters."""
        return f"$chamilo_{hashlib.sha256(self.word.encode()).hexdigest()[:8]}"


def _bare(address: str) -> str:
    return address.replace("[", "").replace("]", "")
