# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells the module of the same name where the portal is, and the nodes of one portal how secrets are handed on."""

from __future__ import annotations

from typing import Any

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _nodes
from ansible_collections.chamilo.hardening.plugins.plugin_utils._told import ToldAction


class ActionModule(ToldAction):
    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        self._not_given("salt")
        given = dict(self._task.args)
        salted = given.get("require") or given.get("sealed")
        salt = _nodes.salted(self._templar, variables) if salted else {}
        told = self._told(given, variables)
        return self._execute_module(module_args={**given, **salt, **told}, task_vars=variables)
