# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is noted of the application's compiled files."""

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import files
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring import container_record


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "STATE", str(tmp_path / "state"))


def test_what_was_found_waits_until_it_is_accepted(tmp_path):
    assert container_record.found(str(tmp_path)) == []
    container_record.note(str(tmp_path), {"files": {"prod/a.php": "1"}, "found": ["var/cache/prod/a.php"]})
    container_record.note("/srv/another", {"found": ["var/cache/prod/b.php"]})
    assert container_record.found(str(tmp_path)) == ["var/cache/prod/a.php"]
    container_record.accepted(str(tmp_path))
    assert container_record.found(str(tmp_path)) == [], "and what is known of the files stays"
    assert container_record.noted()[str(tmp_path)] == {"files": {"prod/a.php": "1"}, "found": []}
    assert container_record.found("/srv/another") == ["var/cache/prod/b.php"]


def test_a_project_is_known_by_where_it_really_is(tmp_path):
    (tmp_path / "release").mkdir()
    (tmp_path / "current").symlink_to("release")
    container_record.note(str(tmp_path / "current"), {"found": ["x"]})
    assert container_record.found(str(tmp_path / "release")) == ["x"]


def test_where_nothing_was_found_nothing_is_written(tmp_path):
    container_record.accepted(str(tmp_path))
    assert not (tmp_path / "state").exists()
