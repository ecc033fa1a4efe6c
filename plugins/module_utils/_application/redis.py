# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that keeps sessions, Redis or Valkey, by its own protocol."""

from __future__ import annotations

import contextlib
import ipaddress
import secrets
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedRWPair

from .._common.errors import HardeningError

SECONDS = 5.0
_LONGEST = 1 << 16
_STRANGE = "chamilo-hardening-elsewhere"  # a key of no portal


class StoreError(HardeningError):
    """The server cannot keep sessions. The text is a sentence without a secret."""


@dataclass(frozen=True)
class Store:
    host: str
    port: int = 6379
    tls: bool = True
    ca_file: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    prefix: str = ""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def local(host: str) -> bool:
    """Whether what is sent there stays on this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Connection:
    def __init__(self, stream: BufferedRWPair) -> None:
        self._stream = stream

    def ask(self, *words: str) -> str:
        """The answer to a command, an error with its minus sign; only of commands that answer with one value."""
        parts = [word.encode("utf-8", "surrogateescape") for word in words]
        lines = b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        self._stream.write(b"*%d\r\n%s" % (len(parts), lines))
        self._stream.flush()
        line = self._stream.readline(_LONGEST)
        if not line.endswith(b"\r\n"):
            raise OSError("it ended the connection" if not line else "what answers is no Redis")
        kind, rest = line[:1], line[1:-2].decode("utf-8", "replace")
        if kind in (b"+", b":"):
            return rest
        if kind == b"-":
            return f"-{rest}"
        if kind == b"$" and rest.lstrip("-").isdigit() and int(rest) < _LONGEST:
            return "" if int(rest) < 0 else self._stream.read(int(rest) + 2)[:-2].decode("utf-8", "replace")
        raise OSError("what answers is no Redis")


@contextlib.contextmanager
def connected(store: Store) -> Iterator[Connection]:
    """A connection without a login."""
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(socket.create_connection((store.host, store.port), SECONDS))
        if store.tls:
            context = ssl.create_default_context(cafile=store.ca_file or None)
            plain = stack.enter_context(context.wrap_socket(plain, server_hostname=store.host))
        yield Connection(stack.enter_context(plain.makefile("rwb")))


def is_open(store: Store) -> bool:
    """Whether a client without a password is answered."""
    with connected(store) as connection:
        return not connection.ask("EXISTS", _STRANGE).startswith("-")


def examine(store: Store) -> None:
    """Refuse a server that cannot keep sessions, or that others could read and make them on."""
    try:
        if is_open(store):
            raise StoreError(
                f"Redis at {store} answers clients without a password, who can read and make sessions. "
                "Take that away from its user default (ACL SETUSER default off)."
            )
        with connected(store) as connection:
            _log_in(connection, store)
    except (OSError, ValueError) as problem:  # of TLS as well
        raise StoreError(f"Redis at {store} does not answer: {problem}. Correct its address, or start it.") from problem


def _log_in(connection: Connection, store: Store) -> None:
    answer = connection.ask("AUTH", store.user, store.password)
    if answer != "OK":
        raise StoreError(
            f"Redis at {store} rejects user {store.user}: {answer[1:100]}. Correct chamilo_sessions_redis_user and "
            "chamilo_sessions_redis_password."
        )
    key, value = f"{store.prefix}chamilo-hardening-{secrets.token_hex(8)}", secrets.token_hex(8)
    for words, desired in ((("SETEX", key, "60", value), "OK"), (("GET", key), value), (("DEL", key), "1")):
        answer = connection.ask(*words)
        if answer != desired:
            why = answer[1:] if answer.startswith("-") else "it answers something else"
            raise StoreError(
                f"User {store.user} of Redis at {store} cannot use keys of {store.prefix}*: {words[0]}: {why}. "
                f"Permit it (ACL SETUSER {store.user} ~{store.prefix}* +get +set +setex +expire +del +eval +evalsha)."
            )
    if not connection.ask("GET", _STRANGE).startswith("-"):
        raise StoreError(
            f"User {store.user} of Redis at {store} can use keys of others. Permit those of the portal alone (ACL "
            f"SETUSER {store.user} resetkeys ~{store.prefix}*)."
        )
