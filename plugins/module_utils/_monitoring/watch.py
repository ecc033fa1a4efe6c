# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks that monit runs every few minutes: failed logins, and disks.

monit runs this in a sandbox that can write to /run alone, so it only checks and answers; monit has the alert sent.
"""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._application import login_record
from .._application.database import DatabaseError
from .._application.discovery import discover
from .._application.portal_reader import PortalReader
from .._common import files
from .._common.errors import HardeningError
from .._common.paths import shown
from .._common.sentences import first_of

DIRECTORY = "/etc/chamilo-hardening"
PULSE = "/run/chamilo-hardening"
# So many networks guessed at one account, so often: that is no forgotten password.
_NETWORKS, _GUESSES = 3, 5
_NAMED = 5  # accounts in a sentence


class WatchError(HardeningError):
    """A check could not be done; the message states why."""


@dataclass(frozen=True)
class Seen:
    """The answer, and whether it is an alarm."""

    text: str
    alarm: bool


def configuration(site: str) -> dict[str, Any]:
    """What section monitoring wrote down about a portal."""
    path = f"{DIRECTORY}/monitoring-{site}.json"
    try:
        with open(path, encoding="utf-8") as stream:
            known: dict[str, Any] = json.load(stream)
    except FileNotFoundError as problem:
        raise WatchError(f"There is no {path}. Run the playbook harden with the section monitoring.") from problem
    except ValueError as problem:
        raise WatchError(f"{path} is damaged: {problem}.") from problem
    return known


def logins(site: str, moment: float | None = None) -> Seen:
    """Count failed logins of the last minutes, over all addresses and by account, in Chamilo's own record."""
    known = configuration(site)
    moment = time.time() if moment is None else moment
    if known.get("leader"):  # one node of a portal counts for all
        _pulse(site, {"at": moment, "text": f"Failed logins are counted on {known['leader']}."})
        return Seen("", False)
    since = moment - 60 * int(known["minutes"])
    try:
        reader = PortalReader.of(discover(known["domain"], known["root"]).installation)
        newest = login_record.newest(reader)
        # The number of the last login each time that monit asked: the record's times have no zone.
        marks = [mark for mark in pulse(site).get("marks", []) if mark[0] < moment and mark[1] <= newest]
        before, within = ([mark for mark in marks if (mark[0] > since) is late] for late in (False, True))
        marks = [*before[-1:], *within, [moment, newest]]
        guesses = login_record.failed_after(reader, marks[0][1])
    except DatabaseError as problem:  # monit runs and asks all the same
        _pulse(site, {"at": moment, "error": f"Failed logins are not seen. {problem}"})
        raise WatchError(f"Failed logins are not seen. {problem}") from problem
    count = sum(one.count for one in guesses)
    networks = len({one.network for one in guesses})
    text = f"{count} failed logins from {networks} addresses in {known['minutes']} minutes at {known['domain']}."
    _pulse(site, {"at": moment, "text": text, "marks": marks})
    attacked = _attacked(guesses)
    return Seen(" ".join([text, *attacked]), bool(attacked) or count >= int(known["failures"]))


def _attacked(guesses: Sequence[login_record.Guesses]) -> list[str]:
    """The accounts at which many networks guess: such guesses lock one, and no ban of an address ends them."""
    networks: dict[str, set[str]] = defaultdict(set)
    counts: dict[str, int] = defaultdict(int)
    for one in guesses:
        if one.known:
            networks[one.name].add(one.network)
            counts[one.name] += one.count
    found = [name for name in counts if len(networks[name]) >= _NETWORKS and counts[name] >= _GUESSES]
    found.sort(key=lambda name: -counts[name])
    if not found:
        return []
    each_one = (f"{shown(name)} {counts[name]} times from {len(networks[name])} networks" for name in found)
    return [f"Guessed at: {first_of(each_one, _NAMED)}. An account that this locked: chamilo-hardening unlock NAME."]


def _pulse(site: str, output: Mapping[str, Any]) -> None:
    """A sign of life: the daily work checks that it is fresh, which shows that monit runs and asks."""
    files.replace_file(f"{PULSE}/watch-{site}.json", json.dumps(output) + "\n")


def pulse(site: str) -> Mapping[str, Any]:
    """The last sign of life; empty when there is none since the host came up."""
    try:
        with open(f"{PULSE}/watch-{site}.json", encoding="utf-8") as stream:
            known: dict[str, Any] = json.load(stream)
    except (FileNotFoundError, ValueError):
        return {}
    return known


def disks(paths: Sequence[str], percent: int) -> Seen:
    """The file systems behind some paths that are fuller than so many percent; each is named once."""
    full: dict[str, str] = {}
    seen: dict[str, str] = {}
    for path in paths:
        if not os.path.exists(path):
            continue
        mount = mount_of(path)
        info = os.statvfs(path)
        if mount in seen or not info.f_blocks:
            continue
        # As df counts: of what an ordinary process could use.
        used = info.f_blocks - info.f_bfree
        share = 100 * used / max(1, used + info.f_bavail)
        seen[mount] = f"{mount} {share:.0f} % full"
        nodes = 100 * (info.f_files - info.f_ffree) / info.f_files if info.f_files else 0
        if share >= percent or nodes >= percent:
            full[mount] = f"{mount} is {share:.0f} % full, {nodes:.0f} % of its inodes are in use"
    return Seen("; ".join(full.values()) or "; ".join(seen.values()) or "No such path.", bool(full))


def mount_of(path: str) -> str:
    path = os.path.realpath(path)
    while not os.path.ismount(path):
        path = os.path.dirname(path)
    return path
