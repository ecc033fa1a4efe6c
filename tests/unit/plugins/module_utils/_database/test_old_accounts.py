# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts that the application used before lose their rights, or are locked."""

from __future__ import annotations

import os
import pwd

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._database.server import AccountError

ALL = "ALL PRIVILEGES ON *.* WITH GRANT OPTION"
EIGHT = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("wp-config.php", "define('DB_USER', 'chamilo');"),
        (".env", "DATABASE_URL=mysql://chamilo:secret@localhost/shop"),
        (".env", "DB_USERNAME=chamilo"),
        (".env", "DATABASE_USER=chamilo"),
        ("app/config/configuration.php", "$_configuration['db_user'] = 'chamilo';"),
    ],
)
@pytest.mark.parametrize("rights", ["ALL PRIVILEGES", EIGHT])
def test_an_account_that_another_site_names_keeps_its_rights(host, rights, path, text):
    host.server.add("'chamilo'@'%'", "old-password-1", f"{rights} ON *.*")
    there = host.directory / "shop" / path
    there.parent.mkdir(parents=True)
    there.write_text(text)
    host.roots = (str(host.directory / "shop"),)
    result = host.apply()
    why = f"the portal in {host.directory}/shop uses it" if text.startswith("DATABASE_USER") else f"{there} names it"
    assert host.user == "chamilo_campus" and result.notes[-1] == f"chamilo@% keeps its rights: {why} too."
    assert host.server.rights("'chamilo'@'%'") == [f"{rights} ON *.*"]


def test_the_site_s_own_configuration_under_another_name_is_not_another_s(host):
    host.server.add("'chamilo'@'%'", "old-password-1", f"{EIGHT} ON *.*")
    (host.directory / "current").symlink_to("campus")
    host.roots = (str(host.directory / "current"),)
    host.apply()
    assert host.user == "chamilo" and host.server.rights("'chamilo'@'%'") == [f"{EIGHT} ON `chamilo`.*"]


def test_an_account_that_another_portal_may_use_keeps_its_rights_where_its_environment_is_refused(sloppy):
    shop = sloppy.directory / "shop"
    shop.mkdir()
    (sloppy.directory / "real.env").write_text("DATABASE_USER=chamilo\n")
    (shop / ".env").symlink_to("../real.env")
    os.chown(shop / ".env", pwd.getpwnam("www-data").pw_uid, -1, follow_symlinks=False)
    sloppy.roots = (str(shop),)
    before = sloppy.server.rights("'chamilo'@'%'")
    sloppy.apply()
    assert sloppy.server.rights("'chamilo'@'%'") == before != []


def test_an_old_account_used_for_another_database_keeps_its_rights(sloppy):
    sloppy.server.connected = [{"USER": "chamilo", "HOST": "localhost", "DB": "shop"}]
    result = sloppy.apply()
    assert sloppy.user == "chamilo_campus" and "keeps its rights" in result.notes[-1]
    assert sloppy.server.rights("'chamilo'@'%'") == ["ALL PRIVILEGES ON *.* WITH GRANT OPTION"]


@pytest.fixture
def remembered(host):
    """The application's account is right; the one a tutorial had it make first is still there, at any host."""
    host.write("chamilo", "own-password-1")
    host.server.add("'chamilo'@'localhost'", "own-password-1", f"{EIGHT} ON `chamilo`.*")
    host.server.add("'chamilo'@'%'", "old-password-1", ALL)
    host.server.add("'chamilo'@'10.0.0.%'", "old-password-1", "SELECT ON `chamilo`.*")
    host.server.add("'chamilo'@'192.0.2.1'", "old-password-1")
    host.server.add("'report'@'%'", "report", "SELECT ON `chamilo`.*")
    host.server.add("'root'@'%'", "root-password", ALL)
    return host


def locked(host):
    return {name for name, known in host.server.users.items() if known["locked"]}


def test_old_accounts_of_the_application_at_other_hosts_are_locked_and_undo_unlocks_them(remembered):
    before = {name: list(known["rights"]) for name, known in remembered.server.users.items()}
    old = {"'chamilo'@'%'", "'chamilo'@'10.0.0.%'"}
    predicted = remembered.apply(check=True, clients=())
    assert predicted.changed and locked(remembered) == set()
    result = remembered.apply(clients=())
    assert (result.before, result.after) == (predicted.before, predicted.after)
    assert "chamilo@%: locked\n" in result.after and "ALL PRIVILEGES on *.*" in "".join(result.before)
    assert locked(remembered) == old, "what has no rights needs no lock, and other names are the administrator's"
    assert {name: known["rights"] for name, known in remembered.server.users.items()} == before
    assert not remembered.apply(clients=()).changed
    remembered.apply(state="absent")
    assert locked(remembered) == set() and "old" not in remembered.memory()
    assert {name: known["rights"] for name, known in remembered.server.users.items()} == before
    assert remembered.apply(clients=()).changed and locked(remembered) == old


