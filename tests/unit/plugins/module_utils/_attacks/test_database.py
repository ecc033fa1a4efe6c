# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The attack on a port that greets or not. A real one: tests/hosts."""

from __future__ import annotations

import errno
import socket

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._attacks import database
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._attacker import Target


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
