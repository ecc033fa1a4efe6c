# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Section brute_force: who guesses passwords is banned, and an account locked.

fail2ban reads from the access log who fails to log in. A login is a request of one of Chamilo's login paths; since 3.0
programs have two of their own. Not counted is /mcp, where each program begins with a 401, nor are keys of the API: apps
go on with old ones, and none can be guessed.
Symfony takes more forms of each for the same: behind index.php or, in some releases, with no slash between them, with
the whole URL of any scheme, with a # behind it, and with a letter written as %6c; nginx takes more spaces, Apache a
small "post". The last ones no browser uses, only an attacker who hides. Behind any other script the web server refuses
them, and that counts as well where its name has a length that takes no time to read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...module_utils._brute_force.filter_file import Definition
from ...module_utils._transaction.job import Load
from ...module_utils._webserver.configuration import VirtualHost
from .portal import Portal
from .shapes import File, Plan, PlanError, Settings, Transaction

# What a page can ask for in its reader's name, and all of them.
PAGES = ("login_json", "login/ldap/check", "oauth/token", "oauth/register")
LOGINS = (*PAGES, "api/authentication_token")
# Where a CAPTCHA asks first, if the path is written without an escape. A whole class logs in there at once.
ASKED = PAGES[:2]
# How many guesses one address has elsewhere, so that fail2ban has the time to ban it.
AT_ONCE, PER_MINUTE = 5, 60

# Interfaces for programs, and the setting that has each on.
INTERFACES = {
    "mcp": "security.mcp_enabled",
    "oauth": "security.oauth_server_enabled",
    "external_api": "security.external_api_enabled",
}

# A user name of basic authentication can contain anything but a bare quote, even something like a date.
START = r'^{front}<ADDR> \S+ (?:[^"\\]|\\.)*"(?i:POST) +(?:[A-Za-z][A-Za-z0-9+.-]*://[^/\s"]*)?'
END = r'(?:[?#]\S*)? +HTTP/[\d.]+" (?:401|403|429)\b'
# With what stands behind it: a date in a user name is never followed by a bare quote.
DATE = r'\[(%d/%b/%Y:%H:%M:%S %z)\] "'

FRIENDS = "/var/lib/chamilo-hardening/friends"
# logrotate leaves an empty log as it is.
ROTATE = 'file=$1; shift; for log; do test -s "$log" || echo >>"$log"; done; exec logrotate --force "$file"'


@dataclass(frozen=True)
class Filter:
    """What fail2ban counts, and the lines that prove it."""

    name: str
    failregex: Sequence[str]
    datepattern: str
    samples: Mapping[str, Any]
    log: str
    proxies: Sequence[str]
    friends: Sequence[str]

    @property
    def text(self) -> str:
        """The file, as the module fail2ban_filter proves it."""
        return Definition(self.name, tuple(self.failregex), datepattern=self.datepattern).text()


@dataclass(frozen=True)
class BruteForce(Plan):
    bans: bool  # fail2ban is asked for
    packages: Sequence[str]
    start: bool  # fail2ban has to be installed, started or enabled
    ssh_jail: bool  # ssh has no log file, and its jail would keep fail2ban from starting
    filter: Filter | None
    friends: Sequence[str]  # directories whose times are touched, parents first: never banned for a day
    jail: Transaction
    rotate: Sequence[Sequence[str]]  # commands
    client: bool  # no client of the database is there to set them
    settings: Settings | None
    vhost: bool  # a virtual host has to include the drop-ins first
    web: Transaction | None
    again: bool  # what is done in each run is due: to note who manages this host, and to determine the clients

    @property
    def more(self) -> bool:
        return bool(self.start or self.rotate or self.vhost or self.again)


