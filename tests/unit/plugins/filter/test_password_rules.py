# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest

from ansible_collections.chamilo.hardening.plugins.filter.password_rules import FilterModule, password_rules

BUILT_IN = {"length": 5, "lowercase": 0, "uppercase": 0, "numeric": 2, "specials": 1}


def test_the_filter_has_the_name_of_its_file():
    assert FilterModule().filters() == {"password_rules": password_rules}


@pytest.mark.parametrize("stored", ["", "{", "[]", "{}", "null", '{"min": 7}', '{"min": {"length": "many"}}'])
def test_nothing_usable_means_the_built_in_rules(stored):
    assert password_rules(stored) == {"min": BUILT_IN}


def test_what_is_enforced_is_put_in():
    assert password_rules("", 12) == {"min": {**BUILT_IN, "length": 12}}
    assert password_rules("", 0, True) == {"min": {**dict.fromkeys(BUILT_IN, 1), "length": 5}}


def test_what_is_not_enforced_or_more_stays():
    stored = json.dumps({"min": {"length": 16, "uppercase": 3, "numeric": "0"}})
    assert password_rules(stored, mix=True)["min"] == {
        "length": 16,
        "lowercase": 1,
        "uppercase": 3,
        "numeric": 1,
        "specials": 1,
    }
    assert password_rules(stored, 12)["min"]["length"] == 16, "nothing is made weaker"
    assert password_rules(stored, 20)["min"]["length"] == 20
    assert password_rules(stored)["min"]["numeric"] == 0
