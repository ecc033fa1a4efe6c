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
from .portal import BackupError, Portal, note, portals, unfinished

LATE_HOURS, LATE_RESTORE_TEST_DAYS = 26, 8


class Busy(BackupError):
    """Another backup, restore test or restore of this portal is running."""


def notify(portal: Portal, title: str, text: str) -> None:
    """Alert the administrator. An alert that cannot be sent must not hide its text: the reason is added to it."""
    try:
        alert.notify("backups", f"{title} ({portal.domain})", text)
    except alert.AlertError as problem:
        raise BackupError(f"{text} {problem}") from problem


def failed(portal: Portal, names: Sequence[str], title: str, problem: str) -> None:
    """Send an alert and record the failure. The alert first: on a full disk nothing can be recorded."""
    try:
        notify(portal, title, problem)
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
    """What is late, or failed when it was last tried: the title of an alert, and a sentence."""
    known = records.read(f"backups-{portal.site}.json")
    drills = [("drill", "restore test", LATE_RESTORE_TEST_DAYS * 24)] if portal.drills else []
    copies = [("offsite", "copy elsewhere", LATE_HOURS)] if portal.offsite else []
    for name, what, hours in (("database", "backup", LATE_HOURS), *copies, *drills):
        entry = known.get(name, {})
        age = (time.time() - float(entry.get("at", 0))) / 3600
        if not entry and (running := holder(portal)):
            yield "The first one goes on", f"The first {what} of {portal.domain} is not done yet: {running}."
        elif not -1 < age <= hours:
            since = f"for {age:.0f} hours" if entry else "ever"
            if age < 0:  # the clock was wrong then
                since = "that is known: the last one is dated in the future. Check the clock"
            words = f"There was no {what} of {portal.domain} {since}. See: journalctl -t chamilo-hardening"
            yield f"The {what} is late", words
        elif not entry["ok"]:
            yield f"The {what} failed", f"The last {what} of {portal.domain} failed: {entry['detail']}"


def late() -> list[str]:
    """A step of the daily work: a backup or restore test that did not even start cannot report it itself."""
    lines = []
    for portal in portals():
        for title, words in red(portal):
            lines.append(words)
            # A backup reports each day itself what fails.
            if title.endswith("late") or "restore test" in title:
                notify(portal, title, words)
        restoring = unfinished(portal)
        if restoring and not holder(portal):
            notify(portal, "A restore is not finished", restoring)
            lines.append(restoring)
    return lines or ["Backups and restore tests are in time, and the last ones succeeded."]
