# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._attacks import https
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer

PAGE = Answer("", 200, (), b"welcome")


def moved(to):
    return Answer("", 301, (("Location", to),))


def test_a_trusted_certificate_passes(portal):
    assert https.certificate(portal({"/": PAGE})).status == "pass"


@pytest.mark.parametrize("options", [{"trusted": False}, {"protocols": ()}])
def test_one_that_is_not_trusted_or_not_there_does_not(portal, options):
    assert https.certificate(portal({"/": PAGE}, **options)).status == "fail"


def test_a_login_that_is_redirected_to_https_passes(portal):
    answers = {("http", "/login_json"): moved("https://campus.test/login_json")}
    assert https.redirect(portal(answers)).status == "pass"


@pytest.mark.parametrize(
    "answer",
    [
        Answer("", 400, (), b"{}"),
        Answer("", 302, (("Location", "https://campus.test/login_json"),)),
        moved("http://campus.test/login_json"),
        moved("https://campus.test/"),
        moved("https://elsewhere.test/login_json"),
    ],
    ids=["answered", "for now only", "to http", "to another address", "to another name"],
)
def test_any_other_answer_to_a_plain_login_lets_it_through(portal, answer):
    assert https.redirect(portal({("http", "/login_json"): answer})).status == "fail"


def test_a_closed_port_blocks_a_plain_login(portal):
    closed = Answer("", 0, (), b"", "connection refused")
    assert https.redirect(portal({("http", "/login_json"): closed})).status == "pass"


@pytest.mark.parametrize(
    "value, status",
    [
        ("max-age=31536000; includeSubDomains", "pass"),
        ('max-age="86400"', "pass"),
        ("max-age=0", "fail"),
        ("strict-transport-security: max-age=31536000", "fail"),
    ],
)
def test_a_browser_stays_on_https_only_with_an_age(portal, value, status):
    answers = {"/": Answer("", 200, (("Strict-Transport-Security", value),))}
    assert https.strip(portal(answers)).status == status


def test_a_browser_learns_nothing_from_a_connection_it_does_not_trust(portal):
    answers = {"/": Answer("", 200, (("Strict-Transport-Security", "max-age=31536000"),))}
    assert https.strip(portal(answers, trusted=False)).status == "fail"


@pytest.mark.parametrize(
    "protocols, status",
    [
        (("TLSv1_2", "TLSv1_3"), "pass"),
        (("TLSv1", "TLSv1_2"), "fail"),
        (("TLSv1_1", "TLSv1_2"), "fail"),
        ((), "fail"),
    ],
)
def test_old_protocols(portal, protocols, status):
    assert https.protocols(portal(protocols=protocols)).status == status


@pytest.mark.parametrize("untried, words", [(("TLSv1",), "TLS 1.0,"), (("TLSv1", "TLSv1_1"), "TLS 1.0 and TLS 1.1,")])
def test_a_client_that_cannot_offer_old_protocols_proves_nothing(portal, monkeypatch, untried, words):
    offered = https.only
    monkeypatch.setattr(https, "only", lambda version: None if version.name in untried else offered(version))
    with pytest.raises(OSError, match=words):
        https.protocols(portal(protocols=("TLSv1_2", "TLSv1_3")))
    if len(untried) == 1:
        assert https.protocols(portal(protocols=("TLSv1_1", "TLSv1_2"))).status == "fail"


EVIL = "attacker.chamilo-hardening.invalid"


@pytest.mark.parametrize(
    "answer, status",
    [
        (moved("https://campus.test/login"), "pass"),
        (moved(f"http://{EVIL}/login"), "fail"),
        (Answer("", 200, (), f'<a href="https://{EVIL}/login">'.encode()), "fail"),
        (Answer("", 404, (), b"not here"), "pass"),
    ],
)
def test_a_forged_host_name_leads_no_visitor_elsewhere(portal, answer, status):
    class Echo(portal):
        def ask(self, scheme, path, **request):
            forged = request.get("headers", {}).get("X-Forwarded-Host") == EVIL
            assert not forged or "?" in path, "no cache may keep the answer for others"
            return super().ask(scheme, path.partition("?")[0], **request)

    assert https.poison(Echo({"/login/": answer, "/": PAGE})).status == status


def test_a_portal_that_does_not_answer_was_not_attacked(portal):
    closed = Answer("", 0, (), b"", "connection refused")
    silent = portal()
    silent.get = lambda path, **request: closed
    with pytest.raises(OSError, match="gave no answer"):
        https.poison(silent)
