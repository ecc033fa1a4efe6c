# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each kind of integration permits, and nothing more."""

from __future__ import annotations

from ansible_collections.chamilo.hardening.plugins.module_utils._application.integrations import (
    KINDS,
    ancestors,
    framing,
    scripts,
)

ALL = {kind: [f"https://{kind}.example"] for kind in KINDS}


def test_each_kind_permits_one_thing():
    assert framing(ALL) == ["https://lti.example", "https://proctoring.example"]
    assert scripts(ALL) == ["https://onlyoffice.example", "https://h5p.example"]
    assert framing({}) == scripts({}) == framing({"lti": None}) == []


def test_an_origin_that_is_named_twice_stands_once():
    both = {"lti": ["https://a.example"], "proctoring": ["https://a.example"]}
    assert ancestors(["https://a.example", "https://b.example"], both) == ["https://a.example", "https://b.example"]
