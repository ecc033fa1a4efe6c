# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The attacks against a server that refuses or not, and a port that greets or not. A real one: tests/hosts."""

from __future__ import annotations

import contextlib
import errno
import re
import socket

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._attacks import database
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._attacker import Target
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._insider import Insider
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.database import Account, DatabaseError
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.site import Site

DENIED = "Access denied; you need (at least one of) the CREATE USER privilege(s) for this operation"
UNKNOWN = "Can't find any matching row in the user table"
KINDS = {"LOAD_FILE": "FILE", "TABLE_SCHEMA": "other databases", "CREATE USER": "accounts", "GRANT ": "rights on",
         "SET GLOBAL": "settings", "CREATE DEFINER": "root's rights", "SHOW GRANTS": "log in at 127.0.0.1"}  # fmt: skip


class Server:
    def __init__(self, allowed=()):
        self.allowed = allowed
        self.sent = []
        self.words = DENIED

    def may(self, sql):
        return any(word in sql for word in self.allowed)

    def query(self, sql):
        if sql == "SHOW GRANTS":
            return [{"Grants": f"GRANT {'FILE' if self.may(sql) else 'USAGE'} ON *.* TO `chamilo`@`%`"}]
        return [{"found": "root:x:0:0" if self.may(sql) else None}]

    def ask(self, sql, params=()):
        self.sent.append(sql)
        if sql.startswith("SET SESSION") or self.may(sql) or (sql.startswith("DROP ") and self.allowed):
            if sql.startswith("GRANT"):
                raise DatabaseError(UNKNOWN)
            return []
        raise DatabaseError(self.words)


@pytest.fixture
def misuse(monkeypatch):
    def run(server):
        class Reader:
            def __init__(self, account):
                self.account = account

            @classmethod
            def of_site(cls, site):
                return cls(Account("chamilo", "x", name="chamilo"))

            def query(self, sql):
                return server.query(sql)

        @contextlib.contextmanager
        def writing(_account):
            yield server.ask

        monkeypatch.setattr(database, "Reader", Reader)
        monkeypatch.setattr(database, "writing", writing)
        return database.misuse(Insider(Site("campus.test", root="/var/www/chamilo")))

    return run


def test_everything_refused_passes(misuse):
    server = Server()
    assert misuse(server).status == "pass"
    assert not any(sql.startswith("DROP") for sql in server.sent)


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_works_is_named_and_nothing_stays(misuse, kind):
    server = Server([kind])
    found = misuse(server)
    assert found.status == "fail" and KINDS[kind] in found.evidence
    others = [words for other, words in KINDS.items() if other != kind]
    assert not any(words in found.evidence for words in others)
    made = [re.search(r"'chamilo_hardening_\w+'", sql)[0] for sql in server.sent if sql.startswith("CREATE USER")]
    views = [sql for sql in server.sent if " VIEW " in sql]
    if kind == "CREATE DEFINER":
        planted, dropped = views
        (view,) = re.findall(r" VIEW (`chamilo`\.`chamilo_hardening_\w{12}`) AS SELECT 1 AS found$", planted)
        assert dropped == f"DROP VIEW {view}"
    gone = [re.search(r"'chamilo_hardening_\w+'", sql)[0] for sql in server.sent if sql.startswith("DROP USER")]
    assert gone == (made if kind == "CREATE USER" else [])


def test_a_server_that_is_down_is_no_success(misuse):
    server = Server()
    server.words = "Can't connect to local server"
    with pytest.raises(OSError, match="connect"):
        misuse(server)


@pytest.mark.parametrize(
    ("rights", "stronger"),
    [
        (["GRANT USAGE ON *.* TO `chamilo`@`%`", "GRANT ALL PRIVILEGES ON `chamilo`.* TO `chamilo`@`%`"], False),
        (["GRANT USAGE ON *.* TO `chamilo`@`%`", "GRANT FILE ON *.* TO `chamilo`@`%`"], True),
        ("Access denied for user 'chamilo'@'localhost'", False),
    ],
)
def test_what_is_asked_of_other_addresses_is_power_over_the_whole_server(monkeypatch, rights, stronger):
    account, asked = Account("chamilo", "x", name="chamilo", host="localhost", socket="/run/mysqld.sock"), []

    class Reader:
        def __init__(self, account):
            asked.append((account.host, account.socket, account.authority))

        def query(self, sql):
            if isinstance(rights, str):
                raise DatabaseError(rights)
            return [{"Grants": right} for right in rights]

    monkeypatch.setattr(database, "Reader", Reader)
    assert database._is_stronger(account, "192.0.2.7") is stronger
    assert asked == [("192.0.2.7", "", database.authority("192.0.2.7"))]


def test_a_question_that_is_refused_is_not_answered(monkeypatch):
    words = [DENIED]

    class Reader:
        def __init__(self, account):
            pass

        def query(self, sql):
            raise DatabaseError(words[0])

    monkeypatch.setattr(database, "Reader", Reader)
    assert database._answers(Account("chamilo", "x"), "SELECT 1") is False
    words[0] = "Lost connection"
    with pytest.raises(OSError, match="Lost connection"):
        database._answers(Account("chamilo", "x"), "SELECT 1")


