# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attacks on sessions: have a visitor use one that the attacker chose, or use the visitor's from another site."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator

from .._common.control import Finding, attack, failed, passed
from .._common.http import Answer
from ._attacker import Target, by_every_name

# A page of the application, and a script of its own that takes a session number as a parameter (CVE-2026-31940).
_PAGE = "/"
_SCRIPT = "/main/lp/aicc_hacp.php"
_NUMBER = re.compile(r"[A-Za-z0-9,-]{22,256}")


def _cookies(answer: Answer) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Name, value and flags of each session cookie that an answer sets."""
    for line in answer.values("Set-Cookie"):
        first, *rest = line.split(";")
        name, _is, value = first.strip().partition("=")
        if _NUMBER.fullmatch(value):
            parts = (part.partition("=") for part in rest)
            yield name, value, {key.strip().lower(): flag.strip().lower() for key, _is, flag in parts}


def _names(target: Target) -> dict[str, str]:
    """What the session cookie is called, by page. The script may have one of its own."""
    found = {path: name for path in (_PAGE, _SCRIPT) for name, _value, _flags in _cookies(target.get(path))}
    if not found:
        raise OSError(f"no page of {target.domain} without a login sets a session cookie")
    return found


@attack("sessions_strict")
@by_every_name
def fixate(target: Target) -> Finding:
    taken = []
    # Never the same twice: a portal that once took it would know it.
    chosen = f"chamiloHardening{secrets.token_hex(16)}"
    for page, name in _names(target).items():
        cookie = {"Cookie": f"{name}={chosen}"}
        ways = {
            f"in a cookie for {page}": (page, cookie),
            f"in the address of {page}": (f"{page}?{name}={chosen}", {}),
        }
        if page == _SCRIPT:
            ways[f"as a parameter of {page}"] = (f"{page}?session_id={chosen}", {})
        for way, (path, headers) in ways.items():
            answer = target.get(path, headers=headers)
            if not answer.status:
                raise OSError(f"{answer.url} gave no answer: {answer.error}")
            # A client that gets no new number continues with the one it sent.
            if not any(value != chosen for _name, value, _flags in _cookies(answer)):
                taken.append(way)
    if taken:
        return failed(f"A visitor uses a session that an attacker chose for him, given {' or '.join(taken)}.")
    return passed("A session number that an attacker made up is replaced by a new one, however it is given.")


@attack("sessions_cookie_samesite")
@by_every_name
def post_from_elsewhere(target: Target) -> Finding:
    open_ones, seen = [], []
    for path in (_PAGE, _SCRIPT):
        for name, _value, flags in _cookies(target.get(path)):
            seen.append(name)
            if flags.get("samesite") not in ("lax", "strict"):
                open_ones.append(f"{name} at {path} (SameSite is {flags.get('samesite') or 'not said'})")
    if not seen:
        raise OSError(f"no page of {target.domain} without a login sets a session cookie")
    if open_ones:
        return failed(f"A form on another site can be sent in a visitor's name: {', '.join(open_ones)}.")
    return passed("A browser sends no session cookie along with a form of another site.")
