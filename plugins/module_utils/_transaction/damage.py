# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was done to our lines in files of an owner since they were written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from .._common.files import StateError, Tree
from .._common.markers import MarkerError, strip, sums
from .our_lines import of, places_of, site_of, text_of


def lost(state: Mapping[str, Any]) -> dict[str, list[str]]:
    """What is gone or damaged of the lines of each section in files that are their owner's, in sentences."""
    return {name: _lost(name, record) for name, record in state["records"].items()}


def _lost(name: str, record: Mapping[str, Any]) -> list[str]:
    """What is gone of our lines, or damaged. Where between the owner's lines they stand is for the owner to decide."""
    found = []
    with Tree() as tree:
        for path, known in sorted(of(record).items()):
            try:
                places = places_of(tree, path, known, site_of(name))
            except StateError as problem:
                found.append(str(problem))
                continue
            there: Counter[str] = Counter()
            damaged = []
            for file in places:
                text = text_of(tree.inspect(file))
                there |= Counter(sums(text, site_of(name)))
                try:
                    strip(text, site_of(name))
                except MarkerError as problem:
                    damaged.append(f"{file} {problem}")
            missing = Counter(known["blocks"]) - there
            found += damaged
            if not places:
                found.append(f"{known['file']} is not there any more.")
            elif missing and not damaged:
                number, total = sum(missing.values()), len(known["blocks"])
                found.append(f"{known['file']}: lines of {name} are gone, in {number} of {total} places.")
    return found
