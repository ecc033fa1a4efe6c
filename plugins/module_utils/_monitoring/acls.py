# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""What the ACLs of a file give, for whoever audits. What removes them (_permissions/acl.py) reads them by itself."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection
from dataclasses import dataclass, field

_NONE = (errno.ENODATA, errno.ENOTSUP, errno.ENOENT, errno.ENOTDIR)  # or its file has gone


@dataclass(frozen=True)
class Acl:
    """Rights by whom they are given to: as numbers of users and groups, the group of the file, and all others."""

    users: dict[int, int] = field(default_factory=dict)
    groups: dict[int, int] = field(default_factory=dict)
    group: int = 0
    others: int = 0

    def exceeds(self, mode: int) -> bool:
        named = [*self.users.values(), *self.groups.values(), self.others]
        return any(rights & ~(mode & 7) for rights in named) or bool(self.group & ~(mode >> 3 & 7))

    def writable_by(self, user: int, groups: Collection[int]) -> bool:
        given = [self.users.get(user, 0), *(rights for group, rights in self.groups.items() if group in groups)]
        return any(rights & 2 for rights in given)


def access(path: str) -> Acl | None:
    return _read(path, "system.posix_acl_access")


def inherited(path: str) -> Acl | None:
    """What is made in a directory gets it, whatever the umask is."""
    return _read(path, "system.posix_acl_default")


def _read(path: str, name: str) -> Acl | None:
    """None where there is none. What cannot be read is raised."""
    try:
        value = os.getxattr(path, name, follow_symlinks=False)
    except OSError as problem:
        if problem.errno in _NONE:
            return None
        raise
    entries = [value[start : start + 8] for start in range(4, len(value), 8)]
    found = [(int.from_bytes(one[:2], "little"), one[2] & 7, int.from_bytes(one[4:], "little")) for one in entries]
    mask = next((rights for kind, rights, _number in found if kind == 16), 7)
    return Acl(
        {number: rights & mask for kind, rights, number in found if kind == 2},
        {number: rights & mask for kind, rights, number in found if kind == 8},
        next((rights & mask for kind, rights, _number in found if kind == 4), 0),
        next((rights for kind, rights, _number in found if kind == 32), 0),
    )
