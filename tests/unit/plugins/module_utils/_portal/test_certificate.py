# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ansible_collections.chamilo.hardening.plugins.module_utils._portal import certificate as portal_certificate
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.certificate import complaint

FILE, KEY = "chamilo_https_certificate_file", "chamilo_https_certificate_key_file"


class Maker:
    """Writes pairs of certificate and key into a directory."""

    def __init__(self, directory):
        self.directory = directory
        self.authority_key = ec.generate_private_key(ec.SECP256R1())
        self.authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Example CA")])

    def pair(self, *names, days=(-1, 30), password=None):
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.timezone.utc)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]))
            .issuer_name(self.authority_name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days[0]))
            .not_valid_after(now + datetime.timedelta(days[1]))
            .add_extension(x509.SubjectAlternativeName(map(x509.DNSName, names)), critical=False)
            .sign(self.authority_key, hashes.SHA256())
        )
        encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        return self.write(certificate.public_bytes(serialization.Encoding.PEM)), self.write(pem)

    def write(self, content):
        file = self.directory / f"{len(list(self.directory.iterdir()))}.pem"
        file.write_bytes(content)
        return str(file)


@pytest.fixture
def make(tmp_path):
    return Maker(tmp_path)


@pytest.mark.parametrize("names", [("a.campus.test",), ("other.test", "a.campus.test"), ("*.campus.test",)])
def test_a_pair_for_the_name_is_valid_with_any_issuer(make, names):
    assert complaint(*make.pair(*names), "a.campus.test") == ""


def test_a_pair_for_another_name(make):
    certificate, key = make.pair("other.test")
    output = complaint(certificate, key, "campus.test")
    assert output.startswith(f'{FILE} is "{certificate}", which cannot serve "campus.test": Hostname mismatch')
    assert output.endswith("'campus.test'. Set it to a certificate for that name.")


@pytest.mark.parametrize(
    "days, why", [((-30, -1), "certificate has expired"), ((1, 30), "certificate is not yet valid")]
)
def test_a_pair_out_of_date(make, days, why):
    assert why in complaint(*make.pair("campus.test", days=days), "campus.test")


def test_each_file_that_cannot_serve_is_named(make):
    certificate, key = make.pair("campus.test")
    another, nothing = make.pair("campus.test")[1], make.write(b"hello")
    locked = make.pair("campus.test", password=b"secret")
    for pair, problem in (
        ((certificate, another), f'{KEY} is "{another}", which does not belong to the certificate. '),
        (locked, f'{KEY} is "{locked[1]}", which is not a key in PEM form that a server can read'),
        ((nothing, key), f'{FILE} is "{nothing}", which contains no certificate'),
        ((certificate, nothing), f'{KEY} is "{nothing}", which is not a key'),
        (("/none.pem", key), f'{FILE} is "/none.pem", which cannot be read: No such file or directory. Put the file'),
        ((certificate, "/none.key"), f'{KEY} is "/none.key", which cannot be read'),
        ((certificate, ""), f"{KEY} is empty, but its counterpart is set."),
        (("", key), f"{FILE} is empty, but its counterpart is set."),
    ):
        assert complaint(*pair, "campus.test").startswith(problem)


def test_a_pair_by_which_no_handshake_is_completed_is_refused(make, monkeypatch):
    certificate, key = make.pair("campus.test")
    assert portal_certificate._ROUNDS > 2, "each end takes its turn some times"
    monkeypatch.setattr(portal_certificate, "_ROUNDS", 1)
    refusal = (
        f'{FILE} is "{certificate}", which cannot serve "campus.test": %s. Set it to a certificate clients accept.'
    )
    assert complaint(certificate, key, "campus.test") == refusal % "the handshake does not end"

    def fails(*_ends):
        problem = ssl.SSLError(1, "[SSL: NO_SHARED_CIPHER] no shared cipher (_ssl.c:1)")
        problem.reason = "NO_SHARED_CIPHER"
        raise problem

    monkeypatch.setattr(portal_certificate, "_shake_hands", fails)
    assert complaint(certificate, key, "campus.test") == refusal % "NO_SHARED_CIPHER"
