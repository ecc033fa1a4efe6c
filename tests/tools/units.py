# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a unit of systemd orders."""

from __future__ import annotations

ORDERS = {"After", "Before", "Conflicts", "RequiresMountsFor", "WantedBy"}


def settings(text: str) -> dict[str, list[str]]:
    """A unit file, as systemd reads it: each setting with its section, and its values in their order."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            name, _equals, value = line.partition("=")
            found.setdefault(f"{section}.{name}", []).extend(value.split() if name in ORDERS else [value])
    return found
