# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What waits for a review."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import marks


@pytest.mark.parametrize(
    ("path", "mode", "owner", "group", "mark"),
    [
        ("a.php", 0o100600, 0, 0, "quarantined"),
        ("a.php", 0o100600, 0, 33, ""),
        ("a.php", 0o100600, 33, 0, ""),
        ("a.php.quarantined", 0o100200, 0, 0, "quarantined"),
        ("a.php", 0o100200, 0, 0, ""),
        ("a.php", 0o100240, 0, 33, "doubtful"),
        ("a.php", 0o100240, 33, 33, ""),
        ("a.php", 0o100640, 0, 33, ""),
        ("a.php", 0o104240, 0, 33, ""),
    ],
)
def test_what_waits_for_a_review_is_known_by_owner_and_mode(path, mode, owner, group, mark):
    assert marks.waits(path, SimpleNamespace(st_mode=mode, st_uid=owner, st_gid=group)) == mark