def test_the_namesakes_of_an_account_that_was_left_are_locked_too(sloppy):
    sloppy.server.add("'chamilo'@'192.0.2.7'", "old-password-1", ALL)
    sloppy.apply(clients=())
    assert sloppy.user == "chamilo_campus" and locked(sloppy) == {"'chamilo'@'%'", "'chamilo'@'192.0.2.7'"}
    assert sloppy.server.rights("'chamilo'@'%'") == [] and sloppy.server.rights("'chamilo'@'192.0.2.7'") == [ALL]


@pytest.mark.parametrize(
    "clients, left",
    [
        (["10.0.0.8"], {"'chamilo'@'%'", "'chamilo'@'10.0.0.%'"}),
        (["192.0.2.0/24"], {"'chamilo'@'%'"}),
        (None, {"'chamilo'@'%'", "'chamilo'@'10.0.0.%'"}),
    ],
)
def test_one_that_a_declared_client_may_need_is_left_and_named(remembered, clients, left):
    result = remembered.apply(clients=clients)
    assert {"'chamilo'@'%'", "'chamilo'@'10.0.0.%'"} - locked(remembered) == left
    assert len(result.notes) == len(left) and all("can still log in" in note for note in result.notes)


def test_one_that_is_used_for_another_database_is_left(remembered):
    remembered.server.users["'chamilo'@'%'"]["rights"].append("SELECT ON `shop`.*")
    result = remembered.apply(clients=())
    assert locked(remembered) == {"'chamilo'@'10.0.0.%'"} and "used for shop too" in result.notes[0]


def test_with_several_web_nodes_none_is_locked(remembered):
    remembered.apply(clients=(), retire=False)
    assert locked(remembered) == set()


def test_a_portal_that_needs_one_has_it_back(remembered):
    remembered.broken = lambda: bool(locked(remembered))
    with pytest.raises(AccountError, match=r"chamilo@10.0.0.% is unlocked again|chamilo@% is unlocked again"):
        remembered.apply(clients=())
    assert locked(remembered) == set() and "old" not in remembered.memory()


def test_an_old_account_with_whose_rights_triggers_run_keeps_them(sloppy):
    sloppy.server.defined = ["chamilo@%", "root@localhost"]
    result = sloppy.apply()
    assert "triggers, events, routines or views of chamilo run with them" in "".join(result.notes)
    assert locked(sloppy) == {"'chamilo'@'%'"} and sloppy.server.rights("'chamilo'@'%'") == [ALL]


@pytest.mark.parametrize(
    ("client", "why"),
    [
        ({"HOST": "10.0.0.9:4711", "DB": "chamilo"}, "it is used from 10.0.0.9 now"),
        ({"HOST": "localhost", "DB": "shop"}, "it is used for shop now"),
        ({"HOST": "127.0.0.1:4711", "DB": "chamilo"}, ""),
        ({"HOST": "localhost", "DB": ""}, ""),
        ({"HOST": "10.0.0.9:4711", "DB": "chamilo", "USER": "other"}, ""),
    ],
)
def test_an_old_account_that_is_used_now_keeps_its_rights(sloppy, client, why):
    sloppy.server.connected = [{"USER": "chamilo", **client}]
    notes = [note for note in sloppy.apply().notes if "chamilo@%" in note]
    assert notes == ([f"chamilo@% keeps its rights: {why}."] if why else [])
    assert sloppy.server.rights("'chamilo'@'%'") == ([ALL] if why else [])


def test_a_restored_account_that_cannot_be_left_again_has_its_rights(sloppy):
    sloppy.apply()
    sloppy.apply(state="absent")
    sloppy.broken = lambda: bool(locked(sloppy))
    words = r"^The portal does not go on with it: .*\. chamilo@% has its old rights again\.$"
    with pytest.raises(AccountError, match=words):
        sloppy.apply()
    assert sloppy.server.rights("'chamilo'@'%'") == [ALL] and locked(sloppy) == set()
    assert sloppy.memory()["restored"] == [["chamilo", "%"]]


def test_rights_that_the_server_keeps_are_revoked_one_by_one(sloppy, monkeypatch):
    """Not every version revokes all of them at once."""
    run = sloppy.server.run

    def keep(statement):
        answer = run(statement)
        if statement.startswith("REVOKE ALL PRIVILEGES, GRANT OPTION"):
            sloppy.server.rights("'chamilo'@'%'").append("SELECT ON `chamilo`.*")
        return answer

    monkeypatch.setattr(sloppy.server, "run", keep)
    sloppy.apply()
    assert sloppy.server.rights("'chamilo'@'%'") == []
