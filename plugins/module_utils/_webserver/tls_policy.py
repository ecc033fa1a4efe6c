# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The TLS protocols and ciphers for virtual hosts with their owner's own https."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .configuration import Directive, every

_PROTOCOLS = ("TLSv1.2", "TLSv1.3")
# Mozilla's intermediate profile, version 5.7, of which our own lines have the first six.
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

APACHE = {
    "sslprotocol": f"SSLProtocol -all {' '.join(f'+{one}' for one in _PROTOCOLS)}",
    "sslciphersuite": f"SSLCipherSuite {':'.join(_CIPHERS[:6])}",
}


def closing(level: Sequence[Directive], around: Sequence[Directive]) -> tuple[str, ...]:
    """Apache: the lines that a VirtualHost is to end with. Of several the last one counts."""
    lines = []
    for name, line in APACHE.items():
        messages = [item.arguments for item in (*every(around, name), *every(level, name))]
        # Those of TLS 1.3 are all good.
        messages = [words for words in messages if not (name == "sslciphersuite" and words[:1] == ("TLSv1.3",))]
        if not messages or not (_protocols(messages[-1]) if name == "sslprotocol" else _ciphers(messages[-1])):
            lines.append(line)
    return tuple(lines)


def _protocols(words: Sequence[str]) -> bool:
    """Whether a line of Apache leaves no old protocol."""
    left: set[str] = set()
    for word in " ".join(words).lower().split():
        name = word.lstrip("+-")
        meant = {"sslv3", "tlsv1", "tlsv1.1", "tlsv1.2", "tlsv1.3"} if name == "all" else {name}
        left = left - meant if word.startswith("-") else left | meant if word.startswith("+") else meant
    return left <= {one.lower() for one in _PROTOCOLS}


def lacking(level: Sequence[Directive], around: Iterable[Directive]) -> dict[str, list[Directive]]:
    """Which lines are to be added, each with what it takes the place of. ``around``: the lines for all of http."""
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
    return _ciphers(item.arguments)


def _ciphers(arguments: Sequence[str]) -> bool:
    words = ":".join(word for word in arguments if word != "SSL").split(":")
    return {word for word in words if word[:1] not in ("!", "-")} <= {*_CIPHERS}
