#!/usr/bin/python
# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: chamilo_database_account
short_description: The accounts with which Chamilo, its upgrades and its backups log in to MariaDB
version_added: 1.0.0
description:
  - Internal to the collection. It can change at any time.
  - Gives the application an account of its own that may do what Chamilo needs on its own database, and nothing else.
    It is proved by a login before the old one loses its rights. How is in the README of
    P(chamilo.hardening.database#role).
extends_documentation_fragment:
  - chamilo.hardening.attributes.python
  - chamilo.hardening.internal
  - chamilo.hardening.internal.secrets
"""

EXAMPLES = "- chamilo.hardening.chamilo_database_account: {request: {}}\n"
RETURN = "{}"  # what the controller accepts is in plugins/plugin_utils/_answers.py

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import NoClient, account_there
from ansible_collections.chamilo.hardening.plugins.module_utils._application.installation import told
from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._common.request import options, run
from ansible_collections.chamilo.hardening.plugins.module_utils._database.accounts import AccountManager
from ansible_collections.chamilo.hardening.plugins.module_utils._database.context import Context, Desired, Result
from ansible_collections.chamilo.hardening.plugins.module_utils._program.login import write_login
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.recovery import Recovery


@dataclass(frozen=True)
class Request(Desired):
    """With the portal, and an account that may make others where root's socket is not at hand."""

    domain: str = field(default="", metadata={"required": True})
    root: str = ""
    web_server: Literal["", "nginx", "apache"] = ""
    state: Literal["present", "absent"] = "present"
    admin_user: str = ""
    admin_password: str = field(default="", metadata={"no_log": True})
    installation: Mapping[str, Any] = field(default_factory=dict)  # what the action plugin knows of the portal
    installation_salt: str = field(default="", metadata={"no_log": True})


def manager(request: Request) -> AccountManager:
    """The manager of the accounts that are asked for."""
    portal = told(request.installation, request.installation_salt)
    admin = None
    if request.admin_user:
        admin = account_there(portal.environment(), request.admin_user, request.admin_password)
    return AccountManager(Context(portal, request, admin, write_login=write_login))


def work(request: Request, module: AnsibleModule) -> dict[str, Any]:
    result = Result()
    failure = ""
    try:
        if not module.check_mode:  # a run that was cut off may have left the environment with an account of its own
            result.notes += Recovery().recover()
        found = manager(request)
        change = found.apply if request.state == "present" else found.restore
        change(result, check=module.check_mode)
    except NoClient as problem:
        if not module.check_mode:
            failure = str(problem)
        # What a check finds missing may be what the task before it would have installed.
        result.changed = True
        result.notes.append(f"needs python3-pymysql: {problem}")
    except (HardeningError, OSError, ValueError) as problem:
        failure = str(problem)
    for note in result.notes:
        module.warn(note)
    reported = {name: value for name, value in asdict(result).items() if name not in ("before", "after")}
    if module._diff and result.changed:
        head = "accounts of the database"
        reported["diff"] = {
            "before_header": head,
            "after_header": head,
            "before": "".join(result.before),
            "after": "".join(result.after),
        }
    if failure:
        module.fail_json(msg=failure, **reported)
    return reported


def main() -> None:
    run(AnsibleModule(options(Request), supports_check_mode=True), Request, work)


if __name__ == "__main__":
    main()
