# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host does by itself once a day. Each step reads its own files below /etc/chamilo-hardening."""

from __future__ import annotations

import contextlib
import os
import syslog
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from .._application.observer import Observer
from .._backups import jobs
from .._common import alert, files, locks, records, recurring
from .._common.errors import HardeningError
from .._https import renewal
from .._monitoring import daily
from .._updates import releases
from .._uploads import antivirus

Step = tuple[str, Callable[[], "list[str]"]]


def _audit(site: str, observer: Observer) -> str:
    # Loaded only here: the program is compiled at each start, and most starts need none of the audit.
    from .._audit import _metrics, engine

    return _metrics.render(site, engine.audit(site, observer))


# Name and function. A function does its work, sends its alerts, and returns lines for the journal.
STEPS: tuple[Step, ...] = (
    ("https", renewal.daily),
    ("updates", releases.step),
    ("backups", jobs.late),
    ("uploads", antivirus.late),
    ("monitoring", partial(daily.step, _audit)),
)


class DailyError(HardeningError):
    """There is no such step."""


@dataclass(frozen=True)
class Done:
    """What came of one step."""

    name: str
    lines: Sequence[str] = ()
    problem: str = ""
    changed: bool = True  # something came out otherwise than the last time


def run(only: Collection[str] = (), due: bool = False, steps: Sequence[Step] | None = None) -> Iterator[Done]:
    """Run the steps, one after the other. ``due``: only those that did not succeed as they are configured now."""
    every = STEPS if steps is None else steps
    unknown = sorted(set(only) - {name for name, _function in every})
    if unknown:
        known = ", ".join(name for name, _function in every) or "none"
        raise DailyError(f"There is no step {', '.join(unknown)}. There are: {known}.")
    for name, function in every:
        if only and name not in only:
            continue
        with _alone(name):
            done = _once(name, function, due)
        if done:
            yield done


def _once(name: str, function: Callable[[], list[str]], due: bool) -> Done | None:
    if due and recurring.settled(name):
        return None
    same, before, present = recurring.same(name), recurring.outcomes(name), recurring.configuration(name)
    done = _step(name, function)
    try:
        records.note(
            recurring.DAILY, name, not done.problem, done.problem or " ".join(done.lines), configuration=present
        )
    except OSError as problem:  # a full disk is no reason to leave the next steps out
        done = replace(done, problem=done.problem or f"what was done cannot be written down: {problem}")
    return replace(done, changed=not same or recurring.outcomes(name) != before)


@contextlib.contextmanager
def _alone(name: str) -> Iterator[None]:
    """Two at a time, as of two portals in one playbook, would repeat everything and disturb each other's tests."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # a full disk, as below
            os.makedirs(files.STATE, 0o700, exist_ok=True)
            stack.enter_context(locks.lock(f"{files.STATE}/daily-{name}.lock", f"daily {name}", locks.FOREVER))
        yield


def _step(name: str, function: Callable[[], list[str]]) -> Done:
    try:
        done = Done(name, function())
        alert.settle(name)
        return done
    except Exception as problem:  # an error in one step is reported, and the others continue
        words = str(problem) or type(problem).__name__
    try:
        then = f"Mend what is named, then run on the host: chamilo-hardening daily {name}"
        holds = "What is active stays active; the other daily checks went on."
        alert.notify(name, f"The daily work of {name} failed", words, holds=holds, then=then)
    except alert.AlertError as problem:
        syslog.syslog(syslog.LOG_ERR, f"{name}: {problem}")
    return Done(name, problem=words)
