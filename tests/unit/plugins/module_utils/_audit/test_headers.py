# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.observer import Unseen
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks import headers as attacks_headers
from ansible_collections.chamilo.hardening.plugins.module_utils._audit import headers
from ansible_collections.chamilo.hardening.plugins.module_utils._common import control
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _controls
from tests.guide import HEADERS

GOOD = {
    **HEADERS,
    "Content-Security-Policy-Report-Only": "default-src 'self'",
    "Server": "nginx",
}
assert set(HEADERS) == set(attacks_headers.HEADERS), "tests/guide.py and HEADERS of _attacks/headers.py differ"
assert set(attacks_headers.HEADERS.values()) <= set(control.checks), "a header of _attacks/headers.py has no check"
CHECKS = {name: control.checks[attacks_headers.HEADERS[name]] for name in HEADERS}


def status_of(endpoint, path, request):
    if request.get("method") == "POST":
        return 413
    if endpoint.scheme == "http":
        return 301
    return {"/": 200, "/build/app.css": 200, "/api/users": 401, "/.htaccess": 403}.get(path, 404)


def server(sent=GOOD, body=b"", **changes):
    """``changes``: path of the request (or its status) -> headers instead."""

    def answer(endpoint, path, request):
        status = status_of(endpoint, path, request)
        special = changes.get(path, changes.get(str(status)))
        text = b'<link href="/build/app.css">' if path == "/" else body
        return status, sent if special is None else special, text

    return answer


def without(name):
    return {key: value for key, value in GOOD.items() if key != name}


WAIVERS = [[name] for name in sorted(control.checks) if name.startswith("headers_")]
LEVELS = [_controls.unenforced(_controls.load(), level, ()) for level in _controls.ENFORCEABLE]


@pytest.fixture(scope="module")
def sent_with():
    """What the role has the web server send, by what is not enforced."""
    asked = [["headers", waived, "nginx"] for waived in WAIVERS + LEVELS]
    command = [sys.executable, "-m", "tests.tools.doings"]
    ran = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=True)

    def headers_of(text):
        done = [
            task["chamilo.hardening.planned"]["config_transaction"]
            for task in json.loads(text)
            if "config_transaction" in task.get("chamilo.hardening.planned", {})
        ]
        (content,) = (
            file["content"] for one in done for file in one["files"] if file["path"].endswith("/location/headers.conf")
        )
        found = re.findall(r'^add_header (\S+) (?:"(.*)"|\$\S+_policy) always;$', content, re.MULTILINE)
        return {"Server": "nginx", **{name: value or "default-src 'self'" for name, value in found}}

    return dict(zip(map(tuple, WAIVERS + LEVELS), map(headers_of, json.loads(ran.stdout))))


@pytest.mark.parametrize("waived", WAIVERS + LEVELS, ids=[*map("".join, WAIVERS), *_controls.ENFORCEABLE])
def test_what_is_not_enforced_turns_no_other_control_red(look_at, sent_with, waived):
    sent = sent_with[tuple(waived)]
    it = look_at(server(sent), options={"unenforced": waived})
    red = {name for name in control.checks if name.startswith("headers_") and control.checks[name](it).status != "pass"}
    assert red <= set(waived)


def test_every_class_of_answer_is_seen(look_at):
    finding = headers.nosniff(look_at(server()))
    assert finding.status == "pass"
    for label in ("200 page", "200 file", "301", "401", "403", "404", "413"):
        assert label in finding.evidence
    assert "Not seen" not in finding.evidence


def test_the_value_for_old_browsers_can_be_declared(look_at):
    observer = look_at(server({**GOOD, "X-XSS-Protection": "0"}), options={"xss_protection": "0"})
    assert headers.xss_protection(observer).status == "pass"
    assert "current practice" in headers.xss_protection(observer).evidence


def test_no_answer_is_not_assessed(look_at):
    with pytest.raises(Unseen, match="connection refused"):
        headers.nosniff(look_at(lambda *_: (0, {}, b"")))


POLICY = "Content-Security-Policy"


@pytest.mark.parametrize(
    ("policy", "status"),
    [
        ("frame-ancestors *", "fail"),
        ("default-src 'self'; Frame-Ancestors 'self' https://else.example", "fail"),
        ("script-src 'self', frame-ancestors https:", "fail"),
        (["frame-ancestors *", "frame-ancestors 'none'"], "pass"),  # both have to let a page in
        ("frame-ancestors 'SELF' https://campus.test", "pass"),
        ("default-src *", "pass"),
    ],
)
def test_a_policy_overrules_the_header_for_frames(look_at, policy, status):
    finding = headers.frame_options(look_at(server(**{"404": {**GOOD, POLICY: policy}})))
    assert finding.status == status, finding.evidence
    assert ("browsers ignore X-Frame-Options" in finding.evidence) == (status == "fail")
    assert (
        headers.frame_options(look_at(server({**GOOD, "Content-Security-Policy-Report-Only": policy}))).status == "pass"
    )


