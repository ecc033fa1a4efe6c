"""The module chamilo_settings: rows in a real MariaDB, reached in both ways, and pins that the application obeys."""

from __future__ import annotations

import dataclasses
import json
import random
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pymysql
import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import Account, DatabaseError
from ansible_collections.chamilo.hardening.plugins.module_utils._application.installation import Installation
from ansible_collections.chamilo.hardening.plugins.module_utils._application.overrides import edit
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.apply import Host as Portal
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.apply import result
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.plan import SettingsError, desired
from tests.hosts.conftest import Cell
from tests.hosts.hardening import Playbook, missing_from_the_portal
from tests.playbook import PlayError
from tests.testbed.app.selfcheck import PASSWORDS, Browser
from tests.testbed.engine import ROOT
from tests.testbed.hosts import Host

# MariaDB 11.8 and 10.11: for what rests on the server alone.
both_versions = pytest.mark.cells("trixie-nginx", "bookworm-apache")

CHECK = "security.check_password"
RULES = "security.password_requirements"
LOCK = "security.login_max_attempt_before_blocking_account"
POLICY = {"min": {"length": 12, "lowercase": 1, "uppercase": 1, "numeric": 1, "specials": 1}}
FILE = "/var/www/chamilo/config/settings_overrides.yaml"
DIRECTORY = "/opt/settings"
PACKAGE = "ansible_collections/chamilo/hardening/plugins/module_utils"
NOWHERE = "/nonexistent/chamilo"  # an application of no version that pins nothing
PROGRAM = f"""
import json, sys
sys.path.insert(0, "{DIRECTORY}")
sys.dont_write_bytecode = True
from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import Account, DatabaseError
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.plan import desired
from ansible_collections.chamilo.hardening.plugins.module_utils._application.installation import Installation
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.apply import Host, result
given = json.load(sys.stdin)
try:
    portal = Host(Account(**given["account"]), Installation("{NOWHERE}", "www-data"))
    outcome = portal.apply(desired(**given["wish"]), check=given["check"])
except DatabaseError as problem:
    print(json.dumps({{"failure": str(problem)}}))
else:
    print(json.dumps(dict(result(outcome))))
"""


def sql(host: Host, text: str, database: str = "chamilo") -> str:
    return host.run(["mariadb", "--batch", "--raw", "--skip-column-names", database], data=text).stdout


def rows(host: Host, key: str) -> list[list[str]]:
    """The rows of a setting: number, portal, category, value, changeable, title."""
    columns = "id, access_url, category, HEX(selected_value), access_url_changeable, title"
    text = sql(host, f"SELECT {columns} FROM settings WHERE variable = '{key.partition('.')[2]}' ORDER BY id;")
    found = [line.split("\t") for line in text.splitlines()]
    return [[*row[:3], bytes.fromhex(row[3]).decode() if row[3] != "NULL" else row[3], *row[4:]] for row in found]


class Way:
    """The engine with a database account: on the host by the client, or from here by PyMySQL."""

    def __init__(self, host: Host, kind: str) -> None:
        self.host = host
        self.kind = kind
        self.application = Installation(NOWHERE, "www-data")
        password = host.run("sed -n \"s/^DATABASE_PASSWORD='\\(.*\\)'$/\\1/p\" /var/www/chamilo/.env").stdout.strip()
        self.account = Account("chamilo", password, host.address, 3306, "", "chamilo")

    def apply(self, settings: dict[str, Any], check: bool = False, **options: Any) -> dict[str, Any]:
        asked = {"secret_settings": {}, "reset": [], "access_url": ["all"], "lock": None, "pin": None, **options}
        asked["settings"] = settings
        if self.kind == "pymysql":
            portal = Portal(self.account, self.application, self.application.root)
            return dict(result(portal.apply(desired(**asked), check=check)))
        account = {**dataclasses.asdict(self.account), "host": "localhost", "socket": "/run/mysqld/mysqld.sock"}
        reported = json.dumps({"account": account, "wish": asked, "check": check})
        answer: dict[str, Any] = json.loads(self.host.run(["python3", "-c", PROGRAM], data=reported).stdout)
        if "failure" in answer:
            raise DatabaseError(answer["failure"])
        return answer


