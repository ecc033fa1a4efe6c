# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Section updates: who updates the system, who checks for new releases, and who may reach the installer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ...module_utils._transaction.job import Load
from .portal import PACKAGES, Portal
from .shapes import File, Plan, Transaction

INSTALLER = r"main/install|check\.php"
# What had published vulnerabilities, by the item of updates_installer that opens it again.
EXPLOITED = {
    "bigupload": "main/inc/lib/javascript/bigupload",
    "additional_webservices": r"main/webservices/additional_webservices\.php",
    "sub_language": r"main/admin/sub_language_ajax\.inc\.php",
    "vchamilo": "plugin/vchamilo",
    # The second is a route of 2.0 and later, which index.php answers without a login, whether or not the plugin is on.
    "pens": r"plugin/pens/pens\.php|(?:index\.php/)?plugin/pens/collect",
}


@dataclass(frozen=True)
class Updates(Plan):
    host: Transaction
    look: bool  # for a new release, once what it works by has changed
    vhost: bool  # a virtual host has to include the drop-ins first
    web: Transaction | None

    @property
    def more(self) -> bool:
        return self.vhost or super().more


def plan(portal: Portal, given: Mapping[str, Any]) -> Updates:
    name, present = f"updates:{portal.word}", given["chamilo_updates_state"] == "present"
    system = present and boolean(given["chamilo_updates_unattended"]) and portal.enforced("updates_os")
    closing = present and portal.enforced("updates_installer")
    waived = portal.waived_items("updates_installer")
    exploited = [pattern for item, pattern in EXPLOITED.items() if item not in waived]
    web = Transaction(
        name,
        [
            File(f"{portal.drop_ins}/updates.conf", f"{portal.web}/updates.conf.j2"),
            *portal.apache_modules("rewrite", "headers"),
        ],
        portal.test,
        Load(portal.service),
        portal.probe("updates"),
        closing,
    )
    return Updates(
        packages=portal.missing(*PACKAGES["updates"]) if system else [],
        host=Transaction(
            f"updates:{portal.word}.host",
            _host(portal, given, system),
            [["apt-config", "dump"]] if system else [],
            present=present,
        ),
        look=present,
        vhost=closing and portal.vhost_due,
        # Without it, only to take away what a run before the waiver put there.
        web=web if closing or portal.active(name) else None,
        values={
            "installer": INSTALLER,
            "exploited": exploited,
            "closed": [INSTALLER, *exploited],
            # `chamilo-hardening window open --from ADDRESS` alone writes into this directory.
            "window": f"{portal.drop_ins}/window/*.conf",
        },
    )


def _host(portal: Portal, given: Mapping[str, Any], system: bool) -> list[File]:
    watch = portal.enforced("updates_watch")
    known = {
        "domain": portal.domain,
        "root": portal.root,
        "feed": given["chamilo_updates_feed"] if watch else "",
    }
    text = f"{json.dumps(known, sort_keys=True)}\n"
    files = [File(f"/etc/chamilo-hardening/updates-{portal.word}.json", content=text, mode="0600")]
    # Debian's own file names the security archive; this one only switches it on, and is read after it.
    return [*files, *([File("/etc/apt/apt.conf.d/52chamilo-hardening", "apt.conf.j2")] if system else [])]
