# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Spares a host the question that its discovery has answered in this run. The module of the same name does the work."""

from __future__ import annotations

from typing import Any

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _discovered
from ansible_collections.chamilo.hardening.plugins.plugin_utils._told import ToldAction


class ActionModule(ToldAction):
    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        self._not_given()
        given = dict(self._task.args)
        if _discovered.holds(_discovered.seen(self._task, variables), given):
            return {"settings": {}, "repaired": [], "sessions_hold_old_values": False, "cache_cleared": False}
        told = self._told({**given, "root": given.get("root") or given.get("chamilo_root")}, variables)
        return self._execute_module(module_args={**given, **told}, task_vars=variables)
