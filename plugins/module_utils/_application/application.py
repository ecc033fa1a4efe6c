# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The portal in the application's own database: the names in its access URLs, its plugins, its second factors."""

from __future__ import annotations

import glob
import posixpath
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from .._common.naming import is_name
from .._common.tree import Tree

if TYPE_CHECKING:
    from .site import Site

_DIRECTORY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,100}")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Known:
    """What cannot be read is empty."""

    access_urls: tuple[str, ...] = ()  # the names in them
    plugins: tuple[str, ...] = ()  # the directories of those that are enabled
    two_factor: bool = False  # a login may ask for a second step


def known_to(site: Site, tree: Tree) -> Known:
    from .database import DatabaseError
    from .portal_reader import PortalReader

    try:
        reader = PortalReader.of(site.installation)
    except DatabaseError:
        return Known()

    def attempt(question: Callable[[], _T], otherwise: _T) -> _T:
        try:
            return question()
        except DatabaseError:
            return otherwise

    no_names: list[str] = []
    hosts = dict.fromkeys(attempt(reader.hosts, no_names))
    urls = tuple(name for name in hosts if is_name(name) and name[:1] != "*")  # a wildcard is for other sites as well
    return Known(urls, _directories(site, tree, attempt(reader.plugins, no_names)), attempt(reader.two_factor, False))


def _directories(site: Site, tree: Tree, titles: Sequence[str]) -> tuple[str, ...]:
    """Those of plugins with these titles. Chamilo compares letters and digits alone, whatever their case."""
    paths = tree.glob(f"{glob.escape(site.root)}/public/plugin/*") if titles else []
    there = {name for name in map(posixpath.basename, paths) if _DIRECTORY.fullmatch(name)}
    found: set[str] = set()
    for title in titles:
        # Beside that of this release there may be one that an older release left.
        found |= {title} if title in there else {name for name in there if _letters(name) == _letters(title)}
    return tuple(sorted(found))


def _letters(text: str) -> str:
    return re.sub("[^a-z0-9]", "", text.lower())
