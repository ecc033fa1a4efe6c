# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks what is served: certificate, renewal, redirect, HSTS and protocols."""

from __future__ import annotations

import contextlib
import datetime
import os
import re
import ssl
from dataclasses import replace

from .._application.observer import Endpoint, Observer, Unseen
from .._common import x509
from .._common.control import FAIL, Finding, check, failed, not_applicable, not_assessed, passed, waiting
from .._common.handshakes import ANY_CIPHER, Handshake, handshake, only
from .._common.http import MOVED, Answer, tls_context
from .._common.networks import within
from .._common.x509 import Certificate, CertificateError
from .._host.processes import Job, named
from .._webserver.bound import full_from
from ._networks import much_of_the_internet
from ._responses import MISSING, responses, where
from .brute_force import VICTIM, believes, visits

DAYS_LEFT = 14
HSTS = "Strict-Transport-Security"
YEAR = 31536000
LETSENCRYPT = "/etc/letsencrypt"
_LOOPBACK = ("127.0.0.0/8", "::1")
_FORGED_HOST = "forged.chamilo-hardening.invalid"
_FORGED = {
    "X-Forwarded-Host": _FORGED_HOST,
    "X-Forwarded-Proto": "https",
    "X-Forwarded-For": VICTIM,
    "Forwarded": f"for={VICTIM};host={_FORGED_HOST};proto=https",
}
_FORGED_AT = ("/login/", "/")  # Symfony answers the first one with the URL of /login
_TRIAL = (
    "The certificate is signed by itself, which is for a trial. Set chamilo_https_certificate to auto or certbot where "
    "an authority can reach the name, else to files, with chamilo_https_certificate_file and "
    "chamilo_https_certificate_key_file. Then run harden."
)
_NOTHING = "chamilo-hardening-forges-nothing-that-is-kept"  # a cache keeps the answer for this address alone
_DEEP = f"{MISSING}/deeper/page?first=1&second=a%20b"
# Mozilla's intermediate set for TLS 1.2 (version 5.7). All else that a client could offer is weaker.
INTERMEDIATE = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "DHE-RSA-AES128-GCM-SHA256",
    "DHE-RSA-AES256-GCM-SHA384",
    "DHE-RSA-CHACHA20-POLY1305",
)


def _day(moment: float) -> str:
    return datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).strftime("%Y-%m-%d")


def _secure_doors(observer: Observer) -> list[Endpoint]:
    return [endpoint for endpoint in observer.all_endpoints if endpoint.scheme == "https"]


def _called(endpoint: Endpoint) -> str:
    return endpoint.url("") + (f" at {endpoint.address}" if endpoint.address else "")


def shake(endpoint: Endpoint, context: ssl.SSLContext) -> Handshake:
    return handshake(endpoint.name, endpoint.port, endpoint.address, context)


def _trusting(observer: Observer) -> ssl.SSLContext:
    """What browsers ask for: a chain to an authority this host trusts, for this name, with nothing weak in it."""
    context = tls_context(verify=True, ciphers="DEFAULT:@SECLEVEL=2")
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # Python's own default from 3.13 on; browsers do not have it
    extra = observer.options["ca_file"]
    if extra:
        if not os.path.exists(extra):
            raise Unseen(f"chamilo_https_acme_ca_file names {extra}, which is not on this host")
        context.load_verify_locations(extra)
    return context


def _served(endpoint: Endpoint) -> Certificate:
    """The certificate behind a door, trusted or not."""
    found = shake(endpoint, tls_context(verify=False, ciphers=ANY_CIPHER))
    if not found.certificate:
        raise Unseen(f"{_called(endpoint)} showed no certificate: {found.error}")
    return x509.parse(found.certificate)


