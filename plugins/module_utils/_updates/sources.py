# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of releases and vulnerabilities, and of which day: the list, and what the daily check last read."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from .._application.observer import Observer
from .._common import records
from .._common.version import VersionError, parse
from . import advisories
from .advisories import Advisories

RECORD = "updates.json"
_DAY = 86400
PATIENCE = 3 * _DAY  # how long a feed may be unreachable before an alert


def listed(observer: Observer) -> Advisories:
    """The list of releases and vulnerabilities: of the controller, or of the host program where that audits."""
    given = observer.options["advisories"]
    return advisories.read(given) if given else advisories.packed()


def last_read(domain: str) -> Mapping[str, Any]:
    """What the daily check last read for a portal: ``feed``, with the moment; empty before that."""
    try:
        known = records.read(RECORD).get("watch", {}).get("read", {}).get(domain, {})
    except PermissionError:  # for root alone
        return {}
    return known if isinstance(known, dict) else {}


def newest_of_branch(known: Advisories, domain: str, here: str) -> str:
    """The newest release of the branch of ``here``, by the list and the feed; empty where none is known."""
    if not is_version(here):
        return ""
    branch = advisories.of(here)
    released = [known.newest(branch), str(last_read(domain).get("feed", {}).get("newest", {}).get(branch, ""))]
    return max(filter(is_version, released), key=parse, default="")


def moments(known: Advisories, domain: str) -> dict[str, float]:
    """When each source was last read, in seconds since 1970; 0 for never."""
    dated = datetime.datetime.fromisoformat(f"{known.dated}T00:00:00+00:00").timestamp()
    read = last_read(domain)
    return {"list": dated, "feed": float(read.get("feed", {}).get("at", 0))}


def fresh(read: Mapping[str, Any], now: float) -> bool:
    """Whether the feed of releases was read in the last days. A moment to come is that of a wrong clock."""
    return -_DAY < now - float(read.get("feed", {}).get("at", 0)) < PATIENCE


def known_by(known: Advisories, domain: str, now: float) -> str:
    """Of which day the list is, and when the daily check last read the feed, as a sentence."""
    read, read_at = last_read(domain), moments(known, domain)
    today = datetime.datetime.fromtimestamp(now, datetime.timezone.utc).date()
    days = known.age(today)
    moment = datetime.datetime.fromtimestamp(read_at["feed"], datetime.timezone.utc)
    words = f"read {moment:%Y-%m-%d %H:%M} UTC" if read_at["feed"] else "not read yet"
    away = ", not reached since" if read.get("feed", {}).get("problem") else ""
    listed_on = f"list of vulnerabilities of {known.dated} ({days} day{'s' * (days != 1)} old)"
    return f"Known by: {listed_on}, feed of releases {words}{away}."


def is_version(text: str) -> bool:
    try:
        parse(text)
    except VersionError:
        return False
    return True
