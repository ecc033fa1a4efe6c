# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An HTTP client that requests a site from the outside: for probes, the audit and attacks.

It connects to the given address, sends the given server name, keeps every header as received (duplicates too) and
returns the outcome instead of raising: a refused connection is a finding, not an error.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urlsplit

NO_ANSWER = "no answer in time"
MOVED = (301, 308)  # permanent; Caddy and Traefik send the second
AGENT = "chamilo-hardening"  # what the audit and the attacks call themselves
_DRIPS = 6  # an answer may take this many times as long as the longest silence in it
_AS_THEY_STAND = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"  # of what is printed in ASCII, all but the space


@dataclass(frozen=True)
class Answer:
    """The response to one request. ``status`` is 0 when no HTTP response was received; ``error`` then states why."""

    url: str
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    error: str = ""

    def values(self, name: str) -> list[str]:
        """Every value sent for a header, in order: two copies give two entries."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def value(self, name: str) -> str:
        """The first value of a header, or an empty text."""
        return next(iter(self.values(name)), "")


class _Connection(http.client.HTTPConnection):
    """Connects to ``address`` while it speaks of the host in the URL."""

    def __init__(self, parts: SplitResult, address: str, port: int, context: ssl.SSLContext | None, timeout: float):
        super().__init__(parts.hostname or "", port, timeout=timeout)
        self._address = address
        self._context = context
        self._wire: socket.socket | None = None
        self.given_up = False

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), self.timeout)
        # Or the kernel keeps the request back until the end of the handshake is confirmed: 40 ms, each time.
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context is not None:
            self.sock = self._context.wrap_socket(self.sock, server_hostname=self.host)
        self._wire = self.sock

    def give_up(self) -> None:
        """Let the reader of this connection find its end. Called by another thread."""
        self.given_up = True
        if self._wire:
            with contextlib.suppress(OSError):  # it is over already
                socket.socket.shutdown(self._wire, socket.SHUT_RDWR)  # that of TLS would take the keys from the reader


def tls_context(
    verify: bool,
    ca_file: str = "",
    minimum: ssl.TLSVersion | None = None,
    maximum: ssl.TLSVersion | None = None,
    ciphers: str = "",
    ca_alone: bool = False,
) -> ssl.SSLContext:
    """A client context. Without ``verify`` any certificate is accepted: never send a secret then.

    The authorities in ``ca_file`` are trusted besides those of the system, or instead of them with ``ca_alone``.
    """
    if verify:
        context = ssl.create_default_context(cafile=(ca_file or None) if ca_alone else None)
        if ca_file and not ca_alone:
            context.load_verify_locations(ca_file)
    else:  # reading the host's authorities would take longer than the request
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if ciphers:
        context.set_ciphers(ciphers)
    if minimum is not None:
        context.minimum_version = minimum
    if maximum is not None:
        context.maximum_version = maximum
    return context


@functools.cache
def _any_certificate() -> ssl.SSLContext:
    return tls_context(verify=False)


def fetch(
    url: str,
    address: str = "",
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    verify: bool = False,
    ca_file: str = "",
    timeout: float = 10.0,
    limit: int = 65536,
    ca_alone: bool = False,
) -> Answer:
    """Send one request and read at most ``limit`` bytes of the answer. Redirects are not followed.

    ``timeout`` is the longest silence, in seconds; an answer that drips is given up after six times as long.
    ``address`` is where to connect (default: the host of the URL). A ``Host`` or ``Content-Length`` in ``headers``
    replaces the usual one, so that a request can announce more than it sends. The path goes out as it stands; what no
    request line can carry, such as a space or an accent in a file's name, is encoded.
    """
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    # Not urlunsplit: it would tidy up "//" and "/../", which attacks send on purpose.
    target = url.split("://", 1)[-1]
    target = "/" + target.split("/", 1)[1].split("#", 1)[0] if "/" in target else "/"
    target = quote(target.encode("utf-8", "surrogateescape"), safe=_AS_THEY_STAND)
    sent = {"Host": parts.netloc.rsplit("@", 1)[-1], "User-Agent": AGENT, "Connection": "close"}
    for name, value in (headers or {}).items():
        sent = {key: old for key, old in sent.items() if key.lower() != name.lower()}
        sent[name] = value
    if body and not any(name.lower() == "content-length" for name in sent):
        sent["Content-Length"] = str(len(body))
    context = (tls_context(True, ca_file, ca_alone=ca_alone) if verify else _any_certificate()) if secure else None
    connection = _Connection(parts, address or parts.hostname or "", port, context, timeout)
    clock = threading.Timer(timeout * _DRIPS, connection.give_up)
    clock.start()
    try:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in sent.items():
            connection.putheader(name, value)
        connection.endheaders(body or None)
        reply = connection.getresponse()
        answer = Answer(url, reply.status, tuple(reply.getheaders()), reply.read(limit))
    except (OSError, ValueError, http.client.HTTPException) as problem:  # ValueError: no name of a host
        answer = Answer(url, error=describe(problem))
    finally:
        clock.cancel()
        connection.close()
    return Answer(url, error=NO_ANSWER) if connection.given_up else answer


def describe(problem: Exception) -> str:
    """An exception of the network in plain words."""
    if isinstance(problem, ssl.SSLCertVerificationError):
        return f"certificate refused: {problem.verify_message}"
    if isinstance(problem, (socket.timeout, TimeoutError)):
        return NO_ANSWER
    return str(problem) or type(problem).__name__
