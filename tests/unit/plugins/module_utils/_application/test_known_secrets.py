# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that an attacker tries first."""

from __future__ import annotations

import hashlib
import random

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.known_secrets import fault, weakness


@pytest.mark.parametrize(
    "value",
    [
        "141af65f23c7935a37b504c422f113b0",  # Chamilo's
        "2ca64f8d83b9e89f5f19d672841d6bb8",  # symfony/demo's
        "ThisTokenIsNotSoSecretChangeIt",
        "ThisIsNotSecret",
        "!ChangeMe!",
        "changeme",
        "your_secret_passphrase",
        "klasjdfklajsdfkajsédfkjiewoji",
        hashlib.md5(b"secret").hexdigest(),
    ],
)
def test_published_values(value):
    assert fault(value) == "is published"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("%env(SOME_SECRET)%", "words"),
        ("${A_VALUE_OF_THE_APPLICATION}", "words"),
        ("please-change-me-to-something", "words"),
        ("My-Super-Secret-Chamilo-Key-2024", "words"),
        ("campus-Schule-9", "fewer than 16 characters"),
        ("a" * 64, "fewer than 8 different"),
    ],
)
def test_a_value_that_could_be_guessed_is_for_a_person_to_decide(value, why):
    assert fault(value) == "" and why in weakness(value) and value not in weakness(value)


def test_an_empty_value_is_none():
    assert fault("") == "is empty"


@pytest.mark.parametrize("value", ["correct horse battery staple", "canary-apple-5f71c2", "chamilo-8f2c61d09b7e43aa"])
def test_values_of_the_administrator_s_own(value):
    assert fault(value) == weakness(value) == ""


def test_random_values_are_good():
    source = random.Random(11)
    for length in (16, 24, 32, 64):
        for _number in range(500):
            assert fault(value := source.randbytes(length).hex()) == weakness(value) == ""
