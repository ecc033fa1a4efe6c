# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an administrator declares to the audit: the request of guide_audit_info.

The playbook audit passes them to the module; the role monitoring writes them down for the audits of the host itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

Section = Literal[
    "updates",
    "https",
    "permissions",
    "passwords",
    "brute_force",
    "sessions",
    "headers",
    "uploads",
    "database",
    "backups",
    "monitoring",
]
SECTIONS: Sequence[str] = get_args(Section)


def _from(variable: str, default: Any) -> Any:
    """Of this variable; what counts where it is not declared, as its role has it."""
    # pylint: disable-next=invalid-field-call
    return field(default_factory=lambda: default, metadata={"variable": variable})


@dataclass(frozen=True)
class Declared:
    """What checks read."""

    owner: str = _from("chamilo_owner", "root")
    trusted_proxies: Sequence[str] = _from("chamilo_trusted_proxies", [])
    friends: Sequence[str] = _from("chamilo_friends", [])
    integrations: Sequence[Mapping[str, Any]] = _from("chamilo_integrations", [])
    hsts: Literal["ramp", "full", "off"] = _from("chamilo_https_hsts", "ramp")
    ca_file: str = _from("chamilo_https_acme_ca_file", "")
    terminated_elsewhere: bool = _from("chamilo_https_terminated_elsewhere", False)
    attempts: int = _from("chamilo_brute_force_attempts", 8)
    find_seconds: int = _from("chamilo_brute_force_find_seconds", 900)
    ban_seconds: int = _from("chamilo_brute_force_ban_seconds", 900)
    interfaces: Sequence[str] = _from("chamilo_brute_force_interfaces", [])
    sessions_lifetime: int = _from("chamilo_sessions_lifetime", 3600)
    csp: Literal["report", "enforce", "off"] = _from("chamilo_headers_csp", "report")
    frame_ancestors: Sequence[str] = _from("chamilo_headers_frame_ancestors", [])
    xss_protection: str = _from("chamilo_headers_xss_protection", "1; mode=block")
    database_clients: Sequence[str] = _from("chamilo_database_clients", [])
    dormant_days: int = _from("chamilo_monitoring_dormant_days", 90)
    # Of no variable: found, or worked out by the collection.
    root: str = ""
    site: str = ""  # the word in the names of the files of this portal
    unenforced: Sequence[str] = field(default_factory=list)  # controls; none of them turns another one red
    several_nodes: bool = False  # behind a proxy requests go to this host itself, and TLS is tried at the public name
    controller: str = ""  # the address from which the host is managed
    key_copy: str = field(default="", metadata={"no_log": False})  # where the controller has the backup key, or why not
    key_holder: str = field(default="", metadata={"no_log": False})  # which machine the controller is
    key_proof: Mapping[str, str] = field(default_factory=dict, metadata={"no_log": True})  # a keyed hash of that copy
    advisories: Mapping[str, Any] = field(default_factory=dict)  # that the version is compared with
    facts: Sequence[Mapping[str, Any]] = field(default_factory=list)  # that the program is compared with


@dataclass(frozen=True)
class Request(Declared):
    """What the module guide_audit_info is asked for."""

    domain: str = field(default="", metadata={"required": True})
    web_server: Literal["", "nginx", "apache"] = ""
    names: Sequence[str] = ()
    sections: Sequence[Section] = ()  # to check; empty: all


VARIABLES: Mapping[str, str] = {
    each.name: each.metadata["variable"] for each in fields(Declared) if "variable" in each.metadata
}
DEFAULTS: Mapping[str, Any] = asdict(Declared())
