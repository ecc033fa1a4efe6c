# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of a filter."""

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force import filter_file
from ansible_collections.chamilo.hardening.plugins.module_utils._brute_force.filter_file import (
    Definition,
    FilterError,
)


def test_the_file_is_what_fail2ban_reads():
    text = Definition("x", ("^%a", "^b"), "%Y").text()
    assert text.removesuffix("\n").split("\n")[2:] == [
        "[Definition]",
        "failregex = ^%%a",
        "    ^b",
        "ignoreregex =",
        "datepattern = %%Y",
    ]


def test_a_local_file_beside_it_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(filter_file, "DIRECTORY", str(tmp_path))
    (tmp_path / "campus.local").write_text("")
    with pytest.raises(FilterError, match=r"campus\.local would change what was proved"):
        filter_file.alone("campus")
    filter_file.alone("other")
