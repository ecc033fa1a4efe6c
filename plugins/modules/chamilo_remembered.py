#!/usr/bin/python
# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: chamilo_remembered
short_description: Forget whom Chamilo would log in by itself
version_added: 1.0.0
extends_documentation_fragment:
  - chamilo.hardening.attributes.python
  - chamilo.hardening.portal
  - chamilo.hardening.portal.installation
description:
  - Deletes what Chamilo stored for the cookie of "Remember me", which logs its bearer in for 14 days. Remembered users
    have to log in with the password once more.
  - Asks the database with the portal's own account, as its environment files name it, for all portals of the
    installation. People who are logged in now stay so until their session ends.
  - Does not keep Chamilo from remembering people again. The role chamilo.hardening.sessions does, with
    C(chamilo_sessions_remember_me=false).
attributes:
  check_mode:
    support: full
    description: Counts, and deletes nothing.
  diff_mode:
    support: none
    description: What is stored are secrets.
  idempotent:
    support: full
    description: A second run changes nothing.
requirements:
  - python3-pymysql, or the mariadb or mysql client, on the target
  - root on the target, to read the portal's environment files
"""

EXAMPLES = r"""
- name: Have all users log in with the password once more, after a laptop was stolen
  chamilo.hardening.chamilo_remembered:
    domain: campus.example.org

- name: Only count
  chamilo.hardening.chamilo_remembered:
    domain: campus.example.org
    root: /srv/campus
  check_mode: true
"""

RETURN = r"""
forgotten:
  description: How many stored logins were deleted, or would be in check mode.
  returned: success
  type: int
  sample: 14
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import NoClient, Reader
from ansible_collections.chamilo.hardening.plugins.module_utils._application.installation import told
from ansible_collections.chamilo.hardening.plugins.module_utils._application.remembered import forget
from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "domain": {"type": "str", "required": True},
            "root": {"type": "str", "default": ""},
            "web_server": {"type": "str", "choices": ["", "nginx", "apache"], "default": ""},
            "installation": {"type": "dict", "default": {}},
            "installation_salt": {"type": "str", "default": "", "no_log": True},
        },
        supports_check_mode=True,
    )
    try:
        portal = told(module.params["installation"], module.params["installation_salt"])
        forgotten = forget(Reader.of(portal), module.check_mode)
    except NoClient as problem:
        if not module.check_mode:
            module.fail_json(msg=str(problem))
        # What a check finds missing may be what the task before it would have installed.
        module.exit_json(changed=True, forgotten=0, msg=f"needs python3-pymysql: {problem}")
    except (HardeningError, OSError) as problem:
        module.fail_json(msg=f"Who is remembered was not forgotten. {problem}")
    module.exit_json(changed=forgotten > 0, forgotten=forgotten)


if __name__ == "__main__":
    main()
