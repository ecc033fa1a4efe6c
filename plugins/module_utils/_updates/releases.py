# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daily check for a newer Chamilo: the feed of releases, and the list of published vulnerabilities."""

from __future__ import annotations

import datetime
import glob
import html
import json
import re
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._application.discovery import discover
from .._common import alert, http, records
from .._common.errors import HardeningError
from .._common.version import Version, parse, stable
from . import advisories
from .sources import PATIENCE, RECORD, is_version, known_by

DIRECTORY = "/etc/chamilo-hardening"
SECONDS = 20
_BYTES = 4 << 20
_DAY = 86400
_WEEK = 7 * _DAY  # between two reminders of the same release
_LONGEST = 200  # characters of a name in a feed
_BRANCHES = 20  # that are written down
_SECURITY = re.compile(r"vulnerabilit|security (?:fix|hole|issue|patch|release|update)|CVE-\d|GHSA-", re.IGNORECASE)


class FeedError(HardeningError):
    """A feed cannot be read; the message states why."""


@dataclass(frozen=True)
class Published:
    """A release in a feed."""

    version: str
    security: bool = False  # what is written about it speaks of vulnerabilities


def step() -> list[str]:
    """Check once for every portal."""
    lines: list[str] = []
    domains: list[str] = []
    outcomes: list[tuple[bool, str]] = []
    last = records.read(RECORD).get("watch", {})
    more: dict[str, Any] = {key: dict(last.get(key, {})) for key in ("told", "away", "read")}
    for known in watched():
        lines += _portal(known, more, outcomes)
        domains.append(str(known["domain"]))
    more["read"] = {domain: more["read"][domain] for domain in domains}
    if outcomes:
        words = " ".join(dict.fromkeys(detail for _done, detail in outcomes))
        records.note(RECORD, "watch", all(done for done, _detail in outcomes), words, **more)
    return lines


def watched() -> Iterator[Mapping[str, Any]]:
    """What the role wrote down about each portal."""
    for path in sorted(glob.glob(f"{DIRECTORY}/updates-*.json")):
        with open(path, encoding="utf-8") as stream:
            yield json.load(stream)


def _portal(known: Mapping[str, Any], more: Mapping[str, Any], outcomes: list[tuple[bool, str]]) -> list[str]:
    domain, feed = str(known["domain"]), str(known["feed"])
    here = installed(domain, str(known["root"]))
    read = more["read"].setdefault(domain, {})
    urgent = _list(here)
    news: list[str] = []
    reached = False
    try:
        answer = releases(fetch(feed)) if feed else []
    except FeedError as problem:
        read["feed"] = {**read.get("feed", {}), "problem": str(problem)}
        _away(domain, str(problem), more, outcomes)
    else:
        reached = bool(answer)
        more["away"].pop(domain, None)
        if not reached:
            outcomes.append((False, "The check of the feed of releases is disabled (chamilo_updates_feed)."))
        else:
            read["feed"] = {"at": int(time.time()), "newest": newest(answer)}
        for each in newer(here, answer):
            fixes = "It fixes vulnerabilities." if each.security else ""
            text = f"Chamilo {each.version} is out; {here or 'an unknown version'} is installed. {fixes}".strip()
            (urgent if each.security else news).append(text)
    listed_here = advisories.packed()
    if listed_here.age(datetime.date.today()) > advisories.DAYS and not reached:
        dated = f"The list of published vulnerabilities is of {listed_here.dated}."
        news.append(f"{dated} Install a newer chamilo.hardening and harden.")
    reported = _report(domain, [*urgent, *news], bool(urgent), more)
    if reached:
        outcomes.append((reported, " ".join([*urgent, *news]) or f"Chamilo {here} is the newest release of its feed."))
    return [*urgent, *news]


def _list(here: str) -> list[str]:
    """Messages of the list about the installed version."""
    why = advisories.packed().behind(here) if here and is_version(here) else ""
    return [f"Chamilo {here} is installed. {why}"] if why else []


