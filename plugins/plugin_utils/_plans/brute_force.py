# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Section brute_force: who guesses passwords is banned, and an account locked.

The web server writes a line to the journal for each login that PHP answered: whose, and how. fail2ban counts those
that failed, of that service and name alone. The kernel vouches for the service, so PHP, which may run as the same user,
forges none. A login is a request of one of Chamilo's login paths. Not counted is what takes no password: /mcp, where
each program begins with a 401, /oauth, which any page may ask, and keys of the API: apps go on with old ones. None of
their secrets can be guessed, and Chamilo limits them itself.
Symfony takes more forms of each for the same: behind index.php with no slash between them, with a # behind it, with a
letter written as %6c, behind the name of any other script. No browser and no app uses them. The web server refuses
them, as it refuses what a page of another site has its reader's browser send: what is not counted never reaches PHP.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ...module_utils._common.networks import counted
from ...module_utils._common.recurring import note
from ...module_utils._transaction.job import Load
from .portal import PACKAGES, Portal
from .shapes import File, Plan, PlanError, Settings, Transaction

# What a page can ask for in its reader's name, and where apps ask for a token, which takes JSON alone.
PAGES = ("login_json", "login/ldap/check")
TOKEN = "api/authentication_token"
LOGINS = (*PAGES, TOKEN)
# Where no CAPTCHA asks, one address has so many logins at once, then so many a minute, and so many may wait. fail2ban
# has the time to ban who guesses, a class of thirty is in within a minute, and nobody waits for longer than clients do.
AT_ONCE, PER_MINUTE, WAITING = 5, 40, 40
_SLOWEST = 20  # a minute, on each of several nodes

# Interfaces for programs, and the setting that has each on.
INTERFACES = {
    "mcp": "security.mcp_enabled",
    "oauth": "security.oauth_server_enabled",
    "external_api": "security.external_api_enabled",
}

# The network of an address of IPv6, of which one client has all: a /64, as the web servers and fail2ban write it.
GROUP = "[0-9a-f]{1,4}"
NETWORKS = (
    (
        rf"^(?|({GROUP}):0:0:0|({GROUP}:{GROUP}):0:0|({GROUP}(?::{GROUP}){{2}}):0|({GROUP}(?::{GROUP}){{3}})):",
        "{}1::/64",
    ),
    (rf"^({GROUP})::({GROUP})(?::{GROUP}){{4}}$", "{}1:0:0:{}2::/64"),
    (rf"^({GROUP}(?::{GROUP}){{0,2}})::", "{}1::/64"),
)

FRIENDS = "/var/lib/chamilo-hardening/friends"


@dataclass(frozen=True)
class BruteForce(Plan):
    bans: bool  # fail2ban is asked for
    start: bool  # fail2ban has to be installed, started or enabled
    absent: bool  # it was not there when the host was discovered: in check mode it still is not
    ssh_jail: bool  # ssh has no log file, and its jail would keep fail2ban from starting
    name: str  # of the jail
    proxies: Sequence[str]  # from which alone visits come
    friends: Sequence[str]  # directories whose times are touched, parents first: never banned for a day
    jail: Transaction
    settings: Settings | None
    vhost: bool  # a virtual host has to include the drop-ins first
    web: Transaction | None
    again: bool  # what is done in each run is due: to note who manages this host, and to determine the clients

    @property
    def more(self) -> bool:
        return super().more or bool(self.start or self.proxies or self.vhost or self.again)


