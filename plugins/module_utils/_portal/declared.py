# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""What an administrator declares to the audit: the options of guide_audit_info that checks read.

The playbook audit passes them to the module; the role monitoring writes them down for the audits of the host itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SECTIONS = (
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
)
# Each option, the variable that it comes from, and what counts where that is not declared, as its role has it.
_OPTIONS: Mapping[str, tuple[str, Any]] = {
    "owner": ("chamilo_owner", "root"),
    "trusted_proxies": ("chamilo_trusted_proxies", []),
    "friends": ("chamilo_friends", []),
    "integrations": ("chamilo_integrations", {}),
    "hsts": ("chamilo_https_hsts", "ramp"),
    "ca_file": ("chamilo_https_acme_ca_file", ""),
    "terminated_elsewhere": ("chamilo_https_terminated_elsewhere", False),
    "attempts": ("chamilo_brute_force_attempts", 5),
    "find_seconds": ("chamilo_brute_force_find_seconds", 900),
    "ban_seconds": ("chamilo_brute_force_ban_seconds", 900),
    "interfaces": ("chamilo_brute_force_interfaces", []),
    "sessions_lifetime": ("chamilo_sessions_lifetime", 3600),
    "csp": ("chamilo_headers_csp", "report"),
    "frame_ancestors": ("chamilo_headers_frame_ancestors", []),
    "xss_protection": ("chamilo_headers_xss_protection", "1; mode=block"),
    "database_clients": ("chamilo_database_clients", []),
    "dormant_days": ("chamilo_monitoring_dormant_days", 90),
}
VARIABLES: Mapping[str, str] = {option: variable for option, (variable, _default) in _OPTIONS.items()}
DEFAULTS: Mapping[str, Any] = {
    **{option: default for option, (_variable, default) in _OPTIONS.items()},
    # Of no variable: found, or worked out by the collection.
    "root": "",
    "site": "",
    "unenforced": [],
    "several_nodes": False,
    "controller": "",
    "key_copy": "",
    "key_holder": "",
    "key_proof": {},
    "advisories": {},
}
