# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An attack on the database from another host."""

from __future__ import annotations

import contextlib
import socket

from .._common.control import Finding, attack, failed, passed
from ._attacker import Target

_PORT = 3306
_SECONDS = 5


@attack("database_bind")
def reach(target: Target) -> Finding:
    if target.proxied and not target.address:
        raise OSError(
            f"{target.domain} leads to a proxy, and port {_PORT} of it proves nothing. Where the host speaks https "
            "itself, set chamilo_prove_address to the host's own address; where TLS ends at the proxy, see yourself "
            f"that the host's port {_PORT} does not answer from here, and waive database_bind for this run"
        )
    where = target.address or target.domain
    connection: socket.socket | None = None
    held: OSError | None = None
    away = OSError(f"{where} has no address")
    # Each address for itself: this host may have no way to one of them.
    for address in dict.fromkeys(str(entry[4][0]) for entry in socket.getaddrinfo(where, _PORT)):
        try:
            connection = socket.create_connection((address, _PORT), _SECONDS)
            break
        except (ConnectionRefusedError, socket.timeout, TimeoutError) as problem:
            held = problem
        except OSError as problem:  # such as a network that is not reached: the port was not tried
            away = problem
    if connection is None:
        if held is None:
            raise away
        return passed(f"Port {_PORT} of {where} does not answer ({held.strerror or held}).")
    with connection:
        connection.settimeout(_SECONDS)
        if connection.getpeername()[0] == connection.getsockname()[0]:
            raise OSError("this is the host itself, so it cannot be tried from another one here")
        greeting = b""
        with contextlib.suppress(OSError):  # a process listens and sends nothing
            greeting = connection.recv(256)
    # 4 bytes of length and number, then 0xff and the number of an error, or 10 and a version.
    if greeting[4:5] == b"\xff":
        return passed(f"The database on {where} does not speak with this host.")
    if greeting[4:5] == b"\n":
        version = greeting[5:].partition(b"\0")[0].decode("ascii", "replace")
        return failed(f"From here, {where}:{_PORT} offers a login to its database ({version}).")
    return failed(f"From here, something answers on {where}:{_PORT}.")
