# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The word for a portal in the names of its files. Apart from the rest, since the controller needs no more of it."""

from __future__ import annotations

import re


def word(domain: str) -> str:
    """What is in the names of our files for this domain. A dash counts twice: a-b.test and a.b.test are two portals."""
    return re.sub("[^a-z0-9_]", "_", domain.lower().replace("-", "__"))
