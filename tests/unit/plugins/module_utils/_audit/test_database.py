# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import socket
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import Account, Reader
from ansible_collections.chamilo.hardening.plugins.module_utils._application.observer import Observer, Unseen
from ansible_collections.chamilo.hardening.plugins.module_utils._application.portal_reader import PortalReader
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Database, Site
from ansible_collections.chamilo.hardening.plugins.module_utils._audit import database
from ansible_collections.chamilo.hardening.plugins.module_utils._host.processes import Process
from ansible_collections.chamilo.hardening.plugins.module_utils._php.php import Php

USAGE = "GRANT USAGE ON *.* TO `app`@`localhost` IDENTIFIED BY PASSWORD '*736DE11C6CA8C2CB010DF5A6D3F94928E2B82B80'"
EIGHT = "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, INDEX, ALTER ON `chamilo`.* TO `app`@`localhost`"
HASH = "*736DE11C6CA8C2CB010DF5A6D3F94928E2B82B80"
DUMP_RIGHTS = "GRANT SELECT ON `chamilo`.* TO `app`@`localhost`"


class Tables:
    """The tables of a server as Debian makes it, with the application's account."""

    def __init__(self):
        socket = {"authentication_string": "invalid", "auth_or": [{}, {"plugin": "unix_socket"}]}
        self.accounts = {
            ("root", "localhost"): socket,
            ("mysql", "localhost"): socket,
            ("mariadb.sys", "localhost"): {"account_locked": True},
            ("app", "localhost"): {},
        }
        self.rights = [
            ("'root'@'localhost'", "server", "", "SUPER", "YES"),
            ("'mysql'@'localhost'", "server", "", "FILE", "NO"),
        ]
        self.rights += [("'app'@'localhost'", "database", "chamilo", "SELECT", "NO")]
        self.roles = [("root", "localhost", "reader")]
        self.proxies = [("root", "localhost", "", "")]
        self.binary_log = "OFF"

    def add(self, user, host, *rights, place="database", name="chamilo", grants="NO", **priv):
        self.accounts[user, host] = priv
        self.rights += [(f"'{user}'@'{host}'", place, name, right, grants) for right in rights]

    def query(self, sql, params=()):
        if "mysql.global_priv" in sql:
            usual = {"access": 0, "plugin": "mysql_native_password", "authentication_string": HASH}
            return [
                {"User": user, "Host": host, "Priv": json.dumps({**usual, **priv})}
                for (user, host), priv in self.accounts.items()
            ]
        if "USER_PRIVILEGES" in sql:
            return [dict(zip(("who", "place", "name", "what", "passes_on"), row)) for row in self.rights]
        if "roles_mapping" in sql:
            return [dict(zip(("User", "Host", "Role"), row)) for row in self.roles]
        if "proxies_priv" in sql:
            return [dict(zip(("User", "Host", "Proxied_user", "Proxied_host"), row)) for row in self.proxies]
        if sql == "SHOW GRANTS FOR 'reader'":
            return [{"Grants for reader": "GRANT FILE ON *.* TO `reader`"}]
        assert sql == "SHOW GLOBAL VARIABLES LIKE 'log\\_bin'"
        return [{"Variable_name": "log_bin", "Value": self.binary_log}]


@pytest.fixture(autouse=True)
def tables(monkeypatch):
    made = Tables()
    monkeypatch.setattr(Reader, "of_server", classmethod(lambda _reader: made))
    monkeypatch.setattr(database, "_ours", lambda _observer: {"chamilo_campus_backup"})
    return made


