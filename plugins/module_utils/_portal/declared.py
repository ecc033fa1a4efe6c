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

# Each option and the variable of a role that it comes from.
VARIABLES: Mapping[str, str] = {
    "owner": "chamilo_owner",
    "trusted_proxies": "chamilo_trusted_proxies",
    "friends": "chamilo_friends",
    "integrations": "chamilo_integrations",
    "hsts": "chamilo_https_hsts",
    "ca_file": "chamilo_https_acme_ca_file",
    "terminated_elsewhere": "chamilo_https_terminated_elsewhere",
    "attempts": "chamilo_brute_force_attempts",
    "find_seconds": "chamilo_brute_force_find_seconds",
    "ban_seconds": "chamilo_brute_force_ban_seconds",
    "interfaces": "chamilo_brute_force_interfaces",
    "sessions_lifetime": "chamilo_sessions_lifetime",
    "csp": "chamilo_headers_csp",
    "frame_ancestors": "chamilo_headers_frame_ancestors",
    "xss_protection": "chamilo_headers_xss_protection",
    "database_clients": "chamilo_database_clients",
    "dormant_days": "chamilo_monitoring_dormant_days",
}

# What counts where nothing is declared, as the roles have it.
DEFAULTS: Mapping[str, Any] = {
    "owner": "root",
    "trusted_proxies": [],
    "friends": [],
    "integrations": {},
    "hsts": "ramp",
    "ca_file": "",
    "terminated_elsewhere": False,
    "attempts": 5,
    "find_seconds": 900,
    "ban_seconds": 900,
    "interfaces": [],
    "sessions_lifetime": 3600,
    "csp": "report",
    "frame_ancestors": [],
    "xss_protection": "1; mode=block",
    "database_clients": [],
    "dormant_days": 90,
    # Of no variable: found, or worked out by the collection.
    "root": "",
    "site": "",
    "unenforced": [],
    "several_nodes": False,
    "controller": "",
    "key_copy": "",
    "key_holder": "",
    "key_proof": {},
}
