# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All kinds of what `chamilo-hardening undo` restores besides files, which are the transactions' own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ansible_collections.chamilo.hardening.plugins.module_utils._settings import env_undo, undo_data
from ansible_collections.chamilo.hardening.plugins.module_utils._settings import undo as settings_undo
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.memory import Memory


@dataclass(frozen=True)
class Kind:
    memory: Memory[Any]
    words: str  # for `chamilo-hardening status`
    undo: Callable[[str, Engine], list[str]]  # a sentence for each that is back


KINDS = (
    Kind(
        undo_data.MEMORY,
        "settings of Chamilo",
        lambda name, engine: settings_undo.undo(name, engine.store.root),
    ),
    Kind(
        env_undo.MEMORY,
        "keys of the environment",
        lambda name, engine: env_undo.undo(name, engine),  # pylint: disable=unnecessary-lambda  # resolved when called
    ),
)
