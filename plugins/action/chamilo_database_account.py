# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Spares a host the question that its discovery has answered in this run. The module of the same name does the work."""

from __future__ import annotations

from typing import Any

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _discovered
from ansible_collections.chamilo.hardening.plugins.plugin_utils._told import MADE, ToldAction


class ActionModule(ToldAction):
    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        given = self._request("digest", *MADE)
        info = _discovered.seen(self._task, task_vars or {})
        known = _discovered.unchanged(info, "chamilo_database_account", given)
        if not known:
            # A host that is there for the database alone has no portal.
            told = self._told(given, task_vars, given.get("application", True) or given.get("backup", False))
            plain = {**given, **told, "digest": _discovered.request(given)}
            secret = {name: plain.pop(name, "") for name in ("admin_password", "installation_salt")}
            known = self._execute_module(module_args={"request": plain, "secrets": secret}, task_vars=task_vars)
        result.update(known)
        return result
