#!/usr/bin/python
# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: guide_audit_info
short_description: Audit a host against the controls of the Chamilo Security Guide
version_added: 1.0.0
author:
  - The chamilo.hardening maintainers (@chamilo-hardening)
description:
  - Internal to the collection. It can change at any time.
  - Checks all controls of the guide in one call, and returns what was observed, joined with the table of controls.
  - Changes nothing. Works without root and on a host without Chamilo. What cannot be seen is
    C(not_assessed), never C(pass).
extends_documentation_fragment:
  - chamilo.hardening.attributes.info
  - chamilo.hardening.attributes.python
options:
  domain:
    description: The public name of the portal.
    type: str
    required: true
  root:
    description: The project directory of Chamilo, the one with C(public/) and C(bin/console).
    type: str
    default: ""
  web_server:
    description: The web server that visitors reach.
    type: str
    choices: ["", nginx, apache]
    default: ""
  site:
    description: The word in the names of the files this collection writes for the portal.
    type: str
    default: ""
  names:
    description:
      - The value of C(chamilo_names), further names of the portal, and those that are none of it behind a C(!).
    type: list
    elements: str
    default: []
  results:
    description:
      - A directory on the controller with results that hosts delivered by themselves (C(chamilo_monitoring_results)).
    type: path
    default: ""
  results_hours:
    description: How old such a result may be, in hours. The controls of an older one are C(not_assessed).
    type: int
    default: 48
  deliver_to:
    description:
      - A directory on the controller, which exists, for what the host answered, as the host itself would deliver it
        (C(chamilo_monitoring_results)).
    type: path
    default: ""
  sections:
    description: The sections of the guide to check.
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
    description: Up to which level a control that is not met counts as C(fail). Above it, it is C(advice).
    type: str
    choices: [must, should, consider]
    default: should
  waivers:
    description: Controls that the administrator decided not to meet for a while.
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
  unenforced:
    description: The controls that are waived or that the level leaves out. None of them turns another one red.
    type: list
    elements: str
    default: []
  owner:
    description: The account that may own the program, apart from root.
    type: str
    default: root
  ca_file:
    description: Certificate authorities on the host to trust as well, in PEM form.
    type: path
    default: ""
  terminated_elsewhere:
    description: Whether a proxy elsewhere speaks HTTPS with visitors.
    type: bool
    default: false
  several_nodes:
    description:
      - Whether the portal has several web nodes. With O(terminated_elsewhere), requests then go to this host itself, as
        the proxy hands them on, and not to the node that the proxy chooses. TLS is tried at the public name.
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
  database_clients:
    description: Addresses and networks of other hosts that use the database.
    type: list
    elements: str
    default: []
  friends:
    description: Networks that must never be banned.
    type: list
    elements: str
    default: []
  integrations:
    description:
      - Origins of other services that the portal works with, by kind, as P(chamilo.hardening.common#role) has them in
        O(chamilo.hardening.common#role:main:chamilo_integrations).
    type: dict
    default: {}
  controller:
    description: The address from which the host is managed.
    type: str
    default: ""
  advisories:
    description: The list of releases and vulnerabilities that the version is compared with. Made by the collection.
    type: dict
    default: {}
  key_copy:
    description: Where the controller keeps a copy of the backup key, or why it shows none. Made by the collection.
    type: str
    default: ""
  key_holder:
    description: Which machine the controller is. Made by the collection.
    type: str
    default: ""
  key_proof:
    description: A keyed hash of that copy, which is compared with the key of the host. Made by the collection.
    type: dict
    default: {}
  attempts:
    description: After how many failed logins an address is to be banned.
    type: int
    default: 5
  find_seconds:
    description: Within how many seconds failed logins of an address are meant to count.
    type: int
    default: 900
  ban_seconds:
    description: For how many seconds an address is to be banned.
    type: int
    default: 900
  interfaces:
    description: The interfaces for programs that the portal is declared to use.
    type: list
    elements: str
    default: []
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
- name: Check everything
  chamilo.hardening.guide_audit_info:
    domain: campus.example.org
  register: audit
"""

RETURN = "{}"  # what the playbooks and the last screen read, which the action plugin makes

from typing import Any

from ansible_collections.chamilo.hardening.plugins.module_utils._common import imports

imports.compile_once()

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._audit.engine import audit
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.declared import DEFAULTS, SECTIONS
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.discovery import discover
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.observer import Observer
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.site import SiteError

TYPES = {bool: "bool", int: "int", str: "str", list: "list", dict: "dict"}
# What the default of an option does not show.
MORE: dict[str, dict[str, Any]] = {
    "hsts": {"choices": ["ramp", "full", "off"]},
    "csp": {"choices": ["report", "enforce", "off"]},
    "ca_file": {"type": "path"},
    "key_copy": {"no_log": False},
    "key_holder": {"no_log": False},
    "key_proof": {"no_log": True},
}
DECLARED = {
    name: {
        "type": TYPES[type(default)],
        **({"elements": "str"} if isinstance(default, list) else {}),
        "default": default,
        **MORE.get(name, {}),
    }
    for name, default in DEFAULTS.items()
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "domain": {"type": "str", "required": True},
            "web_server": {"type": "str", "choices": ["", "nginx", "apache"], "default": ""},
            "names": {"type": "list", "elements": "str", "default": []},
            "sections": {"type": "list", "elements": "str", "choices": list(SECTIONS), "default": []},
            # These mean something on the controller only, where the table and delivered results are.
            "results": {"type": "path", "default": ""},
            "results_hours": {"type": "int", "default": 48},
            "deliver_to": {"type": "path", "default": ""},
            "level": {"type": "str", "choices": ["must", "should", "consider"], "default": "should"},
            "waivers": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    name: {"type": "str", "required": True} for name in ("control", "reason", "owner", "until")
                },
            },
            **DECLARED,
        },
        supports_check_mode=True,
    )
    options = module.params
    try:
        where = (options["domain"], options["root"], options["web_server"])
        site = discover(*where, site=options["site"], names=options["names"])
    except SiteError as problem:
        module.fail_json(msg=str(problem))
    found = audit(options["site"], Observer(site, options), options["sections"])
    for warning in found.warnings:
        module.warn(warning)
    module.exit_json(changed=False, **found.answer())


if __name__ == "__main__":
    main()
