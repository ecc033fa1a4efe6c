# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is restored, and removed again."""

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import DatabaseError
from ansible_collections.chamilo.hardening.plugins.module_utils._database.server import AccountError
from ansible_collections.chamilo.hardening.plugins.module_utils._database.undo_data import UndoData

EIGHT = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX"
NEW = "'chamilo_campus'@'localhost'"


def test_absent_leaves_the_account_we_made_all_it_needs(sloppy):
    sloppy.apply(split=True)
    sloppy.apply()
    sloppy.apply(state="absent")
    assert set(sloppy.server.rights(NEW)[0].partition(" ON ")[0].split(", ")) == set(EIGHT.split(", "))


def test_a_restored_account_is_recorded_before_it_has_its_rights(sloppy):
    sloppy.apply()
    sloppy.server.refuses = "GRANT ALL PRIVILEGES"
    with pytest.raises(DatabaseError):
        sloppy.apply(state="absent")
    assert sloppy.memory()["restored"] == [["chamilo", "%"]]
    sloppy.server.refuses = ""
    sloppy.apply(state="absent")
    assert sloppy.server.rights("'chamilo'@'%'") == ["ALL PRIVILEGES ON *.* WITH GRANT OPTION"]
    sloppy.apply()
    assert sloppy.server.users["'chamilo'@'%'"]["locked"] and sloppy.server.rights("'chamilo'@'%'") == []


def test_restored_rights_are_removed_again(sloppy):
    old = "'chamilo'@'%'"
    sloppy.apply(split=True)
    result = sloppy.apply(state="absent")
    assert result.changed and sloppy.user == "chamilo_campus"
    assert set(sloppy.server.rights(NEW)[0].partition(" ON ")[0].split(", ")) == set(EIGHT.split(", "))
    assert sloppy.server.rights(old) == ["ALL PRIVILEGES ON *.* WITH GRANT OPTION"]
    assert not sloppy.server.users[old]["locked"] and "'chamilo_campus_upgrade'@'localhost'" not in sloppy.server.users
    assert not sloppy.apply(state="absent").changed
    assert sloppy.apply(check=True).changed and sloppy.server.rights(old)
    assert sloppy.apply().changed and sloppy.server.users[old]["locked"] and sloppy.server.rights(old) == []
    assert not sloppy.apply().changed


def test_data_that_is_damaged_is_reported_with_its_file(tmp_path):
    path = tmp_path / "database-campus.json"
    undo = UndoData(str(path), lambda _step: None)
    undo.load()
    assert undo.known == {}
    path.write_text("{")
    with pytest.raises(AccountError, match=rf"^{path} is damaged \(.*\)\. Restore it from a backup\.$"):
        undo.load()
