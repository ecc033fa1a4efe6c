# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._audit._networks import much_of_the_internet
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _forms

WIDE = [
    *(["0.0.0.0/0"], ["::/0"], ["0.0.0.0/1", "128.0.0.0/1"], ["127.0.0.1", "::1", "64.0.0.0/2"], ["2000::/3"]),
    *(["130.0.0.0/8", "131.0.0.0/8"], ["11.0.0.0/8", "20.0.0.0/8"], ["::/1", "8000::/1"], ["::ffff:0:0/96"], ["::/64"]),
]
FINE = [
    *([], ["127.0.0.0/8", "::1", "10.0.0.0/8", "fd00::/8", "fe80::/10", "fc00::/7"], ["11.0.0.0/8", "198.51.100.0/24"]),
    *(["11.0.0.0/8", "11.0.0.0/9", "11.1.0.0/16"], ["2a00::/16"], ["proxy.example", "192.0.2.1"], ["::ffff:10.0.0.1"]),
]


@pytest.mark.parametrize("entries", WIDE, ids=" ".join)
def test_entries_that_cover_much_of_the_internet(entries: list[str]) -> None:
    assert much_of_the_internet(entries) and much_of_the_internet(entries[::-1])


@pytest.mark.parametrize("entries", FINE, ids=" ".join)
def test_networks_of_ones_own_are_fine(entries: list[str]) -> None:
    assert much_of_the_internet(entries) == ""


def test_what_may_be_declared_is_what_the_audit_accepts() -> None:
    """They share no code."""
    assert all(map(_forms.too_wide, WIDE)) and not any(map(_forms.too_wide, FINE))
