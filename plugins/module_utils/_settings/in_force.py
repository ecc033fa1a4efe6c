# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which settings that sections asked for are effective now."""

from __future__ import annotations

from typing import Any

from .._application.catalogue import CATALOGUE
from .._application.database import Account, Query, Reader
from .._application.installation import Installation
from .._common.files import STATE
from . import undo_data
from .apply import Host
from .plan import Desired

_PRODUCTION = Desired({"platform.server_type": "prod"})


def in_force(portal: Installation, state: str = STATE, read: Query | None = None) -> dict[str, dict[str, Any]]:
    """What each section requested last, where it is still active and can be shown: it contains no secret.

    The empty name is production mode: a section requests it, and its undo keeps it.
    """
    if not portal.root:
        return {}
    desired_by_name = {"": _PRODUCTION} | {
        name: kept.asked
        for name, kept in undo_data.MEMORY.recall(state).items()
        # A setting may be unknown to this version: another one asked for it.
        if kept.asked
        and kept.root == portal.root
        and kept.asked.values.keys() <= CATALOGUE.keys()
        and not kept.asked.secret
    }
    host = Host(Account("") if read else Reader.of(portal).account, portal, state, read=read)
    return {name: desired_by_name[name].to_json() for name in host.holding(desired_by_name)}
