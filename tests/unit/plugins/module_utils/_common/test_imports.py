# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is compiled is counted: an archive's files are compiled once, and a traceback shows their lines as before."""

from __future__ import annotations

import builtins
import importlib
import sys
import traceback
import zipfile
import zipimport
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import imports

FILES = {
    "packed/__init__.py": "",
    "packed/first.py": "from packed import second\n",
    "packed/second.py": "def fail():\n    raise OSError('here')\n",
}


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    path = str(tmp_path / "payload.zip")
    with zipfile.ZipFile(path, "w") as packed:
        for name, text in FILES.items():
            packed.writestr(name, text)
    monkeypatch.syspath_prepend(path)
    # A module that a test imported has replaced it already.
    hooks = [zipimport.zipimporter if hook is imports._Importer else hook for hook in sys.path_hooks]
    monkeypatch.setattr(sys, "path_hooks", hooks)
    monkeypatch.setattr(sys, "path_importer_cache", dict(sys.path_importer_cache))
    for name in ("packed", "packed.first", "packed.second"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return path


def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    files: list[str] = []
    original = builtins.compile

    def count(source: Any, filename: Any, *more: Any, **named: Any) -> Any:
        files.append(str(filename))
        return original(source, filename, *more, **named)

    monkeypatch.setattr(builtins, "compile", count)
    importlib.import_module("packed.first")
    monkeypatch.undo()
    for name in ("packed", "packed.first", "packed.second"):
        sys.modules.pop(name, None)
    return files


def test_each_file_of_an_archive_is_compiled_once(archive: str, monkeypatch: pytest.MonkeyPatch) -> None:
    imports.compile_once()
    assert sorted(compiled(monkeypatch)) == [f"{archive}/{name}" for name in sorted(FILES)]


def test_without_it_each_is_compiled_twice(archive: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Python no longer does, this file can go."""
    assert sorted(compiled(monkeypatch)) == sorted(2 * [f"{archive}/{name}" for name in FILES])


def test_a_package_of_which_a_part_is_loaded_already_loads_the_rest_by_it(
    archive: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    importlib.import_module("packed")
    assert type(sys.path_importer_cache[archive]) is zipimport.zipimporter
    imports.compile_once()
    files = compiled(monkeypatch)
    assert sorted(files) == [f"{archive}/packed/first.py", f"{archive}/packed/second.py"]


def test_what_is_loaded_knows_its_file_and_shows_its_lines(archive: str, monkeypatch: pytest.MonkeyPatch) -> None:
    imports.compile_once()
    second = importlib.import_module("packed.second")
    assert second.__file__ == f"{archive}/packed/second.py"
    assert sys.modules["packed"].__file__ == f"{archive}/packed/__init__.py"
    with pytest.raises(OSError, match="here") as raised:
        second.fail()
    assert "raise OSError('here')" in "".join(traceback.format_exception(raised.value))
    for name in ("packed", "packed.second"):
        sys.modules.pop(name)


@pytest.mark.usefixtures("archive")
def test_other_importers_stay() -> None:
    hooks = list(sys.path_hooks)
    imports.compile_once()
    imports.compile_once()
    assert len(sys.path_hooks) == len(hooks)
    assert [new for new, old in zip(sys.path_hooks, hooks) if old is not zipimport.zipimporter] == [
        old for old in hooks if old is not zipimport.zipimporter
    ]
    assert zipimport.zipimporter not in sys.path_hooks
