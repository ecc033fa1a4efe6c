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
  - Checks all C(chamilo_) variables of a host on the controller, and reports all errors at once.
extends_documentation_fragment:
  - chamilo.hardening.attributes.python
  - chamilo.hardening.internal
"""

EXAMPLES = "- chamilo.hardening.guide_preflight: {request: {}}\n"
RETURN = "{}"  # what the controller accepts is in plugins/plugin_utils/_answers.py
