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


@functools.lru_cache(maxsize=1024)
def who(owner: int, group: int) -> str:
    try:
        user = pwd.getpwuid(owner).pw_name
    except KeyError:
        user = str(owner)
    try:
        return f"{user}:{grp.getgrgid(group).gr_name}"
    except KeyError:
        return f"{user}:{group}"
