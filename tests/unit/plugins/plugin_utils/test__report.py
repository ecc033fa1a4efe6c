# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import json
import re
import stat
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _controls, _report

TABLE = _controls.load()
HOSTILE = "</p><script>alert(1)</script> ' onload=x \" ]]> \x1b[31m \x00 \ud800 \u202e & {{ 7 * 7 }}"


GENERATED = "2026-11-25T13:45:00Z"


def audit(observed: dict[str, str] | None = None, evidence: str = "Seen.", **more: Any) -> dict[str, Any]:
    """What guide_audit_info registers: everything passes but what ``observed`` has."""
    seen = {control.id: {"status": "pass", "evidence": evidence} for control in TABLE.controls}
    seen.update({name: {"status": status, "evidence": evidence} for name, status in (observed or {}).items()})
    controls = _controls.rows(TABLE, seen, "Unseen.", waivers=_controls.parse_waivers(more.pop("waivers", []), TABLE))
    return {"controls": controls, "chamilo_version": "2.0.1", **more}


def until(day: str) -> list[dict[str, str]]:
    return [{"control": "https_hsts", "reason": "r", "owner": "o", "until": day}]


def document(*audits: dict[str, Any] | None) -> dict[str, Any]:
    hosts = [_report.host(f"host{number}.test", result, TABLE) for number, result in enumerate(audits)]
    return _report.document(hosts, "2026-11-25T13:45:00Z")


class Page(HTMLParser):
    """The tags of a page, and its text."""

    void = {"meta", "input", "link", "br", "img", "hr"}

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == [], "tags that are never closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def page(*audits: dict[str, Any] | None) -> Page:
    return Page(_report.to_html(document(*audits), TABLE))


def test_json_is_the_documented_shape() -> None:
    report = json.loads(_report.to_json(document(audit({"https_hsts": "fail"}))))
    assert set(report) == {"collection", "generated", "hosts"}
    assert re.fullmatch(r"\d+\.\d+\.\d+", report["collection"])
    (host,) = report["hosts"]
    assert (host["name"], host["reachable"], host["chamilo_version"]) == ("host0.test", True, "2.0.1")
    assert host["summary"]["fail"] == 1
    assert set(host["controls"][0]) == {"id", "section", "level", "title", "status", "evidence", "fix"}


@pytest.mark.parametrize(
    ("result", "reachable", "output"),
    [
        ({"unreachable": True, "msg": "Task failed: no route"}, False, "could not be reached: no route"),
        ({"failed": True, "msg": "chamilo_level is 'x'"}, True, "did not run: chamilo_level is 'x'"),
        (None, True, "did not run: An earlier task failed on this host."),
    ],
)
def test_a_host_without_an_audit_is_not_assessed(result: dict[str, Any] | None, reachable: bool, output: str) -> None:
    host = _report.host("gone.test", result, TABLE)
    assert host["reachable"] is reachable
    assert {row["status"] for row in host["controls"]} == {"not_assessed", "people"}
    assert output in host["controls"][0]["evidence"]
    assert output in _report.overview(host)
    assert output.partition(": ")[2] in page(result).text


def test_hostile_evidence_stays_text() -> None:
    seen = {"signs": [HOSTILE], "forecast": {"said": [HOSTILE]}, "chamilo_version": HOSTILE}
    hostile = audit({"https_hsts": "fail"}, HOSTILE, **seen)
    shown = page(hostile, {"unreachable": True, "msg": HOSTILE})
    assert "script" not in {tag for tag, _attributes in shown.tags}
    assert not [name for _tag, attributes in shown.tags for name in attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in shown.text
    assert not set("\x1b\x00\ud800\u202e") & set(shown.text)
    assert "49" not in shown.text.partition("alert(1)")[2][:80]
    case = ET.fromstring(_report.to_junit(document(hostile))).find(".//failure")
    assert case is not None and "<script>alert(1)</script>" in case.get("message", "")
    assert "<script>" in json.loads(_report.to_json(document(hostile)))["hosts"][0]["signs"][0]


def test_the_page_needs_no_network_and_no_script() -> None:
    shown = page(audit({"https_hsts": "fail"}), audit())
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _attributes in shown.tags}
    targets = [attributes.get("href") or attributes.get("src") or "" for _tag, attributes in shown.tags]
    assert {target[0] for target in targets if target} == {"#"}
    html = _report.to_html(document(audit()), TABLE)
    assert "@import" not in html and "url(" not in html and "default-src 'none'" in html


