#!/usr/bin/python
# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: chamilo_settings
short_description: Platform settings of Chamilo, many in one transaction, and verified to be effective
version_added: 1.0.0
extends_documentation_fragment:
  - chamilo.hardening.attributes.python
  - chamilo.hardening.portal.installation
description:
  - Brings platform settings of Chamilo 2 to the values you name, on one portal or on all portals of an installation, in
    one transaction.
  - Knows how Chamilo finds a value, so that what it reports is what the application uses. An entry of
    C(config/settings_overrides.yaml) wins over the database; the row of a secondary portal counts only where the main
    portal's row may be changed; a row under another category is ignored; the last of two rows counts.
  - Refuses what would be written and have no effect, and reports why.
  - Repairs what old versions leave behind. Doubles of a row are merged into the last one, which is the one that counts.
    A row under a stale category is moved to the right one, or removed where it has been ignored all the time.
  - What the web administrator saves at the same time is not lost.
attributes:
  check_mode:
    support: full
    description: Where there is no client of the database yet, it returns C(changed) and reports what it needs.
  diff_mode:
    support: full
    description: Shows the values before and after, and the override file, without secrets.
  idempotent:
    support: full
    description: A second run changes nothing.
options:
  root:
    description:
      - The directory of Chamilo, the one with C(public/), C(var/) and C(.env), whose environment files name the account
        of the database. Without it, the one that serves O(domain) is discovered. One of the two is needed.
    type: path
    aliases: [chamilo_root]
  domain:
    description:
      - The public name of the portal. It determines which virtual host and pool give the application its environment.
    type: str
    version_added: 2.0.0
  settings:
    description:
      - What you want, as a map from V(category.variable) to a value.
      - A switch is V(true) or V(false). A number is a whole number, 0 or more. A list is joined with the separator of
        its setting, C(;) for C(document.upload_extensions_*) and C(,) elsewhere. A map becomes JSON.
      - A text is stored as it is, so the text form of each of these is taken as well.
      - Only settings that matter to security are known, in the categories security, document, lp, registration,
        webservice, platform and mail. Another name is refused with the nearest known ones.
    type: dict
    default: {}
  secret_settings:
    description:
      - The same for settings whose value may contain a password, C(mail.mailer_dsn) and C(security.proxy_settings).
      - Their values are in no result, diff or log. They are refused in O(settings), which is logged.
    type: dict
    default: {}
  reset:
    description:
      - Settings to reset to the default that Chamilo ships.
      - Where there is no row the default counts already, and none is written.
    type: list
    elements: str
    default: []
  access_url:
    description:
      - The portals, as a list of their numbers in the table C(access_url), such as V([1, 3]); 1 is the main portal.
      - V(all) sets the row of the main portal, and every row that another portal has of its own.
    type: list
    elements: str
    default: [all]
  lock:
    description:
      - V(true) locks the main portal's row (C(access_url_changeable) 0). The other portals then use its value, whatever
        their administrators save.
      - V(false) unlocks it. Without this option a lock stays as it is.
    type: bool
  pin:
    description:
      - V(true) writes the settings into C(config/settings_overrides.yaml) as well, under C(default) for all portals.
        What an administrator then saves in the browser has no effect. The file wins over the database.
      - V(false) takes them out of the file. Without this option, an entry that is there is kept and changed to the
        desired value, because it would win.
      - Comments, order and all other entries stay. A new file belongs to root, with the group of O(web_user) and mode
        V(0640); an existing one keeps owner and mode.
      - The cache is cleared with C(php bin/console cache:clear) as O(web_user). If that fails, or the database does,
        the old file is restored.
      - A file that is not of the documented shape (C(parameters), below it C(settings_overrides), below it C(default)
        or the number of a portal, below it V(category.variable) with a value on the same line) is refused.
    type: bool
  web_user:
    description: The user PHP runs as. Empty means that it is found.
    type: str
    default: ""
  section:
    description:
      - A name under which the settings are remembered as they were before they were first changed, in a file of root's
        below C(/var/lib/chamilo-hardening).
      - C(chamilo-hardening undo), with the part before the first colon, restores them, except those that were changed
        by other means since. Rows that were merged stay merged.
      - What an earlier task of this name set and this one does not is restored in the same way.
    type: str
    default: ""
  state:
    description: V(absent) restores the values saved under O(section), and ignores all other options.
    type: str
    choices: [present, absent]
    default: present
requirements:
  - python3-pymysql, or the mariadb or mysql client, on the target
  - root on the target where the override file has to be changed
notes:
  - Chamilo keeps most settings of the main portal in the sessions of its users. RV(sessions_hold_old_values)
    reports whether some of them continue with an old value until they log in again.
"""

EXAMPLES = r"""
- name: Ask for long, mixed passwords on all portals
  chamilo.hardening.chamilo_settings:
    root: /var/www/chamilo
    lock: true
    settings:
      security.check_password: true
      security.password_requirements:
        min: {length: 12, lowercase: 1, uppercase: 1, numeric: 1, specials: 1}

- name: Lock accounts after five wrong passwords, and allow no change of it in the browser
  chamilo.hardening.chamilo_settings:
    root: /var/www/chamilo
    pin: true
    settings:
      security.login_max_attempt_before_blocking_account: 5

- name: Let people register on the third portal only
  chamilo.hardening.chamilo_settings:
    root: /var/www/chamilo
    access_url: [3]
    settings:
      registration.allow_registration: true

