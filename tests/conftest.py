# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests have set that run playbooks (see tests/tools/callback/packed_once.py)."""

from __future__ import annotations

import os
from pathlib import Path

PACKED_ONCE = {
    "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "tools/callback"),
    "ANSIBLE_CALLBACKS_ENABLED": "packed_once",
}
os.environ.update(PACKED_ONCE)
