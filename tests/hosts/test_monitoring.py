"""The role monitoring: what goes wrong on a host reaches a person, by mail and by webhook."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.attacks import through
from tests.hosts.conftest import Cell
from tests.hosts.hardening import KEEP_PROGRAMS, Playbook, missing_from_the_portal, unrelated_site
from tests.hosts.test_brute_force import JAIL
from tests.testbed import mail
from tests.testbed.hosts import Host
from tests.testbed.mail import HOOK, Sink

ROOT = "/var/www/chamilo"
MAIL = "admin@school.example"
RECIPIENTS = {"chamilo_alert_mail": MAIL, "chamilo_alert_webhook": HOOK, "chamilo_monitoring_smtp_host": mail.NAME}
SECTIONS = "permissions,monitoring"
LOG = f"{ROOT}/var/log/prod.log"
RECORD = "/var/lib/chamilo-hardening/monitoring.json"


@pytest.fixture
def playbook(playbook: Playbook, release: str) -> Playbook:
    """One that has the package of the release."""
    playbook.given["chamilo_release_archive"] = release
    return playbook


@pytest.fixture
def monitored(stage: Callable[..., Host], playbook: Playbook, sink: Sink, tmp_path: Path) -> Host:
    """A host that is watched, by a monit that checks every four seconds, and has a check of its administrator's too."""

    def prepare(host: Host) -> None:
        harden(playbook, host, tmp_path)
        host.run("sed -i 's/^set daemon.*/set daemon 4/; s/^# *check system/check system/' /etc/monit/monitrc")
        host.run("monit -t && systemctl restart monit")

    return stage("monitored", prepare)


def harden(playbook: Playbook, host: Host, reports: Path, *options: str, **variables: Any) -> int:
    """Harden what is checked here, with reports in a directory of the test's own."""
    output = {**RECIPIENTS, "chamilo_report_dir": str(reports / "report"), **variables}
    played = playbook.run(
        "harden", host, *(options if "--tags" in options else ("--tags", SECTIONS, *options)), **output
    )
    print(played.output)
    return played.changed[host.domain]


def audited(playbook: Playbook, host: Host) -> dict[str, tuple[str, str]]:
    playbook.run("audit", host)
    report = json.loads((playbook.directory / "report/report.json").read_text())
    rows = [one for one in report["hosts"][0]["controls"] if one["level"] != "people"]
    return {one["id"]: (one["status"], one["evidence"]) for one in rows}


def daily(host: Host, check: bool = True) -> str:
    return host.run(["chamilo-hardening", "daily", "monitoring"], check=check).stdout


def titles(sink: Sink) -> list[str]:
    """What was reported, but of a machine that is busy with tests."""
    return [title for title in sink.titles() if not title.startswith(("The machine", "The processor", "The memory"))]


def record(host: Host) -> dict[str, Any]:
    known: dict[str, Any] = json.loads(host.get(RECORD))
    return known


def test_one_run_has_a_person_reported_and_the_second_changes_nothing(
    fresh: Host, sink: Sink, playbook: Playbook, tmp_path: Path
) -> None:
    other = unrelated_site(fresh)
    before = audited(playbook, fresh)
    assert {before[f"monitoring_{name}"][0] for name in ("app_log", "resources", "auth", "accounts", "delivery")} == {
        "fail"
    }
    harden(playbook, fresh, tmp_path, "--check", "--diff")
    harden(playbook, fresh, tmp_path)
    assert harden(playbook, fresh, tmp_path) == 0
    after = {name: found for name, found in audited(playbook, fresh).items() if name.startswith("monitoring_")}
    assert {name: found for name, found in after.items() if found[0] != "pass"} == {}
    (test,) = (message for message in sink.mails() if "Test alert" in message["Subject"])
    assert (test["X-To"], test["X-TLS"]) == (MAIL, "True")
    assert "Test alert" in sink.titles()
    # The list of files is off the host, and the same as there.
    (copy,) = (tmp_path / "report/integrity").iterdir()
    assert copy.read_text() == fresh.get("/var/lib/chamilo-hardening/integrity-campus_test.json")
    assert missing_from_the_portal(fresh, "http") == [] and unrelated_site(fresh) == other


