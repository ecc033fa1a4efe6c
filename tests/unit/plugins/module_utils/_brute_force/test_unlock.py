# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import json
import time
from hashlib import sha1
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import DatabaseError
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force import unlock
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.fail2ban import Fail2banError
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.unlock import UnlockError
from ansible_collections.chamilo.hardening.plugins.module_utils._php.php import Php

SITE = Site("campus.test", "/var/www/chamilo", php=Php(user="nobody"))
ADMIN = {"id": "1", "username": "admin", "email": "a@x.test", "roles": 'a:1:{i:0;s:10:"ROLE_ADMIN";}', "active": "0"}
LOCKED = {**ADMIN, "failures": "6", "last": "2026-11-25 10:00:00", "addresses": "203.0.113.7 203.0.113.8"}
COUNTER = f"login_captcha.state.{sha1(b'admin').hexdigest()}"
SWITCHED_OFF = {**ADMIN, "username": "old", "failures": "0", "last": None, "addresses": None}


@pytest.fixture
def host(monkeypatch):
    """A host with one portal. ``asked``: its database, which answers ``rows``; ``done``: what was done."""
    host = SimpleNamespace(
        rows=[LOCKED],
        limit="5",
        bans={"203.0.113.7": ["chamilo"], "2001:db8::7": ["chamilo", "sshd"]},
        asked=[],
        done=[],
    )

    class Reader:
        account = None

        @classmethod
        def of(cls, portal):
            return cls()

        def query(self, sql, params=()):
            host.asked.append(sql)
            if "SHA1" in sql:
                return [row for row in host.rows if sha1(row["username"].encode()).hexdigest() in params]
            name = params[0] if params else ""
            return [row for row in host.rows if not name or row["username"] == name]

        def settings(self):
            return {"security.login_max_attempt_before_blocking_account": host.limit}

    @contextlib.contextmanager
    def writing(account):
        yield lambda sql, params: host.done.append((sql.split(" WHERE")[0], params))

    monkeypatch.setattr(unlock, "PortalReader", Reader)
    monkeypatch.setattr(unlock, "writing", writing)
    monkeypatch.setattr(unlock, "sites", lambda: [SITE])
    monkeypatch.setattr(unlock, "_forget_captcha", lambda account: host.done.append(account.counter) or "forgotten")
    monkeypatch.setattr(unlock.fail2ban, "banned", lambda: host.bans)
    monkeypatch.setattr(unlock.fail2ban, "unban", lambda address: host.done.append(address))
    return host


def test_without_a_target_it_shows_all_and_does_nothing(host):
    host.rows.append(SWITCHED_OFF)
    output = list(unlock.inspect("").description())
    assert output == [
        "admin (administrator, a@x.test) of campus.test is locked: 6 failed logins, the last at 2026-11-25 10:00:00, "
        "from 203.0.113.7 203.0.113.8.",
        "2001:db8::7 is banned by chamilo, sshd.",
        "203.0.113.7 is banned by chamilo.",
    ]
    assert host.done == []


def test_a_locked_account_comes_back(host):
    todo = unlock.inspect("admin")
    assert "is locked" in next(iter(todo.description()))
    output = list(todo.act())
    assert host.done == [("UPDATE user SET active = 1", (1,)), COUNTER]
    assert output[0] == "admin of campus.test is active again."
    assert output[-1].startswith("Log in soon")


def test_an_account_that_is_active_is_not_locked(host):
    host.rows = [{**LOCKED, "active": "1"}]
    assert "admin (administrator, a@x.test) of campus.test is not locked." in unlock.inspect("admin").description()


def test_an_attack_of_last_summer_locks_today(host):
    unlock.inspect("admin")
    unlock.inspect("")
    named, listed = host.asked
    assert "INTERVAL" not in named, "whoever gives the name is helped, however long ago it was"
    assert "INTERVAL 400 DAY" in listed


def test_an_account_that_a_person_switched_off_stays_off(host):
    host.rows = [SWITCHED_OFF]
    todo = unlock.inspect("old")
    assert not todo.acts
    assert "switched off, but not by failed logins" in next(iter(todo.description()))


