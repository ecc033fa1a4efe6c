# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables and controls that earlier versions had: what the administrator does instead, in one sentence."""

from __future__ import annotations

INSTEAD: dict[str, str] = {
    "chamilo_own_variables": "Variables of your own that begin with chamilo_ are left alone: take it out.",
    "chamilo_monitoring_disable_accounts": (
        "Switch accounts off in Chamilo itself: Administration, User list, which the monthly list of accounts names."
    ),
    "chamilo_monitoring_results": (
        "Audit all hosts in one run of the playbook audit, or run `chamilo-hardening audit` on the host."
    ),
    "chamilo_results": (
        "The playbook audit makes one report of all hosts of its run; AWX keeps those of each slice as artifacts."
    ),
    "chamilo_permissions_acknowledged": (
        "No file of the program is disabled any more; README of the role permissions has how to use again what an "
        "earlier version disabled."
    ),
    "chamilo_permissions_php_user": (
        "Give PHP of the portal an account and a pool yourself, see docs/recipes.md: harden goes by the pool it finds."
    ),
    "chamilo_updates_osv": (
        "OSV is not asked any more: the feed names a newer release, and what no release closes yet is at "
        "https://osv.dev/list?q=chamilo."
    ),
}

# Variables of another type than before, each with a value of the new one.
EXAMPLES: dict[str, str] = {
    "chamilo_integrations": '[{"partner": "lti", "direction": "embeds", "origin": "https://lms.example.org"}]',
}

# A waiver may still name one.
CONTROLS: dict[str, str] = {
    "permissions_php_user": (
        "Nothing judges or changes the account that PHP runs as any more; docs/recipes.md has how to give it one."
    ),
}
