# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._attacks import headers
from ansible_collections.chamilo.hardening.plugins.module_utils._common import control
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from tests.guide import HEADERS

GOOD = (
    *HEADERS.items(),
    ("Content-Security-Policy-Report-Only", "default-src 'self'"),
)


def sends(*pairs):
    return {"/": Answer("", 200, pairs, b"welcome")}


@pytest.mark.parametrize(
    "attack",
    [*(control.attacks[name] for name in headers.HEADERS.values()), headers.inject],
    ids=lambda one: one.__name__,
)
def test_the_guides_headers_pass_and_none_fail(portal, attack):
    assert attack(portal(sends(*GOOD))).status == "pass"
    assert attack(portal(sends())).status == "fail"


@pytest.mark.parametrize(
    "attack, pairs",
    [
        (headers.sniff, [("X-Content-Type-Options", "nosniff")] * 2),
        (headers.frame, [("X-Frame-Options", "ALLOWALL")]),
        (headers.frame, [("X-Frame-Options", "SAMEORIGIN"), ("X-Frame-Options", "DENY")]),
        (headers.frame, [("X-Frame-Options", "DENY"), ("Content-Security-Policy", "frame-ancestors *")]),
        (headers.frame, [("X-Frame-Options", "DENY"), ("Content-Security-Policy", "frame-ancestors https:")]),
        (headers.follow, [("Referrer-Policy", "unsafe-url")]),
        (headers.follow, [("Referrer-Policy", "strict-origin, no-referrer-when-downgrade")]),
        (headers.inject, [("Content-Security-Policy", "img-src 'self'")]),
        (headers.inject, [("Content-Security-Policy", "script-src 'self' https:")]),
    ],
)
def test_an_ineffective_header_lets_the_attack_through(portal, attack, pairs):
    assert attack(portal(sends(*pairs))).status == "fail"


def test_a_named_partner_may_frame_the_portal(portal):
    policy = ("Content-Security-Policy", "frame-ancestors 'self' https://portal.example.org")
    assert headers.frame(portal(sends(policy))).status == "pass"


def every(pairs):
    paths = ["/", "/robots.txt", "/api/users", "/.htaccess", "/chamilo-hardening-asks-for-what-is-not-there"]
    return {path: Answer("", 200 if path == "/" else 404, pairs, path.encode()) for path in paths}


def test_each_answer_must_send_each_header_once(portal):
    assert headers.elsewhere(portal(every(GOOD))).status == "pass"


@pytest.mark.parametrize("name", headers.HEADERS)
def test_a_header_that_is_not_enforced_is_not_asked_for(portal, name):
    target = portal(every(tuple(pair for pair in GOOD if pair[0] != name)))
    assert headers.elsewhere(target).status == "fail"
    target.unenforced = [headers.HEADERS[name]]
    assert headers.elsewhere(target).status == "pass"


@pytest.mark.parametrize("pairs", [GOOD[1:], (*GOOD, GOOD[0])], ids=["one is missing", "one comes twice"])
def test_one_answer_that_does_not_is_named(portal, pairs):
    answers = every(GOOD)
    answers["/robots.txt"] = Answer("", 200, pairs)
    found = headers.elsewhere(portal(answers))
    assert found.status == "fail"
    assert "/robots.txt (200) sends X-Content-Type-Options" in found.evidence


def test_a_portal_that_is_down_does_not_pass(portal):
    with pytest.raises(OSError, match="no answer"):
        headers.sniff(portal({"/": Answer("", 0, (), b"", "refused")}))
