# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks the headers of every class of response, on the wire."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from .._application import integrations
from .._application.observer import Observer
from .._common.control import Finding, check, failed, not_applicable, passed
from .._common.http import Answer
from .._common.sentences import first_of
from ._responses import responses, unseen, where

NOSNIFF = "X-Content-Type-Options"
FRAMES = "X-Frame-Options"
XSS = "X-XSS-Protection"
REFERRER = "Referrer-Policy"
POLICY = "Content-Security-Policy"
REPORT_ONLY = "Content-Security-Policy-Report-Only"

_XSS = re.compile(r"0|1(\s*;\s*(mode\s*=\s*block|report\s*=\s*[^\s;]+))*", re.IGNORECASE)
_ANY_SITE = re.compile(r"(?:https?://)?\*(?::[\d*]+)?/?|[a-z][a-z0-9+.-]*:", re.IGNORECASE)  # a star or a scheme alone
_NAMED = 3  # offenders in the evidence
_TELLTALE = ("X-Powered-By", "X-Generator")
_PRODUCT = re.compile(r"(?:nginx|Apache|PHP|Symfony|OpenSSL|Chamilo|MariaDB)[/ ]v?\d+(?:\.\d+)*", re.IGNORECASE)


def _copies(answer: Answer, name: str) -> str:
    values = answer.values(name)
    if not values:
        return "not sent"
    return repr(values[0]) if len(values) == 1 else f"sent {len(values)} times: {', '.join(map(repr, values))}"


def _everywhere(observer: Observer, name: str, right: Callable[[str], bool], desired: str) -> Finding:
    """The header exactly once, with the right value, on every class of response."""
    answers = observer.once(responses)
    wrong = [
        f"{where(label, answer)}: {_copies(answer, name)}"
        for label, answer in answers.items()
        if len(answer.values(name)) != 1 or not right(answer.value(name).strip())
    ]
    rest = unseen(observer, answers)
    if wrong:
        return failed(
            f"{name} should be {desired!r}, but is not on {len(wrong)} of {len(answers)} kinds of answer: "
            f"{first_of(wrong, _NAMED, '; ')}.{rest}"
        )
    first = next(iter(answers.values()))
    return passed(f"{name}: {first.value(name)!r}, once on each of: {', '.join(answers)}.{rest}")


def _same(value: str) -> Callable[[str], bool]:
    def squeeze(text: str) -> str:
        return re.sub(r"\s*([;,=])\s*", r"\1", text.strip().lower())

    return lambda sent: squeeze(sent) == squeeze(value)


@check("headers_nosniff")
def nosniff(observer: Observer) -> Finding:
    return _everywhere(observer, NOSNIFF, _same("nosniff"), "nosniff")


@check("headers_referrer_policy")
def referrer_policy(observer: Observer) -> Finding:
    value = "strict-origin-when-cross-origin"
    return _everywhere(observer, REFERRER, _same(value), value)


@check("headers_xss_protection")
def xss_protection(observer: Observer) -> Finding:
    value = str(observer.options["xss_protection"])
    if not _XSS.fullmatch(value.strip()):
        return failed(
            f"{XSS} should be '1; mode=block' or 0: browsers know no {value!r} (chamilo_headers_xss_protection)."
        )
    found = _everywhere(observer, XSS, _same(value), value)
    practice = " Today's browsers ignore this header; current practice is 0 or not to send it, the guide asks for it."
    return Finding(found.status, found.evidence + practice)


def _partners(observer: Observer) -> list[str]:
    return integrations.ancestors(observer.options["frame_ancestors"], observer.options["integrations"])


@check("headers_frame_options")
def frame_options(observer: Observer) -> Finding:
    partners = _partners(observer)
    if not partners:
        found = _everywhere(observer, FRAMES, _same("SAMEORIGIN"), "SAMEORIGIN")
        return found if found.status == "fail" else _overruled(observer) or found
    answers = observer.once(responses)
    desired = {"'self'", *partners}
    wrong = []
    for label, answer in answers.items():
        allowed = next(iter(_ancestors(answer)), set())
        anyone = sorted(source for source in allowed if _ANY_SITE.fullmatch(source))
        if anyone:
            wrong.append(f"{where(label, answer)}: frame-ancestors {' '.join(anyone)} lets any site frame the portal")
        elif answer.values(FRAMES):
            wrong.append(f"{where(label, answer)}: {FRAMES} is sent too and keeps the partners out of old browsers")
        elif allowed != desired:
            seen = " ".join(sorted(allowed)) if allowed else "not sent"
            wrong.append(f"{where(label, answer)}: frame-ancestors {seen}")
    text = " ".join(["'self'", *partners])
    if wrong:
        return failed(f"{POLICY} should have frame-ancestors {text}: {first_of(wrong, _NAMED, '; ')}.")
    return passed(f"{POLICY} has frame-ancestors {text} on each of: {', '.join(answers)}.")


def _overruled(observer: Observer) -> Finding | None:
    """Whether a policy lets others frame the portal. A page has to be let in by each policy that speaks of it."""
    own = {"'self'", "'none'", observer.site.domain, f"https://{observer.site.domain}"}
    wrong = []
    for label, answer in observer.once(responses).items():
        policies = _ancestors(answer)
        if policies and not any({source.lower() for source in allowed} <= own for allowed in policies):
            wrong.append(f"{where(label, answer)}: frame-ancestors {' '.join(sorted(policies[0]))}")
    if not wrong:
        return None
    return failed(
        f"{POLICY} lets other sites frame the portal, and browsers ignore {FRAMES} then: "
        f"{first_of(wrong, _NAMED, '; ')}."
    )


