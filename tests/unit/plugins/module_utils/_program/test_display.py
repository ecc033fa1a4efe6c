# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import shlex

from ansible_collections.chamilo.hardening.plugins.module_utils._program import display, main


def known(**section: object) -> dict[str, object]:
    entry = {"since": "2026-11-29T23:51:17Z", "files": ["/a"], "edited": [], "lost": [], "unused": [], **section}
    return {"sections": {"headers:campus": entry}, "settings": {}, "environment": {}}


def test_the_columns_are_aligned() -> None:
    there = known(edited=["/a"])
    there["settings"] = {"passwords": ["security.check_password"]}
    lines, _idle = display.sections(there)
    assert lines == [
        "SECTION          SINCE                  WHAT",
        "headers:campus   2026-11-29 23:51 UTC   1 file",
        "  edited by hand since: /a",
        "passwords                               settings of Chamilo: security.check_password",
    ]


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
