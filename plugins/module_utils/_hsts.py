# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""The value of Strict-Transport-Security, as a function of what was decided and since when.

Role and host program ask the same function, so that they never disagree.
"""

from __future__ import annotations

import datetime

GUIDE = "max-age=31536000; includeSubDomains"
TRIAL = "max-age=86400"
WITHDRAWN = "max-age=0"
TRIAL_DAYS = 7


def full_from(since: str) -> datetime.date:
    """The day on which a ramp that began on ``since`` (YYYY-MM-DD) reaches the guide's value."""
    return datetime.date.fromisoformat(since) + datetime.timedelta(days=TRIAL_DAYS)


def value(mode: str, since: str, today: datetime.date) -> str:
    """The header's value. ``mode``: ramp, full or off; ``since``: the day the ramp began, YYYY-MM-DD.

    A browser forgets a mistake after a day while the ramp lasts. ``off`` keeps sending max-age=0, because a browser
    that has seen a longer age forgets it only when it is told to.
    """
    if mode == "off":
        return WITHDRAWN
    if mode == "ramp" and today < full_from(since):
        return TRIAL
    return GUIDE
