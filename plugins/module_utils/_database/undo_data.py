# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is remembered of a portal's accounts, so that each change can be undone and a killed run resumed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Any

from .._common.files import Tree, document, file_item
from .grants import Who
from .server import AccountError, Server, set_rights


class UndoData:
    """What was done for one portal, durably: a move that is going on, accounts of ours, old rights of others."""

    def __init__(self, path: str, step: Callable[[str], None]) -> None:
        self.path = path
        self.step = step
        self.known: dict[str, Any] = {}

    def load(self) -> None:
        try:
            self.known = document(self.path)
        except ValueError as problem:
            raise AccountError(f"{self.path} is damaged ({problem}). Restore it from a backup.") from problem

    def remember(self, **parts: Any) -> None:
        """Durably, before what it records is done."""
        known = {name: part for name, part in {**self.known, **parts}.items() if part}
        with Tree() as tree:
            data = json.dumps(known, indent=1, sort_keys=True).encode()
            tree.write(self.path, file_item(data, os.geteuid(), os.getegid(), 0o600))
        self.known = known

    def remember_old(self, who: Who, grants: Sequence[str] | None) -> None:
        """What an account may do before we first change it, as statements. None: it is locked and keeps its rights."""
        old = self.known.get("old", {})
        if str(who) not in old:
            known = {"who": [who.user, who.host], "grants": None if grants is None else list(grants)}
            self.remember(old={**old, str(who): known})
            self.step("old rights noted")

    def restore(self, server: Server, who: Who) -> None:
        known = self.known.get("old", {}).get(str(who))
        if known and who.host in server.hosts(who.user):
            if known["grants"] is not None:
                set_rights(server, who, known["grants"])
            server.lock(who, False)
        self.forget_old(who)

    def forget_old(self, who: Who) -> None:
        self.remember(old={name: one for name, one in self.known.get("old", {}).items() if name != str(who)})