def test_every_link_and_label_in_the_page_leads_somewhere() -> None:
    shown = page(audit({"https_hsts": "fail", "headers_csp": "not_assessed"}), audit(), None)
    ids = [attributes["id"] for _tag, attributes in shown.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {attributes["href"] for tag, attributes in shown.tags if tag == "a"}
    labels = {f"#{attributes['for']}" for tag, attributes in shown.tags if tag == "label"}
    assert {link[1:] for link in links | labels if link} <= set(ids)


def test_the_nodes_of_a_portal_stand_together() -> None:
    """Where the worst of them stands. A portal of one host has no heading."""
    campus, bad = {"portal": "campus.test"}, {"headers_csp": "fail"}
    seen = page(audit(**campus), audit({"https_hsts": "fail"}, portal="host1.test"), audit(bad, **campus), audit())
    rows = [dict(attrs).get("href") or "" for tag, attrs in seen.tags if tag == "a"]
    assert rows[:4] == ["#host-1", "#host-2", "#host-3", "#host-4"]
    table = seen.text[seen.text.index("Overview") : seen.text.index("Hosts with something open")]
    assert re.findall(r"Portal [\w.]+, \d hosts|host\d\.test", table) == [
        *("host1.test", "Portal campus.test, 2 hosts", "host2.test", "host0.test", "host3.test"),
    ]
    marks = [dict(attrs).get("class") for tag, attrs in seen.tags if tag == "tr"]
    assert [mark for mark in marks[1:6] if mark] == ["node", "node"], "those below are no part of it"
    assert seen.text.count("one of 2 hosts of the portal campus.test") == 2
    assert "Portal" not in page(audit(portal="host0.test"), audit(portal="host1.test")).text


@pytest.mark.parametrize(
    ("variables", "portal"),
    [
        ({"chamilo_domain": "Campus.test"}, "campus.test"),
        ({"chamilo_portal": "campus", "chamilo_domain": "campus.test"}, "campus"),
        ({"chamilo_domain": "{{ inventory_hostname }}"}, ""),
        ({"chamilo_domain": ["campus.test"]}, ""),
        ({}, ""),
    ],
)
def test_a_node_that_gave_no_answer_stands_with_its_portal(variables: dict[str, Any], portal: str) -> None:
    assert _report.host("web2", {"unreachable": True, "msg": "no route"}, TABLE, variables)["portal"] == portal


def test_the_overview_shows_what_became_worse_and_who_gave_no_result() -> None:
    entry = _report.host("one.test", audit(), TABLE)
    entry["changes"] = {"before": "2026-11-23T04:00:00Z", "better": [], "worse": ["headers_csp"]}
    gone = _report.host("two.test", {"unreachable": True, "msg": "no route"}, TABLE)
    text = _report.to_html(_report.document([entry, gone], "2026-11-30T04:00:00Z"), TABLE)
    assert ">1 worse than on 2026-11-23</small>" in text and ">No result</small>" in text
    earlier = {"generated": "2026-11-20T04:00:00Z", "controls": {"headers_csp": {"status": "pass"}}}
    gone = _report.host("two.test", {"unreachable": True, "msg": "no route"}, TABLE, earlier=earlier)
    text = _report.to_html(_report.document([entry, gone], "2026-11-30T04:00:00Z"), TABLE)
    assert ">No new result; the last one is of 2026-11-20, 0 not met</small>" in text


def test_the_attacks_on_many_hosts_are_no_forged_result(tmp_path: Path) -> None:
    row = {"id": "headers_csp", "title": "A script", "evidence": "It ran.", "status": "through"}
    attacks = {
        f"school{number}.test": {"generated": "2026-11-30T04:00:00Z", "rows": [row] * 70} for number in range(500)
    }
    (tmp_path / _report.ATTACKS_FILE).write_text(json.dumps(attacks))
    assert _report.last_attacks(tmp_path) == attacks


def test_what_no_role_will_do_is_not_promised() -> None:
    """A missing variable is named once for all that it keeps open; a role that ran and left it open is no way out."""
    failed = {"monitoring_auth": "fail", "monitoring_delivery": "fail", "headers_nosniff": "fail"}
    result = audit(failed, active=[section.id for section in TABLE.sections])
    before = {"generated": "2026-11-01T00:00:00Z", "controls": {}}
    before["controls"] = {name: {"status": "fail", "since": "2026-10-01T00:00:00Z", "met": False} for name in failed}
    host = _report.host("a.test", result, TABLE, {}, before, "2026-11-25T13:45:00Z")
    report = _report.document([host], "2026-11-25T13:45:00Z")
    shown = Page(_report.to_html(report, TABLE)).text
    assert [cause["kind"] for cause in report["hosts"][0]["causes"]] == ["variable", "hand"]
    assert shown.count("Variable missing.") == 1 and "chamilo_alert_mail: admin@school.example" in shown
    assert "ansible-playbook chamilo.hardening.harden" not in shown
    assert "ran and left it open" in shown and "open since 2026-10-01" in shown


def test_what_changed_since_the_audit_before_is_named() -> None:
    before: dict[str, Any] = {"generated": "2026-11-01T00:00:00Z", "controls": {}}
    before["controls"] = {
        "headers_csp": {"status": "pass", "since": "2026-10-01T00:00:00Z"},
        "https_hsts": {"status": "fail", "since": "2026-10-01T00:00:00Z"},
    }
    host = _report.host("a.test", audit({"headers_csp": "fail"}), TABLE, {}, before, "2026-11-25T13:45:00Z")
    assert _report.overview(host).endswith("(1 better, 1 worse than on 2026-11-01)")


def test_junit_reports_what_failed_and_what_was_not_seen() -> None:
    observed = {
        "https_hsts": "fail",
        "headers_csp": "not_assessed",
        "passwords_expiry": "fail",
        "headers_once": "not_applicable",
    }
    suites = ET.fromstring(_report.to_junit(document(audit(observed))))
    (suite,) = suites
    kinds = {case.get("name"): case[0].tag for case in suite if len(case)}
    people = [control.id for control in TABLE.controls if control.level == "people"]
    assert kinds == {
        "https_hsts": "failure",
        "headers_csp": "error",
        "passwords_expiry": "skipped",
        "headers_once": "skipped",
        **dict.fromkeys(people, "skipped"),
    }
    counts = {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")}
    skipped = str(2 + len(people))
    assert counts == {"tests": str(len(TABLE.controls)), "failures": "1", "errors": "1", "skipped": skipped}
    assert suite.get("timestamp") == "2026-11-25T13:45:00Z"


@pytest.mark.parametrize(
    ("result", "fail_on", "output"),
    [
        (audit({"headers_csp": "fail"}), "", None),
        (audit({"headers_csp": "fail"}), "must", None),
        (audit({"headers_csp": "fail"}), "should", "1 not met (headers_csp)"),
        (audit({"https_hsts": "not_assessed"}), "must", "1 not assessed (https_hsts)"),
        (audit({"https_hsts": "not_assessed"}, waivers=until("2999-01-01")), "must", None),
        (
            audit({"https_hsts": "not_assessed"}, waivers=until("2020-01-01")),
            "must",
            "1 not assessed (https_hsts)",
        ),
        (audit({"passwords_expiry": "fail"}), "should", None),
        (audit({"https_hsts": "fail"}, waivers=until("2999-01-01")), "must", None),
        ({"unreachable": True, "msg": "no route"}, "", None),
        ({"unreachable": True, "msg": "no route"}, "must", "could not be reached: no route"),
        ({"failed": True, "msg": "no Python"}, "", "did not run: no Python"),
    ],
)
def test_what_makes_the_run_fail(result: dict[str, Any], fail_on: str, output: str | None) -> None:
    objections = _report.objections(document(result)["hosts"], fail_on)
    if output is None:
        assert objections == []
    else:
        assert len(objections) == 1 and objections[0].startswith("host0.test: ") and output in objections[0]


def test_files_are_private_and_replaced_whole(tmp_path: Path) -> None:
    directory = tmp_path / "new" / "report"
    _report.write(directory, {"report.json": "old"})
    _report.write(directory, {"report.json": "new"})
    assert (directory / "report.json").read_text() == "new"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / "report.json").stat().st_mode) == 0o600
    with pytest.raises(UnicodeEncodeError):
        _report.write(directory, {"report.json": "\ud800"})
    assert (directory / "report.json").read_text() == "new"
    assert [path.name for path in directory.iterdir()] == ["report.json"]


