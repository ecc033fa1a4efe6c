# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists within a sentence."""

from __future__ import annotations

from collections.abc import Iterable


def first_of(items: Iterable[str], most: int = 5, joint: str = ", ") -> str:
    """The items; of many the first ones, and how many more there are."""
    listed = list(items)
    more = f"{joint.rstrip(', ')} and {len(listed) - most} more" if len(listed) > most else ""
    return joint.join(listed[:most]) + more
