# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Section sessions: how long they live, and with which cookies."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ...module_utils._application import integrations
from ...module_utils._application.redis import local
from ...module_utils._php.php import Php
from ...module_utils._transaction.job import Load
from .portal import Portal
from .shapes import File, Plan, PlanError, Settings, Transaction

PREPEND = "/usr/local/share/chamilo-hardening/prepend.d"
CLIENT = "php{php}-redis"  # the package, as discovery is asked for it
MARK = """\
Managed by Ansible: chamilo.hardening, section sessions. While this file is here, sessions.php minds this portal.
"""


@dataclass(frozen=True)
class Flag:
    """One property of the cookie, as PHP and the application write it."""

    control: str
    flag: str
    php: str
    application: str


SECURE = Flag("sessions_cookie_secure", "cookie_secure", "1", "true")
HTTP_ONLY = Flag("sessions_cookie_httponly", "cookie_httponly", "1", "true")
SAME_SITE = Flag("sessions_cookie_samesite", "cookie_samesite", "Lax", "lax")
# Browsers send the cookie in a frame of another site only with this. The application writes it by a setting of its own.
FRAMED = Flag("sessions_cookie_samesite", "cookie_samesite", '"None"', "lax")  # without quotes PHP reads no value
SAME_SITE_SETTING = "security.security_session_cookie_samesite_none"


@dataclass(frozen=True)
class Sessions(Plan):
    vhost: bool  # a virtual host has to include the drop-ins first
    php: Transaction
    apart: Transaction | None
    application: Transaction | None
    web: Transaction | None
    settings: Settings | None
    forget: Mapping[str, str] | None  # the portal whose stored logins of "Remember me" are deleted

    @property
    def more(self) -> bool:
        return self.vhost or super().more or self.forget is not None


def store(portal: Portal, given: Mapping[str, Any]) -> dict[str, Any]:
    """The server that keeps the sessions of all nodes, as discovery asks it; empty where each node keeps its own."""
    if given["chamilo_sessions_handler"] != "redis":
        return {}
    return {
        "host": given["chamilo_sessions_redis_host"],
        "port": int(given["chamilo_sessions_redis_port"]),
        "ca_file": given["chamilo_sessions_redis_ca_file"],
        "user": given["chamilo_sessions_redis_user"],
        "prefix": f"chamilo-{portal.word}:",
    }


def _place(kept: Mapping[str, Any], password: str) -> str:
    """The server as PHP's client takes it, within quotes."""
    host = f"[{kept['host']}]" if ":" in kept["host"] else kept["host"]
    words = {
        "auth[user]": kept["user"],
        "auth[pass]": password,
        "prefix": kept["prefix"],
        "timeout": "3",
        "read_timeout": "5",
        **({"stream[cafile]": kept["ca_file"]} if kept["ca_file"] else {}),
    }
    query = "&".join(f"{name}={urllib.parse.quote(str(value), safe='')}" for name, value in words.items())
    return f"{'tcp' if local(kept['host']) else 'tls'}://{host}:{kept['port']}?{query}"


def plan(portal: Portal, given: Mapping[str, Any]) -> Sessions:
    site, name, php = portal.site, f"sessions:{portal.word}", _php(portal)
    idle, strict = portal.enforced("sessions_lifetime"), portal.enforced("sessions_strict")
    asked = given["chamilo_level"] == "consider" or not boolean(given["chamilo_sessions_remember_me"])
    forget = asked and portal.enforced("sessions_remember_me", "consider")
    # On a portal that is reached by plain http, no login would work with a Secure cookie.
    # Nor does a browser take a cookie for frames of other sites that is not Secure.
    framed = portal.encrypted and bool(integrations.origins(given["chamilo_integrations"], "session"))
    expected = [*([SECURE] if portal.encrypted else []), HTTP_ONLY, FRAMED if framed else SAME_SITE]
    flags = [one for one in expected if portal.enforced(one.control)]
    settings = _settings(portal, name, framed)
    fpm, kept = php.sapi == "fpm", store(portal, given)
    if kept and not (fpm and site.sessions_in_php):
        raise PlanError(
            f"{portal.domain}: sessions cannot go to Redis. That takes PHP-FPM, and an application without "
            "handler_id and save_path of its own in framework.session. Take those out of config/, or set "
            "chamilo_sessions_handler to files."
        )
    client = CLIENT.replace("{php}", php.version) if kept else ""
    in_web = forget or php.sapi == "mod_php"  # only what cannot be set elsewhere is set in the web server
    apart = _apart(portal, php)
    application = _application(portal, idle, bool(idle or flags))
    web = Transaction(
        name,
        _web(portal, forget),
        portal.test,
        Load(portal.service),
        [*portal.token("sessions"), portal.front],
        in_web,
    )
    return Sessions(
        vhost=in_web and portal.vhost_due,
        packages=[*portal.missing(client), *(portal.client if forget or settings else [])],
        php=Transaction(
            f"sessions:{portal.word}.php",
            _host(portal, idle) + _part(portal, strict) + (_fpm(portal, bool(kept)) if fpm else []),
            [[f"php-fpm{php.version}", "-t"]] if fpm else portal.test,
            Load(php.service),
            # Whether it can keep a session there shows on a page that begins one.
            [portal.front, *([replace(portal.front, url=f"{portal.front.url}login")] if kept else [])],
        ),
        apart=apart if fpm and site.systemd and (apart.present or portal.active(apart.name)) else None,
        # Without a desired value, only to remove what a run before the waivers wrote.
        application=application if application.present or portal.active(application.name) else None,
        web=web if in_web or portal.active(name) else None,
        settings=settings,
        forget={"domain": portal.domain, "root": portal.root, "web_server": portal.web} if forget else None,
        values={
            "lifetime": given["chamilo_sessions_lifetime"],
            "place": _place(kept, given["chamilo_sessions_redis_password"]) if kept else "",
            "idle": idle,
            "strict": strict,
            "forget": forget,
            "flags": [vars(one) for one in flags],
            "mod_php": php.sapi == "mod_php",
            "spellings": site.spellings,
        },
    )


