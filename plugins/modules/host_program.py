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
  - Installs the program that acts without Ansible. It shows what is active (C(chamilo-hardening status)), restores the
    state before a section (C(chamilo-hardening undo SECTION)), and rolls back the files of an interrupted transaction,
    by a timer or before the web server starts at boot.
  - The program is one file, made on the controller from the same code as the modules of this collection, and compiled
    on the host. It needs nothing there but C(/usr/bin/python3).
  - Installs and enables the unit C(chamilo-hardening-recover.service) too, and the timer
    C(chamilo-hardening-daily.timer), which starts the daily tasks of the host. Removes the man page and the
    completions that earlier versions installed below C(/usr/local/share).
attributes:
  check_mode:
    support: full
    description: Predicts what would change and touches nothing.
  diff_mode:
    support: full
    description: Shows version and checksum of the program, and the text of the units. Never the recipients of alerts.
  idempotent:
    support: full
    description: A program that was made of the same code, for the same Python, is left alone.
options:
  path:
    description: Where the program goes. The transactions expect it at the default.
    type: path
    default: /usr/local/sbin/chamilo-hardening
  alert_mail:
    description:
      - The recipient of alerts by mail, through the mail program of the host. Empty means no mail.
      - Without this option and O(alert_webhook) it stays as it is.
    type: str
  alert_webhook:
    description:
      - The URL that gets the same alerts by an HTTP POST, as JSON with C(host), C(section), C(title) and C(text).
      - It begins with C(https://). Empty means nothing.
    type: str
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
    C(/etc/systemd/system/chamilo-hardening-recover.service), the link to it in C(sysinit.target.wants) beside it, the
    service and timer C(chamilo-hardening-daily) with its link in C(timers.target.wants), and the four
    directories below.
  - Before that, copy what you still need to another place, above all the key of the backups. Without it no backup can
    be read.
  - C(/etc/chamilo-hardening) contains the configuration, the key of the backups (C(backups-*.key)) and the passwords of
    the accounts in the database (C(backup-*.cnf), C(upgrade-*.cnf)).
  - C(/var/lib/chamilo-hardening) contains the state, the files that were moved away (C(kept/), such as dumps in the
    portal's directory and files of ours that were edited by other means; C(quarantine/), uploads with a virus), the
    results of backups and restore tests, the lists of files, and the former rights of old accounts of the database
    (C(database-*.json)).
  - C(/var/backups/chamilo-hardening) contains the backups on this host, C(/var/cache/chamilo-hardening) a cache of
    restic that can always go.
    that can always go.
"""

EXAMPLES = r"""
- name: Install the host program
  chamilo.hardening.host_program:

- name: Have it send alerts to the administrator
  chamilo.hardening.host_program:
    alert_mail: admin@school.example
    alert_webhook: "{{ vault_alert_webhook }}"
"""

RETURN = r"""
version:
  description: The version of the collection the program was made from.
  returned: always
  type: str
  sample: 1.0.0
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