@check("https_certificate")
def certificate(observer: Observer) -> Finding:
    endpoints = _secure_doors(observer)
    if not endpoints:
        return failed(f"Nothing on this host serves https for {observer.site.domain}, so there is no certificate.")
    context = _trusting(observer)
    seen = []
    for endpoint in endpoints:
        trusted = shake(endpoint, context)
        if trusted.error and not shake(endpoint, tls_context(verify=False, ciphers=ANY_CIPHER)).certificate:
            return failed(f"{_called(endpoint)} does not speak TLS: {trusted.error}.")
        own = _served(endpoint)
        left = (own.not_after - observer.now) / 86400
        valid = f"valid until {_day(own.not_after)} ({left:.0f} days left)"
        facts = f"{own.described} key, {valid}"
        if trusted.error:
            words = f"{_called(endpoint)}: {trusted.error}. Served: {facts}."
            # Harden made it, or was given it, and leaves it as it is.
            return Finding(FAIL, f"{words} It is signed by itself.", cause=_TRIAL) if own.self_issued else failed(words)
        if left < DAYS_LEFT:
            return failed(
                f"{_called(endpoint)}: the certificate is {valid}; less than {DAYS_LEFT} is too late to find out."
            )
        if not own.strong:
            weak = f"a {own.weak_signature} signature" if own.weak_signature else f"a {own.described} key"
            return failed(f"{_called(endpoint)}: the certificate has {weak}.")
        seen.append(f"{_called(endpoint)}: {facts}")
    missing = _lacking(observer, endpoints[0], context)
    if missing:
        return failed(
            f"The certificate lacks names of the portal, whose visitors get a warning: {'; '.join(missing)}. What is "
            "none of its names is left out by chamilo_names, behind a !."
        )
    if observer.unasked:
        return not_assessed(observer.unasked)
    further = f" and {', '.join(observer.site.portal_names[1:])}" if observer.site.portal_names[1:] else ""
    return passed(f"The chain is trusted for {observer.site.domain}{further}. {'; '.join(seen)}.")


def _lacking(observer: Observer, endpoint: Endpoint, context: ssl.SSLContext) -> list[str]:
    """The names of the portal that no trusted certificate is served for, each with the reason."""
    own = _served(endpoint)
    missing = [
        f"{name} (a wildcard)" for name in observer.site.portal_names if name[:2] == "*." and not own.covers(name)
    ]
    for name in observer.further_names:
        found = shake(replace(endpoint, name=name), context)
        missing += [f"{name} ({found.error.rstrip('.')})"] if found.error else []
    return missing


@check("https_redirect")
def redirect(observer: Observer) -> Finding:
    plain = [endpoint for endpoint in observer.all_endpoints if endpoint.scheme == "http"]
    elsewhere = bool(observer.options["terminated_elsewhere"])
    if not plain and not _secure_doors(observer):
        raise Unseen(f"nothing on this host answers to {observer.site.domain}")
    if elsewhere and plain and "refused" in observer.ask(plain[0], "/").error:
        return passed(f"No process listens for plain http in front of {observer.site.domain}.")
    for endpoint in plain:
        # POST to a page that is not there: the redirect must not depend on the method, and nothing is sent.
        for path, request in (("/", {}), (_DEEP, {}), (MISSING, {"method": "POST"})):
            fault = _not_redirected(observer, endpoint, observer.ask(endpoint, path, **request))
            if fault:
                return failed(f"{' '.join([*request.values(), fault])}.")
        fault = "" if elsewhere else _believes(observer, endpoint)
        if fault:
            return failed(f"{fault}.")
    aside = "" if elsewhere else _served_aside(observer) or _further(observer)
    if aside:
        return failed(aside)
    if observer.unasked:
        return not_assessed(observer.unasked)
    if not plain:
        return passed(f"Nothing on this host serves plain http for {observer.site.domain}.")
    last = observer.ask(plain[0], _DEEP)
    forged = "" if elsewhere else " and a forged proxy header"
    return passed(f"{last.url} answers {last.status} to {last.value('Location')}; a POST{forged} does as well.")


