# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""A request and the answer that is right, before a change and after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer


@dataclass(frozen=True)
class Probe:
    """One request and the answer that is right. ``generation``: a header carries this generation's token.

    ``was``: where the same answer came from before the change, if that is another URL.
    ``send``: headers that go with the request.
    """

    url: str
    was: str = ""
    address: str = ""
    host: str = ""
    status: tuple[int, ...] = (200,)
    headers: tuple[tuple[str, str], ...] = ()
    ca: str = ""
    generation: bool = False
    send: tuple[tuple[str, str], ...] = ()

    def faults(self, answer: Answer) -> dict[str, str]:
        """What is wrong with an answer, by the part of it that is."""
        found = {}
        if answer.status == 0:
            found["status"] = f"{self.where} does not answer: {answer.error}"
        elif answer.status not in self.status:
            right = " or ".join(str(status) for status in self.status)
            found["status"] = f"{self.where} answers {answer.status} instead of {right}"
        for name, value in self.headers:
            sent = answer.values(name)
            if sent != [value]:
                seen = " and ".join(repr(one) for one in sent) or "nothing"
                found[name] = f"{self.where} sends {seen} as {name} instead of {value!r}"
        return found

    @property
    def where(self) -> str:
        """The probe in words."""
        said = f" as {self.host}" if self.host else ""
        return f"{self.url}{said} (at {self.address})" if self.address else f"{self.url}{said}"


@dataclass(frozen=True)
class Before:
    """Where a probe was answered before the change, and how."""

    probe: Probe
    answer: Answer


Judge = Callable[[Probe, "Answer | None", "Answer"], str]


def ask(probe: Probe) -> Answer:
    """Send the request of a probe."""
    # Here, because an unchanged run never needs it, and TLS takes its time to import.
    from urllib.parse import urlsplit

    from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer, fetch

    parts = urlsplit(probe.url)
    url = probe.url
    if probe.host:
        port = f":{parts.port}" if parts.port else ""
        url = f"{parts.scheme}://{probe.host}{port}{probe.url.split('://', 1)[1][len(parts.netloc) :]}"
    try:
        address = probe.address or parts.hostname or ""
        return fetch(
            url, address=address, headers=dict(probe.send), verify=bool(probe.ca), ca_file=probe.ca, ca_alone=True
        )
    except OSError as problem:
        return Answer(url, error=f"the file of the authority, {probe.ca}, cannot be used: {problem}")


def judge(probe: Probe, before: Answer | None, after: Answer) -> str:
    """Why the change must go back: the token of this generation is missing, or something that was green is not."""
    faults = probe.faults(after)
    if probe.generation:
        told = "; ".join(faults.values())
        return f"The new configuration is not in force: {told}" if told else ""
    was = probe.faults(before) if before is not None else faults
    return "; ".join(text for part, text in faults.items() if part not in was)


def plain(probe: Probe) -> dict[str, Any]:
    pairs = {"headers": [list(pair) for pair in probe.headers], "send": [list(pair) for pair in probe.send]}
    return {**asdict(probe), "status": list(probe.status), **pairs}


def revive(known: Mapping[str, Any]) -> Probe:
    values = {name: value for name, value in known.items() if name != "seen"}
    values["status"] = tuple(values["status"])
    for pairs in ("headers", "send"):  # older records have nothing that is sent
        values[pairs] = tuple((name, value) for name, value in values.get(pairs, ()))
    return Probe(**values)