@pytest.fixture(params=["client", "pymysql"])
def way(request: pytest.FixtureRequest, cell: Cell, stage: Callable[..., Host]) -> Way:
    def install(host: Host) -> None:
        host.put_tree(ROOT / "plugins/module_utils", f"{DIRECTORY}/{PACKAGE}")
        sql(
            host,
            "INSERT INTO access_url (id, url, description, active, created_by, tms) VALUES"
            " (2, 'http://second.test/', 'Second', 1, 1, NOW()), (3, 'http://third.test/', 'Third', 1, 1, NOW());",
        )

    host = stage("three portals", install)
    assert sql(host, "SELECT VERSION();").startswith({"trixie": "11.8.", "bookworm": "10.11."}[cell.release])
    return Way(host, request.param)


def add(host: Host, portal: int, key: str, value: str, changeable: int = 1) -> None:
    category, _dot, variable = key.partition(".")
    sql(
        host,
        "INSERT INTO settings (access_url, variable, category, selected_value, title, access_url_changeable) VALUES"
        f" ({portal}, '{variable}', '{category}', '{value}', 'by hand', {changeable});",
    )


@both_versions
def test_rows_of_every_kind_become_right_and_stay_so(way: Way) -> None:
    host = way.host
    sql(host, "DELETE FROM settings WHERE variable = 'login_max_attempt_before_blocking_account';")
    add(host, 1, f"platform.{LOCK.partition('.')[2]}", "3")  # as an alpha version left it
    add(host, 1, CHECK, "false")  # the unique key does not stop it: the subkey is NULL
    add(host, 1, CHECK, "true")
    add(host, 2, CHECK, "false")
    add(host, 3, RULES, "", changeable=0)
    nasty = 'it\'s "quoted" \\ back`tick` \U0001f600 漢 ü %s %d; -- \n\r\t end '
    long = json.dumps({**POLICY, "note": "x" * 60000 + "\U0001f600"}, ensure_ascii=False)
    sql(host, "DELETE FROM settings WHERE variable = 'security_content_policy';")
    expected = {CHECK: True, LOCK: 5, RULES: long, "security.security_content_policy": nasty}

    predicted = way.apply(expected, check=True, lock=True)
    before = rows(host, CHECK)
    assert len(before) == 4
    done = way.apply(expected, lock=True)
    assert done == predicted
    assert rows(host, CHECK) == [
        [before[-2][0], "1", "security", "true", "0", "by hand"],
        [before[-1][0], "2", "security", "true", "1", "by hand"],
    ]
    assert [row[1:5] for row in rows(host, LOCK)] == [["1", "security", "5", "0"]]
    assert [row[1:4] for row in rows(host, RULES)] == [["1", "security", long], ["3", "security", long]]
    assert [row[1:] for row in rows(host, "security.security_content_policy")] == [
        ["1", "security", nasty, "0", "Security content policy"]
    ]
    assert sorted((one["setting"], one["kind"]) for one in done["repaired"]) == [
        (CHECK, "duplicate"),
        (CHECK, "duplicate"),
        (LOCK, "stale_category"),
    ]
    assert done["settings"][CHECK]["before"]["effective"] == {"1": "true", "2": "false", "3": "true"}
    assert done["settings"][CHECK]["after"]["effective"] == {"1": "true", "2": "true", "3": "true"}
    again = way.apply(expected, lock=True)
    assert (again["changed"], again["repaired"]) == (False, [])


def test_an_account_that_may_only_read_is_reported_so(way: Way) -> None:
    host = way.host
    sql(host, "GRANT SELECT ON chamilo.* TO 'reader'@'%' IDENTIFIED BY 'reader-Password'; FLUSH PRIVILEGES;")
    way.account = dataclasses.replace(way.account, user="reader", password="reader-Password")
    before = rows(host, CHECK)
    assert way.apply({CHECK: True}, check=True)["changed"]
    with pytest.raises(DatabaseError, match="could not be changed as 'reader': .*denied"):
        way.apply({CHECK: True})
    assert rows(host, CHECK) == before
    assert not way.apply({CHECK: False})["changed"], "what is right already needs no right to write"


