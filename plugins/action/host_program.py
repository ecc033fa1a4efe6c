# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the program on the controller. The module of the same name installs it, unless discovery saw it there."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.chamilo.hardening.plugins.module_utils._program.install import Request, asks_for_nothing
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _nodes
from ansible_collections.chamilo.hardening.plugins.plugin_utils._discovered import seen
from ansible_collections.chamilo.hardening.plugins.plugin_utils._host_action import HostAction
from ansible_collections.chamilo.hardening.plugins.plugin_utils._portals import refusal
from ansible_collections.chamilo.hardening.plugins.plugin_utils._program import Program, build


class ActionModule(HostAction):
    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        request = self._request("content", "version")
        refused = refusal(variables) or _nodes.refusal(self._templar, variables)
        if refused:  # the first task that changes something, and discovery is done on every host
            raise AnsibleActionFail(refused)
        program = build()
        if self._is_there(program, request, variables):
            return self._unchanged(version=program.version)
        content = base64.b64encode(zlib.compress(program.content)).decode()
        request.update(content=content, version=program.version)
        return self._ask("host_program", Request, request, variables)

    def _is_there(self, program: Program, request: Mapping[str, Any], task_vars: Mapping[str, Any]) -> bool:
        """Whether discovery saw it in this run, as this task would make it."""
        discovered = seen(self._task, task_vars)
        known = discovered.program if discovered else {}
        expected = {"made_of", "magic", "salt", "told", "daily"}
        if not expected <= set(known) or not set(request) <= {"alert_mail", "alert_webhook", "daily"}:
            return False
        wanted = Request(**request)
        return asks_for_nothing(program.content, wanted.recipient, known, wanted.daily)
