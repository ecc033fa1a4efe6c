# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The releases of Chamilo and the vulnerabilities in them, as known on a day."""

from __future__ import annotations

import datetime
import functools
import json
import pkgutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .._common.errors import HardeningError
from .._common.sentences import first_of
from .._common.version import Version, VersionError, parse

DAYS = 60  # an older list is no proof any more, unless the feed of releases is read


class AdvisoryError(HardeningError):
    """There is no list to judge by."""


@dataclass(frozen=True)
class Advisory:
    """A published vulnerability. ``events``: OSV's, in the order of versions."""

    ids: tuple[str, ...]
    summary: str
    events: tuple[tuple[str, str], ...]
    controls: tuple[str, ...]

    def affects(self, version: Version) -> bool:
        """By OSV's rule: the last event at or before the version decides."""
        affected = False
        for kind, text in sorted(self.events, key=lambda event: _order(event[1])):
            bound = _order(text)
            if bound < version or (bound == version and kind != "last_affected"):
                affected = kind == "introduced"
        return affected


@dataclass(frozen=True)
class Release:
    """``summary``: of the vulnerabilities that it fixes."""

    version: str
    security: bool
    summary: str


@dataclass(frozen=True)
class Branch:
    """A line of releases, and the newest release in it that fixes vulnerabilities; empty where there is none."""

    name: str  # the first two numbers of its versions
    supported: bool
    php: str  # the least version of PHP; empty where it is not known
    remark: str
    floor: str
    fixes: str


def _order(text: str) -> Version:
    return parse(text) if text != "0" else (0, 0, 0, 0, 0)


def of(version: str) -> str:
    """The branch of a version: 2.0 of 2.0.4."""
    return "{}.{}".format(*parse(version)[:2])


@dataclass(frozen=True)
class Advisories:
    """The list, of the day ``dated``."""

    dated: str
    branches: Mapping[str, Branch]
    releases: tuple[Release, ...]
    advisories: tuple[Advisory, ...]

    def newest(self, branch: str) -> str:
        """The newest release of a branch that the list knows; empty where it knows none."""
        return max((one.version for one in self.releases if of(one.version) == branch), key=parse, default="")

    def open_in(self, version: str) -> list[Advisory]:
        """The published vulnerabilities of an installed version; none where it is no version."""
        try:
            here = parse(version)
        except VersionError:
            return []
        return [each for each in self.advisories if each.affects(here)]

    def behind(self, version: str) -> str:
        """Why a version has to be replaced according to the list, as a sentence; empty without an entry."""
        branch = self.branches.get(of(version))
        if branch is None:
            oldest = min(self.branches, key=parse)
            return f"The branch {of(version)} no longer gets fixes." if parse(version) < parse(oldest) else ""
        if not branch.floor:
            return f"{branch.remark}."
        vulnerabilities = self.open_in(version)
        if parse(version) >= parse(branch.floor) and not vulnerabilities:
            return ""
        first = first_of((f"{each.ids[0]} ({each.summary})" for each in vulnerabilities), 3, "; ")
        listed = f" {first}." if first else ""
        fixes = f" {branch.floor} fixes {branch.fixes}." if branch.fixes else ""
        return f"It has published vulnerabilities, fixed in {branch.floor}.{listed}{fixes}"

    def move(self, version: str, php: str) -> str:
        """What to do about a branch that is no longer supported, and whether this PHP is in the way; or nothing."""
        branch = self.branches.get(of(version))
        if branch is None or branch.supported:
            return ""
        newest = max((each for each in self.branches.values() if each.supported), key=lambda each: parse(each.name))
        old = php and newest.php and parse(php) < parse(newest.php)
        needs = (
            f" {newest.name} needs PHP {newest.php}, and this host has {php}: upgrade the system first (Debian 13)."
            if old
            else ""
        )
        return f"{branch.remark}.{needs}"

    def needs(self, version: str, php: str) -> str:
        """Why a version does not run with this PHP, as a sentence; empty where it does, or where that is not known."""
        try:
            branch = self.branches.get(of(version))
        except VersionError:
            return ""
        if not branch or not branch.php or not php or parse(php) >= parse(branch.php):
            return ""
        return (
            f"Chamilo {branch.name} needs PHP {branch.php}, and this portal runs with {php}: upgrade the system first "
            "(Debian 13 has PHP 8.4)."
        )

    def age(self, today: datetime.date) -> int:
        """How many days ago the sources of the list were last read."""
        return (today - datetime.date.fromisoformat(self.dated)).days


def read(known: Mapping[str, Any]) -> Advisories:
    """The list out of its document, which the controller makes of meta/advisories.json."""
    releases = tuple(Release(one["version"], bool(one["security"]), one["summary"]) for one in known["releases"])
    return Advisories(
        known["dated"],
        {one["name"]: _branch(one, releases) for one in known["branches"]},
        releases,
        tuple(
            Advisory(
                tuple(one["ids"]),
                one["summary"],
                tuple((kind, text) for kind, text in one["events"]),
                tuple(one["controls"]),
            )
            for one in known["advisories"]
        ),
    )


def _branch(one: Mapping[str, Any], releases: Iterable[Release]) -> Branch:
    own = [each for each in releases if each.security and of(each.version) == one["name"]]
    last = max(own, key=lambda each: parse(each.version), default=Release("", True, ""))
    return Branch(one["name"], bool(one["supported"]), one["php"], one["remark"], last.version, last.summary)


@functools.lru_cache(maxsize=1)
def packed() -> Advisories:
    """The list that the host program has in it."""
    try:
        text = pkgutil.get_data(__package__ or "", "advisories.json")
    except OSError:
        text = None
    if text is None:
        raise AdvisoryError("there is no list of releases and vulnerabilities here: the controller gives it")
    return read(json.loads(text))


def controls(known: Collection[Advisory]) -> list[str]:
    """Those of the table that stand in their way on a hardened host."""
    return sorted({control for each in known for control in each.controls})
