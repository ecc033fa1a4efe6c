# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in the way of a run, and which sections of the guide it costs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

_CONTINUES = "ansible-playbook chamilo.hardening.harden -i INVENTORY"


@dataclass(frozen=True)
class Obstacle:
    """What is in the way: what, why, and what to do.

    Without ``sections`` and ``controls`` the whole host is left as it is.
    """

    why: str
    sections: tuple[str, ...] = ()  # that are left as they are
    controls: tuple[str, ...] = ()  # or these alone, and their sections are enforced

    def of(self, sections: Collection[str]) -> Iterator[Obstacle]:
        """What it costs a run for these sections; nothing where it is in the way of others alone."""
        kept = replace(
            self,
            sections=tuple(one for one in self.sections if one in sections),
            controls=tuple(one for one in self.controls if one.startswith(tuple(sections))),
        )
        if kept.sections or kept.controls or not (self.sections or self.controls):
            yield kept

    @property
    def of_all(self) -> bool:
        return not (self.sections or self.controls)


def report(domain: str, found: Sequence[Obstacle]) -> str:
    """All of them in one message."""
    count = f"{len(found)} obstacles" if len(found) > 1 else "1 obstacle"
    head = f"{domain}: {count}. Nothing was changed."
    return "\n".join([head, *(f"- {each.why}" for each in found), f"Then continue with the same command: {_CONTINUES}"])
