# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields of a certificate: serial, dates, key, signature. Trust is decided by a TLS handshake."""

from __future__ import annotations

import base64
import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .errors import HardeningError

_KEYS = {"1.2.840.113549.1.1.1": "RSA", "1.2.840.10045.2.1": "EC", "1.3.101.112": "Ed25519", "1.3.101.113": "Ed448"}
_CURVES = {"1.2.840.10045.3.1.7": 256, "1.3.132.0.34": 384, "1.3.132.0.35": 521}
_VERSION = 0xA0  # an optional field before the others
_EXTENSIONS, _DNS_NAME = 0xA3, 0x82
_ALTERNATIVE_NAMES = "2.5.29.17"
_WEAK_SIGNATURES = {
    "1.2.840.113549.1.1.2": "MD2",
    "1.2.840.113549.1.1.4": "MD5",
    "1.2.840.113549.1.1.5": "SHA-1",
    "1.2.840.10045.4.1": "SHA-1",
}


class CertificateError(HardeningError):
    """These bytes are no certificate."""


@dataclass(frozen=True)
class Certificate:
    """One certificate. ``bits`` is 0 for a key whose size is part of its name, or unknown."""

    serial: str
    not_before: float
    not_after: float
    key: str
    bits: int
    weak_signature: str  # MD5 or SHA-1; empty when the signature is none of the broken ones
    self_issued: bool
    names: tuple[str, ...] = ()  # the DNS names it is for, in lower case

    def covers(self, domain: str) -> bool:
        """Whether clients take it for this name. A wildcard stands for one label."""
        wild = f"*.{domain.partition('.')[2]}"
        return domain.lower() in self.names or wild.lower() in self.names

    @property
    def strong(self) -> bool:
        enough = {"RSA": 2048, "EC": 256}.get(self.key, 0)
        return self.key in _KEYS.values() and self.bits >= enough and not self.weak_signature

    @property
    def described(self) -> str:
        return f"{self.key} {self.bits}" if self.bits else self.key


def parse(der: bytes) -> Certificate:
    """Read a certificate in DER (RFC 5280, 4.1)."""
    try:
        (body,) = _contents(der)
        tbs, signature, _signed = _contents(body)
        fields = [value for tag, value in _values(tbs) if tag != _VERSION]
        serial, _algorithm, issuer, validity, subject, public = fields[:6]
        not_before, not_after = map(_time, _contents(validity))
        algorithm, bits = _contents(public)
        parts = _contents(algorithm)
        key = _oid(parts[0])
        return Certificate(
            serial=serial.hex().lstrip("0") or "0",
            not_before=not_before,
            not_after=not_after,
            key=_KEYS.get(key, key),
            bits=_size(_KEYS.get(key, ""), parts, bits[1:]),
            weak_signature=_WEAK_SIGNATURES.get(_oid(_contents(signature)[0]), ""),
            self_issued=issuer == subject,
            names=_names(tbs),
        )
    except (ValueError, IndexError) as problem:
        raise CertificateError(f"no certificate that could be read: {problem or 'it ends too early'}") from problem


def first_of(pem: str) -> Certificate:
    """The first certificate of a PEM file: that of the site itself."""
    found = re.search(r"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", pem, re.DOTALL)
    if not found:
        raise CertificateError("no certificate in the file")
    try:
        return parse(base64.b64decode(found[1]))
    except ValueError as problem:
        raise CertificateError("no certificate in the file") from problem


def _values(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each value in a sequence of DER."""
    position = 0
    while position < len(data):
        tag, length = data[position], data[position + 1]
        position += 2
        if length & 0x80:
            width = length & 0x7F
            length = int.from_bytes(data[position : position + width], "big")
            position += width
        if position + length > len(data):
            raise ValueError("it ends too early")
        yield tag, data[position : position + length]
        position += length


def _contents(data: bytes) -> list[bytes]:
    return [value for _tag, value in _values(data)]


def _names(tbs: bytes) -> tuple[str, ...]:
    for tag, value in _values(tbs):
        if tag != _EXTENSIONS:
            continue
        for extension in _contents(_contents(value)[0]):
            parts = _contents(extension)
            if _oid(parts[0]) == _ALTERNATIVE_NAMES:
                names = _values(_contents(parts[-1])[0])
                return tuple(name.decode("ascii").lower() for tag, name in names if tag == _DNS_NAME)
    return ()


def _oid(data: bytes) -> str:
    numbers, current = [data[0] // 40, data[0] % 40], 0
    for byte in data[1:]:
        current = current << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(current)
            current = 0
    return ".".join(map(str, numbers))


def _time(data: bytes) -> float:
    text = data.decode("ascii")
    if len(text) == 13:  # UTCTime has two digits for the year
        text = ("19" if text >= "50" else "20") + text
    moment = datetime.datetime.strptime(text, "%Y%m%d%H%M%SZ")
    return moment.replace(tzinfo=datetime.timezone.utc).timestamp()


def _size(key: str, algorithm: list[bytes], public: bytes) -> int:
    if key == "RSA":
        modulus = _contents(_contents(public)[0])[0]
        return int.from_bytes(modulus, "big").bit_length()
    if key == "EC":
        return _CURVES.get(_oid(algorithm[1]), 0)
    return 0
