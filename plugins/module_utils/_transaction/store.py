# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory of this collection on a host, ``/var/lib/chamilo-hardening``.

One lock for the host, one small ``state.json`` that is only ever replaced whole (that replacement is what "committed"
means), and copies of old files.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from .._common import locks
from .._common.files import LINK, STATE, TEMPORARY, Item, StateError, Tree, document, file_item, noted, now
from .._common.host_lock import HostLock


class Store(HostLock):
    """The state directory of the collection on a host. Everything but ``peek`` needs the lock."""

    def __init__(self, root: str = STATE) -> None:
        super().__init__(root)
        self._tree = Tree()

    @contextlib.contextmanager
    def lock(self, who: str, wait: float) -> Iterator[None]:
        try:
            with super().lock(who, wait):
                yield
        finally:
            self._tree.close()

    def holder(self) -> str:
        """Who holds the lock now, or an empty text."""
        return locks.holder(self.path)

    def peek(self) -> dict[str, Any]:
        """The state as it was last committed. It is replaced whole, so this needs no lock."""
        path = os.path.join(self.root, "state.json")
        try:
            state = document(path)
        except ValueError as problem:
            raise StateError(f"{path} is damaged ({problem}). Restore it from a backup.") from problem
        fresh: dict[str, Any] = {
            "version": 1,
            "serial": 0,
            "open": None,
            "pending": {},
            "directories": [],
            "records": {},
            "left": {},
        }
        return {**fresh, **state}

    def written(self) -> dict[str, set[str]]:
        """For each path the checksums that this collection gave it: an empty one where it is gone."""
        found: dict[str, set[str]] = {}
        state = self.peek()
        items = [(path, known["after"]) for one in state["records"].values() for path, known in one["files"].items()]
        for path, item in [*state["left"].items(), *items]:
            target = item.get("target", "")
            place = os.path.realpath(os.path.dirname(path)) + "/" + os.path.basename(path)
            found.setdefault(place, set()).add(f"{LINK}{target}" if target else item.get("sha256", ""))
        for path, checksum in noted(self.root):
            found.setdefault(path, set()).add(checksum)
        return found

    def commit(self, state: Mapping[str, Any]) -> None:
        """Replace the state, durably and in one step."""
        text = json.dumps(state, indent=1, sort_keys=True) + "\n"
        item = file_item(text.encode(), os.geteuid(), os.getegid(), 0o600)
        self._tree.write(os.path.join(self.root, "state.json"), item)

    def keep(self, blob: str, data: bytes) -> None:
        """Store bytes under a name relative to the root, readable by root alone."""
        path = os.path.join(self.root, blob)
        for directory in self._tree.missing_parents(path):
            self._tree.make_directory(directory, 0o700)
        self._tree.write(path, file_item(data, os.geteuid(), os.getegid(), 0o600))

    def load(self, item: Item) -> Item:
        """The item with its bytes, from the store."""
        if not item.is_file or item.data:
            return item
        try:
            with open(os.path.join(self.root, item.blob), "rb") as stream:
                data = stream.read()
        except FileNotFoundError as problem:
            raise StateError(f"{self.root}/{item.blob} is gone. It cannot be restored.") from problem
        if hashlib.sha256(data).hexdigest() != item.sha256:
            raise StateError(f"{self.root}/{item.blob} is not the saved copy. It cannot be restored.")
        return replace(item, data=data)

    def prune(self, desired: Iterable[str]) -> None:
        """Remove the copies that nothing refers to any more."""
        keep = {os.path.join(self.root, blob) for blob in desired}
        self._tree.discard(os.path.join(self.root, "state.json"), f"{TEMPORARY}state.json")
        for part in ("transactions", "baseline", "written"):
            for directory, _directories, names in os.walk(os.path.join(self.root, part), topdown=False):
                for name in names:
                    if os.path.join(directory, name) not in keep:
                        os.unlink(os.path.join(directory, name))
                self._tree.remove_directory(directory)

    def keep_edited(self, path: str, current: Item) -> str:
        """Keep a file that was edited by hand before it is replaced. Returns that in words."""
        if not current.is_file:
            what = f"a link to {current.target}" if current.is_there else "gone"
            return f"{path} was changed by hand: it is {what} now."
        blob = f"kept/{now()}{path}"
        self.keep(blob, current.data)
        return f"{path} was edited by hand after it was written. The edited file is kept as {self.root}/{blob}."


def copies(state: Mapping[str, Any]) -> list[str]:
    """The copies that the state refers to."""
    records = state["records"].values()
    files = [known for record in records for known in record["files"].values()]
    items = [known["before"] for known in files]
    if state["open"]:
        items += [entry["old"] for entry in state["open"]["entries"]]
    whole = [known["after"] for known in files] + [one for each in records for one in each.get("marked", {}).values()]
    return [*(item["blob"] for item in items if "blob" in item), *(f"written/{one.get('sha256')}" for one in whole)]


def tracked(state: Mapping[str, Any]) -> set[str]:
    """The files of all sections."""
    return {path for record in state["records"].values() for path in record["files"]}
