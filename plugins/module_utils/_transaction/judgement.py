# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the answers before a change and after it mean: whether it stays, or goes back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from .probe import Fetch, Probe, changed, visit

if TYPE_CHECKING:
    from .._common.http import Answer


@dataclass(frozen=True)
class Before:
    """Where a probe was answered before the change, and how."""

    probe: Probe
    answer: Answer


Judge = Callable[[Probe, "Answer | None", "Answer"], str]


def answers(probes: Sequence[Probe], fetch: Fetch, seconds: float) -> dict[Probe, Before]:
    """The answers as they are now.

    ``seconds``: for all pages that are to stay the same. What is not asked by then is left out, and what is not the
    same twice, such as where its owner limits the number of requests.
    """
    found = {probe: _answered(probe, fetch) for probe in probes if not probe.same}
    end = time.monotonic() + seconds
    pages: dict[Probe, Before] = {}
    for probe in (probe for probe in probes if probe.same):
        if time.monotonic() >= end:
            break
        pages[probe] = Before(probe, visit(probe, fetch))
    for probe, before in [*pages.items()]:
        if time.monotonic() < end and changed(probe, before.answer, visit(probe, fetch)):
            del pages[probe]
    return {**found, **pages}


def _answered(probe: Probe, fetch: Fetch) -> Before:
    """The answer as it is now, at ``was`` if it is not right at ``url`` itself."""
    here = replace(probe, was="")
    answer = fetch(here)
    if probe.was and probe.faults(answer):
        there = replace(here, url=probe.was)
        return Before(there, fetch(there))
    return Before(here, answer)


def judge(probe: Probe, before: Answer | None, after: Answer) -> str:
    """Why the change must go back: the token of this generation is missing, or something that was green is not."""
    if probe.same:
        return changed(probe, before, after) if before else ""
    faults = probe.faults(after)
    if probe.generation:
        reported = "; ".join(faults.values())
        return f"The new configuration is not active: {reported}" if reported else ""
    was = probe.faults(before) if before is not None else faults
    return "; ".join(text for part, text in faults.items() if part not in was)


def plain(probe: Probe) -> dict[str, Any]:
    return {**asdict(probe), "status": list(probe.status)}


def revive(known: Mapping[str, Any]) -> Probe:
    values = {name: value for name, value in known.items() if name != "seen"}
    values["status"] = tuple(values["status"])
    for pairs in ("headers", "send"):  # as pairs in older records, which may have nothing that is sent
        values[pairs] = dict(values.get(pairs, ()))
    return Probe(**values)
