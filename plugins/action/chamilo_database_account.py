# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Spares a host the question that its discovery has answered in this run. The module of the same name does the work."""

from __future__ import annotations

from typing import Any

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _discovered
from ansible_collections.chamilo.hardening.plugins.plugin_utils._host_action import HostAction


class ActionModule(HostAction):
    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        given = self._request("digest")
        info = _discovered.seen(self._task, task_vars or {})
        known = _discovered.unchanged(info, "chamilo_database_account", given)
        plain = {**given, "digest": _discovered.request(given)}
        secret = {"admin_password": plain.pop("admin_password", "")}
        arguments = {"request": plain, "secrets": secret}
        result.update(known or self._execute_module(module_args=arguments, task_vars=task_vars))
        return result
