# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host program shows a person: tables, and its commands by what they are for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .undo import KINDS

# Each command that a person needs, by the task. What is in capitals is to be filled in.
TASKS = (
    ("See what is active, and what was edited by hand", ("status",)),
    ("See what the security guide asks for and this host does not meet", ("audit",)),
    ("Bring back files and lines of the collection that were edited or removed", ("repair",)),
    ("Undo a section after which the site is not as it was", ("undo SECTION",)),
    ("Unlock an account, or an address that was banned", ("unlock", "unlock USER", "unlock ADDRESS")),
    ("Update Chamilo, or leave it as it was", ("update PACKAGE --sha256 SUM", "update --abandon")),
    ("Update Chamilo through the browser", ("window open --from ADDRESS", "migrate", "window close")),
    ("Accept the program's files as they are, after an update", ("integrity accept",)),
    ("Back up now, and test whether it can be restored", ("backup", "drill")),
    ("Restore the portal, or one file of it", ("restore host", "restore file PATH")),
    ("Test whether alerts arrive", ("alert --test",)),
    ("Do the daily work now, or scan uploads", ("daily", "scan")),
)


def by_task() -> str:
    lines = ["by task:"]
    for task, commands in TASKS:
        lines += [f"  {task}", *(f"      chamilo-hardening {command}" for command in commands)]
    return "\n".join(lines)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows in columns, the heads first. The last column is as wide as it is."""
    widths = [max(map(len, column)) for column in zip(*([heads, *rows]))][:-1]
    return ["   ".join([*map(str.ljust, row, widths), row[-1]]).rstrip() for row in (heads, *rows)]


def sections(known: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """What ``status`` lists as active, and what is written and without effect."""
    rows, notes, idle = [], {}, []
    for name, section in sorted(known["sections"].items()):
        number = len(section["files"]) - len(section["unused"])
        below = [f"edited by hand since: {path}" for path in section["edited"] if path not in section["unused"]]
        below += section["lost"]
        if number:
            since = section["since"][:16].replace("T", " ") + " UTC"
            rows.append((name, since, f"{number} file{'s' * (number != 1)}"))
            notes[len(rows)] = below
        idle += [f"{name}: no virtual host includes {path}" for path in section["unused"]]
    for kind in KINDS:
        rows += [(name, "", f"{kind.words}: {', '.join(keys)}") for name, keys in known[kind.memory.name].items()]
    if not rows:
        return [], idle
    lines = []
    for number, line in enumerate(table(("SECTION", "SINCE", "WHAT"), rows)):
        lines += [line, *(f"  {note}" for note in notes.get(number, ()))]
    return lines, idle
