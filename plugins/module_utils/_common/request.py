# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an internal module is asked for: one option, in the form of a dataclass.

A field is validated as ansible-core does an option of that type. Its ``metadata`` has what the type does not show, as a
specification of options has it: ``no_log``, and the type ``path``.
"""

from __future__ import annotations

import collections.abc
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from .errors import HardeningError
from .typed import made

_T = TypeVar("_T")
_TYPES = {str: "str", bool: "bool", int: "int", float: "float"}
_MORE = ("type", "no_log", "required")


def _option(kind: Any) -> dict[str, Any]:
    origin, of = get_origin(kind), get_args(kind)
    if origin is Literal:
        return {"type": "str", "choices": list(of)}
    if origin is Union:
        return _option(of[0]) if of[1] is type(None) else {"type": "raw"}
    if origin in (tuple, collections.abc.Sequence):
        option = _option(of[0])
        return {**option, "type": "list", "elements": option["type"]}
    if is_dataclass(kind):
        return {"type": "dict", "options": specification(kind)}
    return {"type": "dict" if origin is collections.abc.Mapping else _TYPES.get(kind, "raw")}


def specification(kind: Any) -> dict[str, dict[str, Any]]:
    """The fields of a dataclass as the options of a module."""
    hints, found = get_type_hints(kind), {}
    for each in fields(kind):
        if not each.metadata.get("given", True):
            continue  # made by the engine
        option = _option(hints[each.name])
        default = each.default if each.default_factory is MISSING else each.default_factory()
        if default is MISSING:
            option["required"] = True
        else:
            option["default"] = list(default) if isinstance(default, tuple) else default
        option.update((name, each.metadata[name]) for name in _MORE if name in each.metadata)
        if option.get("required"):
            option.pop("default", None)
        found[each.name] = option
    return found


def _secret(kind: Any) -> set[str]:
    return {each.name for each in fields(kind) if each.metadata.get("no_log")}


def options(kind: Any) -> dict[str, dict[str, Any]]:
    """The options of a module that is asked for this."""
    secrets = {"secrets": {"type": "dict", "default": {}, "no_log": True}} if _secret(kind) else {}
    return {"request": {"type": "dict", "required": True}, **secrets}


def apart(kind: Any, request: Mapping[str, Any]) -> dict[str, Any]:
    """These options, with the secrets in one of their own.

    ansible-core masks the values of such an option in all that it shows and logs. Were the whole request one, each
    "nginx" would be masked.
    """
    secret = {name: request[name] for name in _secret(kind) if name in request}
    plain = {name: value for name, value in request.items() if name not in secret}
    return {"request": plain, **({"secrets": secret} if secret else {})}


def run(module: Any, kind: type[_T], work: Callable[[_T, Any], dict[str, Any]]) -> None:
    """What a module of ``options`` does: the request, validated, becomes its result."""
    given, secrets = module.params["request"], module.params.get("secrets", {})
    misplaced = sorted(_secret(kind) & set(given))
    if misplaced:
        module.fail_json(msg=f"request: {', '.join(misplaced)} can be given through the action plugin only.")
    values = {name: value for name, value in {**given, **secrets}.items() if value is not None}
    checked = ArgumentSpecValidator(specification(kind)).validate(values)
    if checked.error_messages:
        module.fail_json(msg=f"Invalid request: {'. '.join(checked.error_messages)}")
    try:
        result = work(made(kind, checked.validated_parameters), module)
    except (HardeningError, OSError) as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(**result)
