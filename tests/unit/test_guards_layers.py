# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where each engine lies, what it may import, and how large it may become."""

from __future__ import annotations

import ast
import builtins
import functools
import re
from pathlib import Path

import pytest

from tests.tools.payloads import PLUGINS, imported
from tests.tools.sources import parsed, statements

ROOT = Path(__file__).resolve().parents[2]
UTILS = ROOT / "plugins/module_utils"
PREFIX = "ansible_collections.chamilo.hardening.plugins.module_utils."
# From the ground up, below plugins/modules. A package imports from the floors below it, and from none beside it.
FLOORS = (
    ("_common",),
    ("_host", "_webserver", "_php", "_application"),
    ("_transaction",),
    (
        *("_settings", "_permissions", "_https", "_brute_force", "_uploads", "_database"),
        *("_backups", "_updates", "_monitoring"),
    ),
    ("_audit", "_attacks"),
    ("_program",),
)
# But for the rooms in which the host is observed, which go by those before them.
ROOMS = FLOORS[1]
ENGINE_LINES = 600
ENGINES = sorted(path for path in UTILS.rglob("*.py") if path.name != "__init__.py")


def packages_of(path: Path) -> set[str]:
    """The packages of engines that a file imports from, wherever in it."""
    return {file.parent.name for file in imported(path, everywhere=True)} - {path.parent.name}


def test_every_engine_lies_in_a_package_and_every_package_has_its_floor() -> None:
    assert {path.relative_to(UTILS).parts[0] for path in ENGINES} == {package for floor in FLOORS for package in floor}
    assert {len(path.relative_to(UTILS).parts) for path in ENGINES} == {2}


@pytest.mark.parametrize("path", ENGINES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_imports_point_downward(path: Path) -> None:
    package = path.parent.name
    floor = next(number for number, packages in enumerate(FLOORS) if package in packages)
    below = {each for packages in FLOORS[:floor] for each in packages}
    if package in ROOMS:
        below |= {*ROOMS[: ROOMS.index(package)]}
    assert packages_of(path) - below == set()


def test_no_file_imports_what_imports_it() -> None:
    """Taken away from the ground up, no file is left that waits for another."""
    waiting = {path: {*imported(path, everywhere=True)} for path in sorted(PLUGINS.rglob("*.py"))}
    while free := {path for path, others in waiting.items() if not others & waiting.keys()}:
        waiting = {path: others for path, others in waiting.items() if path not in free}
    assert [str(path.relative_to(PLUGINS)) for path in waiting] == []


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
