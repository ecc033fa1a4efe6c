# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an attacker writes in a line of a log."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass

from .._common.networks import normal


@dataclass(frozen=True)
class Field:
    """A part of a line that a client controls. ``spaces``: whether it can contain unescaped spaces.

    ``sure``: False where it may as well be the program's own. ``other``: where the filter accepts this text, a client
    may continue with the rest of the line. Empty: always possible. None: never.
    """

    what: str
    start: int
    end: int
    spaces: bool = True
    quoted: bool = False
    sure: bool = True
    other: str | None = None


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
# Neither a number nor a date, nor what names something: "path=/x", "path: /x", "[URI /x]", "port 22", "sshd[812]".
_APART = r"\s\[\](){}<>=,;:\"'"
_IN_PATH = r"[^\s\[\](){}<>,;\"']"
_WORD = re.compile(
    rf"(?<![^{_APART}])(?!\d|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b)"
    rf"(?:(?P<path>[^{_APART}/]*/{_IN_PATH}*(?!{_IN_PATH}|\[))"
    rf"|(?!(?<=\[)[\w.-]+[ =])[^{_APART}/]*[^\W\d_][^{_APART}/]*(?![^{_APART}]|[=:\[]))"
)
_NUMBERED = re.compile(r" \d")
_NEXT = str.maketrans(
    f"{string.ascii_letters}{string.digits}",
    "".join(each[1:] + each[0] for each in (string.ascii_lowercase, string.ascii_uppercase, string.digits)),
)


def fields(line: str) -> list[Field]:
    """The parts of a line that a client controls: known for access logs, else quoted parts, user names and paths.

    Every other word before the last address may be the client's as well, and the end of the line without other parts.
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
    quoted = [span for span in quoted if span not in addresses]
    users = [match.span("user") for match in _USER.finditer(line)]
    names = [Field("a quoted text", *span, quoted=True, other=other_text(line[slice(*span)])) for span in quoted]
    names += [Field("the user name", *span, other=other_text(line[slice(*span)])) for span in users]
    syslog = SYSLOG.match(line)
    taken = [(0, syslog.end() if syslog else 0), *addresses, *quoted, *users]
    words = [match for match in _WORD.finditer(line) if all(match.end() <= a or b <= match.start() for a, b in taken)]
    # Before an address a word names no number. A time resembles one, too.
    here = {start - 1 for start, end in addresses if normal(line[start:end])}
    words = [each for each in words if each["path"] or each.end() in here or not _NUMBERED.match(line, each.end())]
    names += [Field("a path", *match.span(), other="") for match in words if match["path"]]
    if not names:
        names.append(Field("the end of the line", len(line), len(line)))
    # The first word begins the line, which no client controls.
    last = max((start for start, _end in addresses), default=0)
    names += [_word(line, match) for match in words[1:] if not match["path"] and match.end() <= last]
    return names


def _word(line: str, match: re.Match[str]) -> Field:
    """A value, or else a word that a client controls only where the filter accepts several."""
    start, other = match.start(), other_text(match[0])
    value = line[start - 1] == "=" or line.rfind("[", 0, start) > line.rfind("]", 0, start)
    return Field(f"the word {match[0]!r}", *match.span(), sure=False, other=other if value else f"{other} {other}")


def other_text(text: str) -> str:
    """Another text of the same shape."""
    return text.translate(_NEXT)