def test_an_error_and_many_failed_logins_and_a_full_disk_are_reported(monitored: Host, sink: Sink) -> None:
    sink.forget()
    # A missing page is no error of the application.
    assert monitored.http("/nothing-here").status == 404
    for last in range(2, 21):
        login(monitored, f"127.0.0.{last}", f"nobody{last}")
    seen = monitored.run(["chamilo-hardening", "watch", "logins", "campus_test"])
    assert seen.stdout.startswith("19 failed logins from 19 addresses in 10 minutes")
    monitored.run("sleep 12")
    assert titles(sink) == []
    login(monitored, "127.0.0.21", "nobody21")
    sink.wait(lambda: "Many failed logins at campus.test" in sink.titles())
    (reported,) = (hook for hook in sink.hooks() if hook["title"].startswith("Many"))
    assert "20 failed logins from 20 addresses" in reported["text"]

    assert monitored.http("/_testbed/crash").status == 500
    sink.wait(lambda: "Chamilo at campus.test made errors" in sink.titles())
    assert "CRITICAL" in monitored.tail(LOG)

    # monit lives in a mount namespace of its own, into which a container passes no later mount on.
    monitored.run("mkdir -p /var/backups && mount -t tmpfs -o size=2m tmpfs /var/backups && systemctl restart monit")
    monitored.run("head -c 2000000 /dev/zero >/var/backups/full")
    sink.wait(lambda: "A disk of campus.test is nearly full" in sink.titles())
    assert any("/var/backups is 9" in hook["text"] for hook in sink.hooks())
    monitored.run("umount /var/backups")
    # The same is not reported twice a day, whatever happens meanwhile.
    login(monitored, "127.0.0.22")
    monitored.run("sleep 12")
    assert len(sink.mails()) == len(sink.hooks()) == len(set(sink.titles()))

    # A log that was rotated is written and watched on. What was reported today is forgotten, or it would be silent.
    sink.forget()
    monitored.run("rm /var/lib/chamilo-hardening/alerts.json && logrotate -f /etc/logrotate.d/chamilo-campus_test")
    assert monitored.run(["stat", "--format=%s %U %a", LOG]).stdout == "0 www-data 660\n"
    assert monitored.http("/_testbed/crash").status == 500
    assert "CRITICAL" in monitored.get(LOG)
    sink.wait(lambda: "Chamilo at campus.test made errors" in sink.titles())
    monitored.run(["rm", LOG])
    sink.wait(lambda: "The log of campus.test is gone" in sink.titles())


# What is done to a host and must be noticed: the limits of monit are lowered, or a service stopped.
LOWER = r"s/(usage) > [0-9]+% for [0-9]+ cycles/\1 > 0%/; s/(per core) > 4/\1 > 0/"
BUSY = {"The processor is busy", "The memory is nearly used up", "The machine is overloaded"}


@pytest.mark.long
def test_a_busy_machine_and_a_service_that_stopped_are_reported(monitored: Host, sink: Sink) -> None:
    # Tests may have made it a busy machine already, and what was reported today is not reported again.
    monitored.run("rm -f /var/lib/chamilo-hardening/alerts.json")
    sink.forget()
    monitored.run("systemctl stop 'php*-fpm.service'")
    sink.wait(lambda: "A service of campus.test does not run: php" in sink.titles())
    assert not [title for title in sink.titles() if title.startswith("A service") and not title.endswith(": php")]
    monitored.run("systemctl start 'php*-fpm.service'")
    monitored.run(["sed", "-Ei", LOWER, "/etc/monit/conf.d/chamilo-hardening"])
    monitored.run("monit -t && systemctl restart monit")
    sink.wait(lambda: BUSY <= set(sink.titles()), 120)


def login(host: Host, address: str, user: str = "admin") -> None:
    data = json.dumps({"username": user, "password": "wrong"})
    host.run(
        ["curl", "-s", "-o", "/dev/null", "--interface", address, "--resolve", "campus.test:80:127.0.0.1"]
        + ["-H", "Content-Type: application/json", "-d", data, "http://campus.test/login_json"]
    )


