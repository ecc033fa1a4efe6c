# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits, timeouts and defaults of the engines, one line each in limits.txt.

Few of them can be reached by a test: none waits fifteen minutes, or writes 64 MiB. A wrong digit is seen in a review.

    UPDATE=1 bin/env pytest tests/unit/test_guards_limits.py
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

ENGINES = Path(__file__).resolve().parents[2] / "plugins/module_utils"
REVIEWED = Path(__file__).with_name("limits.txt")


def is_limit(value: ast.expr | None) -> bool:
    """Whether it is made of numbers alone, or is a switch."""
    if isinstance(value, ast.Tuple):
        return bool(value.elts) and all(map(is_limit, value.elts))
    if isinstance(value, ast.BinOp):
        return is_limit(value.left) and is_limit(value.right)
    if isinstance(value, ast.UnaryOp):
        return is_limit(value.operand)
    return isinstance(value, ast.Constant) and isinstance(value.value, (int, float))


def defaults(function: ast.FunctionDef) -> Iterator[tuple[str, ast.expr | None]]:
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    yield from zip((one.arg for one in positional[len(positional) - len(given.defaults) :]), given.defaults)
    yield from zip((one.arg for one in given.kwonlyargs), given.kw_defaults)


def limits(tree: ast.AST, around: str = "") -> Iterator[str]:
    """Constants of modules and classes, and defaults of arguments."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from limits(node, f"{around}{node.name}.")
        elif isinstance(node, ast.FunctionDef):
            for name, value in defaults(node):
                if value is not None and is_limit(value):
                    yield f"{around}{node.name}({name}={ast.unparse(value)})"
            yield from limits(node, f"{around}{node.name}.")
        elif (
            isinstance(node, (ast.Assign, ast.AnnAssign))
            and is_limit(node.value)
            and isinstance(tree, (ast.Module, ast.ClassDef))
        ):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            yield f"{around}{ast.unparse(target)} = {ast.unparse(node.value or target)}"


def found() -> str:
    lines = []
    for file in sorted(ENGINES.glob("_*/*.py")):
        own = list(limits(ast.parse(file.read_text(encoding="utf-8"))))
        lines += [f"{file.relative_to(ENGINES)}", *(f"  {line}" for line in own)] if own else []
    return "\n".join(lines) + "\n"


def test_each_limit_is_the_one_that_was_reviewed() -> None:
    if os.environ.get("UPDATE"):
        REVIEWED.write_text(found(), encoding="utf-8")
    assert found() == REVIEWED.read_text(encoding="utf-8"), (
        "read the difference; if it is meant, run UPDATE=1 bin/env pytest tests/unit/test_guards_limits.py"
    )
