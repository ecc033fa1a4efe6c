# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of this host, and places in them."""

from __future__ import annotations

import errno
import glob
import os
import stat
from dataclasses import dataclass

from .paths import Refusal, open_path, open_regular, read_guarded

MOST = 64 * 1024 * 1024


class Tree:
    """The files of this host. With a prefix, the files below it stand for them; links there must be relative."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix = os.path.realpath(prefix) if prefix else ""
        self.denied: list[str] = []  # what this user may not read

    def _at(self, path: str) -> str:
        return self.prefix + path

    def read(self, path: str, web_user: str | None = None) -> str:
        """A text. The application's user may have put a pipe, a device or a giant in its place: those are refused.

        A link that PHP's user could have laid is refused as well. ``web_user``: whom PHP runs as, for a file of the
        application's that root goes by or shows, which this user shall not have led elsewhere by root's own links
        either; an empty one is Debian's.
        """
        return self.read_bounded(path, web_user, MOST)

    def read_bounded(self, path: str, web_user: str | None, most: int) -> str:
        """A text of at most so many bytes, by the rules of ``read``."""
        if web_user is None:
            with open(open_regular(self._at(path)), "rb") as file:
                data = file.read(most + 1)
        else:
            data = read_guarded(self._at(path), web_user, most + 1)
        if len(data) > most:
            raise OSError(errno.EFBIG, f"larger than {most} bytes", path)
        return data.decode("utf-8", "surrogateescape")

    def directory(self, path: str, refusal: Refusal) -> int:
        """An open directory, whose owner closes it. A link on the way is followed only where it is not refused."""
        handle, _linked = open_path(self._at(path), refusal)
        if not stat.S_ISDIR(os.fstat(handle).st_mode):
            os.close(handle)
            raise NotADirectoryError(errno.ENOTDIR, "no directory", path)
        return handle

    def _mode(self, path: str) -> int:
        try:
            return os.stat(self._at(path)).st_mode
        except PermissionError:
            self.denied.append(path)
        except (OSError, ValueError):
            pass  # not there, or no path at all
        return 0

    def exists(self, path: str) -> bool:
        return self._mode(path) != 0

    def is_directory(self, path: str) -> bool:
        return stat.S_ISDIR(self._mode(path))

    def is_link(self, path: str) -> bool:
        return os.path.islink(self._at(path))

    def status(self, path: str) -> os.stat_result | None:
        """Owner, mode and times; None where it is not there or not to be seen."""
        try:
            return os.stat(self._at(path))
        except OSError:
            return None

    def changed(self, path: str) -> float:
        """When the file was written; 0 where it is gone."""
        status = self.status(path)
        return status.st_mtime if status else 0

    def glob(self, pattern: str) -> list[str]:
        found = glob.glob(glob.escape(self.prefix) + pattern)
        return sorted(path[len(self.prefix) :] for path in found)

    def real(self, path: str) -> str:
        """The path without links."""
        return os.path.realpath(self._at(path))[len(self.prefix) :]


@dataclass(frozen=True)
class Place:
    """A line of a configuration, and its text."""

    file: str
    line: int
    what: str
