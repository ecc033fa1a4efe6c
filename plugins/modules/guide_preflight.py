# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: guide_preflight
short_description: Refuse variables that cannot work before anything changes
version_added: 1.0.0
description:
  - Internal to the collection. It can change at any time.
  - Checks all C(chamilo_) variables of a host on the controller, without a connection, and reports all errors at once,
    names that no role knows, values of another type or form than declared, incomplete waivers, and a copy of the
    backup key that would be lost.
author:
  - The chamilo.hardening maintainers (@chamilo-hardening)
extends_documentation_fragment:
  - chamilo.hardening.attributes.info
  - chamilo.hardening.attributes.controller
  - chamilo.hardening.attributes.python
options:
  sections:
    description: The sections that will run. Their argument specifications and that of C(common) are applied.
    type: list
    elements: str
    required: true
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
  found_domain:
    description: The domain of the portal that discovery found in this play.
    type: str
  discovered:
    description: Whether discovery was done on every host of the play.
    type: bool
    default: false
  waits_for:
    description: The host of a database whose restart is put off. Nothing is checked then.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Check every variable
  chamilo.hardening.guide_preflight:
    sections: [https, headers]
"""

RETURN = "{}"  # what the playbooks and the last screen read, which the action plugin makes