- name: Back to what Chamilo ships, out of the override file too
  chamilo.hardening.chamilo_settings:
    root: /var/www/chamilo
    pin: false
    reset:
      - security.allow_captcha
      - security.captcha_time_to_block

- name: Configure how Chamilo sends mail (the address contains a password)
  chamilo.hardening.chamilo_settings:
    root: /var/www/chamilo
    secret_settings:
      mail.mailer_dsn: "smtp://chamilo:{{ vault_mail_password | urlencode }}@mail.example.org:587"

- name: Remember under a name what the settings were before
  chamilo.hardening.chamilo_settings:
    root: /var/www/chamilo
    section: exams
    settings:
      security.prevent_multiple_simultaneous_login: true

- name: Restore the values saved under that name, such as after the exams
  chamilo.hardening.chamilo_settings:
    root: /var/www/chamilo
    section: exams
    state: absent
"""

RETURN = r"""
settings:
  description:
    - Each setting that was asked for, by V(category.variable). None in the playbook C(harden), where its discovery has
      seen just before that all of them are as asked.
    - With C(--check), C(after) is what it would be.
  returned: success, where settings were inspected
  type: dict
  contains:
    before:
      description: What was there. The first three are maps from the number of a portal to a text.
      type: dict
      contains:
        stored:
          description: The value in the portal's own row, or null where it has none.
          type: dict
          sample: {"1": "false", "2": null}
        overridden:
          description: The value in the override file for the portal, or null.
          type: dict
          sample: {"1": null, "2": null}
        effective:
          description: What the application uses.
          type: dict
          sample: {"1": "false", "2": "false"}
        default:
          description: What counts where there is no row.
          type: str
          sample: "false"
        locked:
          description: Is the main portal's row locked, so that no other portal can differ.
          type: bool
          sample: true
    after:
      description: What is there now, in the same form.
      type: dict
    changed:
      description: Was anything changed for this setting.
      type: bool
repaired:
  description: Rows that did not count and were merged, moved or removed.
  returned: success, where settings were inspected
  type: list
  elements: dict
  contains:
    setting:
      description: The setting.
      type: str
      sample: security.check_password
    portal:
      description: The number of the portal.
      type: int
      sample: 1
    kind:
      description: V(duplicate), or V(stale_category) for a row under another category.
      type: str
      sample: stale_category
    category:
      description: The category it stood under.
      type: str
      sample: platform
    value:
      description: Its value. V(********) where that may be a secret.
      type: str
      sample: "false"
sessions_hold_old_values:
  description: True when users of the main portal who are logged in now keep an old value until they log in again.
  returned: success, where settings were inspected
  type: bool
  sample: false
cache_cleared:
  description: Was the application's cache cleared.
  returned: success, where settings were inspected
  type: bool
msg:
  description:
    - With O(state=absent), and for what O(section) does not set any more, the restored value of each setting, or that
      it was changed by other means since and stays.
    - In check mode on a host without a client of the database, what the run will need.
    - On failure, what is wrong, and what to do. No setting was changed then.
  returned: with O(state=absent), on failure, where settings are asked for no more, or in check mode without a client
  type: str
  sample: >-
    There is no setting 'security.chek_password'. Did you mean security.check_password,
    security.user_reset_password or security.password_requirements? Nothing was written.
"""

from dataclasses import replace
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import NoClient, Reader
from ansible_collections.chamilo.hardening.plugins.module_utils._application.installation import told
from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._common.files import STATE
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.apply import Host, result, undo
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.plan import desired
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.undo_data import MEMORY


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "aliases": ["chamilo_root"]},
            "domain": {"type": "str"},
            "settings": {"type": "dict", "default": {}},
            "secret_settings": {"type": "dict", "default": {}, "no_log": True},
            "reset": {"type": "list", "elements": "str", "default": []},
            "access_url": {"type": "list", "elements": "str", "default": ["all"]},
            "lock": {"type": "bool"},
            "pin": {"type": "bool"},
            "web_user": {"type": "str", "default": ""},
            "section": {"type": "str", "default": ""},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "installation": {"type": "dict", "default": {}},
            "installation_salt": {"type": "str", "default": "", "no_log": True},
        },
        required_one_of=[("root", "domain")],
        supports_check_mode=True,
    )
    given = module.params
    asked = {name: given[name] for name in ("settings", "secret_settings", "reset", "access_url", "lock", "pin")}
    try:
        portal = told(given["installation"], given["installation_salt"])
        if given["state"] == "absent":
            remembered = given["section"] in MEMORY.recall(STATE)
            output = undo(given["section"], portal) if remembered and not module.check_mode else []
            module.exit_json(changed=remembered, msg=" ".join(output))
        host = Host(Reader.of(portal).account, replace(portal, web_user=given["web_user"] or portal.web_user))
        outcome = host.apply(desired(**asked), check=module.check_mode, section=given["section"])
    except NoClient as problem:
        if not module.check_mode:
            module.fail_json(msg=str(problem))
        # What a check finds missing may be what the task before it would have installed.
        module.exit_json(changed=True, msg=f"needs python3-pymysql: {problem}")
    except (HardeningError, OSError) as problem:
        module.fail_json(msg=str(problem))
    extra: dict[str, Any] = {"diff": outcome.diff} if module._diff and outcome.changed else {}
    if outcome.messages:
        extra["msg"] = " ".join(outcome.messages)
    module.exit_json(**result(outcome), **extra)


if __name__ == "__main__":
    main()
