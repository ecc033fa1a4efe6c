# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the program is made: one file with all it needs, which always comes out the same."""

from __future__ import annotations

import ast
import os
import stat
import subprocess
import sys
from pathlib import Path

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _program as builder


def test_what_it_imports_comes_along_and_nothing_else() -> None:
    needed = builder.needed(builder.COLLECTION / "plugins/module_utils")
    assert {"_program.main", "_transaction.engine", "_common.files", "_common.services", "_common.http"} <= set(needed)
    assert not {"_program.install", "_attacks._insider"} & set(needed)


def test_what_python_itself_sees_imported_comes_along() -> None:
    utils = builder.COLLECTION / "plugins/module_utils"
    needed = builder.needed(utils)
    for module in needed:
        way = module.split(".")
        tree = ast.parse(utils.joinpath(*way).with_suffix(".py").read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level:
                insider = ".".join([*way[: -node.level], *filter(None, [node.module])])
                names = [f"{insider}.{alias.name}" for alias in node.names]
                assert insider in needed or set(names) <= set(needed), (module, names)


def test_it_comes_out_the_same_each_time() -> None:
    first = builder.build()
    builder.build.cache_clear()
    assert builder.build() == first
    assert first.content.startswith(b"#!/usr/bin/python3 -I\nPK")


def test_the_version_is_that_of_the_collection(tmp_path: Path) -> None:
    (tmp_path / "galaxy.yml").write_text("version: 1.2.3\n")
    assert builder.version_of(tmp_path) == "1.2.3"
    (tmp_path / "MANIFEST.json").write_text('{"collection_info": {"version": "4.5.6"}}')
    assert builder.version_of(tmp_path) == "4.5.6"


def test_it_runs_by_itself(tmp_path: Path) -> None:
    program = tmp_path / "chamilo-hardening"
    program.write_bytes(builder.build().content)
    program.chmod(0o755)
    (tmp_path / "ansible_collections.py").write_text("raise SystemExit('not isolated')")
    clean = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([program, "--version"], capture_output=True, text=True, cwd=tmp_path, env=clean)
    assert (done.returncode, done.stdout) == (0, f"chamilo-hardening {builder.build().version}\n"), done.stderr
    assert stat.S_IMODE(program.stat().st_mode) == 0o755


def test_it_has_the_list_of_releases_and_vulnerabilities_in_it(tmp_path: Path) -> None:
    program = tmp_path / "chamilo-hardening"
    program.write_bytes(builder.build().content)
    ask = f"from {builder.PACKAGE}._updates import advisories; print(advisories.packed().behind('2.0.3'))"
    code = f"import sys; sys.path.insert(0, {str(program)!r}); {ask}"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert "fixed in 2.0.4" in done.stdout, done.stderr
