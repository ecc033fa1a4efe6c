# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of the Internet networks contain that are trusted, or never banned."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

_NOT_ROUTED = (
    *("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"),
    *("fc00::/7", "fe80::/10"),
)
_MAPPED = 0xFFFF << 32  # where IPv6 writes IPv4
_IPV4 = 2**32
# Twice the widest network that one owner has: a /8 of IPv4, a /16 of IPv6.
_MOST = {4: 2**25, 6: 2**113}
_ALL = {4: 2**32, 6: 2**128}


def _spans(texts: Iterable[str]) -> dict[int, list[tuple[int, int]]]:
    found: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
    for text in texts:
        try:
            known = ipaddress.ip_network(text, strict=False)
        except ValueError:
            continue  # a host name, which is one host
        first, last, version = int(known[0]), int(known[-1]), known.version
        if version == 6 and first < _MAPPED + _IPV4 and last >= _MAPPED:
            first, last, version = max(first - _MAPPED, 0), min(last - _MAPPED, _IPV4 - 1), 4
        found[version].append((first, last))
    return found


def much_of_the_internet(texts: Iterable[str]) -> str:
    """The share of all addresses that these contain together, where no site has so many; else an empty text."""
    ignored = _spans(_NOT_ROUTED)
    for version, spans in _spans(texts).items():
        total, end = 0, -1
        for first, last in sorted(spans):
            if any(start <= first and last <= stop for start, stop in ignored[version]):
                continue
            total += max(last - max(first, end + 1) + 1, 0)
            end = max(end, last)
        if total >= _MOST[version]:
            return f"{total / _ALL[version]:.2%} of all IPv{version} addresses"
    return ""
