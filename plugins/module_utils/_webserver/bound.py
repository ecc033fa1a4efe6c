# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long browsers go by https alone because the owner of a virtual host had it send Strict-Transport-Security."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator

from .configuration import Configuration, Directive, Server, walk

HEADER = "strict-transport-security"
_TRIAL_DAYS = 7
_LINES = ("add_header", "header", "more_set_headers")
_AGE = re.compile(r'max-age="?(\d{1,10})"?')


def full_from(since: str) -> datetime.date:
    """The day on which a ramp that began on ``since`` (YYYY-MM-DD) reaches the guide's value."""
    return datetime.date.fromisoformat(since) + datetime.timedelta(days=_TRIAL_DAYS)


def seconds(value: str) -> int:
    """How long a browser that saw this value stays bound."""
    ages = [found[1] for found in map(_AGE.fullmatch, _words(value)) if found]
    return int(ages[0]) if ages else 0


def longest(*values: str) -> str:
    """The one that binds browsers longest, in its usual form; an empty text where none does."""
    age = max(map(seconds, values), default=0)
    return _value(age, [value for value in values if seconds(value) == age]) if age else ""


def kept(ours: str, owners: str) -> str:
    """Our value, unless the owner's lasts as long or longer: it is never reduced."""
    age = seconds(owners)
    return _value(age, [ours, owners]) if age and age >= seconds(ours) else ours


def by_owner(configuration: Configuration, levels: Iterable[Iterable[Directive]]) -> str:
    """The value in the owner's lines of these levels; the longest, or an empty text."""
    return longest(*(value for level in levels for value in _written(configuration, level)))


def by_https(configuration: Configuration, servers: Iterable[Server], everywhere: bool) -> str:
    """What virtual hosts send by https; where TLS ends elsewhere, everywhere."""
    seen = [one.block.block or () for one in servers if everywhere or any(each.tls for each in one.host.listens)]
    return by_owner(configuration, seen)


def _written(configuration: Configuration, level: Iterable[Directive]) -> Iterator[str]:
    for item in walk(level):
        if item.name not in _LINES or configuration.is_ours(item.file):
            continue
        words = [word.lower().rstrip(":") for word in item.arguments]
        if HEADER in words[:-1]:
            yield item.arguments[words.index(HEADER) + 1]
        yield from (word.partition(":")[2] for word in words if word.startswith(f"{HEADER}:"))


def _value(age: int, values: Iterable[str]) -> str:
    words = {word for value in values for word in _words(value)}
    return "; ".join([f"max-age={age}", *(flag for flag in ("includeSubDomains", "preload") if flag.lower() in words)])


def _words(value: str) -> list[str]:
    return [part.strip().lower() for part in value.split(";")]
