# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where each engine lies, what it may import, and how large it may become."""

from __future__ import annotations

import ast
import builtins
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools.sources import parsed, statements

ROOT = Path(__file__).resolve().parents[2]
UTILS = ROOT / "plugins/module_utils"
PREFIX = "ansible_collections.chamilo.hardening.plugins.module_utils."
# From the ground up: a package imports from those before it and from its own.
LAYERS = (
    *(
        "_common",
        "_host",
        "_webserver",
        "_php",
        "_application",
        "_transaction",
        "_settings",
        "_permissions",
        "_https",
        "_brute_force",
        "_uploads",
    ),
    *("_database", "_backups", "_updates", "_monitoring", "_audit", "_attacks", "_program"),
)
ENGINE_LINES = 600
ENGINES = sorted(path for path in UTILS.rglob("*.py") if path.name != "__init__.py")


def imported(path: Path) -> Iterator[str]:
    """The packages of engines that a file imports from, wherever in it."""
    for node in statements(parsed(path)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(PREFIX):
            yield node.module[len(PREFIX) :].split(".")[0]


def test_every_engine_lies_in_a_package_and_every_package_has_its_layer() -> None:
    assert {path.relative_to(UTILS).parts[0] for path in ENGINES} == set(LAYERS)
    assert {len(path.relative_to(UTILS).parts) for path in ENGINES} == {2}


@pytest.mark.parametrize("path", ENGINES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_imports_point_downward(path: Path) -> None:
    own = LAYERS.index(path.parent.name)
    assert [package for package in imported(path) if LAYERS.index(package) > own] == []


def test_no_engine_is_too_large_to_be_read_in_one_go() -> None:
    """Split it along what it does."""
    assert [str(path) for path in ENGINES if path.read_text(encoding="utf-8").count("\n") > ENGINE_LINES] == []


BUILTIN = {name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, BaseException)}


@pytest.mark.parametrize("path", ENGINES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_what_an_engine_raises_derives_from_one_base(path: Path) -> None:
    """So that callers of engines need no list of what they raise, which is never whole."""
    kinds = [node for node in statements(parsed(path)) if isinstance(node, ast.ClassDef)]
    wrong = [node.name for node in kinds if BUILTIN & {ast.unparse(base) for base in node.bases}]
    assert [name for name in wrong if name != "HardeningError"] == []


@pytest.mark.parametrize("path", ENGINES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_files_are_locked_in_one_way(path: Path) -> None:
    """With a limit to the waiting, the holder's name for those that wait, and no lock on a file that was replaced."""
    calls = [node.func for node in ast.walk(parsed(path)) if isinstance(node, ast.Call)]
    found = {ast.unparse(call) for call in calls} & {"fcntl.flock", "fcntl.lockf", "flock", "lockf"}
    assert found == ({"fcntl.flock"} if path == UTILS / "_common/locks.py" else set())


@functools.cache
def defined(path: Path) -> set[str]:
    """The names that a file makes, or hands on."""
    found = set()
    for node in parsed(path).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {each.asname or each.name for each in node.names}
        found |= {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    return found


@pytest.mark.parametrize("top", ["plugins", "tests", "molecule"])
def test_what_is_imported_is_there_in_scripts_within_texts_too(top: str) -> None:
    written = re.compile(rf"from {re.escape(PREFIX[:-1])}(?:\.([\w.]+))? import (\([^)]*\)|[^\n;]+)")
    missing = []
    for path in (ROOT / top).rglob("*.py"):
        for module, names in written.findall(path.read_text(encoding="utf-8")):
            place = UTILS / module.replace(".", "/")
            for name in (each.split()[0] for each in re.sub(r"#.*|[()]", "", names).split(",") if each.strip()):
                if place.is_dir():
                    there = (place / f"{name}.py").exists() or (place / name / "__init__.py").exists()
                else:
                    there = name in defined(place.with_suffix(".py"))
                if not there:
                    missing.append(f"{path.relative_to(ROOT)}: {module} {name}")
    assert missing == []