@pytest.mark.long
@both_versions
def test_a_connection_that_drops_in_the_middle_leaves_nothing_behind(way: Way) -> None:
    host = way.host
    sql(host, "DELETE FROM settings WHERE variable = 'allow_captcha';")
    sql(host, "CREATE TRIGGER slow BEFORE INSERT ON settings FOR EACH ROW SET @slept = SLEEP(15);")
    before = sql(host, "SELECT * FROM settings ORDER BY id;")
    failures: list[str] = []

    def run() -> None:
        try:
            way.apply({CHECK: True, "security.allow_captcha": True})
        except DatabaseError as problem:
            failures.append(str(problem))

    running = threading.Thread(target=run)
    running.start()
    # Without the user's name: in a trigger that is the one who made it.
    busy = "SELECT id FROM information_schema.processlist WHERE state = 'User sleep';"
    end = time.monotonic() + 20
    while not (found := sql(host, busy).split()):
        assert time.monotonic() < end, "the INSERT was never seen"
        time.sleep(0.05)
    sql(host, f"KILL {found[0]};")
    running.join(30)
    assert len(failures) == 1 and "could not be changed as 'chamilo'" in failures[0]
    assert sql(host, "SELECT * FROM settings ORDER BY id;") == before, "the UPDATE before it is gone as well"
    sql(host, "DROP TRIGGER slow;")
    assert way.apply({CHECK: True, "security.allow_captcha": True})["changed"]
    assert not way.apply({CHECK: True, "security.allow_captcha": True})["changed"]


@pytest.mark.long
@pytest.mark.parametrize("way", ["pymysql"], indirect=True)
def test_fifty_rounds_beside_others_lose_nothing(way: Way) -> None:
    """Two runs at once that find no row, and a client that counts in a row that both of them lock."""
    host, account = way.host, way.account
    sql(host, "UPDATE settings SET selected_value = '0' WHERE variable = 'password_rotation_days';")
    stop = threading.Event()
    counted, failures = [0], list[BaseException]()

    def connect() -> Any:
        return pymysql.connect(
            host=account.host, user=account.user, password=account.password, database="chamilo", autocommit=True
        )

    def count() -> None:
        connection = connect()
        while not stop.is_set():
            with connection.cursor() as cursor:
                # As the administrator's form saves: this row alone, whatever else is going on.
                cursor.execute(
                    "UPDATE settings SET comment = COALESCE(comment, 0) + 1, access_url_locked = 0"
                    " WHERE variable = 'password_rotation_days' AND access_url = 1"
                )
            counted[0] += 1
        connection.close()

    def apply(days: int) -> None:
        try:
            way.apply({CHECK: True, "security.password_rotation_days": days})
        except BaseException as problem:  # shown by the assertion below
            failures.append(problem)

    counter = threading.Thread(target=count)
    counter.start()
    admin = connect()
    try:
        for number in range(50):
            with admin.cursor() as cursor:
                cursor.execute("DELETE FROM settings WHERE variable = 'check_password'")
            runs = [threading.Thread(target=apply, args=(number % 7,)) for _ in range(2)]
            for run in runs:
                run.start()
            for run in runs:
                run.join(60)
            with admin.cursor() as cursor:
                cursor.execute("SELECT COUNT(*), MAX(selected_value) FROM settings WHERE variable = 'check_password'")
                assert cursor.fetchone() == (1, "true"), f"round {number}"
                cursor.execute("SELECT selected_value FROM settings WHERE variable = 'password_rotation_days'")
                assert cursor.fetchall() == ((str(number % 7),),)
    finally:
        stop.set()
        counter.join(30)
        admin.close()
    assert failures == []
    kept = sql(host, "SELECT comment FROM settings WHERE variable = 'password_rotation_days';").strip()
    assert counted[0] > 50 and int(kept) == counted[0]
    print(f"\n{counted[0]} saves of another client during 100 runs, none lost")


KEYS = {CHECK: [True, False], LOCK: [0, 5, 12], "security.allow_strength_pass_checker": [True, False]}


def random_state(chance: random.Random, host: Host, file: Path) -> None:
    """Rows of the three portals as years may leave them, and an override file with entries of its own."""
    names = ", ".join(f"'{key.partition('.')[2]}'" for key in KEYS)
    inserts = []
    for key in KEYS:
        for _row in range(chance.choice([0, 0, 1, 1, 2, 4])):
            category = chance.choice(["security"] * 6 + ["platform"])
            value = chance.choice(["'true'", "'false'", "'5'", "''", "NULL"])
            row = [str(chance.choice([1, 2, 3])), f"'{key.partition('.')[2]}'", f"'{category}'", value, "'by hand'"]
            inserts.append(f"({', '.join(row)}, {chance.choice([0, 1, 1])})")
    columns = "access_url, variable, category, selected_value, title, access_url_changeable"
    more = f"INSERT INTO settings ({columns}) VALUES {', '.join(inserts)};" if inserts else ""
    sql(host, f"DELETE FROM settings WHERE variable IN ({names}); {more}")
    output: dict[str, dict[str, str | None]] = {}
    for scope in chance.sample(["default", "1", "2", "3"], chance.choice([0, 0, 1, 2])):
        output[scope] = {key: chance.choice(["true", "5", ""]) for key in chance.sample(list(KEYS), 2)}
    file.unlink(missing_ok=True)
    if output:
        file.write_text(edit("# Ours.\n", str(file), output))


