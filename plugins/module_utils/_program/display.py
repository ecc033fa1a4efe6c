# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host program shows a person of the state of its host."""

from __future__ import annotations

from collections.abc import Sequence

from .state import STATES, State
from .undo import KINDS


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows in columns, the heads first. The last column is as wide as it is."""
    widths = [max(map(len, column)) for column in zip(*([heads, *rows]))][:-1]
    return ["   ".join([*map(str.ljust, row, widths), row[-1]]).rstrip() for row in (heads, *rows)]


def lines(known: State) -> list[str]:
    """What ``status`` prints: what is active, then what is not as it should be, each with what ends it."""
    rows = []
    for name, section in sorted(known.sections.items()):
        if number := len(section["files"]) - len(section["unused"]):
            since = section["since"][:16].replace("T", " ") + " UTC"
            rows.append((name, since, f"{number} file{'s' * (number != 1)}"))
    for kind in KINDS:
        kept = known.kept[kind.memory.name]
        rows += [(name, "", f"{kind.words}: {', '.join(keys)}") for name, keys in kept.items()]
    active = [f"  {line}" for line in table(("SECTION", "SINCE", "WHAT"), rows)] if rows else []
    found = ["", "Active:" if active else "No section is active.", *active]
    for state in STATES:
        entries = [one for one in known.entries if one.state == state]
        found += ["", f"{state.capitalize()}:"] if entries else []
        for one in entries:
            about = f"{one.section}: " if one.section else ""
            found += [f"  {about}{one.why}", f"      {one.next}"]
    if known.sections or rows:
        found += ["", "To restore the state before: chamilo-hardening undo SECTION"]
    return found
