# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who visits, by the newest lines of an access log."""

from __future__ import annotations

import ipaddress
import os
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from .._common.networks import normal, within
from .._common.paths import open_regular
from .filter_file import FilterError
from .log_fields import IP

LOG_BYTES = 1 << 20
_BUSY_LINES, _BUSY_AGENTS = 100, 5  # no single visitor has so many browsers
# The same for lines that clients control, in linear time.
_VISIT = re.compile(
    rf'(?:[^\s"\[]{{1,255}} ){{0,8}}?(?P<address>{IP}) [^"]*"(?:[^"\\]|\\.)*" \d{{3}} \S+'
    r'(?: "(?:[^"\\]|\\.)*" "(?P<agent>(?:[^"\\]|\\.)*)")?'
)
_LONGEST = 1 << 16  # characters of such a line


def log_summary(path: str, proxies: Sequence[str] = (), friends: Sequence[str] = ()) -> dict[str, Any]:
    """Who visits, by the newest lines of an access log: how many addresses and browsers, and whether all are proxies.

    That is so where each is one of ``proxies``, or where many browsers share one private address that is no friend's.
    """
    try:
        with open(open_regular(path), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - LOG_BYTES))
            text = file.read(LOG_BYTES).decode("utf-8", "replace")
    except OSError as problem:
        raise FilterError(f"log: {path} cannot be read: {problem.strerror}.") from problem
    lines = text.splitlines()[1 if size > LOG_BYTES else 0 :]
    visitors: Counter[str] = Counter()
    agents = set()
    for line in lines:
        found = _VISIT.match(line, 0, _LONGEST)
        address = normal(found["address"]) if found else ""
        if found and address and not ipaddress.ip_address(address).is_loopback:
            visitors[address] += 1
            agents.add(found["agent"])
    unrelated = [address for address in visitors if not within(address, friends)]
    declared = bool(unrelated) and all(within(address, proxies) for address in unrelated)
    only = next(iter(visitors)) if len(visitors) == 1 else ""
    busy = bool(only) and sum(visitors.values()) >= _BUSY_LINES and len(agents) >= _BUSY_AGENTS
    hidden = busy and bool(unrelated) and ipaddress.ip_address(only).is_private
    return {
        "lines": sum(visitors.values()),
        "visitors": len(visitors),
        "agents": len(agents),
        "only": only,
        "proxies": unrelated[:5] if declared or hidden else [],
    }
