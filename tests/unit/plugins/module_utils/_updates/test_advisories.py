# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ansible_collections.chamilo.hardening.plugins.module_utils._common.version import parse
from ansible_collections.chamilo.hardening.plugins.module_utils._updates import advisories
from ansible_collections.chamilo.hardening.plugins.module_utils._updates.advisories import Advisory
from ansible_collections.chamilo.hardening.plugins.plugin_utils._advisories import brief

LIST = advisories.read(brief())


def test_each_advisory_names_controls_of_the_table():
    table = yaml.safe_load((Path(__file__).parents[5] / "meta/controls.yml").read_text(encoding="utf-8"))
    known = {control["id"] for control in table["controls"]}
    for each in LIST.advisories:
        assert set(each.controls) <= known, each.ids


@pytest.mark.parametrize("branch", [each for each in LIST.branches.values() if each.floor], ids=lambda each: each.name)
def test_nothing_of_the_list_is_open_in_the_release_that_a_branch_passes_from(branch):
    assert LIST.open_in(branch.floor) == [] and LIST.behind(branch.floor) == ""
    assert parse(branch.floor) <= parse(LIST.newest(branch.name))


EVENTS = (("introduced", "2.0.0"), ("fixed", "2.0.4"), ("introduced", "3.0.0-alpha.1"), ("last_affected", "3.0.1"))


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ("1.11.42", False),
        ("2.0.0", True),
        ("2.0.4-RC.1", True),
        ("2.0.4", False),
        ("3.0.1", True),
        ("3.0.2", False),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_ranges_mean_what_osv_means_by_them(version, affected, order):
    assert Advisory(("CVE-1",), "x", EVENTS[::order], ()).affects(parse(version)) is affected


def test_a_test_release_has_the_vulnerabilities_that_the_next_one_fixed():
    before, after = (len(LIST.open_in(f"v2.0.0-RC.{number}")) for number in (2, 3))
    assert before > after


@pytest.mark.parametrize("version", ["", "unknown", "2", "9" * 5000 + ".0"])
def test_of_an_unknown_version_nothing_is_claimed(version):
    assert LIST.open_in(version) == []


@pytest.mark.parametrize(
    ("version", "php", "words"),
    [
        (
            "2.0.4",
            "8.2",
            "move to 3.0. 3.0 needs PHP 8.3, and this host has 8.2: upgrade the system first (Debian 13).",
        ),
        ("2.0.4", "8.3", "move to 3.0."),
        ("2.0.4", "", "move to 3.0."),
        ("3.0.2", "8.2", ""),
    ],
)
def test_what_stands_in_the_way_of_a_supported_branch(version, php, words):
    output = LIST.move(version, php)
    assert output.endswith(words) and bool(output) is bool(words)


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("2.0.3", "2.0.4 fixes about seventy vulnerabilities"),
        ("3.0.1", "3.0.2 fixes a bypass of two-factor authentication"),
        ("2.0.0", "and 2 more"),
        ("2.1.0", "was never released"),
        ("1.9.8", "The branch 1.9 no longer gets fixes."),
        ("3.1.0", ""),
    ],
)
def test_why_a_version_has_to_go(version, words):
    assert words in LIST.behind(version)
    assert bool(words) is bool(LIST.behind(version))
