# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daily check for a newer Chamilo."""

from __future__ import annotations

import datetime
import json
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import alert, files, records
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from ansible_collections.chamilo.hardening.plugins.module_utils._updates import advisories
from ansible_collections.chamilo.hardening.plugins.module_utils._updates import releases as updates_releases
from ansible_collections.chamilo.hardening.plugins.module_utils._updates.releases import (
    FeedError,
    Published,
    newer,
    newest,
    releases,
    step,
)

ATOM = """<?xml version="1.0"?><feed><id>tag:github.com,2008:https://github.com/chamilo/chamilo-lms/releases</id>
<entry><id>tag:github.com,2008:Repository/1/v2.1.0-RC.1</id></entry>
<entry><id>tag:github.com,2008:Repository/1/v2.0.6</id><content>&lt;p&gt;Prettier pages.&lt;/p&gt;</content></entry>
<entry><id>tag:github.com,2008:Repository/1/v2.0.4</id><content>Seventy security fixes.</content></entry></feed>"""
SECURITY = ATOM.replace("Prettier pages.", "Closes several vulnerabilities.")


def test_the_releases_in_a_feed():
    known = releases(ATOM)
    assert newest(known)["2.0"] == "2.0.6"
    assert {each.version.lstrip("v") for each in known if each.security} == {"2.0.4"}


@pytest.mark.parametrize("text", ["", "<html>404</html>", '{"version": "2.0.6"}'])
def test_what_is_no_feed(text):
    with pytest.raises(FeedError, match="no feed of releases"):
        releases(text)


@pytest.mark.parametrize(
    ("here", "known", "desired"),
    [
        ("2.0.1", ["v2.0.3", "v2.0.1"], ["2.0.3"]),
        ("2.0.3", ["v2.0.3", "v2.1.0-RC.1"], []),
        ("2.0.1", ["2.0.2", "2.0.10", "3.0.0", "2.1.0"], ["2.0.10", "3.0.0"]),
        ("2.0.0-RC.3", ["2.0.0"], ["2.0.0"]),
        ("", ["2.0.3"], ["2.0.3"]),
    ],
)
def test_newer(here, known, desired):
    assert [each.version for each in newer(here, [Published(each) for each in known])] == desired


def test_a_release_counts_as_urgent_for_what_any_since_the_installed_one_fixed():
    urgent = [Published(version, True) for version in ("2.0.3", "2.0.5", "3.0.3")]
    known = [*urgent, Published("2.0.6"), Published("3.0.4")]
    assert newer("2.0.4", known) == [Published("2.0.6", True), Published("3.0.4", True)]
    assert newer("2.0.5", known) == [Published("2.0.6"), Published("3.0.4", True)]
    assert newer("3.0.3", known) == [Published("3.0.4")]


NOON = 1_795_953_600  # on 2026-11-29


@pytest.fixture
def host(monkeypatch, tmp_path):
    """A host with one portal. ``feed``: what it answers, or the error; ``reported``: the alerts."""
    host = SimpleNamespace(feed=ATOM, version="2.0.4", days=1, moment=float(NOON))
    host.asked, host.reported, host.ways = [], [], ["webhook"]

    def fetch(address):
        host.asked.append(address)
        if isinstance(host.feed, FeedError):
            raise host.feed
        return host.feed

    def configure(feed="https://feed.example/", **more):
        known = {"domain": "campus.test", "root": "/srv/campus", "feed": feed, **more}
        (tmp_path / "updates-campus.json").write_text(json.dumps(known))

    host.configure = configure
    configure()
    monkeypatch.setattr(updates_releases, "DIRECTORY", str(tmp_path))
    monkeypatch.setattr(files, "STATE", str(tmp_path / "state"))
    monkeypatch.setattr(updates_releases, "fetch", fetch)
    monkeypatch.setattr(updates_releases, "installed", lambda domain, root: host.version)
    monkeypatch.setattr(updates_releases.time, "time", lambda: host.moment)
    known, today = advisories.packed(), datetime.date.today()

    def dated() -> advisories.Advisories:
        return replace(known, dated=str(today - datetime.timedelta(host.days)))

    monkeypatch.setattr(advisories, "packed", dated)
    monkeypatch.setattr(alert, "addressee", lambda: alert.Addressee("", "https://hook.example/" if host.ways else ""))
    monkeypatch.setattr(alert, "notify", lambda *words, again=False: host.reported.append(words) or host.ways)
    host.watch = lambda: records.read("updates.json")["watch"]
    return host


