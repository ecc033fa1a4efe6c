# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""What gives the web user another account's rights, or any account the web user's.

Who set a set-user-ID bit or a group is not recorded. So each is named: of programs in world-writable directories, of
interpreters, and of what an administrator installs by hand.
"""

from __future__ import annotations

import errno
import glob
import grp
import os
import re
import stat
from collections.abc import Iterator, Sequence

from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.traces import Budget, walk
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.tree import Identity
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.processes import output

_SECONDS = 5.0  # for the directories below, and for sudo
# Each lets its members become root: by its devices, its daemon, or the passwords that it reads.
_GROUPS = frozenset("root sudo wheel admin docker lxd incus incus-admin libvirt disk kmem shadow".split())
_DIRECTORIES = (
    "/tmp /var/tmp /dev/shm /run/lock /run/screen /var/crash /var/lib/php/sessions /usr/local/bin /usr/local/sbin"
).split()
_INTERPRETERS = tuple(
    f"/usr/bin/{name}" for name in ("*sh", "php*", "python*", "perl*", "ruby*", "node*", "lua*", "env", "find", "vi*")
)
# Debian's own, with these bits for good reason.
_SHIPPED = frozenset({"/usr/bin/chsh"})
_RULE = re.compile(r"^\s+\((.+?)\)\s+(.+)$", re.M)
_CAPABILITY = "security.capability"
_HARMLESS = 1 << 10 | 1 << 13  # to listen on a port below 1024, and to ping


def groups(users: Sequence[Identity]) -> Iterator[str]:
    """``www-data in docker``"""
    for user in users:
        for number in sorted(user.groups):
            try:
                name = grp.getgrgid(number).gr_name
            except KeyError:
                continue
            if name in _GROUPS:
                yield f"{user.name} in {name}"


def rules(users: Sequence[Identity]) -> Iterator[str]:
    """What sudo lets the web user do, by whatever file."""
    for user in users:
        for account, command in _RULE.findall(output(["sudo", "-n", "-l", "-U", user.name], _SECONDS)):
            yield f"{user.name} as {account}: {command.strip()}"


def programs() -> tuple[list[str], str]:
    """Programs that run with another user's rights, and what could not be read."""
    budget = Budget(_SECONDS)
    found = [entry.path for top in _DIRECTORIES for entry in walk(top, budget) if _lends(entry.path)]
    found += [path for pattern in _INTERPRETERS for path in glob.glob(pattern) if path not in _SHIPPED and _lends(path)]
    return found, budget.gap


def _lends(path: str) -> bool:
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode) or not status.st_mode & 0o111:
            return False
        return bool(status.st_mode & (stat.S_ISUID | stat.S_ISGID)) or _powerful(os.getxattr(path, _CAPABILITY))
    except FileNotFoundError:  # it went meanwhile
        return False
    except OSError as problem:
        if problem.errno in (errno.ENODATA, errno.ENOTSUP):
            return False
        raise


def _powerful(capability: bytes) -> bool:
    """Whether a file has a capability that reaches other accounts: what is permitted, in two halves."""
    halves = [int.from_bytes(capability[at : at + 4], "little") for at in (4, 12)]
    return bool((halves[0] | halves[1] << 32) & ~_HARMLESS)
