# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of releases and vulnerabilities, as hosts get it: the audit with each call, the host program inside it."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

LIST = Path(__file__).resolve().parents[2] / "meta/advisories.json"


@functools.lru_cache(maxsize=1)
def brief(path: Path = LIST) -> dict[str, Any]:
    """What a host judges by. Records have more, for the people who review them."""
    known = json.loads(path.read_text(encoding="utf-8"))
    return {
        "dated": known["dated"],
        "branches": [
            {key: one.get(key, "") for key in ("name", "supported", "php", "remark")} for one in known["branches"]
        ],
        "releases": [
            {key: one.get(key, "") for key in ("version", "security", "summary")} for one in known["releases"]
        ],
        "advisories": [
            {
                "ids": [one["id"], *one.get("aliases", [])],
                "summary": one["summary"],
                "events": [next(iter(event.items())) for event in one["affected"][0]["ranges"][0]["events"]],
                "controls": one.get("database_specific", {}).get("controls", []),
            }
            for one in known["advisories"]
        ],
    }
