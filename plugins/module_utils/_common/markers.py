# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Marked lines in a file of another owner, and its restoration without them, byte for byte.

Added lines stand between two comments that name their site. Replaced lines stand there too, as comments. Marks of other
sites are plain text.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Union

from .errors import HardeningError

# A line of ours without its newline, or a span of the owner's text that is written a second time.
Piece = Union[str, "tuple[int, int]"]

_ASIDE = "# set aside:"
_WITHOUT = "# without: "
_IS_ASIDE = re.compile(rf"^[ \t]*{_ASIDE}\n", re.MULTILINE)
_IS_WITHOUT = re.compile(rf"^([ \t]*){_WITHOUT}(.*)\n", re.MULTILINE)
_BLANK = re.compile(r"[ \t]*(?:#[^\n]*)?\r?\n")
_INDENT = re.compile(r"[ \t]*")


class MarkerError(HardeningError):
    """The marks do not fit the text, or what stands between them was edited."""


@dataclass(frozen=True)
class Mark:
    """One change to a text without marks of its site.

    ``at``: where, as a number of characters. ``lines``: what is added there. ``until``: the end of what is set aside,
    from ``at`` on; nothing is, where it is not greater.
    """

    at: int
    lines: tuple[Piece, ...] = ()
    until: int = -1

    @property
    def end(self) -> int:
        return max(self.at, self.until)


def has_marks(text: str, site: str) -> bool:
    """Whether there is one of this site, whole or not."""
    return _either(text, site) is not None


def apply(text: str, marks: Sequence[Mark], site: str) -> str:
    """The text with the marks in it."""
    if next(_marked(text, site), None):
        raise MarkerError(f"There are lines of {site} in this text already.")
    result, done = [], 0
    for mark in sorted(marks, key=lambda one: (one.at, one.end)):
        start, end, within = _place(text, mark) if 0 <= mark.at <= mark.end <= len(text) else (-1, -1, False)
        if start < done:
            raise MarkerError(f"A change at character {mark.at} is out of place.")
        result += [text[done:start], _block(text, mark, start, end, within, site)]
        done = end
    marked = "".join([*result, text[done:]])
    if strip(marked, site) != text:  # such as where the text has words of ours itself
        raise MarkerError("These changes could not be undone: the text has a line like those of chamilo.hardening.")
    return marked


def strip(text: str, site: str) -> str:
    """The text without the marks of a site, and with what was set aside."""
    result, done = [], 0
    for start, end, aside in [*whole_blocks(text, site), (len(text), len(text), "")]:
        left = _either(text[done:start], site)
        if left:
            line = text.count("\n", 0, done + left.start()) + 1
            raise MarkerError(
                f"line {line}: lines of chamilo.hardening or their marks were changed. Run: chamilo-hardening repair"
            )
        result += [text[done:start], aside]
        done = end
    return "".join(result)


def without(line: str) -> str:
    """A line of ours in place of one of its owner's, where the rest of its file is written out: see ``released``."""
    return f"{_WITHOUT}{line}"


def released(text: str, site: str, is_due: Callable[[str], bool]) -> str:
    """The text with what was set aside back in its place where that is due. All other marks stay."""
    result, done = [], 0
    for found in _marked(text, site):
        if found["sum"] != _sum(found["body"]):
            continue
        body = _IS_WITHOUT.sub(lambda one: f"{one[1]}{one[2]}\n" if is_due(one[2]) else one[0], found["body"])
        within, start = bool(found["within"]), found.start("begin")
        aside = _aside(body, within)
        if aside and not _IS_ASIDE.split(body)[0].strip() and is_due(aside):
            start -= within and text[:start].endswith("\n")
            result += [text[done:start], aside]
        else:
            result += [text[done : found.start("body")], body]
            behind = text[found.end("body") : found.end()]
            result.append(behind.replace(found["sum"], _sum(body)))
        done = found.end()
    return "".join([*result, text[done:]])


