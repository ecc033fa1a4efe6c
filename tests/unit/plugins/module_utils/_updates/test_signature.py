# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures as minisign makes them, and what is no such signature."""

from __future__ import annotations

import base64

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._updates import signature
from tests.minisign import Signer


@pytest.fixture
def package(tmp_path):
    path = tmp_path / "chamilo-3.0.2.zip"
    path.write_bytes(b"PK" * 5000)
    return path


def refused(package, signer, words):
    with pytest.raises(signature.SignatureError) as problem:
        signature.verify(str(package), f"{package}.minisig", signer.public)
    assert words in str(problem.value)


def test_what_is_signed_is_proved_with_its_comment(package):
    signer = Signer()
    signer.sign(package, "timestamp:1793700000\tfile:chamilo-3.0.2.zip")
    comment = signature.verify(str(package), f"{package}.minisig", signer.public)
    assert comment == "timestamp:1793700000\tfile:chamilo-3.0.2.zip"


def test_a_changed_package_is_refused(package):
    signer = Signer()
    signer.sign(package)
    package.write_bytes(package.read_bytes() + b"x")
    refused(package, signer, "does not fit")


def test_a_changed_comment_is_refused(package):
    signer = Signer()
    signer.sign(package, "file:chamilo-3.0.2.zip")
    beside = package.with_name(f"{package.name}.minisig")
    beside.write_text(beside.read_text().replace("3.0.2", "3.0.9"))
    refused(package, signer, "does not fit")


def test_another_key_is_refused_and_named(package):
    Signer().sign(package)
    refused(package, Signer(), "is the trusted one")


def test_another_key_with_the_same_number_is_refused(package):
    signer = Signer()
    Signer(signer.number).sign(package)
    refused(package, signer, "does not fit")


@pytest.mark.parametrize("text", ["", "hello", "untrusted comment: x\n!!!\ntrusted comment: y\nAAAA\n", "\0" * 9000])
def test_no_signature_is_none(package, text):
    package.with_name(f"{package.name}.minisig").write_text(text)
    refused(package, Signer(), "is no signature of minisign")


def test_one_of_another_kind_is_none(package):
    """The form that signs a file whole, which minisign no longer makes."""
    signer = Signer()
    signer.sign(package)
    beside = package.with_name(f"{package.name}.minisig")
    lines = beside.read_text().split("\n")
    lines[1] = base64.b64encode(b"Ed" + base64.b64decode(lines[1])[2:]).decode()
    beside.write_text("\n".join(lines))
    refused(package, signer, "is no signature of minisign")


def test_a_file_that_is_not_there(package):
    refused(package, Signer(), "cannot be read")


@pytest.mark.parametrize(
    "key", ["", "RW", "untrusted comment: minisign public key", base64.b64encode(b"x" * 42).decode()]
)
def test_no_key(package, key):
    with pytest.raises(signature.SignatureError, match="no public key of minisign"):
        signature.verify(str(package), f"{package}.minisig", key)


def test_the_official_key_has_the_number_that_is_published():
    assert base64.b64decode(signature.OFFICIAL)[2:10][::-1].hex().upper() == "A158EB4EFF622FB3"


def test_without_openssl_nothing_is_verified(package, monkeypatch):
    signer = Signer()
    signer.sign(package)
    monkeypatch.setenv("PATH", str(package.parent))
    refused(package, signer, "Signatures are verified with openssl, which is not installed. Install it.")


def test_another_key_is_named_as_minisign_names_it(package):
    """Its number, the last byte first."""
    Signer(bytes(range(1, 9))).sign(package)
    words = "is signed with the key 0807060504030201, and 1817161514131211 is the trusted one."
    refused(package, Signer(bytes(range(0x11, 0x19))), words)