def test_accounts_are_listed_and_an_unexpected_administrator_is_reported(monitored: Host, sink: Sink) -> None:
    listed = monitored.get("/var/lib/chamilo-hardening/accounts-campus_test.txt")
    for words in ("dormant.student", "never.used", "student01, student01b", "Administrators: admin, second.admin"):
        assert words in listed
    sink.forget()
    daily(monitored)
    assert titles(sink) == [], "nothing is new"
    # An attacker guesses until Chamilo locks the account, and one administrator sets up a second factor.
    setting = "variable = 'login_max_attempt_before_blocking_account'"
    sql(monitored, f"UPDATE settings SET selected_value = '3' WHERE {setting}")
    for last in range(2, 7):
        login(monitored, f"127.0.0.{last}", "student07")
    assert sql(monitored, "SELECT active FROM user WHERE username = 'student07'") == "0"
    console = ["runuser", "-u", "www-data", "--", f"{ROOT}/bin/console"]
    monitored.run([*console, "testbed:second-factor", "second.admin"])
    sql(monitored, f"{PROMOTE}'never.used'")
    daily(monitored)
    (reported,) = (hook for hook in sink.hooks() if hook["title"] == "An unexpected administrator at campus.test")
    assert reported["text"].startswith("UNEXPECTED ADMINISTRATORS: never.used\n")
    assert "Locked by guessed passwords: 1 (student07)" in reported["text"].splitlines()
    assert "Administrators without a second factor: 2 (admin, never.used)" in reported["text"].splitlines()
    # Another one on the same day.
    sql(monitored, f"{PROMOTE}'student02'")
    daily(monitored)
    assert [hook["text"].splitlines()[0] for hook in sink.hooks() if "unexpected administrator" in hook["title"]] == [
        "UNEXPECTED ADMINISTRATORS: never.used",
        "UNEXPECTED ADMINISTRATORS: never.used, student02",
    ]
    sql(monitored, f"{DEMOTE}'student02'")


def sql(host: Host, statement: str) -> str:
    return host.run(["mariadb", "-N", "-B", "chamilo", "-e", statement]).stdout.strip()


def test_a_changed_file_and_an_edited_one_are_reported(
    monitored: Host, sink: Sink, playbook: Playbook, tmp_path: Path
) -> None:
    script = f"{ROOT}/public/main/admin/index.php"
    monitored.run(f"echo '// more' >>{script} && rm {ROOT}/public/favicon.ico && touch {ROOT}/src/new.php")
    daily(monitored)
    (reported,) = (hook for hook in sink.hooks() if "Files of" in hook["title"])
    for line in ("new: src/new.php", "changed: public/main/admin/index.php", "gone: public/favicon.ico"):
        assert line in reported["text"].splitlines()
    assert not record(monitored)["integrity"]["ok"]
    assert monitored.run(["chamilo-hardening", "integrity", "check"], check=False).returncode == 1
    monitored.run(["chamilo-hardening", "integrity", "accept"])
    assert monitored.run(["chamilo-hardening", "integrity", "check"]).stdout.strip() == "campus_test: as listed"
    # What the playbook itself writes into the portal is expected.
    harden(playbook, monitored, tmp_path, "--tags", "sessions,monitoring")
    sink.forget()
    monitored.run("echo '# mine' >>/etc/monit/conf.d/chamilo-hardening")
    daily(monitored)
    assert titles(sink) == ["Files of this collection were edited by hand"]
    # A list that an intruder made fit is not believed, and the copy elsewhere shows the difference.
    kept = monitored.get("/var/lib/chamilo-hardening/integrity-campus_test.json")
    monitored.put("/root/copy.json", kept)
    monitored.run("sed -i 's/favicon/favicom/' /var/lib/chamilo-hardening/integrity-campus_test.json")
    monitored.run(f"echo '// still more' >>{script}")
    assert "was changed by hand" in monitored.run(["chamilo-hardening", "integrity", "check"], check=False).stderr
    against = monitored.run(["chamilo-hardening", "integrity", "check", "--against", "/root/copy.json"], check=False)
    assert "changed: public/main/admin/index.php" in against.stdout


# Roles as PHP writes them, and as JSON since 3.0.
PROMOTE = """
UPDATE user SET roles = REPLACE(REPLACE(roles, '12:"ROLE_STUDENT', '10:"ROLE_ADMIN'), '"ROLE_STUDENT"', '"ROLE_ADMIN"')
WHERE username = """.replace("\n", " ").lstrip()
DEMOTE = """
UPDATE user SET roles = REPLACE(REPLACE(roles, '10:"ROLE_ADMIN', '12:"ROLE_STUDENT'), '"ROLE_ADMIN"', '"ROLE_STUDENT"')
WHERE username = """.replace("\n", " ").lstrip()


# What is taken away of a host that was green, what brings it back, and which checks must see it at once.
TAKEN = {
    "systemctl stop monit": ("systemctl start monit", {"app_log", "resources", "auth"}),
    "systemctl stop chamilo-hardening-daily.timer": (
        "systemctl start chamilo-hardening-daily.timer",
        {"app_log", "resources", "auth", "accounts", "delivery", "integrity"},
    ),
    # Neither the audit nor monit waits for a pipe.
    f"mv {LOG} {LOG}.kept && mkfifo {LOG}": (f"mv {LOG}.kept {LOG}", {"app_log"}),
}