def _settings(portal: Portal, name: str, framed: bool) -> Settings | None:
    if not portal.leads or not (framed or portal.kept(name)):
        return None
    values = {SAME_SITE_SETTING: True} if framed else {}
    return Settings(name, portal.root, values, portal.site.php.user)


def _php(portal: Portal) -> Php:
    php = portal.site.php
    if not (php.version and php.user):
        why = " ".join(portal.site.problems) or "its virtual host hands requests on to no pool of this host."
        raise PlanError(
            f"The PHP that serves {portal.domain} was not found, so nothing of this section can be applied: {why}"
        )
    return php


def _host(portal: Portal, idle: bool) -> list[File]:
    """Debian's cleaner asks every version and face of PHP, and takes the longest time it hears."""
    faces = portal.site.php_folders if idle else []
    return [File(f"{face}/conf.d/90-chamilo-hardening-sessions.ini", "php/host.ini.j2") for face in faces]


def _part(portal: Portal, strict: bool) -> list[File]:
    # It finds sessions by php.ini. Where the application keeps them elsewhere, no user would stay logged in.
    if not (strict and portal.site.sessions_in_php):
        return []
    return [
        *portal.prepend,
        File(f"{PREPEND}/sessions.php", "php/part.php.j2"),
        # Another portal of this host may keep its sessions elsewhere.
        File(
            f"{PREPEND}/sessions-{portal.word}",
            content=f"Managed by Ansible: chamilo.hardening, section sessions. {MARK}\n",
        ),
    ]


def _fpm(portal: Portal, secret: bool) -> list[File]:
    etc = f"/etc/php/{portal.site.php.version}/fpm"
    return [
        # PHP-FPM reads it as root, before it becomes another user.
        File(
            f"{etc}/conf.d/91-chamilo-{portal.word}-sessions.ini",
            "php/site.ini.j2",
            mode="0600" if secret else "0644",
            secret=secret,
        ),
        # Read after the pools, and part of none.
        File(f"{etc}/pool.d/zz-chamilo-hardening.conf", "php/fpm.conf.j2"),
    ]


def _apart(portal: Portal, php: Php) -> Transaction:
    """What keeps PHP out of the web server's memory, which is one account with it."""
    return Transaction(
        f"sessions:{portal.word}.apart",
        [
            File(f"/etc/systemd/system/{php.service}.service.d/chamilo-hardening.conf", "php/service.conf.j2"),
            # Before all others: whoever asks for more, or for less, has it.
            File("/etc/sysctl.d/00-chamilo-hardening.conf", "php/sysctl.conf.j2"),
        ],
        [["systemctl", "daemon-reload"], ["/usr/lib/systemd/systemd-sysctl", "--prefix=kernel.yama"]],
        Load(php.service, "restart"),
        [portal.front],
        portal.enforced("sessions_apart"),
    )


def _application(portal: Portal, idle: bool, reported: bool) -> Transaction:
    """The application needs no service of its own to load it, so it goes together with the timer of PHP's cleaner."""
    timer = "/etc/systemd/system/phpsessionclean.timer.d/chamilo-hardening.conf"
    cleaner = [File(timer, "timer.conf.j2")] if idle and portal.site.systemd else []
    # In the directory that no update touches, read after one that an administrator may have there.
    path = f"{portal.root}/config/packages/prod/zz_chamilo_hardening.yaml"
    return Transaction(
        f"sessions:{portal.word}.application",
        [*cleaner, portal.configuration(path, "application.yaml.j2")],
        [*([["systemctl", "daemon-reload"]] if cleaner else []), *portal.rebuild],
        Load("phpsessionclean.timer", "restart") if cleaner else None,
        [portal.front],
        reported,
    )


def _web(portal: Portal, forget: bool) -> list[File]:
    files = [File(f"{portal.drop_ins}/sessions.conf", f"{portal.web}/sessions.conf.j2")]
    if forget and not portal.apache:
        files.append(File(f"{portal.drop_ins}/php/sessions.conf", "nginx/php.conf.j2"))
        files.append(File(f"/etc/nginx/conf.d/chamilo-{portal.word}-sessions.conf", "nginx/cookie.conf.j2"))
    return files + portal.apache_modules("rewrite", "headers")
