# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daily look for a newer Chamilo."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import alert, files, records
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from ansible_collections.chamilo.hardening.plugins.module_utils._updates import releases as updates_releases
from ansible_collections.chamilo.hardening.plugins.module_utils._updates.releases import (
    FeedError,
    newer,
    releases,
    step,
)

ATOM = """<?xml version="1.0"?><feed><id>tag:github.com,2008:https://github.com/chamilo/chamilo-lms/releases</id>
<entry><id>tag:github.com,2008:Repository/1/v2.1.0-RC.1</id></entry>
<entry><id>tag:github.com,2008:Repository/1/v2.0.3</id></entry>
<entry><id>tag:github.com,2008:Repository/1/v2.0.1</id></entry></feed>"""
JSON = '[{"tag_name": "v2.0.3", "name": "x"}, {"tag_name": "v2.0.1"}]'
MANIFEST = '{"channel": "stable", "version": "2.0.3"}'


@pytest.mark.parametrize("text", [ATOM, JSON, MANIFEST])
def test_feeds_in_each_form(text):
    assert "2.0.3" in [each.lstrip("v") for each in releases(text)]


@pytest.mark.parametrize("text", ["", "<html>404</html>", "[]", '{"version": "soon"}'])
def test_what_is_no_feed(text):
    with pytest.raises(FeedError, match="no feed of releases"):
        releases(text)


@pytest.mark.parametrize(
    ("here", "known", "wanted"),
    [
        ("2.0.1", ["v2.0.3", "v2.0.1"], ["2.0.3"]),
        ("2.0.3", ["v2.0.3", "v2.1.0-RC.1"], []),
        ("2.0.1", ["2.0.2", "2.0.10", "3.0.0", "2.1.0"], ["2.0.10", "3.0.0"]),
        ("2.0.0-RC.3", ["2.0.0"], ["2.0.0"]),
        ("", ["2.0.3"], ["2.0.3"]),
    ],
)
def test_newer(here, known, wanted):
    assert newer(here, known) == wanted


@pytest.fixture
def host(monkeypatch, tmp_path):
    """A host with one portal. ``feed``: what the feed says, or the error; ``told``: the alerts."""
    host = SimpleNamespace(feed=ATOM, version="2.0.1", told=[], moment=1_795_626_000.0, ways=["webhook"])

    def fetch(address):
        if isinstance(host.feed, FeedError):
            raise host.feed
        return host.feed

    def configure(feed="https://feed.example/"):
        known = {"domain": "campus.test", "root": "/srv/campus", "feed": feed}
        (tmp_path / "updates-campus.json").write_text(json.dumps(known))

    host.configure = configure
    configure()
    monkeypatch.setattr(updates_releases, "FOLDER", str(tmp_path))
    monkeypatch.setattr(files, "STATE", str(tmp_path / "state"))
    monkeypatch.setattr(updates_releases, "fetch", fetch)
    monkeypatch.setattr(updates_releases, "installed", lambda domain, root: host.version)
    monkeypatch.setattr(updates_releases.time, "time", lambda: host.moment)
    monkeypatch.setattr(alert, "addressee", lambda: alert.Addressee("", "https://hook.example/" if host.ways else ""))
    monkeypatch.setattr(alert, "tell", lambda *words, again=False: host.told.append(words) or host.ways)
    host.watch = lambda: records.read("updates.json")["watch"]
    return host


def test_a_new_release_is_told_and_told_again_after_a_week(host):
    for _day in range(8):
        step()
        host.moment += 86400
    assert [words[1] for words in host.told] == ["A new Chamilo is out: campus.test"] * 2
    assert host.told[0][2] == "Chamilo 2.0.3 is out; 2.0.1 is installed."
    assert host.watch()["ok"] is True


def test_a_hole_is_urgent(host):
    host.version = "2.0.0"
    step()
    assert host.told[0][1] == "Update Chamilo now: campus.test" and "CVE-2026-45140" in host.told[0][2]


def test_the_newest_release_is_no_news(host):
    host.version = "2.0.3"
    assert step() == [] and host.told == []
    assert host.watch()["ok"] and "newest release" in host.watch()["detail"]


def test_a_feed_that_is_away_is_no_alarm_on_the_first_day(host):
    host.feed = FeedError("feed.example answered 502.")
    step()
    assert host.told == [] and host.watch()["ok"] is True and "502" in host.watch()["detail"]
    host.moment += 3 * 86400
    step()
    assert host.told[-1][1] == "No look for new releases at campus.test" and host.watch()["ok"] is False
    host.feed = ATOM
    step()
    assert host.watch()["ok"] is True and host.watch()["away"] == {}


def test_without_a_feed_or_without_anybody_to_tell_it_is_no_watch(host):
    host.configure("")
    step()
    assert not host.watch()["ok"] and "switched off" in host.watch()["detail"]
    host.configure()
    host.ways = []
    step()
    assert not host.watch()["ok"]


@pytest.mark.parametrize(
    "address", ["http://feed.example/", "file:///etc/passwd", "https://[feed/", "https://feed.example:99999/"]
)
@pytest.mark.parametrize("moved", [False, True])
def test_only_https_is_asked(monkeypatch, address, moved):
    asked = []

    def there(url, **_more):
        asked.append(url)
        return Answer(url, 302, (("location", address),))

    monkeypatch.setattr(updates_releases.http, "fetch", there)
    with pytest.raises(FeedError, match="is no address that begins with https://"):
        updates_releases.fetch("https://feed.example/" if moved else address)
    assert asked == ["https://feed.example/"] * moved


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([Answer("", 301, (("Location", "/new"),)), Answer("", 200, body=b"{}")], ""),
        ([Answer("", error="Connection refused")], "feed.example could not be reached: Connection refused."),
        ([Answer("", 502)], "feed.example answered 502."),
        ([Answer("", 302, (("Location", "/"),))] * 4, "https://feed.example/ is one redirect too many."),
    ],
)
def test_what_comes_instead_of_a_feed_is_said(monkeypatch, answers, words):
    asked = []

    def there(url, verify=False, **_more):
        assert verify, "whoever answers must be who he says"
        asked.append(url)
        return answers[len(asked) - 1]

    monkeypatch.setattr(updates_releases.http, "fetch", there)
    if words:
        with pytest.raises(FeedError) as caught:
            updates_releases.fetch("https://feed.example/")
        assert str(caught.value) == words
    else:
        assert updates_releases.fetch("https://feed.example/") == "{}" and asked[1] == "https://feed.example/new"
    assert len(asked) == len(answers)


@pytest.mark.parametrize("text", ["<entry " * 200_000, "<entry><id>" + "x" * 1_000_000 + "</id></entry>"])
def test_a_feed_does_not_keep_the_daily_work_busy(text):
    began = time.monotonic()
    with pytest.raises(FeedError, match="names no release"):
        releases(text)
    assert time.monotonic() - began < 5
