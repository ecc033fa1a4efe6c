#!/usr/bin/python
# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: chamilo_database_account
short_description: The accounts with which Chamilo, its upgrades and its backups log in to MariaDB
version_added: 1.0.0
author:
  - The chamilo.hardening maintainers (@chamilo-hardening)
extends_documentation_fragment:
  - chamilo.hardening.attributes.python
  - chamilo.hardening.portal
description:
  - Gives the application an account of its own that may do what Chamilo needs on its own database, and nothing else.
  - An application that logs in as root, with all rights on the server, with an account that is used for other databases
    too, or with a password that is easy to guess, is moved to a new account. The account is made, proved by a login
    just as the application does it (by the socket, by C(127.0.0.1), from another host), written to the environment
    files, the cache is cleared as the web user, the portal is asked, and only then the old account loses its rights and
    is locked. When a step fails, everything is rolled back. A run that was killed is resumed by the next one; the
    portal answers at every moment.
  - An account with too many or too few rights on Chamilo's own database keeps its name and password.
  - Accounts of the application's name, now or before it was moved, at other hosts are locked and keep their rights. One
    that a client in O(clients) may need, or that is used for something else, is left, and RV(notes) names it.
  - Root, the accounts of administrators, and accounts that are used for something else are not changed.
  - Passwords are made on the host. They are in no log, result, diff, statement or list of processes.
attributes:
  check_mode:
    support: full
    description: Predicts what would change and touches nothing.
  diff_mode:
    support: full
    description: Shows accounts and rights, without passwords.
  idempotent:
    support: full
    description: A second run with the same input changes nothing.
options:
  site:
    description: A short name for the portal. The accounts are called C(chamilo_<site>), C(chamilo_<site>_upgrade) and
      C(chamilo_<site>_backup).
    type: str
    required: true
  state:
    description: V(absent) gives old accounts the rights back that this module took, unlocks those that it locked, and
      drops the account for upgrades.
      The application keeps its account, with the guide's rights.
    type: str
    choices: [present, absent]
    default: present
  application:
    description: Manage the application's account.
    type: bool
    default: true
  split:
    description:
      - V(true) leaves the application SELECT, INSERT, UPDATE and DELETE, and makes a second account that may change
        tables too. Its password is in C(/etc/chamilo-hardening/upgrade-<site>.cnf), which root alone can read.
    type: bool
    default: false
  backup:
    description:
      - Make an account for backups, which may read the database and nothing else. Its password is in
        C(/etc/chamilo-hardening/backup-<site>.cnf), which root alone can read and the programs of MariaDB take with
        C(--defaults-extra-file).
      - With O(application=true) it is left out where nothing here may make accounts.
    type: bool
    default: false
  clients:
    description:
      - Addresses and networks that may use the database from elsewhere. With this option, even if it is empty, the
        module fails and changes nothing when the server's list of processes shows another client from elsewhere.
    type: list
    elements: str
  listen:
    description:
      - The addresses at which a server of this host is going to listen. With this option the module fails and changes
        nothing when Chamilo reaches its database at another address of this host.
    type: list
    elements: str
    default: []
  tls:
    description: Require TLS of accounts that are made on another host.
    type: bool
    default: false
  elsewhere:
    description:
      - The host of the database is in the inventory. If something has to be changed there without an O(admin_user), the
        module reports so (RV(needs_admin)) in place of failing.
    type: bool
    default: false
  retire:
    description: V(false) lets the old account keep its rights, because other web nodes use it.
    type: bool
    default: true
  admin_user:
    description:
      - An account that may make others, for a database that is not on this host or has no socket. It is used only if
        something has to be changed.
      - Without it, root of this host's server, by the socket.
    type: str
    default: ""
  admin_password:
    description: Its password.
    type: str
    default: ""
  web_user:
    description: The user PHP runs as, who clears the cache. Empty means that it is found.
    type: str
    default: ""
  probe:
    description: Requests that the portal must go on to answer as it did before, as in
      M(chamilo.hardening.config_transaction).
    type: list
    elements: dict
    default: []
    suboptions:
      url:
        description: The URL.
        type: str
        required: true
      address:
        description: The address to connect to.
        type: str
      host:
        description: The name to ask for.
        type: str
      status:
        description: The status codes that are right.
        type: list
        elements: int
        default: [200]
      send:
        description: Names and values of headers that go with the request.
        type: dict
        default: {}
  request:
    description:
      - A digest of all options, by which the next run knows that M(chamilo.hardening.chamilo_site_info) found the
        accounts as they are asked for. It is made by the collection and cannot be given in a task.
    type: str
    default: ""
    version_added: 1.1.0
requirements:
  - python3-pymysql, or the mariadb or mysql client, on the target
seealso:
  - module: chamilo.hardening.chamilo_env
  - module: ansible.mariadb.mariadb_user
