# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""What the daily work notes of the application's compiled files, by project directory."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from ansible_collections.chamilo.hardening.plugins.module_utils._common import files, records

RECORD = "compiled.json"


def found(root: str) -> list[str]:
    """What was changed at one time, and compiled again. It waits until an administrator accepts it."""
    return [str(path) for path in noted().get(os.path.realpath(root), {}).get("found") or []]


def accepted(root: str) -> None:
    if found(root):
        note(root, {"found": []})


def note(root: str, values: Mapping[str, Any]) -> None:
    known, real = noted(), os.path.realpath(root)
    known[real] = {**known.get(real, {}), **values}
    os.makedirs(files.STATE, 0o700, exist_ok=True)
    files.replace_file(os.path.join(files.STATE, RECORD), json.dumps(known) + "\n")


def noted() -> dict[str, Any]:
    return {root: each for root, each in records.read(RECORD).items() if isinstance(each, dict)}
