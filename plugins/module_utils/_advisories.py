# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""The published security holes of Chamilo, as known on a day. A newer collection brings a newer list."""

from __future__ import annotations

from dataclasses import dataclass

DATED = "2026-11-25"
DAYS = 120  # an older list can no longer say that all is well


@dataclass(frozen=True)
class Branch:
    """A line of releases and the newest release in it that fixes a published hole."""

    name: str  # the first two numbers of its versions
    fixed: str
    advisory: str
    hole: str


# 2.0.1 is the least of all: CVE-2026-45140 needs no login.
LEAST = Branch("2.0", "2.0.1", "CVE-2026-45140", "anybody can run code on the server without a login")

BRANCHES = (LEAST,)