def plan(portal: Portal, given: Mapping[str, Any]) -> BruteForce:
    bans = portal.enforced("brute_force_fail2ban")
    behind = bans and bool(given["chamilo_trusted_proxies"])
    name, site, recurring = f"brute_force:{portal.word}", portal.site, portal.discovered.recurring
    jail = f"chamilo-{portal.word.replace('_', '-')}"
    packages = portal.missing("brute_force") if bans else []
    filter_ = _filter(portal, given, jail) if bans else None
    settings = _settings(portal, given, bans) if portal.leads else {}
    web = _web(portal, bans)
    return BruteForce(
        bans=bans,
        packages=packages,
        start=bans and (not site.fail2ban or bool(packages)),
        ssh_jail=not site.ssh_log,
        filter=filter_,
        friends=_friends(site.managed_from) if bans else [],
        jail=Transaction(
            name,
            _restoration(portal) + _jail(filter_, jail, behind, site.log_rotation),
            [["fail2ban-client", "-t"], ["systemctl", "daemon-reload"]] if bans else [],
            # A reload takes an action away again that a running jail did not have before. Bans outlive a restart.
            Load("fail2ban", "restart" if behind else "reload") if bans else None,
        ),
        rotate=_rotate(site.exposed_logs) if bans else [],
        client=bool(settings) and not site.database.client,
        settings=Settings(name, portal.root, settings) if portal.leads and (settings or portal.kept(name)) else None,
        vhost=bans and portal.vhost_due,
        # With fail2ban waived, only to take away what was there.
        again=bans and (bool(recurring.proxies) or bool(site.managed_from and not recurring.spared)),
        web=web if bans or portal.active(web.name) else None,
        values={
            "domain": portal.domain,
            "jail": jail,
            "logs": logs(portal) if bans else [],
            "attempts": portal.attempts(given["chamilo_brute_force_attempts"]),
            "find_seconds": given["chamilo_brute_force_find_seconds"],
            "ban_seconds": given["chamilo_brute_force_ban_seconds"],
            "ports": sorted({80, 443, *(listen.port for listen in portal.listens if listen.port)}),
            # A firewall sees only the proxy where a visitor comes through one. The web server knows who it is, and
            # refuses.
            "behind": behind,
            "refused": f"/run/chamilo-hardening-banned/{jail}",
            # Who must never be banned. The controller of the moment is a directory with its address as name.
            "spared": _unique(["127.0.0.0/8", "::1", *given["chamilo_friends"], *given["chamilo_trusted_proxies"]]),
            "friends": FRIENDS,
            "on_pages": _on_pages(portal.apache),
            "behind_scripts": _behind_scripts(portal.apache),
            "variable": portal.variable,
            "limit": _limit(portal),
            "unasked": _unasked(portal.apache),
            "escaped": _by(ASKED, portal.apache),
            "at_once": portal.attempts(AT_ONCE),
            "per_minute": portal.attempts(PER_MINUTE),
            "pace": _pace(portal),
        },
    )


# ------------------------------------------------------------------------------------------------ what is read


def logs(portal: Portal) -> list[str]:
    """The access logs, or a PlanError where fail2ban could not read who fails to log in."""
    logged = _logged(portal)
    # Discovery has resolved Apache's names. nginx knows one itself, and takes others for whatever.
    known = {"", "combined", *(("common", "vhost_combined") if portal.apache else ())}
    if not logged or len(logged) < len(portal.hosts) or set(_formats(portal)) - known:
        found = ", ".join(map(_log_of, portal.hosts)) or "no virtual host"
        raise PlanError(
            f"fail2ban has to read who fails to log in from the access log of {portal.domain}, a file in the format "
            f"combined. It finds {found}. Have the virtual host write one, or waive brute_force_fail2ban."
        )
    return portal.logs


def _logged(portal: Portal) -> list[VirtualHost]:
    return [host for host in portal.hosts if host.access_log_file in portal.logs]


def _log_of(host: VirtualHost) -> str:
    form = host.access_log_format
    writes = f", which writes {form}" if form.startswith('"') else ""
    return f"{host.access_log or 'none'} ({host.file} line {host.line}{writes})"


def _formats(portal: Portal) -> list[str]:
    return _unique([host.access_log_format for host in _logged(portal)])


# ------------------------------------------------------------------------------------------------ what counts


def failregex(portal: Portal) -> list[str]:
    names = r"[^\s:]+"
    if portal.named:
        written = [name for host in portal.hosts for name in host.names]
        names = "|".join(map(re.escape, _unique([*portal.site.portal_names, *written])))
    # Apache puts the name of the virtual host in front where several share a log.
    front = rf"(?:(?:{names}):\d+ )?" if "vhost_combined" in _formats(portal) else ""
    start = START.replace("{front}", front)
    plain = rf'/(?:[^\s"?#%]{{0,200}}\.php/|index\.php)?(?:{"|".join(LOGINS)})'
    script, index, *logins = map(_spelled, (".php/", "index.php", *LOGINS))
    # The same with a letter as %6c. No other escaped path: any web page can have its reader's browser ask for one that
    # is refused.
    hidden = rf'/(?=[^\s"?#%]{{0,240}}%)(?:[^\s"?#]{{0,200}}{script}|{index})?(?:{"|".join(logins)})'
    return [start + plain + END, start + hidden + END]


