# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible keeps no compiled code of a collection: what an audit imports on the controller is compiled in each run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
PACKAGE = "ansible_collections.chamilo.hardening.plugins."
LINES = 1000  # of engines, which are made for hosts


def imported(file: Path) -> Iterator[Path]:
    """The files of this collection that a file imports when it is loaded itself."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                path = PLUGINS.joinpath(*str(name).removeprefix(PACKAGE).split(".")).with_suffix(".py")
                if path.is_file():
                    yield path


def test_an_audit_compiles_few_engines_on_the_controller() -> None:
    todo = [PLUGINS / f"action/{name}.py" for name in ("guide_preflight", "guide_audit_info", "guide_report")]
    found: set[Path] = set()
    while todo:
        file = todo.pop()
        if file not in found:
            found.add(file)
            todo += imported(file)
    engines = {file: file.read_text(encoding="utf-8").count("\n") for file in found if "module_utils" in file.parts}
    assert sum(engines.values()) <= LINES, sorted(f"{number} {file}" for file, number in engines.items())
