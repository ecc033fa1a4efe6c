# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""The marks of files that await a review: owners and modes that nothing else has."""

from __future__ import annotations

import os
import stat

# Files that await a review are root's, with a mode that nothing else has, so that each run recognizes them.
QUARANTINE = stat.S_IFREG | 0o600
ASIDE = stat.S_IFREG | 0o200  # outside public/, where a file that cannot be read would keep the portal from starting:
ASIDE_NAME = ".quarantined"  # it gets another name
MARKS = ((QUARANTINE, 0, 0), (ASIDE, 0, 0))
DOUBTFUL, QUARANTINED = "doubtful", "quarantined"


def is_aside(path: str, status: os.stat_result) -> bool:
    return mark(status) == (ASIDE, 0, 0) and path.endswith(ASIDE_NAME)


def waits(path: str, status: os.stat_result) -> str:
    """The mark of a file until it is reviewed; empty without one."""
    if is_doubted(status):
        return DOUBTFUL
    held = is_aside(path, status) or mark(status) == (QUARANTINE, 0, 0)
    return QUARANTINED if held else ""


def mark(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_mode, status.st_uid, status.st_gid


def is_doubted(status: os.stat_result) -> bool:
    """Whether PHP that stays usable is marked for a review, in any profile."""
    return status.st_uid == 0 and status.st_mode & 0o7600 == 0o200 and mark(status) != (ASIDE, 0, 0)
