# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on the host as root replaces its files in one way: ``files.replace_file``, or a ``files.Tree`` it opened.

A reader of such a file sees the old one or the new one and never a part of it, also after a power cut; no umask, link
or left-over file changes where it goes and who may read it.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

ROOT = Path(__file__).resolve().parents[2] / "plugins"
SOURCES = sorted([*(ROOT / "module_utils").rglob("*.py"), *(ROOT / "modules").glob("*.py")])
_RENAMES = {"os.rename", "os.replace", "os.renames", "shutil.move"}
_OPENS = {"open", "os.fdopen", "io.open"}
_FLAGS = re.compile(r"\bO_(WRONLY|RDWR)\b")
_MAKES = {"file_item", "make_directory", "makedirs", "mkdir", "open", "chmod", "fchmod", "replace_file", "umask"}
# The numbers in such a call: root itself as the owner, and a mode.
_USUAL = {0, 0o022, 0o600, 0o640, 0o644, 0o700, 0o755}

# Where a name changes otherwise, and why that is no file of root's own that is replaced.
RENAMED = {
    "_common/files.py": "the writer itself",
    "_permissions/journal.py": "a file gets the name back that it had, in a directory that is open",
    "_backups/restore.py": "whole trees change places",
    "_backups/exchange.py": "whole trees change places",
}
# Where something is written as it comes, and why no reader gets a part of it.
WRITTEN = {
    "_common/files.py": "the writer itself",
    "_common/locks.py": "the name of a lock's holder: only words",
    "_https/acme.py": "a new file for the authority, below the webroot by a directory that is open",
    "_permissions/walk.py": "a pipe to the processes that walk",
    "_common/openssl.py": "a file without a name, in memory",
    "_uploads/antivirus.py": "a copy of a file of any size; what is known of it is written behind it",
    "_backups/restore_test.py": "in the drill's own directory",
    "_backups/restore.py": "in the restore's own directory",
    "_backups/restore_tables.py": "in the restore's own directory",
    "_program/new_release.py": "in the update's own directory",
    "_application/package.py": "in a directory of its own",
    "_attacks/_insider.py": "a pipe",
    "_attacks/permissions.py": "an attack plants it, and takes it away",
    "guide_prove.py": "an attack plants it, and takes it away",
}


@functools.cache
def _nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def _calls(path: Path) -> Iterator[ast.Call]:
    return (node for node in _nodes(path) if isinstance(node, ast.Call))


def _renames(path: Path) -> bool:
    return any(ast.unparse(call.func) in _RENAMES for call in _calls(path))


def _writes(path: Path) -> bool:
    """Whether it opens something to write to it, or may do so."""
    made = [node for node in _nodes(path) if isinstance(node, ast.Assign)]
    flags = {ast.unparse(node.targets[0]) for node in made if _FLAGS.search(ast.unparse(node.value))}
    return any(_to_write(call, flags) for call in _calls(path))


def _to_write(call: ast.Call, flags: set[str]) -> bool:
    name = ast.unparse(call.func)
    if name == "os.open":
        how = ast.unparse(call.args[1])
        return bool(_FLAGS.search(how)) or how in flags
    if name.endswith((".write_text", ".write_bytes")):
        return True
    if name not in _OPENS:
        return False
    modes = [*call.args[1:2], *(each.value for each in call.keywords if each.arg == "mode")]
    return any(not isinstance(mode, ast.Constant) or set("wax+") & set(str(mode.value)) for mode in modes)


def _where(path: Path) -> str:
    return str(path.relative_to(ROOT / "module_utils")) if "module_utils" in path.parts else path.name


def test_names_change_in_one_place() -> None:
    assert {_where(path) for path in SOURCES if _renames(path)} == set(RENAMED)


def test_files_are_written_in_one_place() -> None:
    assert {_where(path) for path in SOURCES if _writes(path)} == set(WRITTEN)


def test_what_root_makes_is_its_own_and_has_a_usual_mode() -> None:
    """Not 644 without its 0o."""
    made = [(path, call) for path in SOURCES for call in _calls(path) if _name(call.func) in _MAKES]
    assert made
    for path, call in made:
        numbers = [part.value for part in (*call.args, *(each.value for each in call.keywords)) if _is_number(part)]
        assert set(numbers) <= _USUAL, f"{path}:{call.lineno}"


def _is_number(node: ast.expr) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and type(node.value) is int


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
