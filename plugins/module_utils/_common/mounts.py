# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is mounted where, which a path alone does not show."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

_FSTAB = "/etc/fstab"


@dataclass(frozen=True)
class Mount:
    """What is mounted at a place. ``of_user``: served by a program of a user, which could keep root waiting."""

    kind: str
    source: str = ""
    part: str = "/"  # the directory of the source that shows there
    read_only: bool = False
    of_user: bool = False


def mounts(mountinfo: str = "/proc/self/mountinfo") -> dict[str, Mount]:
    """The mount points; of several at one place the last, which shows."""
    found = {}
    with open(mountinfo, encoding="utf-8", errors="surrogateescape") as file:
        for fields in (line.rstrip("\n").split(" ") for line in file):
            after, options = fields.index("-", 6), fields[-1]
            found[_unescaped(fields[4])] = Mount(
                fields[after + 1],
                _unescaped(fields[after + 2]),
                _unescaped(fields[3]),
                "ro" in (*fields[5].split(","), *options.split(",")),
                re.search(r"\buser_id=(?!0\b)", options) is not None,
            )
    return found


def mounts_on_the_way(directory: str) -> list[str]:
    """The mount points at or above a directory, except the root: ``not_mounted`` checks them later, after a boot."""
    real = f"{os.path.realpath(directory)}/"
    return [point for point in mounts() if point != "/" and real.startswith(f"{point}/")]


def not_mounted(points: Iterable[str], directory: str, early: bool = False) -> str:
    """The first of these mount points where nothing is mounted although the directory was there, or an empty text.

    ``early``: at boot, where a disk may appear later, and where access to an automount would cause a deadlock.
    """
    there = mounts()
    for point in points:
        if early and (point not in there or there[point].kind == "autofs"):
            return point
        if point not in there and (_in_fstab(point) or (os.path.isdir(point) and not _is_filled(directory))):
            return point
    return ""


def _in_fstab(point: str) -> bool:
    try:
        with open(_FSTAB, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.split() for line in file if not line.lstrip().startswith("#")]
    except FileNotFoundError:
        return False
    return any(len(fields) > 1 and os.path.normpath(_unescaped(fields[1])) == point for fields in lines)


def _unescaped(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)


def _is_filled(directory: str) -> bool:
    try:
        with os.scandir(directory) as entries:
            return any(True for _entry in entries)
    except OSError:
        return False
