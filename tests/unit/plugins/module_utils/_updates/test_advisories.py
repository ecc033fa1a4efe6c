# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from ansible_collections.chamilo.hardening.plugins.module_utils._common.version import parse
from ansible_collections.chamilo.hardening.plugins.module_utils._updates import advisories


def test_each_advisory_names_controls_of_the_table():
    table = yaml.safe_load((Path(__file__).parents[5] / "meta/controls.yml").read_text(encoding="utf-8"))
    known = {control["id"] for control in table["controls"]}
    for each in advisories.ADVISORIES:
        assert set(each.controls) <= known, each.ids
    assert [each.ids for each in advisories.open_in("2.0.0")] == ["CVE-2026-45140", "CVE-2026-45143"]
    assert advisories.open_in("2.0.1") == [] and advisories.open_in("1.11.40") == []


def test_each_hole_is_listed_once_and_under_a_number_that_can_be_looked_up():
    numbers = [number for each in advisories.ADVISORIES for number in each.ids.split(", ")]
    assert len(numbers) == len(set(numbers))
    assert [number for number in numbers if not re.fullmatch(r"CVE-20\d\d-\d{4,}", number)] == []
    assert all(each.hole for each in advisories.ADVISORIES)


def test_the_newest_fix_of_the_list_is_what_a_branch_is_measured_by():
    fixes = [each.fixed for each in advisories.ADVISORIES if each.fixed.startswith(f"{advisories.LEAST.name}.")]
    assert max(fixes, key=parse) == advisories.LEAST.fixed
    assert advisories.open_in(advisories.LEAST.fixed) == []
    assert advisories.LEAST.advisory in [each.ids for each in advisories.open_in("2.0.0")]


def test_a_test_release_has_the_holes_that_the_next_one_closed():
    before, after = (len(advisories.open_in(f"v2.0.0-RC.{number}")) for number in (2, 3))
    assert before > after > len(advisories.open_in("2.0.0"))


@pytest.mark.parametrize("version", ["", "unknown", "3.0.0", "2", "9" * 5000 + ".0"])
def test_of_an_unknown_version_nothing_is_claimed(version):
    assert advisories.open_in(version) == []
