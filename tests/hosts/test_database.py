"""The role database: an account that may do what Chamilo needs, made in steps that undo themselves; none from afar."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pymysql
import pytest
import yaml

from tests.hosts.attacks import attack
from tests.hosts.hardening import (
    KEEP_PROGRAMS,
    Playbook,
    dump_environment,
    missing_from_the_portal,
    sql,
    unrelated_site,
)
from tests.hosts.test_audit_data import audit, install
from tests.playbook import PlayError, play
from tests.testbed.app.selfcheck import PASSWORDS, Browser
from tests.testbed.hosts import Host

ROOT = "/var/www/chamilo"
DROP_IN = "/etc/mysql/mariadb.conf.d/zz-chamilo-hardening.cnf"
GUIDE = {"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "INDEX"}
DATA = {"SELECT", "INSERT", "UPDATE", "DELETE"}
BACKUP = {"SELECT", "LOCK TABLES", "SHOW VIEW", "TRIGGER", "EVENT"}
OLD_PASSWORD = "chamilo-db-Password-1"  # of the sloppy state


@pytest.fixture
def playbook(tmp_path: Path) -> Playbook:
    return Playbook(tmp_path, "database")


@pytest.fixture
def secured(stage: Callable[..., Host], playbook: Playbook) -> Host:
    return stage("database", playbook.harden)


def environment(host: Host, name: str) -> str:
    return host.run(f"sed -n \"s/^{name}='*\\([^']*\\)'*$/\\1/p\" {ROOT}/.env").stdout.strip()


def rights(host: Host, account: str) -> dict[str, set[str]]:
    """Where the account may do what."""
    found = {}
    for line in sql(host, f"SHOW GRANTS FOR {account};").splitlines():
        right = re.match(r"GRANT (.*?) ON (\S+) TO ", line)
        if right and right[1] != "USAGE":
            found[right[2].replace("`", "")] = set(right[1].split(", "))
    return found


def accounts(host: Host) -> dict[str, str]:
    """All that the server knows of accounts and rights, by account; and everything else of its own tables."""
    found = {}
    text = sql(
        host,
        "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'mysql' AND TABLE_TYPE = 'BASE TABLE'"
        " AND TABLE_NAME NOT REGEXP 'stat|log|gtid|transaction|time_zone|help';",
    )
    for table in text.split():
        rows = host.run(["mariadb", "--xml", "mysql", "-e", f"SELECT * FROM `{table}`"]).stdout
        for row in re.findall(r"<row>(.*?)</row>", rows, re.DOTALL):
            user = re.search(r'<field name="User">(.*?)<', row)
            from_where = re.search(r'<field name="Host">(.*?)<', row)
            key = f"{user[1]}@{from_where[1]}" if user and from_where else "others"
            # MariaDB counts when a password changed and when an account was last used.
            found[key] = found.get(key, "") + f"{table}: {row}"
    return found


def migrated(host: Host) -> str:
    """What the account of the portal makes of migrations that are due, and change tables."""
    sql(host, "DELETE FROM version WHERE version LIKE '%V300%';")  # one of 3.0 has made all of them
    console = f"cd {ROOT} && runuser -u www-data -- php bin/console doctrine:migrations:migrate --no-interaction"
    done = host.run(console, check=False)
    return str(done.stdout + done.stderr)


def works(host: Host, user: str, password: str) -> bool:
    """Whether a client on another host logs in."""
    try:
        pymysql.connect(host=host.address, user=user, password=password, connect_timeout=5).close()
    except pymysql.MySQLError:
        return False
    return True


def login(host: Host) -> bool:
    client = Browser(f"http://{host.domain}", host.address)
    return client.post_json("/login_json", username="student01", password=PASSWORDS["student01"]).status == 200


def as_application(host: Host, statement: str) -> str:
    """What a statement with the application's password answers; the words of the server where it is refused."""
    user, password = environment(host, "DATABASE_USER"), environment(host, "DATABASE_PASSWORD")
    host.put("/root/app.cnf", f'[client]\nuser="{user}"\npassword="{password}"\n', "0600")
    command = ["mariadb", "--defaults-file=/root/app.cnf", "--batch", "--skip-column-names", "chamilo"]
    done = host.run(command, data=statement, check=False)
    return str(done.stdout + done.stderr)


