# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sections a run leaves as they are on a host, and why: an obstacle was seen, or a task of theirs failed.

Sections do not need each other. What is in the way of one keeps no other one from being enforced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..module_utils._application.obstacle import Obstacle
from ..module_utils._common.typed import made

# What tasks register, or set where a section of the playbook harden failed: section -> why.
FOUND = ("__chamilo_preflight", "__chamilo_common_info")
FAILED = "__chamilo_failed"


def obstacles(variables: Mapping[str, Any]) -> list[Obstacle]:
    """Those that the variables have, and those of the host where it was discovered."""
    answers = [variables.get(name) for name in FOUND]
    return [
        made(Obstacle, one)
        for answer in answers
        if isinstance(answer, Mapping)
        for one in answer.get("obstacles") or ()
    ]


def left(variables: Mapping[str, Any]) -> dict[str, str]:
    """The sections that are left as they are, each with the reason."""
    found: dict[str, str] = {}
    for one in obstacles(variables):
        for section in one.sections:
            found.setdefault(section, one.why)
    return {**found, **(variables.get(FAILED) or {})}


def message(domain: str, sections: Mapping[str, str], open_: Sequence[Obstacle]) -> str:
    """What a run did not do, in one message."""
    whys: dict[str, list[str]] = {}
    for section, why in sections.items():
        whys.setdefault(why, []).append(section)
    lines = [f"- {', '.join(of)}: {why}" for why, of in whys.items()]
    lines += [f"- {', '.join(one.controls)}: {one.why}" for one in open_ if one.controls]
    head = f"{domain}: not all of the guide could be enforced. Open:"
    return "\n".join([head, *lines, "When that is mended, run the same command again."])
