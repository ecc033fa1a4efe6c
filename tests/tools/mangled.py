# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accidents among lines of ours in a file of an owner."""

from __future__ import annotations

import random


def mangled(text: str, chance: random.Random) -> str:
    """A file of an owner after an accident among our lines, and an edit of his own far from it."""
    lines = text.splitlines(keepends=True)
    ours, within = [], False
    for number, line in enumerate(lines):
        within = within or "# BEGIN chamilo.hardening" in line
        ours += [number] if within else []
        within = within and "# END chamilo.hardening" not in line
    theirs = {line.strip() for number, line in enumerate(lines) if number not in ours}
    for number in chance.sample(ours, chance.randint(1, min(len(ours), 4))):
        line = lines[number]
        how = chance.choice(["removed", "doubled", "halved", *(["moved"] if line.strip() not in theirs else [])])
        lines[number] = {"doubled": line * 2, "halved": line[: len(line) * 2 // 3] + "\n"}.get(how, "")
        if how == "moved":
            other = chance.choice([other for other in range(len(lines)) if other not in ours])
            lines[other] += line
    return "".join(["# first\n", *lines])
