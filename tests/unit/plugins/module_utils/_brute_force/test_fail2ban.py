# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import sys
import threading

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force import fail2ban
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.fail2ban import Fail2banError

END = b"<F2B_END_COMMAND>"
BAN = "nft add element inet f2b-table <addr_set> \\{ <ip> \\}"
JAIL = {
    "logpath": ["/var/log/nginx/access.log"],
    "journalmatch": [["_SYSTEMD_UNIT=nginx.service", "SYSLOG_IDENTIFIER=login"]],
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
    """Speaks fail2ban's protocol. What it is asked for it takes from ``answers``; bytes are sent as they are."""
    path = tmp_path / "socket"
    answers = {"status": [("Number of jail", 1), ("Jail list", "chamilo")]}
    answers.update({f"get chamilo {key}": value for key, value in JAIL.items()})
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)

    def serve():
        line, _address = listener.accept()
        with line, contextlib.suppress(ConnectionError):
            asked = b""
            while True:
                piece = line.recv(4096)
                if not piece:
                    return
                asked += piece
                if asked.endswith(END):
                    words = " ".join(pickle.loads(asked[: -len(END)]))
                    asked = b""
                    answer = answers.get(words)
                    whole = pickle.dumps((0, answer) if words in answers else (1, "no"))
                    line.sendall((answer if isinstance(answer, bytes) else whole) + END)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    monkeypatch.setattr(fail2ban, "SOCKET", str(path))
    yield answers
    thread.join(5)
    listener.close()


def test_all_of_a_jail_is_reported_as_it_runs(server):
    server.update({"get chamilo prefregex": "^p", "get chamilo datepattern": ("%Y", "Year")})
    server.update({"get chamilo ignoreregex": ["^3$"], "get chamilo ignorecommand": "/bin/friend"})
    assert fail2ban.running() == [
        fail2ban.Jail(
            name="chamilo",
            files=("/var/log/nginx/access.log",),
            journal=(("_SYSTEMD_UNIT=nginx.service", "SYSLOG_IDENTIFIER=login"),),
            expressions=("^x$",),
            ignored_expressions=("^3$",),
            prefix="^p",
            date_pattern="%Y",
            lines=1,
            attempts=5,
            window=600,
            seconds=-1,
            friends=("127.0.0.0/8",),
            spares_itself=True,
            friend_command="/bin/friend",
            actions={"nftables": BAN, "python": ""},
        )
    ]


def test_an_answer_of_five_megabytes_is_too_long(server):
    server["banned"] = [{"sshd": ["x" * 5_000_000]}]
    with pytest.raises(Fail2banError, match="the answer broke off"):
        fail2ban.banned()


@pytest.mark.parametrize(("asked", "answer"), [("status", []), ("status", b""), ("get chamilo maxretry", [])])
def test_a_jail_of_another_form_is_an_error(server, asked, answer):
    server[asked] = answer
    with pytest.raises(Fail2banError, match="no usable answer"):
        fail2ban.running()


@pytest.mark.parametrize("answer", [b"", [Harmful()]])
def test_bans_of_another_form_are_an_error(server, answer):
    server["banned"] = answer
    with pytest.raises(Fail2banError, match="no usable answer"):
        fail2ban.banned()


@pytest.mark.parametrize("ask", [fail2ban.running, fail2ban.banned])
def test_a_silent_server_is_not_waited_for(tmp_path, monkeypatch, ask):
    monkeypatch.setattr(fail2ban, "SOCKET", str(tmp_path / "socket"))
    monkeypatch.setattr(fail2ban, "_SECONDS", 0.1)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(fail2ban.SOCKET)
        silent.listen(1)
        with pytest.raises(Fail2banError, match="timed out"):
            ask()


def test_banned_addresses(server):
    server["banned"] = [{"sshd": ["203.0.113.8"]}, {"chamilo": ["203.0.113.7", "203.0.113.8"]}, {"empty": []}]
    assert fail2ban.banned() == {"203.0.113.7": ["chamilo"], "203.0.113.8": ["sshd", "chamilo"]}