def inspect(*grants, user="app@localhost", password="hunter2hunter2", databases=("information_schema", "chamilo")):
    def ask(sql):
        if sql == "SHOW GRANTS":
            return [{"Grants for app@localhost": grant} for grant in grants]
        assert "CURRENT_USER() AS account, SCHEMA_NAME AS name" in sql
        return [{"account": user, "name": name} for name in databases]

    it = Observer(
        Site("campus.test", database=Database("localhost", name="chamilo", user="app"), php=Php(user="www-data")), {}
    )
    it.as_root = True
    it._known[database._listening] = ["127.0.0.1:3306"]
    it.database = PortalReader(Account("app", password, socket="/run/mysqld/mysqld.sock", name="chamilo"), ask=ask)
    return it


def test_an_account_of_its_own_passes():
    assert database.account(inspect(USAGE, EIGHT)).status == "pass"


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (inspect(USAGE, EIGHT, user="root@localhost"), "administrator"),
        (inspect(USAGE, EIGHT, user="@localhost"), "without a name"),
        (inspect("GRANT ALL PRIVILEGES ON *.* TO `app`@`localhost` WITH GRANT OPTION"), "by another name"),
        (inspect("GRANT USAGE ON *.* TO `app`@`localhost`", EIGHT, password=""), "without a password"),
        (inspect(USAGE, EIGHT, password="Chamilo"), "an attacker would try"),
        (inspect(USAGE, EIGHT, password="app"), "an attacker would try"),
    ],
)
def test_an_account_that_is_not(seen, words):
    finding = database.account(seen)
    assert finding.status == "fail"
    assert words in finding.evidence


def test_a_socket_identity_needs_no_password():
    usage = "GRANT USAGE ON *.* TO `app`@`localhost` IDENTIFIED VIA unix_socket"
    assert database.account(inspect(usage, EIGHT, password="")).status == "pass"


@pytest.mark.parametrize("grants", [(USAGE, EIGHT), (USAGE, DUMP_RIGHTS)])
def test_the_eight_or_fewer_pass(grants):
    assert database.privileges(inspect(*grants)).status == "pass"


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
    finding = database.privileges(inspect(*grants))
    assert finding.status == "fail"
    assert words in finding.evidence
    assert "736DE11C" not in finding.evidence


def test_an_escaped_underscore_is_the_same_database():
    it = inspect(USAGE, EIGHT.replace("chamilo", r"cham\_ilo"), databases=("cham_ilo",))
    it.database.account = Account("app", "x", name="cham_ilo")
    assert database.privileges(it).status == "pass"


def test_a_database_open_to_all_accounts_counts():
    finding = database.privileges(inspect(USAGE, EIGHT, databases=("chamilo", "information_schema", "shop")))
    assert finding.status == "fail"
    assert "shop" in finding.evidence


def test_no_other_account_has_power_over_the_portal_s_data(tables):
    tables.add("shop", "localhost", "SELECT", "DELETE", name="shop", grants="YES")
    tables.add("other", "localhost", "SELECT", name=r"chamilo\_2")
    tables.add("replica", "10.0.0.9", "REPLICATION SLAVE", "BINLOG MONITOR", place="server")
    tables.add("exporter", "localhost", "PROCESS", "SLAVE MONITOR", place="server")
    tables.add("chamilo_campus_backup", "localhost", "SELECT", "LOCK TABLES", "SHOW VIEW", "TRIGGER", "EVENT")
    tables.add("teacher", "localhost", "SUPER", "GRANT", place="server", plugin="unix_socket", authentication_string="")
    tables.add("app", "%", "SUPER", place="server", account_locked=True)
    tables.add("nobody", "%", "USAGE", place="server", authentication_string="")
    tables.add("reader", "", is_role=True, access=512)
    finding = database.privileges(inspect(USAGE, EIGHT))
    assert finding.status == "pass" and "No other account" in finding.evidence, finding.evidence


