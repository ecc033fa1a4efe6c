# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forgets whom Chamilo would log in by itself: what it stored for the cookie of "Remember me"."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from .database import Account, Query, Reader, as_number, writing

_TABLE = "validation_token WHERE type = %s"
_REMEMBER_ME = 3  # the other types are links in mails, which stay good


def forget(
    reader: Reader, check: bool, transaction: Callable[[Account], AbstractContextManager[Query]] = writing
) -> int:
    """How many stored logins are deleted, or would be."""
    kept = as_number(reader.query(f"SELECT COUNT(*) AS kept FROM {_TABLE}", [_REMEMBER_ME])[0]["kept"])
    if kept and not check:
        with transaction(reader.account) as ask:
            ask(f"DELETE FROM {_TABLE}", [_REMEMBER_ME])
    return kept
