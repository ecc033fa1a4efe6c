# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import CertificateBuilder, Name, NameAttribute, load_pem_x509_certificate
from cryptography.x509.oid import NameOID

from ansible_collections.chamilo.hardening.plugins.module_utils._common import x509
from tests.testbed import authority

SHA256_RSA, SHA1_RSA = bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105")
NAME = Name([NameAttribute(NameOID.COMMON_NAME, "campus.test")])


def signed(key):
    """A certificate that names nothing but in its common name, signed by its own key."""
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = CertificateBuilder(NAME, NAME, key.public_key(), 7, now, now + datetime.timedelta(days=9))
    return builder.sign(key, hashes.SHA256())


def der(certificate):
    return certificate.public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize(
    ("key", "described"),
    [
        (rsa.generate_private_key(65537, 2048), "RSA 2048"),
        (ec.generate_private_key(ec.SECP384R1()), "EC 384"),
    ],
)
def test_a_certificate_is_read(key, described):
    certificate = signed(key)
    found = x509.parse(der(certificate))
    assert found.described == described
    assert int(found.serial, 16) == certificate.serial_number
    assert found.not_after == certificate.not_valid_after_utc.timestamp()
    assert found.not_before == certificate.not_valid_before_utc.timestamp()
    assert found.strong
    assert found.self_issued


def test_which_names_a_certificate_covers():
    found = x509.first_of(authority.issue("*.campus.test")[0])
    assert found.covers("www.campus.test") and found.covers("WWW.campus.test")
    assert not found.covers("campus.test") and not found.covers("a.b.campus.test")


def test_a_file_without_a_certificate():
    with pytest.raises(x509.CertificateError, match="no certificate in the file"):
        x509.first_of("-----BEGIN PRIVATE KEY-----")


def test_one_that_names_nothing_covers_nothing():
    """Browsers ignore the common name."""
    assert not x509.parse(der(signed(ec.generate_private_key(ec.SECP256R1())))).covers("campus.test")


def test_a_broken_signature_makes_a_strong_key_weak():
    data = der(signed(rsa.generate_private_key(65537, 2048)))
    found = x509.parse(data.replace(SHA256_RSA, SHA1_RSA))
    assert (found.described, found.weak_signature, found.strong) == ("RSA 2048", "SHA-1", False)


def test_whatever_a_server_sends_is_a_certificate_or_none():
    data = der(load_pem_x509_certificate(authority.issue("campus.test")[0].encode()))
    for at in range(len(data)):
        with pytest.raises(x509.CertificateError, match="no certificate that could be read"):
            x509.parse(data[:at])
        for other in (0x00, 0x80, data[at] ^ 0xFF):
            try:
                x509.parse(data[:at] + bytes([other]) + data[at + 1 :])
            except x509.CertificateError:
                continue


def test_the_first_of_a_chain_is_that_of_the_site():
    chain = authority.issue("campus.test")[0]
    assert chain.count("BEGIN CERTIFICATE") == 2
    assert x509.first_of(f"A note.\n{chain}").names == ("campus.test",)


@pytest.mark.parametrize("insider", ["AAA", "\u00e9", "MAMCAQE="])
def test_what_stands_between_the_marks_may_be_nonsense(insider):
    with pytest.raises(x509.CertificateError):
        x509.first_of(f"-----BEGIN CERTIFICATE-----\n{insider}\n-----END CERTIFICATE-----\n")
