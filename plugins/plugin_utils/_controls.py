# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of controls (meta/controls.yml), waivers, and what an observation means under both."""

from __future__ import annotations

import datetime
import difflib
import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ..module_utils._common.control import FAIL, NOT_APPLICABLE, NOT_ASSESSED, PASS
from . import _removed

TABLE = Path(__file__).resolve().parents[2] / "meta" / "controls.yml"

LEVELS = ("must", "should", "consider", "people")
# What chamilo_level may be: the last level that is enforced, in this order.
ENFORCEABLE = ("must", "should", "consider")
# Worst first: the order of every list of statuses.
STATUSES = ("fail", "not_assessed", "advice", "waived", "people", "not_applicable", "pass")
OBSERVED = (PASS, FAIL, NOT_APPLICABLE, NOT_ASSESSED)
# Worst first. critical: an attacker without a login gets in, or reads what only an administrator may read.
SEVERITIES = ("critical", "high", "medium", "low")
_SEVERITY = {"must": "high", "should": "medium", "consider": "low", "people": "low"}


class ControlError(Exception):
    """A waiver, a level or the name of a control is invalid; the text names it and what to do."""


@dataclass(frozen=True)
class Attack:
    """How the control is attacked. ``none``: why not at all."""

    where: str = ""
    vantage: str = ""
    none: str = ""


@dataclass(frozen=True)
class Fixer:
    """Which role makes the control true. ``none``: why none ever will."""

    role: str = ""
    variables: tuple[str, ...] = ()
    # Without one of these variables the role cannot enforce it, each with an example of its value.
    needs: Mapping[str, str] = field(default_factory=dict, compare=False, hash=False)
    none: str = ""


@dataclass(frozen=True)
class Control:
    id: str
    section: str
    level: str
    title: str
    guide: str
    why: str
    attack: Attack
    fixer: Fixer
    note: str = ""
    unchecked: str = ""  # why nothing on the host can show it
    critical: bool = False  # without it an attacker without a login gets in
    # Its parts that can be waived alone, as CONTROL:ITEM, and who uses each.
    items: Mapping[str, str] = field(default_factory=dict, compare=False, hash=False)

    @property
    def severity(self) -> str:
        return "critical" if self.critical else _SEVERITY[self.level]

    @property
    def fix(self) -> str:
        """What makes it true, as an instruction."""
        if self.level == "people":
            return self.guide
        if self.fixer.none:
            return self.fixer.none
        steered = f" Steered by {', '.join(self.fixer.variables)}." if self.fixer.variables else ""
        return f"Run the role chamilo.hardening.{self.fixer.role}.{steered}"


@dataclass(frozen=True)
class Section:
    id: str
    title: str
    guide: str
    afterwards: str


@dataclass(frozen=True)
class Table:
    sections: tuple[Section, ...]
    controls: tuple[Control, ...]
    by_id: Mapping[str, Control] = field(repr=False, compare=False, default_factory=dict)

    def control(self, name: str) -> Control:
        """The control of that id; an unknown one is refused with the nearest known name."""
        if name not in self.by_id:
            raise ControlError(f"There is no control {name!r}.{nearest(name, self.by_id)}")
        return self.by_id[name]

    def of(self, section: str) -> tuple[Control, ...]:
        return tuple(control for control in self.controls if control.section == section)


@dataclass(frozen=True)
class Waiver:
    """The administrator's decision to do without a control, or one item of it, until a day."""

    control: str  # or control:item
    reason: str
    owner: str
    until: datetime.date

    def holds(self, today: datetime.date) -> bool:
        return today <= self.until


def nearest(name: str, known: Iterable[str], prefix: str = "") -> str:
    """`` Did you mean a or b?`` with the nearest known names, or nothing when none is near.

    What all names begin with would make all of them look alike, so it is left aside.
    """
    tails = sorted(entry.removeprefix(prefix) for entry in known)
    close = [prefix + tail for tail in difflib.get_close_matches(name.removeprefix(prefix), tails, n=2, cutoff=0.6)]
    return f" Did you mean {' or '.join(close)}?" if close else ""


def _control(
    attack: Mapping[str, str], fixer: Mapping[str, Any], check: Mapping[str, str] | None = None, **facts: Any
) -> Control:
    known = {**fixer, "variables": tuple(fixer.get("variables", ()))}
    return Control(**facts, attack=Attack(**attack), fixer=Fixer(**known), unchecked=(check or {}).get("none", ""))


def parse(data: Any) -> Table:
    """The table out of what YAML gave. It ships with the collection, whose tests see to it that it is whole."""
    sections = tuple(Section(name, **facts) for name, facts in data["sections"].items())
    controls = tuple(_control(**row) for row in data["controls"])
    return Table(sections, controls, {control.id: control for control in controls})


@functools.lru_cache(maxsize=1)
def load() -> Table:
    """The table that ships with the collection, read once for each process."""
    return parse(load_yaml(TABLE))


