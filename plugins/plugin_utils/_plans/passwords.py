# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Section passwords: how long and how mixed they are, and how long they last."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .portal import Portal
from .shapes import Plan, Settings

RULES, DAYS = "security.password_requirements", "security.password_rotation_days"
# What counts in Chamilo while nothing is stored.
BUILT_IN = {"length": 5, "lowercase": 0, "uppercase": 0, "numeric": 2, "specials": 1}


@dataclass(frozen=True)
class Passwords(Plan):
    root: str
    unknown: Sequence[str]  # settings whose present value has to be read first: what is stricter stays
    settings: Settings | None

    @property
    def more(self) -> bool:
        return super().more or bool(self.unknown)


def plan(portal: Portal, given: Mapping[str, Any]) -> Passwords:
    name, days = f"passwords:{portal.word}", int(given["chamilo_passwords_rotation_days"])
    length, mix = portal.enforced("passwords_length"), portal.enforced("passwords_mix")
    # A number of days is explicit, whatever the level; only a waiver stands against it.
    expiry = portal.enforced("passwords_expiry", "consider" if days > 0 else "")
    held = portal.settings(name)
    compared = [*([RULES] if length or mix else []), *([DAYS] if expiry else [])]
    unknown = [one for one in compared if one not in held and portal.leads]
    stored = {**held, **_seen(given, unknown)}
    desired: dict[str, Any] = {}
    if length or mix:
        # Both demands stand in one setting. The one that is not enforced keeps what the main portal has.
        minimum = int(given["chamilo_passwords_minimum_length"]) if length else 0
        desired[RULES] = _rules(stored.get(RULES) or "", minimum, mix)
    if portal.enforced("passwords_enforced"):
        desired["security.check_password"] = True
    if expiry:
        desired[DAYS] = days or _number(stored.get(DAYS)) or 365
    return Passwords(
        root=portal.root,
        packages=portal.client if portal.leads else [],
        unknown=unknown,
        settings=Settings(name, portal.root, desired, portal.site.php.user)
        if portal.leads and (desired or portal.kept(name))
        else None,
        values={},
    )


def _rules(stored: str, length: int, mix: bool) -> dict[str, dict[str, int]]:
    try:
        known = json.loads(stored)["min"]
    except (ValueError, TypeError, KeyError):
        known = {}
    minimum = {}
    for kind, built_in in BUILT_IN.items():
        enforced = length if kind == "length" else int(mix)
        present = known.get(kind) if isinstance(known, dict) else None
        minimum[kind] = max(_number(present, 0 if enforced else built_in), enforced)
    return {"min": minimum}


def _seen(given: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """What the main portal has, once it was read."""
    read = given.get("__chamilo_passwords_seen", {}).get("settings", {})
    return {name: read[name]["before"]["effective"]["1"] for name in names if name in read}


def _number(value: Any, otherwise: int = 0) -> int:
    text = str(value).strip()
    return int(text) if text.isascii() and text.isdigit() else otherwise
