# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the environment of a portal is still as it was asked for last."""

from __future__ import annotations

import dataclasses
from typing import Any

from .._application.dotenv import is_secret
from .._application.installation import Installation
from .._common import asked
from .env_file import Desired, EnvFile, Result

MODULE = "chamilo_env"
# Without what is a secret, or of this run alone, and what only a change needs.
KEPT = ("values", "require", "generate", "rotate_secret", "web_user")


def remember(root: str, request: str, desired: Desired) -> None:
    """What depends on a secret, or on another node, is asked for anew in each run."""
    if request and not (desired.secret_values or desired.sealed or desired.salt or any(map(is_secret, desired.values))):
        asked.remember(MODULE, root, request, {name: getattr(desired, name) for name in KEPT})


def answer(portal: Installation) -> dict[str, Any]:
    """What the module would answer, where it would change nothing and has nothing to report; else nothing."""
    request, options = asked.recall(MODULE, portal.root)
    if not request:
        return {}
    result = Result()
    EnvFile(portal).apply(Desired(**options), result, check=True)
    if result.changed or result.refused or result.notes or result.consequences:
        return {}
    found = dataclasses.asdict(result)
    del found["diff"]
    return {"request": request, "result": found}
