# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._attacks import sessions
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._attacker import Target
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer

FLAGS = "; path=/; secure; httponly; samesite=lax"
FRESH = "0123456789abcdef0123456789abcdef"


class Php(Target):
    """PHP's sessions, as strict as the test configures them."""

    def __init__(
        self,
        strict=True,
        only_cookies=True,
        script=True,
        flags=FLAGS,
        script_flags=FLAGS,
        up=True,
        script_name="chamilo2",
    ):
        super().__init__("campus.test")
        self.strict, self.only_cookies, self.script, self.up = strict, only_cookies, script, up
        self.cookie_of = {"/": "chamilo2", sessions._SCRIPT: script_name}
        self.flags = {"/": flags, sessions._SCRIPT: script_flags}

    def ask(self, scheme, path, **request):
        url = f"{scheme}://campus.test{path}"
        if not self.up:
            return Answer(url, error="refused")
        name, _is, query = path.partition("?")
        if name == sessions._SCRIPT and not self.script:
            return Answer(url, 404)
        sent, _is, cookie = dict(request.get("headers") or {}).get("Cookie", "").partition("=")
        cookie = cookie if sent == self.cookie_of[name] else ""
        parameter = re.fullmatch(r"session_id=(\w+)", query) if name == sessions._SCRIPT else None
        address = re.fullmatch(rf"{self.cookie_of[name]}=(\w+)", query)
        asked = parameter[1] if parameter else cookie or (address[1] if address and not self.only_cookies else "")
        if self.strict or not asked:
            number = FRESH
        elif cookie and not parameter:
            return Answer(url, 200)
        else:
            number = asked
        return Answer(url, 200, (("Set-Cookie", f"{self.cookie_of[name]}={number}{self.flags[name]}"),))


def test_strict_sessions_pass():
    found = sessions.fixate(Php())
    assert found.status == "pass", found.evidence


def test_every_way_in_is_named():
    found = sessions.fixate(Php(strict=False, only_cookies=False))
    assert found.status == "fail"
    assert "in a cookie for / or in the address of / or in a cookie for" in found.evidence
    assert f"as a parameter of {sessions._SCRIPT}" in found.evidence


def test_a_script_with_a_cookie_of_its_own_name():
    php = Php(script_name="PHPSESSID")
    assert sessions.fixate(php).status == "pass"
    assert "in a cookie for /main" in sessions.fixate(Php(strict=False, script_name="PHPSESSID")).evidence


def test_a_script_that_is_not_there_takes_nothing():
    assert sessions.fixate(Php(script=False)).status == "pass"
    assert sessions._SCRIPT not in sessions.fixate(Php(strict=False, script=False)).evidence


@pytest.mark.parametrize(
    "flags, script_flags, output",
    [
        (FLAGS, FLAGS, ""),
        (FLAGS, "; path=/; SameSite=Strict", ""),
        (FLAGS, "; path=/", f"chamilo2 at {sessions._SCRIPT} (SameSite is not said)"),
        ("; path=/; SameSite=None; Secure", FLAGS, "chamilo2 at / (SameSite is none)"),
    ],
)
def test_a_browser_keeps_the_cookie_to_itself(flags, script_flags, output):
    found = sessions.post_from_elsewhere(Php(flags=flags, script_flags=script_flags))
    assert found.status == ("fail" if output else "pass")
    assert output in found.evidence


def test_a_portal_without_a_session_does_not_pass():
    target = Php()
    target.ask = lambda scheme, path, **request: Answer(path, 200)
    for attack in (sessions.fixate, sessions.post_from_elsewhere):
        with pytest.raises(OSError, match="no page of campus.test without a login sets a session cookie"):
            attack(target)


@pytest.mark.parametrize("attack", [sessions.fixate, sessions.post_from_elsewhere])
def test_a_portal_that_is_down_does_not_pass(attack):
    with pytest.raises(OSError):
        attack(Php(up=False))