def _ancestors(answer: Answer) -> list[set[str]]:
    """Who may frame a page, by each enforced policy that sets it."""
    found = []
    for policy in ",".join(answer.values(POLICY)).split(","):
        for directive in policy.split(";"):
            words = directive.split()
            if words and words[0].lower() == "frame-ancestors":
                found.append({word.rstrip("/") if "://" in word else word for word in words[1:]})
                break  # the first one counts
    return found


def _rules_scripts(policy: str) -> bool:
    return bool(re.search(r"(?:^|;)\s*(?:default|script)-src\s", policy))


@check("headers_csp")
def csp(observer: Observer) -> Finding:
    mode = str(observer.options["csp"])
    if mode == "off":
        return failed("No policy is configured here: chamilo_headers_csp is off.")
    answers = observer.once(responses)
    label, answer = next(iter(answers.items()))
    for each, one in answers.items():
        weak = [policy for policy in one.values(POLICY) + one.values(REPORT_ONLY) if _permits_all(policy)]
        if weak:
            return failed(f"{where(each, one)}: the policy permits scripts from everywhere: {_short(weak[0])}")
    enforced, reported = answer.values(POLICY), answer.values(REPORT_ONLY)
    ruling = [policy for policy in enforced if _rules_scripts(policy)]
    trying = [policy for policy in reported if _rules_scripts(policy)]
    if mode == "report" and not ruling and trying:
        return passed(f"{where(label, answer)}: {REPORT_ONLY}: {_short(trying[0])} It reports and blocks nothing yet.")
    if ruling:
        return passed(f"{where(label, answer)}: {POLICY}: {_short(ruling[0])}")
    if trying:
        return failed(f"{where(label, answer)}: the policy only reports, but chamilo_headers_csp is enforce.")
    if enforced or reported:
        return failed(f"{where(label, answer)}: the policy has no rule for scripts: {_short((enforced + reported)[0])}")
    return failed(f"{where(label, answer)}: neither {POLICY} nor {REPORT_ONLY} is sent.")


def _permits_all(policy: str) -> bool:
    rules = dict(part.strip().lower().partition(" ")[::2] for part in policy.split(";"))
    allowed = rules.get("script-src", rules.get("default-src", "")).split()
    return bool({"*", "http:", "https:", "data:"} & {*allowed}) and "'strict-dynamic'" not in allowed


def _short(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:120]}..."


@check("headers_once")
def once(observer: Observer) -> Finding:
    names = _expected(observer)
    if not names:
        return not_applicable("None of the headers is enforced here.")
    answers = observer.once(responses)
    wrong = []
    for label, answer in answers.items():
        for name, alternatives in names.items():
            values = [value for alternative in alternatives for value in answer.values(alternative)]
            if not values:
                wrong.append(f"{where(label, answer)}: no {name}")
            # Both policies, the enforced one and the one that reports, are two different headers.
            elif any(len(answer.values(alternative)) > 1 for alternative in alternatives):
                wrong.append(f"{where(label, answer)}: {name} {len(values)} times")
    rest = unseen(observer, answers)
    if wrong:
        return failed(f"Not exactly once: {first_of(wrong, _NAMED, '; ')}.{rest}")
    return passed(f"{', '.join(names)}: each exactly once on each of: {', '.join(answers)}.{rest}")


def _expected(observer: Observer) -> Mapping[str, tuple[str, ...]]:
    """The headers that belong on every answer, each with the names that count: those that are enforced."""
    framed = observer.enforced("headers_frame_options")
    partners = framed and bool(_partners(observer))
    policy = observer.enforced("headers_csp") and observer.options["csp"] != "off"
    names = {
        NOSNIFF: observer.enforced("headers_nosniff"),
        XSS: observer.enforced("headers_xss_protection"),
        REFERRER: observer.enforced("headers_referrer_policy"),
        FRAMES: framed and not partners,
        POLICY: partners or policy,
    }
    return {name: (POLICY, REPORT_ONLY) if name == POLICY else (name,) for name, desired in names.items() if desired}


@check("headers_versions")
def versions(observer: Observer) -> Finding:
    answers = observer.once(responses)
    reported: dict[str, str] = {}
    for label, answer in answers.items():
        for name in ("Server", *_TELLTALE):
            value = answer.value(name)
            if value and (name != "Server" or re.search(r"\d", value)):
                reported.setdefault(f"{name}: {value}", urlsplit(answer.url).path + f" ({label})")
        if answer.status >= 400:
            product = _PRODUCT.search(answer.body.decode(errors="replace"))
            if product:
                reported.setdefault(f"{product[0]} on the error page", urlsplit(answer.url).path + f" ({label})")
    if reported:
        listed = first_of((f"{what}, at {place}" for what, place in reported.items()), _NAMED, "; ")
        return failed(f"Versions are disclosed: {listed}.")
    server = next(iter(answers.values())).value("Server") or "not sent"
    return passed(f"No version in headers or on error pages of: {', '.join(answers)}. Server: {server}.")