class Connection:
    def __init__(self, greeting, far=True):
        self.greeting = greeting
        self.far = far

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        pass

    def settimeout(self, seconds):
        pass

    def getpeername(self):
        return ("192.0.2.7", 3306)

    def getsockname(self):
        return ("192.0.2.9" if self.far else "192.0.2.7", 4711)

    def recv(self, size):
        if not self.greeting:
            raise TimeoutError
        return self.greeting


@pytest.fixture(autouse=True)
def names(monkeypatch):
    """What the portal's name leads to."""
    known = ["192.0.2.7"]
    monkeypatch.setattr(
        database.socket, "getaddrinfo", lambda name, port: [(0, 0, 0, "", (one, port)) for one in known]
    )
    return known


@pytest.mark.parametrize(
    ("greeting", "status", "words"),
    [
        (b"\x5b\x00\x00\x00\x0a11.8.9-MariaDB\x00more", "fail", "offers a login to its database (11.8.9-MariaDB)"),
        (b"\x41\x00\x00\x00\xffj\x04Host '192.0.2.9' is not allowed to connect", "pass", "does not speak"),
        (b"SSH-2.0", "fail", "something answers"),
        (b"", "fail", "something answers"),
    ],
)
def test_who_answers_is_reported(monkeypatch, greeting, status, words):
    monkeypatch.setattr(database.socket, "create_connection", lambda where, seconds: Connection(greeting))
    found = database.reach(Target("campus.test"))
    assert (found.status, words in found.evidence) == (status, True)


def test_a_closed_port_passes_and_the_host_itself_proves_nothing(monkeypatch):
    def refuse(where, seconds):
        assert where == ("192.0.2.7", 3306)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(database.socket, "create_connection", refuse)
    assert database.reach(Target("campus.test", "192.0.2.7")).status == "pass"
    monkeypatch.setattr(database.socket, "create_connection", lambda where, seconds: Connection(b"x", far=False))
    with pytest.raises(OSError, match="the host itself"):
        database.reach(Target("campus.test"))


@pytest.mark.parametrize("problem", [TimeoutError("timed out"), ConnectionRefusedError(111, "Connection refused")])
def test_an_unanswered_connection_passes(monkeypatch, problem):
    assert knock(monkeypatch, problem).status == "pass"


@pytest.mark.parametrize(
    "problem",
    [
        OSError(errno.ENETUNREACH, "Network is unreachable"),
        OSError(errno.EHOSTUNREACH, "No route to host"),
        socket.gaierror(-2, "Name or service not known"),
    ],
)
def test_a_knock_that_never_got_there_reports_nothing(monkeypatch, problem):
    with pytest.raises(OSError, match=problem.strerror):
        knock(monkeypatch, problem)


@pytest.mark.parametrize("order", [1, -1])
def test_an_address_to_which_there_is_no_way_proves_nothing_and_hides_nothing(monkeypatch, names, order):
    unreachable, refused = OSError(errno.ENETUNREACH, "no way"), ConnectionRefusedError(111, "Connection refused")
    answers = {"192.0.2.7": refused, "2001:db8::7": unreachable}
    names[:] = list(answers)[::order]

    def connect(where, seconds):
        if isinstance(answers[where[0]], OSError):
            raise answers[where[0]]
        return answers[where[0]]

    monkeypatch.setattr(database.socket, "create_connection", connect)
    assert database.reach(Target("campus.test")).status == "pass"
    answers["2001:db8::7"] = Connection(b"SSH-2.0")
    assert database.reach(Target("campus.test")).status == "fail"


@pytest.mark.parametrize(("address", "asked"), [("", "campus.test"), ("192.0.2.7", "192.0.2.7")])
def test_the_address_that_is_given_is_tried_else_that_of_the_name(monkeypatch, address, asked):
    seen = []

    def lookup(where, port):
        seen.append(where)
        return [(0, 0, 0, "", ("192.0.2.7", port))]

    refused = ConnectionRefusedError(111, "Connection refused")
    monkeypatch.setattr(database.socket, "getaddrinfo", lookup)
    found = knock(monkeypatch, refused, Target("campus.test", address))
    assert seen == [asked]
    assert found.evidence == f"Port 3306 of {asked} does not answer (Connection refused)."


def test_the_proxy_is_not_connected_to(monkeypatch):
    words = "set chamilo_prove_address to the host's own address; where TLS ends at the proxy, .*waive database_bind"
    with pytest.raises(OSError, match=words):
        knock(monkeypatch, AssertionError("asked"), Target("campus.test", proxied=True))
    refused = ConnectionRefusedError(111, "Connection refused")
    assert knock(monkeypatch, refused, Target("campus.test", "192.0.2.7", proxied=True)).status == "pass"


def knock(monkeypatch, problem, target=None):
    def fail(where, seconds):
        raise problem

    monkeypatch.setattr(database.socket, "create_connection", fail)
    return database.reach(target or Target("campus.test"))
