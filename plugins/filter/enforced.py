# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter enforced; its documentation is in enforced.yml beside this file."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _controls


def enforced(control: str, level: str = "should", waivers: Sequence[Any] = ()) -> bool:
    try:
        table = _controls.load()
        return _controls.enforced(
            table.control(control),
            _controls.parse_level(level),
            _controls.parse_waivers(waivers, table),
            datetime.date.today(),
        )
    except _controls.ControlError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"enforced": enforced}
