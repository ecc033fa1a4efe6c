#!/usr/bin/python
# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: chamilo_hsts
short_description: Bind browsers to https, step by step
version_added: 1.0.0
description:
  - Internal to the collection. It can change at any time.
  - Takes the step of HSTS that is due, with the code of C(chamilo-hardening daily).
extends_documentation_fragment:
  - chamilo.hardening.attributes.python
  - chamilo.hardening.internal
"""

EXAMPLES = "- chamilo.hardening.chamilo_hsts: {request: {}}\n"
RETURN = "{}"  # what the controller accepts is in plugins/plugin_utils/_answers.py

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._common.request import options, run
from ansible_collections.chamilo.hardening.plugins.module_utils._https import hsts
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.job import Outcome


@dataclass(frozen=True)
class Request:
    configuration: Mapping[str, Any]  # as in /etc/chamilo-hardening/https-SITE.json, which the role https writes
    owner: str = ""  # what the owner of the virtual host has it send


def work(request: Request, module: AnsibleModule) -> dict[str, Any]:
    outcome = Outcome()
    try:
        step = hsts.take(request.configuration, Engine(), outcome, module.check_mode, owner=request.owner)
    except KeyError as problem:
        module.fail_json(msg=f"configuration: {problem} is missing.")
    for note in [*outcome.recovered, *outcome.notes, *step.waits]:
        module.warn(note)
    result = {"changed": outcome.changed, "value": step.value, "since": step.ramp.since, "waits": step.waits}
    return {**result, "diff": outcome.diff} if module._diff else result


def main() -> None:
    run(AnsibleModule(options(Request), supports_check_mode=True), Request, work)


if __name__ == "__main__":
    main()
