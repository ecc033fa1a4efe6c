# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run changed is rolled back, in whatever order, and nothing else. With whole runs: test_pages.py."""

from __future__ import annotations

import os

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.journal import Journal, rights_of
from tests.unit.plugins.module_utils._permissions.conftest import ACCESS, acl

WEB = 33


@pytest.fixture
def journal(tmp_path):
    made = Journal(str(tmp_path / "state"), WEB)
    yield made
    made.close()


def change(journal, path, owner, group, mode):
    status = path.stat()
    os.chown(path, owner, group)
    path.chmod(mode)
    journal.changed(str(path), status, (owner, group, mode))


def opened(path):
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)


def test_what_was_changed_twice_is_as_it_was_before_the_first(tmp_path, journal):
    path = tmp_path / ".git"
    path.mkdir(0o775)
    path.chmod(0o775)
    before = rights_of(path.stat())
    change(journal, path, 0, WEB, 0o755)
    change(journal, path, 0, 0, 0o700)
    assert journal.roll_back(opened) == []
    assert rights_of(path.stat()) == before


def test_a_name_that_is_taken_is_left(tmp_path, journal):
    for name in ("x.php", "x.php.quarantined"):
        (tmp_path / name).write_text(name)
    journal.renamed(str(tmp_path / "x.php"), "x.php", "x.php.quarantined")
    assert journal.roll_back(opened) == []
    assert (tmp_path / "x.php").read_text() == "x.php"


def test_a_link_in_the_place_of_a_file_is_reported_and_not_followed(tmp_path, journal):
    path, other = tmp_path / "x", tmp_path / "other"
    path.write_text("")
    other.write_text("")
    change(journal, path, WEB, WEB, 0o660)
    path.unlink()
    path.symlink_to(other)
    (failed,) = journal.roll_back(opened)
    assert failed.startswith(f"{path}: Too many")
    assert other.stat().st_uid == 0


@pytest.mark.parametrize(
    ("before", "after", "is_given_back"),
    [((0, 0, 0o755), (WEB, WEB, 0o660), False), ((1, 1, 0o644), (WEB, WEB, 0o660), True)],
)
def test_what_was_root_s_and_the_web_user_can_write_stays(tmp_path, journal, before, after, is_given_back):
    path = tmp_path / "x"
    path.write_text("")
    os.chown(path, *before[:2])
    path.chmod(before[2])
    change(journal, path, *after)
    assert journal.roll_back(opened) == []
    assert rights_of(path.stat()) == (before if is_given_back else after)


def test_an_acl_that_was_removed_comes_back_to_its_file_alone(tmp_path, journal):
    path, other = tmp_path / "x", tmp_path / "other"
    for file in (path, other):
        file.write_text("")
        file.chmod(0o640)
        os.setxattr(file, ACCESS, acl())
    before = os.getxattr(path, ACCESS)
    for file in (path, other):
        status = file.stat()
        os.removexattr(file, ACCESS)
        journal.lifted(str(file), status, ACCESS, before)
    other.rename(tmp_path / "away")
    other.write_text("")
    assert journal.roll_back(opened) == []
    assert os.getxattr(path, ACCESS) == before
    assert os.listxattr(other) == os.listxattr(tmp_path / "away") == [], "another file has its name"
    os.setxattr(path, ACCESS, acl(2))
    assert journal.roll_back(opened) == []
    assert os.getxattr(path, ACCESS) == acl(2), "what it has again stays"
