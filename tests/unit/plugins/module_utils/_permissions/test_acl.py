# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an ACL gives beside the mode. What it says is written as the kernel has it."""

from __future__ import annotations

import os
import struct

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import acl

OWNER, USER, OF_FILE, GROUP, MASK, OTHERS = 1, 2, 4, 8, 16, 32
NOBODY = 0xFFFFFFFF


def made(*entries):
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


BASE = ((OWNER, 7, NOBODY), (OF_FILE, 5, NOBODY), (OTHERS, 5, NOBODY))


@pytest.mark.parametrize(
    ("entries", "mode", "more"),
    [
        (BASE, 0o755, False),
        (BASE, 0o750, True),
        (((USER, 5, 33),), 0o755, False),
        (((USER, 7, 33),), 0o755, True),
        (((USER, 7, 33), (MASK, 5, NOBODY)), 0o755, True),  # a chmod would let it
        (((USER, 4, 1),), 0o640, True),
        (((GROUP, 2, 33),), 0o755, True),
        (((GROUP, 5, 33),), 0o755, False),
        (((OF_FILE, 7, NOBODY),), 0o755, True),
        (((OF_FILE, 4, NOBODY),), 0o640, False),
        (((OTHERS, 7, NOBODY),), 0o755, True),
        (((OWNER, 7, NOBODY),), 0o000, False),
    ],
)
def test_what_gives_more_than_a_mode(entries, mode, more):
    assert acl.gives_more(made(*entries), mode) is more


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
def test_whom_an_acl_lets_write(tmp_path, kind, rights, number, mask, lets):
    path = tmp_path / "x"
    path.write_text("")
    handle = os.open(path, os.O_RDONLY)
    assert not acl.lets(handle, 33, {5}), "it has none"
    entries = ((OWNER, 6, NOBODY), (kind, rights, number), (OF_FILE, 4, NOBODY), (MASK, mask, NOBODY))
    entries = sorted((*entries, (OTHERS, 4, NOBODY)))
    os.setxattr(path, acl.ACCESS, made(*entries))
    assert acl.lets(handle, 33, {5}) is lets
    os.close(handle)
