#!/usr/bin/python
# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_program
short_description: Install the program chamilo-hardening on a host
version_added: 0.1.0
author:
  - The chamilo.hardening maintainers (@chamilo-hardening)
description:
  - Installs the program that acts when no Ansible is there. It shows what is in force (C(chamilo-hardening status)),
    brings back what was there before a section (C(chamilo-hardening undo SECTION)), and puts back the files of an
    interrupted transaction, by a timer or before the web server starts at boot.
  - The program is one file, made on the controller from the same code as the modules of this collection. It needs
    nothing on the host but C(/usr/bin/python3).
  - Installs and enables the unit C(chamilo-hardening-recover.service) too.
attributes:
  check_mode:
    support: full
    description: Predicts what would change and touches nothing.
  diff_mode:
    support: full
    description: Shows version and checksum of the program, and the text of the unit.
  idempotent:
    support: full
    description: A program with the same checksum is left alone.
options:
  path:
    description: Where the program goes. The transactions look for it at the default.
    type: path
    default: /usr/local/sbin/chamilo-hardening
  content:
    description: The program. Made by the collection on the controller; it cannot be given.
    type: str
  version:
    description: The version of the collection. Taken from the collection; it cannot be given.
    type: str
seealso:
  - module: chamilo.hardening.config_transaction
notes:
  - To remove it, undo each section (C(chamilo-hardening status) shows them), then remove the program, the unit
    C(/etc/systemd/system/chamilo-hardening-recover.service), the link to it in C(sysinit.target.wants) beside it, and
    C(/var/lib/chamilo-hardening).
"""

EXAMPLES = r"""
- name: Have the host look after itself
  chamilo.hardening.host_program:
"""

RETURN = r"""
version:
  description: The version of the collection the program was made from.
  returned: always
  type: str
  sample: 1.0.0
diff:
  description: The program and the unit before and after.
  returned: with C(--diff)
  type: list
  elements: dict
"""

import base64
import zlib

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._install import install
from ansible_collections.chamilo.hardening.plugins.module_utils._state import StateError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/usr/local/sbin/chamilo-hardening"},
            # No secret, but nothing to have in the host's log either.
            "content": {"type": "str", "no_log": True},
            "version": {"type": "str"},
        },
        supports_check_mode=True,
    )
    if not module.params["content"]:
        module.fail_json(msg="host_program works through its action plugin only, which makes the program.")
    program = zlib.decompress(base64.b64decode(module.params["content"]))
    try:
        done = install(program, module.params["version"], module.params["path"], module.check_mode)
    except (StateError, OSError) as problem:
        module.fail_json(msg=str(problem))
    result = {"changed": done.changed, "version": module.params["version"]}
    if module._diff:
        result["diff"] = done.diff
    module.exit_json(**result)


if __name__ == "__main__":
    main()
