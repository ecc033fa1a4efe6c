# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the project may weigh: an addition names what it makes superfluous. bin/env python -m tests.tools.size"""

from __future__ import annotations

import pytest

from tests.tools.size import ROOT, sizes, total


@pytest.mark.parametrize(
    ("top", "physical", "code"), [("plugins", 48_500, 34_500), ("tests", 81_500, 81_500)], ids=["plugins", "tests"]
)
def test_the_project_stays_small_enough_for_one_person(top: str, physical: int, code: int) -> None:
    size = total(sizes(ROOT, top))
    assert (size.physical <= physical, size.code <= code) == (True, True), f"{size.physical} lines, {size.code} of code"
