#!/usr/bin/python
# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_program
short_description: Install the program chamilo-hardening on a host
version_added: 1.0.0
author:
  - The chamilo.hardening maintainers (@chamilo-hardening)
extends_documentation_fragment:
  - chamilo.hardening.attributes.python
description:
  - Internal to the collection. It can change at any time.
  - Installs the program C(chamilo-hardening), its unit at boot and its daily timer. The program is one file, made on
    the controller from the same code as the modules of this collection, and compiled on the host.
options:
  path:
    description: Where the program goes. The transactions expect it at the default.
    type: path
    default: /usr/local/sbin/chamilo-hardening
  alert_mail:
    description: The recipient of alerts by mail, through the mail program of the host. Empty means no mail.
    type: str
  alert_webhook:
    description:
      - The URL that gets the same alerts by an HTTP POST, as JSON with C(host), C(section), C(title) and C(text).
    type: str
  content:
    description: The program. Made by the collection on the controller; it cannot be given.
    type: str
  version:
    description: The version of the collection. Taken from the collection; it cannot be given.
    type: str
"""

EXAMPLES = r"""
- name: Install the host program
  chamilo.hardening.host_program:
"""

RETURN = r"""
version:
  description: The version of the collection the program was made from.
  returned: always
  type: str
diff:
  description: The program and the units before and after.
  returned: with C(--diff)
  type: list
  elements: dict
"""

import base64
import zlib

from ansible_collections.chamilo.hardening.plugins.module_utils._common import imports

imports.compile_once()

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._common.alert import Addressee, refusal
from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._program.install import install
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.store import Store


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/usr/local/sbin/chamilo-hardening"},
            "alert_mail": {"type": "str"},
            "alert_webhook": {"type": "str", "no_log": True},
            # No secret, but nothing to have in the host's log either.
            "content": {"type": "str", "no_log": True},
            "version": {"type": "str"},
        },
        supports_check_mode=True,
    )
    if not module.params["content"]:
        module.fail_json(msg="host_program works through its action plugin only, which makes the program.")
    reported = [module.params["alert_mail"], module.params["alert_webhook"]]
    recipient = None if reported == [None, None] else Addressee(*(value or "" for value in reported))
    refused = refusal(recipient.mail, recipient.webhook) if recipient else ""
    if refused:
        module.fail_json(msg=refused)
    program = zlib.decompress(base64.b64decode(module.params["content"]))
    try:
        done = install(
            program,
            module.params["version"],
            module.params["path"],
            module.check_mode,
            recipient=recipient,
            store=Store(),
        )
    except (HardeningError, OSError) as problem:
        module.fail_json(msg=str(problem))
    result = {"changed": done.changed, "version": module.params["version"]}
    if module._diff:
        result["diff"] = done.diff
    module.exit_json(**result)


if __name__ == "__main__":
    main()