def test_a_sloppy_host_lets_the_application_do_everything(shared: Host) -> None:
    assert works(shared, "chamilo", OLD_PASSWORD)
    assert rights(shared, "'chamilo'@'%'") == {"*.*": {"ALL PRIVILEGES"}}


def test_the_application_gets_an_account_of_its_own_and_no_other_is_changed(fresh: Host, playbook: Playbook) -> None:
    sql(fresh, """
        CREATE USER 'report'@'10.%' IDENTIFIED BY 'report-password'; GRANT SELECT ON chamilo.* TO 'report'@'10.%';
        CREATE USER 'teacher'@'localhost' IDENTIFIED VIA unix_socket; GRANT ALL ON *.* TO 'teacher'@'localhost';
        CREATE ROLE reader; GRANT SELECT ON shop.* TO reader; GRANT reader TO 'report'@'10.%';
        ALTER USER root@localhost IDENTIFIED VIA mysql_native_password USING PASSWORD('root-password') OR unix_socket;
    """)  # fmt: skip
    before, shop = accounts(fresh), unrelated_site(fresh)
    predicted = playbook.harden(fresh, "--check")
    assert accounts(fresh) == before, "a prediction changes nothing"
    assert playbook.harden(fresh) == predicted
    after = accounts(fresh)
    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} == {
        "chamilo@%",
        "chamilo_campus_test@localhost",
        "chamilo_campus_test_backup@localhost",
    }
    assert environment(fresh, "DATABASE_USER") == "chamilo_campus_test"
    assert len(environment(fresh, "DATABASE_PASSWORD")) == 32
    assert rights(fresh, "chamilo_campus_test@localhost") == {"chamilo.*": GUIDE}
    assert rights(fresh, "chamilo_campus_test_backup@localhost") == {"chamilo.*": BACKUP}
    assert rights(fresh, "'chamilo'@'%'") == {}
    assert "ACCOUNT LOCK" in sql(fresh, "SHOW CREATE USER 'chamilo'@'%';")
    assert unrelated_site(fresh) == shop
    assert not missing_from_the_portal(fresh, "http")
    assert playbook.harden(fresh) == 0


@pytest.mark.wire
def test_it_cannot_be_reached_and_its_audit_is_green(secured: Host) -> None:
    with pytest.raises(OSError):
        socket.create_connection((secured.address, 3306), 5).close()
    assert not missing_from_the_portal(secured, "http")
    install(secured)
    found = audit(secured, "database")
    assert found.status == {
        "database_account": "pass",
        "database_privileges": "pass",
        "database_bind": "pass",
        "database_audit_log": "fail",
    }, found.evidence
    secured.restart()
    assert login(secured)


def test_old_powers_are_locked_or_named_with_what_mends_them(fresh: Host, playbook: Playbook) -> None:
    sql(fresh, f"""
        CREATE USER chamilo@localhost IDENTIFIED BY '{OLD_PASSWORD}';
        GRANT {', '.join(sorted(GUIDE))} ON chamilo.* TO chamilo@localhost;
        CREATE USER 'report'@'%' IDENTIFIED BY 'report-password'; GRANT SELECT ON `chamil%`.* TO 'report'@'%';
        CREATE USER replica@'10.%' IDENTIFIED BY 'replica-password'; GRANT REPLICATION SLAVE ON *.* TO replica@'10.%';
    """)  # fmt: skip
    assert login(fresh) and works(fresh, "chamilo", OLD_PASSWORD)
    open_to_all = {"chamilo_database_bind_address": f"127.0.0.1,{fresh.address}"}
    playbook.harden(fresh, **open_to_all)
    assert environment(fresh, "DATABASE_USER") == "chamilo", "its account was right"
    assert not works(fresh, "chamilo", OLD_PASSWORD) and works(fresh, "report", "report-password")
    assert rights(fresh, "'chamilo'@'%'") == {"*.*": {"ALL PRIVILEGES"}}, "locked, and nothing else"
    assert login(fresh) and playbook.harden(fresh, **open_to_all) == 0

    # What is no account of Chamilo's is for a person, to whom the statements are printed.
    install(fresh)
    found = audit(fresh, "database")
    evidence = found.evidence["database_privileges"]
    assert found.status["database_privileges"] == "fail" and found.status["database_account"] == "pass", evidence
    assert "'report'@'%' has SELECT" in evidence
    assert "chamilo" not in re.findall(r"'(\w+)'@'[^']*' has", evidence) and "replica" not in evidence
    sql(fresh, "".join(re.findall(r"\(([A-Z][^()]*;)\)", evidence)))
    found = audit(fresh, "database")
    assert found.status["database_privileges"] == "pass", found.evidence
    assert not works(fresh, "report", "report-password")

    playbook.harden(fresh, chamilo_database_state="absent")
    assert works(fresh, "chamilo", OLD_PASSWORD)


