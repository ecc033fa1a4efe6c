# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left to do after an update from a version with vulnerabilities."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._program import main
from ansible_collections.chamilo.hardening.plugins.module_utils._updates import aftermath
from ansible_collections.chamilo.hardening.plugins.module_utils._updates.aftermath import AftermathError


@pytest.fixture
def host(monkeypatch):
    """Two portals. ``tokens``: who has an open one; ``sources``: whose accounts those are, None without a table."""
    host = SimpleNamespace(
        keys={}, tokens=["root", "ann"], sources={"azure": ["eve", "bob"], "platform": ["ann"]}, done=[]
    )

    class Reader:
        account = "the account"

        @staticmethod
        def of_site(site):
            return Reader()

        def query(self, sql, params=()):
            if "information_schema" in sql:
                return [
                    {"place": place, "name": name}
                    for place in host.keys
                    for name in ("id", "api_token" if place == "user" else "user_id")
                ]
            for place, owners in sorted(host.keys.items(), reverse=True):
                if f"FROM `{place}` WHERE" in sql and "confirmation_token" not in sql:
                    admins = [{"username": name} for name in owners if name == "root"]
                    return [{"number": str(len(owners))}] if "COUNT" in sql else admins
            if sql.startswith("SHOW TABLES"):
                return [{"x": "user_auth_source"}] if host.sources is not None else []
            if sql.startswith("SELECT COUNT(*)"):
                return [{"number": str(len(host.tokens))}]
            if "confirmation_token" in sql:
                return [{"username": name} for name in host.tokens if name == "root"]
            if "GROUP BY authentication" in sql:
                others = {name: users for name, users in host.sources.items() if name != "platform"}
                return [{"source": name, "number": str(len(users))} for name, users in others.items()]
            return [{"username": name} for name in host.sources[params[0]]]

    @contextlib.contextmanager
    def writing(account):
        assert account == "the account"
        yield lambda sql, params: host.done.append(sql) or host.tokens.clear()

    watched = [{"domain": "a.test", "root": "/srv/a"}, {"domain": "b.test", "root": "/srv/b"}]
    monkeypatch.setattr(aftermath.releases, "watched", lambda: iter(watched))
    monkeypatch.setattr(aftermath, "discover", lambda domain, root: SimpleNamespace(version="2.0.4"))
    monkeypatch.setattr(aftermath, "Reader", Reader)
    monkeypatch.setattr(aftermath, "writing", writing)
    return host


def test_what_is_left_is_shown_and_nothing_is_changed(host, capsys):
    assert main.main(["aftermath", "--domain", "a.test"], version="1") == 0
    output = capsys.readouterr().out
    assert "a.test, Chamilo 2.0.4\n" in output and "b.test" not in output
    assert "  To do: Invalidate open tokens" in output and "SSO or SCIM" in output
    assert "confirmations: 2, of administrators: root\n" in output
    assert "Accounts made by azure: 2 (newest first: eve, bob)" in output and "platform" not in output
    assert host.done == []


def test_open_tokens_are_invalidated_once(host, capsys):
    for _time in range(2):
        assert main.main(["aftermath", "--domain", "a.test", "--invalidate", "--yes"], version="1") == 0
    assert "aftermath a.test: open tokens invalidated: 2." in capsys.readouterr().out
    (sql,) = host.done
    assert sql.startswith("UPDATE `user` SET confirmation_token = NULL, password_requested_at = NULL")


def test_a_person_is_asked_before(host, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("builtins.input", lambda _words: "")
    assert main.main(["aftermath", "--invalidate"], version="1") == 1
    assert host.done == [] and "No token was invalidated." in capsys.readouterr().out


def test_what_cannot_be_seen_is_reported(host, capsys):
    host.sources, host.tokens = None, []
    assert main.main(["aftermath"], version="1") == 0
    output = capsys.readouterr().out
    assert output.count("other services: not known, since this release keeps no table user_auth_source") == 2
    assert "confirmations: none\n" in output


def test_keys_that_an_attacker_made_are_shown_with_what_revokes_them(host, capsys):
    """They go on after each password was changed."""
    assert main.main(["aftermath"], version="1") == 0
    assert capsys.readouterr().out.count("  Keys and tokens of the API: none\n") == 2
    host.keys = {"user": ["ann"], "user_api_key": ["root", "eve"], "oauth_client": [], "oauth_refresh_token": ["eve"]}
    assert main.main(["aftermath", "--domain", "a.test"], version="1") == 0
    output = capsys.readouterr().out
    assert "in user: 1 (to revoke all of them: UPDATE `user` SET api_token = NULL;)" in output
    assert "in user_api_key: 2, of administrators: root (to revoke all of them: DELETE FROM user_api_key;)" in output
    assert "in oauth_refresh_token: 1 (" in output and "oauth_client" not in output
    assert host.done == []


def test_names_harm_no_terminal(host, capsys):
    host.sources = {"azure": ["e\x1b[2Jve"]}
    main.main(["aftermath"], version="1")
    assert "\x1b" not in capsys.readouterr().out


def test_a_portal_that_is_not_watched_is_refused(host):
    with pytest.raises(AftermathError, match="no portal c.test. Known by the section updates: a.test, b.test"):
        aftermath.inspect("c.test")


def test_of_many_accounts_the_newest_are_named_and_the_others_counted():
    many = {"azure": (7, ["eve", "bob"])}
    portal = aftermath.Aftermath("a.test", "2.0.4", "the account", (), 0, [], provisioned=many)
    assert "  Accounts made by azure: 7 (newest first: eve, bob and 5 more)" in portal.description()
