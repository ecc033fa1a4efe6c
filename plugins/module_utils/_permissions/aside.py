# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What earlier versions disabled because the web user could have written it: files of root's with a mode of their own.

The package of the release vouches for what it has byte for byte: that gets its name, owner and mode back by itself. All
else stays as it is until an administrator gives it another mode.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import stat
from collections.abc import Callable, Mapping

from .._application import release_files
from .._common.paths import shown

SUFFIX = ".quarantined"  # outside public/, where a file that cannot be read would keep the portal from starting
_IN_PUBLIC, _ELSEWHERE = stat.S_IFREG | 0o600, stat.S_IFREG | 0o200
# Anything else with that mode below public/ is disabled only where it was written down.
_RUNS = re.compile(r"(?i)\.(?:php\d?|phtml|phar|pht)$|(?:^|/)\.user\.ini$")
_LARGEST = 32 << 20  # bytes of a list


class Aside:
    """``listed``: names that an earlier version wrote down.

    ``files``: reads the manifest of the release, which most runs need not do.
    """

    def __init__(
        self,
        listed: frozenset[str] = frozenset(),
        files: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._listed = listed
        self._files = files
        self._release: Mapping[str, str] | None = None

    def waits(self, path: str, status: os.stat_result) -> bool:
        """Whether a file is disabled."""
        if status.st_uid or status.st_gid or path.startswith("var/"):
            return False
        if status.st_mode == _ELSEWHERE:
            return True
        public = status.st_mode == _IN_PUBLIC and path.startswith("public/")
        return public and (_RUNS.search(path) is not None or shown(path) in self._listed)

    def returns(self, path: str, handle: int) -> bool:
        """Whether a disabled file is to be used again."""
        name = original(path)
        if self._release is None:
            self._release = self._files()
        return name in self._release and release_files.checksum(handle) == self._release[name]


def is_below(path: str, directory: str) -> bool:
    return not directory or path == directory or path.startswith(f"{directory}/")


def original(path: str) -> str:
    return path.removesuffix(SUFFIX)


def _list(root: str, state: str) -> str:
    """A dash counts twice, as in the names of units."""
    word = os.path.realpath(root).strip("/").replace("-", "--").replace("/", "-")
    return os.path.join(state, f"planted-{word[-200:]}.txt")


def known(root: str, state: str) -> frozenset[str]:
    """The names of what an earlier version disabled in this tree."""
    try:
        with open(_list(root, state), encoding="utf-8", errors="replace") as stream:
            lines = stream.read(_LARGEST).splitlines()
    except FileNotFoundError:
        return frozenset()
    return frozenset(line.partition(" ")[2] for line in lines if line.startswith("quarantined "))


def forget(root: str, state: str, any_left: bool) -> None:
    """Remove what earlier versions kept: evidence, whole packages, and the list where nothing is disabled any more."""
    paths = [os.path.join(state, "vouched.json"), *glob.glob(f"{glob.escape(state)}/release-*.archive")]
    for path in paths if any_left else [*paths, _list(root, state)]:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
