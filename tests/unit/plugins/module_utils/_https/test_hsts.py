# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ramp: what is decided from the record of a host, and that role and daily work decide the same."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import http
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from ansible_collections.chamilo.hardening.plugins.module_utils._common.services import Machine
from ansible_collections.chamilo.hardening.plugins.module_utils._https import hsts
from ansible_collections.chamilo.hardening.plugins.module_utils._https.hsts import Ramp, Step
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction import plan
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.job import Outcome

BEGAN = "2026-11-25"
TRIAL, ALONE, GUIDE = "max-age=86400", "max-age=31536000", "max-age=31536000; includeSubDomains"
MEDIA = "media.campus.test"


def decide(
    mode: str, day: str, known: Ramp, declared: list[str] | None = None, portal: str = "", sub: str = ""
) -> Step:
    today = datetime.date.fromisoformat(day)
    return hsts.decide(mode, declared or [], known, today, lambda: portal, lambda name: sub and f"{name}: {sub}")


def test_a_portal_that_is_not_well_stays_at_one_day_and_reports_why() -> None:
    step = decide("ramp", "2026-12-02", Ramp("ramp", BEGAN), portal="the certificate is refused")
    assert (step.value, step.waits) == (TRIAL, ["the certificate is refused"])
    assert decide("ramp", "2026-12-03", step.ramp).value == GUIDE


def test_every_declared_subdomain_must_answer_before_subdomains_are_bound() -> None:
    waiting = decide("ramp", "2026-12-02", Ramp("ramp", BEGAN), [MEDIA], sub="refused")
    assert (waiting.value, waiting.waits) == (TRIAL, [f"{MEDIA}: refused"])
    alone = decide("full", BEGAN, Ramp(), [MEDIA], sub="refused")
    assert (alone.value, alone.waits) == (ALONE, [f"{MEDIA}: refused"])
    assert decide("full", BEGAN, alone.ramp, [MEDIA]).value == GUIDE


def test_what_browsers_were_bound_to_is_not_lowered_by_an_answer_that_fails_once() -> None:
    full = decide("ramp", "2026-12-02", Ramp("ramp", BEGAN), [MEDIA])
    assert decide("ramp", "2026-12-03", full.ramp, [MEDIA], portal="down", sub="down").value == GUIDE
    more = decide("ramp", "2026-12-03", full.ramp, [MEDIA, "new.campus.test"], sub="no https")
    assert (more.value, more.waits) == (ALONE, ["new.campus.test: no https"])


def test_after_off_the_ramp_begins_again() -> None:
    off = decide("off", "2026-12-10", Ramp("ramp", BEGAN, True, (MEDIA,)))
    assert off.ramp == Ramp("off", "2026-12-10")
    assert decide("off", "2026-12-12", off.ramp).ramp == off.ramp
    again = decide("ramp", "2026-12-20", off.ramp)
    assert (again.value, again.ramp) == (TRIAL, Ramp("ramp", "2026-12-20"))


TWO_YEARS = "max-age=63072000; includeSubDomains; preload"


