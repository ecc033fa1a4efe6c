# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A refusal of a virtual host is one screen: file, line, why, and what to do; ``obstacles.report`` adds the command."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PORTAL = Path(__file__).resolve().parents[2] / "plugins/module_utils/_portal"
MOST = 350  # characters of what is written in the source: with what is filled in, a few lines
# Obstacles that are no line's: why.
WHOLE_FILE = {"Make it root's own: chown root: and chmod go-w": "owner and mode are those of the file"}


def calls() -> Iterator[tuple[str, ast.Call]]:
    for path in sorted(PORTAL.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Obstacle", "self.refuse", "self._refuse"):
                yield f"{path.name} {node.lineno}", node


def literal(node: ast.expr) -> str:
    """What is written in the source, with a word for each value; a value alone is empty."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "VALUE" for part in node.values)
    return ""


@pytest.mark.parametrize("call", [pytest.param(call, id=place) for place, call in calls()])
def test_a_refusal_names_its_line_and_what_to_do(call: ast.Call) -> None:
    starred = [argument for argument in call.args if isinstance(argument, ast.Starred)]
    remedy = "" if starred else literal(call.args[-1])
    if remedy:
        assert re.match(r"[A-Z][a-z]+ \S+", remedy), f"no instruction: {remedy}"
        assert not remedy.endswith("."), "the sentence is ended where it is shown"
        assert len(remedy) <= MOST
    if ast.unparse(call.func) != "Obstacle":
        return  # a virtual host or a directive, whose place it takes
    assert len(call.args) == 4 and not call.keywords
    file, line, what = call.args[:3]
    assert not literal(file), "the file where it is, not a name that is known beforehand"
    assert not isinstance(line, ast.Constant) or remedy in WHOLE_FILE, "the line is known"
    assert not literal(what).endswith(".") and len(literal(what)) <= MOST
