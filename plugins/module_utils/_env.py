# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""The environment files of a Symfony application, read in the order and by the rules of Symfony's Dotenv.

A value that is a secret leaves only through ``Environment.secret``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.chamilo.hardening.plugins.module_utils._configuration import Place, Tree

# Names whose values may be shown. All others may hold a credential.
_SHOWN = re.compile(
    r"""
    APP_(ENV|DEBUG|INSTALLED|ENCRYPT_METHOD|LOCALE|CUSTOM_VUE_TEMPLATE|ENABLE_API_ENTRYPOINT)
    | DATABASE_(HOST|PORT|NAME|USER) | TRUSTED_(PROXIES|HOSTS|HEADERS) | CORS_ALLOW_ORIGIN | JWT_(SECRET|PUBLIC)_KEY
    | IDS_(ENABLED|BLOCK|SECURITY_HEADERS) | SOFTWARE_(NAME|URL) | DB_MANAGER_ENABLED | WEBSERVICE_ENABLE
    | (AWS_S3|AZURE|GOOGLE)_STORAGE_\w*(BUCKET|CONTAINER|REGION|VERSION|PREFIX)
    """,
    re.VERBOSE,
)

# What everybody can read in the sources of Chamilo and of Symfony's recipes.
_PUBLIC = {
    "APP_SECRET": frozenset({"", "changeme", "change_me", "ThisTokenIsNotSoSecretChangeIt", "{{APP_SECRET}}"}),
    "JWT_PASSPHRASE": frozenset({"", "your_secret_passphrase"}),
}

_NAME = re.compile(r"(?:export[ \t]+)?((?i:_?[A-Z][A-Z0-9_]*))")
_VARIABLE = re.compile(
    r"""
    (?P<escapes>\\*)\$(?!\()(?P<brace>\{)?(?P<name>(?i:[A-Z][A-Z0-9_]*))?
    (?P<default>:[-=][^}]*)?(?P<end>\})?
    """,
    re.VERBOSE,
)


class DotenvError(Exception):
    """A file that Symfony would refuse, or whose values only Symfony can know."""


@dataclass(frozen=True)
class _Value:
    text: str
    source: str


class Environment:
    """The effective environment of the application."""

    def __init__(self, values: Mapping[str, _Value], files: tuple[str, ...], problems: tuple[str, ...]) -> None:
        self._values = dict(values)
        self.files = files  # those that were read, in order
        self.problems = problems

    @property
    def visible(self) -> dict[str, str]:
        """The values that are no secrets."""
        return {name: value.text for name, value in sorted(self._values.items()) if not is_secret(name)}

    @property
    def sources(self) -> dict[str, str]:
        """Where the winning value of each name stands."""
        return {name: value.source for name, value in sorted(self._values.items())}

    @property
    def public_secrets(self) -> tuple[str, ...]:
        """The secrets whose value is a public default. Nothing can be said of files that were not read."""
        if not self._values:
            return ()
        return tuple(name for name, known in _PUBLIC.items() if self.secret(name) in known)

    def get(self, name: str) -> str:
        """A value that is no secret, or an empty text."""
        return "" if is_secret(name) or name not in self._values else self._values[name].text

    def secret(self, name: str) -> str:
        """A value, secret or not, for whoever needs it to log in. Never show it."""
        return self._values[name].text if name in self._values else ""


def read_secret(root: str, name: str) -> str:
    """A secret of the application in ``root``, for whoever needs it to log in. Never show it."""
    return read(Tree(), root).secret(name)


def is_secret(name: str) -> bool:
    return _SHOWN.fullmatch(name) is None


def read(tree: Tree, root: str, real: Mapping[str, Place] | None = None) -> Environment:
    """The environment of the application in ``root``. ``real``: what PHP is given by the server; it wins."""
    values = {name: _Value(place.what, f"{place.file}:{place.line}") for name, place in (real or {}).items()}
    given = frozenset(values)
    files: list[str] = []
    problems: list[str] = []

    def load(path: str) -> None:
        try:
            text = tree.read(path)
            files.append(path)
            for name, value in parse_text(text, path, values, given):
                if name not in given:
                    values[name] = value
        except OSError as problem:
            problems.append(f"{path} cannot be read: {problem.strerror}.")
        except DotenvError as problem:
            problems.append(f"{problem}.")

    main = posixpath.join(root, ".env")
    dumped = main + ".local.php"
    if tree.exists(dumped):
        try:
            found = _parse_php(tree.read(dumped), dumped)
            if "APP_ENV" not in values or "APP_ENV" not in found or values["APP_ENV"].text == found["APP_ENV"].text:
                return Environment({**found, **values}, (dumped,), ())
        except OSError as problem:
            return Environment(values, (), (f"{dumped} cannot be read: {problem.strerror}.",))
    load(main if tree.exists(main) or not tree.exists(main + ".dist") else main + ".dist")
    if tree.exists(main + ".local") and _environment_name(values) != "test":
        load(main + ".local")
    for path in (f"{main}.{_environment_name(values)}", f"{main}.{_environment_name(values)}.local"):
        if path != main + ".local" and path != main + ".local.local" and tree.exists(path):
            load(path)
    return Environment(values, tuple(files), tuple(problems))


