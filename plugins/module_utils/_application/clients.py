# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where clients of the database are, and which accounts let them in."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Collection
from typing import Any

LOCAL = ("", "localhost", "127.0.0.1", "::1")


def is_local(host: str, own: Collection[str] = ()) -> bool:
    """Is a client (as the list of processes shows it, with a port) on this host."""
    name = host if host == "localhost" or ":" not in host else host.rpartition(":")[0]
    return name in LOCAL or name in own


def addresses(host: str) -> set[str]:
    """The addresses a client connects to for this host. Empty for a socket, and for a name that leads nowhere."""
    if host in ("", "localhost"):
        return set()
    try:
        return {str(entry[4][0]).partition("%")[0] for entry in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):  # no name of the DNS, or no server to ask
        return set()


def is_among(host: str, networks: Collection[Any]) -> bool:
    """Is a client in one of the networks. The server shows a name where the address has one."""
    name = host.rpartition(":")[0]
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(name, None)}
    except OSError:
        return False
    return any(ipaddress.ip_address(address.partition("%")[0]) in net for address in found for net in networks)


def may_come(client: str, host: str) -> bool:
    """May a client, an address or a network, log in by an account at a host (a pattern, as the server has it)?

    It may where that is not known: by a pattern of names, or a name that leads nowhere now.
    """
    if host == "localhost":
        return False
    network = ipaddress.ip_network(client, strict=False)
    fixed = re.split("[%_]", host)[0]
    numbers = fixed.split(".")[:-1]  # those that are whole
    try:
        if fixed == host:
            places = [ipaddress.ip_network(host, strict=False)]
        elif numbers:
            places = [ipaddress.ip_network(f"{'.'.join([*numbers, '0', '0', '0'][:4])}/{8 * len(numbers)}")]
        else:
            return True
    except ValueError:  # names
        places = [ipaddress.ip_network(each) for each in addresses(host)] if fixed == host else []
    return not places or any(place.version == network.version and place.overlaps(network) for place in places)
