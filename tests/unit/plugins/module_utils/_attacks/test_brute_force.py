# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._attacks import brute_force
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer


@pytest.mark.parametrize(
    ("status", "body", "outcome", "words"),
    [
        (401, b'{"error":"Invalid captcha code.","captchaRequired":true}', "pass", "refused before the password"),
        (429, b'{"captchaRequired":true,"captchaBlocked":true}', "pass", "refused before the password"),
        (401, b'{"error":"Invalid credentials."}', "fail", "the portal checked it without a CAPTCHA"),
        (401, b'{"captchaRequired":false}', "fail", "the portal checked it without a CAPTCHA"),
        (401, b"[]", "fail", "the portal checked it without a CAPTCHA"),
        (401, b"<html>", "fail", "the portal checked it without a CAPTCHA"),
        (403, b"<html>", "pass", "answered with 403: no password was checked"),
        (200, b"[]", "pass", "answered with 200: no password was checked"),
    ],
)
def test_a_program_guesses(portal, status, body, outcome, words):
    target = portal({"/login_json": Answer("", status, (), body)})
    found = brute_force.guess(target)
    assert found.status == outcome and words in found.evidence


def test_a_portal_that_is_not_there_is_no_verdict(portal):
    target = portal({"/login_json": Answer("", error="refused"), "/": Answer("", 200)})
    with pytest.raises(OSError, match="no answer"):
        brute_force.guess(target)
