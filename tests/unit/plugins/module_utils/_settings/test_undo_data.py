# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import stat

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application import overrides
from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import Account
from ansible_collections.chamilo.hardening.plugins.module_utils._application.installation import Installation
from ansible_collections.chamilo.hardening.plugins.module_utils._common.files import StateError
from ansible_collections.chamilo.hardening.plugins.module_utils._settings import undo_data
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.apply import Host
from tests.unit.plugins.module_utils._settings.test_apply import Fake, asked

CHECK, RULES, LOCK = (
    "security.check_password",
    "security.password_requirements",
    "security.login_max_attempt_before_blocking_account",
)
NAME = "passwords:campus"
LONG = {"min": {"length": 12, "lowercase": 1, "uppercase": 1, "numeric": 1, "specials": 1}}


def portal_in(directory):
    """A portal whose table is the fake, and a memory of its own."""

    class Portal:
        state = str(directory / "state")
        root = str(directory / "www")
        table = Fake()

        def host(self):
            return Host(Account("chamilo"), Installation(self.root), self.state, self.table.transaction, self.table.ask)

        def set(self, name=NAME, **options):
            return self.host().apply(asked(**options), check=False, section=name)

        def back(self, name=NAME):
            output = self.host().restore(undo_data.MEMORY.recall(self.state)[name].settings)
            undo_data.MEMORY.forget(name, self.state)
            return output

    os.makedirs(f"{Portal.root}/config")
    it = Portal()
    it.table.add(1, CHECK, "false")
    it.table.add(2, CHECK, "false")
    it.table.add(1, RULES, "")
    return it


@pytest.fixture
def portal(tmp_path):
    return portal_in(tmp_path)


def test_what_a_section_changed_comes_back(portal):
    before = portal.table.rows()
    assert portal.set(settings={CHECK: True, RULES: LONG, LOCK: 5}, lock=True).changed
    assert portal.table.uses(CHECK, 2) == "true" and portal.table.rows() != before
    output = portal.back()
    assert portal.table.rows() == before
    assert output == [
        f"{CHECK} is 'false' again.",
        f"{LOCK} is not set again.",
        f"{RULES} is '' again.",
    ]
    assert undo_data.MEMORY.recall(portal.state) == {}


def test_the_first_values_count_however_often_it_changed(portal):
    before = portal.table.rows()
    portal.set(settings={LOCK: 5})
    portal.set(settings={LOCK: 3})
    portal.set(settings={CHECK: True})
    portal.back()
    assert portal.table.rows() == before


def test_what_was_changed_since_stays(portal):
    portal.set(settings={CHECK: True, LOCK: 5}, lock=True)
    portal.table.database.execute("UPDATE settings SET selected_value = '7' WHERE variable LIKE 'login_max%'")
    output = portal.back()
    assert f"{LOCK} was changed since; it stays as it is." in output
    assert portal.table.uses(LOCK, 1) == "7" and portal.table.uses(CHECK, 1) == "false"


def test_two_sections_do_not_mix_and_nothing_is_kept_for_nothing(portal):
    portal.set("brute_force:campus", settings={LOCK: 5})
    portal.set(settings={CHECK: False})
    assert list(undo_data.MEMORY.recall(portal.state)) == ["brute_force:campus"]
    assert undo_data.MEMORY.names("brute_force", portal.state) == ["brute_force:campus"]
    assert undo_data.MEMORY.names("brute", portal.state) == []
    (line,) = undo_data.MEMORY.description(["brute_force:campus"], portal.state)
    assert LOCK in line and portal.root in line
    portal.host().apply(asked(settings={CHECK: True}), check=True, section=NAME)
    assert len(undo_data.MEMORY.recall(portal.state)) == 1, "a prediction keeps nothing"


def test_the_memory_is_root_s_alone_and_a_damaged_one_is_reported(portal):
    portal.set(settings={LOCK: 5})
    path = f"{portal.state}/{undo_data.MEMORY.file}"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"x": {}}')
    with pytest.raises(StateError, match="damaged"):
        undo_data.MEMORY.recall(portal.state)


def test_a_secret_that_comes_back_is_hidden(portal):
    portal.table.add(1, "mail.mailer_dsn", "smtp://old:hunter2@b")
    portal.set(settings={}, secret_settings={"mail.mailer_dsn": "smtp://a:hunter3@b"})
    assert portal.back() == ["mail.mailer_dsn is hidden again."]
    assert portal.table.uses("mail.mailer_dsn", 1) == "smtp://old:hunter2@b"


def test_only_root_keeps_things_in_root_s_directory(portal, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 33)
    with pytest.raises(StateError, match="run the task with become"):
        undo_data.remember(NAME, portal.root, None, None)


