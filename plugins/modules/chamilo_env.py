#!/usr/bin/python
# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: chamilo_env
short_description: Set keys of the environment of a Chamilo portal where they count
version_added: 1.0.0
extends_documentation_fragment:
  - chamilo.hardening.attributes.python
  - chamilo.hardening.portal
  - chamilo.hardening.portal.installation
  - chamilo.hardening.portal.probe
description:
  - Sets keys in the environment files of Chamilo, or of another Symfony application that is laid out like it, and makes
    sure that the application really sees them.
  - C(.env), C(.env.local), C(.env.ENVIRONMENT), C(.env.ENVIRONMENT.local) and C(.env.local.php) are read in the order
    and by the rules of Symfony's Dotenv. A key is changed in the file whose value wins now. A key that stands nowhere
    yet goes to the end of C(.env.local), or of C(.env) where there is no C(.env.local).
  - What a pool of PHP-FPM (C(env[KEY])), nginx (C(fastcgi_param)) or Apache (C(SetEnv)) gives the application wins over
    all files. When such a line has a value other than the desired one, the module names file and line and fails
    before anything is changed.
  - Comments, order, line ends and the style of quoting stay as they are, and so do owner, group, mode and access lists
    of each file. A link that the user PHP runs as could have made, or whose target that user can change, is refused.
  - All files change in one transaction. When the cache cannot be cleared with the new values, or the process is killed
    half way, the old files are restored; after a kill by the host program, which the role chamilo.hardening.common
    installs, or by the next run. No copy of an old secret is kept, except for a replaced key pair (see O(generate)).
  - A new C(JWT_PASSPHRASE) comes with the private key, which is encrypted again with it. Without O(generate) it stays
    the same key, so tokens that were given out stay valid.
attributes:
  check_mode:
    support: full
    description: Predicts what would change, and writes nothing.
  diff_mode:
    support: full
    description: Shows the keys that change, by file. In place of a secret stand words.
  idempotent:
    support: full
    description: A second run with the same input changes nothing. O(generate) replaces public values only.
options:
  values:
    description:
      - Keys and their values, such as V(APP_ENV) and V(prod). What is true or false in YAML is written as V(1) or V(0).
      - The value is what the application is to see, without quotes and escapes. The module adds those.
      - Keys whose value may be a secret are refused here. They belong in O(secret_values).
    type: dict
    default: {}
  name:
    description:
      - A section of this collection and a word for the portal, such as V(https:campus).
      - Under it the host keeps what the keys in O(values) were before, for O(state=absent) and for
        C(chamilo-hardening undo).
      - Without it nothing is kept.
    type: str
  state:
    description:
      - With V(absent), the keys that are tracked under O(name) get their earlier value back; those that were in no
        file before are removed. One that was changed by other means since stays as it is.
    type: str
    choices: [present, absent]
    default: present
  secret_values:
    description: Keys whose values are in no output, log or diff.
    type: dict
    default: {}
  require:
    description:
      - Keys that must not be empty or published (by Chamilo, or in examples and lists of other Symfony applications).
      - With V(JWT_PASSPHRASE), the private key must be encrypted, and must not open with the passphrase Chamilo ships.
    type: list
    elements: str
    choices: [APP_SECRET, JWT_PASSPHRASE]
    default: []
  generate:
    description:
      - Give a key in O(require) that has such a value a random one, 32 bytes in hexadecimal.
      - With C(JWT_PASSPHRASE) in O(require), also replace the key pair of the API's tokens where others may have it.
        That is the case when its passphrase was published or empty, when every account of the host could get to its
        file and the pair is none that this module made, or when the public half belongs to another key. Tokens that
        were given out are refused then.
      - Where a secret or the key pair is replaced that way, all sessions of people who are logged in to Chamilo are
        ended, and all devices of "Remember me" are forgotten (see RV(consequences)).
      - Several web nodes of one portal must share their secrets. In the playbook C(chamilo.hardening.harden) the node
        that leads the portal makes them, and the others take them (see O(sealed)). Elsewhere give all of them
        O(secret_values) instead.
      - Without it the module fails, and names the keys.
    type: bool
    default: false
  rotate_secret:
    description:
      - Change V(APP_SECRET) even where users lose something by it.
      - Second factors in the database are encrypted with it, so every user of two-factor login is locked out until
        an administrator resets it. Remembered users have to log in again.
      - Without it, V(APP_SECRET) is changed only while it is public and no account has a second factor. Otherwise
        O(generate) leaves it as it is (see RV(refused)), and a value in O(secret_values) is an error.
    type: bool
    default: false
  web_user:
    description: The user PHP runs as. Empty means the one of the pool that serves the portal.
    type: str
    default: ""
  sealed:
    description:
      - The RV(sealed) of another node of the portal. Its C(APP_SECRET), its C(JWT_PASSPHRASE) and its key pair of the
        API's tokens take the place of those that differ here, except where they are public.
      - An C(APP_SECRET) that is no public one stays while there are users with two-factor login, and the module fails,
        unless O(rotate_secret) is set.
      - Where a public one is replaced that way, logins end as with O(generate).
    type: str
    default: ""
  salt:
    description:
      - What RV(sealed) is made with. The playbook C(chamilo.hardening.harden) makes one for each run and gives it to
        the nodes of portals that have several. It cannot be given in a task.
    type: str
    default: ""
seealso:
  - name: Configuration based on environment variables
    description: The order in which Symfony reads environment files.
    link: https://symfony.com/doc/6.4/configuration.html
