# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was done to our files, and to our lines in those of an owner, since they were written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._common import tree as files
from .._common.files import Item, Tree
from .our_lines import of, site_of, whole, written
from .ownership import last_owner
from .store import Store


def edited(state: Mapping[str, Any]) -> dict[str, list[str]]:
    """The files of each section that were changed after they were written."""
    found = {}
    with Tree() as tree:
        for name, record in state["records"].items():
            found[name] = [
                path
                for path, known in sorted(record["files"].items())
                # A file that a later section has taken over is that section's to compare.
                if last_owner(state, path) == name and not tree.inspect(path).same(Item.from_json(known["after"]))
            ]
    return found


class Repaired(files.Tree):
    """The files of this host as a repair leaves those of the web server: what is planned does not depend on damage."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._root = store.root
        records = store.peek()["records"]
        self._lines = [(site_of(name), known) for name, record in records.items() for known in of(record).values()]
        self._whole = {
            path: known["after"].get("sha256", "")
            for record in records.values()
            if record["load"] and record["load"]["service"] in ("nginx", "apache2")
            for path, known in record["files"].items()
        }

    def read(self, path: str, web_user: str | None = None) -> str:
        text, real = super().read(path, web_user), self.real(path)
        data = written(self._root, self._whole[real]) if real in self._whole else None
        if data is not None:
            return data.decode("utf-8", "surrogateescape")
        for site, known in self._lines:
            text = whole(self._root, text, known, site) if known["file"] == real else text
        return text
