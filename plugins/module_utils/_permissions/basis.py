# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
# Engines know no AnsibleModule: they also run in the host program.
# pylint: disable=ansible-bad-function
"""The evidence for the program of each portal at the time its files became root's, as recorded by root.

Owners and times are lost afterwards. A list of files made then is worth as much as this record: where the web user
could write the program and no package of the release was compared, an administrator has to accept it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.chamilo.hardening.plugins.module_utils._common import files

FILE = "vouched.json"
_BY_EVIDENCE = "owners, modes and times, for no package of the release was named"


@dataclass(frozen=True)
class Basis:
    """``writable``: files of the program that the web user could write, which were compared with nothing.

    ``plugins``: plugins and themes that the web user could write and that are no part of the release, with owner and
    date. ``environment``: environment files that the web user could write; None where nobody saw whose they were.
    """

    words: str = _BY_EVIDENCE
    sha256: str = ""  # of the package
    writable: int = 0
    plugins: Mapping[str, str] = field(default_factory=dict)
    environment: int | None = None


def read(root: str, state: str) -> Basis:
    known = _noted(state).get(os.path.realpath(root))
    if not isinstance(known, dict):
        return Basis()
    return Basis(
        str(known.get("basis") or _BY_EVIDENCE),
        str(known.get("sha256") or ""),
        int(known.get("writable") or 0),
        dict(known.get("plugins") or {}),
        None if known.get("environment") is None else int(known["environment"]),
    )


def compared(root: str, state: str, words: str, sha256: str) -> None:
    """The checksums of a package are known. The comparison shows whether the files match it."""
    _write(root, state, {"basis": words, "sha256": sha256})


def taken(root: str, state: str, writable: int, plugins: Mapping[str, str]) -> None:
    """The program became root's. Findings of an earlier run that no administrator accepted remain."""
    before = read(root, state)
    if writable > before.writable or not plugins.items() <= before.plugins.items():
        both = {**before.plugins, **plugins}
        _write(root, state, {"writable": max(writable, before.writable), "plugins": both})


def environment_taken(root: str, state: str, writable: int, first: bool) -> None:
    """As ``taken``, of environment files. ``first``: no run before this one made them root's unseen."""
    before = read(root, state).environment
    if first if before is None else writable > before:
        _write(root, state, {"environment": writable})


def accepted(root: str, state: str) -> None:
    """An administrator compared the files, and answers for them."""
    before = read(root, state)
    if before.writable or before.plugins or before.environment != 0:
        _write(root, state, {"writable": 0, "plugins": {}, "environment": 0})


def _write(root: str, state: str, values: Mapping[str, Any]) -> None:
    noted, real = _noted(state), os.path.realpath(root)
    known = noted.get(real)
    noted[real] = {**(known if isinstance(known, dict) else {}), **values}
    files.replace_file(os.path.join(state, FILE), json.dumps(noted, indent=1) + "\n")


def _noted(state: str) -> dict[str, Any]:
    try:
        with open(os.path.join(state, FILE), encoding="utf-8") as stream:
            known = json.load(stream)
    except (OSError, ValueError):  # nothing was written down, or not whole
        return {}
    return known if isinstance(known, dict) else {}
