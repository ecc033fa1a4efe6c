# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Undo data: one registry of the files below the state directory that contain it.

Each kind is a map from the names of sections and portals, such as ``https:SITE``, to the state before. A file is
only ever replaced whole, so reading needs no lock; changing one needs the host's lock. Files of an older version can be
read: each kind knows what its entries left out then.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from .._common.files import STATE, StateError, document, replace_file
from .._common.host_lock import HostLock

T = TypeVar("T")
SETTINGS = "settings.json"  # where the platform settings before a section are kept


@dataclass(frozen=True)
class Memory(Generic[T]):
    """One kind of what is remembered."""

    name: str  # as `chamilo-hardening status --json` calls it
    words: str  # what its keys are, as status and undo call them
    file: str
    holder: str  # of the host's lock
    seconds: float  # to wait for it
    read: Callable[[Any], T]
    write: Callable[[T], Any]
    root: Callable[[T], str]  # of which portal it is
    keys: Callable[[T], Iterable[str]]  # which of them go back

    def recall(self, state: str = STATE) -> dict[str, T]:
        """All that is kept, by the name of section and portal."""
        return kept(self.file, state, self.read)

    def names(self, section: str, state: str = STATE) -> list[str]:
        """Under which names something of a section (``https``, or of one portal, ``https:SITE``) is kept."""
        return sorted(name for name in self.recall(state) if section in (name, name.partition(":")[0]))

    def description(self, names: Iterable[str], state: str = STATE) -> Iterator[str]:
        """What goes back with these."""
        known = self.recall(state)
        for name in names:
            keys = ", ".join(sorted(self.keys(known[name])))
            yield f"These {self.words} of {self.root(known[name])} as well: {keys}"

    def lock(self, state: str = STATE) -> contextlib.AbstractContextManager[None]:
        return HostLock(state).lock(self.holder, self.seconds)

    def replace(self, known: Mapping[str, T], state: str = STATE) -> None:
        """Write all of it. Needs the host's lock."""
        text = json.dumps({name: self.write(one) for name, one in known.items()})
        replace_file(os.path.join(state, self.file), f"{text}\n")

    def forget(self, name: str, state: str = STATE) -> None:
        """Remove the entry after it was restored."""
        with self.lock(state):
            self.replace({other: one for other, one in self.recall(state).items() if other != name}, state)


def kept(file: str, state: str = STATE, read: Callable[[Any], Any] = lambda one: one) -> dict[str, Any]:
    """What is kept in a file below the state directory, by the name of section and portal."""
    path = os.path.join(state, file)
    try:
        return {name: read(one) for name, one in document(path).items()}
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise StateError(f"{path} is damaged ({problem}). Restore it from a backup.") from problem
