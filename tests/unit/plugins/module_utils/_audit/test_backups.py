# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import re
import shutil

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.observer import Observer, Unseen
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Database, Site
from ansible_collections.chamilo.hardening.plugins.module_utils._audit import backups, host_jobs
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.proof import fingerprint
from ansible_collections.chamilo.hardening.plugins.module_utils._common.control import observe
from ansible_collections.chamilo.hardening.plugins.module_utils._common.locks import lock
from ansible_collections.chamilo.hardening.plugins.module_utils._host.processes import Job, Process
from ansible_collections.chamilo.hardening.plugins.module_utils._php.php import Php
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.configuration import VirtualHost, WebServer

DUMP = "-- MariaDB dump 10.19\n-- Host: localhost    Database: chamilo\nCREATE TABLE x (id INT);\n"
OUR_BACKUP = Job("/etc/cron.d/ours:4", "7 3 * * * root chamilo-hardening backup --quiet --site campus")
OUR_DRILL = Job("/etc/cron.d/ours:5", "7 5 * * 0 root chamilo-hardening drill --quiet --site campus")


class Host:
    def __init__(self, tmp_path, monkeypatch):
        self.root = tmp_path / "www/chamilo"
        (self.root / "public").mkdir(parents=True)
        (self.root / ".env").write_text("APP_ENV=prod\nAWS_S3_STORAGE_BUCKET=''\n")
        self.place = tmp_path / "backup"
        self.place.mkdir()
        self.records = tmp_path / "records"
        self.records.mkdir()
        self.jobs = ()
        proof = {"salt": "s", "fingerprint": fingerprint("key", "s")}
        self.copy = {"key_copy": "/home/ada/campus.key", "key_holder": "the machine of ada", "key_proof": proof}
        monkeypatch.setattr(backups, "PLACES", (str(self.place),))
        self.settings = tmp_path / "settings"
        self.settings.mkdir()
        self.program = tmp_path / "chamilo-hardening"
        self.processes = [Process(9, 1, "cron", 0)]
        for module in (host_jobs, backups):
            monkeypatch.setattr(module, "SETTINGS", str(self.settings))
            monkeypatch.setattr(module, "RECORDS", str(self.records))
        monkeypatch.setattr(host_jobs, "PROGRAM", str(self.program))

    def inspect(self, root=True):
        host = VirtualHost("site.conf", 1, ("campus.test",), (), str(self.root / "public"))
        site = Site(
            "campus.test",
            root=str(self.root),
            virtual_hosts=(host,),
            database=Database("localhost", name="chamilo", user="chamilo"),
            php=Php(user="nobody"),
            web=WebServer(user="nobody"),
        )
        it = Observer(site, {"site": "campus", **self.copy})
        it.as_root = root
        it.jobs = tuple(self.jobs)
        it.processes = tuple(self.processes)
        return it

    def harden(self, tmp_path):
        """All that our own backups are made of. The repository elsewhere is a directory on another mount."""
        self.program.write_text("#!/bin/sh")
        self.program.chmod(0o755)
        self.jobs = [OUR_BACKUP, OUR_DRILL]
        self.places = {name: tmp_path / name for name in ("repository", "offsite")}
        for place in self.places.values():
            (place / "snapshots").mkdir(parents=True)
            (place / "config").write_text("x")
            (place / "snapshots/1").write_text("x")
        self.configure()
        (self.settings / "backups-campus.key").write_text("key")
        entry = {"at": Observer(Site("x"), {}).now - 7200, "ok": True}
        self.record(**dict.fromkeys(("database", "files", "offsite", "encrypted", "drill"), entry))

    def configure(self, **more):
        known = {**{name: str(place) for name, place in self.places.items()}, **more}
        (self.settings / "backups-campus.json").write_text(json.dumps(known))

    def record(self, **entries):
        (self.records / "backups.json").write_text(json.dumps(entries))


