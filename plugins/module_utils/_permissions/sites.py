# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role permissions wrote down about each portal. Apart from the rest: the audit needs no more of it."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SITES = "/etc/chamilo-hardening"


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


def known(directory: str = "") -> dict[str, Site]:
    found = {}
    for path in sorted(glob.glob(f"{directory or SITES}/permissions-*.json")):
        name = os.path.basename(path)[len("permissions-") : -len(".json")]
        with open(path, encoding="utf-8") as file:
            given = json.load(file)
        found[name] = Site(name, given["tree"], given["installer"], given.get("pages") or {})
    return found
