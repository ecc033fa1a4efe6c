#!/usr/bin/python
# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: chamilo_hsts
short_description: Bind browsers to https, step by step
version_added: 1.0.0
author:
  - The chamilo.hardening maintainers (@chamilo-hardening)
extends_documentation_fragment:
  - chamilo.hardening.attributes.python
description:
  - Internal to the collection. It can change at any time.
  - Determines the value of C(Strict-Transport-Security) from the record on the host, and activates it as
    M(chamilo.hardening.config_transaction) does. C(chamilo-hardening daily) takes the same steps with the same code.
options:
  configuration:
    description:
      - What is to be known of the site, the same as in C(/etc/chamilo-hardening/https-SITE.json), which the role https
        writes.
    type: dict
    required: true
  owner:
    description:
      - What the owner of the virtual host has it send under this name, see M(chamilo.hardening.chamilo_site_info).
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Take the step that is due
  chamilo.hardening.chamilo_hsts:
    configuration: "{{ configuration }}"
"""

RETURN = r"""
value:
  description: The value that is sent; empty when none is.
  returned: always
  type: str
since:
  description: The day on which the ramp began, or on which it was withdrawn.
  returned: always
  type: str
waits:
  description: Why the guide's value is not sent yet, though it is due. These are warnings as well.
  returned: always
  type: list
  elements: str
diff:
  description: Each file before and after.
  returned: with C(--diff)
  type: list
  elements: dict
"""

from ansible_collections.chamilo.hardening.plugins.module_utils._common import imports

imports.compile_once()

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._https import hsts
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.plan import Outcome


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "configuration": {"type": "dict", "required": True},
            "owner": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    outcome = Outcome()
    try:
        step = hsts.take(
            module.params["configuration"], Engine(), outcome, module.check_mode, owner=module.params["owner"]
        )
    except KeyError as problem:
        module.fail_json(msg=f"configuration: {problem} is missing.")
    except (HardeningError, OSError) as problem:
        module.fail_json(msg=str(problem))
    for note in [*outcome.recovered, *outcome.notes, *step.waits]:
        module.warn(note)
    result = {"changed": outcome.changed, "value": step.value, "since": step.ramp.since, "waits": step.waits}
    if module._diff:
        result["diff"] = outcome.diff
    module.exit_json(**result)


if __name__ == "__main__":
    main()