def _spelled(text: str) -> str:
    """Each letter as it is, or escaped."""
    return "".join(f"(?:{re.escape(letter)}|%(?i:{letter.encode().hex()}))" for letter in text)


def samples(portal: Portal) -> dict[str, Any]:
    """Lines as nginx and Apache write them, for every login path and every answer to a failure."""
    front = f"{portal.domain}:443 " if "vhost_combined" in _formats(portal) else ""
    agent = f'"https://{portal.domain}/login" "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"'

    def line(request: str, address: str = "203.0.113.7", user: str = "-", agent: str = '"-" "-"') -> str:
        return f"{front}{address} - {user} [25/Nov/2026:10:00:00 +0000] {request} 43 {agent}"

    def matches() -> Iterator[tuple[str, str]]:
        for path in (f"/{login}" for login in LOGINS):
            for status in (401, 403, 429):
                yield "203.0.113.7", line(f'"POST {path} HTTP/2.0" {status}', agent=agent)
        for address in ("2001:db8::7", "::ffff:203.0.113.7"):
            yield address, line('"POST /login_json?x=1 HTTP/1.1" 401', address, agent='"-" "curl/8.14"')
        for request in (
            "POST /index.php/login_json",
            "POST /%6Cogin_json",
            "POST /login%2fldap%2Fcheck",
            "POST /login_json#x",
            "POST /index.phplogin_json",
            "POST /%69ndex.php/login_json",
            "POST /index%2ephp%2Flogin_json",
            "POST /courses.php/%6C%6fgin_json",
            "POST /%63ourses%2Ephp/login_json",
            f"POST https://{portal.domain}/api/authentication_token",
            "POST X://y/login_json",
            "post /login_json",
        ):
            yield "203.0.113.7", line(f'"{request} HTTP/1.1" 401')
        for script in ("/main/auth/lostPassword.php", "/courses.php", "//certificates/index.php", "/a/../index.php"):
            yield "203.0.113.7", line(f'"POST {script}/login/ldap/check?x HTTP/1.1" 403')
        for user in (
            "ada",
            "a b",
            "a [25/Nov/2020",
            r"[25/Nov/2020:10:00:00 +0000] \"POST",
            r"[25/Nov/2020:10:00:00 +0000] \x22",
        ):
            yield "203.0.113.7", line('"POST /login_json HTTP/1.1" 401', user=user)

    harmless = [
        *(line(f'"POST /login_json HTTP/1.1" {status}', agent=agent) for status in (200, 400, 500, 423)),
        line('"GET /login HTTP/1.1" 401', agent=agent),
        line('"GET /login_json HTTP/1.1" 405', agent=agent),
        line('"POST /api/users HTTP/1.1" 401', agent=agent),
        line('"GET /connect/azure/check?code=x&state=y HTTP/2.0" 403', agent=agent),
        line('"POST /login/token/check HTTP/2.0" 403', agent=agent),
        line('"POST /mcp HTTP/1.1" 401', agent=agent),
        line('"POST /oauth/authorize HTTP/1.1" 403', agent=agent),
        line('"POST /login_json_help HTTP/1.1" 403', agent=agent),
        line('"POST /x/login_json HTTP/1.1" 403', agent=agent),
        line('"POST /main/auth/lostPassword.php HTTP/1.1" 403', agent=agent),
        line('"POST /courses.php/login HTTP/1.1" 403', agent=agent),
        line('"GET /courses.php/login_json HTTP/1.1" 403', agent=agent),
        line('"POST /courses.php?/login_json HTTP/1.1" 403', agent=agent),
        line('"GET /?POST%20/login_json HTTP/1.1" 401', agent=agent),
        line('"POST /r/a%20b HTTP/1.1" 401', agent=agent),
        line('"POST /%2egit HTTP/1.1" 403', agent=agent),
        line('"POST /%6dain/install/ HTTP/1.1" 403', agent=agent),
        line('"POST /%6cogin HTTP/1.1" 403', agent=agent),
        line('"POST /x%2f%6cogin_json HTTP/1.1" 403', agent=agent),
        line('"POST /%4cogin_json HTTP/1.1" 403', agent=agent),
        line('"POST /%2egit/x.phplogin_json HTTP/1.1" 403', agent=agent),
        line('"POST /.git/x.phplogin_json HTTP/1.1" 403', agent=agent),
    ]
    if front and portal.named:  # of another portal, in the same log
        other = line('"POST /login_json HTTP/1.1" 401')
        harmless.append(f"shop.example:443 {other[len(front) :]}")
    return {"match": [{"address": address, "line": text} for address, text in matches()], "no_match": harmless}


