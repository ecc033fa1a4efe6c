# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment files of a Symfony application, read in the order and by the rules of Symfony's Dotenv.

A value that is a secret leaves only through ``Environment.secret``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

from .._common.errors import HardeningError
from .._common.tree import Place, Tree

# Names whose values may be shown. All others may contain a credential.
_SHOWN = re.compile(
    r"""
    APP_((BUILD|CACHE|LOG|SHARE)_DIR|ENV|DEBUG|INSTALLED|ENCRYPT_METHOD|LOCALE|CUSTOM_VUE_TEMPLATE|ENABLE_API_ENTRYPOINT)
    | DATABASE_(HOST|PORT|NAME|USER) | TRUSTED_(PROXIES|HOSTS|HEADERS) | CORS_ALLOW_ORIGIN | JWT_(SECRET|PUBLIC)_KEY
    | IDS_(ENABLED|BLOCK|SECURITY_HEADERS) | SOFTWARE_(NAME|URL) | DB_MANAGER_ENABLED | WEBSERVICE_ENABLE
    | (AWS_S3|AZURE|GOOGLE)_STORAGE_\w*(BUCKET|CONTAINER|REGION|VERSION|PREFIX)
    """,
    re.VERBOSE,
)

SECRETS = ("APP_SECRET", "JWT_PASSPHRASE")  # neither public nor easy to guess

_NAME = re.compile(r"(?:export[ \t]+)?((?i:_?[A-Z][A-Z0-9_]*))")
_NOTHING = re.compile(r"[ \t]*(?:#.*)?$", re.MULTILINE)
_EMPTY_LINES = re.compile(r"(?:\s|#[^\n]*)*")
_BARE = re.compile(r"""(?:\\["']|[^\n"'#]|(?<![ \t])#)*""")
_DOLLAR = "\0"  # stands for a dollar sign that begins no reference
_PASSES = 5  # references through references; Dotenv gives up there
_ROOM = 1 << 22  # characters that references bring in; a few lines that name each other often fill any memory
_VARIABLE = re.compile(
    r"""
    (?P<escapes>\\*)\$(?!\()(?P<brace>\{)?(?P<name>(?i:[A-Z][A-Z0-9_]*))?
    (?P<default>:[-=][^}]*)?(?P<end>\})?
    """,
    re.VERBOSE,
)


class DotenvError(HardeningError):
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

    def get(self, name: str) -> str:
        """A value that is no secret, or an empty text."""
        return "" if is_secret(name) or name not in self._values else self._values[name].text

    def secret(self, name: str) -> str:
        """A value, secret or not, for use in a login. Never show it."""
        return self._values[name].text if name in self._values else ""


def is_secret(name: str) -> bool:
    return _SHOWN.fullmatch(name) is None


def read(tree: Tree, root: str, real: Mapping[str, Place] | None = None, web_user: str = "") -> Environment:
    """The environment of the application in ``root``. ``real``: what PHP is given by the server; it wins.

    ``web_user``: whom PHP runs as. No link that this user could have laid is followed.
    """
    given = {name: _Value(place.what, f"{place.file}:{place.line}") for name, place in (real or {}).items()}
    main = posixpath.join(root, ".env")
    dumped = main + ".local.php"
    if tree.exists(dumped):
        try:
            found = _parse_php(tree.read(dumped, web_user), dumped)
        except OSError as problem:
            return Environment(given, (), (f"{dumped} cannot be read: {problem.strerror}.",))
        if "APP_ENV" not in given or "APP_ENV" not in found or given["APP_ENV"].text == found["APP_ENV"].text:
            return Environment(_with_defaults({**found, **given}), (dumped,), ())
    files = _Files(tree, given, web_user)
    files.load(main if tree.exists(main) or not tree.exists(main + ".dist") else main + ".dist")
    if files.name() != "test" and tree.exists(main + ".local"):
        files.load(main + ".local")
    name = files.name()
    for path in (f"{main}.{name}", f"{main}.{name}.local"):
        if name != "local" and tree.exists(path):
            files.load(path)
    if files.closed:  # its values would win over the rest: nothing is certain
        return Environment(given, (), tuple(files.problems))
    return Environment(_with_defaults({**files.resolved(), **given}), tuple(files.read), tuple(files.problems))


