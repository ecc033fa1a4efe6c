# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What --diff shows of a task: what changes in the files of their owner, and a line for each new file of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

_MOST = 8  # lines of one list of values
_KEY = re.compile(r"\S+?(?: of portal \d+: |  |=)")  # a platform setting, a file with its rights, a variable
_PACKAGES = re.compile(r"^The following NEW packages will be installed:\n(?:  .*\n)+", re.MULTILINE)


def brief(differences: Sequence[Any], shown: set[str]) -> list[dict[str, Any]]:
    """The same in fewer lines. ``shown``: what was shown of that host, which check mode would show with each task."""
    found: list[dict[str, Any]] = []
    for one in differences:
        text = _text(one)
        if text is None:
            found.append(one)
        elif text not in shown:
            shown.add(text)
            found.append({"prepared": text})
    return found


def _text(one: Mapping[str, Any]) -> str | None:
    """What is shown in its place; None where it stays as it is."""
    if isinstance(one.get("prepared"), str):
        packages = _PACKAGES.search(one["prepared"])
        return packages[0] if packages else str(one["prepared"])
    before, after, path = one.get("before"), one.get("after"), str(one.get("after_header", ""))
    if not isinstance(before, str) or not isinstance(after, str):
        return None
    if not before:
        return f"+++ after: {path} (new; -vv shows it)\n"
    pairs = list(zip_longest(before.splitlines(), after.splitlines()))
    changes = [_change(old, new) for old, new in pairs if old != new]
    if None in changes:
        return None
    more = [f"and {len(changes) - _MOST} more; -vv shows them"] if len(changes) > _MOST + 1 else []
    return "\n".join([f"+++ after: {path}", *map(str, changes[: _MOST if more else None]), *more, ""])


def _change(old: str | None, new: str | None) -> str | None:
    """One value in one line; None where these are no two values of one thing."""
    if old is None:
        return f"+{new}"
    key = _KEY.match(old)
    return f"{old} -> {new[key.end() :]}" if key and new and new.startswith(key[0]) else None