@pytest.mark.parametrize(
    ("account", "words"),
    [
        (
            ("app", "%", "SELECT", "FILE", {"place": "server"}),
            "'app'@'%' has FILE, SELECT on the whole server (ALTER USER 'app'@'%' ACCOUNT LOCK;)",
        ),
        (("app", "%", "USAGE", {"place": "server", "grants": "YES"}), "'app'@'%' has GRANT OPTION on the whole server"),
        (("report", "10.%", "SELECT", {}), "'report'@'10.%' has SELECT on the portal's database"),
        (("wide", "localhost", "SELECT", {"name": "cham%"}), "'wide'@'localhost' has SELECT on the portal's"),
        (("part", "localhost", "UPDATE", {"place": "part"}), "'part'@'localhost' has UPDATE on the portal's"),
        (
            ("call", "localhost", "EXECUTE,ALTER ROUTINE", {"place": "part"}),
            "has ALTER ROUTINE, EXECUTE on the portal's",
        ),
        (("root", "%", "SUPER", {"place": "server"}), "'root'@'%' has SUPER"),
        (("root", "127.0.0.1", "SUPER", {"place": "server", "authentication_string": ""}), "and no password"),
        (("dba", "localhost", "SUPER", {"place": "server"}), "'dba'@'localhost' has SUPER"),
        (("www-data", "localhost", "SELECT", {"plugin": "unix_socket"}), "'www-data'@'localhost' has SELECT"),
        (("teacher", "localhost", "SELECT", {"auth_or": [{}, {"plugin": "unix_socket"}]}), "'teacher'@'localhost' has"),
        (("", "localhost", {}), "''@'localhost' accepts any user (DROP USER ''@'localhost';)"),
        (("PUBLIC", "", "SELECT", {"is_role": True}), "each account (PUBLIC) has SELECT on the portal's"),
        (("chamilo_campus_backup", "%", "SELECT", "FILE", {"place": "server"}), "'chamilo_campus_backup'@'%' has"),
        (("chamilo_campus_backup", "%", "SELECT", "ALTER ROUTINE", {}), "has ALTER ROUTINE, SELECT on the portal's"),
        (("o'b\\", "%", "SELECT", {}), "ALTER USER 'o''b\\\\'@'%' ACCOUNT LOCK;"),
    ],
)
def test_another_account_with_power_over_it_is_named_with_what_to_report(tables, account, words):
    *place, more = account
    tables.add(*place, **more)
    finding = database.privileges(inspect(USAGE, EIGHT))
    assert finding.status == "fail" and words in finding.evidence, finding.evidence
    assert HASH not in finding.evidence


@pytest.mark.parametrize(
    ("right", "host", "binary_log", "clients", "status"),
    [
        ("REPLICATION SLAVE", "10.%", "ON", [], "fail"),
        ("REPLICATION REPLICA", "10.%", "ON", [], "fail"),
        ("REPLICATION SLAVE", "10.%", "OFF", [], "pass"),  # nothing would be sent to it
        ("REPLICATION SLAVE", "10.0.0.9", "ON", ["10.0.0.9"], "pass"),
        ("BINLOG MONITOR", "10.%", "ON", [], "pass"),
    ],
)
def test_an_account_that_may_replicate_reads_each_change(tables, right, host, binary_log, clients, status):
    tables.binary_log = binary_log
    tables.add("replica", host, right, place="server")
    it = inspect(USAGE, EIGHT)
    it.options = {"database_clients": clients}
    finding = database.privileges(it)
    assert finding.status == status, finding.evidence
    assert (f"'replica'@'{host}' has {right} on the whole server" in finding.evidence) is (status == "fail")


def test_the_rights_of_a_role_are_those_of_its_members(tables):
    tables.add("reader", "", is_role=True, access=512)
    tables.add("outer", "", is_role=True)
    tables.add("member", "%")
    tables.roles += [("member", "%", "outer"), ("outer", "", "reader")]
    assert "'member'@'%' has FILE on the whole server" in database.privileges(inspect(USAGE, EIGHT)).evidence


def test_an_account_that_may_act_as_another_is_named(tables):
    tables.add("helper", "%")
    tables.proxies.append(("helper", "%", "root", "localhost"))
    words = "'helper'@'%' may act as 'root'@'localhost' (REVOKE PROXY ON 'root'@'localhost' FROM 'helper'@'%';)"
    assert words in database.privileges(inspect(USAGE, EIGHT)).evidence


