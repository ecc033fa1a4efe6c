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
  - Checks all controls of the guide in one call. It inspects the real behaviour of the host (answers on the wire,
    owners and modes, running processes, the application's settings in its database), not at the files this collection
    writes.
  - Changes nothing. It sends requests to the web server of the host, and those leave what any visit leaves, which is
    lines in its logs and an empty session of PHP; in development mode the application keeps a file on each visit as
    well. It never tries to log in.
  - Works without root and on a host without Chamilo. What cannot be seen is C(not_assessed), never C(pass).
  - A control that is not met is no failure of the module, nor is a check that breaks off.
  - The table of controls is on the controller and is joined there, so RV(controls) has a level, a title and a way to
    repair for each.
extends_documentation_fragment:
  - chamilo.hardening.attributes.info
  - chamilo.hardening.attributes.python
options:
  domain:
    description: The public name of the portal.
    type: str
    required: true
  root:
    description:
      - The project directory of Chamilo, the one with C(public/) and C(bin/console).
      - When it is empty, it is discovered.
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
  names:
    description:
      - The value of C(chamilo_names), further names of the portal, and those that are none of it behind a C(!).
      - All names of the portal are asked, besides O(domain) at most 20 of them. A control that checks each is
        C(not_assessed) beyond that.
    type: list
    elements: str
    default: []
    version_added: 1.1.0
  results:
    description:
      - A directory on the controller with results that hosts delivered by themselves (C(chamilo_monitoring_results)).
      - The host is not connected to then, and what it delivered last is judged. Of the other options, O(level) and
        O(waivers) count.
    type: path
    default: ""
    version_added: 1.1.0
  results_hours:
    description: How old such a result may be, in hours. The controls of an older one are C(not_assessed).
    type: int
    default: 48
    version_added: 1.1.0
  deliver_to:
    description:
      - A directory on the controller, which exists, for what the host answered, as the host itself would deliver it
        (C(chamilo_monitoring_results)).
      - O(results) judges what several controllers, or slices of a job, delivered there, in one run.
    type: path
    default: ""
    version_added: 1.1.0
  sections:
    description:
      - The sections of the guide to check.
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
      - Controls that the administrator decided not to meet for a while.
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
    description:
      - The controls that are waived or that the level leaves out. None of them turns another one red.
      - In a playbook it follows from O(level) and O(waivers), and cannot be given.
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
    description:
      - Whether a proxy elsewhere speaks HTTPS with visitors.
      - The portal is then asked for by its name, so that the proxy answers.
    type: bool
    default: false
  several_nodes:
    description:
      - Whether the portal has several web nodes. With O(terminated_elsewhere), requests then go to this host itself, as
        the proxy hands them on, and not to the node that the proxy chooses. TLS is tried at the public name.
      - The playbook sets it from the inventory.
    type: bool
    default: false
    version_added: 1.1.0
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
    version_added: 1.1.0
  controller:
    description:
      - The address from which the host is managed.
      - When it is empty, the one that the connection over ssh comes from.
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
    version_added: 1.1.0
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

- name: Show what is not met
  ansible.builtin.debug:
    msg: "{{ audit.controls | selectattr('status', 'equalto', 'fail') | map(attribute='evidence') | list }}"

- name: Check two sections of a portal behind a proxy
  chamilo.hardening.guide_audit_info:
    domain: campus.example.org
    sections: [https, headers]
    terminated_elsewhere: true
    trusted_proxies: [10.0.0.5]
"""

RETURN = r"""
controls:
  description: All controls, in the order of the table, each with what it means on this host.
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
      fix: Run the role chamilo.hardening.https. Steered by chamilo_https_vhost.
summary:
  description: How many controls have each status.
  returned: always
  type: dict
  sample: {fail: 31, pass: 12, not_assessed: 4}
error:
  description: Why nothing could be checked. All controls are C(not_assessed) then.
  returned: when the module could not run on the host
  type: str
signs:
  description: Indicators of compromise, for the administrator to review. Empty when section monitoring is left out.
  returned: success
  type: list
  elements: str
  sample: ["1 PHP file where none belongs: public/build/x.php"]
forecast:
  description:
    - Impact preview, the clients that the rules that are not active yet would have blocked in the last seven days, by
      the access log of the portal. These are the bans of addresses, and what the web server will refuse.
    - Empty when all of them are active, or their sections were left out.
    - It reads at most 512 MiB of each log, and for at most 20 seconds.
  returned: success
  type: dict
  contains:
    said:
      description: The same in sentences, with what was read and what could not be.
      type: list
      elements: str
      sample: ["3 requests of 1 address would have been refused by updates_installer, such as /check.php: 203.0.113.7."]
    shut_out:
      description: The first 100 addresses that would have been banned, those that several people share first.
      type: list
      elements: dict
      sample: [{address: 10.1.2.3, times: 9, failed: 52, good: 41, browsers: 12, gateway: true}]
    refused:
      description: What would have been refused, by the control that asks for it.
      type: list
      elements: dict
      sample: [{control: updates_installer, requests: 3, addresses: 1, most: [203.0.113.7]}]
    lines:
      description: The number of lines that were read.
      type: int
    whole:
      description: Whether that was all.
      type: bool
taken:
  description: When the result was made, in UTC.
  returned: when O(results) is set
  type: str
  sample: "2026-11-30T04:12:09Z"
names:
  description: All names of the portal, O(domain) first.
  returned: success
  type: list
  elements: str
  sample: [campus.example.org, www.campus.example.org]
active:
  description: The sections of which the roles left something on the host. Empty without root.
  returned: success
  type: list
  elements: str
  sample: [headers, https]
chamilo_version:
  description: The version of Chamilo that is installed; empty when it is not known.
  returned: success
  type: str
  sample: 2.0.1
"""

from typing import Any

from ansible_collections.chamilo.hardening.plugins.module_utils._common import imports

imports.compile_once()

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring import search
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
    observer = Observer(site, options)
    search.begin(observer, options["sections"])
    # Loaded here: it takes long, and the search goes on meanwhile.
    from ansible_collections.chamilo.hardening.plugins.module_utils._audit.engine import audit

    found = audit(options["site"], observer, options["sections"])
    for warning in found.warnings:
        module.warn(warning)
    module.exit_json(changed=False, **found.answer())


if __name__ == "__main__":
    main()