@pytest.mark.long
def test_a_migration_of_chamilo_still_runs(secured: Host) -> None:
    assert "SQL statements executed." in migrated(secured)
    refused = {
        "SELECT * FROM shop.article": "denied",
        "SELECT LOAD_FILE('/etc/passwd') IS NULL": "1\n",
        "CREATE USER x": "denied",
        "CREATE DATABASE other": "denied",
        "GRANT SELECT ON chamilo.* TO shop@localhost": "denied",
        "CREATE TEMPORARY TABLE t (id INT)": "denied",
        "SHOW DATABASES": "chamilo\ninformation_schema\n",
    }
    assert {sent: as_application(secured, sent) for sent, output in refused.items()
            if output not in as_application(secured, sent)} == {}  # fmt: skip


@pytest.mark.parametrize("where", ["localhost", pytest.param("127.0.0.1", marks=pytest.mark.long)])
def test_an_application_that_runs_as_root_is_moved_and_root_stays(fresh: Host, playbook: Playbook, where: str) -> None:
    sql(fresh, "ALTER USER root@localhost IDENTIFIED VIA mysql_native_password USING PASSWORD('root-password') OR "
        "unix_socket;")  # fmt: skip
    if where == "127.0.0.1":
        fresh.put("/etc/mysql/mariadb.conf.d/70-own.cnf", "[mariadbd]\nskip-name-resolve\n")
        sql(fresh, "CREATE USER root@127.0.0.1 IDENTIFIED BY 'root-password'; GRANT ALL ON *.* TO root@127.0.0.1;")
        fresh.run("systemctl restart mariadb")
    for name, value in {"HOST": where, "USER": "root", "PASSWORD": "root-password"}.items():
        fresh.run(["sed", "-i", f"s/^DATABASE_{name}=.*/DATABASE_{name}='{value}'/", f"{ROOT}/.env"])
    assert login(fresh)
    before = accounts(fresh)
    playbook.harden(fresh)
    after = accounts(fresh)
    new = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert new == {f"chamilo_campus_test@{where}", f"chamilo_campus_test_backup@{where}"}
    assert (environment(fresh, "DATABASE_USER"), environment(fresh, "DATABASE_HOST")) == ("chamilo_campus_test", where)
    assert login(fresh) and playbook.harden(fresh) == 0


@pytest.mark.long
def test_rights_on_its_own_database_are_put_right_where_the_account_is_its_own(fresh: Host, playbook: Playbook) -> None:
    sql(fresh, """
        REVOKE ALL PRIVILEGES, GRANT OPTION FROM 'chamilo'@'%';
        GRANT ALL ON chamilo.* TO 'chamilo'@'%' WITH GRANT OPTION; GRANT FILE, PROCESS ON *.* TO 'chamilo'@'%';
        GRANT EXECUTE ON `chamil_`.* TO 'chamilo'@'%';
    """)  # fmt: skip
    with pytest.raises(PlayError, match="keeps its rights: it is used for chamil_ too"):  # a warning, and no failure
        playbook.harden(fresh)
    assert environment(fresh, "DATABASE_USER") == "chamilo_campus_test", "the pattern is for other databases too"
    assert rights(fresh, "'chamilo'@'%'") != {}, "so another application may need it"
    own = "chamilo_campus_test@localhost"
    sql(fresh, f"GRANT ALL ON chamilo.* TO {own} WITH GRANT OPTION; GRANT FILE ON *.* TO {own}; "
        f"REVOKE INDEX ON chamilo.* FROM {own};")  # fmt: skip
    password = environment(fresh, "DATABASE_PASSWORD")
    assert playbook.harden(fresh) == 1
    assert rights(fresh, "chamilo_campus_test@localhost") == {"chamilo.*": GUIDE}
    assert "GRANT OPTION" not in sql(fresh, "SHOW GRANTS FOR chamilo_campus_test@localhost;")
    assert environment(fresh, "DATABASE_PASSWORD") == password and login(fresh)


