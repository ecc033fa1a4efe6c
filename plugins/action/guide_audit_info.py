# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module guide_audit_info and joins the table of controls, the level and the waivers to what it saw.

The table does not travel to the host, so this happens on the controller.
"""

from __future__ import annotations

import secrets
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError

from ansible_collections.chamilo.hardening.plugins.module_utils._application.declared import Request
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.proof import fingerprint
from ansible_collections.chamilo.hardening.plugins.module_utils._common.naming import word
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _advisories, _beliefs, _controls, _keys, _nodes
from ansible_collections.chamilo.hardening.plugins.plugin_utils._host_action import HostAction, reason


class ActionModule(HostAction):
    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        arguments = self._request("advisories", "facts", "key_copy", "key_holder", "key_proof")
        try:
            table = _controls.load()
            level = _controls.parse_level(arguments.pop("level", "should"))
            waivers = _controls.parse_waivers(arguments.pop("waivers", []), table)
        except _controls.ControlError as error:
            raise AnsibleActionFail(str(error)) from error

        elsewhere = _nodes.elsewhere(self._templar, variables, list(table.by_id))
        arguments.update(self._key(arguments, variables))
        arguments.update(advisories=_advisories.brief(), facts=_beliefs.brief())
        arguments["unenforced"] = _controls.unenforced(table, level, waivers)
        arguments.update(_nodes.audited_as(self._templar, variables, arguments.get("attempts")))
        answer = self._inspect(arguments, variables)
        unseen = "The audit gave no answer for this control."
        if arguments.get("sections"):
            unseen = f"The audit was asked about other sections alone: {', '.join(arguments['sections'])}."
        if answer.get("failed"):
            # The host goes on, or the report, which is made by the hosts that are left, could be missing altogether.
            # guide_report fails the play once the report is there.
            result["error"] = reason(answer)
            unseen = f"The audit could not run: {result['error']}"
        else:
            result.update((key, value) for key, value in answer.items() if key != "observed")
        away = {name: {"status": "not_applicable", "evidence": why} for name, why in elsewhere.items()}
        observed = {**answer.get("observed", {}), **({} if answer.get("failed") else away)}
        result["portal"] = _nodes.portal_of(self._templar, variables)
        try:
            result["controls"] = _controls.rows(table, observed, unseen, level, waivers)
        except _controls.ControlError as error:
            raise AnsibleActionFail(str(error)) from error
        result["summary"] = _controls.summary(result["controls"])
        return result

    def _key(self, arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """What the host compares its backup key with: the copy on this controller, as a keyed hash."""
        site = str(arguments.get("site") or word(str(arguments.get("domain"))))
        known = {"key_holder": _keys.machine(self._connection.transport)}
        try:
            password, directory = (
                str(self._templar.template(variables.get(f"chamilo_backups_{name}") or ""))
                for name in ("password", "key_folder")
            )
            copy = _keys.find(directory, str(variables.get("inventory_hostname", "host")), site, variables)
            key = password or copy.read()
        except AnsibleError as problem:
            return {**known, "key_copy": f"chamilo_backups_password cannot be opened here: {problem}"}
        except _keys.KeyCopyError as problem:
            return {**known, "key_copy": str(problem)}
        if not key:
            return {**known, "key_copy": f"there is no {copy.path}"}
        salt = secrets.token_hex(16)
        place = "chamilo_backups_password" if password else str(copy.present)
        return {**known, "key_copy": place, "key_proof": {"salt": salt, "fingerprint": fingerprint(key, salt)}}

    def _inspect(self, arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._ask("guide_audit_info", Request, arguments, variables)
        except AnsibleConnectionFailure:
            raise
        except AnsibleError as error:
            return {"failed": True, "msg": str(error)}
