# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attackers write logs: the time that a line takes grows with its length alone, and no line is too long."""

from __future__ import annotations

import itertools
import os
import re
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._audit import brute_force, database
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force import access_log

DATE = "[25/Nov/2026:12:59:00 +0000]"
_LENGTH = 1 << 15  # a pattern whose time grows with the square takes seconds for that
_SECONDS = 0.1  # what takes longer is timed again with a line four times as long
_GROWTH = 8.0  # four times the length takes 4 times as long, or 16 times where the time grows with the square
# What begins a line that the web server writes; an attacker goes on from there.
_STARTS = (
    "",
    "203.0.113.9 - ",
    f'203.0.113.9 - - {DATE} "GET /',
    f'203.0.113.9 - - {DATE} "POST /login_json HTTP/1.1" 401 5 "',
)
_FILLERS = (
    *"a1 :.[]\"\\%/=',<{(-_\t\0é",
    *'1.|1.1.1.1 |::1 |:a|[a|\\"|\\x|../|/.|.php|.sql|.sql.x|%2e|%6c|//|/a/|x=|a |eval(|$_GET['.split("|"),
    *"$_GET['x'](|`$_GET|http://|GET |POST \"|main/|AddType |new_version".split("|"),
    DATE,
    f'{DATE} "',
    "\n",
    "[alias]",
)
# How a pattern is applied where that is no search through the whole text.
_METHODS = {
    "access_log._VISIT": "match",
}


def _named(module: ModuleType) -> Iterator[tuple[str, re.Pattern[Any]]]:
    short = module.__name__.rpartition(".")[2]
    for name, value in vars(module).items():
        if isinstance(value, re.Pattern):
            yield f"{short}.{name}", value


PATTERNS = [found for module in (access_log, brute_force, database) for found in _named(module)]


def grows_in_proportion(seconds: Callable[[str], float], start: str, filler: str, end: str = "") -> None:
    """``seconds(line)``: how long this line takes. On a busy machine both lines take longer, but not their ratio."""
    short, long = (start + filler * (size // len(filler)) + end for size in (_LENGTH, 4 * _LENGTH))
    took = seconds(short)
    if took > _SECONDS:
        longer = seconds(long)
        reported = f"{start!r} and many {filler!r}: {took:.2f} s, and {longer:.2f} s for a line four times as long"
        assert longer < _GROWTH * took, reported


@pytest.mark.slow
@pytest.mark.parametrize(("name", "pattern"), PATTERNS, ids=[f"{n}-{name}" for n, (name, _p) in enumerate(PATTERNS)])
def test_a_pattern_takes_as_long_as_its_line(name: str, pattern: re.Pattern[Any]) -> None:
    method = _METHODS.get(name, "finditer")

    def seconds(line: str) -> float:
        subject = line.encode() if isinstance(pattern.pattern, bytes) else line
        began = time.process_time()
        found = getattr(pattern, method)(subject)
        if method == "finditer":
            for _each in found:
                pass
        return time.process_time() - began

    for start, filler, end in itertools.product(_STARTS, _FILLERS, ("", "\n", '" x')):
        grows_in_proportion(seconds, start, filler, end)


def _long_lines(size: int = 1 << 20) -> Iterator[bytes]:
    for filler in (*":[\\1 \0", '\\"', "1.1.1.1 ", "[a", "::1 "):
        for start in _STARTS:
            yield f"{start}{filler * (size // len(filler))}\n".encode()


def _failed(count: int) -> bytes:
    return b"".join(
        f'203.0.113.{n} - - {DATE} "POST /login_json HTTP/1.1" 401 5 "-" "-"\n'.encode() for n in range(count)
    )


@pytest.mark.slow
def test_long_lines_cost_no_time_where_visitors_are_counted(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "LOG_BYTES", 1 << 26)
    log = tmp_path / "access.log"
    log.write_bytes(_failed(9) + b"".join(_long_lines()) + _failed(9))
    began = time.process_time()
    access_log.proxies_only(str(log))
    assert time.process_time() - began < 10


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_log_is_reported_and_not_waited_for(tmp_path: Any, kind: str) -> None:
    log = tmp_path / "access.log"
    if kind == "pipe":
        os.mkfifo(log)
    else:
        log.symlink_to("/dev/zero")
    with pytest.raises(access_log.AccessLogError, match="cannot be read"):
        access_log.proxies_only(str(log))
