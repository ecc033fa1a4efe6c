# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One change of files, how to know that it went well, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from .._common.errors import HardeningError
from .._common.files import Item
from .judgement import Before, Judge
from .probe import Probe


class TransactionError(HardeningError):
    """A transaction failed. ``rolled_back`` states why, when files had been changed and were restored.

    ``broken``: they cannot be loaded. Something else had broken them before.
    """

    def __init__(self, message: str, rolled_back: str = "", broken: bool = False) -> None:
        super().__init__(message)
        self.rolled_back, self.broken = rolled_back, broken


class Refused(TransactionError):
    """A test command refused the files."""


@dataclass(frozen=True)
class Load:
    """The service that reads the files, and how to load it."""

    service: str
    action: Literal["reload", "restart"] = "reload"


@dataclass
class Outcome:
    """What came of it."""

    changed: bool = False
    generation: str = ""
    loaded: bool = False
    recovered: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    diff: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Change:
    """One path that is to change."""

    path: str
    old: Item
    new: Item


@dataclass(frozen=True)
class Job:
    """A change and how to know that it went well. ``commit`` turns the state into the one after it.

    ``left_out``: what of the test is not on this host any more is named there; None where it has to be.
    """

    name: str
    changes: Sequence[Change]
    keep: Mapping[str, Item]
    test: Sequence[Sequence[str]]
    load: Load | None
    listen: Sequence[str]
    probe: Sequence[Probe]
    judge: Judge
    commit: Callable[[dict[str, Any], Mapping[str, Item], Mapping[Probe, Before]], None]
    left_out: list[str] | None = None


def owed(job: Job, active: bool) -> dict[str, Any]:
    action = job.load.action if job.load else ""
    return {"action": action, "test": [list(argv) for argv in job.test], "active": active}


def clears_a_cache(owed: Mapping[str, Any]) -> bool:
    return any("cache:clear" in argv for argv in owed["test"])