def _served_aside(observer: Observer) -> str:
    """Whether http serves the portal under another name."""
    asked = [
        (side, observer.ask(side.endpoint, f"{side.start}/"))
        for side in observer.side_endpoints
        if side.endpoint.scheme == "http"
    ]
    for side, answer in asked:
        if 0 < answer.status < 400 and not answer.value("Location").startswith("https://"):
            return f"{answer.url} answers {answer.status} over http. {observer.closing(side)}"
    for _side, answer in asked:
        if not answer.status:
            raise Unseen(f"{answer.url} gave no answer: {answer.error}")
    return ""


def _further(observer: Observer) -> str:
    """Whether http serves the portal under one of its further names."""
    for endpoint in observer.further_doors:
        answer = observer.ask(endpoint, "/") if endpoint.scheme == "http" else None
        if answer and 0 < answer.status < 400 and not answer.value("Location").startswith("https://"):
            led = f" to {answer.value('Location')}" if answer.value("Location") else ""
            return f"{answer.url} answers {answer.status}{led} instead of 301 to https://{endpoint.name}/."
    return ""


def _not_redirected(observer: Observer, endpoint: Endpoint, answer: Answer) -> str:
    """Why this is no redirect to the same https URL; empty when it is one."""
    if not answer.status:
        return f"{answer.url} gave no answer: {answer.error}"
    secure = observer.endpoints.get("https")
    desired = answer.url.replace(endpoint.url(""), secure.url("") if secure else f"https://{endpoint.name}", 1)
    location = answer.value("Location")
    if answer.status in MOVED and location == desired:
        return ""
    led = f" to {location}" if location else ""
    return f"{answer.url} answers {answer.status}{led} instead of 301 to {desired}"


def _believes(observer: Observer, endpoint: Endpoint) -> str:
    """Whether a visitor may claim that a proxy has already seen to https."""
    if within(endpoint.address, observer.options["trusted_proxies"]):
        return ""  # from this address the claim counts
    answer = observer.ask(endpoint, "/", headers={"X-Forwarded-Proto": "https"})
    if answer.status in MOVED:
        return ""
    return f"{answer.url} answers {answer.status} to any client that sends X-Forwarded-Proto: https"


@check("https_trusted_proxies")
def trusted_proxies(observer: Observer) -> Finding:
    declared = [str(each) for each in observer.options["trusted_proxies"]]
    if not observer.site.environment:
        observer.needs_root(f"read the environment files of {observer.root}")
        raise Unseen(f"the environment files of {observer.root} could not be read")
    words = [word for word in re.split(r"[\s,]+", observer.site.environment.get("TRUSTED_PROXIES", "")) if word]
    own = (*_LOOPBACK, *observer.site.addresses, *declared)
    surplus = [word for word in words if word != "localhost" and not within(word, own)]
    if surplus:
        source = observer.site.environment_source.get("TRUSTED_PROXIES", "the environment")
        return failed(
            f"The application trusts X-Forwarded-* headers from {', '.join(surplus)} (TRUSTED_PROXIES in {source}), "
            "which chamilo_trusted_proxies does not name: a client there chooses where redirects and links in mails "
            "lead, and which address is recorded for a login."
        )
    if much := much_of_the_internet([*words, *declared]):
        return failed(
            f"X-Forwarded-* headers are trusted from {', '.join(dict.fromkeys([*words, *declared]))}, which is {much}: "
            "no site has that many proxies. Name your own in chamilo_trusted_proxies."
        )
    # A request from an address that is trusted by right shows nothing.
    endpoints = [endpoint for endpoint in observer.all_endpoints if not within(endpoint.address, (*words, *declared))]
    for endpoint in endpoints:
        for path in _FORGED_AT:
            answer = observer.ask(endpoint, f"{path}?{_NOTHING}", headers=_FORGED)
            if _FORGED_HOST.encode() in answer.body or any(_FORGED_HOST in value for _name, value in answer.headers):
                by = (
                    " The proxy in front must replace these headers."
                    if observer.options["terminated_elsewhere"]
                    else ""
                )
                return failed(f"{answer.url} leads to the host that the request named in X-Forwarded-Host.{by}")
    with contextlib.suppress(Unseen):  # where the journal cannot be seen
        if believed := believes(observer.once(visits), declared):
            return failed(believed)
    trusted = f"{', '.join(words)} alone" if words else "no client"
    tried = "; forged ones changed no redirect and no link" if endpoints else ""
    return passed(f"The application trusts X-Forwarded-* headers from {trusted}{tried}.")


