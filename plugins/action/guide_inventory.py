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

from ansible.errors import AnsibleActionFail

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _inventory
from ansible_collections.chamilo.hardening.plugins.plugin_utils._host_action import CollectionAction


@dataclass(frozen=True)
class Request:
    hosts: Sequence[str]
    register: str  # under which the result of chamilo_portals_info is registered on each
    path: str = field(default="", metadata={"type": "path"})  # the file to write; empty: the inventory is printed


class ActionModule(CollectionAction):
    _requires_connection = False

    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        request, result = self._validated(Request), dict[str, Any]()
        # As it was registered: what a host answered is no template.
        answered = variables["hostvars"].raw_get
        found = {}
        for name in request.hosts:
            portals = ((answered(name) or {}).get(request.register) or {}).get("portals")
            if portals is not None:
                found[name] = portals
        try:
            entries = _inventory.hosts(found, {name: answered(name) for name in found}, request.hosts)
        except _inventory.InventoryError as error:
            raise AnsibleActionFail(str(error)) from error
        text = _inventory.to_yaml(entries)
        result["inventory"] = self._written(request.path, text) if request.path and entries else ""
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

    def _written(self, given: str, text: str) -> str:
        path = Path(os.path.abspath(given))
        if self._task.check_mode:
            return str(path)
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            raise AnsibleActionFail(
                f"The inventory was not written: {path} exists. Its content may still be needed. Set chamilo_inventory "
                "to another file, or move it away."
            ) from None
        except OSError as error:
            raise AnsibleActionFail(
                f"The inventory could not be written to {path}: {error.strerror}. Set chamilo_inventory to a file that "
                "you may write."
            ) from error
        return str(path)
