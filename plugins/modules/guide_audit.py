#!/usr/bin/python
# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: guide_audit
short_description: Look whether what the Chamilo Security Guide asks for is true on a host
version_added: 0.1.0
author:
  - The chamilo.hardening maintainers (@chamilo-hardening)
description:
  - Looks at all controls of the guide in one call. It looks at what the host really does (answers on the wire, owners
    and modes, running processes, the application's settings in its database), not at the files this collection writes.
  - Changes nothing. It sends requests to the web server of the host, and those leave what any visit leaves, which is
    lines in its logs and an empty session of PHP; in development mode the application keeps a file on each visit as
    well. It never tries to log in.
  - Works without root and on a host without Chamilo. What cannot be seen is C(not_assessed), never C(pass).
  - A control that is not met is no failure of the module, nor is a check that breaks off.
  - The table of controls is on the controller and is joined there, so RV(controls) has a level, a title and a way to
    repair for each.
extends_documentation_fragment:
  - chamilo.hardening.attributes.info
options:
  domain:
    description: The public name of the portal.
    type: str
    required: true
  root:
    description:
      - The project folder of Chamilo, the one that holds C(public/) and C(bin/console).
      - When it is empty, it is found.
    type: str
    default: ""
  web_server:
    description:
      - The web server that visitors reach.
      - When it is empty, it is found.
    type: str
    choices: ["", nginx, apache]
    default: ""
  site:
    description: The word in the names of the files this collection writes for the portal.
    type: str
    default: ""
  sections:
    description:
      - The sections of the guide to look at.
      - When it is empty, all of them.
    type: list
    elements: str
    choices:
      - updates
      - https
      - permissions
      - passwords
      - brute_force
      - sessions
      - headers
      - uploads
      - database
      - backups
      - monitoring
    default: []
  level:
    description:
      - Up to which level a control that is not met counts as C(fail). Above it, it is C(advice).
    type: str
    choices: [must, should, consider]
    default: should
  waivers:
    description:
      - Controls that somebody has decided not to meet for a while.
    type: list
    elements: dict
    default: []
    suboptions:
      control:
        description: The name of the control.
        type: str
        required: true
      reason:
        description: Why it is not met.
        type: str
        required: true
      owner:
        description: Who decided it.
        type: str
        required: true
      until:
        description: The last day on which the waiver counts, C(YYYY-MM-DD).
        type: str
        required: true
  owner:
    description: The account that may own the program, apart from root.
    type: str
    default: root
  ca_file:
    description: Certificate authorities on the host to trust as well, in PEM form.
    type: path
    default: ""
  terminated_elsewhere:
    description:
      - Whether a proxy elsewhere speaks HTTPS with visitors.
      - The portal is then asked for by its name, so that the proxy answers.
    type: bool
    default: false
  hsts:
    description: How C(Strict-Transport-Security) is meant to be sent.
    type: str
    choices: [ramp, full, "off"]
    default: ramp
  csp:
    description: Whether C(Content-Security-Policy) is meant to report, to be enforced or not to be sent.
    type: str
    choices: [report, enforce, "off"]
    default: report
  frame_ancestors:
    description: Origins that may show the portal inside their pages.
    type: list
    elements: str
    default: []
  xss_protection:
    description: The value meant for C(X-XSS-Protection).
    type: str
    default: 1; mode=block
  trusted_proxies:
    description: Addresses and networks of proxies whose word counts.
    type: list
    elements: str
    default: []
  friends:
    description: Networks that must never be banned.
    type: list
    elements: str
    default: []
  controller:
    description: The address from which the host is managed.
    type: str
    default: ""
  attempts:
    description: After how many failed logins an account or an address is meant to be locked out.
    type: int
    default: 5
  dormant_days:
    description: After how many days without a login an account counts as dormant.
    type: int
    default: 90
  sessions_lifetime:
    description: After how many seconds without a visit a session is meant to end.
    type: int
    default: 3600
"""

EXAMPLES = r"""
- name: Look at everything
  chamilo.hardening.guide_audit:
    domain: campus.example.org
  register: audit

- name: Show what is not met
  ansible.builtin.debug:
    msg: "{{ audit.controls | selectattr('status', 'equalto', 'fail') | map(attribute='evidence') | list }}"

- name: Look at two sections of a portal behind a proxy
  chamilo.hardening.guide_audit:
    domain: campus.example.org
    sections: [https, headers]
    terminated_elsewhere: true
    trusted_proxies: [10.0.0.5]
"""

RETURN = r"""
observed:
  description: What was seen, by the name of the control. Without the table; a control above the level is C(fail) here.
  returned: success
  type: dict
  contains:
    status:
      description: C(pass), C(fail), C(not_applicable) or C(not_assessed).
      type: str
      sample: fail
    evidence:
      description: What was seen, with the value.
      type: str
      sample: "var/ is www-data:www-data 0777, but no account except www-data has business there."
controls:
  description: All controls of the table, worst first, each with what it means on this host.
  returned: always
  type: list
  elements: dict
  sample:
    - id: https_redirect
      section: https
      level: must
      title: Plain HTTP leads to HTTPS
      status: fail
      evidence: http://campus.example.org/ answers 200 instead of 301 to https://campus.example.org/.
      fix: The role https does it.
summary:
  description: How many controls have each status.
  returned: always
  type: dict
  sample: {fail: 31, pass: 12, not_assessed: 4}
signs:
  description: Signs that somebody broke in earlier, for a person to judge. Empty when section monitoring is left out.
  returned: success
  type: list
  elements: str
  sample: ["1 PHP file where none belongs: public/build/x.php"]
chamilo_version:
  description: The version of Chamilo that is installed; empty when it is not known.
  returned: success
  type: str
  sample: 2.0.1
"""

from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule

# Each import registers the checks of its section. One by one, or they would not travel to the host.
from ansible_collections.chamilo.hardening.plugins.module_utils._audit import (
    backups,
    brute_force,
    database,
    headers,
    https,
    monitoring,
    passwords,
    permissions,
    sessions,
    updates,
    uploads,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._control import FAIL, checks, observe
from ansible_collections.chamilo.hardening.plugins.module_utils._look import Look
from ansible_collections.chamilo.hardening.plugins.module_utils._site import SiteError, discover

SECTIONS = {
    "updates": updates,
    "https": https,
    "permissions": permissions,
    "passwords": passwords,
    "brute_force": brute_force,
    "sessions": sessions,
    "headers": headers,
    "uploads": uploads,
    "database": database,
    "backups": backups,
    "monitoring": monitoring,
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "domain": {"type": "str", "required": True},
            "root": {"type": "str", "default": ""},
            "web_server": {"type": "str", "choices": ["", "nginx", "apache"], "default": ""},
            "site": {"type": "str", "default": ""},
            "sections": {"type": "list", "elements": "str", "choices": list(SECTIONS), "default": []},
            # These two mean something on the controller only, where the table is.
            "level": {"type": "str", "choices": ["must", "should", "consider"], "default": "should"},
            "waivers": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    name: {"type": "str", "required": True} for name in ("control", "reason", "owner", "until")
                },
            },
            "owner": {"type": "str", "default": "root"},
            "ca_file": {"type": "path", "default": ""},
            "terminated_elsewhere": {"type": "bool", "default": False},
            "hsts": {"type": "str", "choices": ["ramp", "full", "off"], "default": "ramp"},
            "csp": {"type": "str", "choices": ["report", "enforce", "off"], "default": "report"},
            "frame_ancestors": {"type": "list", "elements": "str", "default": []},
            "xss_protection": {"type": "str", "default": "1; mode=block"},
            "trusted_proxies": {"type": "list", "elements": "str", "default": []},
            "friends": {"type": "list", "elements": "str", "default": []},
            "controller": {"type": "str", "default": ""},
            "attempts": {"type": "int", "default": 5},
            "dormant_days": {"type": "int", "default": 90},
            "sessions_lifetime": {"type": "int", "default": 3600},
        },
        supports_check_mode=True,
    )
    options = module.params
    try:
        site = discover(options["domain"], options["root"], options["web_server"], site=options["site"])
    except SiteError as problem:
        module.fail_json(msg=str(problem))
    wanted = tuple(f"{section}_" for section in options["sections"])
    chosen = {name: function for name, function in checks.items() if not wanted or name.startswith(wanted)}
    look = Look(site, options)
    observed = observe(chosen, look)
    broken_in = observed.get("monitoring_compromise")
    module.exit_json(
        changed=False,
        observed={name: asdict(finding) for name, finding in observed.items()},
        chamilo_version=site.version,
        signs=monitoring.signs(look) if broken_in and broken_in.status == FAIL else [],
    )


if __name__ == "__main__":
    main()
