# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter hsts; its documentation is in hsts.yml beside this file."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.chamilo.hardening.plugins.module_utils import _hsts


def hsts(mode: str, since: str) -> str:
    try:
        return _hsts.value(mode, since, datetime.date.today())
    except ValueError as error:
        raise AnsibleFilterError(f"hsts: the day the ramp began must be YYYY-MM-DD, not {since!r}") from error


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"hsts": hsts}
