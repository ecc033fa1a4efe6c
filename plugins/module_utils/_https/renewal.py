# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What section https does without Ansible: activate a renewed certificate, take the next step of HSTS.

All of it works from /etc/chamilo-hardening/https-SITE.json, which the role writes.
"""

from __future__ import annotations

import argparse
import datetime
import glob
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .._common import alert, x509
from .._common.errors import HardeningError
from .._transaction.engine import Engine
from .._transaction.job import Outcome
from .._webserver import certbot
from . import acme, hsts

CONFIGURATIONS = "/etc/chamilo-hardening/https-*.json"
SERVED_SECONDS = 15.0
DAYS_LEFT = 14
_LOCK_SECONDS = 180.0
_TEST_SECONDS = 60.0

Verdict = Callable[[str], object]
Serial = Callable[[Mapping[str, Any]], str]


class RenewalError(HardeningError):
    """A certificate is not active; the message states why and what to do."""


def add(commands: Any, report: Verdict) -> None:
    """The command that Certbot and its service call. Without help: no person needs it often."""

    def run(options: argparse.Namespace, engine: Engine) -> int:
        if options.failed:
            lines = failed()
        elif options.before:
            lines = before()
        else:
            lines = renewed(engine, options.lineage or os.environ.get("RENEWED_LINEAGE", ""))
        for line in lines:
            report(line)
        return 0

    parser = commands.add_parser("renewed", description="Activate a certificate that Certbot renewed.")
    parser.add_argument("--lineage", default="", help="the directory below /etc/letsencrypt/live")
    parser.add_argument("--failed", action="store_true", help="report that Certbot failed")
    parser.add_argument("--before", action="store_true", help="let Certbot trust the authorities of the sites here")
    parser.set_defaults(run=run)


def warnings(names: Iterable[str]) -> list[str]:
    """Warnings before these transactions are undone."""
    domains = {site["site"]: site["domain"] for site in configurations()[0]}
    sites = [name[len("https:") : -len(".hsts")] for name in names if re.fullmatch(r"https:.+\.hsts", name)]
    return [text for text in (hsts.bound(site, domains.get(site, site)) for site in sites) if text]


def configurations(pattern: str = CONFIGURATIONS) -> tuple[list[dict[str, Any]], list[str]]:
    """The sites of this host, and what is wrong with the files that cannot be read."""
    sites, faults = [], []
    for path in sorted(glob.glob(pattern)):
        try:
            with open(path, encoding="utf-8") as stream:
                known = json.load(stream)
            if missing := {"site", "domain", "certificate"} - set(known):
                raise ValueError(f"{' and '.join(sorted(missing))} missing")
            sites.append(dict(known))
        except (OSError, ValueError, TypeError) as problem:
            faults.append(f"{path} is damaged ({problem}). Run the playbook harden again.")
    return sites, faults


def renewed(engine: Engine, lineage: str, serial: Serial | None = None) -> list[str]:
    """Certbot's hook: activate the renewed certificate of a lineage. It ignores other lineages."""
    if not lineage:
        return []
    lines, faults = [], []
    sites, damaged = configurations()
    for text in damaged:
        faults += [text, *_not_alerted("A renewed certificate may not be active", text)]
    for site in sites:
        if certbot.lineage_of(site["certificate"]) != os.path.basename(lineage.rstrip("/")):
            continue
        try:
            lines.append(activate(site, engine, serial))
        except Exception as problem:  # any failure is reported, the other sites continue, and it is raised below
            text = str(problem) or type(problem).__name__
            faults += [text, *_not_alerted(f"The renewed certificate of {site['domain']} is not active", text)]
    if faults:
        raise RenewalError(" ".join(faults))
    return lines


def _not_alerted(title: str, text: str) -> list[str]:
    """Send an alert, each time. Returns the failures to do so."""
    try:
        alert.notify("https", title, text, again=True)
    except alert.AlertError as unheard:
        return [str(unheard)]
    return []