# One control for each status; the texts are the table's own.
SHOWN = {
    "https_redirect": "fail",
    "updates_os": "fail",
    "headers_csp": "fail",
    "headers_once": "not_assessed",
    "sessions_strict": "not_applicable",
    "uploads_no_exec": "pass",
    "backups_offsite": "fail",
    "monitoring_compromise": "fail",
}


def kept(*names: str) -> _controls.Table:
    """The table with these controls alone."""
    rows = {name: TABLE.by_id[name] for name in names}
    return _controls.Table(TABLE.sections, tuple(rows.values()), rows)


def result(table: _controls.Table, **more: Any) -> dict[str, Any]:
    """Of a host with all of it: one waiver is active, and one has run out."""
    waivers = [
        {"control": name, "reason": "Why.", "owner": "Ada", "until": until}
        for name, until in (("headers_csp", "2026-12-24"), ("backups_offsite", "2026-11-24"))
    ]
    seen = {name: {"status": status, "evidence": f"Evidence of {name}."} for name, status in SHOWN.items()}
    known = _controls.parse_waivers(waivers, TABLE)
    found = _controls.rows(table, seen, "Unseen.", "must", known, datetime.date(2026, 11, 25))
    return {"controls": found, "chamilo_version": "2.0.4", **more}


def read(*hosts: dict[str, Any], table: _controls.Table, last: dict[str, Any] | None = None) -> str:
    report = _report.document(hosts, GENERATED, last)
    return " ".join(Page(_report.to_html(report, table)).text.split())