def _away(domain: str, problem: str, more: Mapping[str, Any], outcomes: list[tuple[bool, str]]) -> None:
    """The feed cannot be read. Not on the first day is that worth a person's time."""
    since = float(more["away"].setdefault(domain, time.time()))
    days = (time.time() - since) / _DAY
    detail = f"The feed of releases could not be read for {days:.0f} days: {problem}"
    long = time.time() - since >= PATIENCE
    outcomes.append((not long, detail))
    if long:
        text = (
            f"{detail}\nNew releases of Chamilo would go unnoticed. Set chamilo_updates_feed, or repair the connection."
        )
        alert.notify("updates", f"No check for new releases at {domain}", text)


def _report(domain: str, news: Sequence[str], urgent: bool, more: Mapping[str, Any]) -> bool:
    """Report what is new, and again each week. Returns whether a person would receive it, as far as is known."""
    who = alert.addressee()
    text = "\n".join(news)
    last = more["told"].get(domain, {})
    if not news:
        more["told"].pop(domain, None)
    elif last.get("text") != text or time.time() - float(last.get("at", 0)) >= _WEEK:
        title = f"{'Update Chamilo now' if urgent else 'A new Chamilo is out'}: {domain}"
        try:
            ways = alert.notify("updates", title, text, again=True)
        except alert.AlertError:  # it is in the journal, and the test alert reports the reason
            return False
        if ways:
            more["told"][domain] = {"text": text, "at": time.time()}
    return bool(who.mail or who.webhook)


def installed(domain: str, root: str) -> str:
    """The installed version, as the code names it; empty when it is not known."""
    return discover(domain, root).version


def fetch(address: str) -> str:
    """The text behind an https address, not more than a feed can be."""
    host = urllib.parse.urlsplit(address).hostname or address
    answer = http.fetch(address, headers={"Accept": "*/*"}, verify=True, timeout=SECONDS, limit=_BYTES)
    if answer.error:
        raise FeedError(f"{host} could not be reached: {answer.error}.")
    if answer.status != 200:
        moved = f" and leads to {answer.value('Location')}" if answer.value("Location") else ""
        raise FeedError(f"{host} answered {answer.status}{moved}.")
    return answer.body.decode("utf-8", "replace")


def releases(text: str) -> list[Published]:
    """The releases in a feed, GitHub's Atom of releases. The server controls the text: it is read in linear time."""
    found = []
    for entry in re.split(r"<entry[\s>]", text)[1:]:
        begin, _sign, rest = entry.partition("<id>")
        name = html.unescape(rest.partition("<")[0][:_LONGEST]).rpartition("/")[2]
        found.append(Published(name, bool(_SECURITY.search(begin) or _SECURITY.search(rest))))
    known = [each for each in found if is_version(each.version)]
    if not known:
        raise FeedError("the answer names no release, so it is no feed of releases.")
    return known


def newer(here: str, known: Sequence[Published]) -> list[Published]:
    """The newest release of the installed branch and the newest of all, where they are newer. Tests are no releases.

    Each fixes vulnerabilities where any does that was published since the installed one.
    """
    own: Version | None = parse(here) if here and is_version(here) else None
    ready = sorted(
        (parse(each.version), each.version.lstrip("v"), each.security) for each in known if stable(each.version)
    )
    if own is None:
        return [Published(*ready[-1][1:])] if ready else []
    later = [each for each in ready if each[0] > own]
    branch = [each for each in later if each[0][:2] == own[:2]]
    found = [Published(some[-1][1], any(each[2] for each in some)) for some in (branch, later) if some]
    return list({each.version: each for each in reversed(found)}.values())[::-1]


def newest(known: Sequence[Published]) -> dict[str, str]:
    """The newest release of each of the newest branches."""
    ready = sorted((parse(each.version), each.version.lstrip("v")) for each in known if stable(each.version))
    found = {advisories.of(version): version for _number, version in ready}
    return dict(list(found.items())[-_BRANCHES:])


def states() -> dict[str, str]:
    """``known_by`` for every portal that is watched."""
    return {
        str(known["domain"]): known_by(advisories.packed(), str(known["domain"]), time.time()) for known in watched()
    }
