#!/usr/bin/python
# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: chamilo_php_user
short_description: Run the PHP of a portal as a user of its own
version_added: 1.1.0
author:
  - The chamilo.hardening maintainers (@chamilo-hardening)
extends_documentation_fragment:
  - chamilo.hardening.attributes.python
  - chamilo.hardening.portal
  - chamilo.hardening.portal.probe
description:
  - With O(state=own), PHP of the portal runs in a pool C(chamilo-SITE) of PHP-FPM, as a system user of that name that
    no other site of the host has. The settings of the owner's pool (C(php_admin_value), C(env), limits) apply in it as
    well.
  - C(var/), the group of configuration and environment files, open sessions and the portal's cron jobs in
    C(/etc/cron.d) and in the crontab of the old user go to the new one. The portal answers all the time.
  - No other site can use the socket of the pool. The workers of the web server get the group C(chamilo-web), which
    alone may connect, since the PHP of other sites may run as the web server's user.
  - The virtual host of this collection is changed. In one that its owner keeps, the pool listens where the owner's did,
    if that served nothing else. Otherwise RV(told) names the line to change; until then PHP runs as before.
  - With O(state=keep), all of that is undone. The account stays, locked and without files.
  - Everything is tested, loaded and probed. Where a page does not answer as before, it is rolled back.
attributes:
  check_mode:
    support: full
    description: Predicts whether something would change.
  diff_mode:
    support: none
    description: RV(told) lists what changed.
  idempotent:
    support: full
    description: A second run changes nothing.
options:
  site:
    description: The word for the portal in the names of files.
    type: str
    required: true
  state:
    description: Whether PHP of the portal has a user of its own.
    type: str
    choices: [own, keep]
    default: own
  web_user:
    description: The user that the variable C(chamilo_web_user) names. With O(state=own) it must be empty.
    type: str
    default: ""
  group:
    description: The group of the portal's files, if it is not that of the user. The user becomes a member of it.
    type: str
    default: ""
  tree:
    description: The portal's files, as M(chamilo.hardening.chamilo_perms) takes them.
    type: dict
    required: true
seealso:
  - module: chamilo.hardening.chamilo_perms
  - module: chamilo.hardening.config_transaction
notes:
  - Needs root, systemd and PHP-FPM. With mod_php nothing is done, and RV(told) gives the reason.
"""

EXAMPLES = r"""
- name: Run PHP of the portal as a user of its own
  chamilo.hardening.chamilo_php_user:
    domain: campus.example.org
    site: campus_example_org
    tree:
      path: /var/www/chamilo
      owner: root
      group: www-data
      web_user: www-data
    probe:
      - url: https://campus.example.org/
        address: 127.0.0.1
"""

RETURN = r"""
php:
  description: As what and where PHP of the portal runs now.
  returned: success
  type: dict
  contains:
    user:
      description: The user PHP runs as.
      type: str
      sample: chamilo-campus_example_org
    group:
      description: Its group.
      type: str
      sample: chamilo-campus_example_org
    socket:
      description: The FastCGI address requests go to.
      type: str
      sample: unix:/run/chamilo-campus_example_org.sock
    pool_file:
      description: The file of the pool.
      type: str
      sample: /etc/php/8.4/fpm/pool.d/chamilo-campus_example_org.conf
log_rotation:
  description: As M(chamilo.hardening.chamilo_site_info) returns it.
  returned: success
  type: str
exposed_logs:
  description: As M(chamilo.hardening.chamilo_site_info) returns it.
  returned: success
  type: dict
told:
  description: What was done besides, and what the owner has to do.
  returned: success
  type: list
  elements: str
"""

from ansible_collections.chamilo.hardening.plugins.module_utils._common import imports

imports.compile_once()

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.php_user import Desired, Switch
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine

PROBE = {
    "url": {"type": "str", "required": True},
    "address": {"type": "str"},
    "send": {"type": "dict", "default": {}},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "domain": {"type": "str", "required": True},
            "site": {"type": "str", "required": True},
            "root": {"type": "str", "default": ""},
            "web_server": {"type": "str", "choices": ["", "nginx", "apache"], "default": ""},
            "state": {"type": "str", "choices": ["own", "keep"], "default": "own"},
            "web_user": {"type": "str", "default": ""},
            "group": {"type": "str", "default": ""},
            "tree": {"type": "dict", "required": True},
            "probe": {"type": "list", "elements": "dict", "default": [], "options": PROBE},
        },
        supports_check_mode=True,
    )
    given = dict(module.params)
    desired = Desired(own=given.pop("state") == "own", **given)
    try:
        done = Switch(desired, Engine()).go(module.check_mode)
    except (HardeningError, OSError) as problem:
        module.fail_json(msg=str(problem))
    php = done.site.php
    module.exit_json(
        changed=done.changed,
        php={"user": php.user, "group": php.group, "socket": php.socket, "pool_file": php.pool_file},
        log_rotation=done.site.log_rotation,
        exposed_logs=done.site.exposed_logs,
        told=done.reported,
    )


if __name__ == "__main__":
    main()
