# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real openssl. What becomes of the files is in test_env_file.py."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import replace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.files import ABSENT, file_item
from ansible_collections.chamilo.hardening.plugins.module_utils._common.openssl import run_openssl
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.token_keys import (
    Pair,
    PairPlan,
    TokenKeyError,
    planned,
    taken,
)

OWN = "6f1c0b7e94d25a83c1f0e7b2a9d46358"
READER = (-1, -1)


def pair(*kind, passphrase=OWN, mode=0o600, **more):
    words = ["genpkey", *(kind or ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"))]
    _code, key = run_openssl([*words, "-aes-256-cbc", "-pass", "@0"], b"", [passphrase])
    return Pair(
        "private.pem", "public.pem", file_item(key, 0, 0, mode), ABSENT, more.pop("openssl", run_openssl), **more
    )


def text(public):
    return run_openssl(["pkey", "-pubin", "-noout", "-text"], public, [])[1]


@pytest.mark.parametrize("curve", ["prime256v1", "secp384r1"])
def test_a_new_pair_is_of_the_same_kind(curve):
    old = pair("-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}", mode=0o604)
    private, public = planned(old, OWN, OWN, True, READER).items
    assert f"ASN1 OID: {curve}".encode() in text(public.data)
    assert (private.mode, public.mode) == (0o600, 0o644)


@pytest.mark.parametrize(("group", "owner"), [(44, 44), (-1, 0)])
def test_a_first_pair_is_for_root_and_its_private_half_for_the_group_of_php(group, owner):
    private, public = replace(pair(), private=ABSENT).laid(b"private", b"public", 33, group)
    assert (private.data, private.uid, private.gid, private.mode) == (b"private", 0, owner, 0o640)
    assert (public.data, public.uid, public.gid, public.mode) == (b"public", 0, owner, 0o644)


@pytest.mark.parametrize(
    ("mode", "group", "private", "public"),
    [
        (0o600, 0o644, (0, 7, 0o600), (0, 7, 0o644)),  # PHP did not read it, and does not now
        (0o640, 0o666, (0, 7, 0o640), (0, 7, 0o644)),
        (0o604, 0o755, (0, 44, 0o640), (0, 7, 0o644)),
        (0o666, 0o600, (0, 44, 0o640), (0, 7, 0o644)),
    ],
)
def test_another_pair_is_readable_for_no_account_that_could_not_read_the_one_before(mode, group, private, public):
    old = replace(pair(), private=file_item(b"x", 0, 7, mode), public=file_item(b"y", 0, 7, group))
    made = [(item.uid, item.gid, item.mode) for item in old.laid(b"private", b"public", 33, 44)]
    assert made == [private, public]


def test_a_new_pair_is_long_enough():
    assert b"(2048 bit)" in text(planned(pair(mode=0o602), OWN, OWN, True, READER).items[1].data)


def test_a_key_that_openssl_does_not_make_is_not_taken():
    def broken(words, *given):
        return (0, b"no key") if words[0] == "genpkey" else run_openssl(words, *given)

    with pytest.raises(TokenKeyError, match="No new key pair could be made for private.pem: openssl answers 0"):
        planned(pair(mode=0o604, openssl=broken), OWN, OWN, True, READER)


def test_a_plan_shows_no_key():
    assert "PRIVATE" not in repr(planned(pair(mode=0o604), OWN, OWN, True, READER))


def certificate(item, passphrase=OWN):
    """What some give the library of the tokens for a public half."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(item.data)
        file.flush()
        words = ["openssl", "req", "-new", "-x509", "-subj", "/CN=campus", "-key", file.name]
        return subprocess.run([*words, "-passin", f"pass:{passphrase}"], capture_output=True, check=True).stdout


def test_a_public_half_may_be_a_certificate():
    mine, other = pair(), pair()
    for half in (certificate(mine.private), b"nothing openssl knows"):
        assert planned(replace(mine, public=file_item(half, 0, 0, 0o644)), OWN, OWN, True, READER) == PairPlan()
    of_another = replace(mine, public=file_item(certificate(other.private), 0, 0, 0o644))
    assert "belongs to another key" in planned(of_another, OWN, OWN, True, READER).consequences[0]


SHARED = "52b9e0d6c8f74a31b6a5d90e17c3f842"


def test_a_public_half_of_another_node_that_does_not_belong_to_its_key_is_made_anew():
    there, other = pair(passphrase=SHARED), pair()
    plan = taken(pair(), there.private.data, other.opened((OWN,))[1], OWN, SHARED, READER)
    assert plan.items[1].data == there.opened((SHARED,))[1]


@pytest.mark.parametrize("passphrase", [SHARED, "", None])
def test_a_key_of_another_node_that_does_not_open_with_the_passphrase_is_refused(passphrase):
    private = pair(passphrase="another").private.data if passphrase != "" else b""
    if passphrase is None:
        _code, private = run_openssl(["pkey", "-passin", "@0"], private, ["another"])
        assert b"ENCRYPTED" not in private
    with pytest.raises(TokenKeyError, match="node that leads the portal .* does not open"):
        taken(pair(), private, b"", OWN, SHARED, READER)