def test_a_new_release_is_reported_and_reported_again_after_a_week(host):
    for _day in range(8):
        step()
        host.moment += 86400
    assert [words[1] for words in host.reported] == ["A new Chamilo is out: campus.test"] * 2
    assert host.reported[0][2] == "Chamilo 2.0.6 is out; 2.0.4 is installed."
    assert host.watch()["ok"] is True


def test_a_release_that_fixes_vulnerabilities_is_urgent(host):
    host.feed = SECURITY
    step()
    assert host.reported[0][1:] == (
        "Update Chamilo now: campus.test",
        "Chamilo 2.0.6 is out; 2.0.4 is installed. It fixes vulnerabilities.",
    )


@pytest.mark.parametrize("version", ["2.0.0", "2.0.3", "2.1.0", "3.0.1"])
def test_a_version_with_vulnerabilities_of_the_list_is_urgent(host, version):
    host.version = version
    step()
    title, text = host.reported[0][1:]
    assert title == "Update Chamilo now: campus.test" and f"Chamilo {version} is installed. " in text
    assert ("CVE-2026-45140" in text) is (version == "2.0.0")


def test_a_portal_that_went_is_forgotten(host, tmp_path):
    step()
    known = {"domain": "other.test", "root": "/srv/x", "feed": "https://feed.example/"}
    (tmp_path / "updates-campus.json").write_text(json.dumps(known))
    step()
    assert set(host.watch()["read"]) == {"other.test"} == set(updates_releases.states())


def test_the_newest_release_is_no_news(host):
    host.version = "2.0.6"
    assert step() == [] and host.reported == []
    assert host.watch()["ok"] and "newest release" in host.watch()["detail"]


def test_an_old_list_is_reported_while_a_source_is_not_read(host):
    host.version, host.days = "2.0.6", 61
    assert step() == []
    host.feed = FeedError("feed.example answered 502.")
    assert [words[:47] for words in step()] == ["The list of published vulnerabilities is of 202"]
    assert host.reported[0][1] == "A new Chamilo is out: campus.test"


def test_a_feed_that_is_away_is_no_alarm_on_the_first_day(host):
    host.version, host.feed = "2.0.6", FeedError("feed.example answered 502.")
    step()
    assert host.reported == [] and host.watch()["ok"] is True and "502" in host.watch()["detail"]
    host.moment += 3 * 86400
    step()
    assert host.reported[-1][1] == "No check for new releases at campus.test" and host.watch()["ok"] is False
    host.feed = ATOM
    step()
    assert host.watch()["ok"] is True and host.watch()["away"] == {}


def test_without_a_feed_or_a_recipient_releases_are_not_watched(host):
    host.configure("")
    step()
    assert not host.watch()["ok"] and "disabled" in host.watch()["detail"]
    assert "newest release" not in host.watch()["detail"]
    host.configure()
    host.ways = []
    step()
    assert not host.watch()["ok"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer("", error="Connection refused"), "feed.example could not be reached: Connection refused."),
        (Answer("", 502), "feed.example answered 502."),
        (Answer("", 301, (("Location", "https://a.example/"),)), "feed.example answered 301 and leads to https://a.ex"),
    ],
)
def test_what_comes_instead_of_a_feed_is_reported(monkeypatch, answer, words):
    monkeypatch.setattr(updates_releases.http, "fetch", lambda *_words, **_more: answer)
    with pytest.raises(FeedError) as caught:
        updates_releases.fetch("https://feed.example/")
    assert str(caught.value).startswith(words)


def test_a_feed_is_read_from_whom_its_certificate_names_and_only_so_far(monkeypatch):
    def there(_url, verify=False, limit=0, **_more):
        assert verify and limit == 4_194_304
        return Answer("", 200, body=b"<feed/>")

    monkeypatch.setattr(updates_releases.http, "fetch", there)
    assert updates_releases.fetch("https://feed.example/") == "<feed/>"


@pytest.mark.parametrize("text", ["<entry " * 200_000, "<entry><id>" + "x" * 1_000_000 + "</id></entry>"])
def test_a_feed_does_not_keep_the_daily_work_busy(text):
    began = time.monotonic()
    with pytest.raises(FeedError, match="names no release"):
        releases(text)
    assert time.monotonic() - began < 5


def test_where_no_portal_is_watched_nothing_is_noted(host, tmp_path):
    (tmp_path / "updates-campus.json").unlink()
    assert step() == [] and host.asked == []
    assert records.read("updates.json") == {}
