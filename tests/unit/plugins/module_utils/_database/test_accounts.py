# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps in which the application is moved, against a server that knows accounts and rights and nothing else.

tests/hosts/test_database.py has a real one.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from ansible_collections.chamilo.hardening.plugins.module_utils._common.services import Machine
from ansible_collections.chamilo.hardening.plugins.module_utils._database import accounts as engine
from ansible_collections.chamilo.hardening.plugins.module_utils._database.accounts import (
    AccountError,
    Keeper,
    Result,
    Wish,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._database.grants import hashed
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.database import Account, DatabaseError
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.discovery import (
    Database,
    Php,
    Site,
    VirtualHost,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.probe import Probe

PROBE = Probe("http://campus.test/")
EIGHT = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX"
NEW = "'chamilo_campus'@'localhost'"


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
            held = old[0].partition(" ON ")[0].split(", ") if old else []
            words = list(dict.fromkeys([*held, *what.split(", ")]))
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
    def __init__(self, folder, monkeypatch):
        self.server = Server()
        self.folder = folder
        self.broken = lambda: False
        self.hosts = ()
        self.own = ()
        os.mkdir(folder / "campus")
        self.write("chamilo", "old-password-1")
        server = self.server

        class Reader:
            def __init__(self, account):
                self.account = account

            @classmethod
            def of_site(cls, site):
                text = (folder / "campus/.env").read_text()
                found = dict(re.findall(r"^(\w+)='?(.*?)'?$", text, re.MULTILINE))
                account = Account(
                    site.database.user, found["DATABASE_PASSWORD"], "localhost", socket="/socket", name="chamilo"
                )
                return cls(account)

            def query(self, sql):
                name = server.login(self.account)
                if sql == "SHOW GRANTS":
                    return server.lines(name)
                return [{"who": name.replace("'", ""), "came": f"{self.account.user}@localhost"}]

        @contextlib.contextmanager
        def writing(_account):
            yield server.ask

        monkeypatch.setattr(engine, "Reader", Reader)
        monkeypatch.setattr(engine, "writing", writing)
        monkeypatch.setattr(engine, "SOCKET", str(folder))
        monkeypatch.setattr(engine, "_ANSWER_SECONDS", 0.0)

    def write(self, user, password):
        text = f"APP_ENV=prod\nDATABASE_USER='{user}'\nDATABASE_PASSWORD='{password}'\n"
        (self.folder / "campus/.env").write_text(text)

    @property
    def user(self):
        return re.search(r"DATABASE_USER='?(\w*)", (self.folder / "campus/.env").read_text())[1]

    def apply(self, check=False, step=lambda name: None, state="present", there="localhost", **wish):
        database = Database(there, socket="/socket", name="chamilo", user=self.user)
        site = Site(
            "campus.test",
            root=str(self.folder / "campus"),
            php=Php("8.4", user="www-data"),
            database=database,
            virtual_hosts=self.hosts,
            addresses=self.own,
        )
        machine = Machine(lambda argv, seconds: (0, ""), systemd=False)
        told = Engine(
            str(self.folder / "state"), machine, lambda probe: Answer(probe.url, 500 if self.broken() else 200)
        )
        result = Result()
        wish = Wish("campus", probe=(PROBE,), **wish)
        root, etc = str(self.folder / "state"), str(self.folder / "etc")
        keeper = Keeper(site, {}, wish, root=root, credentials=etc, engine=told, step=step)
        (keeper.apply if state == "present" else keeper.restore)(result, check)
        return result

    def memory(self):
        return json.loads((self.folder / "state/database-campus.json").read_text())


@pytest.fixture
def host(tmp_path, monkeypatch):
    return Host(tmp_path, monkeypatch)


@pytest.fixture
def sloppy(host):
    host.server.add("'chamilo'@'%'", "old-password-1", "ALL PRIVILEGES ON *.* WITH GRANT OPTION")
    host.server.add("'root'@'localhost'", "root-password", "ALL PRIVILEGES ON *.* WITH GRANT OPTION")
    return host


def test_the_application_is_moved_and_its_old_account_is_of_no_use_any_more(sloppy):
    result = sloppy.apply()
    assert result.changed and result.moved == {"from": "chamilo@%", "to": "chamilo_campus@localhost"}
    assert sloppy.user == "chamilo_campus"
    assert sloppy.server.rights(NEW) == [f"{EIGHT} ON `chamilo`.*"]
    assert sloppy.server.users["'chamilo'@'%'"]["locked"] and sloppy.server.rights("'chamilo'@'%'") == []
    assert sloppy.server.rights("'root'@'localhost'") == ["ALL PRIVILEGES ON *.* WITH GRANT OPTION"]
    assert "move" not in sloppy.memory()
    assert not sloppy.apply().changed


def test_a_prediction_writes_nothing(sloppy):
    before = json.dumps(sloppy.server.users)
    result = sloppy.apply(check=True, split=True, backup=True)
    assert result.changed and json.dumps(sloppy.server.users) == before and sloppy.user == "chamilo"
    assert not (sloppy.folder / "state").exists() and sloppy.server.statements == []


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


def test_what_everybody_may_do_is_not_the_account_s_own(host, monkeypatch):
    host.server.add("'chamilo'@'%'", "old-password-1", f"{EIGHT} ON `chamilo`.*")
    lines = host.server.lines
    everybody = [{"line": "GRANT SELECT ON `help`.* TO PUBLIC"}]
    monkeypatch.setattr(host.server, "lines", lambda name: [*lines(name), *everybody])
    assert not host.apply().changed


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("wp-config.php", "define('DB_USER', 'chamilo');"),
        (".env", "DATABASE_URL=mysql://chamilo:secret@localhost/shop"),
        (".env", "DB_USERNAME=chamilo"),
        ("app/config/configuration.php", "$_configuration['db_user'] = 'chamilo';"),
    ],
)
@pytest.mark.parametrize("rights", ["ALL PRIVILEGES", EIGHT])
def test_an_account_that_another_site_names_keeps_its_rights(host, rights, path, text):
    host.server.add("'chamilo'@'%'", "old-password-1", f"{rights} ON *.*")
    there = host.folder / "shop" / path
    there.parent.mkdir(parents=True)
    there.write_text(text)
    host.hosts = (VirtualHost("shop.conf", 1, ("shop.test",), (), str(host.folder / "shop")),)
    result = host.apply()
    assert host.user == "chamilo_campus" and "chamilo@% keeps its rights" in result.notes[-1]
    assert host.server.rights("'chamilo'@'%'") == [f"{rights} ON *.*"]


