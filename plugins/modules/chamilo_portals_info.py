# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: chamilo_portals_info
short_description: List the Chamilo portals of a host
version_added: 1.1.0
description:
  - Internal to the collection. It can change at any time.
  - Finds each portal by the virtual hosts that serve it and by the usual directories, before a name of it is known.
author:
  - The chamilo.hardening maintainers (@chamilo-hardening)
extends_documentation_fragment:
  - chamilo.hardening.attributes.info
  - chamilo.hardening.attributes.python
options: {}
"""

EXAMPLES = r"""
- name: List the portals of this host
  chamilo.hardening.chamilo_portals_info:
  register: portals
"""

RETURN = r"""
portals:
  description: Each portal, with its names, directory, web server, PHP, database, version and obstacles.
  returned: success
  type: list
  elements: dict
"""

from dataclasses import asdict

from ansible_collections.chamilo.hardening.plugins.module_utils._common import imports

imports.compile_once()

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.portals import portals

SECTIONS = ("database", "backups")  # those that need a database of a certain kind


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    try:
        found = portals(SECTIONS)
    except (HardeningError, OSError) as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(changed=False, portals=[asdict(portal) for portal in found])


if __name__ == "__main__":
    main()
