# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which release of Chamilo a project directory contains, in the order in which Chamilo itself reads it.

The web user may have written any of these files. They are read as text, within bounds, and never run.
"""

from __future__ import annotations

import glob
import json
import posixpath
import re
from dataclasses import dataclass

from .._common.errors import HardeningError
from .._common.tree import Tree

OWN = "version.php"  # since 3.0; the installer's file only includes this one there
INSTALLER = "public/main/install/version.php"
UPGRADES = "UPGRADE_ENABLED"  # since 3.0: while it is there, the installer upgrades for any visitor who reaches it
_PACKAGES = "vendor/composer/installed.php"
_PROJECT = "composer.json"
_LOCK = "composer.lock"
_MIGRATIONS = "src/CoreBundle/Migrations/Schema"
_SMALL, _LARGE = 64 << 10, 16 << 20  # bytes
_KEYS = ("new_version", "system_version", "version")
_VERSION = re.compile(r"v?(\d{1,4}(?:\.\d{1,4}){1,3}(?:[-+. _]?[A-Za-z0-9.-]{1,24})?)", re.ASCII)
_UNSET = re.compile(r"dev-.*|1\.0\.0\+no-version-set|1\.0\.0\.0", re.IGNORECASE | re.DOTALL)
_STAGES = ("alpha", "beta", "rc")
# Composer writes the project's own package first.
_ROOT_PACKAGE = re.compile(
    r"<\?php return array\(\s{1,40}'root' => array\(\s{1,40}'name' => 'chamilo/chamilo-lms',"
    r"\s{1,40}'pretty_version' => '([^'\\]{1,60})',"
)
_FRAMEWORK = re.compile(r'"name": "symfony/framework-bundle",\s{1,40}"version": "v?([0-9]{1,3})\.')
_BUILT_ON = {"6": "2.0", "7": "3.0"}  # the framework's first number: the first branch that is built on it
# Enough for a list of plain values and no more. A line comment ends at ?> as well, where PHP would leave the code.
_TOKEN = re.compile(
    r"""[ \t\r\n]+|(?://|\#(?!\[))(?:(?!\?>)[^\r\n])*|/\*.*?\*/
    |(?P<text>'[^'\\]*'|"[^"\\$]*")|(?P<word>\$?[A-Za-z_][A-Za-z_0-9]*|[0-9]+)|(?P<sign>=>|[][(),;=])""",
    re.DOTALL | re.VERBOSE,
)
_LITERALS = ("true", "false", "null")


class ReleaseError(HardeningError):
    """A file does not plainly name a version; the message states why."""


@dataclass(frozen=True)
class Release:
    """The release in a project directory."""

    version: str = ""  # empty: not known
    source: str = ""  # the file that names it; else why one that should was refused
    branch: str = ""  # of the code itself: by its migrations, else by the framework that it is built on


def installed(tree: Tree, root: str, web_user: str | None) -> Release:
    """The release below ``root``. A file that is refused ends the search, for Chamilo itself would read it."""
    if not root:
        return Release()
    branch = _branch(tree, root, web_user)
    for path in (OWN, INSTALLER, _PACKAGES, _PROJECT):
        file = posixpath.join(root, path)
        try:
            version = _named(tree, file, path, web_user) if tree.exists(file) else ""
        except OSError as problem:
            return Release("", f"{file} cannot be read: {problem.strerror}", branch)
        except ReleaseError as problem:
            return Release("", f"{file} {problem}", branch)
        if version:
            return Release(version, path, branch)
    return Release("", "", branch)


