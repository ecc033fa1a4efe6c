# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run over a tree saw and did."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from .._common.paths import shown

LISTED = 20  # samples and refused entries that are listed one by one
_INTERNAL = ("closed", "links", "unfinished", "unnoted")  # of what was found


@dataclass
class Found:
    """What was seen and done. Paths are relative to the tree and safe to print."""

    entries: int = 0
    fixed: Counter[str] = field(default_factory=Counter)
    refused: list[dict[str, str]] = field(default_factory=list)
    refused_total: int = 0
    samples: list[dict[str, str]] = field(default_factory=list)
    disabled: Counter[str] = field(default_factory=Counter)  # by an earlier version: directory -> files
    given_back: int = 0  # of those that were
    unfinished: str = ""  # why not all was checked
    closed: bool = False  # a window whose time was up
    unnoted: str = ""  # why not every change can be rolled back
    # (device, inode) -> names there are, names found, could one have been moved meanwhile, wants, path
    links: dict[tuple[int, int], list[Any]] = field(default_factory=dict)

    def refuse(self, path: str, why: str) -> None:
        self.refused_total += 1
        if len(self.refused) < LISTED:
            self.refused.append({"path": shown(path), "why": why})

    def add(self, other: Found) -> None:
        self.entries += other.entries
        self.fixed += other.fixed
        self.refused += other.refused
        self.refused_total += other.refused_total
        self.samples += other.samples
        self.disabled += other.disabled
        self.given_back += other.given_back
        self.unfinished = self.unfinished or other.unfinished
        self.unnoted = self.unnoted or other.unnoted
        for key, link in other.links.items():
            self.link(key, link)

    def link(self, key: tuple[int, int], link: list[Any]) -> None:
        known = self.links.get(key)
        if known is None:
            self.links[key] = link
        else:
            known[1] += link[1]
            known[2] = known[2] or link[2]
            known[3] = sorted({*known[3], *link[3]})

    @property
    def changed(self) -> bool:
        return self.closed or any(self.fixed.values()) or self.given_back > 0

    def result(self) -> dict[str, Any]:
        """What the module returns."""
        kinds = {kind: self.fixed[kind] for kind in ("owner", "group", "mode", "setuid", "acl")}
        reported = {name: value for name, value in vars(self).items() if name not in _INTERNAL}
        disabled = [f"{shown(path) or '.'}: {count} files" for path, count in sorted(self.disabled.items())]
        more = [f"and {len(disabled) - LISTED} more directories"] if len(disabled) > LISTED else []
        return {**reported, "disabled": [*disabled[:LISTED], *more], "fixed": kinds, "changed": self.changed}

    def to_json(self) -> str:
        values = {**vars(self), "links": [[*key, link] for key, link in self.links.items()]}
        return json.dumps(values)

    @classmethod
    def from_json(cls, text: str) -> Found:
        values = json.loads(text)
        links = {(device, inode): link for device, inode, link in values.pop("links")}
        counted = {name: Counter(values[name]) for name in ("fixed", "disabled")}
        return cls(**{**values, **counted, "links": links})


def diff(path: str, found: Found) -> dict[str, str]:
    before = "".join(f"{one['path']}  {one['before']}\n" for one in found.samples)
    after = "".join(f"{one['path']}  {one['after']}\n" for one in found.samples)
    if len(found.samples) == LISTED:
        after += (
            f"and others: {found.fixed['owner']} owners, {found.fixed['group']} groups, {found.fixed['mode']} modes\n"
        )
    return {"before_header": shown(path), "after_header": shown(path), "before": before, "after": after}


def words(problem: OSError) -> str:
    return problem.strerror or str(problem)
