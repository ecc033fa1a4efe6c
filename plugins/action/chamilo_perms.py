# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module. Where the host asks for the package of its release, has the program compared with it first."""

from __future__ import annotations

import base64
import zlib
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.chamilo.hardening.plugins.module_utils._application.comparison import Request
from ansible_collections.chamilo.hardening.plugins.module_utils._application.release_files import ArchiveError
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _release
from ansible_collections.chamilo.hardening.plugins.plugin_utils._host_action import HostAction


class ActionModule(HostAction):
    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        given = self._task.args
        answer = super().act(variables)
        package, needed = given.get("package") or _release.OFF, answer.get("package_needed")
        if needed and package != _release.OFF:  # a host asks for none that its task does not name
            root = given.get("root", given.get("path"))
            request = {"root": root, "version": answer["version"], **self._manifest(package, needed)}
            compared = self._ask("release_comparison", Request, request, variables)
            if compared.get("failed"):
                return compared
            changed = self._execute_module(module_args={**given, "package": _release.OFF}, task_vars=variables)
            known = ("package", "package_problem", "unlike")
            answer = {**changed, "version": answer["version"], **{name: compared[name] for name in known}}
        return answer

    def _manifest(self, package: str, version: str) -> dict[str, str]:
        """That of the package, or why there is none."""
        archive = self._find_needle("files", package) if _release.is_file(package) else package
        try:
            manifest = _release.manifest(archive, self._task.args.get("package_sha256") or "", version)
        except _release.UnavailableError as problem:
            return {"problem": str(problem)}
        except ArchiveError as problem:
            raise AnsibleActionFail(f"{problem} (chamilo_release_archive)") from None
        return {"manifest": base64.b64encode(zlib.compress(manifest.text().encode())).decode()}
