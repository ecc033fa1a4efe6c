# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._attacks import brute_force
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (401, b'{"error":"Invalid captcha code.","captchaRequired":true}', "pass"),
        (429, b'{"captchaRequired":true,"captchaBlocked":true}', "pass"),
        (401, b'{"error":"Invalid credentials."}', "fail"),
        (401, b"[]", "fail"),
        (403, b"<html>", "pass"),
    ],
)
def test_a_program_guesses(portal, status, body, outcome):
    target = portal({"/login_json": Answer("", status, (), body)})
    assert brute_force.guess(target).status == outcome


def test_a_portal_that_is_not_there_is_no_verdict(portal):
    target = portal({"/login_json": Answer("", error="refused"), "/": Answer("", 200)})
    with pytest.raises(OSError, match="no answer"):
        brute_force.guess(target)
