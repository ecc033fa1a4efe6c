# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that an attacker tries first."""

from __future__ import annotations

import hashlib
import random

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._portal import known_secrets
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.known_secrets import fault


@pytest.mark.parametrize(
    "value",
    [
        "141af65f23c7935a37b504c422f113b0",  # Chamilo's
        "2ca64f8d83b9e89f5f19d672841d6bb8",  # symfony/demo's
        "67d829bf61dc5f87a73fd814e2c9f629",
        "ThisTokenIsNotSoSecretChangeIt",
        "ThisEzPlatformTokenIsNotSoSecret_PleaseChangeIt",
        "ThisIsNotSecret",
        "$ecretf0rt3st",
        "!ChangeMe!",
        "your_secret_passphrase",
        "klasjdfklajsdfkajsédfkjiewoji",
        hashlib.md5(b"secret").hexdigest(),
        hashlib.sha256(b"changeme").hexdigest(),
    ],
)
def test_published_values(value):
    assert fault(value) == "is published"


@pytest.mark.parametrize(
    "value, why",
    [
        ("", "is empty"),
        ("%env(SOME_SECRET)%", "is a placeholder"),
        ("${SECRET_OF_THE_APPLICATION}", "is a placeholder"),
        ("<put 32 random characters here>", "is a placeholder"),
        ("x", "fewer than 16 characters"),
        ("campus-Schule-9", "fewer than 16 characters"),
        ("please-change-me-to-something-secret", "fewer than 16 characters"),
        ("My-Super-Secret-Chamilo-Key-2024", "fewer than 16 characters"),
        ("a" * 64, "fewer than 16 characters"),
        ("deadbeef" * 8, "fewer than 16 characters"),
        ("0" * 63 + "1", "fewer than 8 different"),
        ("abababcabababdabababe", "fewer than 8 different"),
        ("0123456789abcdef" * 2, "in sequence"),
        ("abcdefghijklmnopqrstuvwxyz", "in sequence"),
        ("zyxwvutsrqponmlkjihgfedcba", "in sequence"),
    ],
)
def test_values_that_are_not_random(value, why):
    assert why in fault(value) and (not value or value not in fault(value))


def test_random_values_are_good():
    source = random.Random(11)
    for length in (16, 24, 32, 64):
        for _number in range(2000):
            assert fault(source.randbytes(length).hex()) == ""


@pytest.mark.parametrize("value", ["correct horse battery staple", "canary-apple-5f71c2", "chamilo-8f2c61d09b7e43aa"])
def test_values_of_the_administrator_s_own(value):
    assert fault(value) == ""


def test_the_list_contains_checksums_alone():
    assert len(known_secrets._PUBLISHED) > 200
    assert all(len(one) == 64 and int(one, 16) >= 0 for one in known_secrets._PUBLISHED)
