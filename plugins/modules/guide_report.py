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
  - Writes what an audit found on any number of hosts as C(report.html), C(report.json) and C(junit.xml).
extends_documentation_fragment:
  - chamilo.hardening.attributes.python
  - chamilo.hardening.internal
"""

EXAMPLES = "- chamilo.hardening.guide_report: {request: {}}\n"
RETURN = "{}"  # what the controller accepts is in plugins/plugin_utils/_answers.py
