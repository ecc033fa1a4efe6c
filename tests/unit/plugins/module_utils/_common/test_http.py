# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Against sockets on loopback that answer well, badly, or not at all."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import handshakes
from ansible_collections.chamilo.hardening.plugins.module_utils._common.handshakes import handshake, only
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import NO_ANSWER, fetch, tls_context
from tests.testbed import authority
from tests.unit.plugins.module_utils._audit.test_https import self_signed

WELL = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n\r\nhello"
END = b"\r\n\r\n"


def serve(listener, reply, until, context, heard):
    while True:
        try:
            connection, _address = listener.accept()
        except OSError:  # the test is over
            return
        with connection, contextlib.suppress(OSError):
            if context:
                connection = context.wrap_socket(connection, server_side=True)
            asked = b""
            while until not in asked:
                part = connection.recv(65536)
                if not part:
                    break
                asked += part
            heard.append(asked)
            connection.sendall(reply)
            connection.close()


@pytest.fixture
def server():
    """Sends the same bytes to every client and keeps what it received."""
    with contextlib.ExitStack() as stack:

        def start(reply=WELL, until=END, context=None):
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            heard = []
            thread = threading.Thread(target=serve, args=(listener, reply, until, context, heard))
            thread.start()
            stack.callback(thread.join)
            stack.callback(listener.shutdown, socket.SHUT_RDWR)
            port = listener.getsockname()[1]
            return SimpleNamespace(port=port, heard=heard, url=f"http://127.0.0.1:{port}")

        yield start


def test_an_answer_keeps_every_copy_of_a_header(server):
    answer = fetch(f"{server().url}/")
    assert (answer.status, answer.body, answer.error) == (200, b"hello", "")
    assert answer.values("SET-COOKIE") == ["a=1", "b=2"]
    assert (answer.value("set-cookie"), answer.value("x-frame-options")) == ("a=1", "")


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("", b"/"),
        ("//a/../%2e%2e/b?x=[1]&y=%#z", b"//a/../%2e%2e/b?x=[1]&y=%"),
        ("/a b/\u00e9t\u00e9.sql", b"/a%20b/%C3%A9t%C3%A9.sql"),
        ("/\udce9.sql", b"/%E9.sql"),  # a name on disk that is no UTF-8
        ("/x HTTP/1.1\x0b\x00Evil: 1", b"/x%20HTTP/1.1%0B%00Evil:%201"),
    ],
)
def test_a_path_goes_out_as_it_stands_or_encoded_where_it_could_not(server, path, sent):
    it = server()
    assert fetch(f"{it.url}{path}").status == 200
    assert it.heard[0].partition(b"\r\n")[0] == b"GET " + sent + b" HTTP/1.1"


def test_it_connects_to_the_address_and_reports_the_name(server):
    it = server()
    assert fetch(f"http://user:secret@campus.test:{it.port}/", address="127.0.0.1").status == 200
    assert f"Host: campus.test:{it.port}\r\n".encode() in it.heard[0]
    assert b"secret" not in it.heard[0]


def test_a_header_replaces_the_usual_one_and_may_lie(server):
    it = server()
    fetch(f"{it.url}/", method="POST", headers={"host": "other.test", "CONTENT-LENGTH": "999999999"})
    head = it.heard[0].lower()
    assert head.count(b"host:") == 1 and b"host: other.test" in head
    assert head.startswith(b"post / ") and b"content-length: 999999999" in head


def test_not_more_is_read_than_was_asked_for(server):
    assert fetch(f"{server(WELL + b'x' * 100_000).url}/", limit=7).body == b"helloxx"


def test_a_redirect_is_an_answer_and_not_followed(server):
    it = server(b"HTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n")
    answer = fetch(f"{it.url}/")
    assert (answer.status, answer.value("location"), len(it.heard)) == (302, "/there", 1)


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"SSH-2.0-OpenSSH_10.0\r\n",
        b"HTTP/1.1 two OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_http_is_an_answer_with_words(server, reply):
    answer = fetch(f"{server(reply).url}/")
    assert answer.status == 0 and answer.error


