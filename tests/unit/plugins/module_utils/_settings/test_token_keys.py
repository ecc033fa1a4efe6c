# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real openssl. What becomes of the files is in test_env_file.py."""

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.files import ABSENT, file_item
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.token_keys import (
    Pair,
    TokenKeyError,
    planned,
    run_openssl,
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


def test_a_new_pair_is_long_enough():
    assert b"(2048 bit)" in text(planned(pair(mode=0o602), OWN, OWN, True, READER).items[1].data)


def test_without_leave_to_make_another_one_the_key_stays():
    plan = planned(pair(mode=0o604), OWN, "another 7b2e, with a door", False, READER)
    assert len(plan.items) == 1 and "mode 0604" in plan.notes[0] and not plan.kept
    assert planned(pair(mode=0o604), OWN, OWN, False, READER).items == ()


def test_a_key_that_openssl_does_not_make_is_not_taken():
    def broken(words, *given):
        return (0, b"no key") if words[0] == "genpkey" else run_openssl(words, *given)

    with pytest.raises(TokenKeyError, match="No new key pair could be made for private.pem: openssl answers 0"):
        planned(pair(mode=0o604, openssl=broken), OWN, OWN, True, READER)


def test_a_plan_shows_no_key():
    assert "PRIVATE" not in repr(planned(pair(mode=0o604), OWN, OWN, True, READER))
