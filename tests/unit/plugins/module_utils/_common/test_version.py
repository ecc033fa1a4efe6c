# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import random

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.version import VersionError, parse, stable

IN_ORDER = [
    "1.11.40",
    "2.0.0-alpha",
    "2.0.0-alpha.2",
    "2.0.0-beta.1",
    "2.0.0-RC.3",
    "2.0.0-RC.10",
    "2.0",
    "2.0.1",
    "2.10",
]


def test_versions_have_an_order():
    shuffled = random.Random(1).sample(IN_ORDER, len(IN_ORDER))
    assert sorted(shuffled, key=parse) == IN_ORDER


@pytest.mark.parametrize("text", ["v2.0.0-RC.3", " 2.0.0-rc3\n", "2.0.0 RC 3", "2.0rc3", "V2.0.0_RC_3"])
def test_one_version_is_written_in_many_ways(text):
    assert parse(text) == parse("2.0.0-RC.3")
    assert not stable(text)


def test_a_release_is_stable():
    assert stable("v2.0.1") and stable("2.0") and stable("2.0.1+build.7")


@pytest.mark.parametrize("text", ["3.0.2-dev", "3.0.2-dev.4", "3.0.2-SNAPSHOT"])
def test_what_follows_a_dash_comes_before_the_release(text):
    assert parse("3.0.1") < parse(text) < parse("3.0.2") and not stable(text)


@pytest.mark.parametrize("text", ["", "2", "two", "-2.0", "Chamilo 2.0", "2." + "9" * 5000, "2.0.0-RC." + "9" * 5000])
def test_what_is_no_version_is_reported_in_short(text):
    with pytest.raises(VersionError, match="is no version that could be compared") as reported:
        parse(text)
    assert len(str(reported.value)) < 300
