"""What an intruder left is listed for a person, and an alert once it was accepted; what he took along opens nothing."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tests.hosts.hardening import Playbook, missing_from_the_portal
from tests.hosts.test_audit_data import audit, install
from tests.testbed import authority, mail
from tests.testbed.app.selfcheck import PASSWORDS, Browser
from tests.testbed.hosts import Host
from tests.testbed.mail import HOOK, Sink

ROOT = "/var/www/chamilo"
ALERT = "New at campus.test, which an intruder may have left"
# The host program, for which a process is old at once.
AGED = """
import sys
sys.path.insert(0, "/usr/local/sbin/chamilo-hardening")
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring import left_behind
from ansible_collections.chamilo.hardening.plugins.module_utils._program.main import main
left_behind.OLD = 0.0
sys.exit(main(sys.argv[1:]))
"""
# As the web user: the line of the list, and what leaves it.
AS_THE_WEB_USER = {
    "Crontab of the web user: www-data: * * * * * php /var/tmp/x.php": (
        "echo '* * * * * php /var/tmp/x.php' | crontab -"
    ),
    "Process of the web user that is no server, for over an hour: www-data: /usr/bin/sleep in": (
        "setsid -f sleep 3000 >/dev/null 2>&1"
    ),
    "PHP below var/ (but for var/cache, which Symfony compiles): var/upload: 1 file (www-data,": (
        f"echo '<?php' >{ROOT}/var/upload/x.php"
    ),
    "PHP below var/ (but for var/cache, which Symfony compiles): var/log/a/b: 2 files (www-data, newest of 20": (
        f"mkdir -p {ROOT}/var/log/a/b/c/d && cd {ROOT}/var/log/a/b && touch c/d/x.phtml c/x.phar"
    ),
}
AS_ROOT = {
    "At job of the web user: /var/spool/cron/atjobs/a0000101c0de00: cd /var/www || exit 1 php /var/tmp/y.php": (
        "mkdir -p /var/spool/cron/atjobs && cd /var/spool/cron/atjobs && printf '#!/bin/sh\\nHOME=/; export HOME\\n"
        "cd /var/www || exit 1\\nphp /var/tmp/y.php\\n' >a0000101c0de00 && chown www-data a0000101c0de00"
    ),
    "Key that lets in as the web user: /var/www/.ssh/authorized_keys: ssh-ed25519 AAAAC3 mallory": (
        "install -d -o www-data /var/www/.ssh && echo 'ssh-ed25519 AAAAC3 mallory' >/var/www/.ssh/authorized_keys"
    ),
    "Unit of the web user's own: /var/www/.config/systemd/user/x.service (www-data, 20": (
        "cd /var/www && install -d -o www-data .config/systemd/user && cd .config/systemd/user && "
        "printf '[Service]\\nExecStart=/var/tmp/x\\n' >x.service && chown www-data x.service"
    ),
    "Unit of the web user's own: /var/lib/systemd/linger/www-data (root,": (
        "mkdir -p /var/lib/systemd/linger && touch /var/lib/systemd/linger/www-data"
    ),
    "Hidden file in the home of the web user: /var/www/.bashrc (www-data,": (
        "install -o www-data /dev/null /var/www/.bashrc"
    ),
    "Hidden file in the home of the web user: /var/www/.ssh (www-data,": "",
    "Hidden file in the home of the web user: /var/www/.config (www-data,": "install -d -o www-data /var/www/.config",
}
IN_THE_PORTALS_DATABASE = {
    "Runs in the database, as its definer: trigger chamilo.raise, as root@localhost: UPDATE user": (
        "CREATE TRIGGER raise AFTER INSERT ON track_e_login FOR EACH ROW UPDATE user SET status = 1 WHERE id = 0"
    ),
    "Runs in the database, as its definer: event hidden.again, as root@localhost: DELETE": (
        "CREATE DATABASE hidden; CREATE EVENT hidden.again ON SCHEDULE EVERY 1 DAY DO DELETE FROM mysql.user WHERE 0"
    ),
    "Runs in the database, as its definer: function chamilo.two, as root@localhost: RETURN 2": (
        "CREATE FUNCTION two() RETURNS INT DETERMINISTIC RETURN 2"
    ),
    "Runs in the database, as its definer: view chamilo.hashes, as root@localhost:": (
        "CREATE VIEW hashes AS SELECT Host FROM mysql.user"
    ),
    "Administrator made in the last 30 days, or with the account of a pupil: second.admin": (
        "UPDATE user SET created_at = NOW() WHERE username = 'second.admin'"
    ),
    "Administrator made in the last 30 days, or with the account of a pupil: student09": (
        """UPDATE user SET roles = 'a:1:{i:0;s:16:"ROLE_SUPER_ADMIN";}' WHERE username = 'student09'"""
    ),
}
IN_THE_PROGRAM = {
    "Files of the program: public/main/admin: 1 file differs from the package (owner ": (
        f"echo '// more' >>{ROOT}/public/main/admin/index.php"
    ),
    "Files of the program: public/main/inc: 2 files are in no package (owner ": (
        f"touch {ROOT}/public/main/inc/shell.php {ROOT}/public/main/inc/other.php"
    ),
}


BESIDE = "Files of the program: public: 1 file is in no package (owner root, newest 20"


def run(host: Host, *command: str, check: bool = True) -> str:
    return host.run(["python3", "-c", AGED, *command], check=check).stdout


def lists(host: Host) -> list[str]:
    return run(host, "integrity", "lists").splitlines()


def plant(host: Host) -> list[str]:
    """Returns how each line begins that a person is to read then."""
    for command in AS_ROOT.values():
        host.run(command or "true")
    for command in AS_THE_WEB_USER.values():
        host.run(["runuser", "-u", "www-data", "--", "sh", "-c", command])
    for statement in IN_THE_PORTALS_DATABASE.values():
        host.run(["mariadb", "chamilo"], data=statement)
    return [*AS_ROOT, *AS_THE_WEB_USER, *IN_THE_PORTALS_DATABASE]


def unlisted(expected: list[str], lines: list[str]) -> list[str]:
    return [start for start in expected if not any(line.startswith(start) for line in lines)]


@pytest.mark.wire
def test_what_an_intruder_left_is_listed_accepted_as_a_whole_and_an_alert_when_it_is_new(
    fresh: Host, playbook: Playbook, sink: Sink, release: str, tmp_path: Path
) -> None:
    given = {"chamilo_alert_webhook": HOOK, "chamilo_monitoring_smtp_host": mail.NAME}
    only = ("--tags", "permissions,monitoring")
    playbook.run("harden", fresh, *only, chamilo_release_archive="off", **given)
    clean = lists(fresh)
    print("\nWhere nothing was planted:", *clean, sep="\n")
    assert clean == [
        "campus_test: * Files of the program: compared with no package of the release (chamilo_release_archive)"
    ]
    assert ALERT not in sink.titles()

    expected = plant(fresh)
    for command in IN_THE_PROGRAM.values():
        fresh.run(command)
    sink.forget()
    run(fresh, "daily", "monitoring", check=False)
    (alerted,) = (hook["text"] for hook in sink.hooks() if hook["title"] == ALERT)
    assert unlisted(expected, alerted.splitlines()) == []
    # Without the package, a changed file is seen by the list of files that the host has.
    checked = fresh.run(["chamilo-hardening", "integrity", "check"], check=False).stdout
    assert "changed: public/main/admin/index.php" in checked and "new: public/main/inc/shell.php" in checked
    playbook.run("audit", fresh)
    report = playbook.directory / "report"
    (entry,) = json.loads((report / "report.json").read_text())["hosts"]
    assert unlisted(expected, entry["signs"]) == []
    page = (report / "report.html").read_text()
    assert "What an intruder may have left, for a person to read" in page and "public.key" not in page
    assert "chamilo-hardening integrity accept" in page and "www-data: * * * * * php /var/tmp/x.php" in page

    # With it, what differs from it or is in none is named by directory.
    playbook.run("harden", fresh, *only, chamilo_release_archive=release, **given)
    run(fresh, "daily", "monitoring", check=False)
    found = lists(fresh)
    print("\nOn the same host, later:", *found, sep="\n")
    starred = [line.removeprefix("campus_test: * ") for line in found if line.startswith("campus_test: * ")]
    expected += IN_THE_PROGRAM
    assert unlisted(expected, starred) == []
    # What was there before, below the web root.
    (beside,) = (line for line in starred if not line.startswith(tuple(expected)))
    assert beside.startswith(BESIDE)
    assert f"campus_test: {len(starred)} lines, as listed on 20" in fresh.run("chamilo-hardening status").stdout
    # Nothing was disabled.
    assert "// more" in fresh.get(f"{ROOT}/public/main/admin/index.php") and fresh.http("/login").status == 200

    run(fresh, "integrity", "accept")
    assert [line for line in lists(fresh) if "*" in line[: len("campus_test: *")]] == []
    sink.forget()
    run(fresh, "daily", "monitoring", check=False)
    assert ALERT not in sink.titles()
    # The same process with another number is none that is new.
    fresh.run("pkill -u www-data sleep; runuser -u www-data -- setsid -f sleep 3001 >/dev/null 2>&1")
    fresh.run(f"echo '<?php' >{ROOT}/var/upload/y.php; chown www-data {ROOT}/var/upload/y.php")
    for _day in range(2):
        run(fresh, "daily", "monitoring", check=False)
    (alerted,) = (hook["text"] for hook in sink.hooks() if hook["title"] == ALERT)
    assert alerted.splitlines()[0].startswith(
        "PHP below var/ (but for var/cache, which Symfony compiles): var/upload: 2 files (www-data, newest of 20"
    )
    assert not alerted.splitlines()[1]


# With the application's own account, as the sloppy host has it: each with the statement that removes it.
IN_THE_DATABASE = {
    "ALTER USER root@localhost IDENTIFIED VIA mysql_native_password USING PASSWORD('evil-1') OR unix_socket": (
        "ALTER USER 'root'@'localhost' IDENTIFIED VIA mysql_native_password USING 'invalid' OR unix_socket;"
    ),
    "ALTER USER 'mariadb.sys'@localhost IDENTIFIED VIA mysql_native_password USING PASSWORD('evil-1') ACCOUNT UNLOCK": (
        "ALTER USER 'mariadb.sys'@'localhost' ACCOUNT LOCK;"
    ),
}


class Kept:
    """What an intruder takes along: a copy of the key that signs tokens, and the session of an administrator."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.login = Browser(f"http://{host.domain}", host.address)
        assert self.login.login("admin", PASSWORDS["admin"]).status == 200
        host.run(f"cp {ROOT}/config/jwt/private.pem /srv/key && cp {ROOT}/config/jwt/public.pem /srv/half")
        parts = [json.dumps(part).encode() for part in ({"alg": "RS256"}, {"username": "admin", "exp": 2**31})]
        body = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts).decode()
        sign = "openssl dgst -sha256 -sign /srv/key -passin pass:your_secret_passphrase"
        signature = host.run(f"{sign} | base64 -w0 | tr +/ -_ | tr -d =", data=body).stdout
        self._token = f"Bearer {body}.{signature}"
        host.run(
            "mariadb -h127.0.0.1 -uchamilo -pchamilo-db-Password-1 chamilo",
            user="www-data",
            data=";".join(IN_THE_DATABASE),
        )

    def opens(self, scheme: str) -> set[str]:
        """Where it makes the intruder an administrator."""
        base, ca = f"{scheme}://{self._host.domain}", str(authority.certificate())
        users = Browser(base, self._host.address, ca).get("/api/users", Authorization=self._token)
        session = Browser(base, self._host.address, ca, cookies=dict(self.login.cookies)).get("/check-session")
        ways = {"token": users.status == 200, "session": b'"isAuthenticated":true' in session.body}
        return {name for name, open_ in ways.items() if open_}


@pytest.mark.long
def test_what_an_intruder_took_along_opens_nothing_after_harden(fresh: Host, playbook: Playbook) -> None:
    install(fresh)
    kept = Kept(fresh)
    assert kept.opens("http") == {"token", "session"}
    fresh.run(f"cd {ROOT}/public && ln -s ../../.env build/env.txt && ln -s ../.. img/all", user="www-data")
    only = ("--tags", "https,permissions,monitoring")
    output = playbook.run("harden", fresh, *only, chamilo_release_archive="off").output
    assert missing_from_the_portal(fresh, "https") == []
    assert kept.opens("https") == set()
    words = " ".join(output.split())
    assert "Tokens that were given out are refused" in words and "all users log in once more" in words
    found = audit(fresh, "database", "permissions")
    for statement in IN_THE_DATABASE.values():
        assert statement in found.evidence["database_privileges"]
    assert found.status["permissions_secrets"] == "pass", found.evidence["permissions_secrets"]
    links = found.evidence["permissions_links"].partition("secrets of the program")[2]
    assert "public/build/env.txt" in links and "public/img/all" in links
