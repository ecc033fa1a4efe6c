# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What closes each open control, and the open controls of a host by what closes them.

The next action is one of: a role enforces it, a variable is missing, something has to be done by hand, or it is waited
for. One cause that keeps several controls open is one entry.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ._controls import SEVERITIES, Control, Table

OBSTACLE, ROLE, VARIABLE, HAND, WAITING, UNSEEN = "obstacle", "role", "variable", "hand", "waiting", "unseen"
KINDS = (OBSTACLE, ROLE, VARIABLE, HAND, WAITING, UNSEEN)
# How each is called where it is shown.
HEADS = {
    OBSTACLE: "In the way",
    ROLE: "Harden enforces",
    VARIABLE: "Variable missing",
    HAND: "By hand",
    WAITING: "Waiting",
    UNSEEN: "Not assessed",
}
OPEN = ("fail", "not_assessed")
# What the host does after the run: the controls that are met when it has ended well.
_BEHIND = {
    "backup": ("backups_database", "backups_files", "backups_offsite"),
    "drill": ("backups_restore_tested",),
}
# How the last screen names what a host observed, and how severe it is.
_STATES = {
    "broken": (HAND, "high"),
    "red": (HAND, "high"),
    "open": (HAND, "medium"),
    "not looked at": (UNSEEN, "medium"),
    "locked": (HAND, "low"),
    "waiting": (WAITING, "low"),
}
_MOST = 1500  # characters of a host's answer in an instruction


@dataclass(frozen=True)
class Action:
    """``text`` is the instruction. Controls with the same kind and text have one cause."""

    kind: str
    text: str


def is_set(value: Any) -> bool:
    return value not in (None, "", [], {})


def missing(control: Control, variables: Mapping[str, Any]) -> Action | None:
    """The variable without which no role can enforce the control, where none of those that would do is set."""
    needs = control.fixer.needs
    if not needs or any(is_set(variables.get(name)) for name in needs):
        return None
    name, example = next(iter(needs.items()))
    return Action(VARIABLE, f"Set {' or '.join(needs)}, for example {name}: {example}")


def action(
    control: Control, row: Mapping[str, Any], variables: Mapping[str, Any], active: Collection[str], stuck: bool
) -> Action:
    """What closes this control. ``active``: the sections that were enforced on the host before.

    What follows from a fault elsewhere (its ``cause``) is closed where that is mended. A role that ran and left the
    control open (``stuck``) does not close it by another run.
    """
    if row["status"] == "not_assessed":
        return Action(UNSEEN, _first(row["evidence"]))
    if row.get("waits"):
        return Action(WAITING, _first(row["waits"]))
    if control.fixer.role and (lacking := missing(control, variables)):
        return lacking
    if row.get("cause"):
        return Action(HAND, _first(row["cause"]))
    if control.fixer.role and (control.fixer.role not in active or not stuck):
        return Action(ROLE, "harden enforces it")
    if not control.fixer.role:
        return Action(HAND, f"{_first(row['evidence'])} {control.fix}".strip())
    return Action(HAND, _first(row["evidence"]))


def _first(text: str) -> str:
    """The text, shortened to what fits into a list."""
    text = " ".join(str(text).split())
    return text if len(text) <= _MOST else f"{text[:_MOST].rsplit(' ', 1)[0]} ..."


def annotate(
    rows: Iterable[dict[str, Any]],
    table: Table,
    variables: Mapping[str, Any],
    active: Collection[str],
    earlier: Mapping[str, Mapping[str, Any]],
) -> None:
    """Give each open row its severity and its next action. ``earlier``: what was known of each control before."""
    for row in rows:
        control = table.by_id.get(row["id"])
        if control is None or row["status"] not in OPEN:
            continue
        # Was it met at any time, something changed since.
        known = earlier.get(row["id"])
        stuck = known is not None and not known.get("met")
        next_ = action(control, row, variables, active, stuck)
        row["severity"] = control.severity
        row["next"] = {"kind": next_.kind, "text": next_.text}


def causes(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The open controls by what closes them, the most severe first."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        if "next" not in row:
            continue
        kind, text = row["next"]["kind"], row["next"]["text"]
        # What harden closes is many and one step: by severity, so that the worst stand alone.
        key = (kind, row["severity"] if kind == ROLE else text)
        cause = found.setdefault(key, {"kind": kind, "text": text, "severity": row["severity"], "controls": []})
        cause["controls"].append(row["id"])
        cause["severity"] = min(cause["severity"], row["severity"], key=SEVERITIES.index)
    return sorted(found.values(), key=_order)


def _order(cause: Mapping[str, Any]) -> tuple[int, int, int]:
    return (SEVERITIES.index(cause["severity"]), KINDS.index(cause["kind"]), -len(cause["controls"]))


def lacking(enforced: Iterable[Control], variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Which controls no role can enforce here for want of a variable, as causes: known before any host is asked."""
    rows = [
        {"id": control.id, "severity": control.severity, "next": {"kind": found.kind, "text": found.text}}
        for control in enforced
        if (found := missing(control, variables))
    ]
    return causes(rows)


def hindered(
    severities: Mapping[str, str], obstacles: Iterable[Mapping[str, Any]], left: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The controls that a run did not enforce for what was in the way, or for a task that failed, as causes.

    ``severities``: of the controls that it was to enforce. ``left``: the sections of which it enforced nothing.
    """
    costs = {one["why"]: (one["sections"], one["controls"]) for one in obstacles}
    for section, why in left.items():
        costs.setdefault(why, ([section], []))
    rows = [
        {"id": control, "severity": severity, "next": {"kind": OBSTACLE, "text": why}}
        for why, (sections, controls) in costs.items()
        for control, severity in severities.items()
        if control in controls or any(control.startswith(f"{section}_") for section in sections)
    ]
    return causes(rows)


def begun(severities: Mapping[str, str], jobs: Collection[str]) -> list[dict[str, Any]]:
    """The controls that wait for the first backup and restore test, which go on on the host after the run."""
    waiting = [name for job in jobs for name in _BEHIND[job] if name in severities]
    words = "The first backup and restore test go on on the host. See there: chamilo-hardening status"
    return causes(
        {"id": name, "severity": severities[name], "next": {"kind": WAITING, "text": words}} for name in waiting
    )


def observed(entries: Iterable[Mapping[str, str]], known: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What a host itself observed to be otherwise than it should be, as causes, each with the command that ends it.

    ``known``: the other causes. Of a section with one of them only what is broken or locked is news.
    """
    sections = {name.partition("_")[0] for cause in known for name in cause["controls"]}
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for one in entries:
        section, state = one["section"].partition(":")[0], one["state"]
        if state not in ("broken", "locked") and section.partition("_")[0] in sections:
            continue
        kind, severity = _STATES[state]
        # What one command ends is one line, and its first reason stands for all.
        key = (one["next"], state)
        about = f"{section}: " if section else ""
        text = f"{about}{one['why'].rstrip('.')}. On the host: {one['next']}"
        found.setdefault(key, {"kind": kind, "text": text, "severity": severity, "controls": []})
    return sorted(found.values(), key=_order)


def merge(hosts: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """The causes of several hosts as one list; each names its hosts and all controls that it keeps open."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for host, entries in hosts.items():
        for entry in entries:
            key = (entry["kind"], entry["text"], entry["severity"])
            cause = found.setdefault(key, {**entry, "controls": [], "hosts": []})
            cause["hosts"].append(host)
            cause["controls"] += [name for name in entry["controls"] if name not in cause["controls"]]
    return sorted(found.values(), key=_order)
