# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application import database as portal_database
from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import (
    Account,
    DatabaseError,
    Deadlock,
    Reader,
    writing,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._application.installation import Installation
from ansible_collections.chamilo.hardening.plugins.module_utils._application.portal_reader import PortalReader
from ansible_collections.chamilo.hardening.plugins.module_utils._common.tree import Place

MAIN, SECOND = "https://campus.test/", "https://second.test/"


class Asked:
    """Stands in for a database: answers by the table a statement names, and remembers what it was asked."""

    def __init__(self, settings=(), portals=((1, MAIN), (2, SECOND))):
        self.statements = []
        self._settings = [
            dict(
                zip(("category", "variable", "access_url", "selected_value", "access_url_changeable"), row, strict=True)
            )
            for row in settings
        ]
        self._portals = [{"id": str(number), "url": url} for number, url in portals]

    def __call__(self, sql):
        self.statements.append(sql)
        return self._portals if "FROM access_url" in sql else self._settings


def reader(*settings, root=""):
    return PortalReader(Account("chamilo"), Installation(str(root) if root else ""), Asked(settings))


def overrides(tmp_path: Path, text: str) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/settings_overrides.yaml").write_text(text)
    return tmp_path


def test_a_parameter_cannot_leave_its_place():
    asked = Asked()
    Reader(Account("chamilo"), ask=asked).query("SELECT %s, %s", ("'; DROP TABLE user; -- \\", 7))
    assert asked.statements == ["SELECT _utf8mb4 X'273b2044524f50205441424c4520757365723b202d2d205c', 7"]


def test_a_password_is_in_no_representation():
    assert "hunter2" not in repr(Account("chamilo", "hunter2"))


CHECK = ("security", "check_password")


@pytest.mark.parametrize(
    ("rows", "main", "second"),
    [
        ([(*CHECK, "1", "true", "1"), (*CHECK, "2", "false", "1")], "true", "false"),
        # Of a row that may not be changed, a second portal does not differ.
        ([(*CHECK, "1", "true", "0"), (*CHECK, "2", "false", "1")], "true", "true"),
        ([(*CHECK, "2", "true", "0")], "false", "true"),
        ([("platform", "check_password", "1", "true", "1")], "false", "false"),  # a stale category
        ([(*CHECK, "1", None, "1")], "", ""),
        ([("Security", CHECK[1], "1", "true", "1"), (None, CHECK[1], "1", "false", "1")], "true", "true"),
        # Migrations to 3.0 leave rows without a portal. Chamilo asks for the rows of a portal.
        ([(*CHECK, None, "true", "0")], "false", "false"),
        ([(*CHECK, "1", "false", "1"), (*CHECK, None, "true", "0")], "false", "false"),
    ],
)
def test_each_portal_has_its_row_or_that_of_the_main_one(rows, main, second):
    observer = reader(*rows)
    assert observer.effective("check_password", "security") == {MAIN: main, SECOND: second}
    assert observer.settings()["security.check_password"] == main


def test_the_names_in_the_addresses_of_the_portals():
    urls = [(1, "https://Campus.test/x"), (2, " http://b.test:8080"), (3, "c.test"), (4, None), (5, "http://[::1")]
    assert PortalReader(Account("chamilo"), ask=Asked((), urls)).hosts() == ["campus.test", "b.test", "["]
    assert PortalReader(Account("chamilo"), ask=Asked((), ())).hosts() == []


def test_the_overrides_win_and_a_portal_wins_over_default(tmp_path):
    root = overrides(
        tmp_path,
        """
# pinned
parameters:
    settings_overrides:
        default:   # all portals
            security.check_password: 'true'
            security.password_requirements: '{"min":{"length":12,"specials":1}}'
            "security.login_max_attempt_before_blocking_account": 5
            document.upload_extensions_blacklist: exe;bat;sh  # short
        2:
            security.check_password: "fal\\"se"
""",
    )
    observer = reader(("security", "check_password", "1", "false", "1"), root=root)
    assert observer.effective("check_password", "security") == {MAIN: "true", SECOND: 'fal"se'}
    assert observer.settings()["security.login_max_attempt_before_blocking_account"] == "5"
    assert json.loads(observer.settings()["security.password_requirements"])["min"]["length"] == 12
    assert observer.settings()["document.upload_extensions_blacklist"] == "exe;bat;sh"


@pytest.mark.parametrize(
    ("compiled", "active"), [([], True), ([1], False), ([1, 6], False), ([1, 7], True), ([8, 1], True)]
)
def test_overrides_that_the_application_has_not_compiled_are_not_active(tmp_path, compiled, active):
    """Where nothing is compiled, the next request does it."""
    root = overrides(tmp_path, "parameters:\n  settings_overrides:\n    default:\n      security.x: 'a'\n")
    os.utime(tmp_path / "config/settings_overrides.yaml", (7, 7))
    cache = tmp_path / "var/cache/prod"
    cache.mkdir(parents=True)
    for number, moment in enumerate(compiled):
        (cache / f"{number}Container.php").write_text("<?php")
        os.utime(cache / f"{number}Container.php", (moment, moment))
    observer = reader(root=root)
    if active:
        assert observer.settings()["security.x"] == "a"
    else:
        with pytest.raises(DatabaseError, match="newer than the application's cache"):
            observer.settings()


@pytest.mark.parametrize("put", [os.mkfifo, os.mkdir, lambda path: path.write_bytes(b"\xff")])
def test_what_is_no_text_in_place_of_the_overrides_is_reported_at_once(tmp_path, put):
    (tmp_path / "config").mkdir()
    put(tmp_path / "config/settings_overrides.yaml")
    with pytest.raises(DatabaseError, match="settings_overrides.yaml, which wins over the database, cannot be read"):
        reader(root=tmp_path).settings()


def test_without_a_site_the_reason_is_reported():
    with pytest.raises(DatabaseError, match="No Chamilo was found"):
        Reader.of(Installation())


READ_ONLY = "SET SESSION TRANSACTION READ ONLY;"


def client(password="", **account):
    return Reader(Account("chamilo", password, **account))


def install(tmp_path, monkeypatch, text):
    """A program in place of the client, and no PyMySQL."""
    (tmp_path / "mariadb").write_text(text)
    (tmp_path / "mariadb").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setitem(sys.modules, "pymysql", None)


PRETENDER = """#!{python}
import os, re, sys, json
options = open(sys.argv[1].split("=", 1)[1]).read()
told = {{"argv": sys.argv[1:], "options": options, "input": "", "environment": dict(os.environ)}}
for line in sys.stdin:
    told["input"] += line
    json.dump(told, open("{told}", "w"))
    if "broken" in options:
        sys.exit("ERROR 1045 (28000): Access denied for user 'chamilo'@'localhost' (using password: YES)")
    mark = re.match(r"SELECT '(.*)' AS chamilo_end;", line)
    fields = f'<field name="chamilo_end">{{mark[1]}}</field>' if mark else '''<field name="a&amp;b">1 &lt;field&gt;
two\x01 &amp;amp;</field>
	<field name="c" xsi:nil="true" />
	<field name="d"></field>'''
    if line.startswith("SELECT"):
        print(f"<resultset>\\n  <row>\\n\\t{{fields}}\\n  </row>\\n</resultset>", flush=True)
    if mark and "END" in told["input"]:
        break
"""


@pytest.fixture
def pretender(tmp_path, monkeypatch):
    """A program in place of the client, which writes down what it was given."""
    reported = tmp_path / "told.json"
    install(tmp_path, monkeypatch, PRETENDER.format(python=sys.executable, told=reported))
    return lambda: json.loads(reported.read_text())


def test_the_client_gets_the_password_in_its_option_file_alone(pretender):
    assert client('hun"ter\\2').query("SELECT 1") == [{"a&b": "1 <field>\ntwo\x01 &amp;", "c": None, "d": ""}]
    reported = pretender()
    assert 'password="hun\\"ter\\\\2"' in reported["options"]
    assert "hun" not in json.dumps([reported["argv"], reported["input"], reported["environment"]])
    assert reported["input"].startswith(f"{READ_ONLY}\n")


@pytest.mark.parametrize(("authority", "verified"), [("", "0"), ("/etc/ca.pem", "1")])
def test_the_server_is_verified_where_its_authority_is_known(pretender, authority, verified):
    client(authority=authority).query("SELECT 1")
    options = pretender()["options"]
    assert f'loose-ssl-verify-server-cert="{verified}"\n' in options
    assert (f'ssl-ca="{authority}"\n' in options) is bool(authority)


def test_a_client_that_could_not_connect_is_reported_by_the_first_question(pretender):
    broken = client("broken")
    with pytest.raises(DatabaseError, match=r"could not be read as 'chamilo': .*Access denied") as problem:
        broken.query("SELECT 1")
    assert "broken" not in str(problem.value)


def test_an_error_in_a_question_is_no_end_of_the_questions(server):
    reader = Reader(Account("chamilo"))
    reader.query("SELECT x")
    with pytest.raises(DatabaseError, match="could not be read as 'chamilo': ERROR 1142"):
        reader.query("BROKEN")
    assert reader.query("SELECT x")
    assert server().count("BROKEN;") == 1, "what was refused is not asked again"


def test_a_client_without_an_answer_is_ended(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, "#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(portal_database, "_SECONDS", 0.2)
    with pytest.raises(DatabaseError, match="could not be read as 'chamilo': no answer in time"):
        client().query("SELECT x")


def test_a_password_that_no_client_would_read_is_refused_by_name():
    """It would take the rest for an option, and print it; and a pipe would wait for a reader."""
    for length in (4_000, 70_000):
        with pytest.raises(DatabaseError, match="The password of the database account has more than") as problem:
            portal_database._options(Account("chamilo", "a" * length))
        assert "aaaa" not in str(problem.value)


def test_a_server_that_wants_the_password_itself_does_not_get_it():
    pytest.importorskip("pymysql")

    def packet(number, data):
        return len(data).to_bytes(3, "little") + bytes([number]) + data

    got = []

    def serve(listening):
        with listening.accept()[0] as wire:
            flags = 0x1 | 0x200 | 0x8000 | 0x80000  # the new protocol, and plugins
            hello = b"\x0a8.0.30\0" + bytes(4) + b"12345678\0" + (flags & 0xFFFF).to_bytes(2, "little") + b"\x2d\2\0"
            hello += (flags >> 16).to_bytes(2, "little") + bytes([21]) + bytes(10) + b"123456789012\0"
            wire.sendall(packet(0, hello + b"mysql_native_password\0"))
            got.append(wire.recv(4096))
            wire.sendall(packet(2, b"\xfemysql_clear_password\0"))
            got.append(wire.recv(4096))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(30)
        server = threading.Thread(target=serve, args=(listening,))
        server.start()
        account = Account("chamilo", "hunter2", host="127.0.0.1", port=listening.getsockname()[1])
        with pytest.raises(DatabaseError, match="wants the password in clear") as problem:
            Reader(account).query("SELECT 1")
        server.join()
    assert got[0] and b"hunter2" not in b"".join(got) and "hunter2" not in str(problem.value)


def test_the_account_comes_from_the_environment(tmp_path):
    def account(**given):
        places = {name: Place("/etc/php/pool.conf", 7, value) for name, value in given.items()}
        return Reader.of(Installation(str(tmp_path), given=places)).account

    text = "DATABASE_HOST=localhost\nDATABASE_NAME=chamilo\nDATABASE_USER=app\nDATABASE_PASSWORD='hunter2'\n"
    (tmp_path / ".env").write_text(text)
    assert account() == Account("app", "hunter2", "localhost", 3306, portal_database.SOCKET, "chamilo")
    there = account(DATABASE_HOST="db.test", DATABASE_PORT="3307")
    assert there == Account("app", "hunter2", "db.test", 3307, "", "chamilo"), "the server wins"
    with pytest.raises(DatabaseError, match="from /etc/php/pool.conf:7, not from its .env files"):
        account(DATABASE_PASSWORD="other")
    (tmp_path / ".env").write_text("APP_ENV=prod\n")
    with pytest.raises(DatabaseError, match="names no database user and database"):
        account()


def test_without_pymysql_and_client_it_reports_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "pymysql", None)
    with pytest.raises(DatabaseError, match="python3-pymysql or the mariadb client"):
        Reader(Account("chamilo")).query("SELECT 1")


SERVER = """#!{python}
import os, re, sys
options = open(sys.argv[1].split("=", 1)[1]).read()
print("argv", sys.argv[2:], file=open("{told}", "a"))
for line in sys.stdin:
    print(line.rstrip(), file=open("{told}", "a"))
    if "BROKEN" in line:
        sys.exit("ERROR 1213 (40001) at line 3: Deadlock found" if "DEAD" in line else "ERROR 1142 (42000): denied")
    mark = re.match(r"SELECT '(.*)' AS (\\w+);", line)
    if mark or line.startswith("SELECT x"):
        name, value = (mark[2], mark[1]) if mark else ("x", "y" * 200000)
        field = '<field name="%s">%s</field>' % (name, value)
        sys.stdout.write('<resultset statement="x">\\n  <row>\\n\\t' + field + '\\n  </row>\\n</resultset>\\n')
        sys.stdout.flush()
"""


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A client in place of the real one, for one session of many statements."""
    reported = tmp_path / "told"
    install(tmp_path, monkeypatch, SERVER.format(python=sys.executable, told=reported))
    return lambda: [line for line in reported.read_text().splitlines() if "chamilo_end" not in line]


def test_a_transaction_is_one_session_of_the_client(server):
    with writing(Account("chamilo", "hunter2")) as query:
        assert query("SELECT x WHERE a = %s", ["b"]) == [{"x": "y" * 200000}]
        assert query("UPDATE t", []) == []
    first, *statements = server()
    assert "'--skip-reconnect'" in first, "what reconnects by itself goes on outside the transaction"
    assert "hunter2" not in first
    assert statements == [
        f"{portal_database._STRICT};",
        "START TRANSACTION;",
        "SELECT x WHERE a = _utf8mb4 X'62';",
        "UPDATE t;",
        "COMMIT;",
    ]


@pytest.mark.parametrize(
    ("statement", "error", "message"),
    [
        ("UPDATE t", ValueError, "mine"),
        ("BROKEN", DatabaseError, "could not be changed as 'chamilo': ERROR 1142"),
        ("DEAD BROKEN", Deadlock, "Deadlock found"),
    ],
)
def test_a_failure_in_the_block_is_never_committed(server, statement, error, message):
    with pytest.raises(error, match=message), writing(Account("chamilo")) as query:
        query(statement, [])
        raise ValueError("mine")
    assert "COMMIT;" not in server()


def test_the_dump_program_reads_the_same_options(tmp_path: Path) -> None:
    """It does not know all that the client knows, and stops at what it does not know unless that is loose."""
    reading = portal_database._options(portal_database.Account("user", "word", "db.example.org", 3306))
    with open(reading, encoding="utf-8") as stream:
        names = {line.partition("=")[0] for line in stream.read().splitlines()[1:]}
    known = {"user", "password", "host", "port", "default-character-set"}
    assert {name for name in names - known if not name.startswith("loose-")} == set()


def test_the_servers_own_tables_are_read_by_root_where_a_server_runs(tmp_path, monkeypatch):
    there = tmp_path / "mysqld.sock"
    monkeypatch.setattr(portal_database, "SOCKET", str(there))
    monkeypatch.setattr(portal_database.os, "geteuid", lambda: 0)
    with pytest.raises(DatabaseError, match=f"No database server runs on this host: there is no {there}."):
        Reader.of_server()
    there.touch()
    assert Reader.of_server().account == Account("root", socket=str(there))
    monkeypatch.setattr(portal_database.os, "geteuid", lambda: 1000)
    with pytest.raises(DatabaseError, match="can be read as root only"):
        Reader.of_server()