@check("https_hsts")
def hsts(observer: Observer) -> Finding:
    if "https" not in observer.endpoints:
        return failed(f"Nothing on this host serves https for {observer.site.domain}, so {HSTS} cannot be sent.")
    desired = f"max-age={YEAR}; includeSubDomains"
    answers = {label: answer for label, answer in observer.once(responses).items() if answer.url.startswith("https")}
    several, short, missing = [], [], []
    for label, answer in answers.items():
        values = answer.values(HSTS)
        if len(values) > 1:
            several.append(f"{where(label, answer)}: sent {len(values)} times ({', '.join(values)})")
        elif not values:
            missing.append(f"{where(label, answer)}: not sent")
        elif not _full(values[0]):
            short.append(f"{where(label, answer)}: {values[0]!r}")
    wrong = several + missing + short
    if not wrong:
        return passed(f"{HSTS}: {next(iter(answers.values())).value(HSTS)!r}, once on each of: {', '.join(answers)}.")
    if observer.options["hsts"] == "off":
        return failed(f"{HSTS} is switched off here: chamilo_https_hsts is off. {wrong[0]}.")
    ramp = _ramp(observer) if short and not several and not missing else ""
    evidence = f"{HSTS} should be {desired!r}. {'; '.join(wrong[:3])}.{ramp and f' {ramp}'}"
    return waiting(evidence, ramp) if ramp.startswith("The ramp") else failed(evidence)


def _full(value: str) -> bool:
    parts = [part.strip().lower() for part in value.split(";")]
    ages = [part[8:].strip('"') for part in parts if part.startswith("max-age=")]
    return len(ages) == 1 and ages[0].isdigit() and int(ages[0]) >= YEAR and "includesubdomains" in parts


def _ramp(observer: Observer) -> str:
    """When the ramp ends, from the host's own record; empty when there is none or it is not for us to read."""
    since = observer.site.hsts_since
    if not since:
        return ""
    if _day(observer.now) < full_from(since).isoformat():
        return f"The ramp began on {since}; the full value is due on {full_from(since)}."
    return f"The full value was due on {full_from(since)}; `chamilo-hardening daily https` reports what it waits for."


@check("https_protocols")
def protocols(observer: Observer) -> Finding:
    endpoints = _secure_doors(observer)
    if not endpoints:
        return failed(f"Nothing on this host serves https for {observer.site.domain}.")
    versions = ssl.TLSVersion
    untried: set[str] = set()
    good: set[str] = set()
    for endpoint in endpoints:
        for name, version in (("TLS 1.0", versions.TLSv1), ("TLS 1.1", versions.TLSv1_1)):
            client = only(version)
            if client is None:
                untried.add(name)
            elif not (old := shake(endpoint, client)).error:
                return failed(f"{_called(endpoint)} still speaks {name} ({old.cipher}).")
        context = tls_context(verify=False, minimum=versions.TLSv1_2, maximum=versions.TLSv1_2, ciphers=_weaker())
        weak = shake(endpoint, context)
        if not weak.error:
            return failed(
                f"{_called(endpoint)} takes {weak.cipher} with TLS 1.2, which is not in Mozilla's intermediate set."
            )
        for name, version in (("TLS 1.2", versions.TLSv1_2), ("TLS 1.3", versions.TLSv1_3)):
            context = tls_context(verify=False, minimum=version, maximum=version)
            if not shake(endpoint, context).error:
                good.add(name)
    if not good:
        return failed(f"{_called(endpoints[0])} completed no TLS handshake at all.")
    if untried:
        return not_assessed(
            f"This host's own OpenSSL cannot offer {' and '.join(sorted(untried))}, so they were not tried."
        )
    return passed(f"{_called(endpoints[0])} speaks {' and '.join(sorted(good))}, no older version and no weak cipher.")