@pytest.mark.long
def test_a_failure_puts_everything_back(fresh: Host, playbook: Playbook) -> None:
    before = accounts(fresh)
    known = fresh.get(f"{ROOT}/.env")
    fresh.run(f"mv {ROOT}/bin/console {ROOT}/bin/console.away")
    with pytest.raises(PlayError, match="Everything is as it was before"):
        playbook.harden(fresh)
    fresh.run(f"mv {ROOT}/bin/console.away {ROOT}/bin/console")
    assert accounts(fresh) == before and fresh.get(f"{ROOT}/.env") == known and login(fresh)
    # PHP is given the account by the server, and would never hear of another.
    pool = fresh.run("ls /etc/php/*/fpm/pool.d/www.conf").stdout.strip()
    fresh.run(f"echo 'env[DATABASE_USER] = chamilo' >>{pool} && systemctl reload 'php*-fpm.service'")
    with pytest.raises(PlayError, match="wins over its environment"):
        playbook.harden(fresh)
    assert accounts(fresh) == before and fresh.get(f"{ROOT}/.env") == known and login(fresh)


KILLED = """
import json, os, signal, sys
sys.path.insert(0, "/opt/audit")
from ansible_collections.chamilo.hardening.plugins.module_utils._database.accounts import AccountManager
from ansible_collections.chamilo.hardening.plugins.module_utils._database.context import Context, Result, Desired
from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovery import installation
from ansible_collections.chamilo.hardening.plugins.module_utils._program.login import write_login
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.probe import Probe
if sys.argv[1] == "cache":  # while it is cleared, with the new account in the environment
    from ansible_collections.chamilo.hardening.plugins.module_utils._settings.env_transaction import Writer
    Writer._test = lambda *unused: os.kill(os.getpid(), signal.SIGKILL)
    sys.argv[1] = "0"
left, steps = int(sys.argv[1]), []
def step(name):
    global left
    steps.append(name)
    left -= 1
    if not left:
        print(json.dumps(steps), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
portal = installation("campus.test", "", "")
desired = Desired("campus_test", backup=True, split=True, probe=(Probe("http://campus.test/", address="127.0.0.1"),))
AccountManager(Context(portal, desired, step=step, write_login=write_login)).apply(Result())
print(json.dumps(steps))
"""


@pytest.mark.long
def test_a_run_killed_while_the_cache_is_cleared_is_rolled_back_by_the_next(fresh: Host, playbook: Playbook) -> None:
    install(fresh)
    assert fresh.run(["python3", "-c", KILLED, "cache"], check=False).returncode in (-9, 137)
    assert environment(fresh, "DATABASE_USER") == "chamilo_campus_test"
    assert rights(fresh, "'chamilo'@'%'") != {}
    with pytest.raises(
        PlayError, match=r"exit code 0(?s:.)*WARNING\]: The run of environment .* did not finish. Its files"
    ):
        playbook.harden(fresh)
    user = environment(fresh, "DATABASE_USER")
    assert login(fresh) and rights(fresh, f"{user}@localhost") == {"chamilo.*": GUIDE}
    assert rights(fresh, "'chamilo'@'%'") == {} and playbook.harden(fresh) == 0