@pytest.mark.parametrize(
    ("mode", "day", "known", "owner", "expected"),
    [
        ("ramp", BEGAN, Ramp(), "", TRIAL),
        ("ramp", "2026-12-01", Ramp("ramp", BEGAN), "", TRIAL),
        ("ramp", "2026-12-02", Ramp("ramp", BEGAN), "", GUIDE),
        ("full", BEGAN, Ramp(), "", GUIDE),
        ("off", "2026-12-02", Ramp("ramp", BEGAN, True), "", "max-age=0"),
        ("ramp", BEGAN, Ramp(), ALONE, ALONE),
        ("ramp", BEGAN, Ramp(), TWO_YEARS, TWO_YEARS),
        ("ramp", BEGAN, Ramp(), "max-age=300; includeSubDomains", TRIAL),
        ("ramp", "2026-12-02", Ramp("ramp", BEGAN, owner=ALONE), "", GUIDE),
        ("ramp", "2026-12-02", Ramp("ramp", BEGAN, owner=TWO_YEARS), ALONE, TWO_YEARS),
        ("full", BEGAN, Ramp("full", BEGAN, True), TWO_YEARS, TWO_YEARS),
        ("off", "2026-12-02", Ramp("ramp", BEGAN, True, (), TWO_YEARS), TWO_YEARS, "max-age=0"),
    ],
)
def test_the_value_follows_mode_and_day_and_is_never_below_the_owners(
    mode: str, day: str, known: Ramp, owner: str, expected: str
) -> None:
    today = datetime.date.fromisoformat(day)
    step = hsts.decide(mode, [], known, today, lambda: "", lambda name: "", owner)
    assert (step.value, step.waits) == (expected, [])
    assert hsts.parse(step.ramp.text([]), "hsts.json") == step.ramp
    assert hsts.decide(mode, [], step.ramp, today, lambda: "", lambda name: "").value == expected, "daily knows it too"


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"mode": "ramp", "since": "yesterday"}'])
def test_a_damaged_record_is_named(text: str) -> None:
    with pytest.raises(hsts.HstsError, match="hsts-campus.json is damaged"):
        hsts.parse(text, "hsts-campus.json")