def activate(site: Mapping[str, Any], engine: Engine, serial: Serial | None = None) -> str:
    """Test the configuration, have it loaded, and see that the new certificate is served."""
    desired = _present(site).serial
    with engine.store.lock("a renewed certificate", _LOCK_SECONDS):
        for argv in site["test"]:
            code, output = engine.machine.run(argv, _TEST_SECONDS)
            if code:
                raise RenewalError(
                    f"{site['domain']} has a new certificate, but the web server goes on with the old one, because its "
                    f"configuration is broken: `{' '.join(argv)}` answers: {output[-600:]} Mend that, then run: "
                    f"{certbot.HOOK} --lineage {os.path.dirname(site['certificate'])}"
                )
        if engine.machine.state(site["service"]) != "active":
            return (
                f"{site['service']} does not run; it will read the new certificate of {site['domain']} when it starts."
            )
        problem = engine.machine.service("reload", site["service"])
        if problem:
            raise RenewalError(f"{site['domain']} has a new certificate, but it could not be loaded: {problem}")
    end = time.monotonic() + SERVED_SECONDS
    while True:
        served = (serial or _served_serial)(site)
        if served == desired:
            return f"{site['domain']} serves the certificate with serial {served}."
        if time.monotonic() >= end:
            raise RenewalError(
                f"{site['certificate']} has the certificate with serial {desired}, but {site['domain']} still serves "
                f"{served or 'none'}. See: systemctl status {site['service']}"
            )
        time.sleep(0.2)


def failed() -> list[str]:
    """Report that Certbot's own run failed, weeks before the certificate expires."""
    code_of = "journalctl -u certbot.service, and /var/log/letsencrypt/letsencrypt.log"
    text = f"The renewal of certificates failed. What happened stands in: {code_of}"
    ways = alert.notify("https", "Certbot failed", text)
    return [f"{text} Reported by {' and '.join(ways)}." if ways else text]


def before() -> list[str]:
    """Let Certbot trust the authorities that the sites of this host name, beside those of the host."""
    sites, faults = configurations()
    files = sorted({site.get("ca_file") or "" for site in sites} - {""})
    return [f"Certbot trusts {acme.bundle(files)}.", *faults]


def daily() -> list[str]:
    """The daily step: HSTS one step on, the certificate watched, and a failed load made up for."""
    engine = Engine()
    lines = []
    sites, faults = configurations()
    for site in sites:
        for work in (_step, _watch):
            try:
                lines += work(site, engine)
            except Exception as problem:  # the other sites and the other work go on; it is raised below
                faults.append(str(problem) or type(problem).__name__)
    if faults:
        raise RenewalError(" ".join(faults))
    return lines


def _step(site: Mapping[str, Any], engine: Engine) -> list[str]:
    outcome = Outcome()
    step = hsts.take(site, engine, outcome)
    if not step.value:
        return []
    domain = site["domain"]
    if step.waits:
        text = f"{domain} stays at {step.value!r}, because not all is well: {'; '.join(step.waits)}."
        alert.notify("https", f"{hsts.HEADER} of {domain} waits", text)
        return [text]
    lost = [hsts.unanswered(name, authority=site.get("ca_file", "")) for name in _bound(step)]
    if any(lost):
        text = f"Browsers that know {domain} cannot reach what they are bound to: {'; '.join(filter(None, lost))}."
        alert.notify("https", f"A subdomain of {domain} does not answer https", text)
        return [text]
    return [f"{domain} sends {step.value!r}{' from now on' if outcome.changed else ''}."]


def _bound(step: hsts.Step) -> tuple[str, ...]:
    return step.ramp.answered if "includeSubDomains" in step.value else ()


def _watch(site: Mapping[str, Any], engine: Engine) -> list[str]:
    if not site["certificate"]:
        return []
    domain = site["domain"]
    lines = []
    present = _present(site)
    if _served_serial(site) not in ("", present.serial):
        lines.append(activate(site, engine))
    left = int((present.not_after - time.time()) // 86400)
    day = datetime.datetime.fromtimestamp(present.not_after, datetime.timezone.utc).strftime("%Y-%m-%d")
    if left < DAYS_LEFT:
        text = f"The certificate of {domain} runs out on {day} ({left} days left), and was not renewed."
        alert.notify("https", f"The certificate of {domain} runs out", text)
        return [*lines, text]
    return [*lines, f"The certificate of {domain} is good until {day} ({left} days left)."]


def _present(site: Mapping[str, Any]) -> x509.Certificate:
    """The certificate in the site's file, which may not be served yet."""
    with open(site["certificate"], encoding="ascii", errors="replace") as stream:
        return x509.first_of(stream.read())


def _served_serial(site: Mapping[str, Any]) -> str:
    from .._common.handshakes import handshake
    from .._common.http import tls_context

    found = handshake(site["domain"], 443, site["address"], tls_context(verify=False))
    return x509.parse(found.certificate).serial if found.certificate else ""
