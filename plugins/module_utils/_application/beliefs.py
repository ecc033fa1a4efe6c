# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is believed of Chamilo's program (meta/facts.yml), compared with the program of a portal.

A file that is not there, or cannot be read as what the web user could have written is read, proves nothing.
"""

from __future__ import annotations

import json
import os
import pkgutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .._common.paths import read_guarded
from .._common.tree import Tree
from .._common.typed import made
from .._common.version import VersionError, parse
from .._webserver.in_place import exposed
from .obstacle import Obstacle

State = Literal["holds", "does not hold", "not known"]
_MOST = 1 << 20  # bytes of a file


@dataclass(frozen=True)
class Fact:
    id: str
    belief: str
    file: str
    words: tuple[str, ...]
    controls: tuple[str, ...]
    checks: tuple[str, ...] = ()  # controls whose check stands on it
    fixers: tuple[str, ...] = ()  # controls that are left alone where it does not hold
    since: str = ""
    before: str = ""


@dataclass(frozen=True)
class Belief:
    """A fact, as it is on this host."""

    fact: Fact
    state: State
    missing: tuple[str, ...] = ()
    vouched: bool = False  # root alone could have written the file

    @property
    def why(self) -> str:
        return (
            f"This Chamilo does it otherwise: {self.fact.file} does not have {', '.join(self.missing)}. Believed: "
            f"{self.fact.belief}"
        )


def packed() -> list[Mapping[str, Any]]:
    """The facts that the host program has in it; none where a module runs, which gets them by the controller."""
    try:
        text = pkgutil.get_data(__package__ or "", "facts.json")
    except OSError:
        text = None
    return list(json.loads(text)) if text else []


def judge(facts: Iterable[Mapping[str, Any]], root: str, version: str, web_user: str) -> list[Belief]:
    """Each fact that is of this version of Chamilo, compared with the program below ``root``."""
    return [_judged(fact, root, web_user) for fact in (made(Fact, one) for one in facts) if _is_of(fact, version)]


def doubts(beliefs: Iterable[Belief]) -> list[Obstacle]:
    """Where a fixer leaves the matter alone. By what the web user could have written it is never kept from its work."""
    return [
        Obstacle(f"{one.why}. Set it by hand, or waive the control.", controls=one.fact.fixers)
        for one in beliefs
        if one.state == "does not hold" and one.vouched and one.fact.fixers
    ]


def _judged(fact: Fact, root: str, web_user: str) -> Belief:
    path = os.path.join(root, fact.file)
    try:
        text = read_guarded(path, web_user, _MOST)
    except OSError:
        return Belief(fact, "not known")
    missing = tuple(word for word in fact.words if word.encode() not in text)
    if not missing:
        return Belief(fact, "holds")
    return Belief(fact, "does not hold", missing, not exposed(Tree(), path))


def _is_of(fact: Fact, version: str) -> bool:
    try:
        here = parse(version)
    except VersionError:
        return True
    return not (fact.since and here < parse(fact.since)) and not (fact.before and here >= parse(fact.before))
