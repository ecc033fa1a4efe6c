# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Section https: the virtual host that speaks it, with which certificate, and how browsers are bound to it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from ...module_utils._application.discovered import Discovered
from ...module_utils._https.hsts import settled
from ...module_utils._transaction.job import Load
from ...module_utils._transaction.probe import Probe
from ...module_utils._webserver import tls_policy
from . import discovery
from .certificate import Certificate, Pair
from .portal import Portal
from .shapes import File, Marked, Plan, Render, Transaction, plain
from .vhost import VirtualHost

# As it is set up, nginx takes no longer name for a virtual host.
LONGEST = 46
NAME = re.compile(r"[a-z0-9-]+([.][a-z0-9-]+)+$")
LOCAL = ("127.0.0.1", "127.0.0.0/8", "::1", "localhost")


@dataclass(frozen=True)
class Obtained:
    """What has to be done for the certificate, and with what."""

    todo: str  # sign, issue or adopt; nothing, most of the time
    names: Sequence[str]
    self_signed: Pair
    webroot: str
    served: str


@dataclass(frozen=True)
class Https(Plan):
    present: bool
    domain: str
    root: str
    web_server: str
    service: str
    test: Sequence[Sequence[str]]
    certificate: Obtained
    refused: str  # why no virtual host is written to
    vhost: Transaction
    include: bool  # what its owner writes into his own virtual host does not come through the transaction
    reminder: str  # what that owner has to write there; empty: nothing
    program: Mapping[str, Any]  # what the host must know to go on without us: see chamilo-hardening daily
    bound: str  # what the owner of the virtual host had bound browsers to
    proxies: str | None  # whom the application trusts; None: as it is
    undone: Sequence[str]  # transactions that go with the section
    proxies_kept: bool  # the host knows what TRUSTED_PROXIES was before we first wrote it
    checked: Sequence[str]  # the packages that discovery checks for
    cookies: Sequence[str]  # transactions that would prevent logins by plain http

    @property
    def more(self) -> bool:
        return (
            not self.present or self.include or bool(self.certificate.todo or self.refused or self.proxies is not None)
        )

    def due(self, info: Discovered, render: Render) -> bool:
        if super().due(info, render):
            return True
        program = plain(self.program, render)
        return settled(program, info.site.hsts_since, info.in_force, owner=self.bound) is None


def plan(portal: Portal, given: Mapping[str, Any]) -> Https:
    return _Maker(portal, given).plan()


