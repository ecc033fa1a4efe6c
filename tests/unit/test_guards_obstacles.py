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

from tests.tools.sources import parsed

PORTAL = Path(__file__).resolve().parents[2] / "plugins/module_utils/_portal"
MOST = 350  # characters of what is written in the source: with what is filled in, a few lines
# Obstacles that are no line's: why.
WHOLE_FILE = {"Make it root's own: chown root: and chmod go-w": "owner and mode are those of the file"}


def calls() -> Iterator[tuple[str, ast.Call]]:
    for path in sorted(PORTAL.glob("*.py")):
        if not re.search(r"\bObstacle\(|self\._?refuse\(", path.read_text(encoding="utf-8")):
            continue
        for node in ast.walk(parsed(path)):
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


# What to do, in a sentence of its own or behind a colon.
VERBS = (
    "Activate Add Change Close Correct Create Delete Do Enable Give Harden Have Install Keep Leave Make Mend Mount "
    "Move Name Open Put Remove Replace Restore Run Set Start Stop Take Upgrade Use Wait Write"
)
INSTRUCTION = re.compile(rf"(?:^|[.:?] |VALUE )(?:{VERBS.replace(' ', '|')}|Or keep)\b")


def sentences() -> Iterator[tuple[str, str]]:
    """What stops a run before any change, beside virtual hosts: what is added to, or is, a list of obstacles."""
    lists = ("found.append", "reasons.append", "self.errors.append", "self.findings.errors.append")
    for name in ("obstacles", "takeover", "discovery", "project", "certificate"):
        for node in ast.walk(parsed(PORTAL / f"{name}.py")):
            output = None
            if isinstance(node, ast.Call) and ast.unparse(node.func) in lists and node.args:
                output = node.args[0]
            elif isinstance(node, ast.Return) or (isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add)):
                output = node.value
            elements = output.elts if isinstance(output, ast.List) else [output]
            elements = [output.elt] if isinstance(output, ast.ListComp) else elements
            for each in elements:
                if isinstance(each, ast.expr) and literal(each).count(" ") > 5:
                    yield f"{name}.py {node.lineno}", literal(each)


@pytest.mark.parametrize("output", [pytest.param(output, id=place) for place, output in sentences()])
def test_an_obstacle_reports_what_to_do(output: str) -> None:
    assert INSTRUCTION.search(output), f"no instruction: {output}"


def test_the_sentences_are_seen() -> None:
    assert len(list(sentences())) > 25 and len(list(pairs())) == 9


def pairs() -> Iterator[tuple[str, ast.Tuple]]:
    """Why and what to do, which a function hands on to be refused at a place."""
    for path in (PORTAL / "in_place.py", PORTAL / "apache_beside.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Tuple) and len(node.elts) == 2 and all(" " in literal(each) for each in node.elts):
                yield f"{path.name} {node.lineno}", node


@pytest.mark.parametrize("pair", [pytest.param(pair, id=place) for place, pair in pairs()])
def test_what_is_refused_elsewhere_reports_what_to_do(pair: ast.Tuple) -> None:
    what, remedy = map(literal, pair.elts)
    assert INSTRUCTION.match(remedy), f"no instruction: {remedy}"
    assert not what.endswith(".") and not remedy.endswith("."), "the sentences are ended where they are shown"
    assert max(len(what), len(remedy)) <= MOST
