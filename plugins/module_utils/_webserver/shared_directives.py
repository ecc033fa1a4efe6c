# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directives of our files for a virtual host that an owner may set too, and that may occur only once."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Directives of nginx that may occur once in a server block.
ONCE = ("server_tokens", "real_ip_header", "real_ip_recursive")
_ONCE = re.compile(rf"^({'|'.join(ONCE)}) ", re.MULTILINE)
_SENT = re.compile(r"^(?:add_header|Header always set) (\S+) ", re.MULTILINE)
# Only this host sees them.
_FOR_US = frozenset({"x-chamilo-generation"})


def once(texts: Iterable[str]) -> frozenset[str]:
    """The directives among ``ONCE``."""
    return frozenset(name for text in texts for name in _ONCE.findall(text))


def headers(texts: Iterable[str]) -> frozenset[str]:
    """The names of headers, in lower case."""
    return frozenset(name.lower() for text in texts for name in _SENT.findall(text)) - _FOR_US


def mentions(text: str, names: Iterable[str]) -> bool:
    """Whether a line is about one of these."""
    return any(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text, re.IGNORECASE) for name in names)
