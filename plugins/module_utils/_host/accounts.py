# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of the host's accounts and groups."""

from __future__ import annotations

import functools
import grp
import os
import pwd
import stat


def rights(status: os.stat_result) -> str:
    return f"{who(status.st_uid, status.st_gid)} {stat.S_IMODE(status.st_mode):04o}"


def who(owner: int, group: int) -> str:
    return f"{user_name(owner)}:{group_name(group)}"


@functools.lru_cache(maxsize=1024)
def user_name(number: int) -> str:
    """Its number where it has no name."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


@functools.lru_cache(maxsize=1024)
def group_name(number: int) -> str:
    """The same of a group. One by one: a directory service does not list all of its groups."""
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
