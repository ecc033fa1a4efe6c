# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._audit import database
from ansible_collections.chamilo.hardening.plugins.module_utils._database import Account, Reader
from ansible_collections.chamilo.hardening.plugins.module_utils._look import Look, Unseen
from ansible_collections.chamilo.hardening.plugins.module_utils._running import Process
from ansible_collections.chamilo.hardening.plugins.module_utils._site import Database, Site

USAGE = "GRANT USAGE ON *.* TO `app`@`localhost` IDENTIFIED BY PASSWORD '*736DE11C6CA8C2CB010DF5A6D3F94928E2B82B80'"
EIGHT = "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, INDEX, ALTER ON `chamilo`.* TO `app`@`localhost`"
DUMP_RIGHTS = "GRANT SELECT ON `chamilo`.* TO `app`@`localhost`"


def look(*grants, user="app@localhost", password="hunter2hunter2", databases=("information_schema", "chamilo")):
    def ask(sql):
        if sql == "SHOW GRANTS":
            return [{"Grants for app@localhost": grant} for grant in grants]
        assert "CURRENT_USER() AS account, SCHEMA_NAME AS name" in sql
        return [{"account": user, "name": name} for name in databases]

    it = Look(Site("campus.test", database=Database("localhost", name="chamilo", user="app")), {})
    it.database = Reader(Account("app", password, socket="/run/mysqld/mysqld.sock", name="chamilo"), ask=ask)
    return it


def test_an_account_of_its_own_passes():
    assert database.account(look(USAGE, EIGHT)).status == "pass"


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (look(USAGE, EIGHT, user="root@localhost"), "administrator"),
        (look(USAGE, EIGHT, user="@localhost"), "without a name"),
        (look("GRANT ALL PRIVILEGES ON *.* TO `app`@`localhost` WITH GRANT OPTION"), "by another name"),
        (look("GRANT USAGE ON *.* TO `app`@`localhost`", EIGHT, password=""), "without a password"),
        (look(USAGE, EIGHT, password="Chamilo"), "anybody would try"),
        (look(USAGE, EIGHT, password="app"), "anybody would try"),
    ],
)
def test_an_account_that_is_not(seen, words):
    finding = database.account(seen)
    assert finding.status == "fail"
    assert words in finding.evidence


def test_a_socket_identity_needs_no_password():
    usage = "GRANT USAGE ON *.* TO `app`@`localhost` IDENTIFIED VIA unix_socket"
    assert database.account(look(usage, EIGHT, password="")).status == "pass"


@pytest.mark.parametrize("grants", [(USAGE, EIGHT), (USAGE, DUMP_RIGHTS)])
def test_the_eight_or_fewer_pass(grants):
    assert database.privileges(look(*grants)).status == "pass"


@pytest.mark.parametrize(
    ("grants", "words"),
    [
        ((USAGE, "GRANT ALL PRIVILEGES ON `chamilo`.* TO `app`@`localhost`"), "ALL PRIVILEGES on chamilo.*"),
        ((USAGE.replace("USAGE", "FILE"), EIGHT), "FILE on *.*"),
        ((USAGE, EIGHT + " WITH GRANT OPTION"), "GRANT OPTION on chamilo.*"),
        ((USAGE, EIGHT, DUMP_RIGHTS.replace("chamilo", "shop")), "SELECT on shop.*"),
        ((USAGE, EIGHT.replace("chamilo", "chamilo%")), "on chamilo%.*"),
        ((USAGE, EIGHT, "GRANT `helpers` TO `app`@`localhost`"), "`helpers`"),
        ((USAGE, EIGHT, "GRANT EXECUTE ON PROCEDURE `chamilo`.`p` TO `app`@`localhost`"), "EXECUTE on chamilo.p"),
        ((USAGE, EIGHT, "GRANT PROXY ON 'x'@'%' TO 'app'@'localhost'"), "PROXY"),
        ((USAGE, EIGHT.replace("ALTER", "TRIGGER, LOCK TABLES")), "LOCK TABLES, TRIGGER"),
    ],
)
def test_anything_more_fails_and_is_named(grants, words):
    finding = database.privileges(look(*grants))
    assert finding.status == "fail"
    assert words in finding.evidence
    assert "736DE11C" not in finding.evidence


