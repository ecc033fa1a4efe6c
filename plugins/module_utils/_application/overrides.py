# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""config/settings_overrides.yaml, whose values win over the database: read and edited line by line.

Only the shape that the application documents is understood, and another one is refused. So PyYAML need not be on the
host, and comments, order and everything else in the file stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Union

from .._common.errors import HardeningError

PATH = "config/settings_overrides.yaml"
Overrides = dict[str, dict[str, str]]
# What to write (a text) and what to remove (None), by scope and key.
Changes = Mapping[str, Mapping[str, Union[str, None]]]

_ROOT = ["parameters", "settings_overrides"]
_QUOTED = r"""'(?:[^']|'')*'|"(?:[^"\\]|\\.)*\""""
_BARE = r"""[^\s'"\[\]{}&*!|>%@`#,](?:[^#:]|(?<! )#|:(?! |$))*"""
_LINE = re.compile(rf"( *)({_QUOTED}|[A-Za-z0-9_.]+) *:(?: +({_QUOTED}|\{{ *\}}|{_BARE}))? *(?:(?<= )#.*)?$")
_STRANGE = "not of the form 'category.variable: value', so this reader does not understand the file."
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", '"': '"', "\\": "\\", "/": "/", " ": " "}
# What stands in a YAML file as itself. The end of a line is among them only where Unix and YAML agree.
_PRINTABLE = re.compile("[ -~\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]*")


class OverridesError(HardeningError):
    """The file is not of the known shape, or a value does not fit into it."""


@dataclass(frozen=True)
class _Line:
    """A line with content. ``parents``: the keys above it."""

    number: int
    indent: int
    parents: tuple[str, ...]
    key: str
    value: str | None
    span: tuple[int, int]  # of the value

    @property
    def open(self) -> bool:
        """More may stand below it."""
        return self.value is None or self.value.startswith("{")


def parse(text: str, path: str) -> Overrides:
    """``default`` or a portal's number -> ``category.variable`` -> value.

    The values are what the application's code compares: a bare ``true`` is no text 'true' there, and is shown as what
    it is. Maps of other things (``hosting_limit``) are left out.
    """
    result: Overrides = {}
    for line in _lines(text, path):
        if _is_setting(line):
            result.setdefault(line.parents[2], {})[line.key] = _scalar(line.value or "", _where(path, line), bare=True)
    return result


def edit(text: str, path: str, changes: Changes) -> str:
    """The same file with these settings changed, and nothing else."""
    for scope, settings in changes.items():
        for key, value in settings.items():
            text = _remove(text, path, scope, key) if value is None else _set(text, path, scope, key, value)
    return text


def _is_setting(line: _Line) -> bool:
    return len(line.parents) == 3 and list(line.parents[:2]) == _ROOT and not line.open


def _where(path: str, line: _Line) -> str:
    return f"{path}, line {line.number}"


def _lines(text: str, path: str) -> Iterator[_Line]:
    above: list[tuple[int, str]] = []  # indentation and key of the lines that contain this one
    seen: set[tuple[str, ...]] = set()
    for number, line in enumerate(text.split("\n"), 1):
        line = line.rstrip("\r")
        if not line.strip() or line.lstrip().startswith("#") or line == "---":
            continue
        where = f"{path}, line {number}"
        match = _LINE.match(line)
        if match is None:
            raise OverridesError(f"{where}: {_STRANGE}")
        indent, key = len(match[1]), _scalar(match[2], where)
        # A line of the same depth, or a shallower one, closes what stood open.
        while above and above[-1][0] >= indent:
            above.pop()
        parents = tuple(name for _depth, name in above)
        found = _Line(number, indent, parents, key, match[3], match.span(3))
        insider = list(parents[:2]) == _ROOT or (parents == ("parameters",) and key == _ROOT[1])
        # Below the two upper keys only maps; below a scope values, or maps of other things.
        if insider and len(parents) < 3 and not found.open:
            raise OverridesError(f"{where}: {_STRANGE}")
        if insider and len(parents) == 3 and found.value is None and "." in key:
            raise OverridesError(f"{where}: {_STRANGE}")
        if insider and (*parents, key) in seen:
            raise OverridesError(f"{where}: {key} stands there twice. Leave one of the two.")
        seen.add((*parents, key))
        if found.open:
            above.append((indent, key))
        yield found


