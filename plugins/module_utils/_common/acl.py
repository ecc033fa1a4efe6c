# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a POSIX ACL gives that the mode of its file does not show, as the kernel writes it (linux/posix_acl_xattr.h)."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Collection
from dataclasses import dataclass

ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
BOTH = (DEFAULT, ACCESS)
OWNER, USER, GROUP_OF_FILE, GROUP, MASK, OTHERS = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_ENTRY = struct.Struct("<HHI")  # kind, rights, the number of the user or group
_VERSION = struct.pack("<I", 2)
_NONE = (errno.ENODATA, errno.ENOTSUP, errno.ENOENT, errno.ENOTDIR)  # or its file has gone


@dataclass(frozen=True)
class Acl:
    """The entries of an ACL: kind, rights (as three bits of a mode), and the number of the user or group."""

    entries: tuple[tuple[int, int, int], ...]

    def exceeds(self, mode: int) -> bool:
        """Whether it gives a user, a group or all others more than this mode does."""
        return self._exceeds(mode, self._mask())

    def could_exceed(self, mode: int) -> bool:
        """As ``exceeds``, now or when a later ``chmod`` lets it."""
        return self._exceeds(mode, 7)

    def writable_by(self, user: int, groups: Collection[int]) -> bool:
        """Whether an entry names this user, or one of the groups, and lets it write."""
        mask = self._mask()
        return any(
            rights & mask & 2 and ((kind == USER and number == user) or (kind == GROUP and number in groups))
            for kind, rights, number in self.entries
        )

    @property
    def others(self) -> int:
        """The rights of all others."""
        return next((rights for kind, rights, _number in self.entries if kind == OTHERS), 0)

    def _mask(self) -> int:
        return next((rights for kind, rights, _number in self.entries if kind == MASK), 7)

    def _exceeds(self, mode: int, mask: int) -> bool:
        allowed = {USER: mode, GROUP: mode, OTHERS: mode, GROUP_OF_FILE: mode >> 3}
        return any(
            rights & (7 if kind == OTHERS else mask) & ~allowed[kind] & 7
            for kind, rights, _number in self.entries
            if kind in allowed
        )


def access(where: int | str) -> Acl | None:
    """The ACL of an open file, or of what lies at a path (no link is followed); None where there is none.

    Raises OSError for what cannot be read.
    """
    return _read(where, ACCESS)


def inherited(where: int | str) -> Acl | None:
    """What is made in a directory gets it, whatever the umask is."""
    return _read(where, DEFAULT)


def parse(value: bytes) -> Acl:
    """The value of an extended attribute."""
    return Acl(tuple(_ENTRY.iter_unpack(value[len(_VERSION) :])))


def _read(where: int | str, name: str) -> Acl | None:
    try:
        value = os.getxattr(where, name, follow_symlinks=isinstance(where, int))
    except OSError as problem:
        if problem.errno in _NONE:
            return None
        raise
    return parse(value)
