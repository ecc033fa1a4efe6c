# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # A module that only the roles and playbooks of this collection run.
    DOCUMENTATION = r"""
options:
  request:
    description: What is asked for, as the dataclass C(Request) of the module has it.
    type: dict
    required: true
"""

    # One with secrets in it.
    SECRETS = r"""
options:
  secrets:
    description: Those of its fields that are secret. The action plugin takes them out of O(request).
    type: dict
    default: {}
"""
