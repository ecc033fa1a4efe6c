# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""The search for traces of a break-in. It takes longer than any other check, so an audit begins it before them."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from ansible_collections.chamilo.hardening.plugins.module_utils._common.apart import Apart
from ansible_collections.chamilo.hardening.plugins.module_utils._common.sentences import first_of
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.tree import shown
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.observer import Observer


@dataclass
class Trace:
    """``signs`` of a break-in, ``gaps`` in the search, ``seen``: what was searched. ``cut``: gaps in walks."""

    signs: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)

    def add(self, what: str, paths: Iterable[str], most: int = 3) -> None:
        listed = sorted(paths)
        if listed:
            self.signs.append(f"{what}: {first_of(map(shown, listed), most)}")


def begin(observer: Observer, sections: Collection[str] = ()) -> None:
    """Begin the search where the audit is of these sections. Before all others: its process inherits what is open."""
    if not sections or "monitoring" in sections:
        with contextlib.suppress(OSError):  # the check tries again, and reports it
            observer.once(begun)


def begun(observer: Observer) -> Apart[Trace]:
    """The search, in a process of its own."""
    return Apart("the search for traces of a break-in", lambda: _searched(observer))


def found(observer: Observer) -> Trace:
    return observer.once(begun).result()


def _searched(observer: Observer) -> Trace:
    # Loaded by that process alone, while its parent loads the other checks.
    from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.compromise import trace

    return trace(observer)
