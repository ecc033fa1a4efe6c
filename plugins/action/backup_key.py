# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds a copy of a host's backup key on the controller, and has the module of the same name compare the two."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.chamilo.hardening.plugins.module_utils._backup_key import fingerprint
from ansible_collections.chamilo.hardening.plugins.plugin_utils._host_action import HostAction


class ActionModule(HostAction):
    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        given = dict(self._task.args)
        for name in ("salt", "elsewhere", "fetch"):
            if name in given:
                raise AnsibleActionFail(f"backup_key: {name} is made by the collection and cannot be given.")
        host = re.sub(r"[^A-Za-z0-9_.-]", "_", str((task_vars or {}).get("inventory_hostname", "host")))
        folder = Path(str(given.get("folder") or "chamilo-keys")).expanduser()
        copy = folder / f"{host}-{given.get('site')}.key"
        password = str(given.get("password") or "")
        if password:
            copy = Path()
        elif copy.exists():
            password = self._copied(copy)
        answer = self._ask({**given, "password": password, "fetch": not password}, task_vars or {})
        key = answer.pop("key", "")
        if key and not self._task.check_mode:
            self._keep(copy, key)
            answer = {**self._ask({**given, "password": key}, task_vars or {}), "changed": True}
        answer["key_file"] = str(copy) if copy.name else ""
        result.update(answer)
        return result

    def _ask(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        salt = secrets.token_hex(16)
        context = self._connection._play_context  # not the one of the action
        shown = context.no_log
        # With -vvv a connection shows all that a host answers, and this answer may hold the key.
        context.no_log = shown or arguments.get("fetch", False)
        try:
            answer: dict[str, Any] = self._execute_module(
                module_name="chamilo.hardening.backup_key",
                module_args={**arguments, "salt": salt, "elsewhere": self._elsewhere()},
                task_vars=task_vars,
            )
        finally:
            context.no_log = shown
        told = answer.pop("fingerprint", "")
        password = arguments["password"]
        if password and told and told != fingerprint(password, salt):
            # The module refuses another key before it answers, so nobody but a liar gets here.
            return {"failed": True, "msg": "The host did not prove that it has the key."}
        return answer

    def _elsewhere(self) -> str:
        """Who holds the copy, by machine: empty when that is the host itself."""
        if getattr(self._connection, "transport", "") in ("local", "ansible.builtin.local"):
            return ""
        try:
            return Path("/etc/machine-id").read_text(encoding="utf-8").strip() or "unknown"
        except OSError:  # a controller without one is no host of ours either
            return "unknown"

    def _copied(self, copy: Path) -> str:
        try:
            key = copy.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as problem:
            raise AnsibleActionFail(f"backup_key: {copy} cannot be read: {problem}.") from problem
        if not key:  # such as from a disk that was full
            raise AnsibleActionFail(f"backup_key: {copy} is empty. Remove it, and the key is fetched again.")
        return key

    def _keep(self, copy: Path, key: str) -> None:
        copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Exclusive: a copy that is there is the key of other backups, or of another host of that name.
        handle = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(key + "\n")