@pytest.fixture
def host(tmp_path, monkeypatch):
    return Host(tmp_path, monkeypatch)


CHECKS = (backups.database, backups.files, backups.offsite, backups.encrypted, backups.restore_tested)


def test_backups_of_another_program_are_no_proof(host):
    host.jobs = (Job("school.timer", "restic -r rest:https://school:hunter2@vault.test/ backup /"),)
    found = observe({check.__name__: check for check in CHECKS}, host.inspect())
    assert {finding.status for finding in found.values()} == {"fail"} and "hunter2" not in str(found)
    assert "waive this control" in found["database"].evidence


def test_the_first_backup_is_waited_for_while_it_goes_on(host, tmp_path):
    host.harden(tmp_path)
    host.record()
    (host.records / "backups").mkdir()
    it = host.inspect()
    with lock(f"{backups.RECORDS}/backups/campus.lock", "backup", 0):
        found = [check(it) for check in (backups.database, backups.files, backups.offsite, backups.restore_tested)]
    assert {one.status for one in found} == {"fail"} and all("goes on" in one.waits for one in found)
    assert backups.database(it).waits == ""


@pytest.mark.parametrize(
    ("entry", "status"),
    [
        ({"hours": 3, "ok": True}, "pass"),
        ({"hours": 3, "ok": False}, "fail"),
        ({"hours": 32 * 24, "ok": True}, "fail"),
        ({"hours": -48, "ok": True}, "fail"),
    ],
)
def test_what_the_host_program_wrote_down_counts(host, tmp_path, entry, status):
    host.harden(tmp_path)
    it = host.inspect()
    at = it.now - entry["hours"] * 3600
    host.record(**dict.fromkeys(("database", "files", "offsite", "encrypted", "drill"), {"at": at, "ok": entry["ok"]}))
    assert [check(it).status for check in CHECKS] == [status] * 5
    if status == "fail":
        assert "run where the copy of the key is" in backups.encrypted(it).evidence


def test_the_key_is_safe_where_the_controller_still_has_the_same(host, tmp_path):
    host.harden(tmp_path)
    finding = backups.encrypted(host.inspect())
    assert finding.status == "pass"
    assert "The key is the same as that of the controller now (/home/ada/campus.key)." in finding.evidence


def test_another_key_than_that_of_the_host_is_no_copy(host, tmp_path):
    host.harden(tmp_path)
    host.copy["key_proof"]["fingerprint"] = fingerprint("another key", "s")
    finding = backups.encrypted(host.inspect())
    assert finding.status == "fail" and "(/home/ada/campus.key) is not the key in" in finding.evidence


@pytest.mark.parametrize(
    ("copy", "words"),
    [
        ({}, "shows no copy of the backup key: it was not asked. Run the audit where the copy is"),
        ({"key_copy": "there is no /runner/chamilo-keys/x.key"}, "there is no /runner/chamilo-keys/x.key. Run"),
        ({"key_holder": ""}, "this host runs the audit itself"),
    ],
)
def test_what_was_written_down_once_is_no_copy_today(host, tmp_path, copy, words):
    """As where the copy went with the container, or the job, that harden ran in."""
    host.harden(tmp_path)
    host.copy = {**host.copy, **copy} if "key_holder" in copy else copy
    with pytest.raises(Unseen, match=re.escape(words)):
        backups.encrypted(host.inspect())


