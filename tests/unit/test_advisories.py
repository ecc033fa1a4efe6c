# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tool that brings meta/advisories.json up to date, with recorded answers of OSV and GitHub."""

from __future__ import annotations

import copy
import datetime
import json
from collections.abc import Mapping
from typing import Any

import jsonschema
import pytest
import yaml

from tests.tools import advisories

TODAY = datetime.date(2026, 12, 24)
OSV_PAGES: list[dict[str, Any]] = [
    {
        "vulns": [
            {
                "id": "GHSA-x88v-rg6r-vqq6",
                "aliases": ["CVE-2026-45143"],
                "published": "2026-09-17T21:00:00Z",
                "summary": "Stored XSS",
                "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:L/UI:R/S:C/C:H/I:H/A:N"}],
                "database_specific": {"severity": "CRITICAL"},
                "affected": [
                    {
                        "package": {"ecosystem": "Packagist", "name": "chamilo/chamilo-lms"},
                        "ranges": [
                            {"type": "ECOSYSTEM", "events": [{"introduced": "2.0.0"}, {"last_affected": "2.1.0"}]}
                        ],
                    }
                ],
            }
        ],
        "next_page_token": "2",
    },
    {"vulns": [{"id": "GHSA-2222-2222-2222", "withdrawn": "2026-12-01T00:00:00Z"}]},
]
ANSWERS: dict[str, Any] = {
    advisories.GHSA: [
        {
            "ghsa_id": "GHSA-3333-4444-5555",
            "cve_id": "CVE-2026-99001",
            "summary": "SQL injection in the calendar",
            "severity": "medium",
            "published_at": "2026-12-10T08:00:00Z",
            "cvss": {"vector_string": None},
            "vulnerabilities": [
                {"vulnerable_version_range": ">= 2.0.0, < 2.0.5"},
                {"vulnerable_version_range": ">= 3.0.0, <= 3.0.2"},
            ],
        },
        {"ghsa_id": "GHSA-x88v-rg6r-vqq6", "cve_id": "CVE-2026-45143", "summary": "the same", "severity": None},
    ],
    advisories.RELEASES: [
        {
            "tag_name": "v3.0.3",
            "body": "Fixes GHSA-3333-4444-5555",
            "published_at": "2026-12-09T10:00:00Z",
            "html_url": "https://x/3",
        },
        {"tag_name": "v2.0.5", "body": "Prettier", "published_at": "2026-12-08T10:00:00Z", "html_url": "https://x/2"},
        {"tag_name": "v3.1.0-RC.1", "body": "", "published_at": "2026-12-01T10:00:00Z", "html_url": "https://x/1"},
        {"tag_name": "v3.0.2", "body": "listed", "published_at": "2026-11-03T10:00:00Z", "html_url": "https://x/0"},
        {"tag_name": "v1.11.30", "body": "old", "published_at": "2025-01-01T10:00:00Z", "html_url": "https://x/9"},
        {"tag_name": "nightly", "body": "", "published_at": "2026-12-01T10:00:00Z", "html_url": "https://x/8"},
    ],
}


def recorded(address: str, body: Mapping[str, Any]) -> Any:
    if address == advisories.OSV:
        assert body["package"] == advisories.PACKAGE
        return OSV_PAGES[1 if body.get("page_token") else 0]
    assert not body
    return ANSWERS[address]


@pytest.fixture(scope="module")
def refreshed() -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    messages: list[str] = []
    before = advisories.load()
    kept = copy.deepcopy(before)
    after = advisories.refresh(before, recorded, TODAY, messages.append)
    assert before == kept, "what is given is not changed"
    return before, after, messages


def test_a_new_record_is_taken_over_for_review(refreshed: Any) -> None:
    _before, after, messages = refreshed
    (new,) = [one for one in after["advisories"] if one["id"] == "GHSA-3333-4444-5555"]
    assert new["aliases"] == ["CVE-2026-99001"] and new["modified"] == "2026-12-24T00:00:00Z"
    assert new["affected"][0]["ranges"][0]["events"] == [
        {"introduced": "2.0.0"},
        {"fixed": "2.0.5"},
        {"introduced": "3.0.0"},
        {"last_affected": "3.0.2"},
    ]
    assert "severity" not in new, "GitHub had no vector"
    assert new["database_specific"] == {"severity": "MODERATE", "unreviewed": True}
    assert "GHSA-3333-4444-5555 is new: SQL injection in the calendar" in messages


