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


def test_what_a_proxy_answers_by_itself_is_not_asked_for(portal):
    pages = ["/", "/robots.txt", "/api/users", "/.htaccess", "/chamilo-hardening-asks-for-what-is-not-there"]
    for proxied, address, asked in ((False, "", 7), (True, "192.0.2.7", 7), (True, "", 5)):
        target = portal(every(GOOD))
        target.proxied, target.address, target.scheme = proxied, address, "https"
        found = headers.elsewhere(target)
        statuses = "200, 404, 404, 404, 404" + (", 200, 200" if asked == 7 else "")
        assert found.evidence == f"Answers of each kind that was tried ({statuses}) send each header once."
        assert [path for _scheme, path in target.asked] == [*pages, *["/"] * (asked - 5)]
        assert ("http", "/") in target.asked or asked == 5


def test_a_portal_that_gives_no_answer_at_all_does_not_pass(portal):
    silent = {path: Answer("", error="refused") for path in every(())}
    with pytest.raises(OSError, match="campus.test answered nothing"):
        headers.elsewhere(portal(silent))
    silent["/robots.txt"] = Answer("", 404, GOOD)
    assert headers.elsewhere(portal(silent)).status == "pass", "what gives no answer sends no header"


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


XSS, POLICY, REFERRER = "X-XSS-Protection", "Content-Security-Policy", "Referrer-Policy"


@pytest.mark.parametrize(
    ("attack", "pairs", "status", "words"),
    [
        (headers.sniff, [], "fail", "X-Content-Type-Options is not sent"),
        (headers.sniff, [("X-Content-Type-Options", "nosniff")] * 2, "fail", "X-Content-Type-Options"),
        (headers.reflect, [], "fail", "X-XSS-Protection is not sent"),
        (headers.frame, [("X-Frame-Options", "ALLOWALL")], "fail", "ALLOWALL"),
        (headers.frame, [("X-Frame-Options", "DENY"), (POLICY, "frame-ancestors *")], "fail", "*"),
        (headers.inject, [(POLICY, "img-src 'self'")], "fail", ""),
        (headers.inject, [(POLICY, "script-src 'self' https:")], "fail", "https:"),
        (headers.reflect, [(XSS, "0"), (XSS, "1")], "fail", "'0' and '1'"),
        (
            headers.frame,
            [(POLICY, "frame-ancestors 'self' * http: https://* https://a.test; img-src *")],
            "fail",
            "* http: https://*.",
        ),
        (
            headers.follow,
            [(REFERRER, "same-origin"), (REFERRER, "origin, Unsafe-URL ")],
            "fail",
            "'origin, Unsafe-URL '",
        ),
        (
            headers.inject,
            [(POLICY, "default-src *;; script-src 'self' x.test; img-src *")],
            "pass",
            "blocked: script-src 'self' x.test",
        ),
        (
            headers.inject,
            [(POLICY, "script-src *"), (f"{POLICY}-Report-Only", "default-src 'none'")],
            "pass",
            "reported",
        ),
    ],
)
def test_what_decides_an_attack_is_named(portal, attack, pairs, status, words):
    found = attack(portal(sends(*pairs)))
    assert found.status == status and words in found.evidence, found.evidence