def test_the_site_s_own_configuration_under_another_name_is_not_another_s(host):
    host.server.add("'chamilo'@'%'", "old-password-1", f"{EIGHT} ON *.*")
    (host.folder / "current").symlink_to("campus")
    host.hosts = (VirtualHost("campus.conf", 1, ("campus.test",), (), str(host.folder / "current")),)
    host.apply()
    assert host.user == "chamilo" and host.server.rights("'chamilo'@'%'") == [f"{EIGHT} ON `chamilo`.*"]


def test_a_trim_that_fails_gives_back_what_there_was_and_no_more(host):
    host.server.add("'chamilo'@'%'", "old-password-1", f"{EIGHT}, TRIGGER ON `chamilo`.*", "FILE ON *.*")
    host.apply()
    host.broken = lambda: "CREATE" not in host.server.rights("'chamilo'@'%'")[0]
    with pytest.raises(AccountError, match="has its old rights again"):
        host.apply(split=True)
    assert host.server.rights("'chamilo'@'%'")[0].count(",") == 7 and len(host.server.rights("'chamilo'@'%'")) == 1
    host.broken = lambda: False
    host.apply(state="absent")
    assert sorted(host.server.rights("'chamilo'@'%'")) == ["FILE ON *.*", f"{EIGHT}, TRIGGER ON `chamilo`.*"]


def test_absent_leaves_the_account_we_made_all_it_needs(sloppy):
    sloppy.apply(split=True)
    sloppy.apply()
    sloppy.apply(state="absent")
    assert set(sloppy.server.rights(NEW)[0].partition(" ON ")[0].split(", ")) == set(EIGHT.split(", "))


@pytest.mark.parametrize("what", ["CREATE USER", "GRANT", "ACCOUNT LOCK", "REVOKE"])
def test_whatever_the_server_refuses_everything_is_put_back(sloppy, what):
    sloppy.server.refuses = what
    before = json.dumps(sloppy.server.users)
    with pytest.raises(AccountError, match="Everything is as it was before"):
        sloppy.apply()
    assert sloppy.user == "chamilo" and json.dumps(sloppy.server.users) == before
    assert "old-password-1" in (sloppy.folder / "campus/.env").read_text() and "move" not in sloppy.memory()


@pytest.mark.parametrize("when", ["written", "locked", "revoked"])
def test_a_portal_that_does_not_go_on_gets_everything_back(sloppy, when):
    done = []
    before = json.dumps(sloppy.server.users)
    sloppy.broken = lambda: when in done and sloppy.user == "chamilo_campus"
    with pytest.raises(AccountError, match="does not go on with it.*500.*as it was before"):
        sloppy.apply(step=done.append)
    assert sloppy.user == "chamilo" and json.dumps(sloppy.server.users) == before


