# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What backup, restore test and restore of a portal have in common: one at a time, and what goes wrong is reported."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence

from .._common import alert, files, locks, records
from .portal import BackupError, Portal, note, portals, remembered, unfinished

LATE_HOURS, LATE_RESTORE_TEST_DAYS, LOST_HOURS = 26, 8, 95
# How bad it is, and the title of its alert: each step is reported at once.
CHECK, PARTIAL, NONE, LOST = range(4)
_TITLES = (
    "Check the backup of {}",
    "A copy of the backup of {} is missing",
    "No backup of {} was made",
    "For days no backup of {} was made",
)


class Busy(BackupError):
    """Another backup, restore test or restore of this portal is running."""


def report(portal: Portal, job: str, problems: Sequence[str], level: int = CHECK) -> None:
    """One incident for each job of a portal, whatever several repositories have to say; without problems it is over.

    A restore test can only fail while no backup is made: that is no incident of its own. An alert that cannot be sent
    must not hide its text: the reason is added to it.
    """
    cause, last = f"{job} {portal.site}", remembered(portal)["last"]
    holds = "The portal is in use as before. There is no backup of it yet."
    if last:
        made, where = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(last["at"])), " and ".join(last["places"])
        holds = f"The portal is in use as before. Its newest backup is of {made}, in {where}."
        hours = (time.time() - last["at"]) / 3600
        level = max(level, LOST if hours > LOST_HOURS else NONE if hours > LATE_HOURS else CHECK)
    elif problems:
        level = NONE
    title = (_TITLES[level] if job == "backup" else "The restore test of {} failed").format(portal.domain)
    then = f"Mend what is named, then run on the host: chamilo-hardening {job} --site {portal.site}"
    try:
        if not problems:
            alert.over("backups", cause, f"The {job} of {portal.domain} succeeds again. {holds}")
        elif job == "backup" or not alert.lasts("backups", f"backup {portal.site}"):
            alert.notify("backups", title, " ".join(problems), cause=cause, worse=level, holds=holds, then=then)
    except alert.AlertError as problem:
        raise BackupError(" ".join([*problems, str(problem)])) from problem


def failed(portal: Portal, job: str, names: Sequence[str], problem: str) -> None:
    """Send an alert and record the failure. The alert first: on a full disk nothing can be recorded."""
    try:
        report(portal, job, [problem], NONE)
    finally:
        for name in names:
            note(portal, name, False, problem)


@contextlib.contextmanager
def alone(portal: Portal, who: str, wait: float = 0) -> Iterator[None]:
    """One at a time for each portal. The kernel lets go of the lock when its holder dies."""
    path = _lock(portal)
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)

    def busy(holder: str) -> Busy:
        return Busy(f"A {holder or 'backup'} of {portal.domain} is still going on.")

    with locks.lock(path, who, wait, busy):
        yield


def holder(portal: Portal) -> str:
    """Which job of this portal is going on, or an empty text."""
    return locks.holder(_lock(portal))


def _lock(portal: Portal) -> str:
    return os.path.join(files.STATE, "backups", f"{portal.site}.lock")


def red(portal: Portal) -> Iterator[tuple[str, str]]:
    """What is late, or failed when it was last tried: the job, and a sentence; no job where the first one goes on."""
    known = records.read(f"backups-{portal.site}.json")
    drills = [("drill", "restore test", LATE_RESTORE_TEST_DAYS * 24)] if portal.drills else []
    copies = [("offsite", "copy elsewhere", LATE_HOURS)] if portal.offsite else []
    for name, what, hours in (("database", "backup", LATE_HOURS), *copies, *drills):
        entry, job = known.get(name, {}), "drill" if name == "drill" else "backup"
        age = (time.time() - float(entry.get("at", 0))) / 3600
        if not entry and (running := holder(portal)):
            yield "", f"The first {what} of {portal.domain} is not done yet: {running}."
        elif not -1 < age <= hours:
            since = f"for {age:.0f} hours" if entry else "ever"
            if age < 0:  # the clock was wrong then
                since = "that is known: the last one is dated in the future. Check the clock"
            words = f"There was no {what} of {portal.domain} {since}. See: journalctl -t chamilo-hardening"
            yield job, words
        elif not entry["ok"]:
            yield job, f"The last {what} of {portal.domain} failed: {entry['detail']}"


def late() -> list[str]:
    """A step of the daily work: a backup or restore test that did not even start cannot report it itself."""
    lines = []
    for portal in portals():
        found = list(red(portal))
        lines += [words for _job, words in found]
        backup = [words for job, words in found if job == "backup"]
        if backup:  # else the next good one ends the incident
            report(portal, "backup", backup, PARTIAL)
        report(portal, "drill", [words for job, words in found if job == "drill"])
        restoring = "" if holder(portal) else unfinished(portal)
        if restoring:
            lines.append(restoring)
            holds = "Nothing that was there before is removed."
            alert.notify("backups", f"A restore of {portal.domain} is not finished", restoring, holds=holds)
    return lines or ["Backups and restore tests are in time, and the last ones succeeded."]
