# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.chamilo.hardening.plugins.module_utils._common.sentences import first_of


def test_of_many_the_first_are_named() -> None:
    assert first_of("") == ""
    assert first_of("abcde") == "a, b, c, d, e"
    assert first_of("abcdefg") == "a, b, c, d, e and 2 more"
    assert first_of(iter("abc"), 2, "; ") == "a; b; and 1 more"
