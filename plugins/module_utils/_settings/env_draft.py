# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment files of a Symfony application as they are to be, worked out on texts."""

from __future__ import annotations

import re
from collections.abc import Callable

from .._application import dotenv
from .._common.errors import HardeningError
from .._common.tree import Tree

_BARE = re.compile(r"[A-Za-z0-9_./:@%+,=-]*")


class EnvError(HardeningError):
    """The environment cannot be changed. No file was changed, or all were restored; the message states which."""


class Draft(Tree):
    """The files as they are to be: those of a tree, with some texts replaced and some files not seen."""

    def __init__(self, base: Tree, load: Callable[[str], str]) -> None:
        super().__init__()
        self._base = base
        self._load = load
        self._texts: dict[str, str] = {}
        self.hidden = ""

    def read(self, path: str, web_user: str | None = None) -> str:
        return self._texts[path] if path in self._texts else self._base.read(path, web_user)

    def exists(self, path: str) -> bool:
        return path != self.hidden and self._base.exists(path)

    def set(self, path: str, name: str, value: str | None) -> None:
        """Give a name another value in one file, or take it out."""
        text = self._texts[path] if path in self._texts else self._load(path)
        php = path.endswith(".php")
        try:
            if value is None:
                self._texts[path] = (unset_php if php else unset_dotenv)(text, path, name)
            else:
                self._texts[path] = (set_php if php else set_dotenv)(text, path, name, value)
        except dotenv.DotenvError as problem:
            raise EnvError(f"{problem}. No file was changed. Mend that line first.") from problem

    @property
    def written(self) -> dict[str, str]:
        return dict(self._texts)


def set_dotenv(text: str, path: str, name: str, value: str) -> str:
    """The text of an environment file with another value. Comments, order, line ends and the way of quoting stay."""
    found = [each for each in dotenv.assignments(text, path) if each.name == name]
    if found:
        start, end = found[-1].start, found[-1].end
        return text[:start] + _quoted(value, text[start : start + 1]) + text[end:]
    newline = "\r\n" if "\r\n" in text else "\n"
    gap = "" if not text or text.endswith("\n") else newline
    return f"{text}{gap}{name}={_quoted(value, '')}{newline}"


def unset_dotenv(text: str, path: str, name: str) -> str:
    """The text of an environment file without the last assignment of a name: the one that counts."""
    last = [each for each in dotenv.assignments(text, path) if each.name == name][-1]
    start = text.rfind("\n", 0, last.start) + 1
    end = text.find("\n", last.end) + 1
    return text[:start] + (text[end:] if end else "")


def _quoted(value: str, style: str) -> str:
    if style not in ("'", '"') and _BARE.fullmatch(value):
        return value
    if style == '"' and not re.search(r'["\\$]', value):
        return f'"{value}"'
    return "'" + value.replace("'", "'\"'\"'") + "'"


def set_php(text: str, path: str, name: str, value: str) -> str:
    """The text that ``composer dump-env`` wrote, with another value."""
    new = "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    entries = list(re.finditer(rf"('{name}'\s*=>\s*)'(?:[^'\\]|\\.)*'", text, re.DOTALL))
    if entries:
        last = entries[-1]
        return text[: last.start()] + last[1] + new + text[last.end() :]
    head = re.search(r"return\s+(?:array\s*\(|\[)", text)
    if head is None:
        raise EnvError(f"{path} is not what `composer dump-env` writes, so {name} cannot be set in it.")
    return f"{text[: head.end()]}\n  '{name}' => {new},{text[head.end() :]}"


def unset_php(text: str, _path: str, name: str) -> str:
    """The text that ``composer dump-env`` wrote, without a name."""
    return re.sub(rf"[ \t]*'{name}'\s*=>\s*'(?:[^'\\]|\\.)*',?[ \t]*\n?", "", text, flags=re.DOTALL)


def _entries(text: str, path: str) -> dict[str, str]:
    """The names and values that stand in one file."""
    if path.endswith(".php"):
        return dict(re.findall(r"'(\w+)'\s*=>\s*'((?:[^'\\]|\\.)*)'", text, re.DOTALL))
    return dotenv.parse_text(text, path)


def shown(path: str, before: str, after: str) -> dict[str, str]:
    """The keys of one file that change, without secrets, as Ansible shows a difference."""
    left, right = _entries(before, path), _entries(after, path)
    names = [name for name in {**left, **right} if left.get(name) != right.get(name)]

    def lines(entries: dict[str, str], secret: str) -> str:
        known = {name: entries[name] for name in names if name in entries}
        return "".join(f"{name}={f'({secret})' if dotenv.is_secret(name) else text}\n" for name, text in known.items())

    head = {"before_header": path, "after_header": path}
    return {**head, "before": lines(left, "a secret"), "after": lines(right, "another secret")}