def _filter(portal: Portal, given: Mapping[str, Any], name: str) -> Filter:
    proxies, friends = given["chamilo_trusted_proxies"], given["chamilo_friends"]
    # The section https, when it ran before in this play, has the log show who is behind them; older lines do not.
    known = portal.vhost_written
    return Filter(
        name,
        failregex(portal),
        DATE,
        samples(portal),
        logs(portal)[0],
        [] if known else proxies,
        [*friends, *proxies] if known else friends,
    )


# ------------------------------------------------------------------------------------------------ what is written


def _jail(filter_: Filter | None, jail: str, behind: bool, rotation: str) -> list[File]:
    if not filter_:
        return []
    files = [
        File(f"/etc/fail2ban/filter.d/{jail}.conf", content=filter_.text),
        File(f"/etc/fail2ban/jail.d/{jail}.conf", "jail.conf.j2"),
        File("/etc/systemd/system/fail2ban.service.d/chamilo-hardening.conf", "memory.conf.j2"),
    ]
    if behind:
        files.append(File(f"/etc/fail2ban/action.d/{jail}.conf", "action.conf.j2"))
    if rotation:  # what fail2ban believes, PHP's user must not write; discovery makes it of the host's own rotation
        files.append(File("/etc/logrotate.d/00-chamilo-hardening", content=rotation))
    return files


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
    return ["/var/lib/chamilo-hardening", FRIENDS, f"{FRIENDS}/{controller}"] if controller else []


def _rotate(exposed: Mapping[str, str]) -> list[list[str]]:
    by_file: dict[str, list[str]] = {}
    for log, file in exposed.items():
        if file:
            by_file.setdefault(file, []).append(log)
    return [["sh", "-euc", ROTATE, "sh", file, *logs_] for file, logs_ in sorted(by_file.items())]


def _web(portal: Portal, bans: bool) -> Transaction:
    drop_in = File(f"{portal.drop_ins}/brute_force.conf", f"{portal.web}/brute_force.conf.j2")
    # nginx counts by itself, outside of a virtual host. Apache asks a program.
    pace = File(_pace(portal), "apache/pace.py.j2" if portal.apache else "nginx/pace.conf.j2")
    pace = replace(pace, mode="0755") if portal.apache else pace
    limit = [] if portal.apache else [File(_limit(portal), "nginx/limit.conf.j2")]
    return Transaction(
        f"brute_force:{portal.word}.web",
        [drop_in, pace, *limit, *portal.apache_modules("rewrite", "headers")] if bans else [],
        portal.test,
        Load(portal.service),
        portal.token("brute_force"),
        bans,
    )


# What the web server refuses, of the path as it reads it. Apache may be configured to leave an escaped slash as it is.
def _alternatives(logins: Sequence[str], apache: bool) -> str:
    return "|".join(logins).replace("/", _slash(apache))


def _slash(apache: bool) -> str:
    return "(?:/|%2[Ff])" if apache else "/"


def _behind_scripts(apache: bool) -> str:
    return rf"^/(?!index\.php/)(?s:.*)\.php/(?:{_alternatives(LOGINS, apache)})$"


def _on_pages(apache: bool) -> str:
    return _by(PAGES, apache)


def _unasked(apache: bool) -> str:
    return _by([login for login in LOGINS if login not in ASKED], apache)


def _by(logins: Sequence[str], apache: bool) -> str:
    return rf"^/(?:index\.php{_slash(apache)}?)?(?:{_alternatives(logins, apache)})$"


def _limit(portal: Portal) -> str:
    return f"{portal.drop_ins}/limit/brute_force.conf"


def _pace(portal: Portal) -> str:
    if portal.apache:
        return f"/usr/local/lib/chamilo-{portal.word}-pace"
    return f"/etc/nginx/conf.d/chamilo-{portal.word}-brute_force.conf"


# ------------------------------------------------------------------------------------------------ in Chamilo


def _settings(portal: Portal, given: Mapping[str, Any], bans: bool) -> dict[str, Any]:
    attempts = int(given["chamilo_brute_force_attempts"])
    # Guesses from one address lead to a ban of it first, with what is still on its way then: otherwise an attacker
    # could lock the account of an administrator.
    lock = min(attempts + 5, 10) if bans else attempts
    desired_by_name: list[tuple[str, dict[str, Any]]] = [
        ("brute_force_lock", {"security.login_max_attempt_before_blocking_account": lock}),
        ("brute_force_captcha", {"security.allow_captcha": given["chamilo_brute_force_captcha"]}),
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


def _unique(values: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(values))
