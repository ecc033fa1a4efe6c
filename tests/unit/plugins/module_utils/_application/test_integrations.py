# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each integration permits, and nothing more."""

from __future__ import annotations

from ansible_collections.chamilo.hardening.plugins.module_utils._application.integrations import (
    NEEDS,
    ancestors,
    origins,
)

ALL = [
    {"partner": partner, "direction": direction, "origin": f"https://{partner}-{direction}.example"}
    for partner, direction in NEEDS
]


def test_each_is_permitted_what_it_needs():
    assert origins(ALL, "frame") == ["https://lti-embeds.example", "https://proctoring-embeds.example"]
    assert origins(ALL, "session") == [
        *origins(ALL, "frame")[:1],
        "https://lti-embedded.example",
        *origins(ALL, "frame")[1:],
    ]
    assert origins(ALL, "scripts") == ["https://onlyoffice-embedded.example", "https://h5p-embedded.example"]


def test_an_origin_that_is_named_twice_stands_once():
    one = {"partner": "proctoring", "origin": "https://a.example"}  # which goes one way only
    assert ancestors(["https://a.example", "https://b.example"], [one, one]) == [
        "https://a.example",
        "https://b.example",
    ]
