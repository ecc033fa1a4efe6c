# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks the password rules that the portals really use."""

from __future__ import annotations

import json
from collections.abc import Callable

from .._application.observer import Observer
from .._common.control import Finding, check, failed, passed
from .._common.sentences import first_of

_KEYS = ("length", "lowercase", "uppercase", "numeric", "specials")
_BUILT_IN = {"length": 5, "lowercase": 0, "uppercase": 0, "numeric": 2, "specials": 1}
_MINIMUM_LENGTH = 8
_MIX = ("lowercase", "uppercase", "numeric", "specials")


def on_every_portal(
    observer: Observer, key: str, right: Callable[[str], bool], desired: str, show: Callable[[str], str] = repr
) -> Finding:
    """A setting, as each active portal uses it. One portal with a wrong value is enough to fail."""
    category, variable = key.split(".")
    values = observer.database.effective(variable, category)
    wrong = {url: value for url, value in values.items() if not right(value)}
    shown = wrong or values
    if len(set(shown.values())) == 1 and len(shown) == len(values):
        where = f" on all {len(values)} portals" if len(values) > 1 else ""
        text = f"{key} is {show(next(iter(shown.values())))}{where}"
    else:
        text = first_of((f"{key} is {show(value)} on {url}" for url, value in shown.items()), joint="; ")
    return failed(f"{text}; it should be {desired}.") if wrong else passed(f"{text}.")


def whole_number(value: str) -> int:
    """As PHP casts a text; -1 where it is no number at all."""
    value = value.strip()
    return int(value) if value.isascii() and value.isdigit() else -1


def _requirements(value: str) -> dict[str, int]:
    """The minimum of each kind. A kind that is missing or no number is -1; nothing stored is the built-in rule."""
    if not value.strip():
        return dict(_BUILT_IN)
    try:
        found = json.loads(value)
    except ValueError:
        found = {}
    least = found.get("min") if isinstance(found, dict) else None
    least = least if isinstance(least, dict) else {}
    return {key: whole_number(str(least.get(key, ""))) for key in _KEYS}


def _shown(value: str) -> str:
    if not value.strip():
        return "not set, so the built-in rule counts: 5 characters, no mix of cases"
    return "not readable: it needs the five minimums" if -1 in _requirements(value).values() else repr(value)


@check("passwords_length")
def length(observer: Observer) -> Finding:
    return on_every_portal(
        observer,
        "security.password_requirements",
        lambda value: _requirements(value)["length"] >= _MINIMUM_LENGTH and -1 not in _requirements(value).values(),
        f"a minimum length of {_MINIMUM_LENGTH} or more",
        _shown,
    )


@check("passwords_mix")
def mix(observer: Observer) -> Finding:
    return on_every_portal(
        observer,
        "security.password_requirements",
        lambda value: all(_requirements(value)[kind] >= 1 for kind in _MIX) and -1 not in _requirements(value).values(),
        "at least one each of " + ", ".join(_MIX),
        _shown,
    )


@check("passwords_enforced")
def enforced(observer: Observer) -> Finding:
    return on_every_portal(
        observer,
        "security.check_password",
        lambda value: value == "true",
        "'true', or the rules are shown but not applied",
    )


@check("passwords_expiry")
def expiry(observer: Observer) -> Finding:
    return on_every_portal(
        observer,
        "security.password_rotation_days",
        lambda value: whole_number(value) > 0,
        "a number of days above 0 where a rule asks for expiry",
    )
