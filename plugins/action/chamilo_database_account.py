# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells the module of the same name where the portal is."""

from __future__ import annotations

from typing import Any

from ansible_collections.chamilo.hardening.plugins.plugin_utils._told import MADE, ToldAction


class ActionModule(ToldAction):
    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        given = self._request(*MADE)
        # A host that is there for the database alone has no portal.
        given.update(self._told(given, variables, given.get("application", True) or given.get("backup", False)))
        secret = {name: given.pop(name, "") for name in ("admin_password", "installation_salt")}
        return self._execute_module(module_args={"request": given, "secrets": secret}, task_vars=variables)
