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
    description:
      - The host of a database whose restart is put off. Nothing is checked then. RV(waiting) names what waits for it.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Check every variable
  chamilo.hardening.guide_preflight:
    sections: [https, headers]
"""

RETURN = r"""
msg:
  description: A sentence for each waiver that has run out, or that all is well.
  returned: always
  type: raw
enforces:
  description: Those of O(sections) that are enforced, and not undone.
  returned: success
  type: list
  elements: str
waiting:
  description: The sections that wait for the restart, on the host that RV(waits_for) names.
  returned: with O(waits_for)
  type: list
  elements: str
waits_for:
  description: O(waits_for).
  returned: with O(waits_for)
  type: str
causes:
  description: The controls of these sections that stay open for want of a variable, by that variable.
  returned: success
  type: list
  elements: dict
"""