@pytest.mark.parametrize(
    ("limit", "failures", "attacked"), [("5", "3", True), ("5", "2", False), ("1", "1", True), ("0", "2", False)]
)
def test_how_many_failures_are_an_attack(host, limit, failures, attacked):
    """Not since the last login: a right password for a locked account counts as one."""
    host.limit, host.rows = limit, [{**LOCKED, "failures": failures}]
    assert unlock.inspect("admin").acts is attacked


def test_an_account_that_waits_for_its_captcha_is_not_locked_but_helped(host):
    host.rows = [{**LOCKED, "active": "1"}]
    todo = unlock.inspect("admin")
    assert todo.acts
    list(todo.act())
    assert host.done == [COUNTER], "and none of others"


def counter(root, name, seconds):
    """As the application's cache has it in files."""
    path = root / f"var/cache/prod/pools/app/AbC/D/E/{name}"
    path.parent.mkdir(parents=True, exist_ok=True)
    key = f"login_captcha.state.{sha1(name.encode()).hexdigest()}"
    state = f'a:2:{{s:8:"mistakes";i:0;s:13:"blocked_until";i:{int(time.time()) + seconds};}}'
    path.write_text(f"9999999999\nAbC%3A{key}\n{state}")


def test_an_account_that_waits_for_its_captcha_is_shown_by_its_name(host, monkeypatch, tmp_path):
    host.bans = {}
    host.rows = [{**LOCKED, "id": "2", "username": "ada", "active": "1"}]
    monkeypatch.setattr(unlock, "sites", lambda: [Site("campus.test", str(tmp_path), php=Php(user="nobody"))])
    monkeypatch.setattr(unlock, "_LOCKED", "SHA1")  # nobody is locked
    assert list(unlock.inspect("").description()) == ["Nothing is locked or banned."]
    counter(tmp_path, "bob", -1)
    cache = tmp_path / "config/packages/prod/cache.yaml"
    cache.parent.mkdir(parents=True)
    cache.write_text("framework:\n    cache:\n        app: cache.adapter.redis\n")
    note, nothing = unlock.inspect("").description()
    assert note == "Whom the CAPTCHA of campus.test blocks is not seen: cache.adapter.redis keeps its cache."
    assert nothing == "Nothing that was looked at is locked or banned."
    cache.write_text("framework:\n  cache:\n    # app: cache.adapter.redis\n    app: cache.adapter.filesystem\n")
    assert list(unlock.inspect("").description()) == ["Nothing is locked or banned."]
    counter(tmp_path, "ada", 830)
    blocked = "ada (administrator, a@x.test) of campus.test is blocked for 14 minutes, after wrong CAPTCHA answers."
    assert list(unlock.inspect("").description()) == [blocked]
    todo = unlock.inspect("ada")
    assert next(iter(todo.description())) == blocked and todo.acts
    list(todo.act())
    assert host.done == [f"login_captcha.state.{sha1(b'ada').hexdigest()}"]


@pytest.mark.parametrize(("target", "jails"), [("203.0.113.7", 1), ("::ffff:203.0.113.7", 1), ("2001:DB8:0::7", 2)])
def test_an_address_comes_back_in_whatever_form(host, target, jails):
    todo = unlock.inspect(target)
    assert [len(one) for one in todo.bans.values()] == [jails]
    list(todo.act())
    assert host.done == list(todo.bans)


@pytest.mark.parametrize("target", ["nobody", "192.0.2.1"])
def test_a_target_that_is_neither_locked_nor_banned(host, target):
    todo = unlock.inspect(target)
    assert list(todo.description()) == [f"{target} is neither locked nor banned."]
    assert not todo.acts


def test_accounts_come_back_when_fail2ban_is_dead(host, monkeypatch):
    def dead():
        raise Fail2banError("no answer")

    monkeypatch.setattr(unlock.fail2ban, "banned", dead)
    todo = unlock.inspect("admin")
    assert next(iter(todo.description())) == "no answer."
    assert todo.acts


