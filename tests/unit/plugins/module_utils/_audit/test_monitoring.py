# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import time

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import (
    Account,
    DatabaseError,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._application.observer import Observer, Unseen
from ansible_collections.chamilo.hardening.plugins.module_utils._application.portal_reader import PortalReader
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._audit import host_jobs, monitoring
from ansible_collections.chamilo.hardening.plugins.module_utils._common import files
from ansible_collections.chamilo.hardening.plugins.module_utils._host.processes import Job, Process
from ansible_collections.chamilo.hardening.plugins.module_utils._php.php import Php
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.configuration import VirtualHost

ROTATES = Job("logrotate.timer", "/usr/sbin/logrotate /etc/logrotate.conf")
DAILY = Job(
    "chamilo-hardening-daily.timer",
    "/usr/local/sbin/chamilo-hardening daily",
    service="chamilo-hardening-daily.service",
)
OUR_MONIT = """
check system chamilo_host
check program logins with path "/usr/local/sbin/chamilo-hardening watch logins campus"
check program disks with path "/usr/local/sbin/chamilo-hardening watch disks campus"
check file log with path {log}
"""


class Host:
    def __init__(self, tmp_path, monkeypatch):
        self.root = tmp_path / "chamilo"
        for directory in ("var/log/ids", "var/upload", "var/cache/prod", "public/main", "public/img", "src", "bin"):
            (self.root / directory).mkdir(parents=True)
        for script in ("public/index.php", "src/Kernel.php", *(f"public/main/{n}.php" for n in range(40))):
            self.file(script, "<?php require 'x.php'; $x = $_GET['y'];", days=100)
        self.etc = tmp_path / "etc"
        self.etc.mkdir()
        self.records = tmp_path / "records"
        self.records.mkdir()
        self.log = tmp_path / "access.log"
        self.log.write_text('192.0.2.1 - - [25/Nov/2026:13:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "-"\n')
        self.access_log = f"{self.log} combined"
        self.access_log_file = str(self.log)
        self.jobs = []
        self.processes = [Process(1, 0, "systemd", 0)]
        self.admins = [{"username": "admin", "status": "1", "active": "1", "late": "1"}]
        self.accounts = {}  # rows by a part of the question
        self.numbers = dict.fromkeys(("dormant", "never", "twice", "locked"), "0")
        self.numbers["total"] = "30"
        self.database_answers = True
        self.asked = []
        monkeypatch.setattr(monitoring, "_MONIT", (f"{self.etc}/monit/*",))
        monkeypatch.setattr(monitoring, "_LOGROTATE", (f"{self.etc}/logrotate.d/*",))
        self.settings = tmp_path / "settings"
        self.settings.mkdir()
        self.run = tmp_path / "run"
        self.run.mkdir()
        self.program = tmp_path / "chamilo-hardening"
        self.mailer = tmp_path / "sendmail"
        for module in (host_jobs, monitoring):
            monkeypatch.setattr(module, "RECORDS", str(self.records))
            monkeypatch.setattr(module, "SETTINGS", str(self.settings))
        monkeypatch.setattr(host_jobs, "PROGRAM", str(self.program))
        monkeypatch.setattr(monitoring, "_PULSE", str(self.run))
        monkeypatch.setattr(monitoring, "_MONIT_STARTED", str(self.run / "monit.pid"))
        monkeypatch.setattr(host_jobs, "_MAILERS", (str(self.mailer),))
        monkeypatch.setattr(files, "STATE", str(self.records))

    def file(self, path, text, days=0.0):
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        os.utime(target, (time.time() - days * 86400,) * 2)
        return target

    def config(self, watcher, text):
        directory = self.etc / watcher
        directory.mkdir(exist_ok=True)
        (directory / "main").write_text(text)

    def record(self, **entries):
        (self.records / "monitoring.json").write_text(json.dumps(entries))

    def harden(self):
        """All that our own watch is made of."""
        for program in (self.program, self.mailer):
            program.write_text("#!/bin/sh")
            program.chmod(0o755)
        self.jobs = [DAILY, ROTATES]
        self.processes += [Process(7, 1, "monit", 0)]
        (self.settings / "monitoring-campus.json").write_text("{}")
        (self.settings / "alert.json").write_text('{"mail": "admin@school.example"}')
        (self.records / "integrity-campus.json").write_text(json.dumps({f"src/{n}.php": "0" * 64 for n in range(20)}))
        self.pulse()
        self.config("monit", OUR_MONIT.format(log=self.root / "var/log/prod.log"))
        self.file("config/packages/prod/zz_log.yaml", "path: '%kernel.logs_dir%/%kernel.environment%.log'\n")
        self.config("logrotate.d", f"{self.root}/var/log/prod.log {{\n weekly\n}}\n")
        self.file("var/log/prod.log", "request.CRITICAL: Uncaught PHP Exception\n")
        self.record(**dict.fromkeys((*OURS, "app_log"), {"at": time.time() - 7200, "ok": True}))

    def pulse(self, minutes=1, **more):
        (self.run / "watch-campus.json").write_text(json.dumps({"at": time.time() - 60 * minutes, **more}))

    def inspect(self, root=True, environment="prod"):
        logs = {"access_log": self.access_log, "access_log_file": self.access_log_file}
        host = VirtualHost("site.conf", 1, ("campus.test",), (), "", **logs)
        site = Site(
            "campus.test",
            root=str(self.root),
            environment={"APP_ENV": environment},
            serving=(host,),
            addresses=("10.0.0.5",),
            php=Php(user="www-data"),
        )
        it = Observer(site, {})
        it.as_root = root
        it.jobs = tuple(self.jobs)
        it.processes = tuple(self.processes)
        it.database = PortalReader(Account("chamilo"), ask=self.ask)
        return it

    def ask(self, sql):
        self.asked.append(sql)
        if not self.database_answers:
            raise DatabaseError("The database is gone.")
        if " AS name FROM" in sql or "SHOW TABLES" in sql:
            return next((rows for part, rows in self.accounts.items() if part in sql), [])
        return self.admins if "SELECT username" in sql[:20] else [self.numbers]


@pytest.fixture
def host(tmp_path, monkeypatch):
    return Host(tmp_path, monkeypatch)


OURS = {
    "resources": monitoring.resources,
    "auth": monitoring.auth,
    "accounts": monitoring.accounts,
    "delivery": monitoring.delivery,
    "integrity": monitoring.integrity,
}


def test_an_unmonitored_host_fails(host):
    assert [check(host.inspect()).status for check in OURS.values()] == ["fail"] * 5
    assert monitoring.app_log(host.inspect()).status == "fail"


@pytest.mark.parametrize(("done", "hours", "status"), [(True, 2, "pass"), (False, 2, "fail"), (True, 800, "fail")])
def test_what_the_host_program_wrote_down_counts(host, done, hours, status):
    host.harden()
    host.record(**dict.fromkeys(OURS, {"at": time.time() - hours * 3600, "ok": done}))
    assert [check(host.inspect()).status for check in OURS.values()] == [status] * 5


def test_what_fails_for_want_of_a_way_for_alerts_has_that_cause(host):
    host.harden()
    now, refused = time.time(), "No notification was sent: the mail server refuses."
    lost = {"at": now, "ok": False, "detail": refused}
    accounts, auth = ({**lost, "detail": text} for text in (f"{refused} The list is here.", "No log."))
    host.record(delivery=lost, accounts=accounts, auth=auth, resources={"at": now, "ok": True})
    found = {name: check(host.inspect()) for name, check in OURS.items()}
    assert found["delivery"].cause == found["accounts"].cause != ""
    assert found["delivery"].cause.startswith(
        f"{refused} When that is mended, run on the host: chamilo-hardening daily"
    )
    assert found["auth"].status == "fail" and found["auth"].cause == ""


def test_a_monit_that_was_just_started_has_a_quarter_of_an_hour_to_ask(host):
    host.harden()
    (host.run / "watch-campus.json").unlink()
    (host.run / "monit.pid").write_text("7")
    assert monitoring.auth(host.inspect()).status == "pass"
    os.utime(host.run / "monit.pid", (time.time() - 3600,) * 2)
    assert monitoring.auth(host.inspect()).status == "fail"


def test_files_not_accepted_yet_wait_for_a_person(host):
    host.harden()
    records = dict.fromkeys((*OURS, "app_log"), {"at": time.time() - 7200, "ok": True})
    reported = "Not accepted yet: compare the files, then run: chamilo-hardening integrity accept"
    host.record(**{**records, "integrity": {"at": time.time() - 7200, "ok": False, "detail": reported}})
    found = monitoring.integrity(host.inspect())
    assert (found.status, found.waits.partition(":")[0]) == ("fail", "For a person")
    host.record(**{**records, "integrity": {"at": time.time() - 7200, "ok": False, "detail": "The disk is full."}})
    found = monitoring.integrity(host.inspect())
    assert (found.status, found.waits) == ("fail", "")


def test_without_root_nothing_is_claimed(host):
    for check in (monitoring.accounts, monitoring.delivery, monitoring.integrity):
        with pytest.raises(Unseen, match="needs root"):
            check(host.inspect(root=False))


# --------------------------------------------------------------------------------------------------- errors


def logged(host, rotated=True, name="prod.log"):
    host.file(f"var/log/{name}", "[2026-11-25T13:00:00] request.CRITICAL: Uncaught PHP Exception\n")
    if rotated:
        host.config("logrotate.d", f"# chamilo\n/var/log/x.log\n{host.root}/var/log/*.log {{\n  daily\n}}\n")
        host.jobs.append(ROTATES)


def test_a_log_that_was_just_rotated_is_there(host):
    host.harden()
    old = (host.root / "var/log/prod.log").rename(host.root / "var/log/prod.log.1")
    assert monitoring.app_log(host.inspect()).status == "pass"
    os.utime(old, (time.time() - 32 * 86400,) * 2)
    assert monitoring.app_log(host.inspect()).status == "fail", "nothing for a month"


def test_monologs_own_rotation_counts(host):
    host.harden()
    host.config("logrotate.d", "")
    (host.root / "var/log/prod.log").unlink()
    logged(host, rotated=False, name="prod-2026-11-25.log")
    assert monitoring.app_log(host.inspect()).status == "pass"


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda host: None, "not there"),
        (lambda host: host.file("var/log/prod.log", ""), "is empty"),
        (lambda host: logged(host, rotated=False), "nothing rotates it"),
        (logged, "no watch over it by the role monitoring was recorded"),
        (lambda host: (logged(host), host.jobs.clear()), "nothing rotates it"),
    ],
)
def test_a_log_that_notifies_no_recipient(host, prepare, words):
    prepare(host)
    finding = monitoring.app_log(host.inspect())
    assert finding.status == "fail"
    assert words in finding.evidence


