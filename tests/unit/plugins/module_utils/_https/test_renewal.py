# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A renewed certificate: whose it is, what is checked before it is loaded, and who is alerted when it is not served."""

from __future__ import annotations

import datetime
import json
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import alert as common_alert
from ansible_collections.chamilo.hardening.plugins.module_utils._common import x509
from ansible_collections.chamilo.hardening.plugins.module_utils._common.services import Machine
from ansible_collections.chamilo.hardening.plugins.module_utils._https import hsts, renewal
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.store import Store
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver import certbot
from tests.testbed import authority

LINEAGE = "/etc/letsencrypt/live/campus.test"


class Host:
    """One portal whose web server serves what it has loaded."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.file = directory / "fullchain.pem"
        self.file.write_text(authority.issue("campus.test")[0])
        self.loaded = "old"
        self.broken = False
        self.deaf = False
        self.active = "active"
        self.commands: list[str] = []
        self.engine = Engine(str(directory / "state"), Machine(self.run, systemd=True))
        site = {"domain": "campus.test", "site": "campus", "service": "nginx", "test": [["nginx", "-t"]]}
        more = {"certificate": str(self.file), "address": "127.0.0.1"}
        (directory / "https-campus.json").write_text(json.dumps({**site, **more}))

    @property
    def new(self) -> str:
        return x509.first_of(self.file.read_text()).serial

    def run(self, argv, seconds: float) -> tuple[int, str]:
        self.commands.append(" ".join(argv))
        if argv[0] == "nginx":
            return int(self.broken), "unknown directive" * self.broken
        if argv[1] == "is-active":
            return 0, self.active
        if argv[1] == "reload" and not self.deaf:
            self.loaded = self.new
        return 0, ""

    def renewed(self, lineage: str = LINEAGE) -> list[str]:
        return renewal.renewed(self.engine, lineage, lambda site: self.loaded)


@pytest.fixture
def reported(monkeypatch) -> list[str]:
    found: list[str] = []

    def notify(section: str, title: str, text: str, again: bool = False) -> list[str]:
        found.append(f"{title}: {text}")
        return []

    monkeypatch.setattr(common_alert, "notify", notify)
    return found


@pytest.fixture
def host(tmp_path, monkeypatch, reported) -> Host:
    made = Host(tmp_path)
    monkeypatch.setattr(renewal.glob, "glob", lambda pattern: [str(path) for path in tmp_path.glob("https-*.json")])
    monkeypatch.setattr(certbot, "lineage_of", lambda file: "campus.test" if file.startswith(str(tmp_path)) else "")
    monkeypatch.setattr(renewal, "SERVED_SECONDS", 0)
    return made


def test_a_renewed_certificate_is_tested_loaded_and_probed(host, reported):
    assert host.renewed() == [f"campus.test serves the certificate with serial {host.new}."]
    assert host.commands == ["nginx -t", "systemctl is-active nginx", "systemctl reload nginx"]
    assert reported == []


def test_a_broken_configuration_is_not_loaded_and_reported(host, reported):
    host.broken = True
    with pytest.raises(renewal.RenewalError, match="unknown directive"):
        host.renewed()
    assert host.loaded == "old" and not any("reload" in command for command in host.commands)
    assert "The renewed certificate of campus.test is not active" in reported[0] and "unknown directive" in reported[0]


def test_a_reload_that_did_nothing_is_reported(host, reported):
    host.deaf = True
    with pytest.raises(renewal.RenewalError, match="still serves old"):
        host.renewed()
    assert "systemctl status nginx" in reported[0]


def test_a_certificate_that_could_not_be_loaded_is_reported(host, reported, monkeypatch):
    monkeypatch.setattr(host.engine.machine, "service", lambda action, service: f"{service}: {action} failed")
    words = "campus.test has a new certificate, but it could not be loaded: nginx: reload failed"
    with pytest.raises(renewal.RenewalError, match=words):
        host.renewed()
    assert reported == [f"The renewed certificate of campus.test is not active: {words}"]


def test_what_is_served_is_asked_again_for_a_while(host, reported, monkeypatch):
    served = iter(["old", "old", host.new])
    monkeypatch.setattr(renewal, "SERVED_SECONDS", 10)
    monkeypatch.setattr(renewal.time, "sleep", lambda _seconds: None)
    assert renewal.renewed(host.engine, LINEAGE, lambda _site: next(served))[0].endswith(f"serial {host.new}.")
    assert reported == []


def test_nothing_is_loaded_while_another_run_has_the_lock_of_the_host(host):
    messages: list[str] = []
    hook = threading.Thread(target=lambda: messages.extend(host.renewed()))
    with Store(str(host.directory / "state")).lock("a run of the role", 1):
        hook.start()
        hook.join(0.5)
        assert hook.is_alive() and host.commands == [], "the files may be half of one run and half of another"
    hook.join(10)
    assert messages == [f"campus.test serves the certificate with serial {host.new}."]
    assert "systemctl reload nginx" in host.commands


def test_an_undelivered_alert_keeps_no_other_site_waiting(host, monkeypatch):
    def deaf(*_what: object, **_how: object) -> list[str]:
        raise common_alert.AlertError("No notification was sent.")

    first = host.directory / "https-alumni.json"
    known = json.loads((host.directory / "https-campus.json").read_text())
    first.write_text(json.dumps({**known, "domain": "alumni.test", "certificate": str(host.directory / "theirs.pem")}))
    monkeypatch.setattr(renewal.glob, "glob", lambda pattern: [str(first), str(host.directory / "https-campus.json")])
    monkeypatch.setattr(common_alert, "notify", deaf)
    with pytest.raises(renewal.RenewalError, match=r"theirs\.pem.* No notification was sent\."):
        host.renewed()
    assert host.loaded == host.new


def test_a_server_that_does_not_run_is_left_as_it_is(host):
    host.active = "inactive"
    assert "does not run" in host.renewed()[0] and host.loaded == "old"


@pytest.mark.parametrize("text", ["{", "[]", "7", '{"site": "alumni", "domain": "alumni.test"}', None])
def test_a_damaged_configuration_is_reported_and_the_other_sites_go_on(host, reported, monkeypatch, text):
    damaged = host.directory / "https-alumni.json"  # in the way of the one behind it
    if text is not None:
        damaged.write_text(text)
    both = [str(damaged), str(host.directory / "https-campus.json")]
    monkeypatch.setattr(renewal.glob, "glob", lambda pattern: both)
    words = r"https-alumni\.json is damaged \(.*\)\. Run the playbook harden again\."
    with pytest.raises(renewal.RenewalError, match=words):
        host.renewed()
    assert host.loaded == host.new
    (alert,) = reported
    assert alert.startswith("A renewed certificate may not be active: ") and "https-alumni.json" in alert
    worked = []
    monkeypatch.setattr(renewal, "_step", lambda site, engine: worked.append(site["domain"]) or [])
    monkeypatch.setattr(renewal, "_watch", lambda site, engine: [])
    with pytest.raises(renewal.RenewalError, match=words):
        renewal.daily()
    assert worked == ["campus.test"]
    monkeypatch.setattr(renewal.acme, "bundle", lambda files: "the authorities of the host")
    trusted, fault = renewal.before()
    assert "the authorities of the host" in trusted and "https-alumni.json" in fault
    assert renewal.warnings(["https:campus.hsts"]) == [], "taking back goes on as well"


class Step:
    def __init__(self, value, waits=(), answered=("a.campus.test", "b.campus.test")):
        self.value, self.waits, self.ramp = value, list(waits), SimpleNamespace(answered=answered)


ALL = "max-age=86400; includeSubDomains"
NAME = "Strict-Transport-Security of campus.test"


@pytest.mark.parametrize(
    ("step", "changed", "silent", "line", "alert"),
    [
        (Step(ALL), True, "", f"campus.test sends '{ALL}' from now on.", ""),
        (Step("max-age=300"), False, "a.campus.test", "campus.test sends 'max-age=300'.", ""),
        (
            Step(ALL),
            True,
            "b.campus.test",
            "Browsers that know campus.test cannot reach what they are bound to: b.campus.test is down.",
            "A subdomain of campus.test does not answer https",
        ),
        (
            Step(ALL, ["one fails", "another"]),
            True,
            "b.campus.test",
            f"campus.test stays at '{ALL}', because not all is well: one fails; another.",
            f"{NAME} waits",
        ),
    ],
)
def test_each_day_takes_hsts_one_step_on(host, reported, monkeypatch, step, changed, silent, line, alert):
    def take(site, engine, outcome):
        assert site["domain"] == "campus.test"
        outcome.changed = changed
        return step

    def unanswered(name, authority):
        assert authority == ""
        return f"{name} is down" if name == silent else ""

    monkeypatch.setattr(hsts, "take", take)
    monkeypatch.setattr(hsts, "unanswered", unanswered)
    monkeypatch.setattr(renewal, "_watch", lambda _site, _engine: [])
    assert renewal.daily() == ([line] if line else [])
    assert reported == ([f"{alert}: {line}"] if alert else [])


@pytest.mark.parametrize(("days", "left", "warned"), [(14, 13, True), (15, 14, False), (-1, -2, True)])
def test_each_day_a_certificate_that_runs_out_is_reported(host, reported, monkeypatch, days, left, warned):
    host.file.write_text(authority.issue("campus.test", days=days)[0])
    found = x509.first_of(host.file.read_text())
    day = datetime.datetime.fromtimestamp(found.not_after, datetime.timezone.utc).strftime("%Y-%m-%d")
    site = {**renewal.configurations()[0][0], "certificate_key": ""}
    for served, lines in ((host.new, []), ("", []), ("old", ["activated"])):
        monkeypatch.setattr(renewal, "_served_serial", lambda _site, served=served: served)
        monkeypatch.setattr(renewal, "activate", lambda _site, _engine: "activated")
        text = f"The certificate of campus.test is good until {day} ({left} days left)."
        if warned:
            text = f"The certificate of campus.test runs out on {day} ({left} days left), and was not renewed."
        assert renewal._watch(site, host.engine) == [*lines, text]
    title = "The certificate of campus.test runs out"
    assert reported == [f"{title}: {text}"] * 3 * warned
    assert renewal._watch({**site, "certificate": ""}, host.engine) == []


def test_what_fails_on_a_day_keeps_no_other_work_from_being_done(host, monkeypatch):
    done = []

    def fails(_site, _engine):
        raise ValueError("odd")

    monkeypatch.setattr(renewal, "_step", fails)
    monkeypatch.setattr(renewal, "_watch", lambda site, _engine: done.append(site["domain"]) or [])
    with pytest.raises(renewal.RenewalError, match=r"\Aodd\Z"):
        renewal.daily()
    assert done == ["campus.test"]
