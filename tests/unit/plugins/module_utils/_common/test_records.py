# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import files, records


@pytest.fixture
def host(monkeypatch, tmp_path):
    """Where what was done is written down."""
    monkeypatch.setattr(files, "STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def test_records_are_kept_beside_each_other_and_a_damaged_file_is_written_anew(host):
    records.note("monitoring.json", "accounts", True, "3 are dormant", count=3)
    records.note("monitoring.json", "delivery", False, "refused")
    known = records.read("monitoring.json")
    assert known["accounts"]["ok"] is True and known["accounts"]["count"] == 3
    assert known["delivery"]["detail"] == "refused"
    with open(f"{files.STATE}/monitoring.json", "w", encoding="utf-8") as stream:
        stream.write("{")
    records.note("monitoring.json", "auth", True, "")
    assert list(json.loads(open(f"{files.STATE}/monitoring.json", encoding="utf-8").read())) == ["auth"]


def test_no_moment_is_ahead_of_the_clock(host, monkeypatch):
    """It would not be believed."""
    monkeypatch.setattr(records.time, "time", lambda: 1_795_600_000.0006)
    records.note("monitoring.json", "auth", True, "")
    assert records.read("monitoring.json")["auth"]["at"] <= 1_795_600_000.0006


def test_nothing_was_written_down_yet(host):
    assert records.read("monitoring.json") == {}
    assert not host.exists(), "reading makes nothing"


@pytest.mark.parametrize("damaged", [b"", b"[1]", b"null", b'"x"', b"\xff\xfe{}"])
def test_a_file_without_entries_has_none(host, damaged):
    host.mkdir()
    (host / "monitoring.json").write_bytes(damaged)
    assert records.read("monitoring.json") == {}


def test_jobs_that_end_at_the_same_time_lose_nothing(host):
    names = [f"job{number}" for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: records.note("daily.json", name, True, ""), names))
    assert sorted(records.read("daily.json")) == names


def test_it_is_root_s_alone_and_a_long_story_is_cut(host):
    records.note("daily.json", "scan", False, "x" * 5000)
    assert len(records.read("daily.json")["scan"]["detail"]) == 2000
    assert {os.stat(path).st_mode & 0o077 for path in (host, *host.iterdir())} == {0}


def test_a_link_in_place_of_the_lock_is_not_followed(host):
    host.mkdir()
    (host / "daily.json.lock").symlink_to(host / "elsewhere")
    with pytest.raises(OSError):
        records.note("daily.json", "scan", True, "")
    assert not (host / "elsewhere").exists()
