# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # Every module.
    PYTHON = r"""
author:
  - The chamilo.hardening maintainers (@chamilo-hardening)
attributes:
  platform:
    description: Target OS/families that can be operated against.
    support: full
    platforms: debian
requirements:
  - Python 3.9 or newer where it runs
"""