@pytest.mark.parametrize("control", ["app_log", "resources", "auth", "integrity"])
def test_what_another_program_may_do_is_no_proof(host, control):
    logged(host)
    host.processes.append(Process(9, 1, "prometheus-node", 0))
    finding = getattr(monitoring, control)(host.inspect())
    assert finding.status == "fail" and "waive this control" in finding.evidence


def test_a_directory_of_logs_that_is_closed_is_not_assessed(host, monkeypatch):
    asked = []
    monkeypatch.setattr(monitoring.os, "access", lambda path, how: asked.append((path, how)))
    with pytest.raises(Unseen, match="var/log cannot be opened by this account"):
        monitoring.app_log(host.inspect())
    assert asked == [(f"{host.root}/var/log", os.R_OK | os.X_OK)]


@pytest.mark.parametrize(
    ("days", "status"),
    [
        ({"campus": 2, "shop": 2}, "pass"),
        ({"campus": 30.9, "shop": 2}, "pass"),
        ({"campus": 31.1, "shop": 2}, "fail"),
        ({"shop": 2}, "fail"),
    ],
)
def test_the_list_of_another_portal_is_not_that_of_this_one(host, days, status):
    host.harden()
    for site in ("campus", "shop"):
        (host.settings / f"monitoring-{site}.json").write_text(json.dumps({"domain": f"{site}.test"}))
    reported = {site: time.time() - age * 86400 for site, age in days.items()}
    host.record(accounts={"at": time.time() - 7200, "ok": True, "told": reported})
    finding = monitoring.accounts(host.inspect())
    assert finding.status == status
    assert ("ago, but none of campus.test went out in the last month." in finding.evidence) == (status == "fail")


