# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ACLs as the kernel gives them. What the audit makes of them: test_tree.py."""

from __future__ import annotations

import os
import struct

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring import acls

NOBODY = 2**32 - 1


def made(*entries):
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def test_what_an_acl_gives_is_bounded_by_its_mask(tmp_path):
    path = tmp_path / "x"
    path.write_text("")
    assert acls.access(str(path)) is acls.inherited(str(path)) is None
    os.setxattr(
        path,
        "system.posix_acl_access",
        made((1, 7, NOBODY), (2, 6, 33), (4, 7, NOBODY), (8, 3, 5), (16, 6, NOBODY), (32, 1, NOBODY)),
    )
    found = acls.access(str(path))
    assert found == acls.Acl({33: 6}, {5: 2}, 6, 1)
    assert found.writable_by(33, ()) and found.writable_by(1, [5]) and not found.writable_by(1, [33])


def test_what_a_directory_passes_on(tmp_path):
    os.setxattr(tmp_path, "system.posix_acl_default", made((1, 7, NOBODY), (4, 5, NOBODY), (32, 5, NOBODY)))
    assert acls.inherited(str(tmp_path)) == acls.Acl(group=5, others=5)


@pytest.mark.parametrize(
    ("acl", "mode", "exceeds"),
    [
        (acls.Acl(group=5, others=5), 0o755, False),
        (acls.Acl(group=7), 0o755, True),
        (acls.Acl(others=1), 0o750, True),
        (acls.Acl({1: 5}), 0o755, False),
        (acls.Acl({1: 4}), 0o640, True),
        (acls.Acl({}, {1: 2}), 0o755, True),
    ],
)
def test_what_exceeds_a_mode(acl, mode, exceeds):
    assert acl.exceeds(mode) is exceeds


def test_of_what_has_gone_there_is_none_and_what_cannot_be_read_is_raised(tmp_path, monkeypatch):
    assert acls.access(str(tmp_path / "x")) is None

    def refuse(_path, _name, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "getxattr", refuse)
    with pytest.raises(PermissionError):
        acls.access(str(tmp_path))
