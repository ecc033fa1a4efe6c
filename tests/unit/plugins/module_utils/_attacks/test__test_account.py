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


def test_it_is_called_from_its_own_host():
    assert _test_account.here(Insider()).address == "192.0.2.7"


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
    assert brute_force.guess_until_it_locks(None).status == "fail"
    attacked(brute_force, Portal(lock=5))
    assert brute_force.guess_until_it_locks(None).status == "pass"
    attacked(brute_force, Portal(odd=502))
    with pytest.raises(OSError, match="502"):
        brute_force.guess_until_it_locks(None)


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
