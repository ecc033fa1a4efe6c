# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of what engines raise."""

from __future__ import annotations


class HardeningError(Exception):
    """An operation failed; the message states why and what to do. Modules and the host program report it."""
