# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that knows accounts and rights and nothing else, and a portal that uses it."""

from __future__ import annotations

import contextlib
import json
import os
import re

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import Account, DatabaseError
from ansible_collections.chamilo.hardening.plugins.module_utils._application.installation import Installation
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from ansible_collections.chamilo.hardening.plugins.module_utils._common.services import Machine
from ansible_collections.chamilo.hardening.plugins.module_utils._common.tree import Place
from ansible_collections.chamilo.hardening.plugins.module_utils._database import context
from ansible_collections.chamilo.hardening.plugins.module_utils._database import server as database_server
from ansible_collections.chamilo.hardening.plugins.module_utils._database.accounts import AccountManager
from ansible_collections.chamilo.hardening.plugins.module_utils._database.context import Context, Desired, Result
from ansible_collections.chamilo.hardening.plugins.module_utils._database.grants import hashed
from ansible_collections.chamilo.hardening.plugins.module_utils._program.login import write_login
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.probe import Probe

PROBE = Probe("http://campus.test/")
EIGHT = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX"


class Server:
    """Accounts by their SQL name: password hash, rights in the order they were given, locked."""

    def __init__(self):
        self.users = {}
        self.connected = []
        self.statements = []
        self.refuses = ""
        self.defined = []

    def add(self, name, password, *rights):
        self.users[name] = {"hash": hashed(password), "rights": list(rights), "locked": False}

    def rights(self, name):
        return self.users[name]["rights"]

    def login(self, account):
        for name in (f"'{account.user}'@'localhost'", f"'{account.user}'@'%'"):
            known = self.users.get(name)
            if known and known["hash"] == hashed(account.password) and not known["locked"]:
                return name
        raise DatabaseError(f"Access denied for {account.user}")

    def lines(self, name):
        usage = f"GRANT USAGE ON *.* TO {name.replace(chr(39), '`')}"
        found = [usage]
        for right in self.rights(name):
            what, _on, rest = right.partition(" ON ")
            where, _option, option = rest.partition(" WITH ")
            found.append(f"GRANT {what} ON {where} TO `x`@`y`{' WITH GRANT OPTION' if option else ''}")
        return [{"line": line} for line in found]

    def ask(self, sql, params=()):
        if "PROCESSLIST" in sql:
            return self.connected
        if sql.startswith("SELECT Host FROM mysql.user"):
            return [
                {"Host": name.split("@")[1].strip("'")} for name in self.users if name.startswith(f"'{params[0]}'@")
            ]
        if sql.startswith("SELECT DEFINER FROM information_schema."):
            assert set(params) == {"chamilo"} and len(params) == sql.count("%s") == 4
            return [{"DEFINER": one} for one in self.defined]
        (statement,) = params
        self.statements.append(statement)
        if self.refuses and self.refuses in statement:
            raise DatabaseError(f"refused: {statement}")
        return self.run(statement)

    def run(self, statement):
        if statement == "SHOW PRIVILEGES":
            return [{"Privilege": word} for word in [*EIGHT.split(", "), "Trigger", "File"]]
        who = re.search(r"'[^']*'@'[^']*'", statement)[0]
        if statement.startswith("SHOW GRANTS"):
            return self.lines(who)
        if statement.startswith("SHOW CREATE USER"):
            return [{"line": f"CREATE USER {who}{' ACCOUNT LOCK' if self.users[who]['locked'] else ''}"}]
        if statement.startswith(("CREATE USER", "ALTER USER")) and "USING" in statement:
            known = self.users.setdefault(who, {"rights": [], "locked": False})
            known["hash"] = re.search(r"USING '(.*?)'", statement)[1]
        elif statement.startswith("ALTER USER"):
            self.users[who]["locked"] = statement.endswith(" LOCK")
        elif statement.startswith("DROP USER"):
            del self.users[who]
        elif statement.startswith("GRANT"):
            what, where = re.match(r"GRANT (.*) ON (.*) TO '", statement).groups()
            old = [one for one in self.rights(who) if f" ON {where}" in one]
            current = old[0].partition(" ON ")[0].split(", ") if old else []
            words = list(dict.fromkeys([*current, *what.split(", ")]))
            option = " WITH GRANT OPTION" if statement.endswith("OPTION") else ""
            others = [one for one in self.rights(who) if one not in old]
            self.users[who]["rights"] = [*others, f"{', '.join(words)} ON {where}{option}"]
        elif statement.startswith("REVOKE ALL PRIVILEGES, GRANT OPTION"):
            self.rights(who).clear()
        elif statement.startswith("REVOKE"):
            what, where = re.match(r"REVOKE (.*?) ON (.*) FROM", statement).groups()
            old = next(one for one in self.rights(who) if f" ON {where}" in one)
            left = [word for word in old.partition(" ON ")[0].split(", ") if word not in what.split(", ")]
            self.rights(who).remove(old)
            if left:
                self.rights(who).insert(0, f"{', '.join(left)} ON {where}")
        return []