@pytest.mark.long
def test_a_run_that_is_killed_anywhere_leaves_the_portal_serving_and_the_next_one_goes_through(fresh: Host) -> None:
    install(fresh)
    known, untouched = fresh.get(f"{ROOT}/.env"), accounts(fresh)
    for number in range(1, 60):
        done = fresh.run(["python3", "-c", KILLED, str(number)], check=False)
        steps = json.loads(done.stdout)
        assert login(fresh), f"killed after {steps[-1]}"
        if done.returncode == 0:
            break
        again = fresh.run(["python3", "-c", KILLED, "0"])
        assert login(fresh), f"the run after the one that was killed after {steps[-1]}: {again.stdout}"
        user = environment(fresh, "DATABASE_USER")
        assert rights(fresh, f"{user}@localhost") == {"chamilo.*": DATA}, steps[-1]
        assert rights(fresh, "'chamilo'@'%'") == {}, steps[-1]
        # As it was before.
        names = sql(fresh, "SELECT CONCAT(User, '@', Host) FROM mysql.user WHERE User LIKE 'chamilo\\_%';").split()
        assert set(names) == {f"chamilo_campus_test{end}@localhost" for end in ("", "_upgrade", "_backup")}, steps[-1]
        fresh.run("rm -rf /etc/chamilo-hardening /var/lib/chamilo-hardening/database*")
        sql(fresh, f"DROP USER {', '.join(names)}; GRANT ALL ON *.* TO 'chamilo'@'%' WITH GRANT OPTION;"
            "ALTER USER 'chamilo'@'%' ACCOUNT UNLOCK;")  # fmt: skip
        fresh.put(f"{ROOT}/.env", known, "0777", "www-data:www-data")
    assert number == len(steps) + 1 and {"created", "granted", "written", "probed", "locked", "revoked"} <= set(steps)
    assert {"chamilo@%", "root@localhost"} <= untouched.keys()
    print(f"\nkilled after each of {len(steps)} steps")


@pytest.mark.long
def test_an_undeclared_remote_client_is_not_cut_off(fresh: Host, playbook: Playbook) -> None:
    connection = pymysql.connect(host=fresh.address, user="chamilo", password=OLD_PASSWORD)
    with connection, pytest.raises(PlayError, match="chamilo_database_clients does not name: chamilo from"):
        connection.ping()
        playbook.harden(fresh)
    assert works(fresh, "chamilo", OLD_PASSWORD), "and nothing was changed"
    playbook.harden(fresh, chamilo_database_bind_address=f"127.0.0.1,{fresh.address}")
    socket.create_connection((fresh.address, 3306), 5).close()
    assert login(fresh)


@pytest.mark.long
def test_split_accounts_and_the_program_that_migrates(fresh: Host, playbook: Playbook) -> None:
    playbook.harden(fresh, chamilo_database_split=True)
    assert rights(fresh, "chamilo_campus_test@localhost") == {"chamilo.*": DATA}
    assert "denied" in as_application(fresh, "CREATE TABLE t (id INT)")
    assert "denied" in migrated(fresh)
    fresh.put("/root/watch", "while :; do cat /proc/[0-9]*/cmdline; done 2>/dev/null >/root/seen\n", "0700")
    fresh.run("systemd-run --quiet --unit=watch sh /root/watch")
    assert "SQL statements executed." in fresh.run("chamilo-hardening migrate").stdout
    fresh.run("systemctl stop watch")
    password = re.findall(r'^password="(.*)"$', fresh.get("/etc/chamilo-hardening/upgrade-campus_test.cnf"), re.M)
    assert password[0] not in fresh.run("tr '\\0' ' ' </root/seen").stdout
    assert fresh.run("find /var/www/chamilo/var/cache -user root").stdout == ""
    assert not missing_from_the_portal(fresh, "http")
    assert playbook.harden(fresh, chamilo_database_split=True) == 0
    assert playbook.harden(fresh) == 1
    assert rights(fresh, "chamilo_campus_test@localhost") == {"chamilo.*": GUIDE}
    assert sql(fresh, "SELECT COUNT(*) FROM mysql.user WHERE User LIKE '%upgrade';") == "0\n"
    assert "no account for upgrades" in fresh.run("chamilo-hardening migrate --site campus_test", check=False).stderr


