# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of a host, as plugins read them."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from . import _controls

ROLES = Path(__file__).resolve().parents[2] / "roles"

# What ansible-core made: no text in it is a template, and whatever is below hostvars is templated where it is read.
AS_IT_IS = ("hostvars", "groups", "group_names", "inventory_hostname", "ansible_play_hosts", "ansible_play_hosts_all")


def default(name: str) -> Any:
    """What the role of a variable declares; a KeyError for one that no role has, or that is made of others there."""
    found = [path for path in ROLES.iterdir() if name.startswith(f"chamilo_{path.name}_")]
    return _options(found[0] if found else ROLES / "common")[name]["default"]


@functools.cache
def _options(role: Path) -> Mapping[str, Any]:
    options: Mapping[str, Any] = _controls.load_yaml(role / "meta/argument_specs.yml")["argument_specs"]["main"][
        "options"
    ]
    return options


class Variables(Mapping[str, Any]):
    """The variables of a host: each one is templated when it is first read. What a host answered never is.

    Where the role of a variable is not in the play, it has the default that the role declares.
    """

    def __init__(self, templar: Any, raw: Mapping[str, Any]) -> None:
        self._templar, self._raw = templar, raw
        self._known: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._known:
            ours = name not in self._raw and name.startswith("chamilo_")
            value = default(name) if ours else self._raw[name]
            self._known[name] = value if name.startswith("__") or name in AS_IT_IS else self._templar.template(value)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)
