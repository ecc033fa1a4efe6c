# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization

from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.certificate import complaint
from tests.testbed import authority

FILE, KEY = "chamilo_https_certificate_file", "chamilo_https_certificate_key_file"


class Maker:
    """Writes pairs of certificate and key into a directory."""

    def __init__(self, directory):
        self.directory = directory

    def pair(self, *names, days=30, password=None):
        certificate, key = authority.issue(*names, days=days)
        if password:
            loaded = serialization.load_pem_private_key(key.encode(), None)
            how = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
            key = loaded.private_bytes(*how, serialization.BestAvailableEncryption(password)).decode()
        return self.write(certificate), self.write(key)

    def write(self, content):
        file = self.directory / f"{len(list(self.directory.iterdir()))}.pem"
        file.write_text(content)
        return str(file)


@pytest.fixture
def make(tmp_path):
    return Maker(tmp_path)


@pytest.mark.parametrize("names", [("a.campus.test",), ("other.test", "a.campus.test"), ("*.campus.test",)])
def test_a_pair_for_the_name_is_valid_with_any_issuer(make, names):
    assert complaint(*make.pair(*names), "a.campus.test") == ""


def test_a_pair_for_another_name_or_out_of_date(make):
    for names, days, why in ((["other.test"], 30, "it is for other.test. Set"), (["campus.test"], -1, "out of date")):
        certificate, key = make.pair(*names, days=days)
        output = complaint(certificate, key, "campus.test")
        assert output.startswith(f'{FILE} is "{certificate}", which cannot serve "campus.test": ') and why in output


def test_each_file_that_cannot_serve_is_named(make):
    certificate, key = make.pair("campus.test")
    another, nothing = make.pair("campus.test")[1], make.write("hello")
    locked = make.pair("campus.test", password=b"secret")
    for pair, problem in (
        ((certificate, another), f'{KEY} is "{another}", which does not belong to the certificate. '),
        (locked, f'{KEY} is "{locked[1]}", which is not a key in PEM form that a server can read'),
        ((nothing, key), f'{FILE} is "{nothing}", which contains no certificate'),
        ((certificate, nothing), f'{KEY} is "{nothing}", which is not a key'),
        (("/none.pem", key), f'{FILE} is "/none.pem", which cannot be read: No such file or directory. Put the file'),
        ((certificate, ""), f"{KEY} is empty, but its counterpart is set."),
        (("", key), f"{FILE} is empty, but its counterpart is set."),
    ):
        assert complaint(*pair, "campus.test").startswith(problem)
