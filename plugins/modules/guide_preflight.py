# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: guide_preflight
short_description: Refuse variables that cannot work before anything changes
version_added: 1.0.0
description:
  - Checks all C(chamilo_) variables of a host on the controller, without a connection.
  - Refuses variables that no role knows, and names the nearest known ones.
  - Refuses values of another type than in the role's argument specification, in whichever section, and states how to
    write them. C(-e name=value) and most of an INI inventory make texts, and the text C(false) would count as true.
  - Refuses values that a role's argument specification does not allow. The role itself would refuse them only when it
    starts, after earlier roles have changed the host.
  - Refuses names that are no domain names, addresses that are none, and waivers that are incomplete or name an unknown
    control.
  - Refuses a run of the section backups whose copy of the backup key would be lost with the controller (CI, AWX, a
    container), or could not be written.
  - Reports all errors at once, one sentence each.
  - Announces waivers that have run out.
  - Variables that begin with C(_chamilo_) or C(__chamilo_) are private and left alone.
author:
  - The chamilo.hardening maintainers (@chamilo-hardening)
extends_documentation_fragment:
  - chamilo.hardening.attributes.info
  - chamilo.hardening.attributes.controller
  - chamilo.hardening.attributes.python
options:
  sections:
    description:
      - The sections that will run. Their argument specifications and that of C(common) are applied.
      - With an empty list only the names of the variables and the types of their values are judged, as far as no vault
        has to be opened for that.
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
    description:
      - The domain of the portal that discovery found in this play.
      - It must be the one that is to be hardened, C(chamilo_domain).
      - Ansible runs the role C(common), which discovers the portal, once for each host of a play.
    type: str
    version_added: 1.0.0
  discovered:
    description:
      - Whether discovery was done on every host of the play.
      - Two inventory names of one portal are refused then, and otherwise RV(msg) reports that there is no obstacle.
    type: bool
    default: false
    version_added: 1.1.0
  waits_for:
    description:
      - The host of a database whose restart is put off. Nothing is checked then. RV(waiting) names what waits for it.
    type: str
    default: ""
    version_added: 1.1.0
"""

EXAMPLES = r"""
- name: Check every variable
  chamilo.hardening.guide_preflight:
    sections: [https, headers]
"""

RETURN = r"""
msg:
  description:
    - A sentence for each waiver that has run out, or that all is well.
    - On failure a text with what is wrong, a line for each.
  returned: always
  type: raw
enforces:
  description: Those of O(sections) that are enforced, and not undone.
  returned: success
  type: list
  elements: str
  sample: [https, headers]
waiting:
  description: The sections that wait for the restart, on the host that RV(waits_for) names.
  returned: with O(waits_for)
  type: list
  elements: str
  sample: [database, backups]
waits_for:
  description: O(waits_for).
  returned: with O(waits_for)
  type: str
  sample: db.example.org
causes:
  description: The controls of these sections that stay open for want of a variable, by that variable.
  returned: success
  type: list
  elements: dict
  sample:
    - kind: variable
      severity: high
      text: "Set chamilo_alert_mail or chamilo_alert_webhook, for example chamilo_alert_mail: admin@school.example"
      controls: [monitoring_auth, monitoring_delivery]
"""