def test_the_page_of_a_host_shows_each_status_and_what_to_do() -> None:
    table = kept(*SHOWN)
    found = result(table, signs=["A sign <b>."], forecast={"said": ["A ban would have met no address."]})
    text = read(_report.host("mixed.test", found, table), table=table)
    shown = [
        "What an intruder may have left, for a person to read A sign <b>. Evidence of monitoring_compromise.",
        "1 of 6 controls are met. 2 not met 1 not assessed 1 advice 1 waived 1 not applicable 1 met",
        "high Run harden, which enforces it.",
        "high Variable missing. Set chamilo_backups_offsite_repository, for example",
        "high Not assessed. Evidence of headers_once.",
        "Impact preview: clients of last week that would have been banned A ban would have met no address.",
        "Waivers that have run out A copy is on another machine (backups_offsite): until 2026-11-24, Ada. Why.",
        "HTTPS 1 not met Not met Plain HTTP leads to HTTPS Evidence of https_redirect.",
        "Backups 1 not met",
        "HTTP Security Headers 1 not assessed, 1 waived",
        "Until 2026-12-24 by Ada: Why.",
        "Keep Chamilo Updated 1 advice Advice The system installs its security updates by itself",
        "Session Management 1 not applicable",
        "File Upload Security 1 met Met Nothing that was uploaded can run",
        "What people have to do No program can see or do these. A person has read what an intruder may have left",
        "What the guide asks for",
    ]
    places = [text.find(words) for words in shown]
    assert -1 not in places and places == sorted(places), dict(zip(shown, places))


