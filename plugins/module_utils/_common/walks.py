# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Walks over directories that others can fill: they follow no link, and end in time."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

_BEAT = 500  # entries between two checks of the clock


@dataclass
class Budget:
    """How long a scan may take. ``cut`` and ``unread`` record what it did not see."""

    seconds: float
    cut: bool = False
    unread: int = 0
    _end: float = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._end = time.monotonic() + self.seconds

    @property
    def left(self) -> bool:
        self.cut = self.cut or time.monotonic() > self._end
        return not self.cut

    @property
    def gap(self) -> str:
        """What was not seen, as a sentence; empty when all was."""
        gaps = [f"the time for it ({self.seconds:g} s) was over"] if self.cut else []
        gaps += [f"{self.unread} directories or files could not be opened"] if self.unread else []
        return f"Not everything was checked: {' and '.join(gaps)}." if gaps else ""


def walk(top: str, budget: Budget, skip: Collection[str] = ()) -> Iterator[os.DirEntry[str]]:
    """Everything below a directory except directories, links not followed, until the time is over."""
    waiting = [top]
    seen = 0
    while waiting and budget.left:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    seen += 1
                    if seen % _BEAT == 0 and not budget.left:
                        return
                    if not entry.is_dir(follow_symlinks=False):
                        yield entry
                    elif entry.path not in skip:
                        waiting.append(entry.path)
        except FileNotFoundError:  # it went meanwhile, or was never there
            continue
        except OSError:
            budget.unread += 1
