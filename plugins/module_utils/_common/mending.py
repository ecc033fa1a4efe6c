# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Marked lines that were damaged, made whole again by the text as it was once written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .markers import has_marks, sites, whole_blocks

_FEW = 3  # characters that may be the rest of a line of ours, where a block of ours stood


@dataclass(frozen=True)
class _Part:
    """A whole block, or a line of anything else."""

    text: str
    lines: frozenset[str] = frozenset()  # of a block of this site, with those of the owner that it stands for

    @property
    def key(self) -> str:
        return self.text if self.lines else self.text.strip()

    def has(self, line: str) -> bool:
        """Whether a line is one of this block, or what is left of one."""
        return line in self.lines or (
            len(line) >= _FEW and any(one.startswith(line) or one.endswith(line) for one in self.lines)
        )


def mended(text: str, written: str, site: str) -> str:
    """The text with each block of a site as it was written, wherever something is left of it or of its place.

    ``written``: the whole file as it was then. All that cannot be recognised as ours stays. A block whose place is gone
    too, such as with a virtual host that its owner deleted, is gone for good.
    """
    if text == written:
        return text
    before, now = list(_parts(written, site)), list(_parts(text, site))
    same = _same([one.key for one in before], [one.key for one in now])
    missing = [was for was, one in enumerate(before) if one.lines and was not in same]
    kept = set()
    for at, part in enumerate(now):  # its owner may have moved it as a whole; more of them than there were are copies
        there = [was for was in missing if before[was].key == part.key]
        if part.lines and at not in same.values() and there:
            missing.remove(there[0])
            kept.add(at)
    # Of what is gone, the lines that no owner wrote are ours wherever they are now.
    strange = {line.strip() for was in missing for line in before[was].text.split("\n")} - {one.key for one in before}
    kept |= {at for at, one in enumerate(now) if not one.lines and one.key not in strange}
    kept -= {at for at, one in enumerate(now) if not one.lines and has_marks(one.text, site)}
    result, was, at = "", 0, 0
    for next_was, next_at in [*sorted(same.items()), (len(before), len(now))]:
        due = [number for number in missing if was <= number < next_was]
        gap = [(now[number], number in kept) for number in range(at, next_at)]
        for part in [*_filled(before, due, gap, was, next_was), *now[next_at : next_at + 1]]:
            result = _joined(result, part)
        was, at = next_was + 1, next_at + 1
    return result


def _same(before: Sequence[str], now: Sequence[str]) -> dict[int, int]:
    """Which of them stayed, by their order: as much text as can be."""
    size = min(len(before), len(now))
    head = next((at for at in range(size) if before[at] != now[at]), size)
    tail = next((at for at in range(size - head) if before[-1 - at] != now[-1 - at]), size - head)
    old, new = before[head : len(before) - tail], now[head : len(now) - tail]
    best = [[0] * (len(new) + 1) for _one in range(len(old) + 1)]  # of what begins there
    for was in reversed(range(len(old))):
        row, below = best[was], best[was + 1]
        for at in reversed(range(len(new))):
            row[at] = max(below[at], row[at + 1])
            if old[was] == new[at]:
                row[at] = max(row[at], below[at + 1] + len(old[was]) + 1)
    found = {at: at for at in range(head)}
    was = at = 0
    while was < len(old) and at < len(new):
        if old[was] == new[at] and best[was][at] == best[was + 1][at + 1] + len(old[was]) + 1:
            found[head + was] = head + at
            was, at = was + 1, at + 1
        elif best[was][at] == best[was + 1][at]:
            was += 1
        else:
            at += 1
    return {**found, **{len(before) - 1 - one: len(now) - 1 - one for one in range(tail)}}


def _filled(
    before: Sequence[_Part], due: Sequence[int], gap: Sequence[tuple[_Part, bool]], was: int, next_was: int
) -> Iterator[_Part]:
    """What stands between two parts that stayed. ``due``: the blocks that stood there."""
    left = [number for number in due if any(before[number].has(one.key) for one, _kept in gap)]
    first = [number for number in due if was and all(one in due and one not in left for one in range(was, number + 1))]
    end = next_was < len(before)
    last = [number for number in due if end and all(one in due for one in range(number, next_was))]
    yield from (before[number] for number in first)
    todo = list(left)
    ours = [at for at, (one, _kept) in enumerate(gap) if any(before[number].has(one.key) for number in left)]
    for at, (one, kept) in enumerate(gap):
        blank_within = not one.key and bool(ours) and ours[0] < at < ours[-1]
        mine = [number for number in left if before[number].has(one.key)]
        for number in [number for number in todo if mine and number <= mine[0]]:
            yield before[number]
            todo.remove(number)
        if kept and not mine and not blank_within:
            yield one
    yield from (
        before[number] for number in due if number in todo or (number in last and number not in (*first, *left))
    )


def _parts(text: str, site: str) -> Iterator[_Part]:
    done = 0
    blocks = [(*block, one == site) for one in {*sites(text), site} for block in whole_blocks(text, one)]
    for start, end, aside, ours in [*sorted(blocks), (len(text), len(text), "", False)]:
        for line in re.findall(r"[^\n]*\n|[^\n]+", text[done:start]):
            yield _Part(line)
        lines = (line.strip() for line in f"{text[start:end]}{aside}".split("\n"))
        yield _Part(text[start:end], frozenset(line for line in lines if line and ours))
        done = end


def _joined(text: str, part: _Part) -> str:
    """A block within a line begins with the end of a line, which is ours."""
    if part.lines and part.text.startswith("\n"):
        return (text[:-1] if text.endswith("\n") else text) + part.text
    return text + ("\n" if part.lines and text and not text.endswith("\n") else "") + part.text
