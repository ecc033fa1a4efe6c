# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an open_basedir of an owner must let PHP read."""

from __future__ import annotations

# What sections have PHP run before each script of a portal lies here.
PREPENDED = "/usr/local/share/chamilo-hardening"


def confines(open_basedir: str) -> bool:
    """Whether it keeps PHP from what the sections have it run. Each entry is the beginning of what may be read."""
    entries = [entry for entry in open_basedir.split(":") if entry]
    return bool(entries) and not any(f"{PREPENDED}/".startswith(entry) for entry in entries)
