#!/usr/bin/python
# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: planned
short_description: Run a module of this collection with the options that a plan has for it
version_added: 2.0.0
description:
  - Internal to the collection. It can change at any time.
  - Runs M(chamilo.hardening.config_transaction) or M(chamilo.hardening.chamilo_settings), by its name, with all options
    as one value.
extends_documentation_fragment:
  - chamilo.hardening.attributes.python
"""

EXAMPLES = "- chamilo.hardening.planned: {request: {}}\n"
RETURN = "{}"  # what that module returns
