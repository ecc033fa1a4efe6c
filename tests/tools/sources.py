# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sources of this project, as guards read them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

BLOCKS = ("body", "handlers", "orelse", "finalbody", "cases")


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def statements(node: ast.AST) -> Iterator[ast.stmt]:
    """All statements below a module, class, function or statement. Of expressions there are ten times as many."""
    for block in BLOCKS:
        for part in getattr(node, block, ()):
            if isinstance(part, ast.stmt):
                yield part
            yield from statements(part)
