# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One job of a portal at a time, and reports of what is late."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import (
    backup,
    jobs,
    portal,
    restore_test,
    retention,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import BackupError, Portal
from ansible_collections.chamilo.hardening.plugins.module_utils._common import alert
from ansible_collections.chamilo.hardening.plugins.module_utils._program.daily import run
from tests.unit.plugins.module_utils._backups.conftest import of_campus

pytestmark = pytest.mark.usefixtures("directories")


def test_one_backup_at_a_time(directories: Path) -> None:
    with jobs.alone(of_campus(directories), "drill"):
        with pytest.raises(jobs.Busy, match="drill"), jobs.alone(of_campus(directories), "backup"):
            raise AssertionError("two at a time")
    with jobs.alone(of_campus(directories), "backup"):
        assert os.path.exists(directories / "state" / "backups" / "campus.lock")


def known(directories: Path, **more: Any) -> Portal:
    configured = {"site": "campus", "domain": "campus.test", "root": f"{directories}/chamilo", **more}
    (directories / "etc" / "backups-campus.json").write_text(json.dumps(configured))
    return portal.portals()[0]


def test_late_ones_are_reported(
    directories: Path, monkeypatch: pytest.MonkeyPatch, alerts: list[tuple[str, str]]
) -> None:
    campus = known(directories)
    with jobs.alone(campus, "backup"):  # which harden has begun
        assert "The first backup of campus.test is not done yet: backup" in jobs.late()[0] and not alerts
    assert len(jobs.late()) == 2
    assert [title for title, _text in alerts] == [
        "No backup of campus.test was made",
        "The restore test of campus.test failed",
    ]
    for name in ("database", "drill"):
        portal.note(campus, name, True, "fine")
    assert jobs.late() == ["Backups and restore tests are in time, and the last ones succeeded."]
    portal.note(campus, "drill", False, "The store is full.")
    assert jobs.late() == ["The last restore test of campus.test failed: The store is full."]
    # The clock was wrong, and is right now.
    before = time.time() - 7200
    monkeypatch.setattr(time, "time", lambda: before)
    assert "dated in the future" in jobs.late()[0]
    assert len(jobs.late()) == 2
    known(directories, drills=False)
    assert len(jobs.late()) == 1


def test_five_days_without_a_backup_are_one_incident(directories: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both repositories fail each day, and the restore test with them; then all works again."""
    mails: list[tuple[int, str, str]] = []
    began = 1_800_000_000.0
    moment, works = began, True

    def save(there: Portal, memory: dict[str, Any], _chosen: Any) -> dict[str, str]:
        if not works:
            raise BackupError("Nothing was saved in /near: no space left on device. Nothing was saved in /far: timeout")
        numbers = {"run": "1", "dump_bytes": 1, "tables": ["user"], "files": 1, "bytes": 1}
        memory["last"] = {**numbers, "at": moment, "places": {"/near": {}, "/far": {}}, "offsite": "/far"}
        portal.remember(there, memory)
        return {}

    def mail(_to: str, _section: str, title: str, text: str) -> str:
        mails.append((round((moment - began) / 86400), title, text))
        return ""

    monkeypatch.setattr(alert, "addressee", lambda: alert.Addressee("admin@school.example"))
    monkeypatch.setattr(alert, "_mail", mail)
    monkeypatch.setattr(time, "time", lambda: moment)
    monkeypatch.setattr(backup, "_save", save)
    monkeypatch.setattr(backup, "nearby", lambda _portal: "")
    monkeypatch.setattr(restore_test._RestoreTest, "run", lambda _attempt: None if works else save(campus, {}, ""))
    monkeypatch.setattr(retention, "upkeep", lambda *_words: [])
    (directories / "chamilo" / "var").mkdir(parents=True)
    (directories / "etc" / "backups-campus.key").write_text("a key")
    campus = known(directories, repository="/near", offsite="/far")

    def day(number: int) -> None:
        nonlocal moment
        moment = began + number * 86400 + 900 * (number % 3)  # cron does not begin by the second
        for job in (backup.backup, restore_test.restore_test):
            with contextlib.nullcontext() if works else pytest.raises(BackupError, match="Nothing was saved in /near"):
                job(campus)
        moment += 3 * 3600
        list(run(["backups"]))

    day(0)
    assert mails == []
    works = False
    for number in range(1, 6):
        day(number)
    assert [(number, title) for number, title, _text in mails] == [
        (1, "No backup of campus.test was made"),
        (2, "No backup of campus.test was made"),
        (4, "For days no backup of campus.test was made"),
    ]
    first, last = mails[0][2], mails[-1][2]
    assert first == (
        "Nothing was saved in /near: no space left on device. Nothing was saved in /far: timeout\n\n"
        "What still holds: The portal is in use as before. Its newest backup is of 2027-01-15 08:00 UTC, in /far and "
        "/near.\n\n"
        "What to do: Mend what is named, then run on the host: chamilo-hardening backup --site campus"
    )
    assert re.search(r"Seen \d+ times since 2027-01-16 08:15 UTC\.$", last)
    works = True
    mails.clear()
    for number in (6, 7):
        day(number)
    ((number, title, text),) = mails
    assert (number, title) == (6, "Over: For days no backup of campus.test was made")
    assert text.startswith("The backup of campus.test succeeds again.") and "first on 2027-01-16 08:15 UTC" in text


def test_an_alert_that_cannot_be_sent_hides_none_of_its_text(
    directories: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_words: str, **_more: Any) -> None:
        raise alert.AlertError("No mail server.")

    monkeypatch.setattr(alert, "notify", refused)
    with pytest.raises(BackupError, match=r"^The disk is full\. No mail server\.$"):
        jobs.failed(of_campus(directories), "backup", ["database"], "The disk is full.")
