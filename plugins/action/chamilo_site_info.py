# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has a host discovered, for the role common and the playbook harden."""

from __future__ import annotations

import secrets
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError

from ansible_collections.chamilo.hardening.plugins.lookup import plan
from ansible_collections.chamilo.hardening.plugins.module_utils._application.obstacle import Obstacle, report
from ansible_collections.chamilo.hardening.plugins.module_utils._application.request import Request
from ansible_collections.chamilo.hardening.plugins.module_utils._common.typed import made
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _beliefs, _nodes, _program
from ansible_collections.chamilo.hardening.plugins.plugin_utils._host_action import HostAction, reason

# Ansible forks a process for each task of each host, and compiles a collection's modules in each that imports them. The
# process that forks imports this plugin, the first of harden that needs a host, and with it what plans the sections.
BEFORE_THE_FORK = (plan,)


class ActionModule(HostAction):
    def act(self, variables: dict[str, Any]) -> dict[str, Any]:
        request = self._request("salt", "key_salt", "collection_version", "facts")
        # The playbook harden has the nodes of a portal compared. Of one that has no other there is nothing to compare.
        key_salt = secrets.token_hex(16)
        request.update(**_nodes.salted(self._templar, variables), key_salt=key_salt)
        request.update(collection_version=_program.version_of(), facts=_beliefs.brief())
        ahead = bool(variables.get("_chamilo_ahead"))
        try:
            answer = self._ask("chamilo_site_info", Request, request, variables)
        except AnsibleConnectionFailure:
            raise
        except AnsibleError as problem:
            if not ahead:
                raise
            answer = {"failed": True, "msg": str(problem)}
        answer["asked"] = request.get("sections", [])
        if ahead and answer.get("failed"):
            # The node goes on into the play that changes it, where this stops each node of its portal.
            return {"refused": reason(answer)}
        if "backup_key" in answer:
            answer["backup_key"]["salt"] = key_salt
        found = [made(Obstacle, one) for one in answer.get("obstacles", ())]
        # Of a section that is used alone nothing would be left to do, unless it goes without some of its controls.
        if found and not (ahead or variables.get("_chamilo_each_once") is True):
            if any(not one.controls for one in found):
                return {"failed": True, "msg": report(str(request.get("domain")), found)}
            answer["warnings"] = [*answer.get("warnings", ()), *(one.why for one in found)]
        return answer
