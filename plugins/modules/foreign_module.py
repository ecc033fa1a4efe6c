# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: foreign_module
short_description: Run a module of ansible-core or another collection without taking over facts
version_added: 1.0.0
description:
  - Internal to the collection. It can change at any time.
  - Runs one of the modules of ansible-core and other collections that the roles of this collection use.
  - Of the answer only the results below are left. Facts, by which a compromised host could choose which file the
    controller sends to it, are not taken over. With C(async) it waits for the end of the job.
author:
  - The chamilo.hardening maintainers (@chamilo-hardening)
extends_documentation_fragment:
  - chamilo.hardening.attributes.python
options:
  apt:
    description: The options of M(ansible.builtin.apt).
    type: dict
  command:
    description: The options of M(ansible.builtin.command).
    type: dict
  copy:
    description: The options of M(ansible.builtin.copy).
    type: dict
  fetch:
    description: The options of M(ansible.builtin.fetch).
    type: dict
  file:
    description: The options of M(ansible.builtin.file).
    type: dict
  get_url:
    description: The options of M(ansible.builtin.get_url).
    type: dict
  mariadb_user:
    description: The options of M(ansible.mariadb.mariadb_user).
    type: dict
  service:
    description: The options of M(ansible.builtin.service).
    type: dict
  slurp:
    description: The options of M(ansible.builtin.slurp).
    type: dict
"""

EXAMPLES = r"""
- name: Install Certbot
  chamilo.hardening.foreign_module:
    apt:
      name: certbot
      fail_on_autoremove: true
"""

RETURN = r"""
cmd:
  description: The command.
  returned: when the module returns it
  type: raw
rc:
  description: The exit status.
  returned: when the module returns it
  type: int
stdout:
  description: What the command printed.
  returned: when the module returns it
  type: str
stdout_lines:
  description: The same by lines.
  returned: when the module returns it
  type: list
  elements: str
stderr:
  description: What the command printed as errors.
  returned: when the module returns it
  type: str
stderr_lines:
  description: The same by lines.
  returned: when the module returns it
  type: list
  elements: str
content:
  description: The content of the file, in the form of Base64.
  returned: with O(slurp)
  type: str
"""
