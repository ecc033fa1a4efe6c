# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The word for a portal in the names of its files. Apart from the rest, since the controller needs no more of it."""

from __future__ import annotations

import re

HOST_NAME = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]*[a-z][a-z0-9-]*")


def word(domain: str) -> str:
    """What is in the names of our files for this domain. A dash counts twice: a-b.test and a.b.test are two portals."""
    return re.sub("[^a-z0-9_]", "_", domain.lower().replace("-", "__"))


def is_name(text: str) -> bool:
    """Whether it is a name of the DNS in lower case, perhaps a wildcard for one label."""
    return len(text) <= 253 and HOST_NAME.fullmatch(text.removeprefix("*.")) is not None
