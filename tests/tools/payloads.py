# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much each module takes to a host: bin/env python -m tests.tools.payloads [MODULE]

Physical lines of the module and of all files of this collection that it imports, wherever in them: Ansible sends all of
them with each task. With the name of a module, its packages, and how each file came to be in it.
"""

from __future__ import annotations

import argparse
import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
PACKAGE = "ansible_collections.chamilo.hardening.plugins."
HOST_PROGRAM = PLUGINS / "module_utils/_program/main.py"


def imported(file: Path, everywhere: bool = False) -> Iterator[Path]:
    """The files of this collection that a file imports when it is loaded itself, or at all (these travel with it)."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if everywhere else tree.body:
        if not isinstance(node, ast.ImportFrom) or not (node.level or (node.module or "").startswith(PACKAGE)):
            continue
        start = file.parents[node.level - 1] if node.level else PLUGINS
        package = start.joinpath(*(node.module or "").removeprefix(PACKAGE).split("."))
        for path in (package, *(package / alias.name for alias in node.names)):
            if path.with_suffix(".py").is_file():
                yield path.with_suffix(".py")


def reached(files: Iterable[Path], everywhere: bool = False) -> dict[Path, Path | None]:
    """They, and all that they import, each with the file that imported it first."""
    todo: list[tuple[Path, Path | None]] = [(file, None) for file in files]
    found: dict[Path, Path | None] = {}
    while todo:
        file, importer = todo.pop(0)
        if file not in found:
            found[file] = importer
            todo += [(one, file) for one in imported(file, everywhere)]
    return found


def lines(file: Path) -> int:
    return file.read_bytes().count(b"\n")


def payload(file: Path) -> int:
    return sum(map(lines, reached([file], everywhere=True)))


def name(file: Path) -> str:
    return str(file.relative_to(PLUGINS).with_suffix("")).removeprefix("module_utils/")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.tools.payloads", description=__doc__)
    parser.add_argument("module", nargs="?")
    asked = parser.parse_args().module
    if not asked:
        for file in (*sorted(PLUGINS.glob("modules/*.py")), HOST_PROGRAM):
            print(f"{name(file):30} {payload(file):7,}")
        return
    file = HOST_PROGRAM if asked == "host program" else PLUGINS / f"modules/{asked}.py"
    found = reached([file], everywhere=True)
    packages: Counter[str] = Counter()
    for one, importer in sorted(found.items()):
        packages[name(one).split("/")[0]] += lines(one)
        print(f"{lines(one):6,} {name(one):40} {name(importer) if importer else ''}")
    for package, many in packages.most_common():
        print(f"{many:6,} {package}")


if __name__ == "__main__":
    main()