notes:
  - Needs root.
  - What old accounts were allowed is kept in C(/var/lib/chamilo-hardening/database-<site>.json).
"""

EXAMPLES = r"""
- name: Give Chamilo an account of its own with the rights it needs
  chamilo.hardening.chamilo_database_account:
    domain: campus.example.org
    site: campus
    probe:
      - url: https://campus.example.org/
        address: 127.0.0.1

- name: Only an account for backups
  chamilo.hardening.chamilo_database_account:
    domain: campus.example.org
    site: campus
    application: false
    backup: true

- name: Leave the application no right to change tables
  chamilo.hardening.chamilo_database_account:
    domain: campus.example.org
    site: campus
    split: true

- name: Use a database server that another party runs
  chamilo.hardening.chamilo_database_account:
    domain: campus.example.org
    site: campus
    tls: true
    admin_user: admin
    admin_password: "{{ vault_database_admin_password }}"
"""

RETURN = r"""
server_here:
  description: Does the database run on this host.
  returned: success
  type: bool
needs_admin:
  description: Is there something to do that takes an account which may change others, on another host.
  returned: success
  type: bool
source:
  description: From where the application comes, as the database server sees it.
  returned: success
  type: str
accounts:
  description: The accounts by their use, as far as they are managed.
  returned: success
  type: dict
  sample: {application: chamilo_campus@localhost, backup: chamilo_campus_backup@localhost}
moved:
  description: From which account to which the application was moved; empty if it was not.
  returned: success
  type: dict
  sample: {from: root@localhost, to: chamilo_campus@localhost}
notes:
  description: What a person should know. These are warnings as well.
  returned: always
  type: list
  elements: str
diff:
  description: Accounts and rights before and after.
  returned: with C(--diff)
  type: dict
"""

from ansible_collections.chamilo.hardening.plugins.module_utils._common import imports

imports.compile_once()

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._database import accounts_asked
from ansible_collections.chamilo.hardening.plugins.module_utils._database.accounts import AccountManager
from ansible_collections.chamilo.hardening.plugins.module_utils._database.context import Context, Desired, Result
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.database import Account, NoClient, authority
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.discovery import (
    discover,
    discover_environment,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.probe import Probe

PROBE = {
    "url": {"type": "str", "required": True},
    "address": {"type": "str"},
    "host": {"type": "str"},
    "status": {"type": "list", "elements": "int", "default": [200]},
    "send": {"type": "dict", "default": {}},
}


def manager(given: dict) -> AccountManager:
    """The manager of the accounts that the options name."""
    place = (given["domain"], given["root"], given["web_server"])
    if given["application"] or given["backup"]:
        site, environment = discover_environment(*place)
    else:  # a host that is there for the database alone
        site, environment = discover(*place), {}
    names = ("site", "application", "split", "backup", "clients", "listen", "tls", "elsewhere", "retire", "web_user")
    probe = [
        Probe(
            one["url"],
            address=one["address"] or "",
            host=one["host"] or "",
            status=tuple(one["status"]),
            send=tuple((name, str(value)) for name, value in one["send"].items()),
        )
        for one in given["probe"]
    ]
    admin = None
    if given["admin_user"]:
        there = site.database
        admin = Account(
            given["admin_user"],
            given["admin_password"],
            there.host,
            there.port or 3306,
            there.socket,
            authority=authority(there.host),
        )
    return AccountManager(
        Context(site, environment, Desired(**{name: given[name] for name in names}, probe=probe), admin)
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "domain": {"type": "str", "required": True},
            "root": {"type": "str", "default": ""},
            "web_server": {"type": "str", "choices": ["", "nginx", "apache"], "default": ""},
            "site": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "application": {"type": "bool", "default": True},
            "split": {"type": "bool", "default": False},
            "backup": {"type": "bool", "default": False},
            "clients": {"type": "list", "elements": "str"},
            "listen": {"type": "list", "elements": "str", "default": []},
            "tls": {"type": "bool", "default": False},
            "elsewhere": {"type": "bool", "default": False},
            "retire": {"type": "bool", "default": True},
            "admin_user": {"type": "str", "default": ""},
            "admin_password": {"type": "str", "default": "", "no_log": True},
            "web_user": {"type": "str", "default": ""},
            "probe": {"type": "list", "elements": "dict", "default": [], "options": PROBE},
            "request": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    result = Result()
    failure = ""
    try:
        if not module.check_mode:  # a run that was cut off may have left the environment with an account of its own
            result.notes += Engine().recover()
        found = manager(module.params)
        work = found.apply if module.params["state"] == "present" else found.restore
        work(result, check=module.check_mode)
        asked = module.params["state"] == "present" and not module.params["admin_user"]
        if asked and not module.check_mode:
            accounts_asked.remember(found.context.site.root, module.params["request"], found.desired)
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
    reported = accounts_asked.reported(result)
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
    module.exit_json(**reported)


if __name__ == "__main__":
    main()
