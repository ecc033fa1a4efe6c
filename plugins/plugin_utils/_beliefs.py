# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is believed of Chamilo's program, as hosts get it: with each call, or inside the host program."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from . import _controls

FACTS = Path(__file__).resolve().parents[2] / "meta/facts.yml"


@functools.lru_cache(maxsize=1)
def brief(path: Path = FACTS) -> list[dict[str, Any]]:
    """What a host compares. Where each was read is for the people who review them."""
    return [{key: value for key, value in one.items() if key != "read"} for one in _controls.load_yaml(path)["facts"]]
