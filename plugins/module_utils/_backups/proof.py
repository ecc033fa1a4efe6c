# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How two machines show each other that they have the same key. Apart from the rest: the controller needs no more."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    """What the module backup_key is asked for."""

    site: str  # the word in the names of the files of this portal
    password: str = field(default="", metadata={"no_log": True})  # the key, where the controller has one
    create: bool = True  # whether a key may be made up; for a restore it may not
    # Made by the action plugin.
    salt: str = field(default="", metadata={"no_log": False})
    elsewhere: str = ""  # which machine the controller is
    fetch: bool = False  # whether the key is to be returned


def fingerprint(key: str, salt: str) -> str:
    """Shows whether two keys are the same without showing a key."""
    return hmac.new(salt.encode(), key.strip().encode(), "sha256").hexdigest()
