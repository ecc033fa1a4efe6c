# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups are kept."""

from __future__ import annotations

import datetime
import time
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import restic, retention
from tests.unit.plugins.module_utils._backups.conftest import made, of_campus

pytestmark = pytest.mark.usefixtures("directories")


DAY = 86400.0


def test_what_is_dated_ahead_takes_no_place_of_what_is_kept(directories: Path) -> None:
    """For ten days the clock was 400 days ahead; restic's own forget would remove each backup made since."""
    there = of_campus(directories, keep_daily=3, keep_weekly=0, keep_monthly=0)
    now = time.time()
    ahead = [made(f"a{number}", number, now + (400 + number) * DAY) for number in range(10)]
    since = [made(f"b{number}", 10 + number, now - (10 - number) * DAY) for number in range(10)]
    gone = [pair.run for pair in retention.outdated(there, [*ahead, *since])]
    assert sorted(gone) == [f"b{number}" for number in range(7)]
    place = restic.Repository(there, "/repository")
    (line,) = retention.dated_ahead(place, [*ahead, *since])
    assert line == (
        "Backups in /repository are dated in the future: a0, a1, a2, a3, a4 and 5 more. The clock was wrong."
    )


def test_days_weeks_and_months_are_kept_as_restic_does(directories: Path) -> None:
    there = of_campus(directories, keep_daily=2, keep_weekly=2, keep_monthly=2)
    begin = datetime.datetime(2026, 3, 31, 3).timestamp()  # a Tuesday
    every = [made(f"{number}", number, begin - (60 - number) * DAY) for number in range(61)]
    gone = {pair.run for pair in retention.outdated(there, every)}
    # 30 and 31 March; Sunday before, 29 March; February's last.
    assert {pair.run for pair in every} - gone == {"60", "59", "58", "29"}
    assert retention.outdated(there, every[:2]) == []
