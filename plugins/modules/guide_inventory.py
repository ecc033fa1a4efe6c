# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: guide_inventory
short_description: Make an inventory of discovered portals
version_added: 2.0.0
description:
  - Internal to the collection. It can change at any time.
  - Makes an inventory of what discovery found on any number of hosts. A file that exists is not replaced.
extends_documentation_fragment:
  - chamilo.hardening.attributes.python
  - chamilo.hardening.internal
"""

EXAMPLES = "- chamilo.hardening.guide_inventory: {request: {}}\n"
RETURN = "{}"  # what the controller accepts is in plugins/plugin_utils/_answers.py
