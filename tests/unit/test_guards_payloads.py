# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module takes to a host what it needs. What each one takes: bin/env python -m tests.tools.payloads MODULE"""

from __future__ import annotations

import pytest

from tests.tools.payloads import PLUGINS, payload

LINES = {
    "chamilo_env": 6000,
    "chamilo_perms": 4000,
    "chamilo_remembered": 1500,
    "chamilo_settings": 3500,
    "guide_audit_info": 16000,
    "guide_prove": 14000,
}


@pytest.mark.parametrize("module", LINES)
def test_no_module_takes_more_to_a_host(module: str) -> None:
    assert payload(PLUGINS / f"modules/{module}.py") <= LINES[module]