def plan(portal: Portal, given: Mapping[str, Any]) -> BruteForce:
    bans = portal.enforced("brute_force_fail2ban")
    trusted = given["chamilo_trusted_proxies"]
    name, site, recurring = f"brute_force:{portal.word}", portal.site, portal.discovered.recurring
    jail = f"chamilo-{portal.word.replace('_', '-')}"
    absent = "fail2ban" in site.missing_packages
    settings = _settings(portal, given, bans) if portal.leads else {}
    web = _web(portal, bans)
    return BruteForce(
        bans=bans,
        packages=[
            *(portal.missing(*PACKAGES["brute_force"]) if bans else []),
            *(portal.client if settings else []),
        ],
        start=bans and (not site.fail2ban or absent),
        absent=absent,
        ssh_jail=not site.ssh_log,
        name=jail,
        # The section https, when it ran before in this play, has the web server see who is behind declared ones.
        proxies=[] if portal.vhost_written and trusted or not bans else recurring.proxies,
        friends=_friends(site.managed_from) if bans else [],
        jail=Transaction(
            name,
            _restoration(portal) + (_jail(jail) if bans else []),
            # An earlier version limited its memory.
            [["fail2ban-client", "-t"], ["systemctl", "daemon-reload"]] if bans else [],
            # A reload takes an action away again that a running jail did not have before. Bans outlive a restart.
            Load("fail2ban", "restart") if bans else None,
        ),
        settings=Settings(name, portal.root, settings) if portal.leads and (settings or portal.kept(name)) else None,
        vhost=bans and portal.vhost_due,
        # With fail2ban waived, only to take away what was there.
        again=bans and bool(site.managed_from and not recurring.spared),
        web=web if bans or portal.active(web.name) else None,
        values={
            "domain": portal.domain,
            "jail": jail,
            "unit": f"{portal.service}.service",
            "attempts": portal.attempts(given["chamilo_brute_force_attempts"]),
            "find_seconds": given["chamilo_brute_force_find_seconds"],
            "ban_seconds": given["chamilo_brute_force_ban_seconds"],
            "ports": sorted({80, 443, *(listen.port for listen in portal.listens if listen.port)}),
            "refused": f"/run/chamilo-hardening-banned/{jail}",
            # Who must never be banned. The controller of the moment is a directory with its address as name.
            "spared": list(dict.fromkeys(map(_whole, ["127.0.0.0/8", "::1", *given["chamilo_friends"], *trusted]))),
            "friends": FRIENDS,
            "drop_ins": portal.drop_ins,
            "variable": portal.variable,
            "networks": NETWORKS,
            "pages": _written(PAGES),
            "token": _written([TOKEN]),
            "unasked": _written(_unasked(portal, given)),
            "read": _read(portal.apache),
            "inherited_logs": _inherited_logs(portal) if bans and not portal.apache else [],
            "at_once": portal.attempts(AT_ONCE),
            "per_minute": max(portal.attempts(PER_MINUTE), _SLOWEST),
            "waiting": WAITING,
        },
    )


# ------------------------------------------------------------------------------------------------ what counts


def _written(logins: Sequence[str]) -> str:
    """What browsers and apps ask for, as they write it."""
    return rf"/(?:index\.php/)?(?:{'|'.join(logins)})"


def _read(apache: bool) -> str:
    """What a web server reads it as, and what Symfony would: Apache may leave an escaped slash as it is."""
    slash = "(?:/|%2[Ff])" if apache else "/"
    logins = "|".join(LOGINS).replace("/", slash)
    return rf"^/(?:(?s:.*)\.php{slash}?)?(?:{logins})$"


def _whole(network: str) -> str:
    """Of IPv6 no less than a /64 is counted."""
    try:
        known = ipaddress.ip_network(network, strict=False)
    except ValueError:
        return network
    return counted(str(known[0])) if known.prefixlen > 64 else network


# ------------------------------------------------------------------------------------------------ what is written


def _inherited_logs(portal: Portal) -> list[str]:
    """What nginx writes of a virtual host only as long as nothing else is written there."""
    # One of ours has its log in itself.
    hosts = [host for host in portal.hosts if portal.vhost_kept or host.ours]
    if hosts and all(host.access_log == "off" and not host.inherited_logs for host in hosts):
        raise PlanError(
            "fail2ban has to learn who fails to log in, and nginx writes nothing where access_log is off "
            f"({hosts[0].file} line {hosts[0].line}). Take that line away, or waive brute_force_fail2ban."
        )
    # "off" beside another one would turn that off as well.
    return [log for log in dict.fromkeys(log for host in hosts for log in host.inherited_logs) if log != "off"]


