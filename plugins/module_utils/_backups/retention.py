# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups are kept, and the weekly upkeep of a repository."""

from __future__ import annotations

import datetime
import re
import time
from collections.abc import Sequence
from typing import Any

from . import restic
from .portal import BackupError, Portal
from .restic import Pair, Repository

_UPKEEP = 6.5 * 86400  # a week, with room for a run that begins earlier than the last one


def forget_halves(place: Repository) -> None:
    """Remove what a run left that was killed between database and files."""
    entries = place.entries()
    whole = {pair.run for pair in restic.paired(entries)}
    halves = [snapshot.id for snapshot in restic.snapshots(entries) if snapshot.run not in whole]
    if halves:
        _where_allowed(place, "forget", *halves)


def _where_allowed(place: Repository, *arguments: str) -> bool:
    """Remove something; False where the other side only lets us add."""
    try:
        place.run(*arguments)
    except BackupError as problem:
        if re.search(r"\b403\b|Forbidden|AccessDenied|Access Denied", str(problem)):
            return False
        raise
    return True


def upkeep(portal: Portal, memory: dict[str, Any], url: str) -> list[str]:
    """Once a week: forget old snapshots, free their space, and have restic check the repository."""
    place = Repository(portal, url)
    since = memory["upkeep"].setdefault(place.shown, time.time())
    if 0 <= time.time() - since < _UPKEEP:  # below: the clock was wrong then
        return []
    lines = []
    place.unlock()
    forget_halves(place)
    pairs = place.pairs()
    old = [half.id for pair in outdated(portal, pairs) for half in (pair.database, pair.files)]
    if old and not _where_allowed(place, "forget", "--prune", *old):
        lines.append(f"{place.shown} lets nothing be removed: what is old is cleared away over there.")
    place.run("check")
    memory["upkeep"][place.shown] = time.time()
    return [*lines, f"{place.shown} is in order."]


def outdated(portal: Portal, pairs: Sequence[Pair]) -> list[Pair]:
    """What goes: all but the last two runs, and the last of each day, week and month, for as many as are to be kept.

    As ``restic forget`` does it, which goes by dates alone: runs dated ahead would take the place of those since.
    They stay, and take no place, until their date has come.
    """
    dated = sorted((pair for pair in pairs if not pair.ahead), key=lambda pair: (pair.at, pair.number), reverse=True)
    kept = {pair.run for pair in pairs[-2:]}
    for how, most in (("%Y-%m-%d", portal.keep_daily), ("%G-%V", portal.keep_weekly), ("%Y-%m", portal.keep_monthly)):
        last, number = "", 0
        for pair in dated:
            period = datetime.datetime.fromtimestamp(pair.at).strftime(how)
            if number < most and (period != last or pair is dated[-1]):  # the oldest as long as there are few
                kept.add(pair.run)
                number += 1
            last = period
    return [pair for pair in dated if pair.run not in kept]