def _environment_name(values: Mapping[str, _Value]) -> str:
    return values["APP_ENV"].text if "APP_ENV" in values else "dev"


def _parse_php(text: str, path: str) -> dict[str, _Value]:
    """The array that ``composer dump-env`` writes: ``'NAME' => 'value',`` line by line."""
    found = {}
    for match in re.finditer(r"'(\w+)'\s*=>\s*'((?:[^'\\]|\\.)*)'", text, re.DOTALL):
        found[match[1]] = _Value(re.sub(r"\\(['\\])", r"\1", match[2]), path)
    return found


def parse_text(
    text: str, path: str, known: Mapping[str, _Value] | None = None, given: frozenset[str] = frozenset()
) -> list[tuple[str, _Value]]:
    """The assignments of one file in order, by Dotenv's own grammar. ``given`` names are not to be overwritten."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    current = dict(known or {})
    result: list[tuple[str, _Value]] = []
    position = 0
    while True:
        position = _skip(text, position)
        if position >= len(text):
            return result
        line = text.count("\n", 0, position) + 1
        found = _NAME.match(text, position)
        if found is None:
            raise DotenvError(f"{path}:{line}: this is no variable name")
        name, position = found[1], found.end()
        if text[position : position + 1] != "=":
            if found[0].startswith("export"):
                position = _end_of_line(text, position)  # "export NAME" only marks it
                continue
            raise DotenvError(f'{path}:{line}: "=" is missing behind {name}')
        content, position = _value(text, position + 1, f"{path}:{line}: {name}", current)
        value = _Value(content, path)
        if name not in given:
            current[name] = value
        result.append((name, value))


def _skip(text: str, position: int) -> int:
    found = re.compile(r"(?:\s*(?:#[^\n]*)?(?:\n|$)|\s+)*").match(text, position)
    return found.end() if found else position


def _end_of_line(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def _value(text: str, position: int, where: str, current: Mapping[str, _Value]) -> tuple[str, int]:
    empty = re.compile(r"[ \t]*(?:#.*)?$", re.MULTILINE).match(text, position)
    if empty:
        return "", empty.end()
    if text[position] in " \t":
        raise DotenvError(f"{where}: a blank stands before the value")
    parts = []
    while position < len(text) and text[position] != "\n":
        if text[position] == "'":
            end = text.find("'", position + 1)
            if end < 0:
                raise DotenvError(f"{where}: the closing quote is missing")
            parts.append(text[position + 1 : end])
            position = end + 1
        elif text[position] == '"':
            quoted = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL).match(text, position)
            if quoted is None:
                raise DotenvError(f"{where}: the closing quote is missing")
            raw = quoted[1].replace('\\"', '"').replace("\\r", "\r").replace("\\n", "\n")
            parts.append(_resolve(raw, where, current))
            position = quoted.end()
        else:
            bare = re.compile(r"""(?:\\["']|[^\n"'#]|(?<![ \t])#)*""").match(text, position)
            raw = bare[0] if bare else ""
            position += len(raw)
            plain = re.sub(r"""\\(["'])""", r"\1", raw).rstrip()
            resolved = _resolve(plain, where, current)
            if resolved == plain and re.search(r"\s", plain):
                raise DotenvError(f"{where}: a value with blanks needs quotes")
            parts.append(resolved)
            if text[position : position + 1] == "#":
                position = _end_of_line(text, position)
    return "".join(parts), position


def _resolve(text: str, where: str, current: Mapping[str, _Value]) -> str:
    if re.search(r"(?<!\\)\$\(", text):
        raise DotenvError(f"{where}: the value comes from a command, which is not run here")

    def replace(found: re.Match[str]) -> str:
        if len(found["escapes"]) % 2:
            return found[0][1:]
        if not found["name"]:
            return found[0]
        if found["brace"] and not found["end"]:
            raise DotenvError(f'{where}: "}}" is missing')
        value = current[found["name"]].text if found["name"] in current else ""
        default = found["default"] or ""
        if found["brace"]:
            value = value or default[2:]
            default = ""
        return found["escapes"] + value + default + ("" if found["brace"] else found["end"] or "")

    return _VARIABLE.sub(replace, text).replace("\\\\", "\\")
