# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""What a POSIX ACL gives that the mode of its file does not show, as the kernel writes it (linux/posix_acl_xattr.h)."""

from __future__ import annotations

import os
import struct
from collections.abc import Collection, Iterator

ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
BOTH = (DEFAULT, ACCESS)
_USER, _GROUP_OF_FILE, _GROUP, _MASK, _OTHERS = 0x02, 0x04, 0x08, 0x10, 0x20
_HEADER = 4  # bytes: the version


def _entries(value: bytes) -> Iterator[tuple[int, int, int]]:
    """Kind, rights, and the number of the user or group."""
    yield from struct.iter_unpack("<HHI", value[_HEADER:])


def gives_more(value: bytes, mode: int) -> bool:
    """Does it give a user, a group or all others more than this mode does, now or when a later ``chmod`` lets it?"""
    allowed = {_USER: mode, _GROUP: mode, _OTHERS: mode, _GROUP_OF_FILE: mode >> 3}
    return any(rights & ~allowed.get(kind, 7) & 7 for kind, rights, _number in _entries(value))


def lets(handle: int, user: int, groups: Collection[int]) -> bool:
    """Does the ACL of an open file let this user write?"""
    try:
        value = os.getxattr(handle, ACCESS)
    except OSError:  # it has none
        return False
    mask = next((rights for kind, rights, _number in _entries(value) if kind == _MASK), 7)
    return any(
        rights & mask & 2 and ((kind == _USER and number == user) or (kind == _GROUP and number in groups))
        for kind, rights, number in _entries(value)
    )
