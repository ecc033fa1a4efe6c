# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has Chamilo log in to the database by another account: its section makes that, and the environment names it."""

from __future__ import annotations

from collections.abc import Sequence

from .._database.context import Context
from .._settings import env_file


def write_login(context: Context, user: str, password: str, notes: list[str], check: bool = False) -> Sequence[str]:
    """Write it into the environment, and have the cache cleared as PHP's user. Returns the files that changed."""
    desired = env_file.Desired(
        values={"DATABASE_USER": user},
        secret_values={"DATABASE_PASSWORD": password},
        web_user=context.desired.web_user,
    )
    reported = env_file.Result()
    try:
        env_file.EnvFile(context.portal, context.engine).apply(desired, reported, check)
    finally:
        notes += reported.notes
    return reported.files
