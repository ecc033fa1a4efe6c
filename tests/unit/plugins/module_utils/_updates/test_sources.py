# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of releases, and of which day; test_releases.py has how it is read."""

from __future__ import annotations

import datetime
from dataclasses import replace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import files, records
from ansible_collections.chamilo.hardening.plugins.module_utils._updates import sources
from ansible_collections.chamilo.hardening.plugins.module_utils._updates.advisories import Advisories, Release

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


@pytest.mark.parametrize(
    ("ago", "fresh"), [(0, True), (3 * DAY - 1, True), (3 * DAY, False), (1 - DAY, True), (-DAY, False)]
)
def test_a_feed_is_fresh_for_three_days(ago, fresh):
    assert sources.fresh({"feed": {"at": NOON - ago}}, NOON) is fresh
    assert not sources.fresh({}, NOON), "never read"


@pytest.mark.parametrize("watch", [[], {"campus.test": 1}, {"another.test": {"feed": {"at": 1}}}])
def test_what_was_not_read_is_empty(watch):
    records.note("updates.json", "watch", True, "", read=watch if watch else {})
    assert sources.last_read("campus.test") == {}


def test_a_record_for_root_alone_is_none(monkeypatch):
    def refused(_name):
        raise PermissionError

    monkeypatch.setattr(records, "read", refused)
    assert sources.last_read("campus.test") == {}


@pytest.mark.parametrize(
    ("in_list", "in_feed", "newest"),
    [("2.0.4", "2.0.10", "2.0.10"), ("2.0.4", "2.0.3", "2.0.4"), ("", "2.0.3", "2.0.3"), ("2.0.4", "<b>", "2.0.4")],
)
def test_the_newest_release_is_that_of_the_list_or_the_feed(in_list, in_feed, newest):
    known = replace(KNOWN, releases=(Release(in_list, False, "", ()),) if in_list else ())
    read(feed={"newest": {"2.0": in_feed, "3.0": "3.0.9"}})
    assert sources.newest_of_branch(known, "campus.test", "2.0.1") == newest
    assert sources.newest_of_branch(known, "campus.test", "unknown") == ""


def test_each_source_has_its_moment():
    read(feed={"at": NOON}, osv={})
    dated = datetime.datetime(2026, 11, 28, tzinfo=datetime.timezone.utc).timestamp()
    assert sources.moments(KNOWN, "campus.test") == {"list": dated, "feed": NOON, "osv": 0.0}


def test_of_which_day_all_is():
    read(feed={"at": NOON, "problem": "away"})
    assert sources.known_by(KNOWN, "campus.test", NOON) == (
        "Known by: list of vulnerabilities of 2026-11-28 (1 day old), feed of releases read 2026-11-29 12:00 UTC, not "
        "reached since, OSV not read yet."
    )
    assert "(2 days old)" in sources.known_by(KNOWN, "campus.test", NOON + DAY)
