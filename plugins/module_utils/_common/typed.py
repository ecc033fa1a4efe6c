# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A dataclass of what came as JSON."""

from __future__ import annotations

import collections.abc
import functools
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

_T = TypeVar("_T")


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def made(kind: type[_T], values: Mapping[str, Any]) -> _T:
    """The dataclass of values that were validated."""
    hints: dict[str, Any] = _hints(cast(Any, kind))
    return kind(**{name: _made(hints[name], value) for name, value in values.items()})


def _made(kind: Any, value: Any) -> Any:
    origin, of = get_origin(kind), get_args(kind)
    if origin is Union and value is not None:
        return _made(of[0], value) if of[1] is type(None) else value
    if origin in (tuple, collections.abc.Sequence):
        items = [_made(of[0], one) for one in value]
        return tuple(items) if origin is tuple else items
    if origin in (dict, collections.abc.Mapping):
        return {name: _made(of[1], one) for name, one in value.items()}
    return made(kind, value) if isinstance(kind, type) and is_dataclass(kind) and value is not None else value
