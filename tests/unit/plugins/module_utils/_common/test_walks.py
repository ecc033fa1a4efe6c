# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.chamilo.hardening.plugins.module_utils._common.walks import Budget, walk


def test_a_walk_follows_no_link_and_skips_what_it_is_reported(tmp_path):
    for name in ("a/x", "b/y", "c/z"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("")
    (tmp_path / "a/loop").symlink_to(tmp_path)
    found = {entry.name for entry in walk(str(tmp_path), Budget(5), {str(tmp_path / "b")})}
    assert found == {"x", "z", "loop"}


def test_a_walk_ends_in_time_and_reports_so(tmp_path):
    (tmp_path / "x").write_text("")
    budget = Budget(-1)
    assert list(walk(str(tmp_path), budget)) == []
    assert "the time for it" in budget.gap


def test_what_cannot_be_opened_is_counted(tmp_path):
    budget = Budget(5)
    (tmp_path / "file").write_text("")
    assert list(walk(str(tmp_path / "file"), budget)) == []
    assert "1 directories or files could not be opened" in budget.gap
    assert list(walk(str(tmp_path / "gone"), Budget(5))) == []
