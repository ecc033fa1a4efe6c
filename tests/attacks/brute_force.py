"""Attacks by a program that guesses passwords: without a CAPTCHA, and until an account of its own is locked."""

from __future__ import annotations

import json
import secrets

from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._attacker import Target
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._insider import Insider
from ansible_collections.chamilo.hardening.plugins.module_utils._common.control import Finding, attack, failed, passed
from tests.attacks.visitors import Visitor, here, test_account

_GUESSES = 11  # an account is locked after 10 at most
_DISABLED = (401, 403)


@attack("brute_force_captcha")
def guess(target: Target) -> Finding:
    name = f"nobody-{secrets.token_hex(4)}"
    body = json.dumps({"username": name, "password": secrets.token_hex(8)}).encode()
    answer = target.get("/login_json", method="POST", body=body, headers={"Content-Type": "application/json"})
    if not answer.status:
        raise OSError(f"{answer.url} gave no answer: {answer.error}")
    try:
        reported = json.loads(answer.body)
    except ValueError:
        reported = {}
    if isinstance(reported, dict) and reported.get("captchaRequired"):
        return passed("A login without a CAPTCHA is refused before the password is checked.")
    if answer.status == 401:
        return failed("A program can try one password after the other: the portal checked it without a CAPTCHA.")
    return passed(f"A login without a CAPTCHA is answered with {answer.status}: no password was checked.")


@attack("brute_force_lock", insider=True)
def guess_until_it_locks(insider: Insider) -> Finding:
    with test_account(insider) as (name, password):
        guesser = Visitor(here(insider))
        for turn in range(_GUESSES):
            status = guesser.token(name, f"wrong {turn}")
            if status not in (*_DISABLED, 429):
                raise OSError(f"a wrong password was answered with {status}")
        # On the page: there Chamilo checks whether an account is locked.
        status = Visitor(here(insider)).try_login(name, password)
    if status == 200:
        return failed(f"After {_GUESSES} wrong passwords for one account the right one is let in: nothing locks it.")
    if status not in _DISABLED:
        raise OSError(f"the right password was answered with {status}")
    return passed(f"After {_GUESSES} wrong passwords the right one no longer helps: {status}.")
