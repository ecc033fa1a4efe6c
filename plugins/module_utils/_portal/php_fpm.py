# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""The pools of PHP-FPM on a Debian host, and what PHP's own files set."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Place, Tree

# Of the pool www, and of a pool of ours: with the PHP that it is for, each goes when Debian is upgraded.
KNOWN_SOCKETS = re.compile(r"unix:/run/(?:php/php[\d.]+-fpm|chamilo-[\w.-]+)\.sock")
# What sections have PHP run before each script of a portal lies here.
PREPENDED = "/usr/local/share/chamilo-hardening"
GIVEN = ("PHP_ADMIN_VALUE", "PHP_VALUE")  # settings that a virtual host gives to PHP
_PROGRAM = "/usr/sbin/php-fpm"
_SECTION = re.compile(r"\[([^\]]+)\]")
_ENTRY = re.compile(r"([\w.]+)(?:\[([^\]]*)\])?\s*=\s*(.*)")
_OURS = re.compile(r"\d+-chamilo-[\w.-]+\.ini")  # what this collection puts into conf.d
_MADE = ("auto_prepend_file", "upload_max_filesize", "post_max_size")


@dataclass(frozen=True)
class Pool:
    """One pool: where it listens, who it runs as, and what environment it is given."""

    name: str
    version: str
    file: str
    address: str  # unix:/run/php/x.sock or 127.0.0.1:9000
    user: str
    group: str
    environment: tuple[tuple[str, Place], ...] = ()
    settings: tuple[tuple[str, str], ...] = ()  # php_value and php_admin_value


def pools(tree: Tree) -> tuple[list[Pool], list[str]]:
    """All pools, and what could not be read."""
    found: list[Pool] = []
    problems: list[str] = []
    for path in tree.glob("/etc/php/*/fpm/pool.d/*.conf"):
        try:
            found += _parse(tree.read(path), path)
        except OSError as problem:
            problems.append(f"{path} cannot be read: {problem.strerror}.")
    # apt leaves the configuration of a PHP that was removed.
    there = {path.removeprefix(_PROGRAM) for path in tree.glob(f"{_PROGRAM}[0-9]*")}
    return [pool for pool in found if not there or pool.version in there], problems


def _parse(text: str, path: str) -> list[Pool]:
    sections: dict[str, tuple[dict[str, str], dict[str, Place], dict[str, str]]] = {}
    name = ""
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        section, entry = _SECTION.fullmatch(line), _ENTRY.fullmatch(line)
        if section:
            name = section[1]
            sections[name] = ({}, {}, {})
        elif entry and name and not line.startswith((";", "#")):
            value = _value(entry[3]).replace("$pool", name)
            if entry[2] is None:
                sections[name][0][entry[1]] = value
            elif entry[1] == "env":
                sections[name][1][entry[2]] = Place(path, number, value)
            elif entry[1] in ("php_value", "php_admin_value"):
                sections[name][2][entry[2]] = value
    return [
        Pool(
            name=name,
            version=path.split("/")[3],
            file=path,
            address=_address(values["listen"]),
            user=values.get("user", ""),
            group=values.get("group", values.get("user", "")),
            environment=tuple(environment.items()),
            settings=tuple(settings.items()),
        )
        for name, (values, environment, settings) in sections.items()
        if "listen" in values
    ]


def _value(text: str) -> str:
    """The value of an entry without quotes and without a comment behind it."""
    found = re.fullmatch(r"""(?:"([^"]*)"|'([^']*)'|([^;]*))\s*(?:;.*)?""", text)
    return next((part for part in found.groups() if part is not None), "").strip() if found else text.strip()


def _address(listen: str) -> str:
    if listen.startswith("/"):
        return f"unix:{listen}"
    return f"127.0.0.1:{listen}" if listen.isdigit() else listen


def pool_behind(tree: Tree, all_pools: list[Pool], address: str) -> Pool | None:
    """The pool that an address leads to. Debian's /run/php/php-fpm.sock is a link to the real one."""
    if not address:
        return None
    desired = _resolved(tree, address)
    return next((pool for pool in all_pools if _resolved(tree, pool.address) == desired), None)


def _resolved(tree: Tree, address: str) -> str:
    if address.startswith("unix:"):
        return f"unix:{tree.real(address[5:])}"
    return address.replace("localhost:", "127.0.0.1:")


def settings(tree: Tree, directory: str, root: str, pool: Pool | None = None) -> dict[str, str]:
    """What one SAPI of PHP, such as /etc/php/8.4/fpm, sets for the scripts below ``root``/public.

    Later files win over earlier ones, the pool over files, a [PATH=...] section over the pool. What the files of this
    collection make of their owner's values (_MADE) does not count: it would hide later values of the owner.
    """
    found: dict[str, str] = {}
    insider: dict[str, str] = {}
    for path in (f"{directory}/php.ini", *tree.glob(f"{directory}/conf.d/*.ini")):
        if not tree.exists(path):
            continue
        here: dict[str, str] | None = found
        ours = _OURS.fullmatch(posixpath.basename(path))
        for line in map(str.strip, tree.read(path).splitlines()):
            section, entry = _SECTION.match(line), _ENTRY.fullmatch(line)
            if section:
                kind, _is, where = section[1].partition("=")
                above = f"{root}/public/".startswith(f"{where.rstrip('/')}/")
                here = {"PATH": insider if above else None, "HOST": None}.get(kind, found)
            elif entry and entry[2] is None and here is not None and not (ours and entry[1] in _MADE):
                here[entry[1]] = _value(entry[3])
    return {**found, **dict(pool.settings if pool else ()), **insider}


def confines(open_basedir: str) -> bool:
    """Whether it keeps PHP from what the sections have it run. Each entry is the beginning of what may be read."""
    entries = [entry for entry in open_basedir.split(":") if entry]
    return bool(entries) and not any(f"{PREPENDED}/".startswith(entry) for entry in entries)


def confined(given: Mapping[str, Place]) -> str:
    """The line of a virtual host that confines PHP so, by what it gives to PHP."""
    for name in GIVEN:
        place = given.get(name)
        found = re.search(r"open_basedir\s*=\s*([^\s;]+)", place.what) if place else None
        if place and found and confines(found[1]):
            return f"{place.file} line {place.line}"
    return ""


def confined_in(tree: Tree, face: str, seen: Mapping[str, str], pool: Pool | None) -> str:
    """The line that confines PHP so, in the files that ``settings`` has read; the directory where it is in no other."""
    if not confines(seen.get("open_basedir", "")):
        return ""
    form = re.compile(r"(?:php_(?:admin_)?value\[open_basedir\]|open_basedir)\s*=")
    for path in (*([pool.file] if pool else []), *tree.glob(f"{face}/conf.d/*.ini")[::-1], f"{face}/php.ini"):
        lines = tree.read(path).splitlines() if tree.exists(path) else []
        found = [number for number, line in enumerate(lines, 1) if form.match(line.strip())]
        if found:
            return f"{path} line {found[-1]}"
    return face


def size(text: str, otherwise: int) -> int:
    """Bytes of a size such as 256M."""
    known = re.match(r"(\d+)\s*([kmg]?)", text.lower())
    return int(known[1]) * 1024 ** " kmg".index(known[2] or " ") if known else otherwise