def test_what_was_reviewed_stays_and_a_difference_is_reported(refreshed: Any) -> None:
    before, after, messages = refreshed
    old, new = ([one for one in each["advisories"] if one["id"] == "CVE-2026-45143"][0] for each in (before, after))
    assert {key for key in new if new[key] != old.get(key)} == {"severity", "modified"}
    assert any(words.startswith("CVE-2026-45143: the record has") for words in messages)


def test_new_releases_are_listed_and_those_for_testers_are_none(refreshed: Any) -> None:
    before, after, _output = refreshed
    new = after["releases"][len(before["releases"]) :]
    assert [(one["version"], one["security"], one["published"]) for one in new] == [
        ("2.0.5", False, "2026-12-08"),
        ("3.0.3", True, "2026-12-09"),
    ]
    assert after["dated"] == "2026-12-24"


def test_a_second_time_nothing_changes(refreshed: Any) -> None:
    after = refreshed[1]
    assert advisories.refresh(after, recorded, TODAY, lambda _words: None) == after


def test_the_text_is_read_as_what_was_written(refreshed: Any) -> None:
    assert json.loads(advisories.dump(refreshed[1])) == refreshed[1]


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ("< 2.0.1", [("introduced", "0"), ("fixed", "2.0.1")]),
        ("<= 1.11.24", [("introduced", "0"), ("last_affected", "1.11.24")]),
        (">= 2.0.0-RC.1, < 2.0.1", [("introduced", "2.0.0-RC.1"), ("fixed", "2.0.1")]),
        ("= 3.0.0", [("introduced", "3.0.0"), ("last_affected", "3.0.0")]),
        ("all of them", []),
    ],
)
def test_ranges_of_github_in_terms_of_osv(text: str, events: list[tuple[str, str]]) -> None:
    assert [next(iter(event.items())) for event in advisories._range(text)] == events


def test_an_answer_that_is_of_no_form_changes_no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    def broken(address: str, body: Mapping[str, Any]) -> Any:
        return {"vulns": [{"id": "javascript:x"}]} if address == advisories.OSV else []

    written = tmp_path / "advisories.json"
    before = advisories.LIST.read_text()
    written.write_text(before)
    monkeypatch.setattr(advisories, "LIST", written)
    with pytest.raises(Exception, match="does not match"):
        advisories.main([], broken)
    assert written.read_text() == before


def test_the_scheduled_job_runs_this_tool_and_compares_its_list() -> None:
    job = yaml.safe_load((advisories.ROOT / ".github/workflows/advisories.yml").read_text(encoding="utf-8"))
    commands = [step["run"] for step in job["jobs"]["refresh"]["steps"] if "run" in step]
    assert commands[0].startswith(f"bin/env python -m {advisories.__name__} ")
    assert f"-- {advisories.LIST.relative_to(advisories.ROOT)} " in commands[1]
    lines = advisories.LIST.read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.startswith(' "dated":')]) == 1, (
        "what the job leaves aside is the day alone"
    )


def test_the_list_is_of_its_form() -> None:
    assert advisories.main(["--check"]) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"id": "CHAMILO-1"},
        {"modified": "2026-11-29"},
        {"fixed": "2.0.4"},
        {"aliases": []},
        {"severity": [{"type": "CVSS_V3", "score": "9.8"}]},
        {"affected": [{"package": {"ecosystem": "Packagist", "name": "other/other"}, "ranges": []}]},
        {"references": [{"type": "WEB", "url": "http://example.org/"}]},
        {"database_specific": {"severity": "9.8"}},
        {"database_specific": {"controls": "updates_installer"}},
    ],
    ids=str,
)
def test_what_is_not_of_the_schema_is_refused(change: dict[str, object]) -> None:
    known = copy.deepcopy(advisories.load())
    known["advisories"][0].update(change)
    with pytest.raises(jsonschema.ValidationError):
        advisories.validate(known)


def test_a_vulnerability_stands_in_it_once() -> None:
    known = copy.deepcopy(advisories.load())
    known["advisories"].append({**known["advisories"][0], "id": "GHSA-2222-2222-2222"})
    with pytest.raises(SystemExit, match="CVE-2026-45140|GHSA-g4c3"):
        advisories.validate(known)
