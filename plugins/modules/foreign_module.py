# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: foreign_module
short_description: Run a module of ansible-core or another collection without taking over facts
version_added: 2.0.0
description:
  - Internal to the collection. It can change at any time.
  - Runs one of the modules of ansible-core and other collections that the roles use, by its name and its options.
  - Facts, by which a compromised host could choose which file the controller sends to it, are not taken over. With
    C(async) it waits for the end of the job.
extends_documentation_fragment:
  - chamilo.hardening.attributes.python
"""

EXAMPLES = "- chamilo.hardening.foreign_module: {request: {}}\n"
RETURN = "{}"  # what the controller accepts is in plugins/plugin_utils/_answers.py
