#!/usr/bin/python
# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_program
short_description: Install the program chamilo-hardening on a host
version_added: 1.0.0
description:
  - Internal to the collection. It can change at any time.
  - Installs the program C(chamilo-hardening), its unit at boot and its daily timer. The program is one file, made on
    the controller from the same code as the modules of this collection, and compiled on the host.
extends_documentation_fragment:
  - chamilo.hardening.attributes.python
  - chamilo.hardening.internal
  - chamilo.hardening.internal.secrets
"""

EXAMPLES = "- chamilo.hardening.host_program: {request: {}}\n"
RETURN = "{}"  # what the controller accepts is in plugins/plugin_utils/_answers.py

import base64
import zlib
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._common.alert import refusal
from ansible_collections.chamilo.hardening.plugins.module_utils._common.request import options, run
from ansible_collections.chamilo.hardening.plugins.module_utils._program.install import Installation, Places, Request


def work(request: Request, module: AnsibleModule) -> dict[str, Any]:
    if not request.content:
        module.fail_json(msg="host_program works through its action plugin only, which makes the program.")
    recipient = request.recipient
    refused = refusal(recipient.mail, recipient.webhook) if recipient else ""
    if refused:
        module.fail_json(msg=refused)
    program = zlib.decompress(base64.b64decode(request.content))
    places = Places(request.path)
    done = Installation(program, request.version, recipient, request.daily, places=places).install(module.check_mode)
    result = {"changed": done.changed, "version": request.version}
    return {**result, "diff": done.diff} if module._diff else result


def main() -> None:
    run(AnsibleModule(options(Request), supports_check_mode=True), Request, work)


if __name__ == "__main__":
    main()
