# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""It shows what it is going to do, and asks before it does it."""

from __future__ import annotations

import argparse
from unittest.mock import Mock

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force import unlock, unlock_command

LOCKED = ["ada is locked."]


def run(monkeypatch: pytest.MonkeyPatch, words: list[str], todo: Mock, answer: str = "") -> tuple[int, list[str]]:
    reported: list[str] = []
    monkeypatch.setattr(unlock, "inspect", lambda _target: todo)
    monkeypatch.setattr(unlock_command.sys.stdin, "isatty", lambda: bool(answer), raising=False)
    monkeypatch.setattr("builtins.input", lambda _question: answer)
    parser = argparse.ArgumentParser()
    unlock_command.add(parser.add_subparsers(), reported.append)
    options = parser.parse_args(["unlock", *words])
    return options.run(options, None), reported


@pytest.mark.parametrize(
    ("words", "acts", "answer", "code", "done"),
    [
        ([], [], "", 0, False),
        (["ada"], [], "", 1, False),
        (["ada"], [1], "", 0, True),
        (["ada"], [1], "n", 1, False),
        (["ada"], [1], "Yes", 0, True),
        (["ada", "--yes"], [1], "n", 0, True),
    ],
)
def test_what_is_done(
    monkeypatch: pytest.MonkeyPatch, words: list[str], acts: list[int], answer: str, code: int, done: bool
) -> None:
    todo = Mock(acts=acts, description=lambda: LOCKED, act=Mock(return_value=["ada can log in."]))
    assert run(monkeypatch, words, todo, answer) == (code, ["unlock ada: ada can log in."] if done else [])
    assert todo.act.called is done