def test_a_row_that_is_gone_is_not_restored_and_one_of_ours_goes(portal):
    portal.set(settings={CHECK: True}, access_url=["1", "2", "3"])
    portal.table.database.execute("DELETE FROM settings WHERE access_url = 2")
    portal.back()
    rows = [(row[1], row[5]) for row in portal.table.rows() if row[2] == "check_password"]
    assert rows == [(1, "false")]


def pinned(portal):
    with open(f"{portal.root}/config/settings_overrides.yaml", encoding="utf-8") as file:
        return overrides.parse(file.read(), "")


def test_a_table_that_was_read_in_again_has_other_numbers(portal):
    portal.set(settings={CHECK: True}, lock=True)
    portal.table.database.execute("UPDATE settings SET id = id + 100")
    assert portal.back() == [f"{CHECK} is 'false' again."]
    assert (portal.table.uses(CHECK, 1), portal.table.uses(CHECK, 2)) == ("false", "false")
    assert [row[8] for row in portal.table.rows() if row[2] == "check_password"] == [1, 1], "unlocked"


def test_a_run_that_died_before_it_wrote_keeps_the_undo_data(portal):
    before = portal.table.rows()
    portal.set(settings={LOCK: 5})
    host, more = portal.host(), asked(settings={LOCK: 3})
    undo_data.remember(NAME, portal.root, host._seen(portal.table.ask, more, host._file()), more, portal.state)
    assert portal.table.uses(LOCK, 1) == "5"
    assert portal.back() == [f"{LOCK} is not set again."]
    assert portal.table.rows() == before


def test_what_was_asked_for_one_portal_comes_back_there(portal):
    before = portal.table.rows()
    portal.set("exams", settings={CHECK: True}, access_url=["2"])
    portal.set("exams", settings={CHECK: True}, access_url=["3"])
    assert (portal.table.uses(CHECK, 2), portal.table.uses(CHECK, 3)) == ("true", "true")
    assert portal.back("exams") == [f"{CHECK} of portal 2 is 'false' again.", f"{CHECK} of portal 3 is not set again."]
    assert portal.table.rows() == before


@pytest.mark.parametrize(("asked_for", "others"), [("1", [2, 3]), ("2", [1, 3])])
def test_an_unmanaged_row_of_another_portal_stays(portal, asked_for, others):
    portal.set(settings={CHECK: True}, access_url=[asked_for])
    portal.table.add(3, CHECK, "true")
    portal.table.database.execute("UPDATE settings SET selected_value = 'true' WHERE variable = 'check_password'")
    rows = [row for row in portal.table.rows() if row[1] in others]
    portal.back()
    assert [row for row in portal.table.rows() if row[1] in others] == rows
    assert portal.table.uses(CHECK, int(asked_for)) == "false"


def test_a_change_in_one_portal_does_not_block_the_undo_of_another(portal):
    portal.set("exams", settings={CHECK: True}, access_url=["1", "2"])
    sql = "UPDATE settings SET selected_value = '' WHERE variable = 'check_password' AND access_url = 1"
    portal.table.database.execute(sql)
    first, second = portal.back("exams")
    assert "was changed since" in first and second == f"{CHECK} of portal 2 is 'false' again."
    assert [(row[1], row[5]) for row in portal.table.rows() if row[2] == "check_password"] == [(1, ""), (2, "false")]


@pytest.mark.parametrize("desired", [["2"], ["all"]])
def test_a_memory_of_an_older_version_knows_its_portals_by_what_was_asked_for(portal, desired):
    before = portal.table.rows()
    portal.set("exams", settings={CHECK: True}, access_url=desired)
    path = f"{portal.state}/{undo_data.MEMORY.file}"
    with open(path, encoding="utf-8") as file:
        known = json.load(file)
    for name in ("portals", "earlier"):
        del known["exams"]["settings"][CHECK][name]
    with open(path, "w", encoding="utf-8") as file:
        json.dump(known, file)
    portal.back("exams")
    assert portal.table.rows() == before


def test_a_pin_that_was_taken_out_comes_back(portal, monkeypatch):
    monkeypatch.setattr(Host, "_clear_cache", lambda host: None)
    monkeypatch.setattr(Host, "_may_pin", lambda host: None)
    path = f"{portal.root}/config/settings_overrides.yaml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"parameters:\n  settings_overrides:\n    default:\n      {CHECK}: 'true'\n")
    portal.set(settings={CHECK: False}, pin=False)
    assert pinned(portal) == {}
    assert portal.back() == [f"{CHECK} is 'true' again."]
    assert pinned(portal) == {"default": {CHECK: "true"}}