def test_an_account_that_another_portal_may_use_keeps_its_rights_where_its_environment_is_refused(sloppy):
    shop = sloppy.folder / "shop"
    shop.mkdir()
    (sloppy.folder / "real.env").write_text("DATABASE_USER=chamilo\n")
    (shop / ".env").symlink_to("../real.env")
    os.chown(shop / ".env", pwd.getpwnam("www-data").pw_uid, -1, follow_symlinks=False)
    sloppy.hosts = (VirtualHost("shop.conf", 1, ("shop.test",), (), str(shop)),)
    before = sloppy.server.rights("'chamilo'@'%'")
    sloppy.apply()
    assert sloppy.server.rights("'chamilo'@'%'") == before != []


class Killed(BaseException):
    pass


def test_killed_after_any_step_somebody_can_log_in_and_the_next_run_goes_through(tmp_path, monkeypatch):
    for number in range(1, 40):
        folder = tmp_path / str(number)
        folder.mkdir()
        host = Host(folder, monkeypatch)
        host.server.add("'chamilo'@'%'", "old-password-1", "ALL PRIVILEGES ON *.* WITH GRANT OPTION")
        steps = []

        def step(name, steps=steps, number=number):
            steps.append(name)
            if len(steps) == number:
                raise Killed

        with monkeypatch.context() as patch:
            # Nothing is put back by who is dead.
            patch.setattr(Keeper, "_take_back", lambda *unused: None)
            try:
                host.apply(step=step)
            except Killed:
                pass
            else:
                break
        text = (folder / "campus/.env").read_text()
        password = re.search("DATABASE_PASSWORD='?([^'\n]*)", text)[1]
        assert host.server.login(Account(host.user, password)), steps
        host.apply()
        assert host.user == "chamilo_campus" and sorted(host.server.users) == ["'chamilo'@'%'", NEW], steps
        assert host.server.rights(NEW) == [f"{EIGHT} ON `chamilo`.*"] and host.server.rights("'chamilo'@'%'") == []
        assert not host.apply().changed
    assert steps[-1] == "done" and number > 8


def test_split_and_backup_have_passwords_that_root_alone_reads(sloppy):
    sloppy.apply(split=True, backup=True)
    assert sloppy.server.rights(NEW) == ["SELECT, INSERT, UPDATE, DELETE ON `chamilo`.*"]
    for role, rights in (("upgrade", EIGHT), ("backup", "SELECT, LOCK TABLES, SHOW VIEW, TRIGGER, EVENT")):
        path = sloppy.folder / f"etc/{role}-campus.cnf"
        assert os.stat(path).st_mode & 0o777 == 0o600
        found = engine.option_file(path.read_text())
        assert sloppy.server.login(Account(found["user"], found["password"])) == f"'chamilo_campus_{role}'@'localhost'"
        assert sloppy.server.rights(f"'chamilo_campus_{role}'@'localhost'") == [f"{rights} ON `chamilo`.*"]
    assert not sloppy.apply(split=True, backup=True).changed
    sloppy.apply(backup=True)
    assert not (sloppy.folder / "etc/upgrade-campus.cnf").exists()
    assert "'chamilo_campus_upgrade'@'localhost'" not in sloppy.server.users


def test_a_move_that_fails_leaves_no_account_for_backups(sloppy):
    sloppy.broken = lambda: sloppy.user != "chamilo"
    before = sorted(sloppy.server.users)
    with pytest.raises(AccountError, match="Everything is as it was before"):
        sloppy.apply(backup=True)
    assert sorted(sloppy.server.users) == before


def test_where_nothing_may_make_accounts_backups_get_none_unless_they_are_all_that_is_wanted(sloppy, monkeypatch):
    sloppy.apply()
    monkeypatch.setattr(engine, "SOCKET", "/nowhere")
    assert not sloppy.apply(backup=True).changed
    with pytest.raises(AccountError, match="cannot be reached"):
        sloppy.apply(application=False, backup=True)


def test_somebody_else_s_account_of_that_name_is_not_taken(sloppy):
    sloppy.server.add("'chamilo_campus_backup'@'localhost'", "theirs", "SELECT ON `shop`.*")
    sloppy.server.add(NEW, "theirs", "SELECT ON `shop`.*")
    with pytest.raises(AccountError, match="did not make"):
        sloppy.apply(backup=True)
    sloppy.apply()
    assert sloppy.user.startswith("chamilo_campus_") and sloppy.server.rights(NEW) == ["SELECT ON `shop`.*"]


@pytest.mark.parametrize(
    ("host_of_client", "allowed", "refused"),
    [("10.0.0.9:4711", [], True), ("10.0.0.9:4711", ["10.0.0.0/24"], False), ("localhost", [], False),
     ("pc7.school.test:4711", ["10.0.0.0/24"], True), ("127.0.0.1:4711", [], False)],
)  # fmt: skip
def test_a_stranger_ends_the_run_before_anything_is_changed(sloppy, host_of_client, allowed, refused):
    sloppy.server.connected = [{"USER": "report", "HOST": host_of_client, "DB": "chamilo"}]
    if refused:
        with pytest.raises(AccountError, match="chamilo_database_clients does not name: report from"):
            sloppy.apply(clients=allowed)
        assert sloppy.user == "chamilo" and sloppy.server.statements == []
    else:
        sloppy.apply(clients=allowed)
        assert sloppy.user == "chamilo_campus"


