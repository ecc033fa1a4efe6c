# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""The portal's own pages, asked for before owners and modes change and after. What worked before has to work then."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ansible_collections.chamilo.hardening.plugins.module_utils._common.services import Machine
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.plan import read_probe
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.probe import Probe, ask
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.recovery import ANSWER_SECONDS

if TYPE_CHECKING:
    from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer

# A page names the files it cannot be shown without; one of them stands for all.
_ASSET = re.compile(rb"""(?:src|href)=["']?(/(?!/)[\w./%~+@,-]+\.(?:css|js))\b""")

Seen = tuple[int, str]  # status, and where to


class Pages:
    """``given``: the requests, as the module takes them. ``service``: has PHP in it."""

    def __init__(
        self,
        given: Sequence[Mapping[str, Any]],
        service: str,
        machine: Machine,
        fetch: Callable[[Probe], Answer] = ask,
    ) -> None:
        self._probes = [read_probe(one, "") for one in given]
        self._service = service
        self._machine = machine
        self._fetch = fetch
        self._before: dict[Probe, Seen] = {}

    def probe(self) -> None:
        """How they are answered now. Of those that are broken already nothing is known."""
        asset: Probe | None = None
        for probe in self._probes:
            answer = self._fetch(probe)
            self._note(probe, answer)
            asset = asset or _asset(probe, answer)
        if asset:
            self._note(asset, self._fetch(asset))

    def _note(self, probe: Probe, answer: Answer) -> None:
        if 200 <= answer.status < 400:
            self._before[probe] = _seen(answer)

    def broken(self) -> str:
        """Which of them is not answered as it was, in words; empty where all are."""
        end = time.monotonic() + ANSWER_SECONDS
        for probe, before in self._before.items():
            for asked in itertools.count(1):
                answer = self._fetch(probe)
                if _seen(answer) == before:
                    break
                if asked > 1 and time.monotonic() >= end:  # one that timed out took the time of all
                    return f"{probe.where} answers {_words(answer)}, and {before[0]} before"
                time.sleep(0.2)
        return ""

    def reload(self) -> str:
        """Have PHP forget what it compiled. Returns why that failed. What does not run has nothing to forget."""
        if not self._service or self._machine.state(self._service) != "active":
            return ""
        return self._machine.service("reload", self._service)


def _asset(probe: Probe, answer: Answer) -> Probe | None:
    named = _ASSET.search(answer.body)
    if not named:
        return None
    parts = urlsplit(probe.url)
    return replace(probe, url=f"{parts.scheme}://{parts.netloc}{named[1].decode('ascii')}")


def _seen(answer: Answer) -> Seen:
    return answer.status, answer.value("Location").partition("?")[0]


def _words(answer: Answer) -> str:
    where = answer.value("Location")
    return f"{answer.status} to {where!r}" if where else str(answer.status or answer.error)
