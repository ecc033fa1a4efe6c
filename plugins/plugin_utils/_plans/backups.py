# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Section backups: the configuration of the daily backup, and when it runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from .portal import PACKAGES, Portal
from .shapes import File, Plan, Transaction

BEHIND = "chamilo-hardening-first"  # units of systemd


@dataclass(frozen=True)
class Backups(Plan):
    present: bool
    first: bool  # before anything else is changed
    main: Transaction
    now: Sequence[Sequence[str]]  # the commands to run at once, as soon as it is known which jobs never succeeded


def plan(portal: Portal, given: Mapping[str, Any]) -> Backups:
    present = portal.leads and given["chamilo_backups_state"] == "present"
    drills = portal.enforced("backups_restore_tested")
    first = present and bool(given.get("_chamilo_backups_before"))  # the playbook harden sets it
    due = given.get("__chamilo_backups_key", {}).get("due", [])
    configuration = _configuration(portal, given, drills)
    return Backups(
        present=present,
        first=first,
        packages=portal.missing(*PACKAGES["backups"]) if present else [],
        main=Transaction(
            f"backups:{portal.word}",
            [
                File(
                    f"/etc/chamilo-hardening/backups-{portal.word}.json",
                    content=f"{json.dumps(configuration, indent=1, sort_keys=True)}\n",
                    mode="0600",
                    secret=True,
                ),
                File(f"/etc/chamilo-hardening/backups-{portal.word}.env", "env.j2", mode="0600", secret=True),
                # cron reads no file with a dot in its name.
                File(f"/etc/cron.d/chamilo-hardening-backups-{portal.word.replace('.', '_')}", "cron.j2"),
            ],
            present=present,
        ),
        now=[["chamilo-hardening", "backup", "--site", portal.word]]
        if first
        else [_behind(job, portal.word) for job in ("backup", *(("drill",) if drills else ())) if job in due],
        values={
            "domain": portal.domain,
            "site": portal.word,
            "drills": drills,
            "hour": int(given["chamilo_backups_hour"]),
            "minute": Random(portal.word).randrange(60),  # not all hosts of a school at the same minute
            "environment": given["chamilo_backups_environment"],
        },
    )


def _behind(job: str, site: str) -> list[str]:
    """The command by which the host does a job while the run goes on: the second when the first has ended."""
    begin = ["systemd-run", "--no-block", "--collect", "--service-type=oneshot", f"--unit={BEHIND}-{job}-{site}"]
    after = [f"--property=After={BEHIND}-backup-{site}.service"] if job != "backup" else []
    return [*begin, *after, "/usr/local/sbin/chamilo-hardening", job, "--quiet", "--site", site]


def _configuration(portal: Portal, given: Mapping[str, Any], drills: bool) -> dict[str, Any]:
    php, database = portal.site.php, portal.site.database
    return {
        "site": portal.word,
        "domain": portal.domain,
        "root": portal.root,
        "web_user": given["chamilo_web_user"] or php.user,
        "php": php.version,
        "php_service": php.service,
        "host": database.host or "localhost",
        "port": database.port or 3306,
        "socket": database.socket,
        "name": database.name,
        "repository": given["chamilo_backups_repository"],
        "offsite": given["chamilo_backups_offsite_repository"] if portal.enforced("backups_offsite") else "",
        **{f"keep_{often}": int(given[f"chamilo_backups_keep_{often}"]) for often in ("daily", "weekly", "monthly")},
        "scratch": given["chamilo_backups_scratch"],
        "drills": drills,
    }