def test_an_escaped_underscore_is_the_same_database():
    it = look(USAGE, EIGHT.replace("chamilo", r"cham\_ilo"), databases=("cham_ilo",))
    it.database.account = Account("app", "x", name="cham_ilo")
    assert database.privileges(it).status == "pass"


def test_a_database_open_to_everybody_counts():
    finding = database.privileges(look(USAGE, EIGHT, databases=("chamilo", "information_schema", "shop")))
    assert finding.status == "fail"
    assert "shop" in finding.evidence


def on_host(listening, host="localhost", root=True, everywhere=()):
    it = Look(Site("campus.test", database=Database(host, name="chamilo"), listening=everywhere), {})
    it.as_root = root
    it._known[database._listening] = listening
    return it


@pytest.mark.parametrize(
    ("addresses", "status"),
    [
        (["127.0.0.1:3306", "[::1]:3306"], "pass"),
        (["10.1.2.3:3306"], "pass"),
        (["[fd00::1]:3306"], "pass"),
        (["[::ffff:127.0.0.1]:3306"], "pass"),
        ([], "pass"),
        (["0.0.0.0:3306"], "fail"),
        (["[::]:3306"], "fail"),
        (["127.0.0.1:3306", "8.8.8.8:3306"], "fail"),
    ],
)
def test_from_where_it_can_be_reached(addresses, status):
    assert database.bind(on_host(addresses)).status == status


def test_a_published_port_of_a_container_counts():
    assert database.bind(on_host(None, "127.0.0.1", everywhere=("0.0.0.0:3306", "0.0.0.0:80"))).status == "fail"


@pytest.mark.parametrize("host", ["db.test", "localhost"])
def test_no_server_here_cannot_be_assessed(host):
    with pytest.raises(Unseen):
        database.bind(on_host(None, host))


def test_which_process_listens_is_for_root_alone():
    it = Look(Site("campus.test"), {})
    it.as_root = False
    it._known[database.processes] = (Process(os.getpid(), 1, "mariadbd", 100),)
    with pytest.raises(Unseen, match="root only"):
        database.bind(it)


def logging(tmp_path, monkeypatch, **variables):
    values = {
        "datadir": str(tmp_path),
        "server_audit_logging": "ON",
        "server_audit_output_type": "file",
        "server_audit_file_path": "audit.log",
        "server_audit_file_rotations": "9",
        "server_audit_file_rotate_size": "1000000",
        **variables,
    }
    rows = [{"Variable_name": name, "Value": value} for name, value in values.items() if value is not None]
    reader = Reader(Account("root"), ask=lambda sql: rows)
    monkeypatch.setattr(Reader, "of_server", classmethod(lambda cls: reader))
    log = tmp_path / "audit.log"
    log.write_text("20261125 10:00:00,h,app,localhost,1,2,QUERY,chamilo,'CREATE USER x IDENTIFIED BY \\'*****\\'',0\n")
    log.chmod(0o660)
    return on_host(["127.0.0.1:3306"])


def test_an_audit_log_that_is_rotated_and_private_passes(tmp_path, monkeypatch):
    assert database.audit_log(logging(tmp_path, monkeypatch)).status == "pass"
    assert database.audit_log(logging(tmp_path, monkeypatch, server_audit_output_type="SYSLOG")).status == "pass"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"server_audit_logging": None}, "not loaded"),
        ({"server_audit_logging": "OFF"}, "does not log"),
        ({"server_audit_file_rotations": "0"}, "not rotated"),
    ],
)
def test_an_audit_log_that_is_none(tmp_path, monkeypatch, variables, words):
    finding = database.audit_log(logging(tmp_path, monkeypatch, **variables))
    assert finding.status == "fail"
    assert words in finding.evidence


def test_an_audit_log_with_a_password_or_open_to_all(tmp_path, monkeypatch):
    it = logging(tmp_path, monkeypatch)
    (tmp_path / "audit.log").write_text("...,QUERY,chamilo,'SET PASSWORD = PASSWORD(\\'hunter2\\')',0\n")
    (tmp_path / "audit.log").chmod(0o664)
    finding = database.audit_log(it)
    assert finding.status == "fail"
    assert "passwords in it" in finding.evidence
    assert "every account" in finding.evidence
    assert "hunter2" not in finding.evidence
