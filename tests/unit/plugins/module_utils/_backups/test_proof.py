# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fingerprint shows whether two keys are the same, and nothing else of them."""

from __future__ import annotations

from ansible_collections.chamilo.hardening.plugins.module_utils._backups.proof import fingerprint


def test_the_same_key_has_the_same_fingerprint_with_the_same_salt_alone() -> None:
    assert fingerprint("canary\n", "f0") == fingerprint("canary", "f0")
    assert len({fingerprint("canary", "f0"), fingerprint("canary", "f1"), fingerprint("other", "f0")}) == 3
    assert "canary" not in fingerprint("canary", "f0")
