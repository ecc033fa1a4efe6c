# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks the variables of a host on the controller. No host is touched."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ansible import context
from ansible.errors import AnsibleError
from ansible.parsing.vault import EncryptedString

from ansible_collections.chamilo.hardening.plugins.action.foreign_module import MODULES, not_there
from ansible_collections.chamilo.hardening.plugins.module_utils._application.declared import SECTIONS, Section
from ansible_collections.chamilo.hardening.plugins.module_utils._application.obstacle import Obstacle, report
from ansible_collections.chamilo.hardening.plugins.plugin_utils import (
    _actions,
    _controls,
    _nodes,
    _obstacles,
    _preflight,
)
from ansible_collections.chamilo.hardening.plugins.plugin_utils._host_action import CollectionAction
from ansible_collections.chamilo.hardening.plugins.plugin_utils._portals import refusal, serves_web

HARDEN_NAME = "chamilo.hardening.harden"
UNCHANGED = "Nothing was changed."
HARDEN = Path(__file__).resolve().parents[2] / "playbooks/harden.yml"


@dataclass(frozen=True)
class Request:
    sections: Sequence[Section]  # that will run
    discovered: bool = False  # on every host of the play
    ended: bool = False  # the run has done what it could
    degrades: bool = False  # what is in the way of a section is answered, and refused otherwise


class ActionModule(CollectionAction):
    _requires_connection = False

    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        request = self._validated(Request)
        result: dict[str, Any] = {"changed": False}
        unknown = _preflight.tags(variables, [section.id for section in _controls.load().sections], self._task.tags)
        if unknown and self._only_harden():
            return {**result, "failed": True, "msg": "\n".join([*unknown, UNCHANGED])}
        if request.discovered:
            refused = refusal(variables) or _nodes.refusal(self._templar, variables)
            domain, found = self._domain(variables), _obstacles.obstacles(variables)
            message = refused or (report(domain, found) if found else f"{domain}: no obstacle was found. {UNCHANGED}")
            return {**result, "failed": bool(refused or found), "msg": message, "_ansible_verbose_always": True}
        if request.ended:
            left, found = _obstacles.left(variables), _obstacles.obstacles(variables)
            message = _obstacles.message(self._domain(variables), left, found)
            return {**result, "failed": True, "left": left, "msg": message}
        if not request.sections:
            specs = _preflight.specs()
            messages = _preflight.unknown(variables, _preflight.options(specs))
            values = self._plain(specs, variables)
            wrong = _preflight.forms(specs, values)
            messages += [*wrong.values()]
            messages += _preflight.of_playbooks({name: value for name, value in values.items() if name not in wrong})
            return {**result, "failed": bool(messages), "msg": "\n".join(messages) or "All variables are known."}
        specs, messages = _preflight.specs(), []
        values = {name: variables[name] for name in sorted(variables) if name.startswith("chamilo_")}
        for name in sorted({*values} & {*_preflight.options(specs)}):  # the user's own are left as they are
            try:
                values[name] = self._templar.template(values[name])
            except AnsibleError as error:
                del values[name]
                messages.append(f"{name} cannot be worked out: {error}")
        messages += _preflight.errors(specs, request.sections, values)
        host = variables["inventory_hostname"]
        domain = values.get("chamilo_domain", host)
        messages += (
            _preflight.domain(domain, host) + _preflight.subdomains(domain, values) + _preflight.names(domain, values)
        )
        found = _preflight.without_program(request.sections, values, variables)
        found += [Obstacle(why, ("backups",)) for why in _preflight.key_copy(request.sections, values, variables)]
        # Before anything changes: on the host of a database that has no portal itself, others work.
        alone = "chamilo_db" in (variables.get("group_names") or ()) and "chamilo_web" not in variables["group_names"]
        if alone and "database" in request.sections and (why := not_there(MODULES["mariadb_user"])):
            found.append(Obstacle(why, ("database",)))
        if not request.degrades:
            messages += [one.why for one in found]
        if messages:
            result["failed"] = True
            result["msg"] = "\n".join(messages)
            return result
        run_out = _preflight.waivers(values.get("chamilo_waivers", []), datetime.date.today())[1]
        result["msg"] = run_out or "All variables are as they must be."
        web = serves_web({**values, "group_names": variables.get("group_names")})
        present = [
            name
            for name in (SECTIONS if web else ["database"])
            if name in request.sections and values.get(f"chamilo_{name}_state", "present") == "present"
        ]
        result["enforces"] = present
        enforced = self._enforced(present, values)
        result["obstacles"] = [asdict(one) for one in found]
        result["controls"] = {one.id: one.severity for one in enforced}
        result["causes"] = _actions.lacking(enforced, values)
        result["report_dir"] = str(values.get("chamilo_report_dir", "chamilo-report"))
        result["_ansible_verbose_always"] = bool(run_out)
        return result

    @staticmethod
    def _domain(variables: Mapping[str, Any]) -> str:
        """The portal's name, as discovery found it."""
        site = (variables.get("__chamilo_common_info") or {}).get("site", {})
        return str(site.get("domain") or variables.get("inventory_hostname"))

    @staticmethod
    def _enforced(sections: Sequence[str], values: Mapping[str, Any]) -> list[_controls.Control]:
        """The controls that these sections enforce."""
        table, today = _controls.load(), datetime.date.today()
        level = _controls.parse_level(values.get("chamilo_level", "should"))
        waivers = _controls.parse_waivers(values.get("chamilo_waivers", []), table)
        enforced = [one for one in table.controls if _controls.enforced(one, level, waivers, today)]
        return [one for one in enforced if one.fixer.role in sections]

    @staticmethod
    def _only_harden() -> bool:
        """Whether no other playbook runs, to which a tag could belong."""
        named = context.CLIARGS.get("args") or ()
        return bool(named) and all(name == HARDEN_NAME or Path(name).resolve() == HARDEN for name in named)

    def _plain(self, specs: Mapping[str, _preflight.Spec], variables: Mapping[str, Any]) -> dict[str, Any]:
        """The values whose type can be seen. The password of a vault may be missing when nothing is changed."""
        values = {}
        for spec in (*specs.values(), _preflight.PLAYBOOK_VARIABLES):
            for name, option in spec.items():
                value = variables.get(name)
                if name not in variables or isinstance(value, EncryptedString):
                    continue
                if (
                    isinstance(value, str)
                    and name not in _preflight.PLAYBOOK_VARIABLES
                    and (
                        option["type"] in _preflight.TEXTS
                        or (option.get("no_log") and self._templar.is_template(value))
                    )
                ):
                    continue  # a text is right for a text, whatever is in it
                try:
                    values[name] = value if option.get("no_log") else self._templar.template(value)
                except AnsibleError:
                    continue
        return values
