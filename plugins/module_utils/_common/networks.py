# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses and networks."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterable


def normal(address: str) -> str:
    """An address in its usual form, IPv4 out of IPv6; empty when it is none."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)


def within(address: str, networks: Iterable[str]) -> bool:
    """Whether an address or a network lies in one of the networks. A host name lies in none."""
    networks = list(networks)
    try:
        inner = ipaddress.ip_network(address, strict=False)
    except ValueError:
        return address in networks
    for text in networks:
        with contextlib.suppress(ValueError):
            outer = ipaddress.ip_network(text, strict=False)
            if outer.version == inner.version and int(outer[0]) <= int(inner[0]) and int(inner[-1]) <= int(outer[-1]):
                return True
    return False


def counted(address: str) -> str:
    """What is counted, banned and spared for an address: of IPv6 the /64, of which one client has all."""
    text = normal(address)
    if ":" not in text or ipaddress.ip_address(text).is_loopback:
        return text
    return str(ipaddress.ip_network(f"{text}/64", strict=False))
