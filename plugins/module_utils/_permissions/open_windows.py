# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role permissions wrote down about each portal, and the maintenance windows that are open on this host."""

from __future__ import annotations

import glob
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._common.errors import HardeningError
from .._common.paths import shown

FILE = "windows.json"
SITES = "/etc/chamilo-hardening"


class WindowError(HardeningError):
    """A window cannot be opened or closed; the message states why and what to do."""


@dataclass(frozen=True)
class Window:
    """What is open, and how to close it."""

    tree: Mapping[str, Any]  # what chamilo_perms takes; its path is the real one
    profile: str
    opened: int
    until: int
    address: str = ""
    site: str = ""
    # Mount points above each directory of the tree: after a boot it may not be there yet.
    mounts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    pages: Mapping[str, Any] = field(default_factory=dict)  # as those of its site

    @property
    def path(self) -> str:
        return str(self.tree["path"])

    @property
    def closes(self) -> str:
        return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.until))

    def due(self, now: float) -> bool:
        return now >= self.until

    def description(self) -> str:
        reach = f"; the installer answers {self.address} only" if self.address else ""
        return f"{shown(self.path)} is open ({self.profile}) until {self.closes}{reach}"


@dataclass(frozen=True)
class Site:
    """What the role wrote down about one portal: its tree, and the file that lets an address reach its installer.

    ``pages``: the probes that have to be answered as before, the service with PHP in it, and the console, as
    chamilo_perms takes them.
    """

    name: str
    tree: Mapping[str, Any]
    installer: Mapping[str, Any]
    pages: Mapping[str, Any] = field(default_factory=dict)


def sites(directory: str = "") -> dict[str, Site]:
    found = {}
    for path in sorted(glob.glob(f"{directory or SITES}/permissions-*.json")):
        name = os.path.basename(path)[len("permissions-") : -len(".json")]
        with open(path, encoding="utf-8") as file:
            given = json.load(file)
        found[name] = Site(name, given["tree"], given["installer"], given.get("pages") or {})
    return found


def known(state: str) -> list[Window]:
    """``state``: the directory of the collection's state."""
    path = os.path.join(state, FILE)
    try:
        with open(path, encoding="utf-8") as file:
            return [Window(**one) for one in json.load(file)]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError) as problem:
        raise WindowError(f"{path} is damaged ({problem}). Remove it and run the playbook: it closes all.") from problem


def at(path: str, state: str) -> Window | None:
    """The one that is open on this tree."""
    real = os.path.realpath(path)
    return next((one for one in known(state) if one.path == real), None)
