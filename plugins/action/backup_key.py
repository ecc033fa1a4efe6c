# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps a copy of a host's backup key on the controller, and has the module of the same name compare the two."""

from __future__ import annotations

import hmac
import secrets
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovered import BackupKey
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.proof import Request, fingerprint
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _discovered, _keys
from ansible_collections.chamilo.hardening.plugins.plugin_utils._host_action import HostAction


class ActionModule(HostAction):
    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._compared(variables)
        except _keys.KeyCopyError as problem:
            raise AnsibleActionFail(f"backup_key: {problem}") from problem

    def _compared(self, variables: dict[str, Any]) -> dict[str, Any]:
        given = self._request("salt", "elsewhere", "fetch")
        folder = given.pop("folder", "")
        password = str(given.get("password") or "")
        seen = _discovered.seen(self._task, variables)
        known = seen.backup_key if seen else BackupKey()
        if password:
            if self._proved(known, password):
                return {"held": True, "due": list(known.due), "key_file": ""}
            return {**self._proof({**given, "password": password}, variables), "key_file": ""}
        host = str(variables.get("inventory_hostname", "host"))
        copy = _keys.find(str(folder or ""), host, str(given.get("site")), variables)
        lost, create = copy.cannot_be_kept(), boolean(given.get("create", True))
        if lost and create:
            raise _keys.KeyCopyError(lost)
        key, place, moved = copy.read(), copy.present or copy.path, ""
        if not self._task.check_mode:
            place, moved = copy.move()
        if key and not (lost or moved) and self._proved(known, key):
            return {"held": True, "due": list(known.due), "key_file": str(place)}
        # What is to be restored is restored without a copy too, where the host has the key.
        answer = self._proof({**given, "password": key, "fetch": not key and not lost}, variables)
        if lost and answer.get("failed"):
            answer["msg"] = f"{answer.get('msg')} {lost}"
        fetched = answer.pop("key", "")
        if fetched and not self._task.check_mode:
            copy.keep(fetched)
            answer = {**self._proof({**given, "password": fetched}, variables), "changed": True}
        if moved:
            answer["warnings"] = [*answer.get("warnings", []), moved]
        return {**answer, "key_file": str(place)}

    def _proved(self, known: BackupKey, key: str) -> bool:
        """Whether the host showed in its discovery that it has this key, and knows of the copy on this machine."""
        elsewhere = bool(_keys.machine(self._connection.transport)) and known.held
        proof = fingerprint(key, known.salt)
        return elsewhere and hmac.compare_digest(known.fingerprint, proof)

    def _proof(self, arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        salt = secrets.token_hex(16)
        context = self._connection._play_context  # not the one of the action
        shown = context.no_log
        # With -vvv a connection shows all that a host answers, and this answer may contain the key.
        context.no_log = shown or arguments.get("fetch", False)
        try:
            elsewhere = _keys.machine(self._connection.transport)
            answer = self._ask("backup_key", Request, {**arguments, "salt": salt, "elsewhere": elsewhere}, variables)
        finally:
            context.no_log = shown
        reported = answer.pop("fingerprint", "")
        password = arguments["password"]
        if password and reported and reported != fingerprint(password, salt):
            # The module refuses another key before it answers, so only a forged answer gets here.
            return {"failed": True, "msg": "The host did not prove that it has the key."}
        return answer
