# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Section monitoring: monit watches the log and the machine, and the host program works by what is written here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...module_utils._application.declared import DEFAULTS, VARIABLES
from ...module_utils._transaction.job import Load
from .portal import PACKAGES, Portal
from .shapes import File, Plan, Transaction

PIDS = {"nginx": "/run/nginx.pid", "apache": "/run/apache2/apache2.pid"}
LOCAL = ("", "localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Monitoring(Plan):
    present: bool
    main: Transaction
    again: bool  # the daily work is due, or its list of files has no copy off the host

    @property
    def more(self) -> bool:
        return self.again or super().more


def plan(portal: Portal, given: Mapping[str, Any]) -> Monitoring:
    site, name = portal.site, f"monitoring:{portal.word}"
    present = given["chamilo_monitoring_state"] == "present"
    log = f"{portal.root}/var/log/prod.log"
    app_log = portal.enforced("monitoring_app_log")
    # A mail program that is there is left alone. msmtp counts as ours only where a mail server is named.
    msmtp = bool(given["chamilo_monitoring_smtp_host"]) and (
        not site.sendmail or "msmtp-mta" not in site.missing_packages
    )
    config = f"{portal.root}/config/packages/prod/zz_chamilo_hardening_log.yaml"
    files = [
        File(
            f"/etc/chamilo-hardening/monitoring-{portal.word}.json",
            content=f"{json.dumps(_known(portal, given, log if app_log else ''), sort_keys=True)}\n",
            mode="0600",
        ),
        File("/etc/monit/conf.d/chamilo-hardening", "monit/host.j2", mode="0600"),
        File(f"/etc/monit/conf.d/chamilo-{portal.word}", "monit/site.j2", mode="0600"),
    ]
    if app_log:
        # In the directory that no update touches, read after one that an administrator may have there.
        files.append(portal.configuration(config, "monolog.yaml.j2"))
        files.append(File(f"/etc/logrotate.d/chamilo-{portal.word}", "logrotate.j2"))
    if msmtp:
        files.append(File("/etc/msmtprc", "msmtprc.j2", mode="0600", secret=True))
    # A run before a waiver may have put it there.
    rebuild = portal.rebuild if app_log or config in portal.files(name) else []
    return Monitoring(
        present=present,
        packages=[one for one in portal.missing(*PACKAGES["monitoring"]) if msmtp or one != "msmtp-mta"]
        if present
        else [],
        main=Transaction(
            name,
            files,
            [*rebuild, ["monit", "-t"]],
            Load("monit", "restart"),
            present=present,
        ),
        again=present and _again(portal, given),
        values={
            "site": portal.word,
            "domain": portal.domain,
            "auth": portal.enforced("monitoring_auth"),
            "resources": portal.enforced("monitoring_resources"),
            "app_log": app_log,
            "log": log,
            "php": {"user": site.php.user, "group": site.php.group},
            "services": _services(portal),
            "disk_percent": given["chamilo_monitoring_disk_percent"],
            "smtp": {
                name: given[f"chamilo_monitoring_smtp_{name}"]
                for name in ("host", "port", "from", "user", "password", "tls")
            },
        },
    )


def _again(portal: Portal, given: Mapping[str, Any]) -> bool:
    recurring = portal.discovered.recurring
    # A copy on the host itself is none.
    local = given.get("ansible_connection", "ssh") in ("local", "ansible.builtin.local")
    return portal.announced_anew or not recurring.daily or not (local or recurring.copied)


def _services(portal: Portal) -> list[dict[str, str]]:
    php = portal.site.php
    found = [{"name": portal.web, "pid": PIDS[portal.web]}]
    if php.sapi == "fpm":
        found.append({"name": "php", "pid": f"/run/php/php{php.version}-fpm.pid"})
    if portal.site.database.host in LOCAL:
        found.append({"name": "database", "pid": "/run/mysqld/mysqld.pid"})
    return found


def _known(portal: Portal, given: Mapping[str, Any], log: str) -> dict[str, Any]:
    """What the host program works by. No secret is in it."""
    return {
        "domain": portal.domain,
        "root": portal.root,
        "web_server": portal.web,
        "failures": given["chamilo_monitoring_failures"],
        "minutes": given["chamilo_monitoring_failures_minutes"],
        "dormant_days": given["chamilo_monitoring_dormant_days"],
        "administrators": given["chamilo_monitoring_administrators"],
        "log": log,
        "console": portal.console,
        # Accounts are the portal's: one of its nodes has the administrator review them.
        **({} if portal.leads else {"leader": portal.node["leader"]}),
        "disks": [f"{portal.root}/var", "/var/lib/mysql", "/var/log", "/var/backups", "/tmp", "/boot"],
        "percent": given["chamilo_monitoring_disk_percent"],
        "figures": "/var/lib/prometheus/node-exporter" if given["chamilo_monitoring_node_exporter"] else "",
        "options": _declared(portal, given),
    }


def _declared(portal: Portal, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the audits of the host itself judge by."""
    return {
        **{option: type(DEFAULTS[option])(given[variable]) for option, variable in VARIABLES.items()},
        "terminated_elsewhere": portal.elsewhere,
        "attempts": portal.attempts(given[VARIABLES["attempts"]]),
        **({"several_nodes": True} if len(portal.node["web"]) > 1 else {}),
        "unenforced": portal.unenforced,
    }
