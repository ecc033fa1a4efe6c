# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module. Where the host asks for the package of its release, makes the manifest of it on the controller."""

from __future__ import annotations

import base64
import zlib
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.chamilo.hardening.plugins.module_utils._application.release_files import ArchiveError
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _release
from ansible_collections.chamilo.hardening.plugins.plugin_utils._host_action import HostAction


class ActionModule(HostAction):
    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        given = self._task.args
        for name in ("manifest", "package_problem"):
            if name in given:
                raise AnsibleActionFail(f"chamilo_perms: {name} is made by the collection and cannot be given.")
        answer = self._execute_module(task_vars=task_vars)
        package, needed = given.get("package") or _release.OFF, answer.get("package_needed")
        if needed and package != _release.OFF:  # a host asks for none that its task does not name
            archive = self._find_needle("files", package) if _release.is_file(package) else package
            try:
                manifest = _release.manifest(archive, given.get("package_sha256") or "", needed)
                more = {"manifest": base64.b64encode(zlib.compress(manifest.text().encode())).decode()}
            except _release.UnavailableError as problem:
                more = {"package_problem": str(problem)}
            except ArchiveError as problem:
                raise AnsibleActionFail(f"{problem} (chamilo_release_archive)") from None
            answer = self._execute_module(module_args={**given, **more}, task_vars=task_vars)
        result.update(answer)
        return result
