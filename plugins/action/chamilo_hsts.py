# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Spares a host the question that its discovery has answered in this run. The module of the same name does the work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.chamilo.hardening.plugins.module_utils._https.hsts import Step, settled
from ansible_collections.chamilo.hardening.plugins.plugin_utils._discovered import seen
from ansible_collections.chamilo.hardening.plugins.plugin_utils._host_action import HostAction


class ActionModule(HostAction):
    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        step = self._settled(variables)
        if step:
            return self._unchanged(value=step.value, since=step.ramp.since, waits=[])
        return super().act(variables)

    def _settled(self, task_vars: Mapping[str, Any]) -> Step | None:
        known = seen(self._task, task_vars)
        if not known:
            return None
        try:
            given = self._task.args["request"]
            owner = given.get("owner", "")
            return settled(given["configuration"], known.site.hsts_since, known.in_force, owner=owner)
        except (AttributeError, KeyError, TypeError):
            return None  # the module reports what is wrong with its options