@pytest.mark.long
def test_the_audit_log_is_kept_and_contains_no_password(fresh: Host, playbook: Playbook) -> None:
    playbook.harden(fresh, chamilo_database_audit_log=True)
    sql(fresh, "CREATE USER audited@localhost IDENTIFIED BY 'planted-apple'; SET PASSWORD FOR audited@localhost = "
        "PASSWORD('planted-pear'); ALTER USER audited@localhost IDENTIFIED BY 'planted-fir'; GRANT SELECT ON shop.* TO "
        "audited2@localhost IDENTIFIED BY 'planted-fig'; DROP USER audited@localhost, audited2@localhost;")  # fmt: skip
    sql(fresh, "CREATE TABLE scratch (id INT); DROP TABLE scratch;")
    log = fresh.get("/var/lib/mysql/server_audit.log")
    assert "CREATE TABLE scratch" in log and "DROP USER audited" in log and "CONNECT" in log and "planted" not in log
    install(fresh)
    found = audit(fresh, "database")
    assert found.status["database_audit_log"] == "pass", found.evidence
    assert "FORCE" not in log and playbook.harden(fresh, chamilo_database_audit_log=True) == 0
    assert playbook.harden(fresh) == 1
    assert audit(fresh, "database").status["database_audit_log"] == "fail"


def test_no_password_is_exposed(fresh: Host, playbook: Playbook) -> None:
    sql(fresh, "SET GLOBAL general_log_file = '/var/lib/mysql/all.log'; SET GLOBAL general_log = ON;")
    fresh.put("/root/watch", "while :; do cat /proc/[0-9]*/cmdline; done 2>/dev/null >/root/seen\n", "0700")
    fresh.run("systemd-run --quiet --unit=watch sh /root/watch")
    output = playbook.run("harden", fresh, "-vvvv", "--diff", chamilo_database_split=True).output
    fresh.run("systemctl stop watch")
    files = ["/root/seen", "/var/lib/mysql/all.log"]
    shown = output + fresh.run(f"cat {' '.join(files)} | tr '\\0' ' '").stdout + fresh.run("journalctl").stdout
    upgrade = re.findall(r'^password="(.*)"$', fresh.get("/etc/chamilo-hardening/upgrade-campus_test.cnf"), re.M)
    backup = re.findall(r'^password="(.*)"$', fresh.get("/etc/chamilo-hardening/backup-campus_test.cnf"), re.M)
    for secret in (environment(fresh, "DATABASE_PASSWORD"), OLD_PASSWORD, *upgrade, *backup):
        assert secret not in shown
    assert fresh.run("stat -c '%U %a' /etc/chamilo-hardening/*.cnf /var/lib/chamilo-hardening/database-*").stdout.split(
    ) == ["root", "600"] * 3  # fmt: skip
    assert OLD_PASSWORD not in fresh.get("/var/lib/chamilo-hardening/database-campus_test.json")


@pytest.mark.long
def test_an_account_for_backups_alone(fresh: Host, playbook: Playbook) -> None:
    play = playbook.write(
        "backup.yml",
        """
- hosts: all
  become: true
  gather_facts: false
  tasks:
    - ansible.builtin.include_role:
        name: chamilo.hardening.database
        tasks_from: backup_account
""",
    )
    playbook.run(play, fresh)
    assert environment(fresh, "DATABASE_USER") == "chamilo", "nothing else is changed"
    assert rights(fresh, "chamilo_campus_test_backup@localhost") == {"chamilo.*": BACKUP}
    options = "--defaults-extra-file=/etc/chamilo-hardening/backup-campus_test.cnf --single-transaction"
    dump = fresh.run(f"mariadb-dump {options} --triggers --routines=0 --events chamilo").stdout
    assert "-- Dump completed" in dump and "INSERT INTO `user`" in dump
    assert fresh.run(f"mariadb-dump {options} shop", check=False).returncode != 0
    assert playbook.run(play, fresh).changed[fresh.domain] == 0


@pytest.mark.long
def test_absent_restores_what_was_there(secured: Host, playbook: Playbook) -> None:
    playbook.harden(secured, chamilo_database_state="absent")
    assert rights(secured, "'chamilo'@'%'") == {"*.*": {"ALL PRIVILEGES"}}
    assert works(secured, "chamilo", OLD_PASSWORD)
    assert secured.run(f"test -e {DROP_IN}", check=False).returncode == 1
    assert environment(secured, "DATABASE_USER") == "chamilo_campus_test" and login(secured)
    assert playbook.harden(secured, chamilo_database_state="absent") == 0
    playbook.harden(secured)
    assert rights(secured, "'chamilo'@'%'") == {} and not works(secured, "chamilo", OLD_PASSWORD)
    secured.run("chamilo-hardening undo database --yes")
    socket.create_connection((secured.address, 3306), 5).close()
    assert login(secured)


