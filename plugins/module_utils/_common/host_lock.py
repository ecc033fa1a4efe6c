# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one lock of a host: only its holder changes what this collection manages there."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator

from . import locks
from .files import STATE, Tree
from .locks import Busy


class HostLock:
    def __init__(self, root: str = STATE) -> None:
        self.root = root
        self.path = os.path.join(root, "lock")

    @contextlib.contextmanager
    def lock(self, who: str, wait: float) -> Iterator[None]:
        """Acquire the host's one lock; after ``wait`` seconds, report its holder."""
        self._make_root()

        def busy(holder: str) -> Busy:
            return Busy(
                f"Waited {wait:.0f} seconds for the lock of this host, which belongs to "
                f"{holder or 'an unknown process'}. No file was changed. Run again when that is done."
            )

        with locks.lock(self.path, who, wait, busy):
            yield

    def _make_root(self) -> None:
        try:
            mode = stat.S_IMODE(os.stat(self.root).st_mode)
        except FileNotFoundError:
            with Tree() as tree:
                for directory in tree.missing_parents(self.root):
                    tree.make_directory(directory)
                tree.make_directory(self.root, 0o700)
            mode = 0o700
        if mode != 0o700:
            os.chmod(self.root, 0o700)
