# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pickle
import socket
import sys
import threading

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils import _fail2ban
from ansible_collections.chamilo.hardening.plugins.module_utils._fail2ban import Fail2banError

END = b"<F2B_END_COMMAND>"
BAN = "nft add element inet f2b-table <addr_set> \\{ <ip> \\}"
JAIL = {
    "logpath": ["/var/log/nginx/access.log"],
    "failregex": ["^x$"],
    "ignoreregex": [],
    "prefregex": "",
    "datepattern": (None, "Default Detectors"),
    "maxlines": 1,
    "maxretry": 5,
    "findtime": 600,
    "bantime": -1,
    "ignoreip": ["127.0.0.0/8"],
    "ignoreself": True,
    "ignorecommand": "",
    "actions": ["nftables", "python"],
    "actionproperties nftables": ["actionban", "name"],
    "actionproperties python": ["name"],
    "action nftables actionban": BAN,
}


class Harmful:
    """A pickle that would run something where it is read."""

    def __reduce__(self):
        return (os.system, ("true",))


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Speaks fail2ban's protocol. What it is asked for is looked up in ``answers``."""
    path = tmp_path / "socket"
    answers = {"status": [("Number of jail", 1), ("Jail list", "chamilo")]}
    answers.update({f"get chamilo {key}": value for key, value in JAIL.items()})
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)

    def serve():
        line, _address = listener.accept()
        with line:
            asked = b""
            while True:
                piece = line.recv(4096)
                if not piece:
                    return
                asked += piece
                if asked.endswith(END):
                    words = " ".join(pickle.loads(asked[: -len(END)]))
                    asked = b""
                    line.sendall(pickle.dumps((0, answers[words]) if words in answers else (1, "no")) + END)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    monkeypatch.setattr(_fail2ban, "SOCKET", str(path))
    yield answers
    thread.join(5)
    listener.close()


def test_a_running_jail_is_told_apart_from_its_files(server):
    jail = _fail2ban.running()[0]
    assert jail.files == ("/var/log/nginx/access.log",)
    assert (jail.attempts, jail.window, jail.seconds, jail.friends) == (5, 600, -1, ("127.0.0.0/8",))
    assert jail.actions == {"nftables": BAN, "python": ""}


def test_no_class_is_taken_from_an_answer(server):
    server["get chamilo failregex"] = [Harmful()]
    with pytest.raises(Fail2banError, match="no usable answer"):
        _fail2ban.running()


class Wrapped:
    """How fail2ban hands out an address."""

    def __reduce__(self):
        return (str, ("203.0.113.7",))


def test_an_address_is_a_text(server):
    server["get chamilo ignoreip"] = [Wrapped()]
    assert _fail2ban.running()[0].friends == ("203.0.113.7",)


def test_who_is_shut_out(server):
    server["banned"] = [{"sshd": []}, {"chamilo": ["203.0.113.7"]}]
    assert _fail2ban.banned() == {"203.0.113.7": ["chamilo"]}


def test_an_address_is_let_in_again(server):
    server["unban 203.0.113.7"] = 1
    _fail2ban.unban("203.0.113.7")


def test_a_refused_command_is_an_error(server):
    with pytest.raises(Fail2banError, match="unban x was refused"):
        _fail2ban.unban("x")


def test_a_refused_question_is_an_error(server):
    del server["get chamilo maxretry"]
    with pytest.raises(Fail2banError, match="get chamilo maxretry was refused"):
        _fail2ban.running()


def test_no_socket_or_a_dead_one_is_no_fail2ban(tmp_path, monkeypatch):
    monkeypatch.setattr(_fail2ban, "SOCKET", str(tmp_path / "socket"))
    assert _fail2ban.running() is None
    assert _fail2ban.banned() == {}
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "socket"))
    assert _fail2ban.running() is None


@pytest.fixture
def engine(tmp_path, monkeypatch, server):
    """A Python in place of fail2ban's, with a module in place of its engine."""

    def make(text, first=f"#! {sys.executable}"):
        module = tmp_path / "lib/fail2ban/server"
        module.mkdir(parents=True, exist_ok=True)
        (module / "filter.py").write_text(text)
        monkeypatch.setattr(
            _fail2ban, "_ENGINE", f"import sys; sys.path.insert(0, {str(tmp_path / 'lib')!r})\n" + ENGINE
        )
        client = tmp_path / "fail2ban-client"
        client.write_text(f"{first}\n")
        monkeypatch.setattr(_fail2ban, "_client", lambda: str(client))
        return _fail2ban.running()

    return make


ENGINE = _fail2ban._ENGINE
FILTER = """
class Filter:
    def __init__(self, jail, useDns): self.expressions = []
    def addFailRegex(self, text): self.expressions.append(text)
    def processLine(self, line): return [[0, "192.0.2.1"]] if line in self.expressions[0] else []
"""


def test_lines_go_through_the_engine(engine):
    jails = engine(FILTER)
    assert _fail2ban.matches(jails, ["^x$", "y"]) == [[["192.0.2.1"], []]]
    assert _fail2ban.matches(jails, []) == [[]]


def test_an_engine_that_never_ends_is_stopped(engine, monkeypatch):
    jails = engine("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(_fail2ban, "_SECONDS", 0.5)
    with pytest.raises(Fail2banError, match="of chamilo took longer"):
        _fail2ban.matches(jails, ["x"])


def test_an_engine_that_breaks_says_why(engine):
    jails = engine("raise ImportError('no such engine')\n")
    with pytest.raises(Fail2banError, match="no such engine"):
        _fail2ban.matches(jails, ["x"])


def test_a_client_that_is_no_python_says_so(engine):
    jails = engine("", first="#!/bin/sh")
    with pytest.raises(Fail2banError, match="does not say which Python"):
        _fail2ban.matches(jails, ["x"])
