# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A request and the answer that is right, before a change and after it."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .._common.errors import HardeningError

if TYPE_CHECKING:
    from .._common.http import Answer

PAUSE_SECONDS = 0.1
ANSWER_SECONDS = 5.0  # for a page after a change
_MOVED = (301, 302, 303, 307, 308)


@dataclass(frozen=True)
class Probe:
    """One request and the answer that is right. ``generation``: a header carries this generation's token.

    ``was``: where the same answer came from before the change, if that is another URL.
    ``send``: headers that go with the request. ``same``: right is what was answered before the change.
    """

    url: str
    was: str = ""
    address: str = ""
    host: str = ""
    status: tuple[int, ...] = (200,)
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    ca: str = field(default="", metadata={"type": "path"})
    generation: bool = field(default=False, metadata={"given": False})
    send: Mapping[str, str] = field(default_factory=dict, hash=False)
    same: bool = False

    def faults(self, answer: Answer) -> dict[str, str]:
        """What is wrong with an answer, by the part of it that is."""
        found = {}
        if not answer.status:
            found["status"] = f"{self.where} does not answer: {answer.error}"
        elif answer.status not in self.status:
            right = " or ".join(str(status) for status in self.status)
            found["status"] = f"{self.where} answers {answer.status} instead of {right}"
        elif answer.status in _MOVED and self.url.startswith("https:") and answer.value("Location")[:5] == "http:":
            # Such as where only another portal of this host is served by https yet.
            found["status"] = f"{self.where} redirects to plain http: {answer.value('Location')}"
        for name, value in self.headers.items():
            sent = answer.values(name)
            if sent != [value]:
                seen = " and ".join(repr(one) for one in sent) or "nothing"
                found[name] = f"{self.where} sends {seen} as {name} instead of {value!r}"
        return found

    @property
    def where(self) -> str:
        """The probe in words."""
        output = f" as {self.host}" if self.host else ""
        return f"{self.url}{output} (at {self.address})" if self.address else f"{self.url}{output}"


Fetch = Callable[[Probe], "Answer"]


class ProbeError(HardeningError):
    """What is to be asked for is no web address; the message names it."""


def is_web_address(url: str) -> bool:
    return re.match(r"https?://[^/\s]+", url) is not None


def checked(asked: Probe) -> Probe:
    """One as modules take it."""
    for url in filter(None, (asked.url, asked.was)):
        if not is_web_address(url):
            raise ProbeError(f"probe: {url!r} is no http or https URL.")
    headers, send = ({name: str(value) for name, value in of.items()} for of in (asked.headers, asked.send))
    return replace(asked, headers=headers, send=send)


def read(given: Mapping[str, Any]) -> Probe:
    """The same of its options."""
    return checked(Probe(**{**given, "status": tuple(given.get("status", [200]))}))


def page(given: Mapping[str, Any]) -> Probe:
    """One that has to be answered as before."""
    return replace(read(given), same=True)


def ask(probe: Probe) -> Answer:
    """Send the request of a probe."""
    # Here, because an unchanged run never needs it, and TLS takes its time to import.
    from .._common.http import Answer, fetch

    parts = urlsplit(probe.url)
    url = probe.url
    if probe.host:
        port = f":{parts.port}" if parts.port else ""
        url = f"{parts.scheme}://{probe.host}{port}{probe.url.split('://', 1)[1][len(parts.netloc) :]}"
    try:
        address = probe.address or parts.hostname or ""
        return fetch(url, address=address, headers=probe.send, verify=bool(probe.ca), ca_file=probe.ca, ca_alone=True)
    except OSError as problem:
        return Answer(url, error=f"the file of the authority, {probe.ca}, cannot be used: {problem}")


def visit(probe: Probe, fetch: Fetch) -> Answer:
    """The answer to a probe; for a page that is to stay the same the one behind a redirect to https."""
    answer = fetch(probe)
    where = answer.value("Location")
    if not probe.same or not _by_https(probe, answer.status, where):
        return answer
    return fetch(replace(probe, url=where, address=probe.address or urlsplit(probe.url).hostname or ""))


def _by_https(probe: Probe, status: int, where: str) -> bool:
    """Whether this answer sends a visitor to the same page by https."""
    asked, sent = urlsplit(probe.url), urlsplit(where)
    if (asked.scheme, sent.scheme) != ("http", "https") or status not in _MOVED:
        return False
    name = (probe.host or asked.hostname or "").lower()
    return (name, asked.path or "/", asked.query) == (sent.hostname, sent.path or "/", sent.query)


def changed(probe: Probe, before: Answer, after: Answer) -> str:
    """Why visitors do not get the same page any more, in words; empty where they do, or got none before."""
    if not 0 < before.status < 500:
        return ""
    was, now = (answer.value("Location").partition("?")[0] for answer in (before, after))
    unencrypted = before.url.startswith("https:") and not after.url.startswith("https:")
    if before.status == after.status and now in (was, _upgraded(was)) and not unencrypted:
        return ""
    loop = ", a redirect loop" if after.url.partition("?")[0] in (now, _upgraded(now)) else ""
    plain_now, by_https = (" by plain http", " by https") if unencrypted else ("", "")
    return f"{probe.where} answers {_words(after)}{plain_now}{loop}, and {_words(before)}{by_https} before"


def _upgraded(url: str) -> str:
    return f"https:{url[5:]}" if url.startswith("http:") else url


def _words(answer: Answer) -> str:
    where = answer.value("Location")
    return f"{answer.status} to {where!r}" if where else str(answer.status or answer.error)


def ask_until(right: Callable[[], str], end: float) -> str:
    """Ask until the answer is right or time is up. Returns what is wrong with the last one.

    Twice at least: one that timed out may have taken the time of all.
    """
    for asked in itertools.count(1):
        problem = right()
        if not problem or (asked > 1 and time.monotonic() >= end):
            return problem
        time.sleep(PAUSE_SECONDS)
    return ""