def load_yaml(path: Path) -> Any:
    """The content of a file of ours. By libyaml where it is there, which is ten times faster: each task reads some."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def parse_waivers(value: Any, table: Table) -> tuple[Waiver, ...]:
    """``chamilo_waivers`` as waivers, or an error that names the entry, the field and what to do."""
    if not isinstance(value, (list, tuple)):
        raise ControlError("chamilo_waivers must be a list; each entry has control, reason, owner and until.")
    waivers: list[Waiver] = []
    for number, row in enumerate(value, 1):
        where = f"chamilo_waivers, entry {number}"
        if not isinstance(row, Mapping):
            raise ControlError(f"{where} must be a map with control, reason, owner and until.")
        if row.get("control"):
            where += f" ({row['control']})"
        fields = ("control", "reason", "owner", "until")
        for name in fields:
            if row.get(name) in (None, ""):
                raise ControlError(f"{where}: {name} is missing.")
            if isinstance(row[name], bool):
                raise ControlError(
                    f"{where}: {name} is {str(row[name]).lower()}: YAML reads on, off, yes and no that way. Put the "
                    "text in quotes."
                )
        for name in row:
            if name not in fields:
                raise ControlError(f"{where}: unknown field {name!r}.{nearest(str(name), fields)}")
        control = str(row["control"])
        if control in _removed.CONTROLS:
            raise ControlError(f"{where}: the control was removed. {_removed.CONTROLS[control]} Take the waiver out.")
        known = [*table.by_id, *(f"{one.id}:{item}" for one in table.controls for item in one.items)]
        if control not in known:
            raise ControlError(f"{where}: there is no such control.{nearest(control, known)}")
        if any(waiver.control == control for waiver in waivers):
            raise ControlError(f"{where}: the control is waived twice; keep one of the two.")
        waivers.append(Waiver(control, str(row["reason"]), str(row["owner"]), _day(row["until"], where)))
    return tuple(waivers)


def _day(value: Any, where: str) -> datetime.date:
    # YAML makes a date of 2027-01-31, quoted it stays a text.
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return value
    try:
        return datetime.datetime.strptime(str(value), "%Y-%m-%d").date()
    except ValueError:
        raise ControlError(f"{where}: until {str(value)!r} is no date; write it as YYYY-MM-DD.") from None


def parse_level(value: Any) -> str:
    if value not in ENFORCEABLE:
        raise ControlError(
            f"chamilo_level is {str(value)!r}; it must be must (only what the guide demands), should (what it "
            "recommends as well) or consider (what it asks to consider as well)."
        )
    return str(value)


def asked_for(control: Control, level: str) -> bool:
    """Whether the control is enforced at that level, waivers left aside."""
    return control.level in ENFORCEABLE[: ENFORCEABLE.index(level) + 1]


def waiver_of(control: Control, waivers: Iterable[Waiver], today: datetime.date) -> Waiver | None:
    """The waiver of the control that is active today."""
    return next((w for w in waivers if w.control == control.id and w.holds(today)), None)


def waived_items(control: str, waivers: Iterable[Waiver], today: datetime.date) -> list[str]:
    """The items of the control that are waived today."""
    parts = (w.control.partition(":") for w in waivers if w.holds(today))
    return [item for one, _colon, item in parts if item and one == control]


def enforced(control: Control, level: str, waivers: Iterable[Waiver], today: datetime.date) -> bool:
    return asked_for(control, level) and waiver_of(control, waivers, today) is None


def unenforced(table: Table, level: str, waivers: Sequence[Waiver], today: datetime.date | None = None) -> list[str]:
    """The controls that no role enforces here. Nothing else may be judged by them."""
    today = today or datetime.date.today()
    return [control.id for control in table.controls if not enforced(control, level, waivers, today)]


def status(control: Control, observed: str, level: str, waivers: Iterable[Waiver], today: datetime.date) -> str:
    """What an observation means: a failure may be waived, or be no more than advice."""
    if control.level == "people":
        return "people"
    if observed not in OBSERVED:
        raise ControlError(f"{control.id}: {observed!r} is no observation; known are {', '.join(OBSERVED)}.")
    if observed != FAIL:
        return observed
    if waiver_of(control, waivers, today):
        return "waived"
    return FAIL if asked_for(control, level) else "advice"


def rows(
    table: Table,
    observed: Mapping[str, Mapping[str, str]],
    unseen: str,
    level: str = "should",
    waivers: Sequence[Waiver] = (),
    today: datetime.date | None = None,
) -> list[dict[str, Any]]:
    """Every control with its status on one host. ``unseen`` is the evidence where nothing was observed."""
    today = today or datetime.date.today()
    result: list[dict[str, Any]] = []
    for control in table.controls:
        seen = observed.get(control.id, {"status": NOT_ASSESSED, "evidence": unseen})
        row: dict[str, Any] = {
            "id": control.id,
            "section": control.section,
            "level": control.level,
            "title": control.title,
            "status": status(control, seen["status"], level, waivers, today),
            "evidence": control.unchecked or seen["evidence"],
            "fix": control.fix,
        }
        if row["status"] == FAIL:
            row.update({name: seen[name] for name in ("waits", "cause") if seen.get(name)})
        for waiver in waivers:
            if waiver.control.partition(":")[0] == control.id:
                row["waiver"] = {
                    "reason": waiver.reason,
                    "owner": waiver.owner,
                    "until": waiver.until.isoformat(),
                    "holds": waiver.holds(today),
                }
        result.append(row)
    return result


def summary(controls: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many controls have which status; every status is there."""
    counts = dict.fromkeys(STATUSES, 0)
    for control in controls:
        counts[control["status"]] += 1
    return counts