def test_an_address_that_fail2ban_does_not_let_in_is_reported(host, monkeypatch):
    def dead(address):
        raise Fail2banError("no answer")

    monkeypatch.setattr(unlock.fail2ban, "unban", dead)
    with pytest.raises(Fail2banError, match="no answer"):
        list(unlock.inspect("203.0.113.7").act())


def test_an_account_that_cannot_be_written_is_reported(host, monkeypatch):
    @contextlib.contextmanager
    def refused(account):
        raise DatabaseError("read only")
        yield

    monkeypatch.setattr(unlock, "writing", refused)
    with pytest.raises(DatabaseError, match="read only"):
        list(unlock.inspect("admin").act())
    assert host.done == []


def test_a_dead_database_is_reported(host, monkeypatch):
    def refuse(site):
        raise DatabaseError("no server")

    monkeypatch.setattr(unlock.PortalReader, "of", refuse)
    with pytest.raises(DatabaseError, match="no server"):
        unlock.inspect("admin")


def test_the_portals_are_those_that_were_written_down(tmp_path, monkeypatch):
    (tmp_path / "campus.json").write_text(json.dumps({"domain": "campus.test", "root": "/var/www/chamilo"}))
    monkeypatch.setattr(unlock, "discover", lambda *known: known)
    assert unlock.sites(f"{tmp_path}/*.json") == [("campus.test", "/var/www/chamilo")]


def test_an_unrecorded_portal_is_discovered(tmp_path, monkeypatch):
    it = SimpleNamespace(root="/var/www/chamilo", problems=())
    monkeypatch.setattr(unlock, "discover", lambda domain: it)
    assert unlock.sites(f"{tmp_path}/*.json") == [it]
    it.root, it.problems = "", ("Several Chamilo portals are on this host.",)
    with pytest.raises(UnlockError, match="No portal is known here.*Several Chamilo portals"):
        unlock.sites(f"{tmp_path}/*.json")


def test_what_the_application_wrote_harms_no_terminal(host):
    strange = {"username": "\x1b[2Jadmin", "email": "a\n@x.test", "last": "\x9b2J", "addresses": "\x1b]0;x"}
    host.rows = [{**LOCKED, **strange}]
    (output,) = [line for line in unlock.inspect("\x1b[2Jadmin").description() if "locked" in line]
    assert output.startswith(r"\x1b[2Jadmin (administrator, a\n@x.test) of") and output.isprintable()


def account(site):
    return unlock.Account(site, 1, "admin", "", True, 1, 0, "", "", 3, COUNTER, 0)


class TestConsole:
    @pytest.fixture(autouse=True)
    def php(self, monkeypatch):
        self.ran = []
        self.code = 0

        def run(words, _seconds):
            self.ran.append(words)
            return self.code, "it broke"

        monkeypatch.setattr(unlock.services, "run", run)
        monkeypatch.setattr(unlock.shutil, "which", lambda name: "/usr/bin/php")

    def test_the_application_runs_as_the_web_user(self):
        assert "forgotten" in unlock._forget_captcha(account(SITE))
        (words,) = self.ran
        assert words[:4] == ["runuser", "-u", "nobody", "--"] and f"--chdir={SITE.root}" in words
        assert words[-6:-1] == ["/usr/bin/php", "bin/console", "cache:pool:delete", "cache.app", COUNTER]

    def test_it_never_runs_as_root(self):
        with pytest.raises(UnlockError, match="not started as root"):
            unlock._forget_captcha(account(Site("campus.test", "/x", php=Php(user="root"))))
        assert self.ran == []

    def test_what_it_reports_is_shown_as_text(self, monkeypatch):
        monkeypatch.setattr(unlock.services, "run", lambda words, _seconds: (1, "\x1b[2Jall is well"))
        with pytest.raises(UnlockError, match=r"bin/console: \\x1b\[2Jall is well"):
            unlock._forget_captcha(account(SITE))
