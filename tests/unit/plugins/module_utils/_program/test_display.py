# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import io
import shlex

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._program import display, main


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def known(**section: object) -> dict[str, object]:
    entry = {"since": "2026-11-29T23:51:17Z", "files": ["/a"], "edited": [], "lost": [], "unused": [], **section}
    return {"sections": {"headers:campus": entry}, "settings": {}, "environment": {}}


def test_colours_are_for_terminals_that_show_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert display.coloured(Terminal()) and not display.coloured(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not display.coloured(Terminal())
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not display.coloured(Terminal())


def test_the_columns_are_aligned_with_and_without_colours() -> None:
    there = known(edited=["/a"])
    there["settings"] = {"passwords": ["security.check_password"]}
    plain, _idle = display.sections(there, False)
    assert plain == [
        "SECTION          SINCE                  WHAT",
        "headers:campus   2026-11-29 23:51 UTC   1 file",
        "  edited by hand since: /a",
        "passwords                               settings of Chamilo: security.check_password",
    ]
    painted, _idle = display.sections(there, True)
    for colour in (display.GREEN, display.YELLOW, display.BOLD):
        assert f"\033[{colour}m" in "".join(painted)
    bare = [line.replace("\033[0m", "") for line in painted]
    for colour in (display.GREEN, display.YELLOW, display.RED, display.BOLD):
        bare = [line.replace(f"\033[{colour}m", "") for line in bare]
    assert bare == plain


def test_each_task_of_the_help_is_a_command_that_works() -> None:
    parser = main._parser("1.2.3")
    text = parser.format_help()
    for _task, commands in display.TASKS:
        for command in commands:
            assert f"chamilo-hardening {command}\n" in f"{text}\n"
            assert parser.parse_args(shlex.split(command)).run


def test_each_command_of_a_person_has_a_task() -> None:
    parser = main._parser("1.2.3")
    (commands,) = (one for one in parser._subparsers._group_actions)  # type: ignore[union-attr]  # there is one
    listed = {choice.dest for choice in commands._choices_actions}  # type: ignore[attr-defined]  # those with a help
    tasks = {command.split()[0] for _task, several in display.TASKS for command in several}
    assert listed == tasks
