#!/usr/bin/python
# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_key
short_description: Have the key of the backups on the host and a copy of it on the controller
version_added: 1.0.0
description:
  - Internal to the collection. It can change at any time.
  - Makes the key of the backups on the host where there is none, keeps a copy of it on the controller or takes that,
    and writes down on the host whether both are the same. An existing key is never replaced.
extends_documentation_fragment:
  - chamilo.hardening.attributes.python
  - chamilo.hardening.internal
  - chamilo.hardening.internal.secrets
"""

EXAMPLES = "- chamilo.hardening.backup_key: {request: {}}\n"
RETURN = "{}"  # what the controller accepts is in plugins/plugin_utils/_answers.py

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._backups.key import keep_key
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.proof import Request
from ansible_collections.chamilo.hardening.plugins.module_utils._common.request import options, run


def work(request: Request, module: AnsibleModule) -> dict[str, Any]:
    if not request.salt:
        module.fail_json(msg="backup_key works through its action plugin only, which keeps the copy.")
    kept = keep_key(request.site, request.password, request.salt, request.elsewhere, request.create, module.check_mode)
    result = {"changed": kept.changed, "fingerprint": kept.fingerprint, "due": kept.due, "held": kept.held}
    return {**result, "key": kept.key} if request.fetch and kept.key else result


def main() -> None:
    run(AnsibleModule(options(Request), supports_check_mode=True), Request, work)


if __name__ == "__main__":
    main()