def _set(text: str, path: str, scope: str, key: str, value: str) -> str:
    written = _quote(value, key)
    lines = list(_lines(text, path))
    rows = text.split("\n")
    for line in lines:
        if line.parents == (*_ROOT, scope) and line.key == key:
            if line.value is None:
                raise OverridesError(f"{_where(path, line)}: {_STRANGE}")
            start, end = line.span
            row = rows[line.number - 1]
            tail = row[end:].lstrip(" ")  # what stood bare may have taken the spaces before a comment
            rows[line.number - 1] = row[:start] + written + (" " + tail if tail.strip() else tail)
            return "\n".join(rows)
    # The deepest map on the way that is there already gets the rest, behind what it has.
    way = [*_ROOT, scope]
    holder, known = None, 0
    for line in lines:
        depth = len(line.parents) + 1
        if depth > known and [*line.parents, line.key] == way[:depth]:
            holder, known = line, depth
    below = [line for line in lines if holder and line.parents[:known] == (*holder.parents, holder.key)]
    children = [line for line in below if len(line.parents) == known]
    base = holder.indent if holder else -4
    indent = children[0].indent if children else base + 4
    new = [" " * (indent + 4 * number) + f"{name}:" for number, name in enumerate(way[known:])]
    new.append(" " * (indent + 4 * (len(way) - known)) + f"{key}: {written}")
    if holder and holder.value is not None:  # "{}": it opens now
        start, end = holder.span
        row = rows[holder.number - 1]
        rows[holder.number - 1] = row[:start].rstrip(" ") + row[end:]
    if holder:
        after = max(line.number for line in (holder, *below))
    else:
        after = len(rows) - 1 if rows[-1] == "" else len(rows)
    ending = "\r" if rows[0].endswith("\r") else ""
    rows[after:after] = [row + ending for row in new]
    return "\n".join(rows if rows[-1] == "" else [*rows, ""])


def _remove(text: str, path: str, scope: str, key: str) -> str:
    lines = list(_lines(text, path))
    rows = text.split("\n")
    gone = [line for line in lines if line.parents == (*_ROOT, scope) and line.key == key]
    if not gone:
        return text
    (line,) = gone
    left = [other for other in lines if other.parents[:3] == (*_ROOT, scope) and other is not line]
    if not left:
        # An empty map, not nothing: the application asks it for keys.
        above = next(other for other in lines if (*other.parents, other.key) == (*_ROOT, scope))
        row = rows[above.number - 1]
        colon = row.index(":") + 1
        rows[above.number - 1] = f"{row[:colon]} {{}}{row[colon:]}"
    del rows[line.number - 1]
    return "\n".join(rows)


def _scalar(text: str, where: str, bare: bool = False) -> str:
    text = text.strip()
    if text.startswith("'"):
        plain = text[1:-1].replace("''", "'")
    elif text.startswith('"'):
        if re.search(r'\\[^ntr0"\\/ ]', text.replace("\\\\", "")):
            raise OverridesError(f"{where}: an escape that this reader does not know.")
        plain = re.sub(r"\\(.)", lambda match: _ESCAPES[match[1]], text[1:-1])
    elif bare and text.lower() in ("true", "false", "null", "~"):
        return f"{text} without quotes"
    else:
        plain = text
    # The file is a container parameter: %% is a percent sign, %name% another parameter.
    if "%" in plain.replace("%%", ""):
        raise OverridesError(f"{where}: the value depends on another parameter, which cannot be seen here.")
    return plain.replace("%%", "%")


def _quote(value: str, key: str) -> str:
    """A value quoted as a text, whatever its form."""
    value = value.replace("%", "%%")
    if _PRINTABLE.fullmatch(value):
        return "'" + value.replace("'", "''") + "'"
    plain = value.replace("\\", "\\\\").replace('"', '\\"')
    for name, character in (("n", "\n"), ("t", "\t"), ("r", "\r")):
        plain = plain.replace(character, f"\\{name}")
    if not _PRINTABLE.fullmatch(plain):
        raise OverridesError(f"The value of {key} contains a control character, which cannot be pinned in a file.")
    return f'"{plain}"'


def wins(overrides: Overrides, portal: str, key: str) -> str | None:
    """The value of the file for a portal, or None."""
    for scope in (portal, "default"):
        if key in overrides.get(scope, {}):
            return overrides[scope][key]
    return None


def in_force(overrides: Overrides, keys: Sequence[str]) -> bool:
    """Does the file set one of these?"""
    return any(key in settings for settings in overrides.values() for key in keys)