def _with_defaults(values: dict[str, _Value]) -> dict[str, _Value]:
    """Symfony always knows an environment, and whether it debugs."""
    values = {"APP_ENV": _Value("dev", "Symfony's default"), **values}
    return {**values, "APP_DEBUG": _debug(values)}


def _debug(values: Mapping[str, _Value]) -> _Value:
    """APP_DEBUG as 0 or 1, as Symfony takes it: without a word of its own, everything but prod is debugged."""
    if "APP_DEBUG" not in values:
        return _Value("0" if values["APP_ENV"].text == "prod" else "1", "Symfony's default")
    return _Value(debug_text(values["APP_DEBUG"].text), values["APP_DEBUG"].source)


def debug_text(text: str) -> str:
    """What a text in APP_DEBUG means to PHP: 0 or 1."""
    text = text.strip().lower()
    number = re.match(r"[+-]?\d+", text)
    on = int(number[0]) != 0 if number else text in ("true", "on", "yes")
    return "1" if on else "0"


class _Files:
    """The files in the order they are loaded. References are resolved when all are there."""

    def __init__(self, tree: Tree, given: Mapping[str, _Value], web_user: str) -> None:
        self.tree = tree
        self.web_user = web_user
        self.given = given
        self.raw: dict[str, _Value] = {}
        self.read: list[str] = []
        self.problems: list[str] = []
        self.closed = False  # one of them could not be read
        self.room = _ROOM

    def load(self, path: str) -> None:
        try:
            text = self.tree.read(path, self.web_user)
            self.read.append(path)
            for name, value in parse_text(text, path).items():
                if name not in self.given:
                    self.raw[name] = _Value(value, path)
        except OSError as problem:
            self.problems.append(f"{path} cannot be read: {problem.strerror}.")
            self.closed = True
        except DotenvError as problem:
            self.problems.append(f"{problem}.")

    def name(self) -> str:
        """What APP_ENV is so far."""
        if "APP_ENV" in self.given:
            return self.given["APP_ENV"].text
        resolved = self.resolved(quiet=True)
        return resolved["APP_ENV"].text if "APP_ENV" in resolved else "dev"

    def resolved(self, quiet: bool = False) -> dict[str, _Value]:
        """All values with their references resolved. One that cannot be is left out, and is a problem."""
        values = {name: value.text for name, value in self.raw.items()}
        own = {name for name, text in values.items() if re.search(rf"\$\{{?{name}(?!\w)", text)}
        assigned: dict[str, str] = {}
        self.room = _ROOM

        def leave_out(name: str, why: str) -> None:
            del values[name]
            if not quiet:
                self.problems.append(f"{self.raw[name].source}: {name}: {why}.")

        for _pass in range(_PASSES):
            before = dict(values)
            for name, text in before.items():
                if "$" in text:
                    try:
                        seen = {other: value for other, value in before.items() if other != name or name not in own}
                        values[name] = self._expand(text, seen, assigned)
                    except DotenvError as problem:
                        leave_out(name, str(problem))
            if values == before:
                break
        else:
            for name, text in [*values.items()]:
                if text != before[name]:
                    leave_out(name, "its references have no end")
        return {
            name: _Value(text.replace(_DOLLAR, "$").replace("\\\\", "\\"), self.raw[name].source)
            for name, text in values.items()
        }

    def _expand(self, text: str, values: Mapping[str, str], assigned: dict[str, str]) -> str:
        if re.search(r"(?<!\\)\$\(", text):
            raise DotenvError("the value comes from a command, which is not run here")

        def replace(found: re.Match[str]) -> str:
            name, default = found["name"], found["default"] or ""
            if not name:
                return found[0]
            if found["brace"] and not found["end"]:
                raise DotenvError('"}" is missing')
            if name in values:
                value = values[name]
            elif name in self.given:
                value = self.given[name].text.replace("\\", "\\\\").replace("$", _DOLLAR)
            else:
                value = assigned.get(name, "")
            if not value and default:
                if re.search(r"""['"{$]""", default):
                    raise DotenvError(f"the default of {name} has a quote, a brace or a reference in it")
                value = default[2:]
                if default.startswith(":="):
                    assigned[name] = value
            self.room -= len(value)
            if self.room < 0:
                raise DotenvError(f"the references of these files bring in more than {_ROOM:,} characters")
            return found["escapes"] + value + ("" if found["brace"] else found["end"] or "")

        return _VARIABLE.sub(replace, text)


