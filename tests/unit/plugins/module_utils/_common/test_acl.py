# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an ACL grants beside the mode. ACLs are written in the kernel's format."""

from __future__ import annotations

import os
import struct

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import acl
from ansible_collections.chamilo.hardening.plugins.module_utils._common.acl import (
    GROUP,
    GROUP_OF_FILE,
    MASK,
    OTHERS,
    OWNER,
    USER,
    Acl,
)

NOBODY = 0xFFFFFFFF
BASE = ((OWNER, 7, NOBODY), (GROUP_OF_FILE, 5, NOBODY), (OTHERS, 5, NOBODY))


def packed(entries):
    """The value of an extended attribute with these entries, as the kernel has it."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def test_what_the_kernel_writes_is_read(tmp_path):
    path = tmp_path / "x"
    path.write_text("")
    given = "01000600ffffffff 0200060021000000 04000400ffffffff 10000600ffffffff 20000400ffffffff"
    value = bytes.fromhex(f"02000000 {given}")
    os.setxattr(path, "system.posix_acl_access", value)
    entries = ((OWNER, 6, NOBODY), (USER, 6, 33), (GROUP_OF_FILE, 4, NOBODY), (MASK, 6, NOBODY), (OTHERS, 4, NOBODY))
    assert acl.access(str(path)) == Acl(entries) and packed(entries) == value
    handle = os.open(path, os.O_RDONLY)
    assert acl.access(handle) == Acl(entries)
    os.close(handle)
    (tmp_path / "link").symlink_to("x")
    assert acl.access(str(tmp_path / "link")) is None


def test_what_a_directory_passes_on(tmp_path):
    os.setxattr(tmp_path, acl.DEFAULT, packed(BASE))
    assert acl.access(str(tmp_path)) is None
    given = acl.inherited(str(tmp_path))
    assert given == Acl(BASE) and given.others == 5


@pytest.mark.parametrize(
    ("entries", "mode", "now", "later"),
    [
        (BASE, 0o755, False, False),
        (BASE, 0o750, True, True),
        (((USER, 5, 33),), 0o755, False, False),
        (((USER, 7, 33),), 0o755, True, True),
        (((USER, 7, 33), (MASK, 5, NOBODY)), 0o755, False, True),  # a chmod would let it
        (((USER, 4, 1),), 0o640, True, True),
        (((GROUP, 2, 33),), 0o755, True, True),
        (((GROUP, 5, 33),), 0o755, False, False),
        (((GROUP_OF_FILE, 7, NOBODY),), 0o755, True, True),
        (((GROUP_OF_FILE, 7, NOBODY), (MASK, 5, NOBODY)), 0o755, False, True),
        (((GROUP_OF_FILE, 4, NOBODY),), 0o640, False, False),
        (((OTHERS, 7, NOBODY),), 0o755, True, True),
        (((OTHERS, 7, NOBODY), (MASK, 0, NOBODY)), 0o755, True, True),
        (((OWNER, 7, NOBODY),), 0o000, False, False),
    ],
)
def test_what_gives_more_than_a_mode(entries, mode, now, later):
    assert (Acl(entries).exceeds(mode), Acl(entries).could_exceed(mode)) == (now, later)


@pytest.mark.parametrize(
    ("kind", "rights", "number", "mask", "lets"),
    [
        (USER, 6, 33, 7, True),
        (USER, 6, 33, 4, False),
        (USER, 6, 34, 7, False),
        (USER, 4, 33, 7, False),
        (GROUP, 6, 5, 7, True),
        (GROUP, 6, 33, 7, False),
    ],
)
def test_whom_an_acl_lets_write(kind, rights, number, mask, lets):
    given = Acl(((OWNER, 6, NOBODY), (kind, rights, number), (GROUP_OF_FILE, 4, NOBODY), (MASK, mask, NOBODY)))
    assert given.writable_by(33, {5}) is lets


def test_of_what_has_gone_there_is_none_and_what_cannot_be_read_is_raised(tmp_path, monkeypatch):
    assert acl.access(str(tmp_path / "x")) is None

    def refuse(_path, _name, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "getxattr", refuse)
    with pytest.raises(PermissionError):
        acl.access(str(tmp_path))


def let_write(path, user):
    """Root's file, which an ACL lets a user write."""
    os.chown(path, 0, 0)
    os.chmod(path, 0o755 if os.path.isdir(path) else 0o644)
    entries = ((OWNER, 6, NOBODY), (USER, 7, user), (GROUP_OF_FILE, 5, NOBODY), (MASK, 7, NOBODY), (OTHERS, 5, NOBODY))
    os.setxattr(path, acl.ACCESS, packed(entries))
