# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of Chamilo, comparable."""

from __future__ import annotations

import re

from .errors import HardeningError

Version = tuple[int, int, int, int, int]
_STAGES = {"alpha": 0, "beta": 1, "rc": 2}
_FORM = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?(?:[-. _]?(alpha|beta|rc)[-. _]?(\d*))?", re.IGNORECASE)
_LONGEST = 200


class VersionError(HardeningError):
    """A text that is no version."""


def parse(text: str) -> Version:
    """``2.0.1`` or ``2.0.0-RC.3``: what comes before a release is smaller than the release."""
    # The author of a feed chooses the text, and int() rejects thousands of digits with its own error.
    found = _FORM.match(text.strip()) if len(text) <= _LONGEST else None
    if not found:
        raise VersionError(f"{text[:_LONGEST]!r} is no version that could be compared")
    # What follows a dash comes before the release, by the rules of semantic versions: 3.0.2-dev is not 3.0.2.
    stage = _STAGES[found[4].lower()] if found[4] else 0 if text.strip()[found.end() :].startswith("-") else 9
    return int(found[1]), int(found[2]), int(found[3] or 0), stage, int(found[5] or 0)


def stable(text: str) -> bool:
    """Whether it is a release, and not one for testers."""
    return parse(text)[3] == 9
