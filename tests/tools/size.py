# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How large the project is: bin/env python -m tests.tools.size [DIRECTORY of another checkout]

Physical lines are those of all files that belong to it, data included, and of what links there lead to. Lines of code
are those of Python with code on them: no comment, docstring or blank line, and none of a module's DOCUMENTATION,
EXAMPLES and RETURN.
"""

from __future__ import annotations

import argparse
import ast
import io
import subprocess
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PROSE = {"DOCUMENTATION", "EXAMPLES", "RETURN"}
NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}
Definition = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass
class Size:
    physical: int = 0
    code: int = 0
    functions: int = 0

    def add(self, other: Size) -> None:
        self.physical += other.physical
        self.code += other.code
        self.functions += other.functions


def tracked(root: Path, *below: str) -> list[Path]:
    """The files of a checkout, new ones included, ignored ones not."""
    listing = ["ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *below]
    done = subprocess.run(["git", "-c", "safe.directory=*", *listing], cwd=root, check=True, capture_output=True)
    names = filter(None, done.stdout.decode().split("\0"))
    return sorted(root / name for name in names if (root / name).is_file())


def prose(tree: ast.Module) -> Iterator[int]:
    """The lines of docstrings, and of what documents a module."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, *Definition)) and ast.get_docstring(node, clean=False):
            yield from range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
    for node in tree.body:
        if isinstance(node, ast.Assign) and {ast.unparse(target) for target in node.targets} & PROSE:
            yield from range(node.lineno, (node.end_lineno or 0) + 1)


def measure(path: Path) -> Size:
    content = path.read_bytes()
    physical = content.count(b"\n")
    if path.suffix != ".py":
        return Size(physical)
    text = content.decode()
    tree = ast.parse(text)
    lines = {
        line
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in NO_CODE
        for line in range(token.start[0], token.end[0] + 1)
    }
    functions = sum(isinstance(node, Definition) for node in ast.walk(tree))
    return Size(physical, len(lines - set(prose(tree))), functions)


def package(path: Path, root: Path) -> str:
    """The directory that a file is counted with: packages of engines and of unit tests each by themselves."""
    parts = path.relative_to(root).parts[:-1]
    depth = next((depth for inner, depth in (("plugins", 3), ("tests", 2)) if parts[0] == inner), 1)
    return "/".join(parts[:depth])


def sizes(root: Path, *below: str) -> dict[str, Size]:
    """By package."""
    found: dict[str, Size] = {}
    for path in tracked(root, *below):
        found.setdefault(package(path, root), Size()).add(measure(path))
    return found


def total(found: dict[str, Size]) -> Size:
    whole = Size()
    for size in found.values():
        whole.add(size)
    return whole


def role_variables(root: Path) -> int:
    found = set()
    for path in tracked(root, "roles/*/meta/argument_specs.yml"):
        for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"].values():
            found |= set(entry.get("options", {}))
    return len(found)


def module_options(root: Path) -> int:
    """Of all modules, without those within others."""
    found = 0
    for path in tracked(root, "plugins/modules/*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DOCUMENTATION":
                found += len(yaml.safe_load(ast.literal_eval(node.value)).get("options") or {})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("root", nargs="?", type=Path, default=ROOT, help="another checkout")
    root = parser.parse_args().root.resolve()
    print(f"{'':40}{'physical':>10}{'code':>10}{'functions':>10}")
    functions = 0
    for top in ("playbooks", "plugins", "tests"):
        found = sizes(root, top)
        functions += total(found).functions if top != "tests" else 0
        for name, size in [*sorted(found.items()), (f"{top}, all", total(found))]:
            print(f"{name:40}{size.physical:10,}{size.code:10,}{size.functions:10,}")
    print(f"functions that are shipped: {functions:,}")
    print(f"variables of roles: {role_variables(root)}")
    print(f"options of modules: {module_options(root)}")


if __name__ == "__main__":
    main()