def test_what_is_taken_away_is_red_at_once(monitored: Host, playbook: Playbook) -> None:
    for take, (bring, desired) in TAKEN.items():
        monitored.run(take)
        found = {name: one for name, one in audited(playbook, monitored).items() if name.startswith("monitoring_")}
        red = {name.partition("_")[2] for name, one in found.items() if one[0] != "pass"}
        assert red == desired, (take, found)
        monitored.run(bring)


def figures(host: Host) -> Callable[[str], float]:
    """What node-exporter would read, by name and labels."""
    lines = host.get("/var/lib/prometheus/node-exporter/chamilo_campus_test.prom").splitlines()
    known = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return lambda name: float(known[f"chamilo_{name}"])


def test_the_host_audits_itself(cell: Cell, monitored: Host, playbook: Playbook) -> None:
    """What the playbook audit sees, each control, but what only the controller can know."""
    seen = audited(playbook, monitored)
    shown = monitored.run("chamilo-hardening audit --json", check=False).stdout
    (one,) = json.loads(shown)
    # Which level a control has is the controller's to say.
    known = {name for name, (status, _evidence) in seen.items() if status != "advice"}
    rows = {name: found["status"] for name, found in one["answer"]["observed"].items() if name in known}
    assert {name for name, status in rows.items() if status != seen[name][0]} <= {"backups_encrypted"}
    shown = monitored.run("chamilo-hardening audit", check=False).stdout
    assert shown.startswith(f"{monitored.domain}, Chamilo {cell.flavour}.")
    assert "pass           permissions_env" in shown


@pytest.mark.long
def test_without_a_recipient_checks_fail_and_no_play_does(fresh: Host, playbook: Playbook, tmp_path: Path) -> None:
    silent: dict[str, Any] = dict.fromkeys(RECIPIENTS, "")
    # A mail program that is there is used as it is.
    fresh.put("/usr/sbin/sendmail", "#!/bin/sh\ncat >>/var/tmp/mails\n", "0755")
    harden(playbook, fresh, tmp_path, **silent)
    assert harden(playbook, fresh, tmp_path, **silent) == 0
    status = audited(playbook, fresh)
    assert {status[f"monitoring_{name}"][0] for name in ("app_log", "resources", "auth", "delivery")} == {"fail"}
    assert "There is no recipient of alerts: set chamilo_alert_mail" in status["monitoring_delivery"][1]
    refused = fresh.run(["chamilo-hardening", "alert", "--test"], check=False)
    assert refused.returncode == 1 and "No recipient: set" in refused.stderr
    others = ("--tags", "https,brute_force,backups,monitoring")
    harden(playbook, fresh, tmp_path, *others, chamilo_alert_webhook="", chamilo_monitoring_node_exporter=True)
    assert (
        fresh.get("/usr/sbin/sendmail").startswith("#!/bin/sh")
        and not fresh.run("dpkg -l msmtp-mta", check=False).stdout
    )
    assert f"To: {MAIL}" in fresh.get("/var/tmp/mails")
    fresh.run(f"fail2ban-client set {JAIL} banip 203.0.113.9 203.0.113.10")
    daily(fresh)
    now = float(fresh.run("date +%s").stdout)
    figure = figures(fresh)
    assert figure('control_status{site="campus_test",control="monitoring_delivery",status="pass"}') == 1
    assert figure('job_ok{site="campus_test",job="monitoring_auth"}') == 1
    assert figure('job_ok{site="campus_test",job="backups_offsite"}') == 0, "there is none"
    for job in ("backups_database", "backups_drill"):
        assert figure(f'job_ok{{site="campus_test",job="{job}"}}') == 1
        assert 0 <= now - figure(f'job_timestamp_seconds{{site="campus_test",job="{job}"}}') < 600
    end = fresh.run(
        "openssl x509 -enddate -noout -in /etc/ssl/testbed/fullchain.pem | cut -d= -f2 | date -f - +%s"
    ).stdout
    assert abs(figure('certificate_days{site="campus_test"}') - (float(end) - now) / 86400) < 0.1
    assert figure(f'bans{{site="campus_test",jail="{JAIL}"}}') == 2
    # Everything of the section goes again.
    fresh.run(["chamilo-hardening", "undo", "monitoring", "--yes"])
    assert fresh.run("ls /etc/monit/conf.d /etc/logrotate.d").stdout.count("chamilo") == 0


@pytest.mark.long
def test_a_list_without_a_copy_elsewhere_is_not_enough(monitored: Host) -> None:
    monitored.run("rm /var/lib/chamilo-hardening/integrity.json")
    daily(monitored)
    entry = record(monitored)["integrity"]
    assert not entry["ok"] and "no copy of the list is off this host" in entry["detail"]


