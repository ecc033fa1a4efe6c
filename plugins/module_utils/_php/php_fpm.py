# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pools of PHP-FPM on a Debian host, and the lines of php.ini and of pools."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from .._common.tree import Place, Tree

# Of the pool www, and of a pool of ours: with the PHP that it is for, each goes when Debian is upgraded.
KNOWN_SOCKETS = re.compile(r"unix:/run/(?:php/php[\d.]+-fpm|chamilo-[\w.-]+)\.sock")
_PROGRAM = "/usr/sbin/php-fpm"
_SECTION = re.compile(r"\[([^\]]*)\]")
_ENTRY = re.compile(r"([\w.]+)(?:\[([^\]]*)\])?\s*=\s*(.*)")


@dataclass(frozen=True)
class Entry:
    """A line of php.ini, or of a pool: ``name = value`` or ``name[key] = value``."""

    section: str
    number: int
    name: str
    key: str
    value: str


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
    settings: tuple[Entry, ...] = ()  # php_value, php_flag, and those of an administrator


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
    sections: dict[str, tuple[dict[str, str], dict[str, Place], list[Entry]]] = {}
    for entry in entries(text):
        plain, environment, settings = sections.setdefault(entry.section, ({}, {}, []))
        value = entry.value.replace("$pool", entry.section)
        if not entry.key:
            plain[entry.name] = value
        elif entry.name == "env":
            environment[entry.key] = Place(path, entry.number, value)
        else:
            settings.append(replace(entry, value=value))
    return [
        Pool(
            name=name,
            version=path.split("/")[3],
            file=path,
            address=_address(values["listen"]),
            user=values.get("user", ""),
            group=values.get("group", values.get("user", "")),
            environment=tuple(environment.items()),
            settings=tuple(settings),
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


def size(text: str, otherwise: int) -> int:
    """Bytes of a size such as 256M."""
    known = re.match(r"(\d+)\s*([kmg]?)", text.lower())
    return int(known[1]) * 1024 ** " kmg".index(known[2] or " ") if known else otherwise
