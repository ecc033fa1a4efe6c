# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""The releases of Chamilo and the vulnerabilities in them, as known on a day."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ansible_collections.chamilo.hardening.plugins.module_utils._common.sentences import first_of
from ansible_collections.chamilo.hardening.plugins.module_utils._common.version import Version, VersionError, parse
from ansible_collections.chamilo.hardening.plugins.module_utils._updates import advisory_data

DATED = advisory_data.DATED
DAYS = 60  # an older list is no proof any more, unless the feed of releases is read


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
class Branch:
    """A line of releases, and the newest release in it that fixes vulnerabilities; empty where there is none."""

    name: str  # the first two numbers of its versions
    supported: bool
    php: str  # the least version of PHP; empty where it is not known
    remark: str
    floor: str
    fixes: str


ADVISORIES = tuple(Advisory(*each) for each in advisory_data.ADVISORIES)


def _order(text: str) -> Version:
    return parse(text) if text != "0" else (0, 0, 0, 0, 0)


def _branch(name: str, supported: bool, php: str, remark: str) -> Branch:
    own = [
        (parse(version), version, summary)
        for version, security, summary, _after in advisory_data.RELEASES
        if security and of(version) == name
    ]
    _number, floor, fixes = max(own, default=((), "", ""))
    return Branch(name, supported, php, remark, floor, fixes)


def of(version: str) -> str:
    """The branch of a version: 2.0 of 2.0.4."""
    return "{}.{}".format(*parse(version)[:2])


def newest(branch: str) -> str:
    """The newest release of a branch that the list knows; empty where it knows none."""
    own = [version for version, _security, _summary, _after in advisory_data.RELEASES if of(version) == branch]
    return max(own, key=parse, default="")


BRANCHES = {branch[0]: _branch(*branch) for branch in advisory_data.BRANCHES}


def open_in(version: str) -> list[Advisory]:
    """The published vulnerabilities of an installed version; none where it is no version."""
    try:
        here = parse(version)
    except VersionError:
        return []
    return [each for each in ADVISORIES if each.affects(here)]


def behind(version: str) -> str:
    """Why a version has to be replaced according to the list, as a sentence; empty without an entry."""
    branch = BRANCHES.get(of(version))
    if branch is None:
        oldest = min(BRANCHES, key=parse)
        return f"The branch {of(version)} no longer gets fixes." if parse(version) < parse(oldest) else ""
    if not branch.floor:
        return f"{branch.remark}."
    vulnerabilities = open_in(version)
    if parse(version) >= parse(branch.floor) and not vulnerabilities:
        return ""
    fixed = f" {branch.floor} fixes {branch.fixes}." if branch.fixes else f" They are fixed in {branch.floor}."
    first = first_of((f"{each.ids[0]} ({each.summary})" for each in vulnerabilities), 3, "; ")
    listed = f" {first}." if first else ""
    return f"It has published vulnerabilities, fixed in {branch.floor}.{listed}{fixed if branch.fixes else ''}"


def after(version: str) -> tuple[str, ...]:
    """What the releases of a branch ask to be done after the update to them, up to a version; the newest first."""
    try:
        here = parse(version)
    except VersionError:
        return ()
    own = [each for each in advisory_data.RELEASES if of(each[0]) == of(version) and parse(each[0]) <= here]
    return tuple(dict.fromkeys(step for each in sorted(own, key=lambda one: parse(one[0]))[::-1] for step in each[3]))


def move(version: str, php: str) -> str:
    """What to do about a branch that is no longer supported, and whether this PHP is in the way; empty where it is."""
    branch = BRANCHES.get(of(version))
    if branch is None or branch.supported:
        return ""
    newest = max((each for each in BRANCHES.values() if each.supported), key=lambda each: parse(each.name))
    old = php and newest.php and parse(php) < parse(newest.php)
    needs = (
        f" {newest.name} needs PHP {newest.php}, and this host has {php}: upgrade the system first (Debian 13)."
        if old
        else ""
    )
    return f"{branch.remark}.{needs}"


def needs(version: str, php: str) -> str:
    """Why a version does not run with this PHP, as a sentence; empty where it does, or where that is not known."""
    try:
        branch = BRANCHES.get(of(version))
    except VersionError:
        return ""
    if not branch or not branch.php or not php or parse(php) >= parse(branch.php):
        return ""
    return (
        f"Chamilo {branch.name} needs PHP {branch.php}, and this portal runs with {php}: upgrade the system first "
        "(Debian 13 has PHP 8.4)."
    )


def unknown(ids: Iterable[str], version: str) -> list[str]:
    """Those of the identifiers that others name for a version and that the list does not judge itself.

    What is in the list was reviewed: some records contradict themselves.
    """
    try:
        parse(version)
    except VersionError:
        return []
    reviewed = {name for each in ADVISORIES for name in each.ids}
    return [name for name in ids if name not in reviewed]


def age(today: datetime.date) -> int:
    """How many days ago the sources of the list were last read."""
    return (today - datetime.date.fromisoformat(DATED)).days


def controls(known: Collection[Advisory]) -> list[str]:
    """Those of the table that stand in their way on a hardened host."""
    return sorted({control for each in known for control in each.controls})