PARTNER = "https://partner.example"


@pytest.mark.parametrize("partner", [PARTNER, "https://Partner.example"])
def test_partners_are_allowed_by_policy(look_at, partner):
    sent = {**without("X-Frame-Options"), "Content-Security-Policy": f"; frame-ancestors 'self' {partner};"}
    assert headers.frame_options(look_at(server(sent), options={"frame_ancestors": [partner]})).status == "pass"


def test_integrations_in_whose_frames_the_portal_is_shown_are_partners(look_at):
    h5p = {"partner": "h5p", "origin": "https://h5p.example"}
    options = {"integrations": [{"partner": "lti", "direction": "embeds", "origin": PARTNER}, h5p]}
    sent = {**without("X-Frame-Options"), "Content-Security-Policy": f"frame-ancestors 'self' {PARTNER}"}
    assert headers.frame_options(look_at(server(sent), options=options)).status == "pass"
    assert headers.frame_options(look_at(server(GOOD), options=options)).status == "fail"


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (GOOD, "X-Frame-Options is sent too"),
        (without("X-Frame-Options"), "frame-ancestors not sent"),
        ({"Content-Security-Policy": "frame-ancestors 'self' https://else.example"}, "https://else.example"),
        ({"Content-Security-Policy": "frame-ancestors *"}, "frame-ancestors *"),
        ({"Content-Security-Policy-Report-Only": f"frame-ancestors 'self' {PARTNER}"}, "not sent"),
    ],
)
def test_partners_are_not_as_declared(look_at, sent, words):
    finding = headers.frame_options(look_at(server(sent), options={"frame_ancestors": [PARTNER]}))
    assert finding.status == "fail"
    assert words in finding.evidence


@pytest.mark.parametrize("source", ["*", "https:", "https://*", "http://*:*"])
def test_a_policy_that_lets_any_site_frame_the_portal_fails_though_it_was_declared(look_at, source):
    sent = {**without("X-Frame-Options"), "Content-Security-Policy": f"frame-ancestors 'self' {source}"}
    finding = headers.frame_options(look_at(server(sent), options={"frame_ancestors": [source]}))
    assert finding.status == "fail" and "lets any site frame the portal" in finding.evidence


@pytest.mark.parametrize("value", ["mode=block", "1; mode=allow", "yes"])
def test_a_value_that_no_browser_knows_fails_though_it_was_declared(look_at, value):
    observer = look_at(server({**GOOD, "X-XSS-Protection": value}), options={"xss_protection": value})
    assert headers.xss_protection(observer).status == "fail"


SELF = "default-src 'self'"


@pytest.mark.parametrize(
    ("mode", "sent", "status", "words"),
    [
        ("report", {"Content-Security-Policy-Report-Only": SELF}, "pass", f"Report-Only: {SELF} It reports and blocks"),
        ("report", {"Content-Security-Policy": "script-src 'self'"}, "pass", "Content-Security-Policy: script-src"),
        ("report", {"Content-Security-Policy": "frame-ancestors 'self'"}, "fail", "no rule for scripts: frame-anc"),
        ("report", {}, "fail", "neither Content-Security-Policy nor"),
        ("enforce", {"Content-Security-Policy": f"{SELF}; object-src 'none'"}, "pass", f"{SELF}; object-src 'none'"),
        ("enforce", {"Content-Security-Policy": f"{SELF}{' x' * 60}"}, "pass", f"{SELF}{' x' * 51}..."),
        ("enforce", {"Content-Security-Policy-Report-Only": SELF}, "fail", "the policy only reports"),
        ("off", {"Content-Security-Policy": SELF}, "fail", "chamilo_headers_csp is off"),
    ],
)
def test_a_policy(look_at, mode, sent, status, words):
    finding = headers.csp(look_at(server(sent), options={"csp": mode}))
    assert finding.status == status and words in finding.evidence


def test_no_policy_is_expected_where_none_is_desired(look_at):
    sent = without("Content-Security-Policy-Report-Only")
    assert headers.once(look_at(server(sent), options={"csp": "off"})).status == "pass"


def test_where_no_header_is_enforced_none_is_expected(look_at):
    waived = [name for (name,) in WAIVERS]
    finding = headers.once(look_at(server({}), options={"unenforced": waived}))
    assert (finding.status, finding.evidence) == ("not_applicable", "None of the headers is enforced here.")
    waived.remove("headers_nosniff")
    finding = headers.once(look_at(server({}), options={"unenforced": waived}))
    assert finding.status == "fail" and "X-Content-Type-Options" in finding.evidence


def test_a_page_may_speak_of_versions(look_at):
    def answer(endpoint, path, request):
        status, sent, _body = server()(endpoint, path, request)
        return status, sent, b"We run nginx/1.26.3" if status == 200 else b""

    assert headers.versions(look_at(answer)).status == "pass"
