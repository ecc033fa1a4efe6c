# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of a filter."""

from __future__ import annotations

import os

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.filter_file import (
    Definition,
    File,
    FilterError,
)


def test_the_file_is_what_fail2ban_reads():
    text = Definition("x", ("^%a", "^b"), ("^c",), "^p", "%Y", "_COMM=x").text()
    assert text.removesuffix("\n").split("\n")[2:] == [
        "[Definition]",
        "prefregex = ^p",
        "failregex = ^%%a",
        "    ^b",
        "ignoreregex = ^c",
        "datepattern = %%Y",
        "journalmatch = _COMM=x",
    ]
    assert "ignoreregex =\n" in Definition("x", ("^a",)).text()


def test_the_file_is_replaced_in_one_step_and_removed(tmp_path):
    file = File(str(tmp_path), "campus")
    assert file.read() is None
    file.write("text")
    assert file.read() == "text"
    assert [path.name for path in tmp_path.iterdir()] == ["campus.conf"]
    assert (tmp_path / "campus.conf").stat().st_mode & 0o777 == 0o644
    assert file.diff(None, "text")["before_header"].endswith("campus.conf (absent)")
    file.write(None)
    assert file.read() is None


def test_what_lies_in_the_way_of_the_new_file(tmp_path):
    """One that a killed run left is replaced whole, and no link is followed."""
    part = tmp_path / ".chamilo-hardening.campus.conf"
    part.write_text("much longer than what comes")
    part.chmod(0o600)
    File(str(tmp_path), "campus").write("text")
    assert [path.name for path in tmp_path.iterdir()] == ["campus.conf"]
    assert (tmp_path / "campus.conf").read_text() == "text"
    assert (tmp_path / "campus.conf").stat().st_mode & 0o777 == 0o644
    part.symlink_to(tmp_path / "elsewhere")
    File(str(tmp_path), "campus").write("other")
    assert (tmp_path / "campus.conf").read_text() == "other"
    assert not (tmp_path / "elsewhere").exists() and not part.is_symlink()


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_the_file_can_be_read_whatever_the_umask(tmp_path, umask):
    old = os.umask(umask)
    try:
        File(str(tmp_path), "campus").write("text")
    finally:
        os.umask(old)
    assert (tmp_path / "campus.conf").stat().st_mode & 0o777 == 0o644


def test_a_local_file_beside_it_is_refused(tmp_path):
    (tmp_path / "campus.local").write_text("")
    with pytest.raises(FilterError, match=r"campus\.local would change what was proved"):
        File(str(tmp_path), "campus").alone()
    File(str(tmp_path), "other").alone()
