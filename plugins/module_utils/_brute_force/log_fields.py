# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an attacker writes in a line of a log."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Field:
    """A part of a line that a client controls. ``spaces``: whether it can contain unescaped spaces."""

    what: str
    start: int
    end: int
    spaces: bool = True
    quoted: bool = False


VALUE = "a value"
IP = r"(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F:.]*:[0-9a-fA-F.]*)"
ACCESS = re.compile(
    rf"^(?:.*? )??(?P<address>{IP}) (?P<ident>\S+) (?P<user>.*?) ?\[(?P<date>[^\]]*)\] "
    r'"(?P<request>(?P<method>[^\s"]+) (?P<path>[^\s"?]*)(?P<query>\?[^\s"]*)? (?P<protocol>HTTP/[\d.]+))" '
    r'(?P<status>\d{3}) \S+(?: "(?P<referer>(?:[^"\\]|\\.)*)" "(?P<agent>(?:[^"\\]|\\.)*)")?'
)
_USER = re.compile(r"(?i)\b(?:user(?:name)?|login|account|for)[ =:]+(?:username |user )?['\"]?(?P<user>[^\s'\"\]]+)")
_QUOTED = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'([^']*)'")
SYSLOG = re.compile(r"(?:[A-Z][a-z]{2} +\d{1,2} [\d:]{8}|\d{4}-\d\d-\d\dT\S+) \S+ [^\s:]+: ")
SANITISED = re.compile(r"\[[^\]]+\] \[[A-Z]+\] \[IP [^\]]+\] \[URI ")
# With a port or a colon behind it as well.
ADDRESS = re.compile(rf"(?<![\w.:]){IP}(?<![^:]:)(?<!\.)(?!\w|\.\d)")
_VALUE = re.compile(r"(?<==)[^\s\[\](){}<>=,;\"'/]+")
_PATH = re.compile(r"(?<![^\s=])/[^\s\[\](){}<>,;\"']*")


def fields(line: str) -> list[Field]:
    """The parts of a line that a client controls: known for access logs, else what is quoted, named as a user or by a
    key, and paths, or the end of the line.
    """
    found = ACCESS.match(line)
    if found:
        query = found.span("query") if found["query"] else (found.end("path"),) * 2
        names = [
            Field("the user name", *found.span("user")),
            Field("the path", *found.span("path"), spaces=False),
            Field("the query", *query, spaces=False),
        ]
        if found["agent"] is not None:
            names += [
                Field("the referer", *found.span("referer"), quoted=True),
                Field("the user agent", *found.span("agent"), quoted=True),
            ]
        return names
    addresses = [match.span() for match in ADDRESS.finditer(line)]
    quoted = [match.span(match.lastindex or 0) for match in _QUOTED.finditer(line)]
    names = [Field("a quoted text", *span, quoted=True) for span in quoted if span not in addresses]
    users = [match.span("user") for match in _USER.finditer(line)]
    names += [Field("the user name", *span) for span in users]
    values = [match.span() for match in _VALUE.finditer(line)]
    names += [Field(VALUE, *span) for span in values if span not in (*addresses, *users)]
    names += [Field("a path", *match.span()) for match in _PATH.finditer(line)]
    return names or [Field("the end of the line", len(line), len(line))]
