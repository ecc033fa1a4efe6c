# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command's end: its exit code, or why it failed, in one sentence."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._program import session


@pytest.fixture(autouse=True)
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session.os, "geteuid", lambda: 0)


def run(problem: BaseException | None = None) -> int:
    def command(_options: argparse.Namespace, engine: Any) -> int:
        if problem:
            raise problem
        return int(engine)

    return session.run(argparse.Namespace(run=command), lambda: 5)


def test_it_is_what_the_command_returns() -> None:
    assert run() == 5


@pytest.mark.parametrize(
    ("problem", "code", "words"),
    [
        (HardeningError("no \x1b[2Jway"), 1, "no "),
        (OSError(28, "No space left"), 1, "No space left"),
        (KeyboardInterrupt(), 130, "Interrupted. `chamilo-hardening status`"),
    ],
)
def test_a_failure_is_one_sentence(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    problem: BaseException,
    code: int,
    words: str,
) -> None:
    journal: list[str] = []
    monkeypatch.setattr(session.syslog, "syslog", lambda _level, line: journal.append(line))
    assert run(problem) == code
    output = capsys.readouterr()
    assert words in output.err and "\x1b" not in output.err and not output.out
    assert journal == output.err.splitlines()


def test_what_needs_root_is_refused_to_others(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session.os, "geteuid", lambda: 1000)
    assert run() == 2
    assert "must be run by root" in capsys.readouterr().err