def _named(tree: Tree, file: str, path: str, web_user: str | None) -> str:
    """The version that a file names; empty where Chamilo would ask the next one."""
    if path == _PACKAGES:
        found = _ROOT_PACKAGE.match(tree.read_bounded(file, web_user, _LARGE))
        return _version(found[1]) if found else ""
    text = tree.read_bounded(file, web_user, _SMALL)
    if path == _PROJECT:
        return _version(_of_project(text))
    known = values(text)
    if known is None:
        if path == INSTALLER:  # that of 3.0, which includes the other
            return ""
        raise ReleaseError("has more than a list of values, so what Chamilo reads from it is not known")
    named = next((known[key] for key in _KEYS if known.get(key)), "")
    version = _version(named)
    if named and not version and not _UNSET.fullmatch(named):
        raise ReleaseError("names no version where it should")
    stage, number = known.get("new_version_status", "").lower(), known.get("new_version_last_id", "")
    if version and stage in _STAGES and re.fullmatch(r"[0-9.]+", version):
        version += f"-{known['new_version_status']}" + (f".{number}" if re.fullmatch(r"[0-9]{1,4}", number) else "")
    return version


def _version(text: str) -> str:
    """Without the v; empty where it is no version, or Composer knows none."""
    found = _VERSION.fullmatch(text.strip())
    return found[1] if found and not _UNSET.fullmatch(text.strip()) else ""


def _of_project(text: str) -> str:
    try:
        known = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    version = known.get("version") if isinstance(known, dict) else ""
    return version if isinstance(version, str) else ""


def values(text: str) -> dict[str, str] | None:
    """What a PHP file returns, or assigns, where it is nothing but a list of plain values; None for all else.

    No value is put together, no key comes twice, and nothing stands before or behind the list.
    """
    tokens = _tokens(text)
    if tokens is None:
        return None
    if tokens[:6] == ["declare", "(", "strict_types", "=", "1", ")"]:
        tokens = tokens[7:]
    if tokens[:2] == ["return", "["] and tokens[-2:] == ["]", ";"]:
        return _pairs(tokens[2:-2], "=>", ",")
    if tokens[:3] == ["return", "array", "("] and tokens[-2:] == [")", ";"]:
        return _pairs(tokens[3:-2], "=>", ",")
    return _pairs(tokens, "=", ";") if tokens[-1:] == [";"] else None


def _tokens(text: str) -> list[str] | None:
    begin = re.match(r"\s*<\?php(?=\s)", text)
    if not begin:
        return None
    place, end = begin.end(), len(text)
    found: list[str] = []
    while place < end:
        token = _TOKEN.match(text, place)
        if not token:
            return found if re.fullmatch(r"\?>\s*", text[place:]) else None
        if token.lastgroup:
            found.append(token[0])
        place = token.end()
    return found


def _pairs(tokens: list[str], between: str, behind: str) -> dict[str, str] | None:
    """``key between value behind`` again and again; the last ``behind`` may be missing."""
    known: dict[str, str] = {}
    for start in range(0, len(tokens), 4):
        key, sign, value, *last = tokens[start : start + 4] + [""] * (start + 3 - len(tokens))
        name = key.strip("'\"") if between == "=>" and key[:1] in ("'", '"') else key[1:] if between == "=" else ""
        plain = value[:1] in ("'", '"') or value.isdigit() or value.lower() in _LITERALS
        wrong = sign != between or not plain or last not in ([behind], []) or (between == "=" and key[:1] != "$")
        if wrong or not name or name in known:
            return None
        known[name] = value[1:-1] if value[:1] in ("'", '"') else value
    return known


def _branch(tree: Tree, root: str, web_user: str | None) -> str:
    """The branch that the code itself shows, whatever its files call themselves; empty where nothing shows it."""
    directories = tree.glob(f"{glob.escape(root)}/{_MIGRATIONS}/V[0-9][0-9][0-9]")
    if directories:
        digits = posixpath.basename(directories[-1])
        return f"{digits[1]}.{digits[2]}"
    file = posixpath.join(root, _LOCK)
    try:
        found = _FRAMEWORK.search(tree.read_bounded(file, web_user, _LARGE)) if tree.exists(file) else None
    except OSError:  # it would only have been evidence beside the version's own file
        return ""
    return _BUILT_ON.get(found[1], "") if found else ""