class Host:
    def __init__(self, directory, monkeypatch):
        self.server = Server()
        self.directory = directory
        self.broken = lambda: False
        self.roots = ()
        self.own = ()
        os.mkdir(directory / "campus")
        self.write("chamilo", "old-password-1")
        server = self.server

        class Reader:
            def __init__(self, account):
                self.account = account

            @classmethod
            def of(cls, portal):
                found = portal.environment()
                user, password = found.get("DATABASE_USER"), found.secret("DATABASE_PASSWORD")
                return cls(Account(user, password, "localhost", socket="/socket", name="chamilo"))

            def query(self, sql):
                name = server.login(self.account)
                if sql == "SHOW GRANTS":
                    return server.lines(name)
                return [{"who": name.replace("'", ""), "came": f"{self.account.user}@localhost"}]

        @contextlib.contextmanager
        def writing(_account):
            yield server.ask

        monkeypatch.setattr(context, "Reader", Reader)
        monkeypatch.setattr(database_server, "Reader", Reader)
        monkeypatch.setattr(context, "writing", writing)
        monkeypatch.setattr(context, "SOCKET", str(directory))
        monkeypatch.setattr(context, "_ANSWER_SECONDS", 0.0)

    def write(self, user, password):
        text = f"APP_ENV=prod\nDATABASE_HOST=localhost\nDATABASE_USER='{user}'\nDATABASE_PASSWORD='{password}'\n"
        (self.directory / "campus/.env").write_text(text)

    @property
    def user(self):
        return re.search(r"DATABASE_USER='?(\w*)", (self.directory / "campus/.env").read_text())[1]

    def apply(self, check=False, step=lambda name: None, state="present", there="localhost", **desired):
        given = {} if there == "localhost" else {"DATABASE_HOST": Place("/pool.conf", 1, there)}
        portal = Installation(
            str(self.directory / "campus"),
            "www-data",
            php="8.4",
            given=given,
            addresses=self.own,
            document_roots=self.roots,
        )
        machine = Machine(lambda argv, seconds: (0, ""), systemd=False)
        reported = Engine(
            str(self.directory / "state"), machine, lambda probe: Answer(probe.url, 500 if self.broken() else 200)
        )
        result = Result()
        desired = Desired("campus", probe=(PROBE,), **desired)
        root, etc = str(self.directory / "state"), str(self.directory / "etc")
        places = {"root": root, "credentials": etc}
        context = Context(portal, desired, engine=reported, step=step, write_login=write_login, **places)
        manager = AccountManager(context)
        (manager.apply if state == "present" else manager.restore)(result, check)
        return result

    def memory(self):
        return json.loads((self.directory / "state/database-campus.json").read_text())


@pytest.fixture
def make_host(monkeypatch):
    return lambda directory: Host(directory, monkeypatch)


@pytest.fixture
def host(tmp_path, make_host):
    return make_host(tmp_path)


@pytest.fixture
def sloppy(host):
    host.server.add("'chamilo'@'%'", "old-password-1", "ALL PRIVILEGES ON *.* WITH GRANT OPTION")
    host.server.add("'root'@'localhost'", "root-password", "ALL PRIVILEGES ON *.* WITH GRANT OPTION")
    return host
