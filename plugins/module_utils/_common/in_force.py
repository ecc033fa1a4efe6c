# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host reports of a transaction that is active on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class InForce:
    generation: str = ""  # none while something is owed to a service, or a file is not as it was written
    files: Mapping[str, str] = field(default_factory=dict)  # what each is: file, absent, link TARGET, marked DIGEST