def _parse_php(text: str, path: str) -> dict[str, _Value]:
    """The array that ``composer dump-env`` writes: ``'NAME' => 'value',`` line by line."""
    found = {}
    for match in re.finditer(r"'(\w+)'\s*=>\s*'((?:[^'\\]|\\.)*)'", text, re.DOTALL):
        found[match[1]] = _Value(re.sub(r"\\(['\\])", r"\1", match[2]), path)
    return found


@dataclass(frozen=True)
class Assignment:
    """One assignment of a file: its value is what stands between the two places, quotes included."""

    name: str
    value: str
    start: int
    end: int


def parse_text(text: str, path: str) -> dict[str, str]:
    """The assignments of one file by Dotenv's own grammar, references not yet resolved.

    What is no reference although it has a dollar sign holds ``_DOLLAR`` instead, and backslashes are still doubled.
    """
    return {each.name: each.value for each in assignments(text, path)}


def assignments(text: str, path: str) -> list[Assignment]:
    """The assignments in the order of the file, with their places in it. The last one of a name counts."""
    if text.startswith("\ufeff") or "\0" in text:
        raise DotenvError(f"{path}:1: a byte-order mark or a NUL byte stands in the file")
    # Where each character stood before the ends of lines were made the same.
    places = [found.start() for found in re.finditer(r"\r\n|[^\0]", text)] + [len(text)]
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    result: list[Assignment] = []
    position = _skip(text, 0)
    while position < len(text):
        where = f"{path}:{text.count(chr(10), 0, position) + 1}"
        found = _NAME.match(text, position)
        if found is None:
            raise DotenvError(f"{where}: this is no variable name")
        start = found.end() + 1
        if text[start - 1 : start] != "=":
            raise DotenvError(f'{where}: "=" is missing behind {found[1]}')
        value, end, position = _value(text, start, f"{where}: {found[1]}")
        result.append(Assignment(found[1], value, places[start], places[end]))
        position = _skip(text, position)
    return result


def _skip(text: str, position: int) -> int:
    found = _EMPTY_LINES.match(text, position)
    return found.end() if found else position


def _value(text: str, position: int, where: str) -> tuple[str, int, int]:
    """A value, where it ends, and where what follows it (blanks, a comment) ends."""
    empty = _NOTHING.match(text, position)
    if empty:
        return "", position, empty.end()
    if text[position] in " \t":
        raise DotenvError(f"{where}: a blank stands before the value")
    parts = []
    last = position
    while position < len(text) and text[position] != "\n":
        if text[position] == "'":
            end = text.find("'", position + 1)
            if end < 0:
                raise DotenvError(f"{where}: the closing quote is missing")
            parts.append(text[position + 1 : end].replace("\\", "\\\\").replace("$", _DOLLAR))
            last = position = end + 1
        elif text[position] == '"':
            end = _closing_quote(text, position + 1, where)
            inner = text[position + 1 : end].replace('\\"', '"').replace("\\r", "\r").replace("\\n", "\n")
            parts.append(_protect(inner))
            last = position = end + 1
        else:
            bare = _BARE.match(text, position)
            raw = bare[0] if bare else ""
            last = max(last, position + len(raw.rstrip()))
            position += len(raw)
            plain = re.sub(r"""\\(["'])""", r"\1", raw).rstrip()
            if "$" not in plain and re.search(r"\s", plain):
                raise DotenvError(f"{where}: a value with blanks needs quotes")
            parts.append(_protect(plain))
            if text[position : position + 1] == "#":
                end = text.find("\n", position)
                position = len(text) if end < 0 else end
    return "".join(parts), last, position


def _closing_quote(text: str, position: int, where: str) -> int:
    """Dotenv checks the two characters before a quote, no more, to recognize an escaped one."""
    while position < len(text):
        if text[position] == '"' and (text[position - 1] != "\\" or text[position - 2] == "\\"):
            return position
        position += 1
    raise DotenvError(f"{where}: the closing quote is missing")


def _protect(text: str) -> str:
    """Escaped dollar signs are no references."""
    return re.sub(r"(\\*)\\\$", lambda found: found[0] if len(found[1]) % 2 else found[1] + _DOLLAR, text)
