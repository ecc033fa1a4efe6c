#!/usr/bin/python
# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: guide_audit_info
short_description: Audit a host against the controls of the Chamilo Security Guide
version_added: 2.0.0
description:
  - Internal to the collection. It can change at any time.
  - Checks all controls of the guide in one call, and returns what was observed, joined with the table of controls.
  - Changes nothing. Works without root and on a host without Chamilo. What cannot be seen is C(not_assessed), never
    C(pass).
extends_documentation_fragment:
  - chamilo.hardening.attributes.python
  - chamilo.hardening.internal
  - chamilo.hardening.internal.secrets
"""

EXAMPLES = "- chamilo.hardening.guide_audit_info: {request: {}}\n"
RETURN = "{}"  # what the controller accepts is in plugins/plugin_utils/_answers.py

from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._application.declared import Request
from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovery import discover
from ansible_collections.chamilo.hardening.plugins.module_utils._application.observer import Observer
from ansible_collections.chamilo.hardening.plugins.module_utils._audit.engine import audit
from ansible_collections.chamilo.hardening.plugins.module_utils._common.request import options, run


def work(request: Request, module: AnsibleModule) -> dict[str, Any]:
    site = discover(request.domain, request.root, request.web_server, site=request.site, names=request.names)
    found = audit(request.site, Observer(site, asdict(request)), request.sections)
    for warning in found.warnings:
        module.warn(warning)
    return {"changed": False, **found.answer()}


def main() -> None:
    run(AnsibleModule(options(Request), supports_check_mode=True), Request, work)


if __name__ == "__main__":
    main()
