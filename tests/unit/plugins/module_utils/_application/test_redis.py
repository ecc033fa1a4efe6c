# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that answers as Redis does. The real one is in tests/hosts/test_shared.py."""

from __future__ import annotations

import io
import socketserver
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application import redis

USER, PASSWORD, PREFIX = "chamilo", "canary 'word'", "chamilo_campus:"


class Server(socketserver.ThreadingTCPServer):
    """``open``: clients need no password. ``own``: which keys the user may use. ``can``: which commands."""

    allow_reuse_address = True
    daemon_threads = True
    open = False
    own = PREFIX
    can = ("SETEX", "GET", "DEL", "EXISTS")
    password = PASSWORD
    raw = b""

    def store(self, **more: Any) -> redis.Store:
        host, port = self.server_address[:2]
        return redis.Store(str(host), port, False, "", USER, PASSWORD, PREFIX, **more)


class Client(socketserver.StreamRequestHandler):
    server: Server

    def handle(self) -> None:
        known, logged_in = {}, self.server.open
        for words in iter(self.words, []):
            name, key = words[0], words[1]
            if self.server.raw:
                answer = self.server.raw
            elif name == "AUTH":
                logged_in = words[1:] == [USER, self.server.password]
                answer = b"+OK" if logged_in else b"-WRONGPASS invalid username-password pair"
            elif not logged_in:
                answer = b"-NOAUTH Authentication required."
            elif name not in self.server.can or not key.startswith(self.server.own):
                answer = b"-NOPERM No permissions"
            elif name == "SETEX":
                known[key], answer = words[3].encode(), b"+OK"
            elif name == "GET":
                answer = b"$%d\r\n%s" % (len(known[key]), known[key]) if key in known else b"$-1"
            else:
                answer = b":%d" % bool(known.pop(key, None))
            self.wfile.write(answer + b"\r\n")

    def words(self) -> list[str]:
        count = self.rfile.readline().strip().lstrip(b"*")
        return [self.rfile.read(int(self.rfile.readline()[1:]) + 2)[:-2].decode() for _word in range(int(count or 0))]


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Client) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def refused(store: redis.Store) -> str:
    with pytest.raises(redis.StoreError) as problem:
        redis.examine(store)
    assert "canary" not in f"{problem.value}{store!r}"
    return str(problem.value)


def test_a_server_for_this_portal_alone_is_taken(server: Server) -> None:
    redis.examine(server.store())
    assert not redis.is_open(server.store())


def test_a_server_that_others_could_use_is_refused(server: Server) -> None:
    server.own = ""
    assert "can use keys of others. Permit those of the portal alone" in refused(server.store())
    server.open = True
    assert "answers clients without a password" in refused(server.store()) and redis.is_open(server.store())


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            {"password": "another"},
            "rejects user chamilo: WRONGPASS invalid username-password pair. Correct chamilo",
        ),
        (
            {"own": "another:"},
            "cannot use keys of chamilo_campus:*: SETEX: NOPERM No permissions. Permit",
        ),
        ({"can": ("SETEX", "GET")}, "DEL: NOPERM"),
        ({"raw": b"HTTP/1.1 400 Bad Request"}, "does not answer: what answers is no Redis"),
        ({"raw": b"$-1"}, "answers clients without a password"),
    ],
)
def test_a_server_that_cannot_keep_sessions_is_named(server: Server, wrong: dict[str, Any], words: str) -> None:
    for name, value in wrong.items():
        setattr(server, name, value)
    output = refused(server.store())
    assert words in output and f"Redis at 127.0.0.1:{server.server_address[1]}" in output


def test_a_server_that_is_away_is_named(server: Server) -> None:
    server.server_close()
    assert "does not answer: " in refused(server.store())


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"+OK\r\n", "OK"),
        (b"-NOAUTH Authentication required.\r\n", "-NOAUTH Authentication required."),
        (b"$-1\r\n", ""),
        (b"$5\r\nab\r\nc\r\n+rest", "ab\r\nc"),
        (b"", "it ended the connection"),
        (b"+OK", "what answers is no Redis"),
        (b"$%d\r\n" % redis._LONGEST, "what answers is no Redis"),
    ],
)
def test_an_answer_has_one_of_few_forms(sent: bytes, answer: str) -> None:
    given: Any = io.BytesIO(sent)
    written: Any = io.BytesIO()
    stream: Any = io.BufferedRWPair(given, written)
    if answer.startswith(("it", "what")):
        with pytest.raises(OSError, match=answer):
            redis.Connection(stream).ask("GET", "a b")
    else:
        assert redis.Connection(stream).ask("GET", "a b") == answer
    assert written.getvalue() == b"*2\r\n$3\r\nGET\r\n$3\r\na b\r\n"


@pytest.mark.parametrize(("ca_file", "trusted"), [("/ca.pem", "/ca.pem"), ("", None)])
def test_over_tls_the_name_is_verified_by_the_declared_authority(
    server: Server, monkeypatch: pytest.MonkeyPatch, ca_file: str, trusted: str
) -> None:
    seen: list[Any] = []

    class Context:
        def wrap_socket(self, plain: Any, server_hostname: str) -> Any:
            seen.append(server_hostname)
            return plain

    monkeypatch.setattr(redis.ssl, "create_default_context", lambda cafile: seen.append(cafile) or Context())
    server.open, server.own = True, ""
    host, port = server.server_address[:2]
    assert redis.is_open(redis.Store(str(host), port, True, ca_file))
    assert seen == [trusted, host]
    assert redis.is_open(redis.Store(str(host), port, False, ca_file)) and len(seen) == 2
