# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All kinds of what `chamilo-hardening undo` restores besides files, which are the transactions' own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .._application import discovery
from .._settings import apply, env_undo, undo_data
from .._settings.env_file import EnvFile, Result
from .._transaction.engine import Engine
from .._transaction.memory import Memory

# Reported after a section was undone: what is not restored.
GONE = {
    "brute_force": ("Accounts that are locked stay locked. To unlock one: chamilo-hardening unlock USER",),
    "passwords": ("Passwords that people chose meanwhile stay as they are.",),
    "sessions": (
        'Logins that "Remember me" kept and that were deleted do not come back: those people log in once more.',
    ),
}


@dataclass(frozen=True)
class Kind:
    memory: Memory[Any]
    words: str  # for `chamilo-hardening status`
    undo: Callable[[str, Engine], list[str]]  # a sentence for each that is back


def _settings(name: str, engine: Engine) -> list[str]:
    state = engine.store.root
    return apply.undo(name, discovery.discover("", undo_data.MEMORY.recall(state)[name].root).installation, state)


def _environment(name: str, engine: Engine) -> list[str]:
    kept, result = env_undo.MEMORY.recall(engine.store.root)[name], Result()
    env_file = EnvFile(discovery.installation(kept.domain, kept.root, kept.web_server), engine)
    return [*env_undo.restore(name, env_file, result), *result.notes]


KINDS = (
    Kind(undo_data.MEMORY, "settings of Chamilo", _settings),
    Kind(env_undo.MEMORY, "keys of the environment", _environment),
)
