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

from .._common.errors import HardeningError
from .._common.networks import normal, within
from .._common.paths import open_regular
from .log_fields import IP

LOG_BYTES = 1 << 20
_BUSY_LINES, _BUSY_AGENTS = 100, 5  # no single visitor has so many browsers
# Clients control these lines: in linear time.
_VISIT = re.compile(
    rf'(?:[^\s"\[]{{1,255}} ){{0,8}}?(?P<address>{IP}) [^"]*"(?:[^"\\]|\\.)*" \d{{3}} \S+'
    r'(?: "(?:[^"\\]|\\.)*" "(?P<agent>(?:[^"\\]|\\.)*)")?'
)
_LONGEST = 1 << 16  # characters of such a line


class AccessLogError(HardeningError):
    """The log cannot be read; the message states why."""


def proxies_only(path: str, proxies: Sequence[str] = (), friends: Sequence[str] = ()) -> list[str]:
    """The proxies from which all visits come, by the newest lines of an access log; none where one is a client's.

    That is so where each is one of ``proxies``, or where many browsers share one private address that is no friend's.
    """
    try:
        with open(open_regular(path), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - LOG_BYTES))
            text = file.read(LOG_BYTES).decode("utf-8", "replace")
    except OSError as problem:
        raise AccessLogError(f"{path} cannot be read: {problem.strerror}.") from problem
    visitors: Counter[str] = Counter()
    agents = set()
    for line in text.splitlines()[1 if size > LOG_BYTES else 0 :]:
        found = _VISIT.match(line, 0, _LONGEST)
        address = normal(found["address"]) if found else ""
        if found and address and not ipaddress.ip_address(address).is_loopback:
            visitors[address] += 1
            agents.add(found["agent"])
    unrelated = [address for address in visitors if not within(address, friends)]
    if unrelated and all(within(address, proxies) for address in unrelated):
        return unrelated[:5]
    only = len(visitors) == 1 and sum(visitors.values()) >= _BUSY_LINES and len(agents) >= _BUSY_AGENTS
    return [address for address in unrelated if only and ipaddress.ip_address(address).is_private]
