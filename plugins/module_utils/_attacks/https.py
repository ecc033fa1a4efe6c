# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attacks on what a visitor sends: read it on the way, or lead the browser back to where it can be read."""

from __future__ import annotations

import re
import secrets
import ssl

from .._common.control import Finding, attack, failed, passed
from .._common.handshakes import only
from .._common.http import MOVED, tls_context
from ._attacker import Target, by_every_name

_ELSEWHERE = "attacker.chamilo-hardening.invalid"
_OLD = {"TLS 1.0": ssl.TLSVersion.TLSv1, "TLS 1.1": ssl.TLSVersion.TLSv1_1}


@attack("https_certificate")
@by_every_name
def certificate(target: Target) -> Finding:
    answer = target.ask("https", "/", verify=True)
    if answer.status:
        return passed(f"A client that checks certificates accepts the one of {target.domain}.")
    return failed(
        f"A client that checks certificates cannot use https://{target.domain}/ ({answer.error}). People who are used "
        "to that warning do not see the one an attacker causes."
    )


@attack("https_redirect")
@by_every_name
def redirect(target: Target) -> Finding:
    # No account is named, so this is no login attempt; an application that reads it has read it in plain text.
    answer = target.ask("http", "/login_json", method="POST", body=b"{}", headers={"Content-Type": "application/json"})
    if not answer.status:
        return passed(f"A login sent over plain http is not answered at all ({answer.error}).")
    location = answer.value("Location")
    if answer.status in MOVED and location in [f"https://{name}/login_json" for name in (target.domain, *target.names)]:
        return passed(f"A login sent over plain http goes to https ({answer.status}) before the application sees it.")
    return failed(
        f"A login sent over plain http is answered with {answer.status}{f' to {location}' if location else ''}: "
        "an eavesdropper on the way has read it."
    )


@attack("https_hsts")
@by_every_name
def strip(target: Target) -> Finding:
    # A browser takes the header only from a connection it trusts.
    answer = target.ask("https", "/", verify=True)
    if not answer.status:
        return failed(f"No browser can learn to stay on https: {answer.error}.")
    sent = answer.values("Strict-Transport-Security")
    age = re.match(r'\s*max-age="?(\d+)', sent[0], re.IGNORECASE) if sent else None
    if age and int(age[1]) > 0:
        return passed(f"A browser that was here goes to https by itself for {int(age[1]) // 86400} days.")
    return failed(
        "A browser that was here follows a link to plain http, where an attacker on the way can answer instead: "
        f"Strict-Transport-Security is {' and '.join(map(repr, sent)) or 'not sent'}."
    )


@attack("https_protocols")
@by_every_name
def protocols(target: Target) -> Finding:
    if target.shake(tls_context(verify=False)).error:
        return failed("Nothing is encrypted: no TLS is spoken on port 443.")
    clients = {name: only(version) for name, version in _OLD.items()}
    spoken = [name for name, context in clients.items() if context and not target.shake(context).error]
    if spoken:
        return failed(f"A client that speaks nothing better than {' or '.join(spoken)} is let in.")
    missing = [name for name, context in clients.items() if context is None]
    if missing:
        raise OSError(f"the OpenSSL of this machine cannot offer {' and '.join(missing)}, so they were not tried")
    return passed("Clients that speak nothing better than TLS 1.0 or 1.1 are refused.")


@attack("https_trusted_proxies")
@by_every_name
def poison(target: Target) -> Finding:
    claim = {
        "X-Forwarded-Host": _ELSEWHERE,
        "X-Forwarded-Proto": "https",
        "X-Forwarded-For": "198.51.100.66",
        "Forwarded": f"for=198.51.100.66;host={_ELSEWHERE};proto=https",
    }
    # With a unique query: no cache gives the answer to another visitor.
    answers = [target.get(f"{path}?{secrets.token_hex(8)}", headers=claim) for path in ("/login/", "/", "/login")]
    if not any(answer.status for answer in answers):
        raise OSError(f"{target.domain} gave no answer: {answers[0].error}")
    for answer in answers:
        location = answer.value("Location")
        if _ELSEWHERE in location or _ELSEWHERE.encode() in answer.body:
            what = f"redirects to {location}" if _ELSEWHERE in location else f"is a page with links to {_ELSEWHERE}"
            return failed(f"With a forged X-Forwarded-Host, {answer.url.partition('?')[0]} {what}.")
    return passed("Forged X-Forwarded-* and Forwarded headers change no redirect and no link.")
