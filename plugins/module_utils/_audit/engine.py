# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One audit of one portal: discover it, run every check, and foresee whom bans would have met."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from .._application.beliefs import Belief, judge, packed
from .._application.database import DatabaseError
from .._application.declared import SECTIONS
from .._application.observer import Observer
from .._brute_force.forecast import BANS, Rules, forecast
from .._common.control import FAIL, NOT_APPLICABLE, NOT_ASSESSED, Finding, checks, not_assessed, observe

# Each import registers the checks of its section. One by one, or they would not travel to the host.
from . import (  # noqa: F401 (they register) pylint: disable=unused-import
    backups,
    brute_force,
    database,
    headers,
    host_jobs,
    https,
    monitoring,
    passwords,
    permissions,
    sessions,
    updates,
    uploads,
)


def foretold(observer: Observer, findings: Mapping[str, Finding]) -> dict[str, Any]:
    """Impact preview: the clients that would have been banned last week, where bans are not active yet."""
    if BANS not in findings or findings[BANS].status not in (FAIL, NOT_ASSESSED):
        return {}
    options = observer.options
    rules = Rules(
        attempts=options["attempts"],
        find_seconds=options["find_seconds"],
        ban_seconds=options["ban_seconds"],
        spared=("127.0.0.0/8", "::1", *observer.site.addresses, *options["friends"], *options["trusted_proxies"]),
    )
    try:
        return {"said": forecast(observer.database, rules)}
    except DatabaseError as problem:
        return {"said": [f"Chamilo's record of logins cannot be read: {problem}"]}


def doubted(findings: Mapping[str, Finding], beliefs: Iterable[Belief]) -> dict[str, Finding]:
    """The findings, where this Chamilo does it otherwise: without a check that stands on it, and with it told."""
    found = dict(findings)
    for one in beliefs:
        for control in one.fact.controls if one.state == "does not hold" else ():
            if control in found and found[control].status != NOT_APPLICABLE:
                told = f"{found[control].evidence} {one.why}."
                found[control] = (
                    not_assessed(f"{one.why}.")
                    if control in one.fact.checks
                    else replace(found[control], evidence=told)
                )
    return found


def explained(site: str, findings: Mapping[str, Finding], state: Mapping[str, Any]) -> dict[str, Finding]:
    """The findings; what fails for lines of ours that are gone from a virtual host, reports it."""
    sections = state.get("sections", {})
    lost = [words for name, known in sections.items() if name.endswith(f":{site}") for words in known.get("lost", ())]
    return {control: _explained(control, found, lost) for control, found in findings.items()}


def _explained(control: str, found: Finding, lost: Sequence[str]) -> Finding:
    if found.status == FAIL and control.startswith(("https_", "headers_")):
        return replace(found, evidence=" ".join([found.evidence, *lost]))
    return found


@dataclass(frozen=True)
class Audit:
    """What was observed of one portal, by control, and what follows from it."""

    observer: Observer
    findings: Mapping[str, Finding]
    state: Mapping[str, Any] = field(default_factory=dict)  # as `chamilo-hardening status` observed it
    warnings: Collection[str] = ()

    @property
    def active(self) -> list[str]:
        """The sections that were enforced here before, by the undo data that they left."""
        names = [*self.state.get("sections", ()), *self.state.get("settings", ())]
        return sorted({name.partition(":")[0] for name in names} & set(SECTIONS))

    def answer(self) -> dict[str, Any]:
        """As the controller reads it, from the module or from a result that the host delivered.

        Only here a week of logins is read: the figures of the daily work need none of it.
        """
        return {
            "observed": {
                name: {key: value for key, value in asdict(finding).items() if value or key not in ("waits", "cause")}
                for name, finding in self.findings.items()
            },
            "forecast": foretold(self.observer, self.findings),
            "chamilo_version": self.observer.site.version,
            "names": list(self.observer.site.portal_names),
            "active": self.active,
            "state": list(self.state.get("entries", ())),
            "signs": monitoring.left(self.observer) if "monitoring_compromise" in self.findings else [],
        }


def audit(site: str, observer: Observer, sections: Collection[str] = ()) -> Audit:
    """Run the checks of these sections, or of all. ``site``: the portal as its files name it."""
    desired = tuple(f"{section}_" for section in sections)
    chosen = {name: function for name, function in checks.items() if not desired or name.startswith(desired)}
    state, problem = host_jobs.state() if os.geteuid() == 0 else ({}, "")
    here, facts = observer.site, observer.options["facts"] or packed()
    beliefs = judge(facts, here.root, here.version, here.php.user)
    findings = explained(site, doubted(observe(chosen, observer), beliefs), state)
    return Audit(observer, findings, state, [problem] if problem else [])