def random_settings(chance: random.Random) -> dict[str, Any]:
    chosen = chance.sample(list(KEYS), chance.choice([1, 1, 2, 3]))
    reset = [key for key in chosen if chance.random() < 0.2]
    portals = chance.choice([["all"], ["all"], ["2"], chance.sample(["1", "2", "3"], chance.randint(1, 3))])
    return {
        "settings": {key: chance.choice(KEYS[key]) for key in chosen if key not in reset},
        "reset": reset,
        "access_url": portals,
        "lock": chance.choice([None, True, False]) if {"all", "1"} & set(portals) else None,
        "pin": chance.choice([None, None, None, True, False]),
    }


@pytest.mark.long
@both_versions
@pytest.mark.parametrize("way", ["pymysql"], indirect=True)
def test_from_any_state_the_check_is_the_run_and_a_second_run_does_nothing(
    way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The override file lies here, where no application has a cache to be cleared."""
    monkeypatch.setattr(Portal, "_clear_cache", lambda _portal: None)
    way.application = Installation(str(tmp_path), "www-data")
    file = tmp_path / "config/settings_overrides.yaml"
    file.parent.mkdir()
    chance = random.Random(9)
    reported = {"changed": 0, "refused": 0, "pinned": 0, "repaired": 0, "as it was": 0}

    def there() -> tuple[str, str | None]:
        every = "SELECT * FROM settings ORDER BY id;"
        return sql(way.host, every), file.read_text() if file.exists() else None

    for _round in range(50):
        random_state(chance, way.host, file)
        expected, before = random_settings(chance), there()
        try:
            predicted = way.apply(**expected, check=True)
        except SettingsError as problem:
            with pytest.raises(SettingsError, match=re.escape(str(problem))):
                way.apply(**expected)
            assert there() == before, expected
            reported["refused"] += 1
            continue
        assert there() == before, expected
        assert way.apply(**expected) == predicted, expected
        after = there()
        assert predicted["changed"] == (after != before), expected
        again = way.apply(**expected)
        assert (again["changed"], again["repaired"], there()) == (False, [], after), expected
        assert {key: one["before"] for key, one in again["settings"].items()} == {
            key: one["after"] for key, one in predicted["settings"].items()
        }
        reported["changed" if predicted["changed"] else "as it was"] += 1
        reported["pinned"] += before[1] != after[1]
        reported["repaired"] += bool(predicted["repaired"])
    print(f"\n{reported}")
    assert min(reported.values()) > 0, "the random states are too tame"


# ------------------------------------------------------------------------------------------------ pins, and Ansible

EXISTING = """\
# Ask Ada before you change this.
parameters:
    settings_overrides:
        default:
            hosting_limit:
                users: 0   # no limit
            registration.allow_lostpassword: 'true'
        7:
            security.check_password: 'false' # an old exception
"""


def play(playbook: Playbook, **options: Any) -> str:
    task = {"chamilo.hardening.chamilo_settings": {"chamilo_root": "/var/www/chamilo", **options}}
    return playbook.write("play.yml", json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [task]}]))


def change_password(host: Host, new: str) -> int:
    student = Browser(f"http://{host.domain}", host.address)
    assert student.login("student01", PASSWORDS["student01"]).status == 200
    answer = student.post_json("/account/change-password", current_password=PASSWORDS["student01"], new_password=new)
    if answer.status == 200:
        back = student.post_json("/account/change-password", current_password=new, new_password=PASSWORDS["student01"])
        assert back.status == 200
    return answer.status


def test_a_pin_stays_whatever_the_administrator_saves(fresh: Host, playbook: Playbook) -> None:
    fresh.put(FILE, EXISTING, mode="0640", owner="root:www-data")
    expected = {CHECK: True, RULES: POLICY}
    pinned = play(playbook, pin=True, settings=expected)
    assert change_password(fresh, "ab") == 200
    assert playbook.run(pinned, fresh, "--check").changed[fresh.domain] == 1
    assert fresh.get(FILE) == EXISTING
    played = playbook.run(pinned, fresh, "--diff")
    assert played.changed[fresh.domain] == 1
    assert "+            security.check_password: 'true'" in played.output

    admin = Browser(f"http://{fresh.domain}", fresh.address)
    assert admin.login("admin", PASSWORDS["admin"]).status == 200
    saved = admin.request(
        "POST",
        "/admin/settings/security",
        b"check_password=false",
        {"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert saved.status == 302
    assert [row[3] for row in rows(fresh, CHECK)] == ["false"], "the form did save"
    assert change_password(fresh, "short-Pw-1!") == 400, "and it has no effect"
    assert missing_from_the_portal(fresh, "http") == []

    text = fresh.get(FILE)
    kept = [line for line in EXISTING.splitlines() if "check_password" not in line]
    assert [line for line in text.splitlines() if line in kept] == kept
    assert "            security.check_password: 'true' # an old exception\n" in text
    assert fresh.run(["stat", "-c", "%U:%G %a", FILE]).stdout == "root:www-data 640\n"
    foreign = fresh.run("find /var/www/chamilo/var/cache ! -user www-data").stdout
    assert foreign == ""
    # The row that the form saved is restored, and then nothing is left to do.
    assert playbook.run(pinned, fresh).changed[fresh.domain] == 1
    assert playbook.run(pinned, fresh).changed[fresh.domain] == 0
    assert playbook.run(play(playbook, pin=False, settings=expected), fresh).changed[fresh.domain] == 1
    assert "check_password" not in fresh.get(FILE)


def test_after_a_failure_the_old_file_is_back_and_the_portal_works(fresh: Host, playbook: Playbook) -> None:
    fresh.put(FILE, EXISTING, mode="0640", owner="root:www-data")
    broken = "/var/www/chamilo/config/packages/zz_broken.yaml"
    fresh.put(broken, "framework: {no_such_key: 1}\n")
    before = rows(fresh, CHECK)
    with pytest.raises(PlayError, match="cache:clear failed as www-data"):
        playbook.run(play(playbook, pin=True, settings={CHECK: True}), fresh)
    assert fresh.get(FILE) == EXISTING
    assert rows(fresh, CHECK) == before
    fresh.run(["rm", broken])
    assert missing_from_the_portal(fresh, "http") == []
    file = fresh.run(["stat", "-c", "%i %y %z %U:%G %a", FILE]).stdout
    with pytest.raises(PlayError, match="Did you mean security.check_password, "):
        playbook.run(play(playbook, pin=True, settings={"security.chek_password": True, CHECK: True}), fresh)
    assert rows(fresh, CHECK) == before
    assert (fresh.get(FILE), fresh.run(["stat", "-c", "%i %y %z %U:%G %a", FILE]).stdout) == (EXISTING, file)


def test_a_secret_is_nowhere_to_be_seen(fresh: Host, playbook: Playbook) -> None:
    test_account = "canary-4f1c9e"
    watch = (
        "import glob, time\n"
        "open('/tmp/seen', 'ab').close()\n"  # shows later that the watcher ran
        "end = time.monotonic() + 40\n"
        "while time.monotonic() < end and not glob.glob('/tmp/enough'):\n"
        "    for path in glob.glob('/proc/[0-9]*/cmdline') + glob.glob('/proc/[0-9]*/environ'):\n"
        "        try:\n"
        "            text = open(path, 'rb').read()\n"
        "        except OSError:\n"
        "            continue\n"
        f"        if b'{test_account[:6]}' in text and b'{test_account[7:]}' in text and b'glob' not in text:\n"
        "            open('/tmp/seen', 'ab').write(text)\n"
    )
    password = fresh.run("sed -n \"s/^DATABASE_PASSWORD='\\(.*\\)'$/\\1/p\" /var/www/chamilo/.env").stdout.strip()
    fresh.run(["sh", "-c", 'python3 -c "$1" >/dev/null 2>&1 &', "sh", watch])
    expected = play(playbook, secret_settings={"mail.mailer_dsn": f"smtp://a:{test_account}@mail.test"}, pin=True)
    played = playbook.run(expected, fresh, "-vvvv", "--diff")
    fresh.run(["touch", "/tmp/enough"])
    assert played.changed[fresh.domain] == 1
    assert [row[3] for row in rows(fresh, "mail.mailer_dsn")] == [f"smtp://a:{test_account}@mail.test"]
    assert test_account in fresh.get(FILE)
    assert test_account not in played.output and password not in played.output
    assert test_account not in fresh.run(["journalctl", "--no-pager"]).stdout
    assert fresh.get("/tmp/seen") == ""
    readable = fresh.run(f"grep -rls {test_account} /etc /tmp /var/log /root/.ansible {FILE}", check=False).stdout
    assert readable.split() == [FILE]
    assert fresh.run(["stat", "-c", "%U:%G %a", FILE]).stdout == "root:www-data 640\n"
