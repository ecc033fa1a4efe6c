# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import sys

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.observer import Unseen
from ansible_collections.chamilo.hardening.plugins.module_utils._audit import host_jobs
from ansible_collections.chamilo.hardening.plugins.module_utils._host.processes import Job


@pytest.mark.parametrize(
    ("hours", "done", "calls", "status", "words"),
    [
        (0.0, True, "daily x", "pass", "The job succeeded 0 hours ago. Fine."),
        (26.1, True, "daily x", "fail", "The job last succeeded 1.1 days ago; it should be no older than 26 hours."),
        (
            -48.0,
            True,
            "daily x",
            "fail",
            "The job is dated 2.0 days in the future: the clock was wrong then, or ",
        ),
        (2.0, False, "daily x", "fail", "The job failed 2 hours ago. Fine."),
        (
            2.0,
            True,
            "weekly",
            "fail",
            "The job succeeded 2 hours ago, but no timer and no cron job of this host ",
        ),
    ],
)
def test_a_job_of_ours_succeeded_lately(look_at, tmp_path, monkeypatch, hours, done, calls, status, words):
    it = look_at()
    monkeypatch.setattr(host_jobs, "RECORDS", str(tmp_path))
    monkeypatch.setattr(host_jobs, "PROGRAM", sys.executable)
    it.jobs, it.processes = [Job("x.timer", f"/x/chamilo-hardening {calls}", service="x.service")], []
    (tmp_path / "x.json").write_text(json.dumps({"x": {"at": it.now - hours * 3600, "ok": done, "detail": "Fine."}}))
    finding = host_jobs.job_of_ours(it, "x.json", "x", "The job", 26, "daily x")
    assert finding.status == status and finding.evidence.startswith(words)
    assert host_jobs.job_of_ours(it, "x.json", "y", "The job", 26, "daily x") is None


def test_settings_are_by_portal(tmp_path, monkeypatch):
    monkeypatch.setattr(host_jobs, "SETTINGS", str(tmp_path))
    for name in ("backups-campus", "backups-my-school", "https-shop"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"name": name}))
    assert host_jobs.settings("backups") == {
        "campus": {"name": "backups-campus"},
        "my-school": {"name": "backups-my-school"},
    }
    assert host_jobs.settings("headers") == {}
    (tmp_path / "https-shop.json").write_text("[1]")
    with pytest.raises(Unseen, match="https-shop.json cannot be read"):
        host_jobs.settings("https")
