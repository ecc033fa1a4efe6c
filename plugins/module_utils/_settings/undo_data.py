# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What platform settings were before a section first changed them, so that undoing the section brings them back."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Optional

from .._application.catalogue import CATALOGUE
from .._common.files import STATE, StateError
from .._common.typed import made
from .._transaction.memory import SETTINGS, Memory
from .plan import MAIN, Desired, Plan, Row, Seen, View, same


@dataclass(frozen=True)
class Kept:
    """One setting: its rows and overrides before our first change, what we made of it, and in which portals.

    ``earlier``: what we made of it before that, which a killed run leaves in the table. ``portals``: None for all.
    """

    rows: tuple[Row, ...]
    overrides: Mapping[str, str]
    ours: str
    earlier: Optional[str] = None  # noqa: UP045 (Python 3.9 evaluates these)
    portals: Optional[tuple[int, ...]] = None  # noqa: UP045

    @property
    def reported_keys(self) -> tuple[int, ...]:
        """The portals that decide whether it is still ours: where all are asked for, the main one goes before them."""
        return (MAIN,) if self.portals is None else self.portals

    def made(self, key: str, value: str | None) -> bool:
        """Whether the value is one that we wrote."""
        return any(same(CATALOGUE[key], value, each) for each in (self.ours, self.earlier) if each is not None)

    def again(self, expected: str, portals: tuple[int, ...] | None) -> Kept:
        """As kept, with another value in these portals."""
        earlier = self.earlier if expected == self.ours else self.ours
        both = None if self.portals is None or portals is None else tuple(sorted({*self.portals, *portals}))
        return replace(self, ours=expected, earlier=earlier, portals=both)


@dataclass(frozen=True)
class Section:
    """The settings of one section and portal, and what was asked for last."""

    root: str
    settings: Mapping[str, Kept]
    asked: Optional[Desired] = None  # noqa: UP045


def remember(
    name: str, root: str, seen: Seen, desired: Desired, state: str = STATE, gone: Collection[str] = ()
) -> None:
    """Save the present values, unless some are saved already. ``gone`` was restored."""
    if os.geteuid() != 0 and state == STATE:
        raise StateError("What a section changes is kept in a directory of root: run the task with become.")
    with MEMORY.lock(state):
        known = MEMORY.recall(state)
        old = known[name].settings if name in known else {}
        settings = {key: one for key, one in old.items() if key not in gone}
        for key, value in desired.values.items():
            kept = settings.get(key)
            settings[key] = kept.again(value, desired.portals) if kept else _kept(key, seen, value, desired.portals)
        MEMORY.replace({**known, name: Section(root, settings, desired)}, state)


def restoration(kept: Mapping[str, Kept], seen: Seen) -> tuple[Plan, list[str]]:
    """What leads back, and a sentence for each setting."""
    delete: list[int] = []
    update: list[Row] = []
    overrides: dict[str, dict[str, str | None]] = {}
    messages: list[str] = []
    for key, one in sorted(kept.items()):
        setting = CATALOGUE[key]
        rows = sorted((row for row in seen.rows if row.variable == setting.variable), key=lambda row: row.id)
        now = View(setting, seen.portals, rows, seen.overrides)
        before = View(setting, seen.portals, one.rows, {scope: {key: value} for scope, value in one.overrides.items()})
        theirs = {portal for portal in one.reported_keys if not _is_ours(key, one, portal, now, before)}
        for portal in one.reported_keys:
            what = key if portal == MAIN else f"{key} of portal {portal}"
            messages.append(
                f"{what} was changed since; it stays as it is."
                if portal in theirs
                else f"{what} is {_shown(before, portal)} again."
            )
        if theirs == set(one.reported_keys):
            continue
        for row in rows:
            old = _remembered(row, one, before)
            asked = one.portals is None or row.portal in one.portals
            if not asked or row.portal in theirs or not one.made(key, row.value):
                continue
            if old is None:
                delete.append(row.id)
            elif replace(old, id=row.id) != row:
                update.append(replace(old, id=row.id))
        for scope in dict.fromkeys([*seen.overrides, *one.overrides]):
            if one.portals is not None and scope not in map(str, one.portals):
                continue
            there, expected = seen.overrides.get(scope, {}).get(key), one.overrides.get(scope)
            if there != expected and (there is None or one.made(key, there)):
                overrides.setdefault(scope, {})[key] = expected
    return Plan(tuple(delete), tuple(update), (), overrides, {}, [], False), messages


def _is_ours(key: str, one: Kept, portal: int, now: View, before: View) -> bool:
    row = now.last(portal)
    if row is None:  # as where the default was asked for, unless a row was removed
        return before.last(portal) is None and one.made(key, now.effective(portal))
    return one.made(key, row.value)


def _remembered(row: Row, one: Kept, before: View) -> Row | None:
    """The row that it was. A table that was read in again has other numbers."""
    same_row = next((old for old in one.rows if (old.id, old.portal) == (row.id, row.portal)), None)
    return same_row or before.last(row.portal)


def _shown(before: View, portal: int) -> str:
    if before.setting.secret:
        return "hidden"
    if before.last(portal) is None and before.overridden(portal) is None:
        return "not set"
    return repr(before.effective(portal))


def _kept(key: str, seen: Seen, ours: str, portals: tuple[int, ...] | None) -> Kept:
    rows = tuple(row for row in seen.rows if row.variable == CATALOGUE[key].variable)
    overrides = {scope: values[key] for scope, values in seen.overrides.items() if key in values}
    return Kept(rows, overrides, ours, portals=portals)


def _section(known: Mapping[str, Any]) -> Section:
    # A memory of an older version has no portals for each setting, but those that were asked for last.
    portals = (known.get("asked") or {}).get("portals")
    settings = {key: {"portals": portals, **one} for key, one in known["settings"].items()}
    return made(Section, {**known, "settings": settings})


MEMORY = Memory(
    "settings",
    "settings",
    SETTINGS,
    "chamilo_settings",
    60.0,
    _section,
    asdict,
    lambda one: one.root,
    lambda one: one.settings,
)
