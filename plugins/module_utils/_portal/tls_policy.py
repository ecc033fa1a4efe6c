# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""What server blocks of nginx that speak https as their owner says are to say of protocols and ciphers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Directive, every

_PROTOCOLS = ("TLSv1.2", "TLSv1.3")
# Mozilla's intermediate profile, version 5.7: the role https has the first six in files of its own.
_CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "DHE-RSA-AES128-GCM-SHA256",
    "DHE-RSA-AES256-GCM-SHA384",
    "DHE-RSA-CHACHA20-POLY1305",
)
LINES = {
    "ssl_protocols": f"ssl_protocols {' '.join(_PROTOCOLS)};",
    "ssl_ciphers": f"ssl_ciphers {':'.join(_CIPHERS[:6])};",
}


def lacking(level: Sequence[Directive], around: Iterable[Directive]) -> dict[str, list[Directive]]:
    """Which lines are to be added, each with what it takes the place of. ``around``: what holds for all of http."""
    around = tuple(around)
    found: dict[str, list[Directive]] = {}
    for name in LINES:
        own = list(every(level, name))
        if not any(map(_is_good, own or every(around, name))):
            found[name] = own
    return found


def _is_good(item: Directive) -> bool:
    if item.name == "ssl_protocols":
        return {*item.arguments} <= {*_PROTOCOLS}
    words = [word for word in ":".join(item.arguments).split(":") if word[:1] not in ("!", "-")]
    return {*words} <= {*_CIPHERS}
