# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Platform settings: the statements that lead from the present rows to the desired values.

Nothing is read or written here. How the application finds a value, and what follows for this engine:

* An entry of the override file wins. Else the main portal uses its own row, and another portal its own row where the
  main row may be changed or is missing, else the main row; without a row the default counts.
* A row counts only under its category. Of two rows the last one counts. The table's unique key stops no doubles,
  because the subkey is NULL; so rows are changed by their id, and inserted only where there is none.
"""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Optional, Union

from .._application.catalogue import CATALOGUE, Setting
from .._application.overrides import Overrides, wins
from .._common.errors import HardeningError

MAIN = 1
HIDDEN = "********"
Statement = tuple[str, list[Union[str, int]]]


class SettingsError(HardeningError):
    """What is asked for cannot be. Nothing was written."""


@dataclass(frozen=True)
class Row:
    """A row of the table, without a subkey. ``id`` 0: not there yet."""

    id: int
    portal: int
    category: str
    variable: str
    value: str
    changeable: bool = True


@dataclass(frozen=True)
class Seen:
    """What is there: portals by number, their rows, the contents of the override file."""

    portals: Mapping[int, str]
    rows: Sequence[Row]
    overrides: Overrides
    version: str = ""  # of the application; empty where it is not known


@dataclass(frozen=True)
class Desired:
    """What is asked for. ``portals``: None for all. ``lock``, ``pin``: None leaves them as they are."""

    values: Mapping[str, str]
    reset: Sequence[str] = ()
    portals: Optional[tuple[int, ...]] = None  # noqa: UP045 (Python 3.9 evaluates these)
    lock: Optional[bool] = None  # noqa: UP045
    pin: Optional[bool] = None  # noqa: UP045

    @property
    def variables(self) -> list[str]:
        """All that has to be read from the table."""
        return sorted({CATALOGUE[key].variable for key in self.values})

    @property
    def secret(self) -> bool:
        return any(CATALOGUE[key].secret for key in self.values)

    def to_json(self) -> dict[str, Any]:
        return dict(json.loads(json.dumps(asdict(self))))


@dataclass(frozen=True)
class Plan:
    """What has to be done, and what it will be like then."""

    delete: tuple[int, ...]
    update: tuple[Row, ...]
    insert: tuple[Row, ...]
    overrides: dict[str, dict[str, str | None]]
    settings: dict[str, dict[str, Any]]
    repaired: list[dict[str, Any]]
    sessions_hold_old_values: bool

    @property
    def changes_rows(self) -> bool:
        return bool(self.delete or self.update or self.insert)

    def statements(self) -> list[Statement]:
        """At most one of each kind, however many settings there are."""
        found: list[Statement] = []
        if self.delete:
            found.append((f"DELETE FROM settings WHERE id IN ({_places(self.delete)})", [*self.delete]))
        if self.update:
            sets, params = [], list[Union[str, int]]()
            columns = (("category", "category"), ("selected_value", "value"), ("access_url_changeable", "changeable"))
            for column, field in columns:
                sets.append(f"{column} = CASE id{' WHEN %s THEN %s' * len(self.update)} END")
                for row in self.update:
                    value = getattr(row, field)
                    params += [row.id, int(value) if isinstance(value, bool) else value]
            ids = [row.id for row in self.update]
            found.append((f"UPDATE settings SET {', '.join(sets)} WHERE id IN ({_places(ids)})", [*params, *ids]))
        if self.insert:
            rows = ", ".join(["(%s, %s, %s, %s, %s, '', %s, 0)"] * len(self.insert))
            params = []
            for row in self.insert:
                title = CATALOGUE[f"{row.category}.{row.variable}"].title
                params += [row.portal, row.variable, row.category, row.value, title, int(row.changeable)]
            found.append(
                (
                    "INSERT INTO settings (access_url, variable, category, selected_value, title, scope,"
                    f" access_url_changeable, access_url_locked) VALUES {rows}",
                    params,
                )
            )
        return found


def _places(values: Sequence[Any]) -> str:
    return ", ".join(["%s"] * len(values))


# ------------------------------------------------------------------------------------------------ what is asked for


def desired(
    settings: Mapping[str, Any],
    secret_settings: Mapping[str, Any],
    reset: Sequence[str],
    access_url: Sequence[str],
    lock: bool | None,
    pin: bool | None,
) -> Desired:
    """The desired state that the options of the module express; raises where they are invalid."""
    doubles = [key for key, count in Counter([*settings, *secret_settings, *dict.fromkeys(reset)]).items() if count > 1]
    if doubles:
        raise SettingsError(f"{doubles[0]} is asked for twice. Name it once, in settings, secret_settings or reset.")
    values = {}
    for key, value in [*settings.items(), *secret_settings.items()]:
        setting = known(key)
        if setting.secret and key in settings:
            raise SettingsError(f"{key} may contain a password. Give it in secret_settings: it must not be logged.")
        values[key] = as_text(setting, value)
    values.update({key: known(key).default for key in reset})
    if not values:
        raise SettingsError("Nothing is asked for. Give settings or reset.")
    portals = None if list(access_url) == ["all"] else _numbers(access_url)
    if lock is not None and portals is not None and MAIN not in portals:
        raise SettingsError("lock is about the row of the main portal. Give access_url: all, or 1 among the numbers.")
    return Desired(values, tuple(sorted(set(reset))), portals, lock, pin)


def known(key: str) -> Setting:
    """The setting of that name; an unknown one is refused with the three nearest."""
    if key in CATALOGUE:
        return CATALOGUE[key]
    near = difflib.get_close_matches(key, list(CATALOGUE), n=3, cutoff=0)
    # The right name under another category is the usual mistake.
    same = [name for name in CATALOGUE if name.partition(".")[2] == key.rpartition(".")[2]]
    first, second, third = list(dict.fromkeys([*same, *near]))[:3]
    raise SettingsError(f"There is no setting {key!r}. Did you mean {first}, {second} or {third}? Nothing was written.")


def _numbers(access_url: Sequence[str]) -> tuple[int, ...]:
    if not access_url or not all(word.isascii() and word.isdigit() for word in access_url):
        raise SettingsError("access_url is all, or a list of portal numbers such as [1, 3].")
    return tuple(sorted({int(word) for word in access_url}))


def as_text(setting: Setting, value: Any) -> str:
    """The value as stored in the table."""
    if value is None:
        value = ""
    wrong = {
        "bool": "true or false",
        "int": "a whole number",
        "list": f"a list of words without {setting.separator!r}, or one text",
        "json": "a map, or JSON text of one",
        "text": "a text" if not setting.choices else " or ".join(setting.choices),
    }[setting.type]
    text = _written(setting, value)
    if text is None:
        shown = "that value" if setting.secret else repr(value)
        raise SettingsError(f"{setting.key} takes {wrong}, not {shown}. Nothing was written.")
    if setting.type == "json" and text:
        _complete(setting, json.loads(text))
    return text


def _written(setting: Setting, value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower() if setting.type in ("bool", "text") and not setting.choices else None
    if isinstance(value, int):
        value = str(value)
    if setting.type == "list" and isinstance(value, (list, tuple)):
        words = [str(word) for word in value]
        simple = all(isinstance(word, (str, int)) for word in value) and not any(setting.separator in w for w in words)
        return setting.separator.join(words) if simple else None
    if setting.type == "json" and isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if not isinstance(value, str) or "\0" in value:
        return None
    if value == "" == setting.default:
        return value
    if setting.type == "bool":
        return value.lower() if value.lower() in ("true", "false") else None
    if setting.type == "int":
        return value if value.isascii() and value.isdigit() else None
    if setting.type == "json":
        return value if isinstance(_loaded(value), dict) else None
    if setting.choices:
        return value if value in setting.choices else None
    return value


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _complete(setting: Setting, value: Any) -> None:
    for path in setting.members:
        found = value
        for name in path.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        if not isinstance(found, int) or isinstance(found, bool) or found < 0:
            raise SettingsError(
                f"{setting.key} needs a whole number at {path}: the application reads {', '.join(setting.members)}"
                " without a default. Nothing was written."
            )


# ------------------------------------------------------------------------------------------------- what has to be done


def plan(desired: Desired, seen: Seen) -> Plan:
    """What leads from what is there to what is asked for."""
    portals = dict(seen.portals) or {MAIN: ""}
    unknown = [str(number) for number in desired.portals or () if number not in portals]
    if unknown:
        there = ", ".join(f"{number} ({url})" for number, url in sorted(portals.items()))
        raise SettingsError(f"There is no portal {', '.join(unknown)}. There are: {there}. Nothing was written.")
    strange = [words for key in sorted(desired.values) for words in _of_another(CATALOGUE[key], seen.version)]
    if strange:
        raise SettingsError(f"{' '.join(strange)} Remove {'it' if len(strange) == 1 else 'them'}. Nothing was written.")
    todo = [_one(CATALOGUE[key], expected, desired, seen, portals) for key, expected in sorted(desired.values.items())]
    overrides: dict[str, dict[str, str | None]] = {}
    for one in todo:
        for scope, value in one.overrides.items():
            overrides.setdefault(scope, {})[one.setting.key] = value
    return Plan(
        delete=tuple(row.id for one in todo for row in one.delete),
        update=tuple(row for one in todo for row in one.update),
        insert=tuple(row for one in todo for row in one.insert),
        overrides=overrides,
        settings={one.setting.key: one.result() for one in todo},
        repaired=[entry for one in todo for entry in one.repaired],
        sessions_hold_old_values=any(one.kept_by_sessions() for one in todo),
    )


def same(setting: Setting, one: str | None, other: str | None) -> bool:
    """Do two values mean the same to the application?"""
    if one is None or other is None:
        return one is other
    if one == other:
        return True
    if setting.type != "json":
        return False
    return _loaded(one) is not None and _loaded(one) == _loaded(other)


@dataclass
class View:
    """The present state of one setting: the rows that count, and the entry of the file."""

    setting: Setting
    portals: Mapping[int, str]
    rows: Sequence[Row]
    overrides: Overrides

    def last(self, portal: int) -> Row | None:
        right = [row for row in self.rows if row.portal == portal and row.category.lower() == self.setting.category]
        return right[-1] if right else None

    def stored(self, portal: int) -> str | None:
        row = self.last(portal)
        return None if row is None else row.value

    def overridden(self, portal: int) -> str | None:
        return wins(self.overrides, str(portal), self.setting.key)

    def in_database(self, portal: int) -> str:
        main, own = self.last(MAIN), self.last(portal)
        row = own if own and (main is None or main.changeable) else main
        return self.setting.default if row is None else row.value

    def effective(self, portal: int) -> str:
        over = self.overridden(portal)
        return self.in_database(portal) if over is None else over

    @property
    def locked(self) -> bool:
        main = self.last(MAIN)
        return main is not None and not main.changeable

    def result(self) -> dict[str, Any]:
        def shown(value: str | None) -> str | None:
            return HIDDEN if value and self.setting.secret else value

        numbers = sorted(self.portals)
        return {
            "stored": {str(number): shown(self.stored(number)) for number in numbers},
            "overridden": {str(number): shown(self.overridden(number)) for number in numbers},
            "effective": {str(number): shown(self.effective(number)) for number in numbers},
            "default": self.setting.default,
            "locked": self.locked,
        }


@dataclass
class _Todo:
    """What one setting needs."""

    setting: Setting
    before: View
    after: View
    delete: list[Row]
    update: list[Row]
    insert: list[Row]
    overrides: dict[str, str | None]
    repaired: list[dict[str, Any]]

    def result(self) -> dict[str, Any]:
        return {
            "before": self.before.result(),
            "after": self.after.result(),
            "changed": bool(self.delete or self.update or self.insert or self.overrides),
        }

    def kept_by_sessions(self) -> bool:
        if self.setting.at_once or self.after.overridden(MAIN) is not None:
            return False
        return self.before.effective(MAIN) != self.after.effective(MAIN)


def _one(setting: Setting, expected: str, desired: Desired, seen: Seen, portals: Mapping[int, str]) -> _Todo:
    rows = sorted((row for row in seen.rows if row.variable == setting.variable), key=lambda row: row.id)
    managed = sorted(portals) if desired.portals is None else list(desired.portals)
    todo = _Todo(
        setting, View(setting, portals, rows, seen.overrides), View(setting, portals, [], {}), [], [], [], {}, []
    )
    kept = [row for row in rows if row.portal not in managed]
    for portal in managed:
        here = [row for row in rows if row.portal == portal]
        right = [row for row in here if row.category.lower() == setting.category]
        stale = [row for row in here if row not in right]
        main = portal == MAIN
        # Without a row the main portal uses the default, and another one what the main portal has.
        needed = setting.key not in desired.reset if main else desired.portals is not None
        keeper = right[-1] if right else stale[-1] if stale and needed else None
        for row in here:
            if row is not keeper:
                todo.delete.append(row)
            if row in stale:
                todo.repaired.append(_repair(setting, row, "stale_category"))
            elif row is not keeper:
                todo.repaired.append(_repair(setting, row, "duplicate"))
        changeable = not desired.lock if main and desired.lock is not None else None
        if keeper is not None:
            new = keeper
            if keeper in stale:
                new = replace(new, category=setting.category)
            if not same(setting, keeper.value, expected):
                new = replace(new, value=expected)
            if changeable is not None:
                new = replace(new, changeable=changeable)
            if new != keeper:
                todo.update.append(new)
            kept.append(new)
        elif needed:
            new = Row(0, portal, setting.category, setting.variable, expected, changeable is not False)
            todo.insert.append(new)
            kept.append(new)
    overrides = _pins(setting, expected, desired, managed, seen.overrides)
    todo.overrides = overrides
    after = {scope: dict(settings) for scope, settings in seen.overrides.items()}
    for scope, value in overrides.items():
        if value is None:
            del after[scope][setting.key]
        else:
            after.setdefault(scope, {})[setting.key] = value
    todo.after = View(setting, portals, kept, after)
    for portal in managed:
        _refuse_ineffective(todo.after, expected, portal)
    return todo


def _repair(setting: Setting, row: Row, kind: str) -> dict[str, Any]:
    value = HIDDEN if setting.secret and row.value else row.value
    return {"setting": setting.key, "portal": row.portal, "kind": kind, "category": row.category, "value": value}


def _pins(
    setting: Setting, expected: str, desired: Desired, managed: Sequence[int], overrides: Overrides
) -> dict[str, str | None]:
    """The entries of this setting that the override file needs, by scope."""
    named = [scope for scope, settings in overrides.items() if setting.key in settings]
    if desired.pin is False:
        gone = named if desired.portals is None else [scope for scope in named if scope in map(str, managed)]
        return dict.fromkeys(gone)
    if desired.portals is None:
        # An entry with another value would win over the database, so it is changed in every scope.
        scopes = list(dict.fromkeys([*named, *(["default"] if desired.pin else [])]))
        return {
            scope: expected
            for scope in scopes
            if not same(setting, overrides.get(scope, {}).get(setting.key), expected)
        }
    found: dict[str, str | None] = {}
    for portal in managed:
        over = (
            overrides.get(str(portal), {}).get(setting.key)
            if desired.pin
            else wins(overrides, str(portal), setting.key)
        )
        if (over is not None or desired.pin) and not same(setting, over, expected):
            found[str(portal)] = expected
    return found


def _refuse_ineffective(after: View, expected: str, portal: int) -> None:
    """Refuse what would be written and have no effect."""
    setting = after.setting
    over = after.overridden(portal)
    if over is not None and not same(setting, over, expected):
        raise SettingsError(
            f"{setting.key} of portal {portal} would have no effect: config/settings_overrides.yaml sets it for all"
            " portals, and pin: false for one portal leaves that alone. Nothing was written."
        )
    if over is None and not same(setting, after.in_database(portal), expected):
        raise SettingsError(
            f"{setting.key} of portal {portal} would have no effect: the main portal's row is locked. Unlock it with"
            " access_url: [1] and lock: false, or set it for all portals. Nothing was written."
        )


def _of_another(setting: Setting, version: str) -> list[str]:
    """Why a version does not know a setting, which it would silently ignore; nothing where it does."""
    there = _version(version)
    if not there or _version(setting.since) <= there < (_version(setting.until) or (there[0] + 1, 0)):
        return []
    known = f"from Chamilo {setting.since} on{f' and before {setting.until}' if setting.until else ''}"
    return [f"{setting.key} is a setting {known}, and this is {version}."]


def _version(text: str) -> tuple[int, ...]:
    parts = text.split(".")[:2]
    return tuple(int(part) for part in parts) if len(parts) == 2 and all(part.isdigit() for part in parts) else ()


def lines(settings: Mapping[str, Mapping[str, Any]], moment: str) -> str:
    """The stored and active values, a line for each: one side of a diff."""
    found = []
    for key, result in settings.items():
        view = result[moment]
        for portal, effective in view["effective"].items():
            stored = view["stored"][portal]
            notes = [] if stored == effective else ["no row" if stored is None else f"{stored!r} stored"]
            notes += ["locked"] if view["locked"] and portal == str(MAIN) else []
            more = f" ({', '.join(notes)})" if notes else ""
            found.append(f"{key} of portal {portal}: {effective!r}{more}\n")
    return "".join(found)
