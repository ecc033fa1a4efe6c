# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What discovery observed of a host, and what the role common makes of it: the part that sections share."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from ansible.module_utils.common.text.formatters import human_to_bytes

from ...module_utils._common.in_force import InForce
from ...module_utils._common.version import VersionError, parse
from .. import _controls, _discovered
from . import prepend
from .served import Served
from .shapes import File

CLIENT = "python3-pymysql"
INSTALLED = "__chamilo_common_installed"  # by this run, as the role common sets it
# What sections install where it is missing.
PACKAGES: Mapping[str, Sequence[str]] = {
    "brute_force": ("fail2ban", "nftables", "python3-systemd"),
    "uploads": ("clamav-daemon", "cron"),
    "monitoring": ("monit", "logrotate", "msmtp-mta"),
    "updates": ("unattended-upgrades",),
    "backups": ("restic", "cron", "mariadb-client", "mariadb-server-core"),
}


class Portal(Served):
    """A portal on a host: how it is served, its application, and what is on the host of it."""

    def since(self, branch: tuple[int, ...]) -> bool:
        """Whether the application is known to be of this branch or a later one."""
        try:
            return parse(self.site.version)[: len(branch)] >= branch
        except VersionError:
            return False

    @property
    def console(self) -> list[str]:
        """The start of a command of Chamilo's console."""
        # What the server itself gives PHP (its source has a line) wins over the files, by which the console would go.
        given = {key for key, source in self.site.environment_source.items() if re.match(r".+:[0-9]+$", source)}
        mode = [f"{key}={self.site.environment[key]}" for key in ("APP_DEBUG", "APP_ENV") if key in given]
        php = self.site.php
        start = ["runuser", "-u", php.user, "--", "env", f"--chdir={self.root}", "HOME=/nonexistent"]
        return [*start, *mode, f"php{php.version}", "bin/console"]

    @property
    def rebuild(self) -> list[list[str]]:
        """The commands that make the application go by its configuration as it is now, and PHP by what is built of it.

        PHP keeps programs for a while, or for good (opcache.validate_timestamps=0). Where its service does not run,
        such as at boot, there is nothing to do.
        """
        return [
            [*self.console, "cache:clear", "--no-interaction", "--quiet"],
            ["systemctl", "try-reload-or-restart", self.site.php.service or self.service],
        ]

    @property
    def file_most(self) -> int:
        """How long an uploaded file may be, in bytes; 0 where that was not set."""
        return int(human_to_bytes(str(self.variables["chamilo_uploads_maximum_size"] or "0")))

    @property
    def request_most(self) -> int:
        """How long a request may be: a file and a form."""
        return self.file_most + (1 << 20)

    @property
    def body_limit(self) -> list[File]:
        """The drop-in that limits requests, the same for the sections https and uploads, which both write it.

        What was not asked for is not raised: without the variable PHP's limits stay as they are, and the web server's
        go with the virtual host of its owner. Nothing where nobody says anything; 0 is without limit.
        """
        owners = [host.body_limit for host in self.site.serving if host.body_limit >= 0]
        if not owners and not self.file_most:
            return []
        most = self.request_most if self.file_most else 0 if 0 in owners else max(owners)
        limit = f"LimitRequestBody {most}" if self.apache else f"client_max_body_size {most};"
        managed = "# Managed by Ansible: chamilo.hardening, sections https and uploads. Changes here are lost."
        return [File(f"{self.drop_ins}/limits.conf", content=f"{managed}\n{limit}\n")]

    @cached_property
    def prepend(self) -> list[File]:
        """What makes PHP run the parts that sections put into prepend.d."""
        return prepend.files(self.site, self.word)

    @cached_property
    def prepend_apache(self) -> list[File]:
        """What makes PHP run these parts where it is a module of Apache."""
        return prepend.apache(self.site, self.word)

    def apache_modules(self, *names: str) -> list[File]:
        """The links that load these modules of Apache; none for nginx."""
        links = ((f"/etc/apache2/mods-enabled/{name}.load", f"../mods-available/{name}.load") for name in names)
        return [File(path, target=target) for path, target in links] if self.apache else []

    # -------------------------------------------------------------------------------- what is there, and what is asked

    @property
    def announced_anew(self) -> bool:
        """Whether this run changed the recipients of alerts."""
        return bool(self.variables.get("__chamilo_common_program", {}).get("changed", False))

    def configuration(self, path: str, template: str) -> File:
        """A file of Chamilo's own configuration."""
        group = self.variables["chamilo_group"] or self.site.php.group
        return File(path, template, owner=str(self.variables["chamilo_owner"]), group=str(group), mode="0640")

    def missing(self, *names: str) -> list[str]:
        """Those of these packages that are not installed."""
        return [name for name in self.not_by_us(*names) if name in self.site.missing_packages]

    def not_by_us(self, *names: str) -> list[str]:
        """Those of these packages that this run has not installed."""
        return [name for name in names if name not in self.variables.get(INSTALLED, ())]

    @property
    def client(self) -> list[str]:
        """What is installed to reach the database where there is no client."""
        return [] if self.site.database.client else self.not_by_us(CLIENT)

    def active(self, transaction: str) -> bool:
        """Whether a transaction of that name has files on the host."""
        return transaction in self.discovered.in_force

    def files(self, transaction: str) -> Mapping[str, str]:
        """The files of that transaction on the host."""
        return self.discovered.in_force.get(transaction, InForce()).files

    def settings(self, section: str) -> Mapping[str, Any]:
        """The platform settings of that section that are effective, as discovered in this run."""
        seen = _discovered.seen(None, self.variables)
        values: Mapping[str, Any] = seen.settings_in_force.get(section, {}).get("values", {}) if seen else {}
        return values

    def kept(self, section: str) -> bool:
        """Whether platform settings of that section are on the host."""
        return section in self.discovered.settings_kept

    def waived_items(self, control: str) -> list[str]:
        """The items of a control that a waiver leaves out."""
        waivers = _controls.parse_waivers(self.variables["chamilo_waivers"], _controls.load())
        return _controls.waived_items(control, waivers, datetime.date.today())

    @property
    def unenforced(self) -> list[str]:
        """The controls that the level of the host or a waiver leaves out."""
        table = _controls.load()
        waivers = _controls.parse_waivers(self.variables["chamilo_waivers"], table)
        return _controls.unenforced(table, _controls.parse_level(self.variables["chamilo_level"]), waivers)

    def enforced(self, control: str, level: str = "") -> bool:
        """Whether a control is enforced at this level, or at that of the host, and neither waived nor left alone."""
        table = _controls.load()
        seen = self.variables.get("__chamilo_common_info") or {}  # not before it is discovered
        return control not in seen.get("site", {}).get("left_alone", ()) and _controls.enforced(
            table.control(control),
            _controls.parse_level(level or self.variables["chamilo_level"]),
            _controls.parse_waivers(self.variables["chamilo_waivers"], table),
            datetime.date.today(),
        )