def test_an_address_is_let_in_again(server):
    server["unban 203.0.113.7"] = 1
    fail2ban.unban("203.0.113.7")


def test_a_refused_command_is_an_error(server):
    with pytest.raises(Fail2banError, match="unban x was refused"):
        fail2ban.unban("x")


def test_no_socket_or_a_dead_one_is_no_fail2ban(tmp_path, monkeypatch):
    monkeypatch.setattr(fail2ban, "SOCKET", str(tmp_path / "socket"))
    assert fail2ban.running() is None
    assert fail2ban.banned() == {}
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "socket"))
    assert fail2ban.running() is None
    assert fail2ban.banned() == {}


@pytest.fixture
def engine(tmp_path, monkeypatch, server):
    """A Python in place of fail2ban's, with a module in place of its engine."""

    def make(text, first=f"#! {sys.executable}"):
        module = tmp_path / "lib/fail2ban/server"
        module.mkdir(parents=True, exist_ok=True)
        (module / "filter.py").write_text(text)
        monkeypatch.setattr(
            fail2ban, "_ENGINE", f"import sys; sys.path.insert(0, {str(tmp_path / 'lib')!r})\n" + ENGINE
        )
        client = tmp_path / "fail2ban-client"
        client.write_text(f"{first}\n")
        monkeypatch.setattr(fail2ban, "_client", lambda: str(client))
        return fail2ban.running()

    return make


ENGINE = fail2ban._ENGINE
FILTER = """
class Filter:
    def __init__(self, jail, useDns): self.expressions = []
    def addFailRegex(self, text): self.expressions.append(text)
    def processLine(self, line): return [[0, "192.0.2.1"]] if line in self.expressions[0] else []
"""


def test_lines_go_through_the_engine(engine):
    jails = engine(FILTER)
    assert fail2ban.matches(fail2ban.engine(), jails, ["^x$", "y"]) == [[["192.0.2.1"], []]]
    assert fail2ban.matches(fail2ban.engine(), jails, []) == [[]]


def test_an_engine_that_never_ends_is_stopped(engine, monkeypatch):
    jails = engine("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(fail2ban, "_SECONDS", 0.5)
    with pytest.raises(Fail2banError, match="of chamilo took longer"):
        fail2ban.matches(fail2ban.engine(), jails, ["x"])


def test_an_engine_that_breaks_reports_why(engine):
    jails = engine("raise ImportError('no such engine')\n")
    with pytest.raises(Fail2banError, match="could not be used: ImportError: no such engine"):
        fail2ban.matches(fail2ban.engine(), jails, ["x"])


@pytest.mark.parametrize(
    ("first", "python"),
    [
        ("#!/usr/bin/python3 -Es", "/usr/bin/python3"),
        ("#! /opt/x/bin/python3.13", "/opt/x/bin/python3.13"),
        ("#!/usr/bin/env python3", None),
        ("# /usr/bin/python3", None),
        ("", None),
    ],
)
def test_which_python_fail2ban_runs_under(tmp_path, monkeypatch, first, python):
    client = tmp_path / "fail2ban-client"
    client.write_text(f"{first}\n#!/usr/bin/python2\n")
    monkeypatch.setattr(fail2ban, "_client", lambda: str(client))
    assert fail2ban.is_installed()
    if python:
        assert fail2ban.interpreter() == python
    else:
        with pytest.raises(Fail2banError, match="does not name the Python"):
            fail2ban.interpreter()


def test_without_a_client_it_is_not_installed(monkeypatch):
    monkeypatch.setattr(fail2ban, "_client", lambda: None)
    assert not fail2ban.is_installed()
    assert fail2ban.matches(None, [], ["x"]) == [], "nothing to ask"
    with pytest.raises(Fail2banError, match="is not installed"):
        fail2ban.interpreter()
