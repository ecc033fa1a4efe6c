# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps in which the application is moved, against a server that is not there.

tests/hosts/test_database.py has a real one.
"""

from __future__ import annotations

import json

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import DatabaseError
from ansible_collections.chamilo.hardening.plugins.module_utils._database.application import Application
from ansible_collections.chamilo.hardening.plugins.module_utils._database.server import AccountError

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


@pytest.mark.parametrize(
    ("rights", "password"),
    [
        ([f"{EIGHT} ON `chamilo`.*"], "chamilo"),
        ([f"{EIGHT} ON `chamilo`.*"], ""),
        ([f"{EIGHT} ON `chamilo`.*", "SELECT ON `shop`.*"], "good-Password-1"),
    ],
    ids=["guessable", "empty", "shared"],
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


def killed_at(host, monkeypatch, name):
    """As a run that was killed after this step."""

    def step(done):
        if done == name:
            raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Application, "_restore_rights", lambda *unused: None)
        host.apply(step=step)


def test_a_move_that_did_not_finish_is_reported_by_a_check(sloppy, monkeypatch):
    assert sloppy.apply(check=True).notes == []
    killed_at(sloppy, monkeypatch, "created")
    before, known = json.dumps(sloppy.server.users), sloppy.memory()
    result = sloppy.apply(check=True)
    assert result.notes == ["A run that moved the application to another account did not finish."]
    assert json.dumps(sloppy.server.users) == before and sloppy.memory() == known


def test_a_move_that_is_resumed_and_fails_is_rolled_back(sloppy, monkeypatch):
    before = json.dumps(sloppy.server.users)
    killed_at(sloppy, monkeypatch, "written")
    assert sloppy.user == "chamilo_campus"
    sloppy.broken = lambda: sloppy.user == "chamilo_campus"
    with pytest.raises(AccountError, match=r"does not go on with it: .*500.*\. Everything is as it was before\.$"):
        sloppy.apply()
    assert sloppy.user == "chamilo" and json.dumps(sloppy.server.users) == before and "move" not in sloppy.memory()


@pytest.mark.parametrize(
    ("password", "raised", "words"),
    [
        ("", AccountError, "Chamilo has no password for it.*No account was changed"),
        ("x", DatabaseError, "^Access denied"),
    ],
)
def test_an_account_that_cannot_log_in_ends_the_run(host, password, raised, words):
    host.server.add("'chamilo'@'localhost'", "another")
    host.write("chamilo", password)
    with pytest.raises(raised, match=words):
        host.apply()
    assert not any(statement.startswith(("CREATE", "ALTER", "GRANT")) for statement in host.server.statements)


@pytest.mark.parametrize("stopped", [OSError("no further"), KeyboardInterrupt()])
def test_rights_that_could_not_be_made_right_are_the_old_ones_exactly(host, stopped):
    host.server.add("'chamilo'@'%'", "good-Password-1", "SELECT, TRIGGER ON `chamilo`.*")
    host.write("chamilo", "good-Password-1")
    assert host.apply(check=True).changed
    assert host.server.rights("'chamilo'@'%'") == ["SELECT, TRIGGER ON `chamilo`.*"]

    def step(name):
        if name == "trimmed":
            assert host.server.rights("'chamilo'@'%'") == [f"{EIGHT} ON `chamilo`.*"]
            raise stopped

    words = r"^no further\. chamilo@% has its old rights again\.$"
    with pytest.raises(AccountError, match=words) if isinstance(stopped, OSError) else pytest.raises(type(stopped)):
        host.apply(step=step)
    assert host.server.rights("'chamilo'@'%'") == ["SELECT, TRIGGER ON `chamilo`.*"]
    assert not host.memory().get("old")


@pytest.mark.parametrize(("taken", "name"), [(0, ""), (1, "_2"), (8, "_9"), (9, None)])
def test_a_name_that_is_free_is_found_or_nothing_is_changed(sloppy, taken, name):
    for end in ["", *(f"_{number}" for number in range(2, 10))][:taken]:
        sloppy.server.add(f"'chamilo_campus{end}'@'localhost'", "theirs")
    if name is None:
        words = (
            "^The server has accounts chamilo_campus to chamilo_campus_9 already. No account was changed. Drop some.$"
        )
        with pytest.raises(AccountError, match=words):
            sloppy.apply()
        assert sloppy.user == "chamilo"
    else:
        sloppy.apply()
        assert sloppy.user == f"chamilo_campus{name}"
