# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import sys

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring import traces
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.traces import (
    Budget,
    can_read,
    head,
    job_of_ours,
    pieces,
    tail,
    walk,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.tree import Identity
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.observer import Unseen
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.processes import Job, jobs, processes


@pytest.mark.parametrize(
    ("file", "directory", "readable"), [(0o604, 0o701, True), (0o640, 0o701, False), (0o604, 0o700, False)]
)
def test_who_can_read_needs_the_whole_way(tmp_path, monkeypatch, file, directory, readable):
    path = tmp_path / "a/b"
    path.parent.mkdir()
    path.write_text("x")
    path.chmod(file)
    path.parent.chmod(directory)
    # What lies above is the test's own business.
    real = os.stat
    above = set(map(str, tmp_path.parents)) | {str(tmp_path)}
    monkeypatch.setattr(os, "stat", lambda where, **k: real("/", **k) if str(where) in above else real(where, **k))
    assert can_read(Identity("nobody", 65534, frozenset({65534})), str(path)) is readable


def test_a_file_that_is_not_there_is_not_readable():
    assert not can_read(Identity("nobody", 65534, frozenset()), "/nonexistent/x")


def test_a_walk_follows_no_link_and_skips_what_it_is_reported(tmp_path):
    for name in ("a/x", "b/y", "c/z"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("")
    (tmp_path / "a/loop").symlink_to(tmp_path)
    found = {entry.name for entry in walk(str(tmp_path), Budget(5), {str(tmp_path / "b")})}
    assert found == {"x", "z", "loop"}


def test_a_walk_ends_in_time_and_reports_so(tmp_path):
    (tmp_path / "x").write_text("")
    budget = Budget(-1)
    assert list(walk(str(tmp_path), budget)) == []
    assert "the time for it" in budget.gap


def test_what_cannot_be_opened_is_counted(tmp_path):
    budget = Budget(5)
    (tmp_path / "file").write_text("")
    assert list(walk(str(tmp_path / "file"), budget)) == []
    assert "1 directories or files could not be opened" in budget.gap
    assert list(walk(str(tmp_path / "gone"), Budget(5))) == []


def test_pieces_of_files(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"0123456789")
    assert (head(str(path), 3), tail(str(path), 3), tail(str(path), 99)) == (b"012", b"789", b"0123456789")
    os.mkfifo(tmp_path / "pipe")
    assert [head(str(other), 3) for other in (tmp_path, tmp_path / "pipe", tmp_path / "gone")] == [b""] * 3


def test_a_device_is_not_opened(tmp_path, monkeypatch):
    (tmp_path / ".htaccess").symlink_to("/dev/zero")
    opened = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, *how, **at: opened.append(path) or real(path, *how, **at))
    assert head(str(tmp_path / ".htaccess"), 3) == b""
    assert "dev" in opened and "zero" not in opened


def test_the_end_of_a_log_comes_in_whole_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(traces, "_PIECE", 7)
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo\nthree and more\nfour")
    assert b"".join(pieces(str(path), 1000)) == path.read_bytes()
    assert [piece for piece in pieces(str(path), 21) if piece] == [b"o\n", b"three and more\n", b"four"]
    for other in (tmp_path, tmp_path / "gone"):
        with pytest.raises(OSError):
            list(pieces(str(other), 9))


@pytest.mark.parametrize(
    ("hours", "done", "calls", "status", "words"),
    [
        (0.0, True, "daily x", "pass", "The job succeeded 0 hours ago. Fine."),
        (26.0, True, "daily x", "pass", "The job succeeded 26 hours ago. Fine."),
        (26.1, True, "daily x", "fail", "The job last succeeded 1.1 days ago; it should be no older than 26 hours."),
        (-0.9, True, "daily x", "pass", "The job succeeded -1 hours ago. Fine."),
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
    monkeypatch.setattr(traces, "RECORDS", str(tmp_path))
    monkeypatch.setattr(traces, "PROGRAM", sys.executable)
    it._known.update({jobs: [Job("x.timer", f"/x/chamilo-hardening {calls}", service="x.service")], processes: []})
    (tmp_path / "x.json").write_text(json.dumps({"x": {"at": it.now - hours * 3600, "ok": done, "detail": "Fine."}}))
    finding = job_of_ours(it, "x.json", "x", "The job", 26, "daily x")
    assert finding.status == status and finding.evidence.startswith(words)
    assert job_of_ours(it, "x.json", "y", "The job", 26, "daily x") is None


def test_settings_are_by_portal(tmp_path, monkeypatch):
    monkeypatch.setattr(traces, "SETTINGS", str(tmp_path))
    for name in ("backups-campus", "backups-my-school", "https-shop"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"name": name}))
    assert traces.settings("backups") == {
        "campus": {"name": "backups-campus"},
        "my-school": {"name": "backups-my-school"},
    }
    assert traces.settings("headers") == {}
    (tmp_path / "https-shop.json").write_text("[1]")
    with pytest.raises(Unseen, match="https-shop.json cannot be read"):
        traces.settings("https")


def test_a_log_that_is_emptied_meanwhile_ends_there(tmp_path, monkeypatch):
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo\n")
    monkeypatch.setattr(traces.os, "pread", lambda *_what: b"")
    assert list(pieces(str(path), 1000)) == [b""]


def test_what_opens_and_cannot_be_read_is_empty(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"text")

    def fails(*_what):
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(traces.os, "pread", fails)
    handles = len(os.listdir("/proc/self/fd"))
    assert head(str(path), 3) == tail(str(path), 3) == b""
    assert len(os.listdir("/proc/self/fd")) == handles
