# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module was asked for last. Discovery asks its engine whether any of it would change something now.

What is remembered is what was desired, and never what was seen: that is observed anew each time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from . import records

FILE = "asked.json"


def remember(module: str, root: str, request: str, options: Mapping[str, Any]) -> None:
    """Write down the options for a portal, without secrets. ``request``: a digest of all options as they were given."""
    options = json.loads(json.dumps(dict(options)))  # as they will be read
    if recall(module, root) != (request, options):
        records.note(FILE, f"{module}:{root}", True, "", request=request, options=options)


def recall(module: str, root: str) -> tuple[str, dict[str, Any]]:
    """The digest and the options; both are empty where nothing was asked for."""
    entry = records.read(FILE).get(f"{module}:{root}")
    known = entry if isinstance(entry, dict) else {}
    options = known.get("options")
    return (str(known.get("request", "")), options) if isinstance(options, dict) else ("", {})
