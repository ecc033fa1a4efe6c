# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import json
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._attacks import _test_account, brute_force, sessions
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._insider import Tried
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.site import Site


class Insider:
    """The host of a portal whose web user can make a hash, or not."""

    web_user = "www-data"

    def __init__(self, hashed="$2y$04$hash"):
        self.site = Site(domain="campus.test", addresses=("2001:db8::7", "192.0.2.7"))
        self.hashed = hashed

    def as_user(self, name, function):
        assert name == "www-data"
        return Tried(value=self.hashed, error="" if self.hashed else "no php here")


JSON: list[dict[str, str]] = []  # what is found where the roles are kept in JSON


@pytest.fixture
def statements(tmp_path, monkeypatch):
    """What is asked of the database, in order; the word COMMIT ends each transaction."""
    messages = []

    @contextlib.contextmanager
    def writing(account):
        yield lambda sql, params: messages.append((sql, params))
        messages.append(("COMMIT", ()))

    (tmp_path / "testbed").write_text("")
    monkeypatch.setattr(_test_account, "TESTBED", str(tmp_path / "testbed"))
    monkeypatch.setattr(_test_account, "writing", writing)
    monkeypatch.setattr(
        _test_account.Reader, "of_site", lambda site: SimpleNamespace(account=site.domain, query=lambda sql: JSON)
    )
    return messages


def test_an_account_comes_and_goes_with_all_it_left(statements):
    with _test_account.test_account(Insider()) as (name, password):
        assert statements[0][1][:3] == (name, name, f"{name}@example.test") and statements[2][0] == "COMMIT"
        assert password not in str(statements)
        made = len(statements)
    assert [sql.split()[2] for sql, params in statements[made:-1] if params == (name,)] == [
        "validation_token",
        "track_e_login",
        "track_e_online",
        "track_e_default",
        "track_e_login_record",
        "access_url_rel_user",
        "user",
    ]


def test_its_role_has_the_form_of_the_column(statements, monkeypatch):
    with _test_account.test_account(Insider()):
        assert statements[0][1][4] == 'a:1:{i:0;s:12:"ROLE_STUDENT";}'
    monkeypatch.setattr(_test_account, "accounts", SimpleNamespace(stored_role=lambda reader, role: f'["{role}"]'))
    statements.clear()
    with _test_account.test_account(Insider()):
        assert statements[0][1][4] == '["ROLE_STUDENT"]'


def test_it_goes_after_a_failure_too_and_comes_on_the_testbed_alone(statements, monkeypatch):
    with pytest.raises(OSError, match="no answer"), _test_account.test_account(Insider()):
        raise OSError("no answer")
    assert statements[-2][0].startswith("DELETE FROM user ")
    with pytest.raises(OSError, match="no php here"), _test_account.test_account(Insider("")):
        pass
    monkeypatch.setattr(_test_account, "TESTBED", "/nowhere")
    with pytest.raises(OSError, match="hosts of the testbed alone"), _test_account.test_account(Insider()):
        pass


def test_php_makes_the_hash_of_a_password_that_no_process_list_shows(monkeypatch):
    ran = []

    def run(program, **how):
        ran.append((program, how))
        return SimpleNamespace(stdout=b"$2y$04$made")

    monkeypatch.setattr(_test_account.subprocess, "run", run)
    host = Insider()
    host.as_user = lambda name, function: Tried(function())
    assert _test_account._hashed(host, "Aa1!secret") == "$2y$04$made"
    ((program, how),) = ran
    assert program[:2] == ["php", "-r"] and "Aa1!secret" not in str((program, how["env"]))
    assert (how["input"], how["stdout"], how["check"]) == (b"Aa1!secret", _test_account.subprocess.PIPE, True)


@pytest.mark.parametrize(
    ("addresses", "address"),
    [
        (("2001:db8::7", "192.0.2.7", "192.0.2.8"), "192.0.2.7"),
        (("2001:db8::7",), "127.0.0.1"),
        ((), "127.0.0.1"),
    ],
)
def test_it_is_called_from_its_own_host(addresses, address):
    host = Insider()
    host.site = Site(domain="campus.test", addresses=addresses)
    target = _test_account.here(host)
    assert (target.domain, target.address) == ("campus.test", address)