class Host:
    """A portal whose header is the file that is served."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.engine = Engine(str(directory / "state"), Machine(lambda argv, seconds: (0, "inactive"), systemd=False))
        self.asked: list[str] = []
        self.error = ""

    def ask(self, url: str, address: str, authority: str) -> Answer:
        self.asked.append(f"{url} {address}")
        if self.error:
            return Answer(url, error=self.error)
        return Answer(url, 200, (("Strict-Transport-Security", (self.directory / "hsts.conf").read_text()),))

    def configuration(self, mode: str) -> dict[str, Any]:
        desired: dict[str, Any] = {"mode": mode, "subdomains": [MEDIA], "probe": []}
        desired["files"] = [{"path": str(self.directory / "hsts.conf"), "content": "@hsts@"}]
        return {"site": "campus", "domain": "campus.test", "service": "nginx", "test": [], "hsts": desired}

    def take(self, day: str, check: bool = False, mode: str = "ramp") -> tuple[Step, bool]:
        outcome = Outcome()
        today = datetime.date.fromisoformat(day)
        step = hsts.take(self.configuration(mode), self.engine, outcome, check, today, self.ask)
        return step, outcome.changed

    def settled(self, day: str, mode: str = "ramp") -> str:
        """The value that is known without the host, from what discovery observed there."""
        today = datetime.date.fromisoformat(day)
        step = hsts.settled(self.configuration(mode), BEGAN, self.engine.in_force(), today)
        return step.value if step else ""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(hsts, "STATE", str(tmp_path))
    monkeypatch.setattr(plan, "_user", lambda name: os.geteuid())
    monkeypatch.setattr(plan, "_group", lambda name: os.getegid())
    return Host(tmp_path)


def test_a_step_is_taken_once_by_the_first_run(host: Host) -> None:
    assert host.take(BEGAN, check=True)[1] and not (host.directory / "hsts.conf").exists()
    assert host.take(BEGAN)[1] and not host.take("2026-11-28")[1]
    assert host.asked == [], "nobody is asked before a step is due"
    host.error = "certificate refused"
    step, changed = host.take("2026-12-02")
    assert (step.value, changed) == (TRIAL, False)
    assert "certificate refused" in " ".join(step.waits)
    host.error = ""
    assert host.take("2026-12-02")[1] and not host.take("2026-12-03")[1]
    assert (host.directory / "hsts.conf").read_text() == GUIDE
    assert host.take("2026-12-03", mode="none")[1] and not (host.directory / "hsts.conf").exists()
    assert not host.take("2026-12-03", mode="none")[1]


@pytest.mark.parametrize("address", ["127.0.0.1", ""])
def test_the_portal_is_asked_where_its_visitors_reach_it(host: Host, address: str) -> None:
    host.take(BEGAN)
    outcome, configuration = Outcome(), host.configuration("ramp")
    configuration["hsts"].update(address=address, subdomains=[])
    # Where sections put and probe something is another matter: behind a proxy nothing speaks TLS there.
    configuration["address"] = "127.0.0.9"
    hsts.take(configuration, host.engine, outcome, False, datetime.date.fromisoformat("2026-12-02"), host.ask)
    assert host.asked == [f"https://campus.test/ {address}"]


@pytest.mark.parametrize(
    ("status", "sent", "wait"),
    [
        (200, [TRIAL], ""),
        (500, [TRIAL], "https://campus.test/ does not answer a client that checks certificates: "),
        (200, [], f"https://campus.test/ sends no value as Strict-Transport-Security instead of {TRIAL}"),
        (
            200,
            ["a", TRIAL],
            f"https://campus.test/ sends a and {TRIAL} as Strict-Transport-Security instead of {TRIAL}",
        ),
    ],
)
def test_a_portal_that_does_not_send_the_first_value_once_waits(
    host: Host, status: int, sent: list[str], wait: str
) -> None:
    host.take(BEGAN)
    configuration = host.configuration("ramp")
    configuration["hsts"]["subdomains"] = []
    day = datetime.date.fromisoformat("2026-12-02")
    answer = Answer("", status, tuple(("Strict-Transport-Security", value) for value in sent))
    step = hsts.take(configuration, host.engine, Outcome(), False, day, lambda *_asked: answer)
    assert step.value == (TRIAL if wait else GUIDE)
    assert [each[: len(wait)] for each in step.waits] == [wait] * bool(wait)


def test_what_is_active_is_reported_without_the_host(host: Host) -> None:
    assert host.settled(BEGAN) == ""
    host.take(BEGAN)
    assert host.settled("2026-12-01") == TRIAL
    assert host.settled("2026-12-02") == "", "a step is due, and somebody has to ask the portal"
    assert host.settled("2026-12-01", mode="full") == host.settled("2026-12-01", mode="none") == ""
    host.take("2026-12-02")
    assert host.settled("2027-01-01") == GUIDE
    (host.directory / "hsts.conf").write_text(TRIAL)
    assert host.settled("2027-01-01") == ""


def test_where_no_browser_was_bound_nothing_is_to_be_withdrawn(host: Host) -> None:
    def withdrawn(since: str) -> bool:
        return hsts.settled(host.configuration("none"), since, host.engine.in_force()) is not None

    assert (withdrawn(""), withdrawn(BEGAN)) == (True, False), "of a record the host has to warn"
    host.take(BEGAN)
    assert not withdrawn("")
    host.take(BEGAN, mode="none")
    assert withdrawn("")


def test_what_binds_browsers_is_let_go_by_a_word_that_yaml_reads_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its quotes off is a boolean, which the variable does not take."""
    record = tmp_path / "hsts.json"
    record.write_text(json.dumps({"since": BEGAN, "value": "max-age=86400"}))
    monkeypatch.setattr(hsts, "record_of", lambda _site: str(record))
    assert 'set chamilo_https_hsts to "off", run harden' in hsts.bound("campus", "campus.test")


@pytest.mark.parametrize(("authority", "good"), [("/ca.pem", ""), ("/ca.pem", "/ca.pem"), ("", ""), ("/gone.pem", "-")])
def test_the_certificate_is_verified_by_the_declared_authority_or_the_hosts_own(
    monkeypatch: pytest.MonkeyPatch, authority: str, good: str
) -> None:
    asked = []

    def fetch(url: str, address: str, verify: bool, ca_file: str) -> Answer:
        asked.append((url, address, verify, ca_file))
        if ca_file == "/gone.pem":
            raise FileNotFoundError("No such file")
        return Answer(url, 200) if ca_file == good else Answer(url, error="refused")

    monkeypatch.setattr(http, "fetch", fetch)
    answer = hsts._ask("https://campus.test/", "127.0.0.1", authority)
    tried = dict.fromkeys((authority, "")) if authority != good else [authority]
    assert asked == [("https://campus.test/", "127.0.0.1", True, file) for file in tried]
    assert (answer.status, answer.error) == ((200, "") if good != "-" else (0, "refused"))
