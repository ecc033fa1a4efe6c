# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attacks that a browser stops, if headers ask for it: each judges the answers as a browser would."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .._common.control import Finding, attack, failed, passed
from .._common.http import Answer
from .._common.sentences import first_of
from ._attacker import Target, by_every_name

HEADERS = {
    "X-Content-Type-Options": "headers_nosniff",
    "X-Frame-Options": "headers_frame_options",
    "X-XSS-Protection": "headers_xss_protection",
    "Referrer-Policy": "headers_referrer_policy",
}
_POLICY = ("Content-Security-Policy", "Content-Security-Policy-Report-Only")
_ELSEWHERE = "https://attacker.example"


def _page(target: Target) -> Answer:
    if not target.page.status:
        raise OSError(f"{target.page.url} gave no answer: {target.page.error}")
    return target.page


@attack("headers_nosniff")
@by_every_name
def sniff(target: Target) -> Finding:
    sent = _page(target).values("X-Content-Type-Options")
    if [value.strip().lower() for value in sent] == ["nosniff"]:
        return passed("A browser does not take a text for a script.")
    return failed(f"A browser may run an uploaded text as a script: X-Content-Type-Options is {_output(sent)}.")


@attack("headers_frame_options")
@by_every_name
def frame(target: Target) -> Finding:
    answer = _page(target)
    ancestors = re.search(r"frame-ancestors([^;]*)", "; ".join(answer.values("Content-Security-Policy")))
    if ancestors:
        # With this directive a browser ignores X-Frame-Options.
        let_in = [word for word in ancestors[1].split() if word == "*" or re.fullmatch(r"https?:(//\*)?", word)]
        if not let_in:
            return passed(f"A page of {_ELSEWHERE} cannot frame the portal: frame-ancestors{ancestors[1]}.")
        return failed(f"A page of {_ELSEWHERE} can frame the portal: frame-ancestors lets in {' '.join(let_in)}.")
    sent = [value.strip().upper() for value in answer.values("X-Frame-Options")]
    if sent in (["SAMEORIGIN"], ["DENY"]):
        return passed(f"A page of {_ELSEWHERE} cannot frame the portal: X-Frame-Options is {sent[0]}.")
    return failed(
        f"A page of {_ELSEWHERE} can lay the portal under its own buttons: X-Frame-Options is {_output(sent)}."
    )


@attack("headers_xss_protection")
@by_every_name
def reflect(target: Target) -> Finding:
    sent = _page(target).values("X-XSS-Protection")
    if len(sent) == 1:
        return passed(f"An old browser is instructed about injected scripts: X-XSS-Protection is {sent[0]!r}.")
    return failed(f"An old browser is left to itself with injected scripts: X-XSS-Protection is {_output(sent)}.")


@attack("headers_referrer_policy")
@by_every_name
def follow(target: Target) -> Finding:
    sent = _page(target).values("Referrer-Policy")
    # A browser takes the last policy it knows.
    policy = sent[-1].split(",")[-1].strip().lower() if sent else ""
    leaks = {"", "unsafe-url", "no-referrer-when-downgrade"}
    if policy in leaks:
        return failed(f"Another site learns the whole address people came from: Referrer-Policy is {_output(sent)}.")
    return passed(f"Another site learns at most the name of the portal: Referrer-Policy is {policy}.")


@attack("headers_csp")
@by_every_name
def inject(target: Target) -> Finding:
    answer = _page(target)
    for name in _POLICY:
        for policy in answer.values(name):
            rules = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";") if rule.strip())
            scripts = rules.get("script-src", rules.get("default-src", "*")).split()
            if not {"*", "https:", "http:"} & set(scripts):
                what = "blocked" if name == _POLICY[0] else "reported"
                return passed(f"A script of {_ELSEWHERE} in a page is {what}: script-src {' '.join(scripts)}.")
    return failed(f"A script of {_ELSEWHERE} that an attacker puts into a page runs: no policy blocks it.")


@attack("headers_once")
@by_every_name
def elsewhere(target: Target) -> Finding:
    seen, wrong = [], []
    desired = [name for name, control in HEADERS.items() if control not in target.unenforced]
    for answer in _answers(target):
        seen.append(str(answer.status))
        wrong += [
            f"{answer.url} ({answer.status}) sends {name} {len(answer.values(name))} times"
            for name in desired
            if len(answer.values(name)) != 1 and not _framed_by_policy(answer, name)
        ]
    if not seen:
        raise OSError(f"{target.domain} answered nothing")
    if wrong:
        return failed(f"There are answers without the protection: {first_of(wrong, 3, '; ')}.")
    return passed(f"Answers of each kind that was tried ({', '.join(seen)}) send each header once.")


def _answers(target: Target) -> Iterator[Answer]:
    tried = [target.page, target.get("/robots.txt"), target.get("/api/users"), target.get("/.htaccess"), target.missing]
    if not target.proxied or target.address:  # a proxy gives these answers by itself
        tried.append(target.ask("http", "/"))
        tried.append(target.get("/", method="POST", headers={"Content-Length": str(10**12)}, timeout=3.0))
    return (answer for answer in tried if answer.status)


def _framed_by_policy(answer: Answer, name: str) -> bool:
    policies = "; ".join(answer.values("Content-Security-Policy"))
    return name == "X-Frame-Options" and "frame-ancestors" in policies and not answer.values(name)


def _output(sent: list[str]) -> str:
    return " and ".join(map(repr, sent)) or "not sent"
