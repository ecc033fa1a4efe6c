# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""The pools of PHP-FPM on a Debian host."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_collections.chamilo.hardening.plugins.module_utils._configuration import Place, Tree

_SECTION = re.compile(r"\[([^\]]+)\]")
_ENTRY = re.compile(r"([\w.]+)(?:\[([^\]]*)\])?\s*=\s*(.*)")


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


def pools(tree: Tree) -> tuple[list[Pool], list[str]]:
    """All pools, and what could not be read."""
    found: list[Pool] = []
    problems: list[str] = []
    for path in tree.glob("/etc/php/*/fpm/pool.d/*.conf"):
        try:
            found += _parse(tree.read(path), path)
        except OSError as problem:
            problems.append(f"{path} cannot be read: {problem.strerror}.")
    return found, problems


def _parse(text: str, path: str) -> list[Pool]:
    sections: dict[str, tuple[dict[str, str], dict[str, Place]]] = {}
    name = ""
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        section, entry = _SECTION.fullmatch(line), _ENTRY.fullmatch(line)
        if section:
            name = section[1]
            sections[name] = ({}, {})
        elif entry and name and not line.startswith((";", "#")):
            value = _value(entry[3]).replace("$pool", name)
            if entry[2] is None:
                sections[name][0][entry[1]] = value
            elif entry[1] == "env":
                sections[name][1][entry[2]] = Place(path, number, value)
    return [
        Pool(
            name=name,
            version=path.split("/")[3],
            file=path,
            address=_address(values["listen"]),
            user=values.get("user", ""),
            group=values.get("group", values.get("user", "")),
            environment=tuple(environment.items()),
        )
        for name, (values, environment) in sections.items()
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
    wanted = _resolved(tree, address)
    return next((pool for pool in all_pools if _resolved(tree, pool.address) == wanted), None)


def _resolved(tree: Tree, address: str) -> str:
    if address.startswith("unix:"):
        return f"unix:{tree.real(address[5:])}"
    return address.replace("localhost:", "127.0.0.1:")
