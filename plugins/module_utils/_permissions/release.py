# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""Whether a release needs a PHP file that no URL calls: what Composer knows is code, what it does not came by itself.

Composer's maps name each class of ``src/`` and ``vendor/`` where they were optimised, as in each release and as the
guide asks. What has no class and is in no map (tables of a library, for example) was laid together with what is, and by
the same user.
"""

from __future__ import annotations

import os
import re
import stat
import struct

_MAPS = ("vendor/composer/autoload_classmap.php", "vendor/composer/autoload_files.php")
_ENTRY = re.compile(rb"=> \$(vendor|base)Dir \. '/((?!\.\./|[^'\n]*/\.\./)[^'\n\0]+)'")
_LARGEST = 64 << 20  # bytes of one map
# Since 3.0 the project directory has a file with the version. In config/ PHP belongs under these names alone; what
# else is there is YAML, or runs when the cache is made again.
_ELSEWHERE = re.compile(
    r"config/(?:(?:bundles|preload|reference)\.php|secrets/.+)|\.env[^/]*|version\.php|vendor/autoload\.php|vendor/composer/.+"
)
MAPPED = ("src", "vendor")
_FEW = 20  # files of a part in the maps: fewer prove nothing about the others
_SAMPLE = 200
_NEARLY_ALL = 0.95  # an attacker touches some files, not that many
_AT_EMPTY_PATH, _STATX_BTIME, _BTIME_AT = 0x1000, 0x800, 80  # linux/stat.h
_OVERLAY = 0x794C7630  # linux/magic.h
_LAID = 3600  # seconds: a release is laid in one go


class Release:
    """The maps and times of a tree, read when they are first asked for or before. ``top``: its descriptor."""

    def __init__(self, top: int, web: int) -> None:
        self._top = top
        self._web = web
        self._known: frozenset[str] = frozenset()
        self._laid: dict[str, tuple[float, bool] | None] = {}

    def inspect(self) -> None:
        """Read them now: what a run changes has another owner and another time then."""
        self._known = _maps(self._top)
        self._laid = {part: self._when(part, self._known) for part in MAPPED}

    def needs(self, path: str, status: os.stat_result) -> bool:
        """Could the portal be down without this file? True where that is unknown."""
        if _ELSEWHERE.fullmatch(path):
            return True
        part = path.split("/", 1)[0]
        if part not in MAPPED:
            return False
        if not self._laid:
            self.inspect()
        if path in self._known:
            return True
        laid = self._laid[part]
        if laid is None:
            return True
        when, web = laid
        return status.st_ctime <= when and (web or status.st_uid != self._web)

    def _when(self, part: str, known: frozenset[str]) -> tuple[float, bool] | None:
        """By when nearly all of a part was there, and whether it is the web user's."""
        names = sorted(path for path in known if path.startswith(f"{part}/"))
        found = [status for path in names[:: len(names) // _SAMPLE + 1] if (status := seen(self._top, path))]
        if len(found) < _FEW:
            return None
        times = sorted(status.st_ctime for status in found)
        theirs = sum(status.st_uid == self._web for status in found)
        return times[int((len(times) - 1) * _NEARLY_ALL)] + _LAID, theirs > len(found) * (1 - _NEARLY_ALL)


def seen(top: int, path: str) -> os.stat_result | None:
    """What a file is like. No link on the way is followed."""
    *directories, name = path.split("/")
    handle = os.dup(top)
    try:
        for directory in directories:
            below = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
            os.close(handle)
            handle = below
        return os.stat(name, dir_fd=handle, follow_symlinks=False)
    except OSError:  # not every release has each of them
        return None
    finally:
        os.close(handle)


def born(handle: int) -> float | None:
    """When an open file was made, which no user can set; None where its file system does not keep that.

    Nor does an image's: there a file is made anew when it is first touched.
    """
    import ctypes  # most runs have nothing to ask, and it takes memory in each process of theirs

    system = ctypes.CDLL(None)
    reported = ctypes.create_string_buffer(256)
    if system.fstatfs(handle, reported) or struct.unpack_from("@l", reported)[0] == _OVERLAY:
        return None
    statx = getattr(system, "statx", None)  # Python has no name for it
    if statx is None or statx(handle, b"", _AT_EMPTY_PATH, _STATX_BTIME, reported):
        return None
    (mask,) = struct.unpack_from("=I", reported)
    seconds, nanoseconds = struct.unpack_from("=qI", reported, _BTIME_AT)
    return seconds + nanoseconds / 1e9 if mask & _STATX_BTIME else None


def _maps(top: int) -> frozenset[str]:
    known = set()
    for path in _MAPS:
        for directory, name in _ENTRY.findall(_read(top, path)):
            below = os.fsdecode(name)
            known.add(f"vendor/{below}" if directory == b"vendor" else below)
    return frozenset(known)


def _read(top: int, path: str) -> bytes:
    status = seen(top, path)
    if status is None or not stat.S_ISREG(status.st_mode):
        return b""
    # Exchanging a directory for a link here only selects another map, no more than writing into this one achieves.
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=top)
        with os.fdopen(handle, "rb") as file:
            return file.read(_LARGEST)
    except OSError:  # it has gone, or was exchanged, meanwhile
        return b""