def _jail(jail: str) -> list[File]:
    return [
        File(f"/etc/fail2ban/filter.d/{jail}.conf", "filter.conf.j2"),
        File(f"/etc/fail2ban/jail.d/{jail}.conf", "jail.conf.j2"),
        File(f"/etc/fail2ban/action.d/{jail}-nftables.conf", "nftables.conf.j2"),
        File(f"/etc/fail2ban/action.d/{jail}.conf", "action.conf.j2"),
    ]


def _restoration(portal: Portal) -> list[File]:
    """There before anything is locked. The program itself stays when this section is undone."""
    known = json.dumps({"domain": portal.domain, "root": portal.root}, sort_keys=True)
    return [
        # What it needs to know to find this portal's accounts.
        File(f"/etc/chamilo-hardening/brute_force-{portal.word}.json", content=f"{known}\n", mode="0600"),
        File("/usr/local/sbin/chamilo-unlock", target="chamilo-hardening"),
    ]


def _friends(controller: str) -> list[str]:
    # A directory at a time: the module file cannot set the time of one whose parent it has to make as well.
    return ["/var/lib/chamilo-hardening", FRIENDS, f"{FRIENDS}/{note(controller)}"] if controller else []


def _web(portal: Portal, bans: bool) -> Transaction:
    # Behind https.conf: on plain http a request is redirected, and nothing else.
    files = [File(f"{portal.drop_ins}/login.conf", f"{portal.web}/login.conf.j2")]
    whole = f"chamilo-{portal.word}-brute_force.conf"  # what stands outside of a virtual host
    if portal.apache:
        files.append(File(f"/etc/apache2/conf-enabled/{whole}", "apache/log.conf.j2"))
    else:
        files.append(File(f"/etc/nginx/conf.d/{whole}", "nginx/maps.conf.j2"))
        files += [File(f"{portal.drop_ins}/{one}/brute_force.conf", f"nginx/{one}.conf.j2") for one in ("limit", "log")]
    return Transaction(
        f"brute_force:{portal.word}.web",
        [*files, *portal.apache_modules("rewrite", "headers")] if bans else [],
        portal.test,
        Load(portal.service),
        portal.token("brute_force"),
        bans,
    )


# ------------------------------------------------------------------------------------------------ in Chamilo


def _settings(portal: Portal, given: Mapping[str, Any], bans: bool) -> dict[str, Any]:
    attempts = int(given["chamilo_brute_force_attempts"])
    # Guesses from one address lead to a ban of it first, with what is still on its way then: otherwise an attacker
    # could lock the account of an administrator.
    lock = min(attempts + 5, 10) if bans else min(attempts, 5)
    desired_by_name: list[tuple[str, dict[str, Any]]] = [
        ("brute_force_lock", {"security.login_max_attempt_before_blocking_account": lock}),
        ("brute_force_captcha", _captcha(portal, given["chamilo_brute_force_captcha"])),
        (
            "brute_force_captcha_block",
            {
                "security.captcha_number_mistakes_to_block_account": given["chamilo_brute_force_captcha_mistakes"],
                "security.captcha_time_to_block": given["chamilo_brute_force_captcha_minutes"],
            },
        ),
    ]
    if portal.since((3,)):
        used = given["chamilo_brute_force_interfaces"]
        desired_by_name.append(
            ("brute_force_interfaces", {key: False for name, key in INTERFACES.items() if name not in used})
        )
    return {
        name: value for control, values in desired_by_name if portal.enforced(control) for name, value in values.items()
    }


def _unasked(portal: Portal, given: Mapping[str, Any]) -> Sequence[str]:
    """Where one guess can follow the other. With the CAPTCHA none can on the page, where a whole class logs in."""
    asks = portal.enforced("brute_force_captcha") and any(
        _captcha(portal, given["chamilo_brute_force_captcha"]).values()
    )
    return (TOKEN,) if asks else LOGINS


def _captcha(portal: Portal, desired: Any) -> dict[str, Any]:
    """Each step of a login wants a CAPTCHA of its own, and Chamilo's page sends the code of the first one twice."""
    if desired == "auto":
        return {} if portal.site.two_factor else {"security.allow_captcha": True}
    return {"security.allow_captcha": boolean(desired)}
