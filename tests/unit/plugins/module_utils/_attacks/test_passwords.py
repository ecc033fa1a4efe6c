# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._attacks import passwords
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer

FIRST = "student-Password-1!"


class Portal:
    """A portal with one user, and a rule for new passwords."""

    def __init__(self, rule=lambda new: True, captcha=False, back=True):
        self.password = FIRST
        self.rule = rule
        self.captcha = captcha
        self.back = back

    def get(self, path, method="GET", headers=None, body=b""):
        reported = json.loads(body) if body else {}
        if path == "/login":
            return Answer(path, 200, (("Set-Cookie", "s=1; Path=/"),), b'data-captcha="true"' if self.captcha else b"")
        assert headers["Cookie"] == "s=1"
        if path == "/login/captcha":
            return Answer(path, 200, (), b"<svg><text x='1'>a</text><text x='2'>7</text></svg>")
        if path == "/login_json":
            right = reported["password"] == self.password and reported.get("captcha_code") == (
                "a7" if self.captcha else None
            )
            return Answer(path, 200 if right else 401)
        assert (path, method) == ("/account/change-password", "POST")
        new = reported["new_password"]
        right = reported["current_password"] == self.password
        if right and ((new == FIRST and self.back) or (new != FIRST and self.rule(new))):
            self.password = new
            return Answer(path, 200)
        return Answer(path, 400)


@pytest.mark.parametrize("captcha", [False, True])
def test_a_weak_password_gets_through_and_is_set_back(captcha):
    portal = Portal(captcha=captcha)
    finding = passwords.choose_a_weak_one(portal)
    assert (finding.status, finding.evidence) == ("fail", "student02 may choose the password 'a'.")
    assert portal.password == FIRST


def test_every_kind_of_weakness_is_tried():
    portal = Portal(lambda new: len(new) >= 12)
    assert passwords.choose_a_weak_one(portal).evidence.endswith("'abcdefghijklmnop'.")
    portal = Portal(lambda new: any(map(str.isdigit, new)))
    assert passwords.choose_a_weak_one(portal).evidence.endswith("'ab1-2'.")
    assert portal.password == FIRST


def test_rules_are_enforced():
    portal = Portal(lambda new: False)
    found = passwords.choose_a_weak_one(portal)
    refused = "4 weak passwords were refused: a, password, abcdefghijklmnop, ab1-2."
    assert (found.status, found.evidence) == ("pass", refused)
    assert portal.password == FIRST


def test_what_went_wrong_is_reported():
    with pytest.raises(OSError, match="could not be set back: it is 'a' now"):
        passwords.choose_a_weak_one(Portal(back=False))
    portal = Portal()
    portal.password = "another"
    with pytest.raises(OSError, match="student02 could not log in: 401"):
        passwords.choose_a_weak_one(portal)
    portal = Portal()
    portal.get = lambda path, **request: Answer(path, 500 if path.startswith("/account/") else 200)
    with pytest.raises(OSError, match="changing the password of student02 gave 500"):
        passwords.choose_a_weak_one(portal)
    portal.get = lambda path, **request: Answer(path, error="refused")
    with pytest.raises(OSError, match="/login gave no answer: refused"):
        passwords.choose_a_weak_one(portal)