@pytest.mark.long
def test_php_that_keeps_what_it_read_learns_of_the_new_account(fresh: Host, playbook: Playbook) -> None:
    dump_environment(fresh)
    # What is younger than two seconds PHP keeps not.
    fresh.run(f"touch -d '1 hour ago' {ROOT}/.env.local.php && {KEEP_PROGRAMS}")
    assert login(fresh)
    playbook.harden(fresh)
    assert login(fresh) and rights(fresh, "'chamilo'@'%'") == {}


def two_hosts(make: Callable[..., Host]) -> tuple[Host, Host]:
    """A web node, and another host that has its database and nothing else."""
    web, store = make(), make("store")
    store.run(f"systemctl disable --now nginx apache2 'php*-fpm' 2>/dev/null; rm -rf {ROOT}")
    web.run("systemctl disable --now mariadb")
    # What Doctrine's bundle does with the options of a connection.
    standin = f"{ROOT}/vendor/standin/DoctrineExtension.php"
    text = web.get(standin)
    more = "$dbal['driverOptions'] = $dbal['options'] ?? []; unset($dbal['options']);"
    web.put(
        standin, text.replace("unset($dbal['default_table_options']);", f"unset($dbal['default_table_options']);{more}")
    )
    changes = {"DATABASE_HOST": "store.test", "APP_ENV": "prod", "APP_DEBUG": "0"}
    for name, value in changes.items():
        web.run(["sed", "-i", f"s/^{name}=.*/{name}='{value}'/", f"{ROOT}/.env"])
    web.run(f"rm -rf {ROOT}/var/cache/*; systemctl reload 'php*-fpm.service'")
    web.wait(web.url)
    return web, store


@pytest.mark.long
def test_a_database_on_another_host_is_used_with_an_account_of_its_own_and_over_tls(
    make: Callable[..., Host], tmp_path: Path
) -> None:
    web, store = two_hosts(make)
    assert login(web)
    path = tmp_path / "two.yml"
    settings = {"chamilo_database_bind_address": store.address, "chamilo_database_clients": [web.address]}
    groups = {
        "chamilo_web": {"hosts": {web.domain: web.quick_inventory()}},
        "chamilo_db": {"hosts": {store.domain: {**store.quick_inventory(), **settings}}},
    }
    path.write_text(yaml.safe_dump({"chamilo": {"children": groups}}))
    before = accounts(store)
    done = play("harden", path, "--tags", "database", "-vv")
    assert min(done.changed.values()) > 0
    assert environment(web, "DATABASE_USER") == "chamilo_campus_test"
    names = sql(store, "SELECT CONCAT(User, '@', Host) FROM mysql.user;").split()
    new = {name for name in names if name.startswith("chamilo_campus_test")}
    assert {name.partition("@")[0] for name in new} == {"chamilo_campus_test", "chamilo_campus_test_backup"}
    (own,) = (name for name in new if "backup" not in name)
    user, _at, source = own.partition("@")
    account = f"'{user}'@'{source}'"
    assert rights(store, account) == {"chamilo.*": GUIDE} and "REQUIRE SSL" in sql(store, f"SHOW GRANTS FOR {account};")
    changed = {name for name in before.keys() | names if before.get(name) != accounts(store).get(name)}
    assert changed == new | {"chamilo@%"}
    assert rights(store, "'chamilo'@'%'") == {}
    assert login(web) and not works(store, "chamilo", OLD_PASSWORD)
    sql(store, "SET GLOBAL general_log_file = '/var/lib/mysql/all.log'; SET GLOBAL general_log = ON;")
    assert login(web)
    assert f"{user}@{source} on chamilo using SSL/TLS" in store.get("/var/lib/mysql/all.log")
    options = "--defaults-extra-file=/etc/chamilo-hardening/backup-campus_test.cnf --single-transaction"
    assert "-- Dump completed" in web.run(f"mariadb-dump {options} chamilo").stdout
    again = play("harden", path, "--tags", "database")
    assert set(again.changed.values()) == {0}, again.output

    # What insists on TLS is not cut off from it; what a run that was cut off left is found.
    sql(store, f"CREATE USER 'chamilo_campus_test_admin'@'{source}';")
    play("harden", path, "--tags", "database", variables={"chamilo_database_tls": False})
    assert login(web) and sql(store, "SELECT User FROM mysql.user WHERE User LIKE '%_admin';") == ""

    # Undone by hand, as in the README.
    before = accounts(store)
    with pytest.raises(PlayError) as refused:
        play("harden", path, "--tags", "database", variables={"chamilo_database_state": "absent"})
    assert " ".join(str(refused.value).split()).count("Undo the changes by hand") >= 2, "by both hosts"
    assert accounts(store) == before and login(web)
    known = json.loads(web.get("/var/lib/chamilo-hardening/database-campus_test.json"))["old"]
    quoted = [name.replace("@", "'@'") for name in new]
    plain = [f"ALTER USER '{name}' REQUIRE NONE;" for name in quoted]
    grants = [f"{text};" for one in known.values() for text in one["grants"]]
    sql(store, " ".join([*plain, *grants, "ALTER USER 'chamilo'@'%' ACCOUNT UNLOCK;"]))
    web.run("sed -i '/^ssl-/d' /etc/chamilo-hardening/backup-campus_test.cnf && chamilo-hardening undo database --yes")
    assert web.run(f"test -e {ROOT}/config/packages/prod/zz_chamilo_hardening_database.yaml", check=False).returncode
    store.run("chamilo-hardening undo database --yes")
    assert login(web) and works(store, "chamilo", OLD_PASSWORD)
    assert "-- Dump completed" in web.run(f"mariadb-dump {options} chamilo").stdout


