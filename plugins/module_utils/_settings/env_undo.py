# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keys of an environment were before a section first set them, so that undoing the section brings them back.

Only of keys that are no secrets: of those, no copy is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from .._transaction.memory import Memory
from .env_file import Desired, EnvFile, Result, checked


@dataclass(frozen=True)
class Kept:
    """The keys of one section and portal. ``before``: null where a key stood nowhere."""

    domain: str
    root: str
    web_server: str
    before: Mapping[str, str | None]
    ours: Mapping[str, str]


MEMORY = Memory(
    "environment",
    "keys of the environment",
    "environment.json",
    "chamilo_env",
    180.0,
    lambda known: Kept(**known),
    asdict,
    lambda one: one.root,
    lambda one: one.before,
)


def remember(name: str, env_file: EnvFile, values: Mapping[str, str], domain: str, web_server: str = "") -> None:
    """Keep what the application sees now of keys that are about to get another value, unless it is kept already."""
    checked(Desired(values=values))  # a secret among them is refused before it is kept
    state, seen = env_file.engine.store.root, _seen(env_file)
    with MEMORY.lock(state):
        known = MEMORY.recall(state)
        old = known.get(name)
        before = dict(old.before) if old else {}
        before.update({key: seen.get(key) for key in values if key not in before and seen.get(key) != values[key]})
        ours = {**(old.ours if old else {}), **{key: values[key] for key in values if key in before}}
        kept = Kept(domain, env_file.portal.root, web_server, before, ours)
        if before and kept != old:
            MEMORY.replace({**known, name: kept}, state)


def restore(name: str, env_file: EnvFile, result: Result, check: bool = False) -> list[str]:
    """Restore the previous values. A sentence for each key; later changes by others stay, with a note."""
    state = env_file.engine.store.root
    kept = MEMORY.recall(state).get(name)
    if kept is None:
        return []
    seen = _seen(env_file)
    back = {key: value for key, value in kept.before.items() if seen.get(key) in (kept.ours[key], value)}
    env_file.apply(Desired(values=back), result, check)
    if not check:
        # Not sooner: what edits the environment takes the same lock.
        MEMORY.forget(name, state)
    left = sorted(set(kept.before) - set(back))
    result.notes += [f"{key} was changed since; it stays as it is." for key in left]
    return [f"{key} is {'not set' if value is None else repr(value)} again." for key, value in sorted(back.items())]


def _seen(env_file: EnvFile) -> dict[str, str]:
    return env_file.portal.environment().visible