def test_the_last_good_result_stands_with_a_host_that_gave_none() -> None:
    table = kept("https_redirect", "updates_os")
    known = {"https_redirect": {"status": "fail"}, "updates_os": {"status": "pass"}, "gone_since": {"status": "fail"}}
    earlier = {"generated": "2026-11-01T13:45:00Z", "controls": known}
    gone = _report.host("gone.test", {"unreachable": True, "msg": "Task failed: no route"}, table, earlier=earlier)
    assert "controls count as not assessed. The last good result is of 2026-11-01 at 13:45 UTC: 1 met, 1 not met" in (
        read(gone, table=table)
    )


def test_all_names_of_a_portal_are_shown() -> None:
    named = audit(names=["campus.test", "www.campus.test", "library.test"])
    assert "Chamilo 2.0.1, known as campus.test, www.campus.test, library.test" in page(named).text
    assert "known as" not in page(audit(names=["campus.test"]), audit()).text


def test_the_chart_shows_each_audit_and_what_changed() -> None:
    """Bars from the ground up: open by severity, then what is met; as many as there were audits."""
    steps = [
        {"generated": "2026-11-01T00:00:00Z", "met": 1, "open": {"high": 2, "low": 1}, "better": [], "worse": []},
        {"generated": "2026-11-02T00:00:00Z", "met": 3, "open": {"low": 1}, "better": ["https_hsts"], "worse": []},
    ]
    hosts = [_report.host(f"host{number}.test", audit(), TABLE) for number in range(2)]
    report = _report.document(hosts, GENERATED, {"host0.test": steps})
    shown = Page(_report.to_html(report, TABLE))
    bars = [
        tuple(attributes[name] for name in ("class", "x", "y", "height"))
        for tag, attributes in shown.tags
        if tag == "rect"
    ]
    (first, second) = bars[:5], bars[5:]
    assert first == second, "its row in the overview has the same"
    assert first[:3] == [("high", "0", "50.0", "50.0"), ("low", "0", "25.0", "25.0"), ("met", "0", "0.0", "25.0")]
    assert first[3:] == [("low", "10", "75.0", "25.0"), ("met", "10", "0.0", "75.0")]
    assert "2026-11-02: 1 better (https_hsts), 0 worse" in shown.text
    assert "2026-11-01: 1 met, 2 high, 1 low" in shown.text


def links(html: str) -> set[str]:
    return {str(attributes["href"]) for tag, attributes in Page(html).tags if tag == "a"}


def test_many_hosts_have_a_page_each_and_the_first_one_stays_small() -> None:
    report = document(*[audit({"https_hsts": "fail"}) for _number in range(_report.MANY)])
    assert list(_report.to_pages(report, TABLE)) == ["report.html"]
    names = [*(f"campus{number}.test" for number in range(498)), "../x y", "a/b"]
    report = _report.document([_report.host(name, audit({"https_hsts": "fail"}), TABLE) for name in names], GENERATED)
    pages = _report.to_pages(report, TABLE)
    first = pages.pop("report.html")
    assert len(first.encode()) < 2_000_000
    assert {unquote(link) for link in links(first)} == set(pages) and len(pages) == 500
    assert all(name.startswith("hosts/") and name.count("/") == 1 for name in pages)
    (host,) = [html for name, html in pages.items() if name == "hosts/campus7.test.html"]
    assert "campus7.test" in host and "campus8.test" not in host
    assert "../report.html" in links(host)
    known = {f"../report.html#{attributes['id']}" for _tag, attributes in Page(first).tags if "id" in attributes}
    assert {link for link in links(host) if "about-" in link} <= known


def test_pages_of_hosts_that_are_gone_are_removed(tmp_path: Path) -> None:
    (tmp_path / "hosts").mkdir()
    for name in ("kept.test.html", "gone.test.html", "mine.txt"):
        (tmp_path / "hosts" / name).touch()
    _report.prune(tmp_path, {"report.html": "", "hosts/kept.test.html": ""})
    assert sorted(path.name for path in (tmp_path / "hosts").iterdir()) == ["kept.test.html", "mine.txt"]