NIGHTLY = {"database", "files", "offsite", "encrypted"}
# What is removed from a host on which all is green, which checks must notice it, and what they report.
TAKEN = {
    "the cron file": (lambda host: host.jobs.clear(), {*NIGHTLY, "restore_tested"}, "no timer and no cron job"),
    "the drill": (
        lambda host: host.jobs.remove(OUR_DRILL),
        {"restore_tested"},
        "calls chamilo-hardening drill any more",
    ),
    "the job of this portal": (
        lambda host: host.jobs.__setitem__(
            slice(None), [Job(job.source, job.command.replace("campus", "shop")) for job in host.jobs]
        ),
        {*NIGHTLY, "restore_tested"},
        "no cron job saves campus",
    ),
    "cron": (lambda host: host.processes.clear(), {*NIGHTLY, "restore_tested"}, "cron does not run"),
    "the end of a restore": (
        lambda host: (
            (host.records / "backups").mkdir(),
            (host.records / "backups/campus.restoring.json").write_text("{}"),
        ),
        {*NIGHTLY, "restore_tested"},
        "a restore of campus is not finished",
    ),
    "the key": (
        lambda host: (host.settings / "backups-campus.key").unlink(),
        {*NIGHTLY, "restore_tested"},
        "the key of campus is gone",
    ),
    "the repository": (
        lambda host: shutil.rmtree(host.places["repository"]),
        NIGHTLY - {"offsite"},
        "there is no repository in",
    ),
    "its backups": (
        lambda host: (host.places["repository"] / "snapshots/1").unlink(),
        NIGHTLY - {"offsite"},
        "there is no repository in",
    ),
    "the newest of them": (
        lambda host: os.utime(host.places["repository"] / "snapshots/1", (1e9, 1e9)),
        NIGHTLY - {"offsite"},
        "is older than 26 hours",
    ),
    "the right clock": (
        lambda host: os.utime(host.places["repository"] / "snapshots/1", (4e9, 4e9)),
        NIGHTLY - {"offsite"},
        "is dated in the future",
    ),
    "the one elsewhere": (
        lambda host: (host.places["offsite"] / "config").unlink(),
        {"offsite", "restore_tested"},
        "there is no repository in",
    ),
    "both": (lambda host: host.configure(repository="", offsite=""), {*NIGHTLY, "restore_tested"}, "no repository is"),
}


@pytest.mark.parametrize("what", [*TAKEN, ""])
def test_yesterday_s_good_result_does_not_hide_what_is_gone_today(host, tmp_path, what):
    host.harden(tmp_path)
    take, desired, words = TAKEN.get(what, (lambda _host: None, set(), ""))
    take(host)
    found = {check.__name__: check(host.inspect()) for check in CHECKS}
    assert {name for name, finding in found.items() if finding.status == "fail"} == desired
    assert {name: one.evidence for name, one in found.items() if name in desired and words not in one.evidence} == {}


def test_backups_out_of_reach_pass(host):
    path = host.place / "chamilo.sql"
    path.write_text(DUMP)
    path.chmod(0o600)
    (host.root / "public/homework.sql").write_text("CREATE TABLE pupil (id INT);\n")
    (host.root / "public/pictures.zip").write_bytes(b"PK")
    (host.root / "var/upload").mkdir(parents=True)
    (host.root / "var/upload/backup.zip").write_bytes(b"PK")
    finding = backups.private(host.inspect())
    assert finding.status == "pass", finding.evidence


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("public/dump.sql", DUMP),
        ("backup.sql", "-- phpMyAdmin SQL Dump\n"),
        ("public/chamilo-2026-01-01.tar.gz", "x"),
        ("public/files/backup.zip", "x"),
    ],
)
def test_backups_under_the_web_root(host, path, content):
    (host.root / path).parent.mkdir(exist_ok=True)
    (host.root / path).write_text(content)
    finding = backups.private(host.inspect())
    assert finding.status == "fail"
    assert path in finding.evidence


def test_a_dump_that_the_web_server_can_read(host, tmp_path):
    path = host.place / "chamilo.sql"
    path.write_text(DUMP)
    path.chmod(0o644)
    for directory in (path.parent, *path.parent.parents):
        if directory.stat().st_uid == os.getuid() and "/pytest-" in str(directory):
            directory.chmod(0o755)
    finding = backups.private(host.inspect())
    assert finding.status == "fail"
    path.parent.chmod(0o700)
    assert backups.private(host.inspect()).status == "pass"
