# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures for Prometheus, as a text file that node-exporter reads: what the audit sees, and when what was done."""

from __future__ import annotations

import socket
import ssl
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from .._application.observer import Observer
from .._brute_force import fail2ban
from .._brute_force.fail2ban import Fail2banError
from .._common import records
from .._common.version import parse
from .._updates import sources
from .engine import Audit


def render(site: str, audit: Audit) -> str:
    """The text file. Each name is explained once."""
    observer = audit.observer
    groups = (
        ("chamilo_control_status", "1 for the status that the audit saw for a control", _controls(audit)),
        ("chamilo_certificate_days", "Days until the served certificate ends", _certificate(observer)),
        # A moment, not an age: one that is not written any more must be seen to grow old.
        ("chamilo_job_timestamp_seconds", "When a job of this host last ran, in seconds since 1970", _jobs()),
        ("chamilo_job_ok", "1 when it succeeded", _results()),
        (
            "chamilo_updates_read_timestamp_seconds",
            "When a source of updates was last read; 0 for never",
            _read(observer),
        ),
        ("chamilo_update_available", "1 when a newer release of the branch is known", _available(observer)),
        ("chamilo_bans", "Addresses that are banned now, by jail", _bans()),
    )
    lines = []
    for name, help_text, figures in groups:
        found = list(figures)
        if found:
            lines += [f"# HELP {name} {help_text}.", f"# TYPE {name} gauge"]
            lines += [f"{name}{_labels({'site': site, **labels})} {value:.15g}" for labels, value in found]
    return "\n".join(lines) + "\n"


def _labels(labels: dict[str, str]) -> str:
    def quoted(text: str) -> str:
        return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    return "{" + ",".join(f'{name}="{quoted(value)}"' for name, value in labels.items()) + "}"


def _controls(audit: Audit) -> Iterator[tuple[dict[str, str], float]]:
    for control, finding in audit.findings.items():
        yield {"control": control, "status": finding.status}, 1


def _certificate(observer: Observer) -> Iterable[tuple[dict[str, str], float]]:
    endpoint = observer.endpoints.get("https")
    if endpoint is None:
        return
    context = ssl.create_default_context()
    try:
        with socket.create_connection((endpoint.address or endpoint.name, endpoint.port), 5) as line:
            with context.wrap_socket(line, server_hostname=endpoint.name) as secure:
                end = str((secure.getpeercert() or {})["notAfter"])
    except OSError:  # a certificate that is not valid has no days left; the audit reports one that cannot be seen
        yield {}, 0
        return
    yield {}, (ssl.cert_time_to_seconds(end) - observer.now) / 86400


def _entries() -> Iterator[tuple[str, dict[str, Any]]]:
    for file in ("backups.json", "monitoring.json", "updates.json"):
        for name, entry in records.read(file).items():
            if isinstance(entry, dict) and "at" in entry and "ok" in entry:
                yield f"{file[: -len('.json')]}_{name}", entry


def _jobs() -> Iterable[tuple[dict[str, str], float]]:
    return [({"job": name}, float(entry["at"])) for name, entry in _entries()]


def _results() -> Iterable[tuple[dict[str, str], float]]:
    return [({"job": name}, float(entry["ok"] is True)) for name, entry in _entries()]


def _read(observer: Observer) -> Iterable[tuple[dict[str, str], float]]:
    return [
        ({"source": name}, moment)
        for name, moment in sources.moments(observer.once(sources.listed), observer.site.domain).items()
    ]


def _available(observer: Observer) -> Iterable[tuple[dict[str, str], float]]:
    newest = sources.newest_of_branch(observer.once(sources.listed), observer.site.domain, observer.site.version)
    if newest:
        yield {"release": newest}, float(parse(newest) > parse(observer.site.version))


def _bans() -> Iterable[tuple[dict[str, str], float]]:
    try:
        jails = fail2ban.running() or []
        banned = fail2ban.banned()
    except Fail2banError:  # the audit reports it
        return []
    counts = Counter(dict.fromkeys((jail.name for jail in jails), 0))
    for names in banned.values():
        counts.update(names)
    return [({"jail": name}, count) for name, count in sorted(counts.items())]
