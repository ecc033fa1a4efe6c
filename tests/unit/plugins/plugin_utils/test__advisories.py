# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts get of the list. What they make of it: module_utils/_updates/test_advisories.py."""

from __future__ import annotations

import json

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _advisories


def test_each_vulnerability_comes_with_all_its_names_and_ranges() -> None:
    records = {one["id"]: one for one in json.loads(_advisories.LIST.read_text(encoding="utf-8"))["advisories"]}
    known = _advisories.brief()["advisories"]
    assert {one["ids"][0] for one in known} == set(records)
    one = next(one for one in known if one["ids"] == ["CVE-2026-45143", "GHSA-x88v-rg6r-vqq6"])
    assert one["events"] == [("introduced", "2.0.0"), ("fixed", "2.0.1")] and "headers_csp" in one["controls"]


def test_hosts_get_no_more_than_they_judge_by() -> None:
    text = json.dumps(_advisories.brief())
    assert "https://" not in text and "way_in" not in text
    assert len(text) < 20_000, "it is an argument of each audit"
