# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup plan."""

from __future__ import annotations

DOCUMENTATION = r"""
name: plan
short_description: What a section of the security guide needs on this host
version_added: 2.0.0
author:
  - The chamilo.hardening maintainers (@chamilo-hardening)
description:
  - The roles of this collection read from it which files, tests, reloads, probes, packages and platform settings their
    section needs. It is computed from the variables of the host and from what the role P(chamilo.hardening.common#role)
    discovered. No host is asked.
  - Private to the roles of this collection. It can change at any time.
options:
  _terms:
    description: The name of a section.
    type: list
    elements: str
    required: true
  due:
    description:
      - Return only whether anything of it remains to be done on this host.
      - Always V(true) outside of the playbook C(chamilo.hardening.harden), because other tasks may have
        changed what discovery observed.
    type: bool
    default: false
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible.template import trust_as_template

from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovered import Discovered
from ansible_collections.chamilo.hardening.plugins.module_utils._application.obstacles import OPTIONAL
from ansible_collections.chamilo.hardening.plugins.plugin_utils._answers import AnswerError
from ansible_collections.chamilo.hardening.plugins.plugin_utils._controls import ControlError
from ansible_collections.chamilo.hardening.plugins.plugin_utils._discovered import seen
from ansible_collections.chamilo.hardening.plugins.plugin_utils._plans import (
    backups,
    brute_force,
    database,
    discovery,
    headers,
    https,
    monitoring,
    passwords,
    permissions,
    sessions,
    updates,
    uploads,
)
from ansible_collections.chamilo.hardening.plugins.plugin_utils._plans.portal import Portal
from ansible_collections.chamilo.hardening.plugins.plugin_utils._plans.shapes import Plan, PlanError
from ansible_collections.chamilo.hardening.plugins.plugin_utils._portals import PortalError
from ansible_collections.chamilo.hardening.plugins.plugin_utils._variables import Variables

ROLES = Path(__file__).resolve().parents[2] / "roles"
SECTIONS: Mapping[str, Callable[[Portal, Mapping[str, Any]], Plan]] = {
    "backups": backups.plan,
    "brute_force": brute_force.plan,
    "database": database.plan,
    "headers": headers.plan,
    "https": https.plan,
    "monitoring": monitoring.plan,
    "passwords": passwords.plan,
    "permissions": permissions.plan,
    "sessions": sessions.plan,
    "updates": updates.plan,
    "uploads": uploads.plan,
}


def packages(portal: Portal, given: Mapping[str, Any]) -> Plan:
    """Those that the sections of this run need and that are missing, to be installed at once."""
    found: dict[str, None] = {}
    if {*portal.site.missing_packages} - OPTIONAL or portal.client:
        for section in discovery.sections_due(portal, given):
            with suppress(PlanError):  # which is reported in its turn
                found |= dict.fromkeys(SECTIONS[section](portal, given).packages)
    return Plan(values={}, packages=[*found])


# What is asked before the sections have their turns, and after them.
PLANS: Mapping[str, Callable[[Portal, Mapping[str, Any]], Plan]] = {
    **SECTIONS,
    "active": discovery.active,
    "asked": discovery.asked_for,
    "discovery": discovery.plan,
    "packages": packages,
}


class LookupModule(LookupBase):
    # Each option of a task reads the plan once more, from the same variables.
    _last: tuple[str, Mapping[str, Any], dict[str, Any]] = ("", {}, {})

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        due, raw = bool(kwargs.get("due")), variables or {}
        (section,) = terms
        info = seen(None, raw)
        if due and not info:
            return [True]
        if not due and self._last[0] == section and self._last[1] is raw:
            return [self._last[2]]
        try:
            found = self._planned(section, raw, info if due else None)
        except (AnswerError, ControlError, PlanError, PortalError) as problem:
            raise AnsibleError(str(problem)) from problem
        if not due:
            LookupModule._last = (section, raw, found)
        return [found]

    def _planned(self, section: str, raw: Mapping[str, Any], info: Discovered | None) -> Any:
        """The plan; with what discovery observed, whether it is due."""
        known = Variables(self._templar, raw)
        plan = PLANS[section](Portal(known), known)
        templates = ROLES / section / "templates"
        templar = self._templar.copy_with_new_env(
            searchpath=[str(templates)], available_variables={"plan": plan.values}
        )

        def render(name: str) -> str:
            text = trust_as_template(self._loader.get_text_file_contents(str(templates / name)))
            # A backslash in a file is a backslash, as the module template has it.
            return str(templar.template(text, escape_backslashes=False))

        return plan.options(render) if info is None else plan.due(info, render)
