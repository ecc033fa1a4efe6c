# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # Every module.
    PYTHON = r"""
attributes:
  platform:
    description: Target OS/families that can be operated against.
    support: full
    platforms: debian
requirements:
  - Python 3.9 or newer where it runs
"""

    # A module that only looks.
    INFO = r"""
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    support: full
    details:
      - This action does not modify the host.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check mode), when in diff mode.
    support: N/A
    details:
      - This action does not modify the host.
  idempotent:
    description: When run twice in a row outside check mode, the second run indicates no change.
    support: full
    details:
      - This action does not modify the host.
"""

    # A module that is nothing but an action plugin on the controller.
    CONTROLLER = r"""
attributes:
  connection:
    description: Uses the connection to the host.
    support: none
    details:
      - Everything happens on the controller.
"""
