# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model of the edits in place, and the virtual hosts it is compared with."""

from __future__ import annotations

import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.markers import Mark, apply
from ansible_collections.chamilo.hardening.plugins.module_utils._common.tree import Tree
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.in_place import Unmarked, exposed


def test_the_files_are_read_as_they_were_before_our_marks(tmp_path: Path) -> None:
    (tmp_path / "campus").write_text(apply("a;\n", [Mark(0, ("x;",))], "campus"))
    (tmp_path / "other").write_text(apply("a;\n", [Mark(0, ("x;",))], "other"))
    (tmp_path / "damaged").write_text("# BEGIN chamilo.hardening campus\na;\n")
    unmarked = Unmarked(Tree(str(tmp_path)), "campus")
    assert unmarked.read("/campus") == "a;\n"
    assert "x;" in unmarked.read("/other")
    assert unmarked.read("/damaged").endswith("a;\n")
    assert list(unmarked.damaged) == ["/damaged"]


FILE, DIRECTORY = stat.S_IFREG | 0o644, stat.S_IFDIR | 0o755


@pytest.mark.parametrize(
    ("path", "changed", "problem"),
    [
        ("/etc/campus", {}, ""),
        ("/etc/campus", {"st_mode": stat.S_IFREG | 0o664}, ""),  # the group is root's own
        ("/etc/campus", {"st_mode": stat.S_IFREG | 0o664, "st_gid": 4}, "can be written by others"),
        ("/etc/campus", {"st_mode": stat.S_IFREG | 0o646}, "can be written by others"),
        ("/etc/campus", {"st_mode": stat.S_IFLNK | 0o777}, "is no regular file"),
        ("/etc/campus", {"st_uid": 1}, "belongs to another user"),
        ("/etc", {"st_uid": 1}, "belongs to another user"),
        ("/etc", {"st_mode": stat.S_IFDIR | 0o757}, "can be written by others"),
        ("/", None, "cannot be read"),
    ],
)
def test_root_goes_by_no_file_that_others_could_have_changed(
    monkeypatch: pytest.MonkeyPatch, path: str, changed: dict[str, int] | None, problem: str
) -> None:
    usual = {"st_uid": 0, "st_gid": 0}
    found = {
        "/etc/campus": {**usual, "st_mode": FILE},
        "/etc": {**usual, "st_mode": DIRECTORY},
        "/": {**usual, "st_mode": DIRECTORY},
    }
    statuses = {name: SimpleNamespace(**one) for name, one in found.items()}
    statuses[path] = SimpleNamespace(**{**found[path], **changed}) if changed is not None else None
    tree = Tree("/nonexistent")
    monkeypatch.setattr(Tree, "status", lambda _self, name: statuses[name])
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("os.getegid", lambda: 0)
    answer = exposed(tree, "/etc/campus")
    assert answer.startswith(f"{path} {problem}" if problem else "") and bool(answer) == bool(problem)
