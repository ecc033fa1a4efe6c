# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils import _hsts

BEGAN = "2026-11-25"


@pytest.mark.parametrize(
    ("mode", "day", "expected"),
    [
        ("ramp", "2026-11-25", "max-age=86400"),
        ("ramp", "2026-12-01", "max-age=86400"),
        ("ramp", "2026-12-02", "max-age=31536000; includeSubDomains"),
        ("full", "2026-11-25", "max-age=31536000; includeSubDomains"),
        ("off", "2026-12-02", "max-age=0"),
    ],
)
def test_value_by_mode_and_day(mode: str, day: str, expected: str) -> None:
    assert _hsts.value(mode, BEGAN, datetime.date.fromisoformat(day)) == expected


def test_a_day_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="Invalid isoformat"):
        _hsts.value("ramp", "yesterday", datetime.date(2026, 11, 25))