@pytest.mark.long
def test_a_web_node_without_a_client_gets_one_before_its_secrets_and_settings_change(
    make: Callable[..., Host], playbook: Playbook
) -> None:
    web, store = two_hosts(make)
    web.run("DEBIAN_FRONTEND=noninteractive apt-get -q -y purge 'mariadb-client*' python3-pymysql >/dev/null 2>&1")
    web.run("! command -v mariadb && ! command -v mysql && ! python3 -c 'import pymysql'")
    sql(store, "UPDATE chamilo.settings SET selected_value = 'test' WHERE variable = 'server_type';")
    secret = environment(web, "APP_SECRET")
    played = playbook.run("harden", web, "--tags", "permissions")
    assert sql(store, "SELECT selected_value FROM chamilo.settings WHERE variable = 'server_type';").strip() == "prod"
    assert environment(web, "APP_SECRET") != secret, "that no account uses a second factor was observed"
    assert login(web), played.output
    assert playbook.harden(web, "--tags", "permissions") == 0


@pytest.mark.wire
def test_with_the_application_s_password_everything_works_before_and_nothing_after(
    fresh: Host, playbook: Playbook
) -> None:
    before = accounts(fresh)
    found = attack(fresh, ["database_privileges"])["database_privileges"]
    assert found.status == "fail"
    words = ("read /etc/passwd", "other databases", "make accounts", "pass its rights on", "settings")
    assert [word for word in words if word not in found.evidence] == []
    assert accounts(fresh) == before, "it leaves nothing behind"
    socket.create_connection((fresh.address, 3306), 5).close()
    playbook.harden(fresh)
    found = attack(fresh, ["database_privileges"])["database_privileges"]
    assert found.status == "pass", found.evidence


def test_an_address_that_the_host_does_not_have_is_refused_before_the_database_stops(
    secured: Host, playbook: Playbook
) -> None:
    before = secured.run("systemctl show mariadb -p MainPID").stdout
    with pytest.raises(PlayError, match="chamilo_database_bind_address: 192.0.2.99. This host has no such address"):
        playbook.harden(secured, chamilo_database_bind_address="192.0.2.99")
    assert secured.run("systemctl show mariadb -p MainPID").stdout == before and login(secured)
