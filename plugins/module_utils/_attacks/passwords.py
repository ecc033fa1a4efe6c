# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""Attacks on the password rules: log in as a user of the testbed and choose a weak password, as people do."""

from __future__ import annotations

import json
import re
from typing import Any

from ansible_collections.chamilo.hardening.plugins.module_utils._aim import Aim
from ansible_collections.chamilo.hardening.plugins.module_utils._control import Finding, attack, failed, passed
from ansible_collections.chamilo.hardening.plugins.module_utils._wire import Answer

# An account that every portal of the testbed has.
_USER, _PASSWORD = "student02", "student-Password-1!"
# Too short, of one kind only, and what Chamilo's built-in rule is content with.
_WEAK = ("a", "password", "abcdefghijklmnop", "ab1-2")
_COOKIE = re.compile(r"([^=;\s]+)=([^;]*)")


class _Visitor:
    """Somebody with a browser: remembers cookies, reads the testbed's CAPTCHA."""

    def __init__(self, aim: Aim) -> None:
        self._aim = aim
        self._cookies: dict[str, str] = {}

    def ask(self, path: str, data: dict[str, Any] | None = None) -> Answer:
        request: dict[str, Any] = {"headers": {"Cookie": "; ".join(f"{k}={v}" for k, v in self._cookies.items())}}
        if not self._cookies:
            request["headers"] = {}
        if data is not None:
            request["headers"]["Content-Type"] = "application/json"
            request |= {"method": "POST", "body": json.dumps(data).encode()}
        answer = self._aim.get(path, **request)
        if not answer.status:
            raise OSError(f"{answer.url} gave no answer: {answer.error}")
        for line in answer.values("Set-Cookie"):
            match = _COOKIE.match(line)
            if match:
                self._cookies[match[1]] = match[2]
        return answer

    def login(self, password: str) -> None:
        data = {"username": _USER, "password": password}
        if b'data-captcha="true"' in self.ask("/login").body:
            picture = self.ask("/login/captcha").body.decode("utf-8", "replace")
            data["captcha_code"] = "".join(re.findall(r"<text[^>]*>(.)</text>", picture))
        answer = self.ask("/login_json", data)
        if answer.status != 200:
            raise OSError(f"{_USER} could not log in: {answer.status}")

    def change(self, current: str, new: str) -> bool:
        answer = self.ask("/account/change-password", {"current_password": current, "new_password": new})
        if answer.status not in (200, 400):
            raise OSError(f"changing the password of {_USER} gave {answer.status}")
        return answer.status == 200


@attack("passwords_length")
def choose_a_weak_one(aim: Aim) -> Finding:
    visitor = _Visitor(aim)
    visitor.login(_PASSWORD)
    for weak in _WEAK:
        if visitor.change(_PASSWORD, weak):
            # What rules there are let the old password back in.
            if not visitor.change(weak, _PASSWORD):
                raise OSError(f"the password of {_USER} could not be set back: it is {weak!r} now")
            return failed(f"{_USER} may choose the password {weak!r}.")
    return passed(f"{len(_WEAK)} weak passwords were refused: {', '.join(_WEAK)}.")