def test_who_does_not_answer_is_not_waited_for():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert fetch(f"http://127.0.0.1:{port}/", timeout=0.05).error == NO_ANSWER
        assert handshake("campus.test", port, "127.0.0.1", timeout=0.05).error == NO_ANSWER
    assert "refused" in fetch(f"http://127.0.0.1:{port}/").error
    assert "refused" in handshake("campus.test", port, "127.0.0.1").error


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize(
    "begin",
    [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: "],
)
def test_an_answer_that_drips_is_given_up(identity, begin, secure):
    def drip(listener):
        connection, _address = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection = identity.context.wrap_socket(connection, server_side=True) if secure else connection
            connection.sendall(begin)
            for _byte in range(1000):
                connection.sendall(b"0")
                time.sleep(0.02)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        began = time.monotonic()
        answer = fetch(f"http{'s' * secure}://127.0.0.1:{listener.getsockname()[1]}/", timeout=0.1)
        assert (answer.status, answer.error) == (0, NO_ANSWER) and time.monotonic() - began < 5
        thread.join()


@pytest.mark.parametrize("name", ["a" * 70 + ".test", ".campus.test", "campus..test"])
def test_a_name_that_no_host_can_have_is_an_answer_too(server, name):
    port = server().port
    answer = fetch(f"https://{name}:{port}/", address="127.0.0.1")
    assert answer.status == 0 and answer.error
    assert handshake(name, port, "127.0.0.1").error


# --------------------------------------------------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    """A certificate of an authority of the tests: its context, and the CA file of a client that trusts it."""
    directory = tmp_path_factory.mktemp("identity")
    chain, key = authority.issue("campus.test")
    (directory / "chain.pem").write_text(chain + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "chain.pem")
    leaf = chain[: chain.index(ssl.PEM_FOOTER) + len(ssl.PEM_FOOTER)]
    return SimpleNamespace(context=context, ca=str(authority.certificate()), der=ssl.PEM_cert_to_DER_cert(leaf.strip()))


def test_a_handshake_reports_what_was_agreed_on(server, identity):
    port = server(context=identity.context).port
    found = handshake("campus.test", port, "127.0.0.1", tls_context(True, identity.ca))
    assert (found.protocol, found.certificate, found.error) == ("TLSv1.3", identity.der, "")
    assert found.cipher.startswith("TLS_")
    old = tls_context(False, maximum=ssl.TLSVersion.TLSv1_2)
    assert handshake("campus.test", port, "127.0.0.1", old).protocol == "TLSv1.2"


def test_a_certificate_is_refused_in_words(server, identity):
    it = server(context=identity.context)
    assert handshake("campus.test", it.port, "127.0.0.1").error.startswith("certificate refused: ")
    other = handshake("shop.test", it.port, "127.0.0.1", tls_context(True, identity.ca)).error
    assert other.startswith("certificate refused: ") and "shop.test" in other
    assert handshake("shop.test", it.port, "127.0.0.1", tls_context(False)).certificate == identity.der


def test_a_page_over_tls_is_verified_where_that_is_asked_for(server, identity):
    it = server(context=identity.context)
    url = f"https://campus.test:{it.port}/"
    assert fetch(url, address="127.0.0.1").body == b"hello"
    assert fetch(url, address="127.0.0.1", verify=True, ca_file=identity.ca).status == 200
    assert fetch(url, address="127.0.0.1", verify=True).error.startswith("certificate refused: ")


@pytest.fixture
def unrelated_client(tmp_path):
    """The file of an authority that signed nothing here."""
    (tmp_path / "stranger.pem").write_text(self_signed()[0])
    return str(tmp_path / "stranger.pem")


def test_an_authority_is_trusted_besides_those_of_the_system(server, identity, unrelated_client, monkeypatch):
    port = server(context=identity.context).port
    monkeypatch.setenv("SSL_CERT_FILE", identity.ca)
    url = f"https://campus.test:{port}/"
    assert fetch(url, address="127.0.0.1", verify=True, ca_file=unrelated_client).status == 200
    alone = fetch(url, address="127.0.0.1", verify=True, ca_file=unrelated_client, ca_alone=True)
    assert alone.error.startswith("certificate refused: ")
    monkeypatch.setenv("SSL_CERT_FILE", unrelated_client)
    for ca_alone in (False, True):
        answer = fetch(url, address="127.0.0.1", verify=True, ca_file=identity.ca, ca_alone=ca_alone)
        assert answer.status == 200, answer.error


@pytest.mark.parametrize("problem", [ValueError("Unsupported protocol version 0x301"), ssl.SSLError(1, "no protocols")])
def test_there_is_none_of_a_version_that_openssl_cannot_offer(monkeypatch, problem):
    def refuse(*arguments, **options):
        raise problem

    monkeypatch.setattr(handshakes, "tls_context", refuse)
    assert only(ssl.TLSVersion.TLSv1) is None
    # Known, but with no cipher for it: that shows in the first step of a handshake alone.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("AESGCM:@SECLEVEL=2")
    monkeypatch.setattr(handshakes, "tls_context", lambda *arguments, **options: context)
    assert only(ssl.TLSVersion.TLSv1_1) is None


def test_a_port_that_speaks_no_tls(server):
    it = server(b"HTTP/1.1 400 Bad Request\r\n\r\n", until=b"campus.test")
    found = handshake("campus.test", it.port, "127.0.0.1", tls_context(False))
    assert found.error and not found.protocol
