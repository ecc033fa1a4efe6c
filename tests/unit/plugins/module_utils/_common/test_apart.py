# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A function in a process of its own: its result, its failure and its end come back, and nothing else of it."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.apart import Apart
from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError


def test_the_result_comes_back_from_another_process() -> None:
    here: list[int] = []

    def function() -> tuple[int, list[str]]:
        here.append(1)
        return os.getpid(), ["caf\xe9 \udcff"]

    number, words = Apart("it", function).result()
    assert number not in (os.getpid(), 0)
    assert words == ["caf\xe9 \udcff"]
    assert here == []
    with pytest.raises(ChildProcessError):  # it was waited for
        os.waitpid(number, os.WNOHANG)


def test_it_runs_while_something_else_is_done(tmp_path) -> None:
    flag = tmp_path / "flag"

    def function() -> bool:
        until = time.monotonic() + 20
        while not flag.exists() and time.monotonic() < until:
            time.sleep(0.01)
        return flag.exists()

    apart = Apart("it", function)
    flag.touch()
    assert apart.result()


def test_a_large_result_comes_back() -> None:
    assert len(Apart("it", lambda: "x" * 5_000_000).result()) == 5_000_000


def test_what_it_raises_is_raised_where_the_result_is_asked_for() -> None:
    def function() -> None:
        raise FileNotFoundError(2, "No such file", "/srv/campus")

    apart = Apart("it", function)
    with pytest.raises(FileNotFoundError, match="/srv/campus"):
        apart.result()


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "signal 9"),
        (lambda: sys.exit(0), "exit code 1"),
        (lambda: os._exit(0), "exit code 0"),
    ],
)
def test_without_a_result_its_end_is_the_message(end, words: str) -> None:
    apart = Apart("the search", end)
    with pytest.raises(HardeningError, match=f"^the search ended with {words}, without a result$"):
        apart.result()


def test_what_it_prints_goes_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    def function() -> bytes:
        os.write(1, b"printed")
        os.write(2, b"printed")
        return os.read(0, 1)

    assert Apart("it", function).result() == b""
    assert capfd.readouterr() == ("", "")
