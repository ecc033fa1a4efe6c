# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps in which the application is moved, against a server that is not there.

tests/hosts/test_database.py has a real one.
"""

from __future__ import annotations

import json
import re

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._database.application import Application
from ansible_collections.chamilo.hardening.plugins.module_utils._database.server import AccountError
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.database import Account

EIGHT = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX"
NEW = "'chamilo_campus'@'localhost'"


def test_the_application_is_moved_and_its_old_account_is_of_no_use_any_more(sloppy):
    result = sloppy.apply()
    assert result.changed and result.moved == {"from": "chamilo@%", "to": "chamilo_campus@localhost"}
    assert sloppy.user == "chamilo_campus"
    assert sloppy.server.rights(NEW) == [f"{EIGHT} ON `chamilo`.*"]
    assert sloppy.server.users["'chamilo'@'%'"]["locked"] and sloppy.server.rights("'chamilo'@'%'") == []
    assert sloppy.server.rights("'root'@'localhost'") == ["ALL PRIVILEGES ON *.* WITH GRANT OPTION"]
    assert "move" not in sloppy.memory()
    assert not sloppy.apply().changed


def test_root_is_left_alone(sloppy):
    sloppy.write("root", "root-password")
    sloppy.apply()
    assert sloppy.user == "chamilo_campus"
    assert not [one for one in sloppy.server.statements if "'root'" in one and not one.startswith("SHOW")]


@pytest.mark.parametrize(
    ("rights", "password"),
    [([f"{EIGHT} ON `chamilo`.*"], "chamilo"), ([f"{EIGHT} ON `chamilo`.*", "SELECT ON `shop`.*"], "good-Password-1")],
    ids=["guessable", "shared"],
)
def test_an_account_that_is_no_good_is_left_for_another(host, rights, password):
    host.server.add("'chamilo'@'%'", password, *rights)
    host.write("chamilo", password)
    host.apply()
    assert host.user == "chamilo_campus"
    shared = len(rights) == 2
    assert (host.server.rights("'chamilo'@'%'") == rights) is shared, "who else uses it goes on"


def test_an_account_of_its_own_keeps_its_name(host):
    host.server.add("'chamilo'@'%'", "old-password-1", f"{EIGHT}, TRIGGER ON `chamilo`.*", "FILE ON *.*")
    host.apply()
    assert host.user == "chamilo" and host.server.rights("'chamilo'@'%'") == [f"{EIGHT} ON `chamilo`.*"]


def test_an_account_without_a_password_is_left_for_another(host):
    host.server.add("'chamilo'@'%'", "", f"{EIGHT} ON `chamilo`.*")
    host.write("chamilo", "")
    host.apply()
    assert host.user == "chamilo_campus"


def test_a_failed_trim_restores_what_there_was_and_no_more(host):
    host.server.add("'chamilo'@'%'", "old-password-1", f"{EIGHT}, TRIGGER ON `chamilo`.*", "FILE ON *.*")
    host.apply()
    host.broken = lambda: "CREATE" not in host.server.rights("'chamilo'@'%'")[0]
    with pytest.raises(AccountError, match="has its old rights again"):
        host.apply(split=True)
    assert host.server.rights("'chamilo'@'%'")[0].count(",") == 7 and len(host.server.rights("'chamilo'@'%'")) == 1
    host.broken = lambda: False
    host.apply(state="absent")
    assert sorted(host.server.rights("'chamilo'@'%'")) == ["FILE ON *.*", f"{EIGHT}, TRIGGER ON `chamilo`.*"]


@pytest.mark.parametrize("what", ["CREATE USER", "GRANT", "ACCOUNT LOCK", "REVOKE"])
def test_whatever_the_server_refuses_everything_is_rolled_back(sloppy, what):
    sloppy.server.refuses = what
    before = json.dumps(sloppy.server.users)
    with pytest.raises(AccountError, match="Everything is as it was before"):
        sloppy.apply()
    assert sloppy.user == "chamilo" and json.dumps(sloppy.server.users) == before
    assert "old-password-1" in (sloppy.directory / "campus/.env").read_text() and "move" not in sloppy.memory()


@pytest.mark.parametrize("when", ["written", "locked", "revoked"])
def test_a_portal_that_does_not_go_on_gets_everything_back(sloppy, when):
    done = []
    before = json.dumps(sloppy.server.users)
    sloppy.broken = lambda: when in done and sloppy.user == "chamilo_campus"
    with pytest.raises(AccountError, match="does not go on with it.*500.*as it was before"):
        sloppy.apply(step=done.append)
    assert sloppy.user == "chamilo" and json.dumps(sloppy.server.users) == before


class Killed(BaseException):
    pass


def test_killed_after_any_step_an_account_can_log_in_and_the_next_run_succeeds(tmp_path, monkeypatch, make_host):
    for number in range(1, 40):
        directory = tmp_path / str(number)
        directory.mkdir()
        host = make_host(directory)
        host.server.add("'chamilo'@'%'", "old-password-1", "ALL PRIVILEGES ON *.* WITH GRANT OPTION")
        steps = []

        def step(name, steps=steps, number=number):
            steps.append(name)
            if len(steps) == number:
                raise Killed

        with monkeypatch.context() as patch:
            # A process that was killed restores nothing.
            patch.setattr(Application, "_restore_rights", lambda *unused: None)
            try:
                host.apply(step=step)
            except Killed:
                pass
            else:
                break
        text = (directory / "campus/.env").read_text()
        password = re.search("DATABASE_PASSWORD='?([^'\n]*)", text)[1]
        assert host.server.login(Account(host.user, password)), steps
        host.apply()
        assert host.user == "chamilo_campus" and sorted(host.server.users) == ["'chamilo'@'%'", NEW], steps
        assert host.server.rights(NEW) == [f"{EIGHT} ON `chamilo`.*"] and host.server.rights("'chamilo'@'%'") == []
        assert not host.apply().changed
    assert steps[-1] == "done" and number > 8
