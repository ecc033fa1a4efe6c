# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""What a run over a tree saw and did."""

from __future__ import annotations

import functools
import grp
import json
import os
import pwd
import stat
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.chamilo.hardening.plugins.module_utils._common.paths import shown

LISTED = 20  # samples and refused entries that are listed one by one
_INTERNAL = (
    "environment",
    "held",
    "links",
    "plugins",
    "taken",
    "unfinished",
    "unnoted",
    "writable",
)  # of what was found


@dataclass
class Found:
    """What was seen and done. Paths are relative to the tree and safe to print."""

    entries: int = 0
    fixed: Counter[str] = field(default_factory=Counter)
    refused: list[dict[str, str]] = field(default_factory=list)
    refused_total: int = 0
    samples: list[dict[str, str]] = field(default_factory=list)
    quarantined: list[str] = field(default_factory=list)
    quarantined_total: int = 0
    doubtful: list[str] = field(default_factory=list)
    doubtful_total: int = 0
    listing: str = ""  # the file with the names of both
    unnamed: int = 0  # of both, that are not in it
    unnamed_why: str = ""
    unfinished: str = ""  # why not all was checked
    taken: int = 0  # files of the program that got another owner
    writable: int = 0  # files of the program that the web user could write, but for environment files
    environment: int = 0  # environment files that the web user could write
    plugins: dict[str, str] = field(default_factory=dict)  # those with a history of their own -> owner and date
    held: list[str] = field(default_factory=list)  # quarantined in this run
    unnoted: str = ""  # why not every change can be rolled back
    # (device, inode) -> names there are, names found, could one have been moved meanwhile, wants, path, suspect PHP
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
        self.quarantined += other.quarantined
        self.quarantined_total += other.quarantined_total
        self.doubtful += other.doubtful
        self.doubtful_total += other.doubtful_total
        self.unnamed += other.unnamed
        self.unnamed_why = self.unnamed_why or other.unnamed_why
        self.unfinished = self.unfinished or other.unfinished
        self.taken += other.taken
        self.writable += other.writable
        self.environment += other.environment
        self.plugins.update(other.plugins)
        self.held += other.held
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
            if link[5] and not known[5]:
                known[4:] = link[4:]

    @property
    def changed(self) -> bool:
        return any(self.fixed.values())

    def result(self) -> dict[str, Any]:
        """What the module returns."""
        kinds = {kind: self.fixed[kind] for kind in ("owner", "group", "mode", "setuid", "acl")}
        reported = {name: value for name, value in vars(self).items() if name not in _INTERNAL}
        return {**reported, "fixed": kinds, "changed": self.changed}

    def to_json(self) -> str:
        values = {**vars(self), "links": [[*key, link] for key, link in self.links.items()]}
        return json.dumps(values)

    @classmethod
    def from_json(cls, text: str) -> Found:
        values = json.loads(text)
        links = {(device, inode): link for device, inode, link in values.pop("links")}
        return cls(**{**values, "fixed": Counter(values["fixed"]), "links": links})


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


def rights(status: os.stat_result) -> str:
    return f"{who(status.st_uid, status.st_gid)} {stat.S_IMODE(status.st_mode):04o}"


@functools.lru_cache(maxsize=1024)
def who(owner: int, group: int) -> str:
    try:
        user = pwd.getpwuid(owner).pw_name
    except KeyError:
        user = str(owner)
    try:
        return f"{user}:{grp.getgrgid(group).gr_name}"
    except KeyError:
        return f"{user}:{group}"
