# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""The daily look for a newer Chamilo: at the feed of releases, and at the list of published holes."""

from __future__ import annotations

import datetime
import glob
import html
import json
import re
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.chamilo.hardening.plugins.module_utils._common import alert, http, records
from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._common.version import (
    Version,
    VersionError,
    parse,
    stable,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.database import DatabaseError, Reader
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.discovery import discover
from ansible_collections.chamilo.hardening.plugins.module_utils._updates import advisories

FOLDER = "/etc/chamilo-hardening"
RECORD = "updates.json"
SECONDS = 20
_BYTES = 4 << 20
_DAY = 86400
_PATIENCE = 3 * _DAY  # how long a feed may be away before a person is told
_WEEK = 7 * _DAY  # between two reminders of the same release


class FeedError(HardeningError):
    """The feed cannot be read; the text says why."""


def step() -> list[str]:
    """Look once for every portal."""
    lines: list[str] = []
    outcomes: list[tuple[bool, str]] = []
    last = records.read(RECORD).get("watch", {})
    more: dict[str, Any] = {"told": dict(last.get("told", {})), "away": dict(last.get("away", {}))}
    for path in sorted(glob.glob(f"{FOLDER}/updates-*.json")):
        with open(path, encoding="utf-8") as stream:
            known = json.load(stream)
        lines += _portal(known, more, outcomes)
    if outcomes:
        words = " ".join(dict.fromkeys(detail for _done, detail in outcomes))
        records.note(RECORD, "watch", all(done for done, _detail in outcomes), words, **more)
    return lines


def _portal(known: Mapping[str, Any], more: Mapping[str, Any], outcomes: list[tuple[bool, str]]) -> list[str]:
    domain, feed = str(known["domain"]), str(known["feed"])
    here = installed(domain, str(known["root"]))
    urgent = advisories.open_in(here) if here else []
    news = [f"Chamilo {here} has a published hole: {each.ids}, {each.hole}; fixed in {each.fixed}." for each in urgent]
    age = (datetime.date.today() - datetime.date.fromisoformat(advisories.DATED)).days
    if age > advisories.DAYS:
        news.append(
            f"The list of published holes is of {advisories.DATED}. Install a newer chamilo.hardening and harden."
        )
    reached = True
    if not feed:
        outcomes.append((False, "The look at the feed of releases is switched off (chamilo_updates_feed)."))
    else:
        try:
            newest = newer(here, releases(fetch(feed)))
        except FeedError as problem:
            reached = _away(domain, feed, str(problem), more, outcomes)
        else:
            more["away"].pop(domain, None)
            news += [f"Chamilo {version} is out; {here or 'an unknown version'} is installed." for version in newest]
    told = _tell(domain, news, more)
    if feed and reached:
        outcomes.append((told, " ".join(news) or f"Chamilo {here} is the newest release of its feed."))
    return news


def _away(domain: str, feed: str, problem: str, more: Mapping[str, Any], outcomes: list[tuple[bool, str]]) -> bool:
    """The feed cannot be read. Not on the first day is that worth a person's time. Always False."""
    since = float(more["away"].setdefault(domain, time.time()))
    days = (time.time() - since) / _DAY
    detail = f"The feed of releases could not be read for {days:.0f} days: {problem}"
    long = time.time() - since >= _PATIENCE
    outcomes.append((not long, detail))
    if long:
        text = (
            f"{detail}\nNobody would hear of a new release of Chamilo. Set chamilo_updates_feed, or mend the way to it."
        )
        alert.tell("updates", f"No look for new releases at {domain}", text)
    return False


def _tell(domain: str, news: Sequence[str], more: Mapping[str, Any]) -> bool:
    """Tell what is new, and again each week. Returns whether somebody would hear it, as far as is known."""
    who = alert.addressee()
    text = "\n".join(news)
    last = more["told"].get(domain, {})
    if not news:
        more["told"].pop(domain, None)
    elif last.get("text") != text or time.time() - float(last.get("at", 0)) >= _WEEK:
        urgent = any("hole" in line for line in news)
        title = f"{'Update Chamilo now' if urgent else 'A new Chamilo is out'}: {domain}"
        try:
            ways = alert.tell("updates", title, text, again=True)
        except alert.AlertError:  # it is in the journal, and the test alert says why
            return False
        if ways:
            more["told"][domain] = {"text": text, "at": time.time()}
    return bool(who.mail or who.webhook)


def installed(domain: str, root: str) -> str:
    """The installed version: what the code says, else what the database remembers; empty when neither is known."""
    site = discover(domain, root)
    if site.version:
        return site.version
    try:
        return Reader.of_site(site).settings().get("platform.chamilo_database_version", "")
    except DatabaseError:
        return ""


def fetch(address: str) -> str:
    """The text behind an https address, not more than a feed can be."""
    location = address
    for _hop in range(4):
        address, host = _https(address, location)
        answer = http.fetch(address, headers={"Accept": "*/*"}, verify=True, timeout=SECONDS, limit=_BYTES)
        if answer.error:
            raise FeedError(f"{host} could not be reached: {answer.error}.")
        if answer.status in (301, 302, 303, 307, 308):
            location = answer.value("Location")
        elif answer.status != 200:
            raise FeedError(f"{host} answered {answer.status}.")
        else:
            return answer.body.decode("utf-8", "replace")
    raise FeedError(f"{address} is one redirect too many.")


def _https(base: str, location: str) -> tuple[str, str]:
    """Where a location leads to, seen from an address, and which host that is."""
    try:
        address = urllib.parse.urljoin(base, location)
        parts = urllib.parse.urlsplit(address)
        if parts.scheme == "https" and parts.hostname and parts.port != 0:
            return address, parts.hostname
    except ValueError:  # brackets, or a port that is none
        pass
    raise FeedError(f"{location} is no address that begins with https://.")


def releases(text: str) -> list[str]:
    """The versions in a feed: GitHub's Atom of releases, its JSON, or a manifest that names a version."""
    if text.lstrip()[:1] in "[{":
        found = re.findall(r'"(?:tag_name|version|new_version)"\s*:\s*"([^"]{1,40})"', text)
    else:
        # Whoever answers chooses the text: nothing here may look at it again and again.
        entries = " ".join(re.split(r"<entry[\s>]", text)[1:])
        found = [html.unescape(one).rpartition("/")[2] for one in re.findall(r"<id>([^<]+)</id>", entries)]
    versions = [each for each in found if _is_version(each)]
    if not versions:
        raise FeedError("the answer names no release, so it is no feed of releases.")
    return versions


def _is_version(text: str) -> bool:
    try:
        parse(text)
    except VersionError:
        return False
    return True


def newer(here: str, known: Sequence[str]) -> list[str]:
    """The newest release of the installed branch and the newest of all, where they are newer. Tests are no releases."""
    own: Version | None = parse(here) if here and _is_version(here) else None
    ready = sorted((parse(each), each.lstrip("v")) for each in known if stable(each))
    if own is None:
        return [ready[-1][1]] if ready else []
    later = [(version, text) for version, text in ready if version > own]
    branch = [text for version, text in later if version[:2] == own[:2]][-1:]
    return list(dict.fromkeys([*branch, *(text for _version, text in later[-1:])]))


def figures() -> Mapping[str, Any]:
    """What was last seen, for others to show."""
    known: dict[str, Any] = records.read(RECORD).get("watch", {})
    return known
