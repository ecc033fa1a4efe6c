#!/usr/bin/python
# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_key
short_description: Have the key of the backups on the host and a copy of it on the controller
version_added: 1.0.0
author:
  - The chamilo.hardening maintainers (@chamilo-hardening)
extends_documentation_fragment:
  - chamilo.hardening.attributes.python
description:
  - Internal to the collection. It can change at any time.
  - Makes the key on the host where there is none, keeps a copy of it on the controller, or with O(password) the other
    way round, and writes down on the host whether both are the same. An existing key is never replaced.
options:
  site:
    description: The word that is in the names of the files of this portal, C(chamilo_site).
    type: str
    required: true
  password:
    description: The key. When it is empty, the key in O(folder) is used, or a key is generated.
    type: str
    default: ""
  folder:
    description:
      - Where copies of keys are on the controller. A relative path begins at the directory of the inventory (with
        several, of the first that names the host; with one that is no file, such as C(-i host,), at your home
        directory).
    type: path
    default: chamilo-keys
  salt:
    description: For the keyed hash. Made by the collection on the controller; it cannot be given.
    type: str
  elsewhere:
    description: Which machine the controller is. Made by the collection on the controller; it cannot be given.
    type: str
  fetch:
    description: Whether the key is to be returned. Made by the collection on the controller; it cannot be given.
    type: bool
    default: false
  create:
    description: Whether a key may be made up. With V(false) the key must come from the controller, as for a restore.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Keep a copy of the backup key on the controller
  chamilo.hardening.backup_key:
    site: campus_example_org
"""

RETURN = r"""
key_file:
  description: Where the copy of the key is on the controller; empty when it is the password that was given.
  returned: always
  type: str
held:
  description: Whether the controller, another machine, has a copy.
  returned: always
  type: bool
due:
  description: What never succeeded as things are now, C(backup) and C(drill).
  returned: always
  type: list
  elements: str
"""

from ansible_collections.chamilo.hardening.plugins.module_utils._common import imports

imports.compile_once()

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._backups.key import keep_key
from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "site": {"type": "str", "required": True},
            "password": {"type": "str", "default": "", "no_log": True},
            "folder": {"type": "path", "default": "chamilo-keys"},
            "salt": {"type": "str", "no_log": False},
            "elsewhere": {"type": "str"},
            "fetch": {"type": "bool", "default": False},
            "create": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    known = module.params
    if not known["salt"]:
        module.fail_json(msg="backup_key works through its action plugin only, which keeps the copy.")
    try:
        kept = keep_key(
            known["site"],
            known["password"],
            known["salt"],
            known["elsewhere"] or "",
            known["create"],
            module.check_mode,
        )
    except (HardeningError, OSError) as problem:
        module.fail_json(msg=str(problem))
    result = {"changed": kept.changed, "fingerprint": kept.fingerprint, "due": kept.due, "held": kept.held}
    if known["fetch"] and kept.key:
        result["key"] = kept.key
    module.exit_json(**result)


if __name__ == "__main__":
    main()
