# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The portal's own pages, asked for before owners and modes change and after. What worked before has to work then."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .._transaction.probe import ANSWER_SECONDS, Fetch, Probe, ask, ask_until, changed, page, visit

if TYPE_CHECKING:
    from .._common.http import Answer

# A page names the files it cannot be shown without; one of them stands for all.
_ASSET = re.compile(rb"""(?:src|href)=["']?(/(?!/)[\w./%~+@,-]+\.(?:css|js))\b""")


class Pages:
    """``given``: the requests, as the module takes them."""

    def __init__(self, given: Sequence[Mapping[str, Any]], fetch: Fetch = ask) -> None:
        self._probes = [page(one) for one in given]
        self._fetch = fetch
        self._before: dict[Probe, Answer] = {}

    def probe(self) -> None:
        """How they are answered now. Of those that are broken already nothing is known."""
        asset: Probe | None = None
        for probe in self._probes:
            answer = visit(probe, self._fetch)
            self._note(probe, answer)
            asset = asset or _asset(probe, answer)
        if asset:
            self._note(asset, visit(asset, self._fetch))

    def _note(self, probe: Probe, answer: Answer) -> None:
        if 200 <= answer.status < 400:
            self._before[probe] = answer

    def broken(self) -> str:
        """Which of them is not answered as it was, in words; empty where all are."""
        end = time.monotonic() + ANSWER_SECONDS
        for probe, before in self._before.items():
            problem = ask_until(partial(self._fault, probe, before), end)
            if problem:
                return problem
        return ""

    def _fault(self, probe: Probe, before: Answer) -> str:
        return changed(probe, before, visit(probe, self._fetch))


def _asset(probe: Probe, answer: Answer) -> Probe | None:
    named = _ASSET.search(answer.body)
    if not named:
        return None
    parts = urlsplit(probe.url)
    return replace(probe, url=f"{parts.scheme}://{parts.netloc}{named[1].decode('ascii')}")