notes:
  - Needs root. O(require) with V(JWT_PASSPHRASE) needs the program openssl on the host, a changed V(APP_SECRET) needs
    python3-pymysql or the client of MariaDB, to see whether two-factor login is in use.
  - C(.env.local.php) is what C(composer dump-env) makes. Where it exists, keys are set in it and in the files it is
    made from.
"""

EXAMPLES = r"""
- name: Run in production mode
  chamilo.hardening.chamilo_env:
    domain: campus.example.org
    values:
      APP_ENV: prod
      APP_DEBUG: 0

- name: Replace publicly known secrets
  chamilo.hardening.chamilo_env:
    domain: campus.example.org
    require: [APP_SECRET, JWT_PASSPHRASE]
    generate: true

- name: Give all web nodes the same secrets
  chamilo.hardening.chamilo_env:
    domain: campus.example.org
    secret_values:
      APP_SECRET: "{{ vault_chamilo_app_secret }}"
      JWT_PASSPHRASE: "{{ vault_chamilo_jwt_passphrase }}"

- name: Go back to the proxies that were trusted before
  chamilo.hardening.chamilo_env:
    domain: campus.example.org
    name: https:campus
    state: absent

- name: Trust the load balancer, on a host that serves several portals
  chamilo.hardening.chamilo_env:
    domain: campus.example.org
    root: /srv/campus
    values:
      TRUSTED_PROXIES: 10.0.0.5,10.0.0.6
"""

RETURN = r"""
files:
  description: The files that changed, the private key among them.
  returned: always
  type: list
  elements: str
  sample: [/var/www/chamilo/.env]
changes:
  description: Keys that are no secrets and that the application sees otherwise now.
  returned: always
  type: dict
  sample:
    APP_ENV: {before: dev, after: prod}
secrets:
  description: Names of the secrets that changed.
  returned: always
  type: list
  elements: str
  sample: [JWT_PASSPHRASE]
generated:
  description: Names of those that got a random value.
  returned: always
  type: list
  elements: str
  sample: [JWT_PASSPHRASE]
refused:
  description: Keys in O(require) that are public and were left as they are. These are warnings as well.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: The key.
      type: str
      sample: APP_SECRET
    why:
      description: What a new value would have done.
      type: str
      sample: 12 people use two-factor login, and could not log in any more
consequences:
  description: What replacing secrets that others may have takes from people, in sentences.
  returned: always
  type: list
  elements: str
  sample: ["All sessions of people who were logged in are ended (12): all users log in once more."]
cache_cleared:
  description: Was the cache of the application cleared.
  returned: always
  type: bool
sealed:
  description:
    - The secrets in O(require) and the key pair, encrypted. Only nodes of the same portal can open it, in the same run.
    - Empty outside of the playbook C(chamilo.hardening.harden), and for a portal with one web node.
  returned: always
  type: str
notes:
  description: What a person should know. These are warnings as well.
  returned: always
  type: list
  elements: str
msg:
  description: What is wrong, and what to do. No file was changed then, or the old files were restored.
  returned: failure
  type: str
  sample: >-
    The server itself gives the application APP_ENV (/etc/php/8.4/fpm/pool.d/www.conf line 480), which wins over its
    environment files. No file was changed. Take it out there, or correct it there.
"""

import dataclasses

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._application.installation import told
from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.env_file import (
    REQUIRED,
    Desired,
    EnvFile,
    Result,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.env_undo import remember, restore

PROBE = {
    "url": {"type": "str", "required": True},
    "address": {"type": "str"},
    "send": {"type": "dict", "default": {}},
}


def text(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else "" if value is None else str(value)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "domain": {"type": "str", "required": True},
            "name": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "root": {"type": "str", "default": ""},
            "web_server": {"type": "str", "choices": ["", "nginx", "apache"], "default": ""},
            "values": {"type": "dict", "default": {}},
            "secret_values": {"type": "dict", "default": {}, "no_log": True},
            "require": {"type": "list", "elements": "str", "choices": list(REQUIRED), "default": []},
            "generate": {"type": "bool", "default": False},
            # These are switches, whatever their names sound like.
            "rotate_secret": {"type": "bool", "default": False, "no_log": False},
            "web_user": {"type": "str", "default": ""},
            "probe": {"type": "list", "elements": "dict", "default": [], "options": PROBE},
            "sealed": {"type": "str", "default": ""},
            "salt": {"type": "str", "default": "", "no_log": True},
            "installation": {"type": "dict", "default": {}},
            "installation_salt": {"type": "str", "default": "", "no_log": True},
        },
        required_if=[("state", "absent", ("name",))],
        supports_check_mode=True,
    )
    given = dict(module.params)
    domain, _root, web_server = (given.pop(name) for name in ("domain", "root", "web_server"))
    installation = [given.pop(name) for name in ("installation", "installation_salt")]
    name, state = given.pop("name"), given.pop("state")
    for kind in ("values", "secret_values"):
        given[kind] = {str(key): text(value) for key, value in given[kind].items()}
    result = Result()
    failure = ""
    try:
        env_file = EnvFile(told(*installation))
        if state == "absent":
            restore(name, env_file, result, check=module.check_mode)
        else:
            if name and not module.check_mode:
                remember(name, env_file, given["values"], domain, web_server)
            env_file.apply(Desired(**given), result, check=module.check_mode)
    except (HardeningError, OSError) as problem:
        failure = str(problem)
    for one in result.refused:
        module.warn(f"{one['name']} is public and was left as it is: {one['why']}. Set rotate_secret to change it.")
    for note in result.notes:
        module.warn(note)
    reported = dataclasses.asdict(result)
    if not module._diff:
        del reported["diff"]
    if failure:
        module.fail_json(msg=failure, **reported)
    module.exit_json(**reported)


if __name__ == "__main__":
    main()