@pytest.mark.parametrize(
    ("there", "listen", "refused"),
    [
        ("192.0.2.5", ["127.0.0.1"], True),
        ("192.0.2.5", ["127.0.0.1", "192.0.2.5"], False),
        ("192.0.2.5", ["0.0.0.0"], False),
        ("192.0.2.5", [], False),
        ("mariadb.test", ["127.0.0.1"], True),
        ("here.test", ["127.0.0.1"], False),
        ("::1", ["127.0.0.1"], True),
        ("127.0.0.1", ["192.0.2.5"], True),
        ("localhost", ["192.0.2.5"], False),
    ],
)
def test_chamilo_itself_is_not_cut_off(sloppy, monkeypatch, there, listen, refused):
    names = {"mariadb.test": "127.0.1.1", "here.test": "127.0.0.1"}
    monkeypatch.setattr(engine.socket, "getaddrinfo", lambda host, port: [(0, 0, 0, "", (names.get(host, host), 0))])
    sloppy.own = ("192.0.2.5",)
    if refused:
        with pytest.raises(AccountError, match=f"reaches the database at {there} .DATABASE_HOST.*No account was"):
            sloppy.apply(there=there, listen=listen)
        assert sloppy.user == "chamilo" and sloppy.server.statements == []
    else:
        assert sloppy.apply(there=there, listen=listen).server_here
        assert sloppy.user == "chamilo_campus"


def test_a_name_that_leads_elsewhere_or_nowhere_is_another_host(sloppy, monkeypatch):
    for answer in ([(0, 0, 0, "", ("127.0.0.1", 0)), (0, 0, 0, "", ("192.0.2.9", 0))], OSError("no such name")):

        def ask(host, port, answer=answer):
            if isinstance(answer, OSError):
                raise answer
            return answer

        monkeypatch.setattr(engine.socket, "getaddrinfo", ask)
        with pytest.raises(AccountError, match="The database is on db.test"):
            sloppy.apply(there="db.test", listen=["127.0.0.1"])


def test_an_account_that_was_given_back_is_remembered_before_it_has_its_rights(sloppy):
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


def test_an_old_account_that_somebody_uses_for_another_database_keeps_its_rights(sloppy):
    sloppy.server.connected = [{"USER": "chamilo", "HOST": "localhost", "DB": "shop"}]
    result = sloppy.apply()
    assert sloppy.user == "chamilo_campus" and "keeps its rights" in result.notes[-1]
    assert sloppy.server.rights("'chamilo'@'%'") == ["ALL PRIVILEGES ON *.* WITH GRANT OPTION"]


def test_what_was_given_back_is_taken_again(sloppy):
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


ALL = "ALL PRIVILEGES ON *.* WITH GRANT OPTION"


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
    "client, host, may",
    [
        ("10.0.0.8", "%", True),
        ("2001:db8::1", "%", True),
        ("10.0.0.8", "10.%", True),
        ("10.0.0.8", "10.0.0._", True),
        ("10.0.0.0/8", "10.1.2.%", True),
        ("10.0.0.8", "10.1.%", False),
        ("10.0.0.8", "10.0.0.0/255.255.255.0", True),
        ("10.0.0.8", "192.0.2.0/255.255.255.0", False),
        ("10.0.0.8", "10.0.0.9", False),
        ("10.0.0.8", "localhost", False),
        ("10.0.0.8", "::1", False),
        ("10.0.0.8", "%.example.org", True),
        ("10.0.0.8", "nowhere.invalid", True),
    ],
)
def test_whom_an_account_at_a_host_lets_in(client, host, may):
    assert engine._may_come(client, host) is may


def test_a_network_that_is_none_is_named(sloppy):
    with pytest.raises(AccountError, match="chamilo_database_clients: .office."):
        sloppy.apply(clients=["office"])


@pytest.mark.parametrize("check", [True, False])
def test_what_was_changed_on_another_host_of_the_inventory_is_taken_back_by_hand(host, check):
    host.server.add("'chamilo'@'%'", "old-password-1", "ALL PRIVILEGES ON *.*")
    host.apply()
    before, known = json.dumps(host.server.users), host.memory()
    with pytest.raises(AccountError, match="database is on db.test.*no account was changed.*by hand.*README"):
        host.apply(check, state="absent", there="db.test", elsewhere=True)
    assert json.dumps(host.server.users) == before and host.memory() == known