@pytest.mark.parametrize(
    ("host", "right", "clients", "status"),
    [
        ("10.0.0.8", "SELECT", ["10.0.0.8"], "pass"),
        ("10.0.0.%", "SELECT", ["10.0.0.0/24"], "pass"),
        ("2001:db8::8", "SELECT", ["10.0.0.8", "2001:db8::/32"], "pass"),
        ("10.0.%", "SELECT", ["10.0.0.0/24"], "fail"),
        ("%", "SELECT", ["10.0.0.8"], "fail"),
        ("10.0.0.8", "TRIGGER", ["10.0.0.8"], "fail"),
        ("10.0.0.8", "SELECT", [], "fail"),
    ],
)
def test_the_account_of_a_declared_client_may_do_what_the_application_may(tables, host, right, clients, status):
    tables.add("web", host, right)
    it = inspect(USAGE, EIGHT)
    it.options = {"database_clients": clients}
    assert database.privileges(it).status == status


SOCKET = {"plugin": "unix_socket", "authentication_string": ""}
INVALID = {"plugin": "mysql_native_password", "authentication_string": "invalid"}
BACK = "ALTER USER 'root'@'localhost' IDENTIFIED VIA mysql_native_password USING 'invalid' OR unix_socket;"


@pytest.mark.parametrize(
    ("user", "priv", "statement"),
    [
        ("root", {"auth_or": [{}, SOCKET]}, BACK),
        ("root", {"auth_or": [INVALID, {**SOCKET, "authentication_string": "www-data"}]}, BACK),
        ("mysql", {"auth_or": [{}, SOCKET]}, BACK.replace("root", "mysql")),
        ("mariadb.sys", {}, "ALTER USER 'mariadb.sys'@'localhost' ACCOUNT LOCK;"),
    ],
)
def test_an_account_of_the_server_s_own_takes_no_password_of_an_intruder(
    tables, tmp_path, monkeypatch, user, priv, statement
):
    monkeypatch.setattr(database, "_ROOT_KEEPS", (str(tmp_path / "my.cnf"),))
    tables.accounts[user, "localhost"] = priv
    finding = database.privileges(inspect(USAGE, EIGHT))
    assert finding.status == "fail" and statement in finding.evidence, finding.evidence
    assert HASH not in finding.evidence


@pytest.mark.parametrize(
    ("mode", "password", "status"), [(0o600, "x", "pass"), (0o644, "x", "fail"), (0o600, "", "fail")]
)
def test_a_password_that_root_keeps_is_the_administrator_s(tables, tmp_path, monkeypatch, mode, password, status):
    kept = tmp_path / "my.cnf"
    kept.write_text(f'[client]\nuser = root\npassword = "{password}"\n')
    kept.chmod(mode)
    monkeypatch.setattr(database, "_ROOT_KEEPS", (str(kept), str(tmp_path / "none")))
    stored = "*B69027D44F6E5EDC07F1AEAD1477967B16F28227"  # PASSWORD('x')
    tables.accounts["root", "localhost"] = {"authentication_string": stored, "auth_or": [{}, SOCKET]}
    assert database.privileges(inspect(USAGE, EIGHT)).status == status


def test_who_writes_the_server_s_own_tables_has_power_over_all(tables):
    tables.add("helper", "localhost", "INSERT", "SELECT", name="mysql", place="part")
    tables.add("monitor", "localhost", "SELECT", name="mysql", place="part")
    evidence = database.privileges(inspect(USAGE, EIGHT)).evidence
    assert "'helper'@'localhost' has INSERT on tables of mysql on the whole server" in evidence
    assert "monitor" not in evidence