def test_a_visitor_sends_the_cookies_that_were_set():
    asked = []

    class Cookies:
        def get(self, path, **request):
            asked.append((path, request))
            lines = ("sid=1; Path=/", "broken", "lang=", " sid2=x;HttpOnly", "sid=2")
            return Answer(path, 401, tuple(("Set-Cookie", line) for line in lines if len(asked) == 1))

    visitor = _test_account.Visitor(Cookies())
    assert visitor.try_login("name", "word", more=1) == 401
    assert visitor.cookies == {"sid": "2", "lang": ""} and asked[0] == ("/login", {"headers": {}})
    sent = {"Cookie": "sid=2; lang=", "Content-Type": "application/json"}
    body = b'{"username": "name", "password": "word", "more": 1}'
    assert asked[1] == ("/login_json", {"headers": sent, "method": "POST", "body": body})
    assert visitor.token("name", "word") == 401
    assert asked[2][0] == "/api/authentication_token" and asked[2][1]["body"] == body.replace(b', "more": 1', b"")
    visitor.ask("/", {})
    assert (asked[3][1]["method"], asked[3][1]["body"]) == ("POST", b"{}"), "an empty form is sent, too"


class Portal:
    """Locks after ``lock`` wrong passwords; keeps people logged in by a cookie, or takes that away."""

    scheme, domain = "https", "campus.test"

    def __init__(self, lock=0, keeps=True, odd=0):
        self.lock, self.keeps, self.odd, self.wrong = lock, keeps, odd, 0

    def get(self, path, method="GET", headers=None, body=b""):
        reported = json.loads(body) if body else {}
        cookie = (headers or {}).get("Cookie", "")
        if path == "/check-session":
            known = b"true" if self.keeps and "ch_remember_me=7" in cookie else b"false"
            return Answer(path, 200, (), b'{"isAuthenticated":%s}' % known)
        if path == "/login_json" and "_remember_me" in reported:
            return Answer(path, 200, (("Set-Cookie", "chamilo2=1; Path=/"), ("Set-Cookie", "ch_remember_me=7; Path=/")))
        if path == "/login":
            return Answer(path, 200)
        right = reported["password"] == "right"
        self.wrong += not right
        locked = self.lock and self.wrong >= self.lock
        return Answer(path, self.odd or (200 if right and not locked else 401))


@pytest.fixture
def attacked(monkeypatch):
    def by(module, portal):
        @contextlib.contextmanager
        def test_account(insider):
            yield "canary", "right"

        monkeypatch.setattr(module, "test_account", test_account)
        monkeypatch.setattr(module, "here", lambda insider: portal)

    return by


def test_an_account_that_nothing_locks(attacked):
    attacked(brute_force, Portal())
    found = brute_force.guess_until_it_locks(None)
    let_in = "After 11 wrong passwords for one account the right one is let in: nothing locks it."
    assert (found.status, found.evidence) == ("fail", let_in)
    for lock, status in ((5, "pass"), (11, "pass"), (12, "fail")):
        attacked(brute_force, Portal(lock=lock))
        assert brute_force.guess_until_it_locks(None).status == status
    attacked(brute_force, Portal(odd=502))
    with pytest.raises(OSError, match="a wrong password was answered with 502"):
        brute_force.guess_until_it_locks(None)


@pytest.mark.parametrize(
    ("wrong", "right", "words"),
    [
        (401, 401, "After 11 wrong passwords the right one no longer helps: 401."),
        (429, 403, "After 11 wrong passwords the right one no longer helps: 403."),
        (403, 429, "the right password was answered with 429"),
        (401, 503, "the right password was answered with 503"),
    ],
)
def test_an_answer_to_the_right_password_is_no_lock_unless_it_refuses(attacked, monkeypatch, wrong, right, words):
    attacked(brute_force, None)
    guesses = []
    monkeypatch.setattr(brute_force.Visitor, "token", lambda _self, user, word: guesses.append(word) or wrong)
    monkeypatch.setattr(brute_force.Visitor, "try_login", lambda _self, user, word: right)
    with pytest.raises(OSError, match=words) if words.startswith("the") else contextlib.nullcontext():
        found = brute_force.guess_until_it_locks(None)
        assert (found.status, found.evidence) == ("pass", words)
    assert guesses == [f"wrong {turn}" for turn in range(11)], "none is tried twice"


def test_a_cookie_that_was_kept(attacked):
    attacked(sessions, Portal())
    found = sessions.come_back_later(None)
    assert found.status == "fail" and "ch_remember_me" in found.evidence
    attacked(sessions, Portal(keeps=False))
    assert sessions.come_back_later(None).status == "pass"
    portal = Portal()
    portal.scheme = "http"
    attacked(sessions, portal)
    with pytest.raises(OSError, match="does not speak https"):
        sessions.come_back_later(None)
