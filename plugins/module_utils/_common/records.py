# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host program wrote down when it last did a job, or tried to: the audit reads it."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from . import files, locks


def note(file: str, name: str, done: bool, detail: str, **more: Any) -> None:
    """Write down in ``file`` (such as monitoring.json) that the job ``name`` was done just now, or failed."""
    path = os.path.join(files.STATE, file)
    os.makedirs(files.STATE, 0o700, exist_ok=True)
    with locks.lock(f"{path}.lock", name, locks.FOREVER):
        entry = {"at": time.time(), "ok": done, "detail": detail[:2000], **more}
        text = json.dumps({**read(file), name: entry}, indent=1, sort_keys=True) + "\n"
        files.replace_file(path, text)


def forget(file: str, name: str) -> None:
    """Remove the entry of a job that there is no more."""
    path = os.path.join(files.STATE, file)
    if name not in read(file):
        return
    with locks.lock(f"{path}.lock", name, locks.FOREVER):
        known = {job: entry for job, entry in read(file).items() if job != name}
        files.replace_file(path, json.dumps(known, indent=1, sort_keys=True) + "\n")


def read(file: str) -> dict[str, Any]:
    """All entries of a file; none when it is not there or damaged (the next job writes it anew)."""
    try:
        with open(os.path.join(files.STATE, file), encoding="utf-8") as stream:
            known = json.load(stream)
    except (FileNotFoundError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
