# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup portal."""

from __future__ import annotations

DOCUMENTATION = r"""
name: portal
short_description: Which hosts of the inventory are nodes of which portal
version_added: 2.0.0
author:
  - The chamilo.hardening maintainers (@chamilo-hardening)
description:
  - Hosts with the same C(chamilo_portal) are the nodes of a portal, and C(chamilo_node) is what a node is there for.
  - Private to the playbooks and roles of this collection. It can change at any time. No host is asked.
options:
  _terms:
    description:
      - V(web) asks whether this host serves its portal, and is not there for its database alone.
      - V(applies) asks for the sections that this run enforces on this host, as far as it is known by then, and
        V(hindered) whether anything of the guide is left as it was.
      - V(node) asks for this host's portal, the other nodes of it, and whether this one does what is done once.
      - V(hosts) asks for the hosts that a playbook is for, C(chamilo_hosts), and fails where no host is among them.
      - V(order) asks for those hosts in the order in which they are changed, V(serial) for the sizes of the batches of
        that order, and V(several) for those of them whose portal has more than one node.
    type: list
    elements: str
    required: true
"""

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.loader import lookup_loader
from ansible.plugins.lookup import LookupBase

from ansible_collections.chamilo.hardening.plugins.module_utils._application.declared import SECTIONS
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _obstacles, _portals
from ansible_collections.chamilo.hardening.plugins.plugin_utils._variables import Variables


def _patterns(given: Any) -> list[str]:
    return [str(one) for one in given] if isinstance(given, (list, tuple)) else [str(given)]


class LookupModule(LookupBase):
    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        (asked,) = terms
        raw = variables or {}
        if asked == "hindered":
            return [bool(_obstacles.left(raw) or _obstacles.obstacles(raw))]
        if asked in ("web", "applies", "node"):
            own = Variables(self._templar, raw)
            try:
                if asked == "node":
                    return [_portals.here(own, raw["hostvars"])[1]]
                web = _portals.WEB in _portals.purposes(own)
                out = {*_obstacles.left(raw), *(raw.get("ansible_skip_tags") or ())}
                sections = SECTIONS if web else ["database"]
                return [web if asked == "web" else [one for one in sections if one not in out]]
            except _portals.PortalError as problem:
                raise AnsibleError(str(problem)) from problem
        patterns = _patterns(self._templar.template(raw.get("chamilo_hosts", "chamilo")))
        hosts = self._hosts(patterns, raw)
        if asked == "hosts":
            # A group that is misspelt ends the run: nothing would be done, and nothing reported. One may be empty.
            if hosts or patterns[0] in raw["groups"] or not raw["groups"]["all"]:
                return patterns
            raise AnsibleError(
                f"No host of the inventory is in {', '.join(patterns)}. Put your hosts into the group chamilo, or name "
                "others: -e chamilo_hosts=GROUP"
            )
        hostvars = raw.get("hostvars") or {}
        nodes = _portals.known(raw, hostvars, hosts)
        # Those that --limit leaves out have run no task.
        begun = [host for host in hosts if host in hostvars and "__chamilo_preflight" in hostvars[host]]
        hosts = begun or hosts
        if asked == "several":
            _portals.salt(make=True)
            return _portals.several(nodes, hosts)
        at_once = {host: self._at_once(hostvars[host]) for host in hosts if host in hostvars}
        # In the first batch, so that a later one never consists of them alone: that would end the run.
        away = [host for host in hosts if _portals.answer(hostvars, host).get("unreachable") is True]
        batches = (
            _portals.order(nodes, [host for host in hosts if host not in away], at_once) if away != hosts else [[]]
        )
        batches[0].extend(away)
        return [len(one) for one in batches] if asked == "serial" else [host for one in batches for host in one]

    def _hosts(self, patterns: list[str], variables: dict[str, Any]) -> list[str]:
        matcher = lookup_loader.get("ansible.builtin.inventory_hostnames", loader=self._loader, templar=self._templar)
        return [str(name) for name in matcher.run(patterns, variables=variables)]

    @staticmethod
    def _at_once(variables: Mapping[str, Any]) -> int:
        try:
            return max(1, int(variables.get("chamilo_serial", 1)))
        except (*_portals.NOT_WORKED_OUT, TypeError, ValueError):
            return 1  # its preflight refuses the value