# -------------------------------------------------------------------------------- what an intruder may have left


@pytest.mark.parametrize(
    ("hours", "lines", "gaps", "status", "words"),
    [
        (2, ["Crontab: a", "At job: b"], [], "fail", "of the lists: 2."),
        (2, ["Crontab: a"], ["var/: not all."], "fail", "Not listed: var/: not all."),
        (2, [], [], "pass", "no line that was not accepted"),
        (2, [], ["var/: not all."], "unseen", "Not listed: var/: not all."),
        (27, [], [], "unseen", "not of the last 26 hours: chamilo-hardening daily monitoring"),
        (-30, ["Crontab: a"], [], "unseen", "not of the last 26 hours"),
    ],
)
def test_the_lists_are_read_with_their_date(host, hours, lines, gaps, status, words):
    at = time.time() - hours * 3600
    known = {"campus_test": {"at": at, "lines": lines, "gaps": gaps}}
    (host.records / "left_behind.json").write_text(json.dumps(known))
    if status == "unseen":
        with pytest.raises(Unseen) as found:
            monitoring.compromise(host.inspect())
        evidence = str(found.value)
    else:
        finding = monitoring.compromise(host.inspect())
        assert finding.status == status
        evidence = finding.evidence
    assert words in evidence and time.strftime("%Y-%m-%d %H:%M", time.gmtime(at)) in evidence
    assert monitoring.left(host.inspect()) == lines


@pytest.mark.parametrize(
    "text", [None, "{}", '{"shop_test": {"at": 1.0}}', '{"campus_test": []}', "[", '{"campus_test": {}}']
)
def test_lists_that_are_not_there_are_no_pass(host, text):
    if text is not None:
        (host.records / "left_behind.json").write_text(text)
    with pytest.raises(Unseen, match="no lists were made here"):
        monitoring.compromise(host.inspect())
    with pytest.raises(Unseen, match="needs root"):
        monitoring.compromise(host.inspect(root=False))
    assert monitoring.left(host.inspect()) == monitoring.left(host.inspect(root=False)) == []
