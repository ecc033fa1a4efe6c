# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: guide_report
short_description: Write the report of an audit on the controller
version_added: 1.0.0
description:
  - Internal to the collection. It can change at any time.
  - Writes what M(chamilo.hardening.guide_audit_info) found on any number of hosts as C(report.html), C(report.json) and
    C(junit.xml). What is in them is in C(docs/reference.md).
author:
  - The chamilo.hardening maintainers (@chamilo-hardening)
extends_documentation_fragment:
  - chamilo.hardening.attributes.info
  - chamilo.hardening.attributes.controller
  - chamilo.hardening.attributes.python
options:
  hosts:
    description: The names of the hosts, usually C(ansible_play_hosts_all).
    type: list
    elements: str
    required: true
  register:
    description:
      - The variable under which the result of M(chamilo.hardening.guide_audit_info) is registered on each host.
    type: str
    required: true
  directory:
    description: The directory for the report, made when it is missing.
    type: path
    default: chamilo-report
  attacks:
    description: O(register) is what M(chamilo.hardening.guide_prove) registered.
    type: bool
    default: false
  fail_on:
    description: Fail when a control of this level, or a higher one, is not met or could not be assessed on any host.
    type: str
    choices: ["", must, should]
    default: ""
"""

EXAMPLES = r"""
- name: Write the report
  chamilo.hardening.guide_report:
    hosts: "{{ ansible_play_hosts_all }}"
    register: audit
    directory: /srv/reports/chamilo
    fail_on: must
  run_once: true
  delegate_to: localhost
"""

RETURN = "{}"  # what the playbooks and the last screen read, which the action plugin makes
