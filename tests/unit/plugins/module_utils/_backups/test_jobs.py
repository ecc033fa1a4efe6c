# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One job of a portal at a time, and reports of what is late."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import jobs, portal
from ansible_collections.chamilo.hardening.plugins.module_utils._common import alert
from tests.unit.plugins.module_utils._backups.conftest import of_campus

pytestmark = pytest.mark.usefixtures("directories")


def test_one_backup_at_a_time(directories: Path) -> None:
    with jobs.alone(of_campus(directories), "drill"):
        with pytest.raises(jobs.Busy, match="drill"), jobs.alone(of_campus(directories), "backup"):
            raise AssertionError("two at a time")
    with jobs.alone(of_campus(directories), "backup"):
        assert os.path.exists(directories / "state" / "backups" / "campus.lock")


def test_late_ones_are_reported(directories: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[str] = []
    monkeypatch.setattr(jobs, "notify", lambda _portal, title, _text: reported.append(title))
    (directories / "etc" / "backups-campus.json").write_text(
        json.dumps({"site": "campus", "domain": "campus.test", "root": "/x"})
    )
    with jobs.alone(portal.portals()[0], "backup"):  # which harden has begun
        assert "The first backup of campus.test is not done yet: backup" in jobs.late()[0] and not reported
    assert len(jobs.late()) == 2 and reported == ["The backup is late", "The restore test is late"]
    for name in ("database", "drill"):
        portal.note(portal.portals()[0], name, True, "fine")
    assert jobs.late() == ["Backups and restore tests are in time, and the last ones succeeded."]
    # The clock was wrong, and is right now.
    before = time.time() - 7200
    monkeypatch.setattr(time, "time", lambda: before)
    assert "dated in the future" in jobs.late()[0]


def test_a_restore_test_that_failed_is_red_until_one_succeeds(
    directories: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mails: list[str] = []
    monkeypatch.setattr(jobs, "notify", lambda _portal, title, _text: mails.append(title))
    known = {"site": "campus", "domain": "campus.test", "root": "/x", "repository": "/a", "offsite": "/b"}
    (directories / "etc" / "backups-campus.json").write_text(json.dumps(known))
    campus = portal.portals()[0]
    for name, done in (("database", True), ("offsite", False), ("drill", False)):
        portal.note(campus, name, done, "The store is full.")
    assert jobs.late() == [
        f"The last {what} of campus.test failed: The store is full." for what in ("copy elsewhere", "restore test")
    ]
    assert mails == ["The restore test failed"], "the backup itself reports each day what fails"
    for name in ("offsite", "drill"):
        portal.note(campus, name, True, "")
    assert "succeeded" in jobs.late()[0] and len(mails) == 1


def test_no_restore_test_is_late_where_none_are_made(directories: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[str] = []
    monkeypatch.setattr(jobs, "notify", lambda _portal, title, _text: reported.append(title))
    (directories / "etc" / "backups-campus.json").write_text(
        json.dumps({"site": "campus", "domain": "campus.test", "root": "/x", "drills": False})
    )
    assert len(jobs.late()) == 1 and reported == ["The backup is late"]


def test_another_problem_of_the_same_day_and_the_same_of_the_next_day_are_reported(
    directories: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the real alert, of which only the mail is caught."""
    mails: list[str] = []
    moment = time.time()
    monkeypatch.setattr(alert, "addressee", lambda: alert.Addressee("admin@school.example"))
    monkeypatch.setattr(alert, "_mail", lambda _to, _section, title, text: mails.append(f"{title}: {text}") or "")
    monkeypatch.setattr(alert.time, "time", lambda: moment)
    observer = "Check the backup"
    jobs.notify(of_campus(directories), observer, "/store is not there (attempt 1).")
    jobs.notify(of_campus(directories), observer, "/store is not there (attempt 2).")
    assert mails == [f"{observer} (campus.test): /store is not there (attempt 1)."]
    jobs.notify(of_campus(directories), observer, "Tables are gone: user.")
    assert len(mails) == 2
    moment += 86400 - 600  # cron began ten minutes later yesterday
    jobs.notify(of_campus(directories), observer, "Tables are gone: user.")
    assert len(mails) == 3


def test_an_alert_that_cannot_be_sent_hides_none_of_its_text(
    directories: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[str, str, str]] = []

    def refused(section: str, title: str, text: str) -> None:
        sent.append((section, title, text))
        raise alert.AlertError("No mail server.")

    monkeypatch.setattr(alert, "notify", refused)
    with pytest.raises(portal.BackupError, match=r"^The disk is full\. No mail server\.$"):
        jobs.notify(of_campus(directories), "The backup failed", "The disk is full.")
    assert sent == [("backups", "The backup failed (campus.test)", "The disk is full.")]
