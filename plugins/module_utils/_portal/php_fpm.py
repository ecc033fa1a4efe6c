# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""The pools of PHP-FPM on a Debian host, and what PHP's own files set."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Place, Tree

# Of the pool www, and of a pool of ours: with the PHP that it is for, each goes when Debian is upgraded.
KNOWN_SOCKETS = re.compile(r"unix:/run/(?:php/php[\d.]+-fpm|chamilo-[\w.-]+)\.sock")
# What sections have PHP run before each script of a portal lies here.
PREPENDED = "/usr/local/share/chamilo-hardening"
GIVEN = ("PHP_ADMIN_VALUE", "PHP_VALUE")  # settings that a virtual host gives to PHP
_PROGRAM = "/usr/sbin/php-fpm"
_SECTION = re.compile(r"\[([^\]]*)\]")
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


@dataclass(frozen=True)
class Entry:
    """A line of php.ini, or of a pool: ``name = value`` or ``name[key] = value``."""

    section: str
    number: int
    name: str
    key: str
    value: str


def entries(text: str) -> Iterator[Entry]:
    section = ""
    for number, line in enumerate(map(str.strip, text.split("\n")), 1):
        head, found = _SECTION.match(line), _ENTRY.fullmatch(line)
        if head:
            section = head[1].strip()
        elif found:
            yield Entry(section, number, found[1], found[2] or "", _value(found[3]))


def counts(section: str, script: str) -> str:
    """Whether a section of php.ini says something of a script: "all" of every one, "insider" of it, else nothing."""
    kind, _is, place = map(str.strip, section.partition("="))
    if kind == "PATH":
        return "insider" if script.startswith(f"{place.rstrip('/')}/") else ""
    return "" if kind == "HOST" else "all"


def _parse(text: str, path: str) -> list[Pool]:
    sections: dict[str, tuple[dict[str, str], dict[str, Place], dict[str, str]]] = {}
    for entry in entries(text):
        plain, environment, settings = sections.setdefault(entry.section, ({}, {}, {}))
        value = entry.value.replace("$pool", entry.section)
        if not entry.key:
            plain[entry.name] = value
        elif entry.name == "env":
            environment[entry.key] = Place(path, entry.number, value)
        elif entry.name in ("php_value", "php_admin_value"):
            settings[entry.key] = value
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
    found: dict[str, dict[str, str]] = {"all": {}, "insider": {}, "": {}}
    for path in (f"{directory}/php.ini", *tree.glob(f"{directory}/conf.d/*.ini")):
        ours = _OURS.fullmatch(posixpath.basename(path))
        for entry in entries(tree.read(path)) if tree.exists(path) else ():
            if not entry.key and not (ours and entry.name in _MADE):
                found[counts(entry.section, f"{root}/public/")][entry.name] = entry.value
    return {**found["all"], **dict(pool.settings if pool else ()), **found["insider"]}


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
