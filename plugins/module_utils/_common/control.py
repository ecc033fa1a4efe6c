# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check and an attack are, and the register that ties each to its entry of the table of controls."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from .errors import HardeningError

PASS = "pass"
FAIL = "fail"
NOT_APPLICABLE = "not_applicable"
NOT_ASSESSED = "not_assessed"

_Function = TypeVar("_Function", bound=Callable[..., "Finding"])

_MOST = 20_000  # characters of an evidence
checks: dict[str, Callable[..., Finding]] = {}
attacks: dict[str, Callable[..., Finding]] = {}
preparations: dict[Callable[..., Finding], Callable[..., Any]] = {}  # check -> what begins its program
inside_attacks: set[str] = set()  # those of them that run on the host itself


@dataclass(frozen=True)
class Finding:
    """What was observed of one control.

    ``status``: pass, fail, not_applicable or not_assessed; of an attack, pass means that it was held off.
    ``evidence``: what was seen, with the value, in words an administrator understands; never a secret.
    ``waits``: what a failure waits for where nothing has to be done, with the date; empty otherwise.
    ``cause``: the fault elsewhere that this failure follows from, the same text for all that follow from it.
    """

    status: str
    evidence: str
    waits: str = ""
    cause: str = ""


def passed(evidence: str) -> Finding:
    return Finding(PASS, evidence)


def failed(evidence: str) -> Finding:
    return Finding(FAIL, evidence)


def waiting(evidence: str, waits: str) -> Finding:
    """A failure that ends by itself, or by the act of another person or host."""
    return Finding(FAIL, evidence, waits)


def not_applicable(evidence: str) -> Finding:
    return Finding(NOT_APPLICABLE, evidence)


def not_assessed(evidence: str) -> Finding:
    return Finding(NOT_ASSESSED, evidence)


def _register(register: dict[str, Callable[..., Finding]], control: str) -> Callable[[_Function], _Function]:
    def add(function: _Function) -> _Function:
        if control in register:
            raise ValueError(f"{control} is registered twice")
        register[control] = function
        return function

    return add


def check(control: str, prepare: Callable[..., Any] | None = None) -> Callable[[_Function], _Function]:
    """Register the function as the check of a control. It reads and changes nothing.

    ``prepare`` is a question to the observer that begins a slow program. It is asked before the first check, and the
    function, which asks it again, runs after the others.
    """

    def add(function: _Function) -> _Function:
        if prepare:
            preparations[function] = prepare
        return _register(checks, control)(function)

    return add


def attack(control: str, insider: bool = False) -> Callable[[_Function], _Function]:
    """Register the function as the attack of a control. It leaves nothing behind.

    It gets an ``Target`` and comes over the wire, or with ``inside`` an ``Insider`` and runs on the host itself.
    """
    if insider:
        inside_attacks.add(control)
    return _register(attacks, control)


def observe(register: Mapping[str, Callable[..., Finding]], subject: Any) -> dict[str, Finding]:
    """Ask every function of a register. One that stops is not assessed, with its words; the others go on."""
    last = {control: function for control, function in register.items() if function in preparations}
    for function in last.values():
        with contextlib.suppress(HardeningError, OSError):  # the check asks again, and reports it
            subject.once(preparations[function])
    found = {control: _observed(register[control], subject) for control in sorted(register, key=last.__contains__)}
    return {control: found[control] for control in register}


def _observed(function: Callable[..., Finding], subject: object) -> Finding:
    try:
        found = function(subject)
        return Finding(*map(_legible, (found.status, found.evidence, found.waits, found.cause)))
    except Exception as problem:  # a check that fails is reported as a finding; the others continue
        ours = type(problem).__module__.startswith("ansible_collections.chamilo.")
        words = str(problem) if ours else ": ".join(filter(None, (type(problem).__name__, str(problem))))
        # A sentence like any other evidence; an address or a path in front stays as it is.
        start = words[:1].upper() if words.partition(" ")[0].isalpha() else words[:1]
        return not_assessed(_legible(f"{start}{words[1:].rstrip('.')}."))


def _legible(text: str) -> str:
    """Evidence can contain what the web user wrote: remove control sequences and limit its length."""
    if len(text) > _MOST:
        text = f"{text[: _MOST // 2]} ... {text[-_MOST // 2 :]}"
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one == "\n" else ascii(one)[1:-1] for one in text)
