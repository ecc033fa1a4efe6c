# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of releases, and of which day; test_releases.py has how it is read."""

from __future__ import annotations

import datetime

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import files, records
from ansible_collections.chamilo.hardening.plugins.module_utils._updates import sources
from ansible_collections.chamilo.hardening.plugins.module_utils._updates.advisories import Advisories

NOON = datetime.datetime(2026, 11, 29, 12, tzinfo=datetime.timezone.utc).timestamp()
DAY = 86400
KNOWN = Advisories("2026-11-28", {}, (), ())


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "STATE", str(tmp_path / "state"))


def read(**what):
    records.note("updates.json", "watch", True, "", read={"campus.test": what})


@pytest.mark.parametrize(("text", "right"), [("2.0.4", True), ("v2.0.4", True), ("", False), ("main", False)])
def test_what_is_a_version(text, right):
    assert sources.is_version(text) is right


@pytest.mark.parametrize("watch", [[], {"campus.test": 1}, {"another.test": {"feed": {"at": 1}}}])
def test_what_was_not_read_is_empty(watch):
    records.note("updates.json", "watch", True, "", read=watch if watch else {})
    assert sources.last_read("campus.test") == {}


def test_each_source_has_its_moment():
    read(feed={"at": NOON}, osv={})
    dated = datetime.datetime(2026, 11, 28, tzinfo=datetime.timezone.utc).timestamp()
    assert sources.moments(KNOWN, "campus.test") == {"list": dated, "feed": NOON, "osv": 0.0}
