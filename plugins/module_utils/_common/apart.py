# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to this collection: it can change at any time.
"""A function that runs in a process of its own, beside what this one does meanwhile."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from typing import Generic, NoReturn, TypeVar, cast

from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError

_T = TypeVar("_T")


class Apart(Generic[_T]):
    """Begins the function. Its process inherits what is open: no session of a database may be, and no thread run."""

    def __init__(self, what: str, function: Callable[[], _T]) -> None:
        self._what = what
        self._answer, writing = os.pipe()
        self._process = os.fork()
        if not self._process:
            _work(function, writing)
        os.close(writing)

    def result(self) -> _T:
        """What the function returned; what it raised is raised here. To be asked once."""
        with os.fdopen(self._answer, "rb") as answer:
            data = answer.read()
        status = os.waitstatus_to_exitcode(os.waitpid(self._process, 0)[1])
        if status or not data:
            how = f"signal {-status}" if status < 0 else f"exit code {status}"
            raise HardeningError(f"{self._what} ended with {how}, without a result")
        result, problem = pickle.loads(data)
        if problem:
            raise problem
        return cast("_T", result)


def _work(function: Callable[[], object], writing: int) -> NoReturn:
    """The life of the process. It never returns into the code of its parent, whose output is not its own."""
    code = 1
    try:
        nothing = os.open("/dev/null", os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        try:
            data = pickle.dumps((function(), None))
        except Exception as problem:  # raised where the result is asked for
            data = pickle.dumps((None, problem))
        with os.fdopen(writing, "wb") as answer:
            answer.write(data)
        code = 0
    finally:
        os._exit(code)
