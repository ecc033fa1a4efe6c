# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is listed, how it is shown, and what counts as the same on another day."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application import comparison
from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import (
    Account,
    DatabaseError,
    Reader,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._application.observer import Observer
from ansible_collections.chamilo.hardening.plugins.module_utils._application.portal_reader import PortalReader
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Database, Site
from ansible_collections.chamilo.hardening.plugins.module_utils._host import processes
from ansible_collections.chamilo.hardening.plugins.module_utils._host.processes import Process
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring import left_behind
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.tree import Identity
from ansible_collections.chamilo.hardening.plugins.module_utils._php.php import Php

WEB = Identity("www-data", 33, frozenset({33}))
TODAY = time.strftime("%Y-%m-%d", time.gmtime())
ME, PARENT = os.getpid(), os.getppid()


class Host:
    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.top = tmp_path
        self.database = Database(host="localhost")
        self.processes: list[Process] = []
        self.defined: list[dict[str, str]] = []
        self.admins: list[dict[str, str]] = []
        self.answers = ""  # of sshd
        self.compared = comparison.Comparison("the package x.zip")
        monkeypatch.setattr(left_behind, "web_users", lambda _observer: (WEB,))
        monkeypatch.setattr(left_behind, "_home", lambda _user: str(tmp_path / "home"))
        monkeypatch.setattr(left_behind, "_AT", (str(tmp_path / "at"),))
        monkeypatch.setattr(left_behind, "_LINGER", str(tmp_path / "linger"))
        monkeypatch.setattr(processes, "CRONTABS", (str(tmp_path / "cron"),))
        monkeypatch.setattr(processes, "output", lambda _argv: self.answers)
        monkeypatch.setattr(left_behind, "administrators", lambda _reader, _days: self.admins)
        monkeypatch.setattr(comparison, "against_release", lambda *_what: self.compared)
        monkeypatch.setattr(Reader, "of_server", classmethod(lambda _class: Reader(Account("root"), ask=self.ask)))
        monkeypatch.setattr(left_behind, "_SECONDS", 30.0)

    def ask(self, sql: str) -> Any:
        if self.defined and "error" in self.defined[0]:
            raise DatabaseError("The database is gone.")
        return self.defined

    def write(self, path: str, text: str = "") -> Path:
        place = self.top / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        return place

    def make(self, database: bool = True) -> left_behind.Lists:
        site = Site("campus.test", root=str(self.top / "portal"), php=Php(user="www-data"), database=self.database)
        observer = Observer(site, {})
        observer.processes = tuple(self.processes)
        observer.database = PortalReader(Account("chamilo", name="chamilo"), ask=lambda _sql: [])
        return left_behind.make(observer, database)

    def lines(self) -> list[str]:
        return [line.replace(f"{self.top}/", "") for line in self.make().lines()]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(left_behind, "OLD", 0.0)


def test_on_a_clean_host_nothing_is_listed(host: Host) -> None:
    host.write("portal/var/cache/prod/App.php", "<?php")
    host.write("portal/var/log/prod.log")
    host.write("cron/www-data", "# nothing\n\n")
    host.write("home/.ssh/authorized_keys", "# nothing\n")
    shutil.rmtree(host.top / "home/.ssh")
    host.admins = [{"username": "admin", "status": "1", "late": "0"}]
    found = host.make()
    assert found.lines() == [] and found.gaps == [] and found.keys() == set()


@pytest.mark.parametrize("link", ["home/.config", "portal/var"])
def test_no_link_of_the_web_user_leads_the_search_elsewhere_and_that_is_said(host: Host, link: str) -> None:
    host.write("root/systemd/user/secret.php")
    place = host.top / link
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(host.top / "root")
    os.lchown(place, 33, 33)
    found = host.make()
    assert not any("secret" in line for line in found.lines())
    (gap,) = found.gaps
    assert gap.endswith("Not everything was checked: 1 directories or files could not be opened.")


LEFT: dict[str, tuple[Callable[[Host], object], str]] = {
    "a line of the crontab": (
        lambda host: host.write("cron/www-data", "# m h\n* * * * * php\t/tmp/\x1b[31mx\n"),
        "Crontab of the web user: www-data: * * * * * php\\t/tmp/\\x1b[31mx",
    ),
    "an at job": (
        lambda host: os.chown(host.write("at/a1", "#!/bin/sh\nHOME=/x; export HOME\ncd /x\nphp y.php\n"), 33, 33),
        "At job of the web user: at/a1: cd /x php y.php",
    ),
    "a key": (
        lambda host: host.write("home/keys/www-data", f"ssh-rsa {'A' * 400} mallory\n"),
        f"Key that lets in as the web user: home/keys/www-data: ssh-rsa ... {'A' * 52} mallory",
    ),
    "a linger": (lambda host: host.write("linger/www-data"), "Unit of the web user's own: linger/www-data (root, DAY)"),
    "a startup file": (
        lambda host: host.write("home/.bashrc"),
        "Hidden file in the home of the web user: home/.bashrc",
    ),
    "an event": (
        lambda host: host.defined.append(
            {"kind": "event", "place": "x", "name": "again", "definer": "root@localhost", "text": "DELETE\n FROM user"}
        ),
        "Runs in the database, as its definer: event x.again, as root@localhost: DELETE FROM user",
    ),
    "a new administrator": (
        lambda host: host.admins.append({"username": "eve", "status": "1", "late": "1"}),
        "Administrator made in the last 30 days, or with the account of a pupil: eve",
    ),
    "a pupil who administers": (
        lambda host: host.admins.append({"username": "pupil", "status": "5", "late": "0"}),
        "Administrator made in the last 30 days, or with the account of a pupil: pupil",
    ),
    "PHP in var/": (
        lambda host: [host.write(f"portal/var/upload/users/{name}", "<?php") for name in ("a.PHP", "b.phar", "c.jpg")],
        "PHP below var/ (but for var/cache, which Symfony compiles): var/upload/users: 2 files (root, newest of DAY ",
    ),
    "the program": (
        lambda host: setattr(
            host,
            "compared",
            comparison.Comparison("x.zip", (comparison.Group("public", "are in no package", 2, "eve", "2026-11-25"),)),
        ),
        "Files of the program: public: 2 files are in no package (owner eve, newest 2026-11-25)",
    ),
    "no package": (
        lambda host: setattr(host, "compared", comparison.Comparison()),
        "Files of the program: compared with no package of the release (chamilo_release_archive)",
    ),
    "a database elsewhere": (
        lambda host: setattr(host, "database", Database(host="10.0.0.9")),
        "Runs in the database, as its definer: not seen from here: docs/break-in.md has what to ask 10.0.0.9",
    ),
}


@pytest.mark.parametrize("what", LEFT)
def test_each_thing_is_one_line_as_it_is(host: Host, what: str) -> None:
    leave, line = LEFT[what]
    host.answers = "authorizedkeysfile keys/%u .ssh/authorized_keys\n"
    leave(host)
    (found,) = host.lines()
    assert found.startswith(line.replace("DAY", TODAY))


def test_a_unit_of_its_own_is_listed_with_what_it_starts(host: Host) -> None:
    host.write("home/.config/systemd/user/x.service", "[Service]\nExecStart=/tmp/x\n")
    unit, hidden = host.lines()
    assert unit.endswith(f": home/.config/systemd/user/x.service (root, {TODAY}) ExecStart=/tmp/x")
    assert hidden.startswith("Hidden file in the home of the web user: home/.config (")


@pytest.mark.parametrize(
    ("owner", "parent", "listed"),
    [(33, Process(1, 0, "init", 0), True), (0, Process(1, 0, "init", 0), False), (33, None, True)],
)
def test_a_process_is_listed_by_its_program_and_unit(
    host: Host, monkeypatch: pytest.MonkeyPatch, owner: int, parent: Process | None, listed: bool
) -> None:
    host.processes = [Process(ME, 1, "python3", owner), *([parent] if parent else [])]
    assert host.lines() == [], "it is not old enough"
    old(monkeypatch)
    lines = host.lines()
    assert len(lines) == listed
    if listed:
        program = os.path.realpath(sys.executable)
        assert f"www-data: {program} in " in lines[0] and f"process {ME} since {TODAY}" in lines[0]


def test_a_worker_of_a_server_of_roots_is_none(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    old(monkeypatch)
    host.processes = [Process(ME, PARENT, "php-fpm", 33), Process(PARENT, 1, "php-fpm", 0)]
    monkeypatch.setattr(left_behind, "_executable", lambda _process: "/usr/sbin/php-fpm8.4")
    assert host.lines() == []
    host.processes[1] = Process(PARENT, 1, "php-fpm", 33)  # with a configuration of its own
    assert len(host.lines()) == 1


def test_what_moves_is_no_other_thing_and_what_changes_is(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    old(monkeypatch)
    php = host.write("portal/var/upload/x.php", "<?php 1;")
    host.processes = [Process(ME, 1, "x", 33)]
    before = host.make().keys()
    os.utime(php, (1.6e9, 1.6e9))
    monkeypatch.setattr(left_behind, "_began", lambda _pid: 1.6e9)
    assert host.make().keys() == before
    php.write_text("<?php 2;")
    assert len(host.make().keys() - before) == 1
    host.write("portal/var/upload/y.php", "<?php 1;")
    assert len(host.make().keys() - before) == 1, "one line of the directory"


def test_what_is_in_the_database_is_listed_by_one_node(host: Host) -> None:
    host.admins = [{"username": "eve", "status": "1", "late": "1"}]
    assert host.make(database=False).lines() == []


def test_a_database_that_gives_no_answer_is_a_gap(host: Host) -> None:
    host.defined = [{"error": ""}]
    assert host.make().gaps == ["Runs in the database, as its definer: The database is gone."]


def test_time_and_size_are_bounded(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.write("cron/www-data", "x" * 500 + "\n" + "".join(f"{number} * * * * x\n" for number in range(1500)))
    found = host.make()
    lines = found.lines()
    assert len(lines) == 101 and lines[-1] == "Crontab of the web user: 900 more lines" and len(lines[0]) < 350
    assert found.gaps == ["Crontab of the web user: more than 1,000"]
    host.write("portal/var/x.php")
    monkeypatch.setattr(left_behind, "_SECONDS", -1.0)
    assert any(gap.startswith("var/: Not everything was checked: the time for it") for gap in host.make().gaps)
    monkeypatch.setattr(left_behind, "_SECONDS", 30.0)
    monkeypatch.setattr(left_behind, "_PATHS", 0)
    assert any(line.endswith("var: 1 more files") for line in host.lines())


def test_no_link_is_followed_and_no_pipe_is_waited_for(host: Host) -> None:
    secret = host.write("secret", "root:x:0:0\n")
    (host.top / "cron").mkdir()
    (host.top / "cron/www-data").symlink_to(secret)
    os.lchown(host.top / "cron/www-data", 33, 33)
    upload = host.top / "portal/var/upload"
    upload.mkdir(parents=True)
    os.mkfifo(upload / "x.php")
    (upload / "loop").symlink_to(host.top)
    (found,) = host.lines()
    assert "var/upload: 1 file (" in found and "root:x" not in found