def test_what_the_server_does_not_show_is_not_green():
    it = inspect(USAGE, EIGHT)
    it._known[database._listening] = None
    with pytest.raises(Unseen, match="on the host of the database alone"):
        database.privileges(it)
    assert database.account(it).status == "pass"
    it.as_root = False
    with pytest.raises(Unseen, match="needs root"):
        database.privileges(it)
    more = inspect(USAGE, EIGHT + " WITH GRANT OPTION")
    more.as_root = False
    assert database.privileges(more).status == "fail"


def test_the_accounts_whose_passwords_lie_with_root_are_ours(tmp_path, monkeypatch):
    monkeypatch.undo()
    (tmp_path / "backup-campus.cnf").write_text('[client]\nuser="chamilo_campus_backup"\npassword="x"\n')
    monkeypatch.setattr(database, "_CREDENTIALS", f"{tmp_path}/*.cnf")
    assert database._ours(inspect(USAGE)) == {"chamilo_campus_backup"}


def on_host(listening, host="localhost", root=True, everywhere=()):
    it = Observer(Site("campus.test", database=Database(host, name="chamilo"), listening=everywhere), {})
    it.as_root = root
    it._known[database._listening] = listening
    return it


@pytest.mark.parametrize(
    ("addresses", "status"),
    [
        (["127.0.0.1:3306", "[::1]:3306"], "pass"),
        (["[fd00::1]:3306"], "pass"),
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
    it = Observer(Site("campus.test"), {})
    it.as_root = False
    it.processes = (Process(os.getpid(), 1, "mariadbd", 100),)
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


@pytest.mark.parametrize(("root", "listening"), [(True, None), (False, ["127.0.0.1:3306"])])
def test_an_audit_log_of_a_server_that_is_not_here_cannot_be_inspected(tmp_path, monkeypatch, root, listening):
    it = logging(tmp_path, monkeypatch)
    it.as_root, it._known[database._listening] = root, listening
    monkeypatch.setattr(Observer, "database", Reader.of_server())
    with pytest.raises(Unseen, match="audit.log, which cannot be inspected from here"):
        database.audit_log(it)


def test_an_audit_log_with_a_password_or_open_to_all(tmp_path, monkeypatch):
    it = logging(tmp_path, monkeypatch)
    (tmp_path / "audit.log").write_text("...,QUERY,chamilo,'SET PASSWORD = PASSWORD(\\'hunter2\\')',0\n")
    (tmp_path / "audit.log").chmod(0o664)
    finding = database.audit_log(it)
    assert finding.status == "fail"
    assert "passwords in it" in finding.evidence
    assert "every account" in finding.evidence
    assert "hunter2" not in finding.evidence


def test_a_server_listens_where_one_of_its_own_sockets_does(monkeypatch):
    asked = []
    it = Observer(Site("campus.test"), {})
    it.as_root = True
    it.processes = [SimpleNamespace(name=name, pid=os.getpid()) for name in ("mariadbd", "nginx")]
    monkeypatch.setattr(database, "_is_ours", lambda _pid: True)
    monkeypatch.setattr(database.portal_host, "listening", lambda _tree, sockets: asked.append(sockets) or ["::1:3306"])
    with socket.socket() as own:
        assert database._listening(it) == ["::1:3306"]
        assert str(os.fstat(own.fileno()).st_ino) in asked[0]
    assert all(number.isdigit() for number in asked[0])
    it.as_root = False
    with pytest.raises(Unseen, match="can be seen as root only"):
        database._listening(it)
    it.processes = [SimpleNamespace(name="nginx", pid=os.getpid())]
    assert database._listening(it) is None


def test_what_all_accounts_have_is_none_of_the_portal_s(tables):
    tables.add("PUBLIC", "", "SELECT", name="test", is_role=True)
    tables.add("report", "10.%", "SELECT")
    finding = database.privileges(inspect(USAGE, EIGHT))
    assert "'report'@'10.%' has SELECT" in finding.evidence and "PUBLIC" not in finding.evidence