ATTACKS = {f"monitoring_{name}" for name in ("app_log", "auth", "accounts", "integrity")}
# What is reported of each harm below.
HARM = {
    "Chamilo at campus.test made errors",
    "A disk of campus.test is nearly full",
    "Many failed logins at campus.test",
    "An unexpected administrator at campus.test",
    "Files of campus.test were changed",
    "New at campus.test, which an intruder may have left",
}


def harm(host: Host) -> None:
    """What must be reported, each kind once."""
    assert host.http("/_testbed/crash").status == 500
    for last in range(2, 22):
        login(host, f"127.0.0.{last}")
    sql(host, f"{PROMOTE}'never.used'")
    host.run(f"echo more >{ROOT}/public/main/more.txt; echo '<?php' >{ROOT}/var/upload/x.php")
    host.run("mkdir -p /var/backups && mount -t tmpfs -o size=2m tmpfs /var/backups")
    host.run("head -c 2000000 /dev/zero >/var/backups/full")


def heal(host: Host) -> None:
    sql(host, f"{DEMOTE}'never.used'")
    host.run(f"umount /var/backups; rm {ROOT}/public/main/more.txt {ROOT}/var/upload/x.php")


@pytest.mark.long
def test_the_log_is_real_where_php_keeps_programs_for_good(fresh: Host, playbook: Playbook, tmp_path: Path) -> None:
    fresh.run(KEEP_PROGRAMS)
    playbook.harden(fresh, "--tags", "permissions")  # production mode
    assert fresh.http("/login").status == 200
    harden(playbook, fresh, tmp_path, "--tags", "monitoring")
    assert fresh.http("/_testbed/crash").status == 500
    assert "request.CRITICAL" in fresh.get(LOG)


# Packages stay, and so do logs and what programs keep in their own directories.
STAYS = ["/var/*", "/usr/*", "/root/*", f"{ROOT}/var/*", "/etc/monit*", "/etc/logrotate.d/monit", "/etc/ssl/*"]
STAYS += ["/etc/ld.so.cache", "/etc/*/monit*", "/etc/default/*", "/etc/passwd*", "/etc/group*", "/etc/*shadow*"]
ONLY_TIME = re.compile(r": d (\d+ \S+) \d+ -> d \1 \d+$")


@pytest.mark.long
def test_attacks_go_unnoticed_before_are_reported_after_and_absent_undoes_it(
    fresh: Host, sink: Sink, playbook: Playbook, tmp_path: Path
) -> None:
    before = fresh.snapshot()
    harm(fresh)
    assert through(fresh, ATTACKS) == ATTACKS
    assert sink.mails() == [] and sink.hooks() == []
    heal(fresh)
    # What was asked for before would be found at once, and the same alert is sent once a day.
    fresh.run("find /var/log -name '*access*.log' -exec truncate --size 0 {} +")

    harden(playbook, fresh, tmp_path)
    # Only over http does monit report what it saw.
    fresh.put("/etc/monit/conf.d/test", "set httpd port 2812 use address localhost allow localhost\n")
    fresh.run("sed -i 's/^set daemon.*/set daemon 4/' /etc/monit/monitrc && systemctl restart monit")
    # What is in a log before monit reads it for the first time is not reported.
    inspected = "monit status chamilo_campus_test_log | grep -qE '^ +status +OK'"
    fresh.run(["timeout", "60", "sh", "-c", f"until {inspected}; do sleep 1; done"])
    sink.forget()
    harm(fresh)
    # monit lives in a mount namespace of its own, into which a container passes no later mount on.
    fresh.run("systemctl restart monit")
    daily(fresh)
    sink.wait(lambda: HARM <= set(sink.titles()), 120)
    subjects = "\n".join(str(message["Subject"]) for message in sink.mails())
    assert [title for title in HARM if title not in subjects] == []
    heal(fresh)
    assert through(fresh, ATTACKS) == set()

    absent = {"chamilo_monitoring_state": "absent"}
    assert harden(playbook, fresh, tmp_path, "--tags", "monitoring", **absent) > 0
    assert harden(playbook, fresh, tmp_path, "--tags", "monitoring", **absent) == 0
    assert through(fresh, ATTACKS) == ATTACKS
    files = [change for change in before.changes(fresh.snapshot(), STAYS) if not ONLY_TIME.search(change)]
    # What packages brought stays, and so do the lines of the section https. All else is as it was before.
    old = [change for change in files if change.startswith("/etc/") and ": absent -> " not in change]
    assert [change for change in old if "/sites-available/chamilo" not in change] == []
    assert "monitoring" not in fresh.run("chamilo-hardening status").stdout
    assert not missing_from_the_portal(fresh, "http")
