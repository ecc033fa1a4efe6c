# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS handshakes with a server, of which nothing is requested."""

from __future__ import annotations

import contextlib
import socket
import ssl
from dataclasses import dataclass

from .http import describe, tls_context

ANY_CIPHER = "ALL:@SECLEVEL=0"


@dataclass(frozen=True)
class Handshake:
    """How a TLS handshake ended. ``error`` is empty when it succeeded; ``certificate`` is the leaf in DER."""

    protocol: str = ""
    cipher: str = ""
    certificate: bytes = b""
    error: str = ""


def only(version: ssl.TLSVersion) -> ssl.SSLContext | None:
    """A client that speaks one version alone, with any cipher and certificate.

    None where this client's OpenSSL cannot begin such a handshake: its failure would prove nothing about the server.
    """
    try:
        # The distribution's OpenSSL would refuse old versions on our side already.
        context = tls_context(verify=False, minimum=version, maximum=version, ciphers=ANY_CIPHER)
        with contextlib.suppress(ssl.SSLWantReadError):  # it waits for the answer
            context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="name.invalid").do_handshake()
    except (ssl.SSLError, ValueError):  # ValueError: built without that version
        return None
    return context


def handshake(
    name: str,
    port: int = 443,
    address: str = "",
    context: ssl.SSLContext | None = None,
    timeout: float = 10.0,
) -> Handshake:
    """Try one TLS handshake, with server name ``name``. Returns how it ended."""
    context = context or tls_context(verify=True)
    try:
        plain = socket.create_connection((address or name, port), timeout)
        with plain, context.wrap_socket(plain, server_hostname=name) as secure:
            cipher = secure.cipher()
            return Handshake(
                protocol=secure.version() or "",
                cipher=cipher[0] if cipher else "",
                certificate=secure.getpeercert(binary_form=True) or b"",
            )
    except (OSError, ValueError) as problem:
        return Handshake(error=describe(problem))
