# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: guide_inventory
short_description: Make an inventory of discovered portals
version_added: 1.1.0
description:
  - Internal to the collection. It can change at any time.
  - Prints what M(chamilo.hardening.chamilo_portals_info) found on any number of hosts, and an inventory of it, or
    writes that inventory into a file on the controller. A file that exists is not replaced.
author:
  - The chamilo.hardening maintainers (@chamilo-hardening)
extends_documentation_fragment:
  - chamilo.hardening.attributes.controller
  - chamilo.hardening.attributes.python
options:
  hosts:
    description: The names of the hosts, usually C(ansible_play_hosts_all).
    type: list
    elements: str
    required: true
  register:
    description: The variable under which the result of M(chamilo.hardening.chamilo_portals_info) is registered.
    type: str
    required: true
  path:
    description: The file to write. Without it the inventory is printed.
    type: path
"""

EXAMPLES = r"""
- name: Write the inventory
  chamilo.hardening.guide_inventory:
    hosts: "{{ ansible_play_hosts_all }}"
    register: portals
    path: hosts.yml
  run_once: true
  delegate_to: localhost
"""

RETURN = "{}"  # what the playbooks and the last screen read, which the action plugin makes