def sums(text: str, site: str) -> list[str]:
    """What stands between the marks of a site, in order, each as a checksum."""
    return [found["sum"] for found in _marked(text, site)]


def sites(text: str) -> list[str]:
    """The sites that have marks in a text."""
    return sorted({*re.findall(r"^[ \t]*# BEGIN chamilo\.hardening ([^\s,]+)", text, re.MULTILINE)})


def whole_blocks(text: str, site: str) -> Iterator[tuple[int, int, str]]:
    """Where each block of a site begins and ends that nobody edited, and what it has set aside."""
    for found in _marked(text, site):
        if found["sum"] == _sum(found["body"]):
            within, start = bool(found["within"]), found.start("begin")
            yield start - (within and text[:start].endswith("\n")), found.end(), _aside(found["body"], within)


def _either(text: str, site: str) -> re.Match[str] | None:
    name = rf"chamilo\.hardening {re.escape(site)}"
    return re.search(rf"^[ \t]*# (?:BEGIN|END) {name}(?=[, \r\n]|$)", text, re.MULTILINE)


def _marked(text: str, site: str) -> Iterator[re.Match[str]]:
    name = rf"chamilo\.hardening {re.escape(site)}"
    return re.finditer(
        rf"^(?P<begin>[ \t]*)# BEGIN {name}(?P<within>, within a line)?\n"
        rf"(?P<body>(?:(?![ \t]*# (?:BEGIN|END) {name}(?=[, \n])).*\n)*)"
        rf"[ \t]*# END {name} (?P<sum>[0-9a-f]{{8}})\n",
        text,
        re.MULTILINE,
    )


def _sum(body: str) -> str:
    return f"{zlib.crc32(body.encode('utf-8', 'surrogateescape')):08x}"


def _place(text: str, mark: Mark) -> tuple[int, int, bool]:
    """Where it begins and ends, on whole lines if nothing else stands on them, and whether it is within a line."""
    start, end = mark.at, mark.end
    behind = _BLANK.match(text, end)
    if start == end:
        if start == 0 or text[start - 1] == "\n":
            return start, start, False
        return (behind.end(), behind.end(), False) if behind else (start, start, True)
    first = text.rfind("\n", 0, start) + 1
    if behind and "#" not in behind[0] and not text[first:start].strip(" \t"):
        return first, behind.end(), False
    return start, end, True


def _block(text: str, mark: Mark, start: int, end: int, within: bool, site: str) -> str:
    indent = _indent(text, start, end)
    body = ""
    for piece in mark.lines:
        body += indent + piece + "\n" if isinstance(piece, str) else _whole(text[piece[0] : piece[1]])
    if start < end:
        aside = text[start:end] if within else text[start : end - 1]
        body += f"{indent}{_ASIDE}\n" + "".join(f"# {line}\n" for line in aside.split("\n"))
    begin = f"# BEGIN chamilo.hardening {site}{', within a line' if within else ''}"
    block = f"{indent}{begin}\n{body}{indent}# END chamilo.hardening {site} {_sum(body)}\n"
    return "\n" + block if within else block


def _indent(text: str, start: int, end: int) -> str:
    """That of the line it stands before or replaces; before a closing brace or tag, that of the line above."""
    first = text.rfind("\n", 0, start) + 1
    here = _INDENT.match(text, first)
    line = text[first : text.find("\n", first) if "\n" in text[first:] else len(text)].strip()
    if start == end and (not line or line.startswith(("}", "</"))) and first:
        above = text.rfind("\n", 0, first - 1) + 1
        here = _INDENT.match(text, above)
    return here[0] if here else ""


def _whole(span: str) -> str:
    return span if span.endswith("\n") or not span else span + "\n"


def _aside(body: str, within: bool) -> str:
    found = [*_IS_ASIDE.finditer(body)]
    if not found:
        return ""
    behind = body[found[-1].end() :]
    lines = [line[2:] for line in behind.split("\n")[:-1]]
    return "\n".join(lines) + ("" if within else "\n")
