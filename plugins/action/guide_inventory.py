# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes an inventory of discovered portals. No host is touched."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from ansible import context
from ansible.constants import DEFAULT_VAULT_IDENTITY
from ansible.errors import AnsibleActionFail
from ansible.parsing.vault import VaultLib, VaultSecret

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _inventory
from ansible_collections.chamilo.hardening.plugins.plugin_utils._host_action import CollectionAction


@dataclass(frozen=True)
class Request:
    hosts: Sequence[str]
    register: str  # under which the result of chamilo_portals_info is registered on each
    path: str = field(default="", metadata={"type": "path"})  # the file to write; empty: the inventory is printed
    answers: bool = False  # whether what each host was given for all its portals is written, too
    vault_password: str = field(default="", metadata={"no_log": True})  # encrypts what is secret of it


class ActionModule(CollectionAction):
    _requires_connection = False

    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        request, result = self._validated(Request), dict[str, Any]()
        # As it was registered: what a host answered is no template.
        answered = variables["hostvars"].raw_get
        user = context.CLIARGS.get("remote_user")  # -u is no variable
        found, given = {}, {}
        for name in request.hosts:
            portals = ((answered(name) or {}).get(request.register) or {}).get("portals")
            if portals is not None:
                found[name] = portals
                given[name] = {**({"ansible_user": user} if user else {}), **answered(name)}
        try:
            entries = _inventory.hosts(found, given, request.hosts)
        except _inventory.InventoryError as error:
            raise AnsibleActionFail(str(error)) from error
        told, secrets = _inventory.answers(next(iter(given.values()), {}) if request.answers else {})
        if not request.vault_password and (open_ := sorted({*secrets} & {*_inventory.ANSWERS})):
            raise AnsibleActionFail(
                f"{open_[0]} has a password in it, and no password was given to encrypt it with. The inventory was not "
                "written. Run setup again, and give one."
            )
        text = _inventory.to_yaml(entries, told)
        result["inventory"] = self._written(request.path, text) if request.path and entries else ""
        if secrets and request.vault_password and result["inventory"]:
            result["vault"] = self._encrypted(Path(result["inventory"]), secrets, request.vault_password)
        result["sudo"] = "ansible_become_password" in secrets
        result["portals"] = [{"name": name, **entry} for name, entry in entries.items()]
        result["lines"] = [
            f"{name}: {len(portals)} portal{'s' * (len(portals) != 1)}" if name in found else f"{name}: not discovered"
            for name, portals in ((name, found.get(name, [])) for name in request.hosts)
        ]
        result["msg"] = [line for portals in found.values() for line in _inventory.table(portals)]
        if entries and not result["inventory"]:
            result["msg"] += [
                "",
                "The inventory, to be written by -e chamilo_inventory=portals.yml:",
                *text.splitlines(),
            ]
        result["_ansible_verbose_always"] = True
        return result

    def _encrypted(self, inventory: Path, secrets: dict[str, str], password: str) -> str:
        vault = VaultLib([(DEFAULT_VAULT_IDENTITY, VaultSecret(password.encode()))])
        text = vault.encrypt(yaml.safe_dump(secrets, allow_unicode=True)).decode()
        return self._written(str(inventory.parent / "group_vars/chamilo/vault.yml"), text)

    def _written(self, given: str, text: str) -> str:
        path = Path(os.path.abspath(given))
        if self._task.check_mode:
            return str(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "x", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                file.write(text)
        except FileExistsError:
            raise AnsibleActionFail(
                f"{path} was not written: it exists. Its content may still be needed. Set chamilo_inventory "
                "to another file, or move it away."
            ) from None
        except OSError as error:
            raise AnsibleActionFail(
                f"The inventory could not be written to {path}: {error.strerror}. Set chamilo_inventory to a file that "
                "you may write."
            ) from error
        return str(path)
