# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter password_rules; its documentation is in password_rules.yml beside this file."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

# What counts in Chamilo while nothing is stored.
_BUILT_IN = {"length": 5, "lowercase": 0, "uppercase": 0, "numeric": 2, "specials": 1}


def password_rules(stored: str, length: int = 0, mix: bool = False) -> dict[str, dict[str, int]]:
    known = _minimums(stored)
    least = {}
    for kind, built_in in _BUILT_IN.items():
        enforced = int(length) if kind == "length" else int(mix)
        there = _number(known.get(kind), 0 if enforced else built_in)
        least[kind] = max(there, enforced)  # a stricter value of the administrator stays
    return {"min": least}


def _minimums(stored: str) -> dict[str, Any]:
    try:
        found = json.loads(stored)["min"]
    except (ValueError, TypeError, KeyError):
        return {}
    return found if isinstance(found, dict) else {}


def _number(value: Any, otherwise: int) -> int:
    text = str(value).strip()
    return int(text) if text.isascii() and text.isdigit() else otherwise


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"password_rules": password_rules}