class _Maker:
    """Without ``policy`` another section only needs a virtual host."""

    def __init__(self, portal: Portal, given: Mapping[str, Any]) -> None:
        self.portal, self.given = portal, given
        self.policy = bool(given.get("_chamilo_https_policy", True))
        self.certificate = Certificate(portal, given, self.policy)
        self.vhost = VirtualHost(portal, self.certificate)

    def plan(self) -> Https:
        portal, site = self.portal, self.portal.site
        present = self.given["chamilo_https_state"] == "present"
        # After the test, systemd learns of new units: a test is run with each change and with each rollback.
        reload = [["systemctl", "daemon-reload"]] if self._units() else []
        return Https(
            present=present,
            domain=portal.domain,
            root=portal.root,
            web_server=portal.web,
            service=portal.service,
            test=portal.test,
            certificate=self._obtained(),
            refused=site.own_host.refused.get(portal.vhost, ""),
            vhost=Transaction(
                f"https:{portal.word}",
                self._files(),
                [*portal.test, *reload],
                Load(portal.service),
                self._probe(),
                listen=self._new_listens(),
                # Other sections ask for less, and a virtual host of ours stays where its owner is about to write his
                # own.
                complete=False,
            ),
            include=portal.vhost == "include",
            reminder=self._reminder(),
            program=self._program(),
            bound=site.in_place.bound,
            proxies=self._proxies(),
            undone=[
                *([] if self._lent() else [f"https:{portal.word}"]),
                *self._parts("https", "renewal", "certificate"),
            ],
            proxies_kept=self._kept(),
            checked=discovery.ALL_PACKAGES,
            packages=portal.not_by_us("certbot") if self._asks() and not site.certbot else [],
            cookies=[] if present else self._cookies(),
            values=self._values(),
        )

    # -------------------------------------------------------------------------------- the certificate, and HSTS

    def _asks(self) -> bool:
        """Whether Certbot has work to do."""
        return self.certificate.todo in ("issue", "adopt")

    def _obtained(self) -> Obtained:
        site, todo = self.portal.site, self.certificate.todo
        return Obtained(
            todo=todo,
            names=site.portal_names,
            self_signed=self.certificate.self_signed,
            webroot=f"{self.portal.root}/public",
            served=site.served.file if self._asks() else "",
        )

    @property
    def _program_file(self) -> str:
        return f"/etc/chamilo-hardening/https-{self.portal.word}.json"

    def _program(self) -> dict[str, Any]:
        portal = self.portal
        return {
            "domain": portal.domain,
            "site": portal.word,
            "service": portal.service,
            "test": portal.test,
            "address": portal.probe_address,
            "ca_file": self.given["chamilo_https_acme_ca_file"],
            **vars(self.certificate.pair),
            "hsts": self._hsts(),
        }

    def _hsts(self) -> dict[str, Any]:
        portal = self.portal
        # A browser must never be bound to https by a certificate that it does not trust.
        ramp = self.certificate.source != "self_signed" and portal.enforced("https_hsts")
        below = [one for one in portal.site.portal_names if one[:1] != "*" and one[1:].endswith(f".{portal.domain}")]
        values = f"/etc/nginx/conf.d/chamilo-{portal.word}-hsts.conf"
        return {
            "mode": self.given["chamilo_https_hsts"] if ramp else "none",
            # No browser is bound to https for a name of the portal that does not speak it.
            "subdomains": list(
                dict.fromkeys(str(one).lower() for one in [*self.given["chamilo_https_subdomains"], *below])
            ),
            # Behind a proxy this host speaks no TLS: what visitors see is asked for where the name leads.
            "address": "" if portal.elsewhere else portal.probe_address,
            "files": [
                # Read behind https.conf, which takes away what others send.
                File(f"{portal.drop_ins}/https_hsts.conf", f"{portal.web}/https_hsts.conf.j2"),
                File(f"{portal.drop_ins}/location/https_hsts.conf", f"{portal.web}/location.conf.j2"),
                *([] if portal.apache else [File(values, "nginx/hsts_values.conf.j2")]),
            ],
            "probe": portal.token("hsts", "@mark@"),
        }

    def _units(self) -> list[File]:
        """Certbot's own run does not report its failure."""
        portal, certbot = self.portal, self.portal.site.certbot
        if self.certificate.source != "certbot" or not portal.site.systemd:
            return []
        etc = "/etc/systemd/system"
        of = f"{etc}/{'snap.certbot.renew' if certbot.startswith('/snap/') else 'certbot'}.service.d"
        trust = [File(f"{of}/chamilo-{portal.word}.conf", "systemd/trust.conf.j2")]
        return [
            File(f"{etc}/chamilo-hardening-renewal.service", "systemd/renewal.service.j2"),
            File(f"{of}/chamilo-hardening.conf", "systemd/on_failure.conf.j2"),
            *(trust if self.given["chamilo_https_acme_ca_file"] else []),
        ]

    # -------------------------------------------------------------------------------- the files

    def _files(self) -> list[File | Marked]:
        portal, web, trusted = self.portal, self.portal.web, bool(self.given["chamilo_trusted_proxies"])
        hidden = "location" if portal.apache else "hide"
        state = File(self._program_file, document=self._program(), mode="0600")
        return [
            File(f"{portal.drop_ins}/https.conf", f"{web}/https.conf.j2"),
            *(self._vhost() if self.vhost.managed else []),
            *self._edits(),
            *self._tls(),
            *(self._modules() if portal.apache else [File(self._conf_d("-https"), "nginx/values.conf.j2")]),
            *([File(f"{portal.drop_ins}/{hidden}/https.conf", f"{web}/hide.conf.j2")] if self.policy else []),
            *(portal.apache_modules("remoteip", "setenvif") if trusted else []),
            *([] if portal.apache else self._nginx(trusted)),
            *([state, *self._units()] if self.policy else []),
        ]

    def _conf_d(self, name: str) -> str:
        return f"/etc/nginx/conf.d/chamilo-{self.portal.word}{name}.conf"

    def _vhost(self) -> list[File]:
        portal, name = self.portal, f"chamilo-{self.portal.word}.conf"
        return [
            File(f"{portal.config}/sites-available/{name}", f"{portal.web}/vhost.conf.j2"),
            File(f"{portal.config}/sites-enabled/{name}", target=f"../sites-available/{name}"),
            *portal.body_limit,
        ]

    def _edits(self) -> list[Marked]:
        """What is written into the files of an owner. Where none stays, what was written there before goes."""
        in_place = self.portal.site.in_place
        return [Marked(one) for one in (in_place.files if self.portal.in_place else in_place.marked)]

    def _tls(self) -> list[File]:
        """What has a virtual host of an owner speak https that did not."""
        path = f"{self.portal.drop_ins}/tls/https.conf"
        if not self.portal.in_place:
            return []
        if self.portal.site.in_place.tls and self.vhost.speaks_tls:
            return [File(path, f"{self.portal.web}/tls.conf.j2")]
        return [File(path, absent=True)]

    def _modules(self) -> list[File]:
        enabled = "/etc/apache2/mods-enabled"
        return [
            *self.portal.apache_modules("rewrite", "headers", "socache_shmcb", "ssl"),
            File(f"{enabled}/ssl.conf", target="../mods-available/ssl.conf"),
        ]

    def _nginx(self, trusted: bool) -> list[File]:
        portal, reported = self.portal, f"{self.portal.drop_ins}/php/https.conf"
        long = len(portal.domain) > LONGEST and not portal.site.web.names_own
        names = File(
            "/etc/nginx/conf.d/chamilo-hardening-names.conf",  # the same for each portal that has one
            content="# Managed by Ansible: chamilo.hardening, section https. Changes here are lost.\n"
            "server_names_hash_bucket_size 512;\n",
        )
        return [
            *([File(f"{portal.drop_ins}/acme/https.conf", "nginx/acme.conf.j2")] if portal.in_place else []),
            File(reported, "nginx/php.conf.j2") if trusted else File(reported, absent=True),
            *([names] if long and (self.vhost.managed or portal.in_place) else []),
            *(self._unrelated() if self.vhost.brings_tls and self.vhost.speaks_tls else []),
        ]

    def _unrelated(self) -> list[File]:
        """One for the host, however many portals there are. One that speaks no TLS leaves it to those that do."""
        path = "/etc/nginx/conf.d/chamilo-hardening.conf"
        return [File(path, absent=True) if self.vhost.unrelated else File(path, "nginx/host.conf.j2")]

    # -------------------------------------------------------------------------------- how it is seen to work

    def _new_listens(self) -> list[str]:
        addresses = self.vhost.tls_addresses if self.vhost.speaks_tls else []
        return [f"{one.replace('*', '0.0.0.0')}:443" for one in addresses]

    def _probe(self) -> list[Probe]:
        """The redirect lets the generation through, so it is asked for where the portal answered before."""
        portal = self.portal
        if not portal.answers:
            return []
        pages = self._pages() if portal.in_place else self._others()
        front = replace(portal.front, url=self._door, was=f"{portal.probe_base}/")
        return [*portal.token("https"), front, *pages]

    @property
    def _door(self) -> str:
        """Where the portal is visited from now on."""
        portal = self.portal
        if self.vhost.speaks_tls and (portal.vhost != "include" or not self.vhost.mute):
            return f"https://{portal.domain}/"
        return f"{portal.probe_base if portal.probe_base.startswith('http:') else f'http://{portal.domain}'}/"

    def _pages(self) -> list[Probe]:
        """What an owner's virtual host answers to its own addresses, under each name: the same afterwards."""
        pages = self.portal.site.in_place.pages
        urls = dict.fromkeys(f"{one.scheme}://{one.name}{one.path}" for one in pages)
        address, send = self.portal.probe_address, self.portal.front.send
        return [Probe(url, address=address, send=send, same=True) for url in urls]

    def _others(self) -> list[Probe]:
        """A virtual host that its owner keeps may have other names: who comes by one of them is redirected as well."""
        if self.portal.vhost != "include":
            return []
        names = dict.fromkeys(name for host in self.portal.site.serving for name in host.names)
        now, before = urlsplit(self._door).scheme, urlsplit(self.portal.probe_base).scheme
        return [
            replace(self.portal.front, url=f"{now}://{name}/", was=f"{before}://{name}/")
            for name in names
            if name != self.portal.domain and NAME.match(name)
        ]

    def _reminder(self) -> str:
        portal, pair = self.portal, self.certificate.pair
        if portal.vhost != "include" or (portal.in_force and not self.vhost.mute):
            return ""
        places = ", ".join(f"{host.file} line {host.line}" for host in portal.site.serving)
        tls = (
            f" and have it speak https on port 443, with the certificate {pair.certificate} and its key "
            f"{pair.certificate_key}"
            if self.vhost.mute
            else ""
        )
        return (
            f'Add the line "{portal.include_line}" to the virtual host of {portal.domain} ({places}){tls}. '
            "Until then nothing of this section is active; the audit shows it red."
        )

    def _proxies(self) -> str | None:
        """Those that are declared. Without any, none: only what its owner has this host itself pass on stays."""
        portal, trusted = self.portal, list(self.given["chamilo_trusted_proxies"])
        if trusted:
            return ",".join(dict.fromkeys(["127.0.0.1", *trusted]))
        found = {one.strip() for one in portal.site.environment.get("TRUSTED_PROXIES", "").split(",")} - {""}
        ours = self._kept() and bool(found)  # an earlier version of this role trusted this host without being asked to
        others = found - {*LOCAL, *portal.site.addresses}
        return "" if (ours or others) and portal.enforced("https_trusted_proxies") else None

    def _kept(self) -> bool:
        return f"https:{self.portal.word}" in self.portal.discovered.environment_kept

    # -------------------------------------------------------------------------------- what goes with the section

    def _parts(self, section: str, *parts: str) -> list[str]:
        return [f"{section}:{self.portal.word}.{part}" for part in parts]

    def _lent(self) -> bool:
        """Other sections need a virtual host, and had it written without what this one is for."""
        written = self.portal.files(f"https:{self.portal.word}")
        return self._program_file not in written if written else self.portal.vhost_written

    def _cookies(self) -> list[str]:
        """Where the section sessions has its turn in this run, it goes by what it finds."""
        portal = self.portal
        if portal.tls or portal.elsewhere or "sessions" in discovery.sections_due(portal, self.given):
            return []
        return [one for one in self._parts("sessions", "php", "application") if portal.active(one)]

    # -------------------------------------------------------------------------------- what the templates see

    def _values(self) -> dict[str, Any]:
        portal, vhost, site, given = self.portal, self.vhost, self.portal.site, self.given
        trusted = list(given["chamilo_trusted_proxies"])
        return {
            "domain": portal.domain,
            "root": portal.root,
            "root_pattern": re.escape(portal.root),
            "drop_ins": portal.drop_ins,
            "include_line": portal.include_line,
            "said": portal.messages,
            "variable": portal.variable,
            "policy": self.policy,
            "proxies": trusted,
            "elsewhere": portal.elsewhere,
            "managed": vhost.managed,
            "brings_tls": vhost.brings_tls,
            "speaks_tls": vhost.speaks_tls,
            "alone": not vhost.unrelated,
            "pair": vars(self.certificate.pair),
            "tls_policy": tls_policy.APACHE if portal.apache else tls_policy.LINES,
            "http2": vhost.http2,
            "http2_directive": vhost.http2_directive,
            "plain_listens": vhost.plain_listens,
            "tls_listens": vhost.tls_listens,
            "refusal_listens": vhost.refusal_listens,
            "plain_addresses": vhost.plain_addresses,
            "tls_addresses": vhost.tls_addresses,
            "names": vhost.names,
            "access_log": site.own_host.access_log,
            "error_log": site.own_host.error_log,
            "kept": vhost.kept,
            "kept_php": site.own_host.kept_php,
            "php": site.php.socket,
            "php_handler": vhost.php_handler,
            "webroot": site.lineage.webroot,
            "patience": vhost.patience if vhost.impatient else 0,
            "redirect": self._redirects(),
            "stays": vhost.stays,
            "redirects": self._redirections(),
            "covered": self.certificate.patterns,
            # The protocol of the visitor: behind a proxy, as the proxy reports it. nginx chooses between values outside
            # of a virtual host only.
            "scheme": f"{portal.variable}_scheme" if trusted else "$scheme",
            **_apache_conditions(trusted),
        }

    def _redirects(self) -> bool:
        """No visitor is sent to https while it is not served there: an owner enables it first in his virtual host."""
        vhost, portal = self.vhost, self.portal
        speaks = portal.elsewhere or vhost.spoken or (portal.vhost != "include" and vhost.speaks_tls)
        return speaks and (self.policy or bool(portal.site.redirected))

    def _redirections(self) -> list[dict[str, Any]]:
        """Apache's rules: for requests whose address is known as it was typed, and for any other."""
        targets = [("|".join(self.vhost.stays), "%{SERVER_NAME}")]
        targets += [("", self.portal.domain)] if self.vhost.managed else []
        return [{"typed": typed, "name": name, "target": to} for typed in (True, False) for name, to in targets]


def _apache_conditions(trusted: Sequence[str]) -> dict[str, str]:
    """Whether a request came by a proxy of ours, by plain http, and by https."""
    if not trusted:
        return {"by_proxy": "", "plain": "%{HTTPS} !=on", "secure": "%{HTTPS} == 'on'"}
    matches = [f"%{{CONN_REMOTE_ADDR}} -ipmatch '{one}'" for one in trusted]
    return {
        "by_proxy": f"({' || '.join(matches)})",
        "plain": "%{ENV:CHAMILO_SCHEME}:%{HTTPS} !^(?:https:|:on)",
        "secure": "(reqenv('CHAMILO_SCHEME') == 'https' || (reqenv('CHAMILO_SCHEME') == '' && %{HTTPS} == 'on'))",
    }
