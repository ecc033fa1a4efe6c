# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""What discovery observed of a host, and what the role common makes of it: the part that sections share."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _controls, _discovered, _portals
from ansible_collections.chamilo.hardening.plugins.plugin_utils._plans.shapes import File


class Portal:
    """A portal on a host, from the variables of that host. Each variable is worked out when it is asked for."""

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self.variables = variables

    @cached_property
    def info(self) -> Mapping[str, Any]:
        """The answer of chamilo_site_info."""
        found: Mapping[str, Any] = self.variables["__chamilo_common_info"]
        return found

    @cached_property
    def site(self) -> Mapping[str, Any]:
        """With what the section permissions made of it in this run, where it gave PHP another user."""
        found: Mapping[str, Any] = self.info["site"]
        now = self.variables.get("__chamilo_common_php_user") or {}
        if "php" not in now:
            return found
        changed = {name: now[name] for name in ("log_rotation", "exposed_logs")}
        return {**found, **changed, "php": {**found["php"], **now["php"]}}

    @cached_property
    def word(self) -> str:
        """chamilo_site: its word in names of files."""
        return str(self.variables["chamilo_site"])

    @cached_property
    def node(self) -> Mapping[str, Any]:
        """This host among the nodes of its portal, see _portals.Portal.of."""
        return _portals.here(self.variables, self.variables["hostvars"])[1]

    @property
    def leads(self) -> bool:
        """Whether this host does what is done once for all nodes of its portal."""
        return bool(self.node["leads"])

    @property
    def is_web(self) -> bool:
        """Whether this host serves it, and is not there for its database alone."""
        return _portals.WEB in _portals.purposes(self.variables)

    @cached_property
    def domain(self) -> str:
        return str(self.variables["_chamilo_common_domain"])

    @property
    def root(self) -> str:
        return str(self.site["root"])

    @property
    def web(self) -> str:
        return str(self.site["web"]["name"])

    @property
    def apache(self) -> bool:
        return self.web == "apache"

    @cached_property
    def service(self) -> str:
        return str(self.variables["_chamilo_common_service"])

    @cached_property
    def test(self) -> list[list[str]]:
        """The commands that test the configuration of the web server."""
        found: list[list[str]] = self.variables["_chamilo_common_test"]
        return found

    @cached_property
    def drop_ins(self) -> str:
        """The directory of what the virtual host includes."""
        return str(self.variables["_chamilo_common_drop_ins"])

    @cached_property
    def vhost_due(self) -> bool:
        """Whether nothing includes the drop-ins, and no section of this run changes that before."""
        return not self.variables["_chamilo_common_in_force"] and not self.vhost_written

    @cached_property
    def vhost_written(self) -> bool:
        """Whether the section https ran before in this play."""
        return bool(self.variables["_chamilo_common_vhost_written"])

    @cached_property
    def listens(self) -> list[Mapping[str, Any]]:
        return [listen for host in self.site["answering"] for listen in host["listens"]]

    @cached_property
    def hosts(self) -> list[Mapping[str, Any]]:
        """Its virtual hosts, by all of its names. Where none has one, those that answer for want of a better."""
        return list(self.site["answering"] or self.site["fallback"])

    @cached_property
    def logs(self) -> list[str]:
        """The access logs that are files."""
        files = [host["access_log_file"] for host in self.hosts]
        return list(dict.fromkeys(file for file in files if re.match(r"/[^$|]+$", file)))

    @cached_property
    def elsewhere(self) -> bool:
        """Whether a proxy in front of it speaks https."""
        return bool(self.variables["_chamilo_common_elsewhere"])

    @cached_property
    def console(self) -> list[str]:
        """The start of a command of Chamilo's console."""
        found: list[str] = self.variables["_chamilo_common_console"]
        return found

    @cached_property
    def rebuild(self) -> list[list[str]]:
        """The commands that make the application go by its configuration as it is now."""
        found: list[list[str]] = self.variables["_chamilo_common_rebuild"]
        return found

    @cached_property
    def encrypted(self) -> bool:
        """Whether visitors reach it by https, from this run on at the latest."""
        ours = self.bound or self.variables["_chamilo_common_in_force"]
        return bool(self.variables["_chamilo_common_tls"] or (self.elsewhere and ours))

    @property
    def bound(self) -> bool:
        """Whether the section https ran in this play, and was not to withdraw."""
        return bool(self.variables["_chamilo_common_bound"])

    @property
    def vhost_kept(self) -> bool:
        """Whether the virtual host of its owner stays: none of ours is there, and none comes."""
        return bool(self.variables["_chamilo_common_kept"])

    @property
    def file_most(self) -> int:
        """How long an uploaded file may be, in bytes; 0 where that was not set."""
        return int(self.variables["_chamilo_common_file_most"])

    @property
    def request_most(self) -> int:
        """How long a request may be: a file and a form."""
        return int(self.variables["_chamilo_common_request_most"])

    @cached_property
    def body_limit(self) -> list[File]:
        """The drop-in that limits requests; the sections https and uploads both write it."""
        return [File(each["path"], content=each["content"]) for each in self.variables["_chamilo_common_body_files"]]

    @cached_property
    def prepend_apache(self) -> list[File]:
        """What makes PHP run these parts where it is a module of Apache."""
        apache = self.variables["_chamilo_common_prepend_apache"]
        return [File(each["path"], content=each["content"]) for each in apache]

    @cached_property
    def prepend(self) -> list[File]:
        """What makes PHP run the parts that sections put into prepend.d."""
        return [File(each["path"], content=each["content"]) for each in self.variables["_chamilo_common_prepend_files"]]

    @cached_property
    def variable(self) -> str:
        """Begins the names of nginx's variables for this portal."""
        return str(self.variables["_chamilo_common_variable"])

    @cached_property
    def said(self) -> list[str]:
        """What nginx takes once in a server block, and the owner's virtual host has already."""
        found: list[str] = self.variables["_chamilo_common_said"]
        return found

    def apache_modules(self, *names: str) -> list[File]:
        """The links that load these modules of Apache; none for nginx."""
        links = ((f"/etc/apache2/mods-enabled/{name}.load", f"../mods-available/{name}.load") for name in names)
        return [File(path, target=target) for path, target in links] if self.apache else []

    @cached_property
    def front(self) -> Mapping[str, Any]:
        """The probe of everything that must not break a page."""
        found: Mapping[str, Any] = self.variables["_chamilo_common_front"]
        return found

    @property
    def told_anew(self) -> bool:
        """Whether this run changed who is told."""
        return bool(self.variables["_chamilo_common_told_anew"])

    def configuration(self, path: str, template: str) -> File:
        """A file of Chamilo's own configuration."""
        group = self.variables.get("chamilo_group", "") or self.site["php"]["group"]
        return File(path, template, owner=str(self.variables["chamilo_owner"]), group=str(group), mode="0640")

    def token(self, section: str) -> list[dict[str, Any]]:
        """The probe for the generation of a section's drop-in, unless its owner has yet to include it."""
        if not self.variables["_chamilo_common_answers"]:
            return []
        return [
            {
                "url": f"{self.variables['_chamilo_common_probe_base']}/.well-known/chamilo-hardening/{section}",
                "address": self.variables["_chamilo_common_probe_address"],
                "status": [204],
                "headers": {"X-Chamilo-Generation": "@generation@"},
            }
        ]

    def probe(self, section: str) -> list[Mapping[str, Any]]:
        """The probes of a section that has no other effect than by its drop-in."""
        token = self.token(section)
        return [*token, self.front] if token else []

    def missing(self, section: str) -> list[str]:
        """The packages of a section that are not installed."""
        missing = self.site["missing_packages"]
        return [name for name in self.variables["_chamilo_common_packages"][section] if name in missing]

    def active(self, transaction: str) -> bool:
        """Whether a transaction of that name has files on the host."""
        return transaction in self.info.get("in_force", {})

    def files(self, transaction: str) -> Mapping[str, str]:
        """The files of that transaction on the host."""
        found: Mapping[str, str] = self.info.get("in_force", {}).get(transaction, {}).get("files", {})
        return found

    def settings(self, section: str) -> Mapping[str, Any]:
        """The platform settings of that section that hold, as discovery saw them in this run."""
        found: Mapping[str, Any] = _discovered.seen(None, self.variables).get("settings_in_force", {})
        values: Mapping[str, Any] = found.get(section, {}).get("values", {})
        return values

    def kept(self, section: str) -> bool:
        """Whether platform settings of that section are on the host."""
        return section in self.info.get("settings_kept", [])

    def enforced(self, control: str, level: str = "") -> bool:
        """Whether a control is enforced at this level, or at that of the host, and not waived."""
        table = _controls.load()
        return _controls.enforced(
            table.control(control),
            _controls.parse_level(level or self.variables["chamilo_level"]),
            _controls.parse_waivers(self.variables["chamilo_waivers"], table),
            datetime.date.today(),
        )
