# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the program on the controller and has the module of the same name install it."""

from __future__ import annotations

import base64
import zlib
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.chamilo.hardening.plugins.plugin_utils._program import build


class ActionModule(ActionBase):
    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        for name in ("content", "version"):
            if name in self._task.args:
                raise AnsibleActionFail(f"host_program: {name} is made by the collection and cannot be given.")
        program = build()
        content = base64.b64encode(zlib.compress(program.content)).decode()
        result.update(
            self._execute_module(
                module_name="chamilo.hardening.host_program",
                module_args={**self._task.args, "content": content, "version": program.version},
                task_vars=task_vars,
            )
        )
        return result
