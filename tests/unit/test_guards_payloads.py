# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module takes to a host what it needs. What each one takes: bin/env python -m tests.tools.payloads MODULE"""

from __future__ import annotations

import pytest

from tests.tools.payloads import PLUGINS, payload

LINES = {
    "chamilo_certificate": 5000,
    "chamilo_database_account": 6000,
    "chamilo_env": 5000,
    "chamilo_perms": 3700,
    "chamilo_remembered": 1400,
    "chamilo_settings": 3450,
    "fail2ban_filter": 2000,
    "guide_audit_info": 15500,
    "guide_prove": 7000,
}


@pytest.mark.parametrize("module", LINES)
def test_no_module_takes_more_to_a_host(module: str) -> None:
    assert payload(PLUGINS / f"modules/{module}.py") <= LINES[module]
