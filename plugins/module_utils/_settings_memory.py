# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""What platform settings were before a section first changed them, so that undoing the section brings them back."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.chamilo.hardening.plugins.module_utils._catalogue import CATALOGUE
from ansible_collections.chamilo.hardening.plugins.module_utils._settings import MAIN, Plan, Row, Seen, Wish, same
from ansible_collections.chamilo.hardening.plugins.module_utils._state import STATE, StateError, Store, replace_file

FILE = "settings.json"
_LOCK_SECONDS = 60.0


@dataclass(frozen=True)
class Kept:
    """One setting: its rows and overrides before our first change, and what we made of it."""

    rows: tuple[Row, ...]
    overrides: Mapping[str, str]
    ours: str


@dataclass(frozen=True)
class Memory:
    """The settings of one section and portal, and what was asked for last."""

    root: str
    settings: Mapping[str, Kept]
    asked: Wish | None = None


def remember(name: str, root: str, seen: Seen, wish: Wish, state: str = STATE, gone: Collection[str] = ()) -> None:
    """Keep what is there now, unless something is kept already. ``gone`` was brought back."""
    if os.geteuid() != 0 and state == STATE:
        raise StateError("What a section changes is kept in a folder of root's: run the task with become.")
    with Store(state).lock("chamilo_settings", _LOCK_SECONDS):
        known = recall(state)
        old = known[name].settings if name in known else {}
        found = {key: _kept(key, seen, value) for key, value in wish.values.items()}
        merged = {**found, **{key: one for key, one in old.items() if key not in gone}}
        settings = {key: Kept(one.rows, one.overrides, wish.values.get(key, one.ours)) for key, one in merged.items()}
        _write({**known, name: Memory(root, settings, wish)}, state)


def recall(state: str = STATE) -> dict[str, Memory]:
    """All that is kept, by the name of section and portal."""
    path = os.path.join(state, FILE)
    try:
        with open(path, encoding="utf-8") as file:
            known = json.load(file)
        return {name: _memory(one) for name, one in known.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise StateError(f"{path} is damaged: {problem}.") from problem


def forget(name: str, state: str = STATE) -> None:
    """It was brought back."""
    with Store(state).lock("chamilo_settings", _LOCK_SECONDS):
        known = recall(state)
        known.pop(name, None)
        _write(known, state)


def way_back(kept: Mapping[str, Kept], seen: Seen) -> tuple[Plan, list[str]]:
    """What leads back, and a sentence for each setting."""
    delete: list[int] = []
    update: list[Row] = []
    overrides: dict[str, dict[str, str | None]] = {}
    said: list[str] = []
    for key, one in sorted(kept.items()):
        setting = CATALOGUE[key]
        now = {row.id: row for row in seen.rows if row.variable == setting.variable}
        main = next((row for row in now.values() if (row.portal, row.category) == (MAIN, setting.category)), None)
        if main is None or not same(setting, main.value, one.ours):
            said.append(f"{key} was changed by somebody else since; it stays as it is.")
            continue
        before = {row.id: row for row in one.rows}
        delete += [number for number in now if number not in before]
        update += [row for number, row in before.items() if number in now and now[number] != row]
        for scope, values in seen.overrides.items():
            if values.get(key) != one.overrides.get(scope):
                overrides.setdefault(scope, {})[key] = one.overrides.get(scope)
        was = next((row.value for row in one.rows if (row.portal, row.category) == (MAIN, setting.category)), None)
        shown = "hidden" if setting.secret else "not set" if was is None else f"{was!r}"
        said.append(f"{key} is {shown} again.")
    return Plan(tuple(delete), tuple(update), (), overrides, {}, [], [], False), said


def _kept(key: str, seen: Seen, ours: str) -> Kept:
    rows = tuple(row for row in seen.rows if row.variable == CATALOGUE[key].variable)
    overrides = {scope: values[key] for scope, values in seen.overrides.items() if key in values}
    return Kept(rows, overrides, ours)


def _memory(known: Mapping[str, Any]) -> Memory:
    return Memory(
        known["root"],
        {
            key: Kept(tuple(Row(**row) for row in one["rows"]), dict(one["overrides"]), one["ours"])
            for key, one in known["settings"].items()
        },
        Wish.from_json(known["asked"]) if known.get("asked") else None,
    )


def _write(known: Mapping[str, Memory], state: str) -> None:
    found = {
        name: {
            "root": one.root,
            "settings": {key: asdict(kept) for key, kept in one.settings.items()},
            "asked": one.asked.to_json() if one.asked else None,
        }
        for name, one in known.items()
    }
    replace_file(os.path.join(state, FILE), json.dumps(found))