def _weaker() -> str:
    return ":".join(["ALL", "COMPLEMENTOFALL", *(f"!{cipher}" for cipher in INTERMEDIATE), "@SECLEVEL=0"])


@check("https_renewal")
def renewal(observer: Observer) -> Finding:
    if observer.options["terminated_elsewhere"]:
        return not_applicable(
            "The certificate lives on the proxy (chamilo_https_terminated_elsewhere); renew it there."
        )
    endpoints = _secure_doors(observer)
    if not endpoints:
        return failed(f"Nothing on this host serves https for {observer.site.domain}, so nothing is renewed.")
    own = _served(endpoints[0])
    files = sorted({host.certificate for host in observer.site.serving if host.certificate})
    live = f"{LETSENCRYPT}/live/"
    lineages = sorted({path[len(live) :].split("/")[0] for path in files if path.startswith(live)})
    if not files:
        return not_assessed(f"Which file the served certificate ({own.serial}) comes from could not be seen.")
    if not lineages:
        return not_applicable(
            f"{files[0]} is not one of Certbot's. It must be replaced by hand before {_day(own.not_after)}."
        )
    faults = _owners(observer)
    observer.needs_root(f"see how Certbot renews {lineages[0]}")
    faults += [fault for lineage in lineages for fault in _lineage(observer, lineage)]
    newest = _from_file(files[0])
    if newest.serial != own.serial:
        faults.append(f"{files[0]} has serial {newest.serial}, but {own.serial} is served: a renewal was not loaded")
    if faults:
        return failed(f"{'; '.join(faults)}.")
    owner = _certbot(observer)[0]
    return passed(f"{owner.source} alone renews {lineages[0]}, its hook reloads, and the newest certificate is served.")


def _certbot(observer: Observer) -> list[Job]:
    return named(observer.jobs, r"\bcertbot\b")


def _owners(observer: Observer) -> list[str]:
    owners = _certbot(observer)
    if not owners:
        return ["no timer and no cron job runs Certbot, so nothing renews the certificate"]
    if len(owners) > 1:
        return [f"{len(owners)} jobs renew at once: {', '.join(owner.source for owner in owners)}"]
    faults = []
    if owners[0].result not in ("", "success"):
        faults.append(f"the last run of {owners[0].service} ended with {owners[0].result}")
    if owners[0].service and not owners[0].alerts:
        faults.append(f"no alert is sent when {owners[0].service} fails (it has no OnFailure)")
    return faults


def _lineage(observer: Observer, name: str) -> list[str]:
    path = f"{LETSENCRYPT}/renewal/{name}.conf"
    if not os.path.exists(path):
        return [f"there is no {path}, so Certbot does not renew it"]
    with open(path, encoding="utf-8", errors="replace") as file:
        text = file.read()
    if re.search(r"^\s*autorenew\s*=\s*False", text, re.MULTILINE):
        return [f"{path} sets autorenew = False"]
    # Certbot's own plugin tests and reloads, and so does our hook. What another one does is not known.
    known = r"^\s*(?:installer\s*=\s*(?:nginx|apache)\b|renew_hook\s*=.*\bchamilo-hardening renewed\b)"
    if not re.search(known, text, re.MULTILINE):
        return [f"no hook of {name} is known to test the configuration and load a renewed certificate"]
    return []


def _from_file(path: str) -> Certificate:
    with open(path, encoding="ascii", errors="replace") as file:
        try:
            return x509.first_of(file.read())
        except CertificateError as problem:
            raise Unseen(f"{path}: {problem}") from problem
