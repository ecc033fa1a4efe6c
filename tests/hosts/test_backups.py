"""The role backups: what it saves, whether a restore test detects each kind of damage, and what a restore recovers."""

from __future__ import annotations

import contextlib
import email
import email.policy
import json
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.hosts.attacks import through
from tests.hosts.conftest import RUN, Cell
from tests.hosts.hardening import ENDED, Playbook, dump, into_a_release, missing_from_the_portal
from tests.hosts.test_database import two_hosts
from tests.playbook import PlayError, play
from tests.testbed import hosts, images, store, vhosts
from tests.testbed.hosts import Host
from tests.testbed.store import Store

ROOT = "/var/www/chamilo"
KEY = "a-key-of-the-vault-1"
OFFSITE = {"chamilo_backups_offsite_repository": store.REPOSITORY, "chamilo_backups_password": KEY}
RECORD = "/var/lib/chamilo-hardening/backups.json"
SITE = "campus_test"
LOCAL = f"/var/backups/chamilo-hardening/{SITE}"
ACCOUNT = f"chamilo_{SITE}_backup"
ATTACKED = ("backups_encrypted", "backups_private")
# Chamilo has none of these; a plugin may.
OBJECTS = """
CREATE VIEW active_user AS SELECT id, username FROM user WHERE active = 1;
CREATE TRIGGER trimmed BEFORE INSERT ON course FOR EACH ROW SET NEW.title = TRIM(NEW.title);
CREATE DEFINER = chamilo@'%' FUNCTION doubled(number INT) RETURNS INT DETERMINISTIC RETURN 2 * number;
CREATE EVENT tidy_up ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 00:00:00' DO DELETE FROM course WHERE id < 0;
"""


@dataclass
class Saved:
    """A host that was saved on a store, and had a restore test."""

    host: Host
    store: Store
    playbook: Playbook


@pytest.fixture(scope="module")
def saved(cell: Cell, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Saved]:
    network = f"{RUN}-{cell}-saved"
    try:
        remote = store.up(network)
        host = cell.up("campus", network)
        make_anew(host)
        host.run(["mariadb", "chamilo"], data=OBJECTS)
        playbook = Playbook(tmp_path_factory.mktemp("saved"), "backups")
        playbook.harden(host, **OFFSITE)
        yield Saved(host, remote, playbook)
    finally:
        hosts.down(network)


def make_anew(host: Host) -> None:
    """The portal's directory: in an image's own ones nothing can change places."""
    host.run(f"cp -a {ROOT} {ROOT}.new && rm -rf {ROOT} && mv {ROOT}.new {ROOT}")


def record(host: Host) -> dict[str, Any]:
    entries: dict[str, Any] = json.loads(host.get(RECORD))
    return entries


def program(host: Host, *arguments: str, works: bool = True) -> str:
    """What the host program prints. Whether it works is part of the question."""
    done = host.run(["chamilo-hardening", *arguments], check=False)
    assert (done.returncode == 0) is works, done.stdout + done.stderr
    return done.stdout + done.stderr


def status(playbook: Playbook, host: Host, **variables: Any) -> dict[str, str]:
    playbook.run("audit", host, **variables)
    report = json.loads((playbook.directory / "report" / "report.json").read_text())
    return {entry["id"]: entry["status"] for entry in report["hosts"][0]["controls"] if entry["section"] == "backups"}


def logins(host: Host, log: str) -> set[str]:
    """Who read whole tables, by the server's log of all that is asked."""
    names: dict[str, str] = {}
    found = set()
    for line in host.get(log).splitlines():
        seen = re.search(r"(\d+) (Connect|Query)\t(.*)", line)
        if seen and seen[2] == "Connect":
            names[seen[1]] = seen[3].partition("@")[0]
        elif seen and "SQL_NO_CACHE" in seen[3]:
            found.add(names.get(seen[1], ""))
    return found


def contents(host: Host) -> dict[str, str]:
    """A digest of each file and each table of the portal, and how all in its database is made."""
    files = host.run(
        f"cd {ROOT} && find . -path ./var/cache -prune -o -path ./var/log -prune -o -type f -print0 | sort -z "
        "| xargs -0 sha256sum"
    ).stdout
    listed = (
        "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'chamilo' AND TABLE_TYPE <> 'VIEW' "
        "AND TABLE_NAME NOT LIKE '%\\_purse'"
    )
    tables = host.run(["mariadb", "--batch", "--skip-column-names", "-e", listed]).stdout.split()
    made = host.run("mariadb-dump --no-data --routines --events --skip-comments chamilo").stdout
    for name in ("active_user", "trimmed", "doubled", "tidy_up"):
        assert name in made
    sums = host.run(
        ["mariadb", "--batch", "--skip-column-names", "chamilo", "-e", f"CHECKSUM TABLE {', '.join(tables)}"]
    ).stdout
    modes = host.run(
        f"cd {ROOT} && find . -path ./var/cache -prune -o -path ./var/log -prune -o -printf '%p %m %U %G\\n'"
    ).stdout
    return {
        "made": made,
        **{line.split("  ", 1)[1]: line.split()[0] for line in files.splitlines()},
        **dict(line.split("\t") for line in sums.splitlines()),
        **{f"mode {line.split()[0]}": line for line in modes.splitlines()},
    }


@pytest.mark.wire
def test_every_control_is_true_and_the_second_run_changes_nothing(saved: Saved) -> None:
    host, playbook = saved.host, saved.playbook
    assert set(status(playbook, host, **OFFSITE).values()) == {"pass"}, record(host)
    # The record on the host is the same; the controller is one that has no copy of the key, or another key.
    assert status(playbook, host)["backups_encrypted"] == "not_assessed"
    assert status(playbook, host, chamilo_backups_password="another-key-1")["backups_encrypted"] == "fail"
    assert playbook.harden(host, **OFFSITE) == 0
    assert KEY not in playbook.run("harden", host, "--check", "--diff", **OFFSITE).output
    assert "campus" in host.get(f"/etc/chamilo-hardening/backups-{SITE}.json")
    for path in (f"/etc/chamilo-hardening/backups-{SITE}.key", LOCAL, "/var/lib/chamilo-hardening"):
        assert host.run(["find", path, "-perm", "/077"]).stdout == "", f"others can read below {path}"
    cron = host.get(f"/etc/cron.d/chamilo-hardening-backups-{SITE}")
    for when, command in ((r"3 \* \* \*", "backup"), (r"5 \* \* 0", "drill")):
        line = rf"^\d+ {when} root chamilo-hardening {command} --quiet --site {SITE}$"
        assert re.search(line, cron, re.MULTILINE), command


@pytest.mark.long
def test_cron_runs_what_the_role_wrote(saved: Saved) -> None:
    host = saved.host
    path = f"/etc/cron.d/chamilo-hardening-backups-{SITE}"
    cron, before = host.get(path), record(host)["database"]["run"]
    try:
        host.put(path, re.sub(r"^\d+ 3 (.*backup.*)$", r"* * \1", cron, flags=re.MULTILINE), "0644")
        end = time.monotonic() + 120  # cron checks once a minute, and the backup itself takes a while
        while record(host)["database"]["run"] == before:
            assert time.monotonic() < end, host.run("journalctl -n 20 -u cron").stdout
            time.sleep(1)
    finally:
        host.put(path, cron, "0644")
    host.run(f"flock /var/lib/chamilo-hardening/backups/{SITE}.lock true")  # it ends before the next test begins
    assert record(host)["database"]["ok"]


def test_what_is_taken_away_is_red_at_once(saved: Saved) -> None:
    daily = {"backups_database", "backups_files", "backups_encrypted"}
    every = {*daily, "backups_offsite", "backups_restore_tested"}
    cron = f"/etc/cron.d/chamilo-hardening-backups-{SITE}"
    for taken, desired in ((LOCAL, daily), (cron, every), (f"/etc/chamilo-hardening/backups-{SITE}.key", every)):
        saved.host.run(["mv", taken, "/root/taken"])
        found = status(saved.playbook, saved.host, **OFFSITE)
        saved.host.run(["mv", "/root/taken", taken])
        assert {name for name, one in found.items() if one != "pass"} == desired, taken


@pytest.mark.long
def test_what_is_in_the_repositories_is_encrypted_and_only_added_to(saved: Saved) -> None:
    for where in (
        saved.host.run(f"grep -rlE 'chamilo|student01' {LOCAL}", check=False).stdout,
        saved.store.run("grep -rlE 'chamilo|student01' /srv/copies --exclude=.htpasswd || true"),
    ):
        assert where == ""
    host = saved.host
    words = "chamilo-hardening backup --from offsite restic"
    found = json.loads(host.run(f"{words} snapshots --json").stdout)
    assert len(found) % 2 == 0 and found
    run = program(host, "backup", "list").splitlines()[-1].split()[0]
    shown = program(host, "backup", "show", run, f"{ROOT}/config")
    assert f"{ROOT}/config/jwt" in shown and "In no backup: var/cache/*, node_modules, .git" in shown
    assert "no errors were found" in program(host, "backup", "--from", "local", "repair")
    refused = host.run(f"{words} forget --prune {found[0]['id']}", check=False)
    assert refused.returncode != 0 and "403" in refused.stderr


@pytest.mark.long
def test_no_secret_is_in_the_process_list_and_restic_has_low_priority(saved: Saved) -> None:
    watch = """
import os, subprocess, sys, time
job = subprocess.Popen(["chamilo-hardening", "backup"], stdout=subprocess.DEVNULL)
seen = set()
while job.poll() is None:
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            seen.add(open(f"/proc/{pid}/cmdline").read().replace("\\0", " "))
            if open(f"/proc/{pid}/comm").read() == "restic\\n":
                disk = subprocess.run(["ionice", "-p", pid], capture_output=True, text=True).stdout.strip()
                if open(f"/proc/{pid}/cmdline").read():  # it had not ended by then
                    seen.add(f"restic: nice {os.getpriority(os.PRIO_PROCESS, int(pid))}, {disk}")
        except OSError:
            pass
    time.sleep(0.02)  # what is watched runs at the lowest priority
print(*seen, sep="\\n")
sys.exit(job.returncode)
"""
    listed = saved.host.run(["python3", "-"], data=watch).stdout
    assert "restic backup" in listed and "mariadb-dump" in listed, "the watcher saw nothing"
    for secret in (KEY, store.PASSWORD, "chamilo-db-Password-1"):
        assert secret not in listed
    gentle = {line for line in listed.splitlines() if line.startswith("restic: ")}
    assert gentle == {"restic: nice 19, best-effort: prio 7"}


def test_a_restore_test_restores_compares_and_starts_the_portal(saved: Saved) -> None:
    host = saved.host
    before = host.run("ss -ltn; ls /var/tmp; mariadb -e 'SHOW DATABASES'").stdout
    output = program(host, "drill")
    assert store.NAME in output and store.PASSWORD not in output
    assert re.search(r"came back with \d+ tables", output) and "login page" in output
    assert host.run("ss -ltn; ls /var/tmp; mariadb -e 'SHOW DATABASES'").stdout == before
    assert host.run("ps -eo uid= | grep -c '^ *65300$'", check=False).stdout.strip() == "0"
    assert record(host)["drill"]["ok"] is True


@pytest.mark.long
def test_a_dump_that_was_cut_short_or_is_empty_is_no_backup(saved: Saved) -> None:
    host = saved.host
    real = host.run("readlink -f $(command -v mariadb-dump)").stdout.strip()
    before = record(host)["database"]["run"]
    host.put("/etc/chamilo-hardening/alert.json", json.dumps({"mail": "admin@school.example"}), "0600")
    host.put("/usr/sbin/sendmail", "#!/bin/sh\ncat >>/root/mails\n", "0755")
    for body, words in (
        (f'{real} "$@" | head -c 9000; exit 3', "failed (3)"),
        (f'{real} "$@" | head -c 9000', "cut short"),
        ("echo '-- Dump completed'", "empty"),
    ):
        host.put("/usr/local/bin/mariadb-dump", f"#!/bin/sh\n{body}\n", "0755")
        assert words in program(host, "backup", works=False)
        assert record(host)["database"]["ok"] is False and words in record(host)["database"]["detail"]
    host.run("rm /usr/local/bin/mariadb-dump /usr/sbin/sendmail /etc/chamilo-hardening/alert.json")
    assert "The backup failed" in host.get("/root/mails")
    known = f"RESTIC_PASSWORD_FILE=/etc/chamilo-hardening/backups-{SITE}.key restic -r {LOCAL} snapshots --json"
    runs = [snapshot["tags"] for snapshot in json.loads(host.run(known).stdout)]
    assert any(f"run={before}" in tags for tags in runs)
    program(host, "backup")
    assert record(host)["database"]["ok"] is True


@contextlib.contextmanager
def full_disk(host: Host) -> Iterator[None]:
    """The repository on this host is on a disk that is full, and what is mailed lies in /root/mails."""
    host.put("/etc/chamilo-hardening/alert.json", json.dumps({"mail": "admin@school.example"}), "0600")
    host.put("/usr/sbin/sendmail", "#!/bin/sh\ncat >/root/mails/$(date +%s%N)\n", "0755")
    host.run("rm -rf /root/mails /var/lib/chamilo-hardening/alerts.json; mkdir /root/mails")
    host.run(f"mv {LOCAL} {LOCAL}.kept; mkdir -m 700 {LOCAL}; mount -t tmpfs -o size=200m,mode=700 small {LOCAL}")
    host.run(f"cp -a {LOCAL}.kept/. {LOCAL}; dd if=/dev/zero of={LOCAL}/zeros bs=64k", check=False)
    try:
        yield
    finally:
        host.run(f"umount {LOCAL}; rmdir {LOCAL}; mv {LOCAL}.kept {LOCAL}; rm -rf /var/www/.chamilo.*")
        host.run("rm /usr/sbin/sendmail /etc/chamilo-hardening/alert.json")


def mails(host: Host) -> list[str]:
    """Subject and text of each, and there are no more of them."""
    names = host.run("ls /root/mails").stdout.split()
    found = [email.message_from_string(host.get(f"/root/mails/{name}"), policy=email.policy.default) for name in names]
    host.run("rm -f /root/mails/*")
    return [f"{mail['Subject'].partition('backups: ')[2]}\n{mail.get_content()}" for mail in found]


def test_where_the_disk_for_backups_is_full_one_is_made_elsewhere(saved: Saved) -> None:
    host = saved.host
    program(host, "backup")
    with full_disk(host):
        output = program(host, "backup", works=False)
        assert f"Nothing was saved in {LOCAL}: " in output
        assert re.search(rf"The backup \S+ is in rest:http://{store.NAME}:8000/campus/portal\.", output)
        assert "no space left on device" in output and "message_type" not in output
        (mail,) = mails(host)
        assert mail.startswith("A copy of the backup of campus.test is missing") and "no space left on device" in mail
        entries = record(host)
        assert entries["offsite"]["ok"] and not entries["database"]["ok"]
        assert "no space left" in host.run("chamilo-hardening status").stdout
        assert "no space left" in program(host, "daily", "backups")
        restored = program(host, "restore", "file", "var/upload", "--confirm", host.domain)
        assert store.NAME in restored.splitlines()[0], "the newest is there alone"
        assert mails(host) == [], "it is the same incident"
    program(host, "backup")
    assert "no space left" not in host.run("chamilo-hardening status").stdout


# All that the host wrote down is a day older then.
A_DAY_LATER = """
import glob, json

def older(known):
    if isinstance(known, dict):
        return {name: older(value) for name, value in known.items()}
    return known - 86400 if isinstance(known, float) and known > 1e9 else known

state = "/var/lib/chamilo-hardening"
for path in [*glob.glob(f"{state}/[ab]*.json"), f"{state}/backups/campus_test.json"]:
    known = json.load(open(path))
    json.dump(older(known), open(path, "w"))
"""


def test_five_days_without_a_backup_are_one_incident(saved: Saved) -> None:
    host = saved.host
    program(host, "backup")
    lost = 'case "$RESTIC_REPOSITORY" in rest:*) export RESTIC_REPOSITORY=rest:http://127.0.0.1:9/; set -- timeout 2 '
    sent: list[tuple[int, str]] = []
    with full_disk(host):
        host.put(
            "/usr/local/bin/restic",
            f'#!/bin/sh\n{lost}/usr/bin/restic "$@"; exec "$@";; esac\nexec /usr/bin/restic "$@"\n',
            "0755",
        )
        for day in range(1, 6):
            host.run(["python3", "-"], data=A_DAY_LATER)
            program(host, "backup", works=False)
            if day == 2:
                program(host, "drill", works=False)
            program(host, "daily", "backups")
            sent += [(day, mail) for mail in mails(host)]
        host.run("rm /usr/local/bin/restic")
        host.run(["python3", "-"], data=A_DAY_LATER)
        host.run(f"rm {LOCAL}/zeros")
        program(host, "backup")
        program(host, "drill")
        program(host, "daily", "backups")
        sent += [(6, mail) for mail in mails(host)]
    print(*(f"--- day {day}\n{mail}" for day, mail in sent), sep="\n")
    assert [(day, mail.splitlines()[0]) for day, mail in sent] == [
        (1, "No backup of campus.test was made"),
        (2, "No backup of campus.test was made"),
        (4, "For days no backup of campus.test was made"),
        (6, "Over: For days no backup of campus.test was made"),
    ]
    assert "no space left on device" in sent[0][1] and f"Nothing was saved in rest:http://{store.NAME}" in sent[0][1]
    assert all("What still holds: The portal is in use as before. Its newest" in mail for _day, mail in sent[:3])
    assert all(f"run on the host: chamilo-hardening backup --site {SITE}\n" in mail for _day, mail in sent[:3])


@pytest.mark.long
def test_files_that_claim_more_than_can_be_read_hold_up_no_backup(saved: Saved) -> None:
    host, huge = saved.host, f"{ROOT}/var/upload/huge.bin"
    host.run(f"truncate -s 4T {huge}; echo lesson >{ROOT}/var/upload/beside.txt; chown www-data: {ROOT}/var/upload/*")
    try:
        began = time.monotonic()
        output = program(host, "backup", works=False)
        assert time.monotonic() - began < 60
        assert f"Left out, because they are nearly nothing but holes and too large: {huge}." in output
        assert "huge.bin" in record(host)["files"]["detail"] and record(host)["database"]["ok"]
        run = program(host, "backup", "list").splitlines()[-1].split()[0]
        shown = program(host, "backup", "show", run, f"{ROOT}/var/upload")
        assert "beside.txt" in shown and f"{huge}." in shown.splitlines()[-1] and f"{huge}\n" not in shown
    finally:
        host.run(f"rm {huge} {ROOT}/var/upload/beside.txt")
    program(host, "backup")


@pytest.mark.long
def test_a_disk_that_would_be_filled_is_left_alone(saved: Saved) -> None:
    host, large = saved.host, f"{ROOT}/var/upload/large.bin"
    host.run(f"head -c 60000000 /dev/urandom >{large}; chown www-data: {large}; mv {LOCAL} {LOCAL}.kept")
    host.run(
        f"mkdir -m 700 {LOCAL}; mount -t tmpfs -o size=50m,mode=700 small {LOCAL}; cp -a {LOCAL}.kept/config {LOCAL}"
    )
    host.run(f"cd {LOCAL}.kept; cp -a keys snapshots index locks {LOCAL}")
    try:
        output = program(host, "backup", works=False)
        assert re.search(rf"Nothing was saved in {LOCAL}: \d+ MB are free there, and .* may need up to \d+\.", output)
        assert record(host)["offsite"]["ok"] and not record(host)["files"]["ok"]
    finally:
        host.run(f"umount {LOCAL}; rmdir {LOCAL}; mv {LOCAL}.kept {LOCAL}; rm {large}")
    program(host, "backup", "--accept")


def _dropped(saved: Saved) -> None:
    _replace_dump(saved, "sed '/^-- Table structure for table .course.$/,/^-- Table structure for table .course_rel/d'")


def _replace_dump(saved: Saved, filter_: str) -> None:
    """Put another dump in the place of the newest one, under its own name and tags."""
    host = saved.host
    memory = json.loads(host.get(f"/var/lib/chamilo-hardening/backups/{SITE}.json"))
    run, old = memory["last"]["run"], memory["last"]["places"][LOCAL]["snapshots"][0]
    host.run(
        f"export RESTIC_PASSWORD_FILE=/etc/chamilo-hardening/backups-{SITE}.key RESTIC_REPOSITORY={LOCAL}; "
        f"restic dump {old} /database.sql | {filter_} >/root/changed.sql; restic forget {old}; "
        f"restic backup --host {SITE} --tag chamilo-hardening --tag run={run} --tag number={memory['number']} "
        "--stdin --stdin-filename /database.sql </root/changed.sql; rm /root/changed.sql"
    )
    # An attacker who could do that could also make the host believe it.
    found = json.loads(
        host.run(
            f"RESTIC_PASSWORD_FILE=/etc/chamilo-hardening/backups-{SITE}.key restic -r {LOCAL} "
            f"snapshots --json --tag run={run}"
        ).stdout
    )
    dumped = next(entry["id"] for entry in found if entry["paths"] == ["/database.sql"])
    memory["last"]["places"][LOCAL]["snapshots"][0] = dumped
    host.put(f"/var/lib/chamilo-hardening/backups/{SITE}.json", json.dumps(memory), "0600")


# Another byte whatever it was: one in 256 is 255 already.
FLIP = r"""
file=$(find {}/data -type f -size +1k | sort | head -1)
byte=$((255 - $(od -An -tu1 -j700 -N1 $file)))
chmod u+w $file
printf "\\$(printf %o $byte)" | dd of=$file bs=1 seek=700 conv=notrunc status=none
"""


def _flipped(saved: Saved) -> None:
    saved.host.run(FLIP.format(LOCAL))


def _disk_full(saved: Saved) -> None:
    saved.host.run("mkdir -p /mnt/small && mount -t tmpfs -o size=20m small /mnt/small")
    _configure(saved.host, scratch="/mnt/small")


def _old_as_new(saved: Saved) -> None:
    """The repository of yesterday is put in the place of today's."""
    program(saved.host, "backup")
    saved.host.run(f"rm -rf {LOCAL} && cp -a {LOCAL}.intact {LOCAL}")


def _old_tagged_new(saved: Saved) -> None:
    """An old snapshot gets the tags of the newest run."""
    host = saved.host
    old = json.loads(host.get(f"/var/lib/chamilo-hardening/backups/{SITE}.json"))["last"]
    host.run("mariadb chamilo -e \"UPDATE course SET title = CONCAT(title, '!')\"")
    program(host, "backup")
    new = json.loads(host.get(f"/var/lib/chamilo-hardening/backups/{SITE}.json"))["last"]
    host.run(
        f"export RESTIC_PASSWORD_FILE=/etc/chamilo-hardening/backups-{SITE}.key RESTIC_REPOSITORY={LOCAL}; "
        f"restic forget {' '.join(new['places'][LOCAL]['snapshots'])}; "
        f"restic tag --remove run={old['run']} --add run={new['run']} {' '.join(old['places'][LOCAL]['snapshots'])}"
    )


def _configure(host: Host, **changes: str) -> None:
    path = f"/etc/chamilo-hardening/backups-{SITE}.json"
    host.put(path, json.dumps({**json.loads(host.get(path)), **changes}), "0600")


@pytest.fixture
def intact(saved: Saved) -> Iterator[Saved]:
    """Restore tests read the repository on the host; everything about it is restored afterwards."""
    host = saved.host
    kept = "/etc/chamilo-hardening /var/lib/chamilo-hardening"
    # As it is now: a host that forgot backups which the store has counts on from a lower number.
    host.run(f"cp -a {LOCAL} {LOCAL}.kept; tar -C / -cf /root/kept.tar {kept} 2>/dev/null")
    if host.run(f"test -d {LOCAL}.intact", check=False).returncode:
        _configure(host, offsite="")
        program(host, "backup")
        host.run(f"cp -a {LOCAL} {LOCAL}.intact; tar -C / -cf /root/intact.tar {kept} 2>/dev/null")
    else:
        host.run(f"rm -rf {LOCAL} {kept}; cp -a {LOCAL}.intact {LOCAL}; tar -C / -xf /root/intact.tar")
    yield saved
    host.run(
        f"umount /mnt/small 2>/dev/null; rm -rf {LOCAL} {kept}; mv {LOCAL}.kept {LOCAL}; tar -C / -xf /root/kept.tar"
    )


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_dropped, "not the one this host sent"),
        (_flipped, "failed"),
        (_disk_full, "make room"),
        pytest.param(_old_as_new, "this host made one at", marks=pytest.mark.long),
        (_old_tagged_new, "not the one this host sent"),
    ],
)
def test_a_restore_test_fails(intact: Saved, damage: Callable[[Saved], None], words: str) -> None:
    damage(intact)
    output = program(intact.host, "drill", works=False)
    assert words in output
    assert record(intact.host)["drill"]["ok"] is False
    assert intact.host.run("ls -d /var/tmp/chamilo-hardening-drill-*", check=False).stdout == ""


def _flipped_there(saved: Saved) -> None:
    saved.store.run(FLIP.format(saved.store.directory))


def _old_as_new_there(saved: Saved) -> None:
    saved.store.run(f"cp -a {saved.store.directory} {saved.store.directory}.old")
    program(saved.host, "backup")
    saved.store.run(f"rm -rf {saved.store.directory}; mv {saved.store.directory}.old {saved.store.directory}")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_flipped_there, "failed"),
        pytest.param(_old_as_new_there, "this host made one at", marks=pytest.mark.long),
    ],
)
def test_a_restore_test_fails_for_offsite_damage_too(saved: Saved, damage: Callable[[Saved], None], words: str) -> None:
    there, kept = saved.store.directory, "/var/lib/chamilo-hardening"
    program(saved.host, "backup")
    saved.store.run(f"rm -rf {there}.intact; cp -a {there} {there}.intact")
    saved.host.run(f"cp -a {kept} {kept}.intact; cp -a {LOCAL} {LOCAL}.there")
    try:
        damage(saved)
        output = program(saved.host, "drill", works=False)
        assert words in output and store.NAME in output
        assert record(saved.host)["drill"]["ok"] is False
    finally:
        saved.store.run(f"rm -rf {there}; mv {there}.intact {there}")
        saved.host.run(f"rm -rf {kept} {LOCAL}; mv {kept}.intact {kept}; mv {LOCAL}.there {LOCAL}")


TRIES = (
    "$tried = json_encode([mail('admin@school.example', 'Lesson', 'text'), "
    "(bool) @fsockopen('ADDRESS', 9999, $no, $text, 2)]); "
    "@file_put_contents('/var/tmp/tried', $tried . PHP_EOL, FILE_APPEND); error_log(\"tried $tried\");"
    "if ($tried == '[false,false]') exit;"
)


@pytest.mark.long
def test_the_restored_portal_can_neither_mail_nor_connect(saved: Saved) -> None:
    """Its own program tries to send a mail and to connect to this host: in use it can, restored it cannot."""
    host = saved.host
    index = f"{ROOT}/public/index.php"
    kept = host.get(index)
    assert kept.startswith("<?php\n")
    host.put("/usr/sbin/sendmail", "#!/bin/sh\ncat >>/var/tmp/mails\n", "0755")
    host.run("install -m 666 /dev/null /var/tmp/mails; install -m 666 /dev/null /var/tmp/tried")
    host.run("systemd-run --quiet --unit=sink python3 -m http.server 9999 --bind 0.0.0.0 --directory /mnt")
    try:
        tries = TRIES.replace("ADDRESS", host.address)
        host.run(["sed", "-i", f"1a {tries}", index])
        host.run("systemctl reload 'php*-fpm.service'; sleep 3")
        assert host.wait("/login").status == 200
        assert host.get("/var/tmp/tried").splitlines()[-1] == "[true,true]"
        assert "Lesson" in host.get("/var/tmp/mails")
        program(host, "backup")
        host.run("truncate -s 0 /var/tmp/mails /var/tmp/tried")
        output = program(host, "drill", works=False)
        assert "/login is no login page" in output and "tried [false,false]" in output
        assert host.get("/var/tmp/mails") == host.get("/var/tmp/tried") == ""
    finally:
        host.put(index, kept, "0644")
        host.run("systemctl stop sink; rm -f /usr/sbin/sendmail /var/tmp/mails /var/tmp/tried")
        host.run("systemctl reload 'php*-fpm.service'; sleep 3")
    program(host, "backup")


def test_a_backup_detects_a_dropped_table(intact: Saved) -> None:
    host = intact.host
    host.run("mariadb chamilo -e 'CREATE TABLE extra (id INT PRIMARY KEY); INSERT INTO extra VALUES (1)'")
    program(host, "backup")
    host.run("mariadb chamilo -e 'DROP TABLE extra'")
    assert "extra" in program(host, "backup", works=False)
    assert record(host)["database"]["ok"] is False
    program(host, "backup", "--accept")
    program(host, "drill")


def test_a_table_whose_name_ends_a_line_comes_back(saved: Saved) -> None:
    host, name = saved.host, "`odd\u2028na``me`"
    sql = ["mariadb", "--default-character-set=utf8mb4", "-N", "chamilo"]
    host.run(sql, data=f"CREATE TABLE {name} (id INT PRIMARY KEY); INSERT INTO {name} VALUES (7)")
    try:
        program(host, "backup")
        program(host, "drill")
        host.run(sql, data=f"UPDATE {name} SET id = 8")
        program(host, "restore", "database", "--confirm", host.domain)
        assert host.run(sql, data=f"SELECT id FROM {name}").stdout == "7\n"
        assert "is removed" in program(host, "backup", "forget-before")
    finally:
        host.run(sql, data=f"DROP TABLE IF EXISTS {name}")
    program(host, "backup", "--accept")


PURSES = """
DROP TABLE IF EXISTS aaa_purse, zzz_purse;
CREATE TABLE aaa_purse (amount INT) ENGINE = InnoDB; INSERT INTO aaa_purse VALUES (1000000);
CREATE TABLE zzz_purse (amount INT) ENGINE = InnoDB; INSERT INTO zzz_purse VALUES (0);
"""
MOVE = "START TRANSACTION; UPDATE aaa_purse SET amount = amount - 1; UPDATE zzz_purse SET amount = amount + 1; COMMIT;"


def moved(host: Host, database: str = "chamilo") -> int:
    return int(host.run(["mariadb", "-N", database, "-e", "SELECT amount FROM zzz_purse"]).stdout)


def money(host: Host, database: str = "chamilo") -> int:
    found = host.run(["mariadb", "-N", database, "-e", "SELECT amount FROM aaa_purse"]).stdout
    return int(found) + moved(host, database)


@pytest.mark.long
def test_files_a_file_and_the_database_come_back_and_the_old_is_kept(saved: Saved) -> None:
    host = saved.host
    host.run(f"echo lesson >{ROOT}/var/upload/lesson.txt; chown www-data: {ROOT}/var/upload/lesson.txt")
    # While the backup runs, a user moves money from a table that is dumped first to one that is dumped last.
    host.run(["mariadb", "chamilo"], data=PURSES)
    host.put("/root/move", f"#!/bin/sh\nyes '{MOVE}' | mariadb chamilo\n", "0700")
    host.run("systemd-run --quiet --unit=move /root/move")
    program(host, "backup")
    host.run("systemctl stop move")
    assert moved(host) > 0
    before = contents(host)
    host.run(f"echo spoilt >{ROOT}/var/upload/lesson.txt")
    assert "--confirm" in program(host, "restore", "file", "var/upload/lesson.txt", works=False)
    program(host, "restore", "file", "var/upload/lesson.txt", "--confirm", host.domain)
    assert contents(host) == before
    assert "spoilt" in host.run("cat /var/www/.chamilo.before-*/var/www/chamilo/var/upload/lesson.txt").stdout

    host.run(f"rm -rf {ROOT}/var/upload; echo spoilt >>{ROOT}/.env; rm {ROOT}/public/index.php")
    program(host, "restore", "files", "--confirm", host.domain)
    host.run(f"test ! -e {ROOT}/public/index.php")
    host.run("mariadb chamilo -e \"DELETE FROM course; UPDATE user SET email = 'x'; DROP VIEW active_user\"")
    host.run("mariadb chamilo -e 'DROP FUNCTION doubled; CREATE VIEW later AS SELECT 1; DROP EVENT tidy_up'")
    program(host, "restore", "database", "--confirm", host.domain)
    kept = host.run(
        "mariadb --batch --skip-column-names -e \"SHOW DATABASES LIKE 'chamilo\\_before%'\""
    ).stdout.split()[-1]
    assert host.run(f"mariadb --batch {kept} -e 'SELECT DISTINCT email FROM user'").stdout.split() == ["email", "x"]
    assert 0 < moved(host) < moved(host, kept), "the dump was taken while money was moved"
    assert money(host) == money(host, kept) == 1_000_000
    assert "VIEW `later`" in host.run("cat /var/www/.chamilo.before-*/views-and-programs.sql").stdout
    program(host, "restore", "host", "--confirm", host.domain)
    assert contents(host) == before
    assert host.wait("/").status == 200
    assert not missing_from_the_portal(host, "http")
    assert (
        f"Kept from before a restore of {host.domain}: /var/www/.chamilo.before-"
        in host.run("chamilo-hardening status").stdout
    )
    program(host, "backup", "forget-before")
    assert "Kept" not in host.run("chamilo-hardening status").stdout
    assert host.run("ls -A /var/www | grep before; mariadb -Ne \"SHOW DATABASES LIKE '%before%'\"").stdout == ""


def test_a_restore_onto_a_fresh_machine_gives_the_same_portal(saved: Saved, cell: Cell) -> None:
    host = saved.host
    program(host, "backup")
    before = contents(host)
    fresh = hosts.up("spare", cell.release, cell.web, "virgin", network=host.network)
    fresh.run("bash", data=vhosts.script(cell.web, "plain", host.domain, images.PHP[cell.release]))
    if cell.web == "apache":
        php = images.PHP[cell.release]
        fresh.run(f"a2enmod -q proxy_fcgi setenvif rewrite headers && a2enconf -q php{php}-fpm")
    fresh.run(f"systemctl restart {'nginx' if cell.web == 'nginx' else 'apache2'}")
    # The key comes from the directory on the controller, as where no variable has it.
    variables = {"chamilo_backups_offsite_repository": store.REPOSITORY, "chamilo_domain": host.domain}
    keys = saved.playbook.directory / "keys"
    keys.mkdir(exist_ok=True)
    (keys / f"{fresh.domain}-{SITE}.key").write_text(host.get(f"/etc/chamilo-hardening/backups-{SITE}.key"))
    with pytest.raises(PlayError, match="chamilo_restore_confirm=spare.test"):
        saved.playbook.run("restore", fresh, **variables)
    played = saved.playbook.run("restore", fresh, chamilo_restore_confirm="spare.test", **variables)
    assert KEY not in played.output and store.PASSWORD not in played.output
    assert fresh.run("ls /etc/chamilo-hardening | grep restore", check=False).stdout == ""
    assert contents(fresh) == before
    back = replace(fresh, name=host.name)  # as its users know it
    assert not missing_from_the_portal(back, "http")
    for name in ("fullchain.pem", "privkey.pem"):
        fresh.put(f"/etc/ssl/testbed/{name}", host.get(f"/etc/ssl/testbed/{name}"), "0600")
    saved.playbook.run("harden", fresh, "--tags", "https,permissions,database", **variables)
    assert not missing_from_the_portal(back, "https")
    # From now on certificate and key are saved, too.
    program(fresh, "backup")
    key = "/etc/ssl/testbed/privkey.pem"
    fresh.run(["rm", key])
    program(fresh, "restore", "file", key, "--confirm", host.domain)
    assert fresh.get(key) == host.get(key) and fresh.run(["stat", "-c", "%a %U", key]).stdout == "600 root\n"
    fresh.down()


# Ten bytes in the middle of what a line calls FILE.
TEN = r"""
chmod u+w FILE; middle=$(($(stat -c %s FILE) / 2))
dd if=FILE bs=1 skip=$middle count=10 status=none | tr '\000-\377' '\200-\377\000-\177' >/tmp/ten
dd if=/tmp/ten of=FILE bs=1 seek=$middle conv=notrunc status=none
"""


def _largest(saved: Saved) -> str:
    """The pack on the store with the content of the last upload."""
    return saved.store.run(f"ls -t $(find {saved.store.directory}/data -type f -size +2M) | head -1").strip()


def _data_flipped(saved: Saved) -> None:
    saved.store.run(TEN.replace("FILE", _largest(saved)))


def _data_deleted(saved: Saved) -> None:
    saved.store.run(f"rm -f {_largest(saved)}")


def _tree_flipped(saved: Saved) -> None:
    """The pack with the list of the files in the portal's directory."""
    words = (
        f"export RESTIC_PASSWORD_FILE=/etc/chamilo-hardening/backups-{SITE}.key RESTIC_REPOSITORY={store.REPOSITORY}"
    )
    last = json.loads(saved.host.run(f"{words}; restic snapshots --json --path {ROOT}").stdout)[-1]
    found = saved.host.run(f"{words}; restic find --show-pack-id --tree {last['tree']}").stdout
    pack = re.findall(r"pack ([0-9a-f]{64})", found)[0]
    saved.store.run(TEN.replace("FILE", f"{saved.store.directory}/data/{pack[:2]}/{pack}"))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (_data_flipped, r"Restored but for 1 of [\d,]+ files that cannot be read\. The list: (\S+)"),
        (_data_deleted, r"Restored but for 1 of [\d,]+ files that cannot be read\. The list: (\S+)"),
        (_tree_flipped, r"Restored but for 1 of an older backup\. The list: (\S+)"),
    ],
)
def test_a_new_machine_gets_all_that_can_be_read(saved: Saved, damage: Callable[[Saved], None], sentence: str) -> None:
    """With the key and the off-site repository alone, of which one pack is damaged."""
    host, there = saved.host, saved.store.directory
    lecture = f"{ROOT}/var/upload/{damage.__name__}.bin"
    program(host, "backup")
    host.run(f"head -c 9000000 /dev/urandom >{lecture}; chown www-data: {lecture}")
    program(host, "backup")
    before = contents(host)
    key = f"/etc/chamilo-hardening/backups-{SITE}.key"
    saved.store.run(f"rm -rf {there}.intact; cp -a {there} {there}.intact")
    ours = f"/etc/chamilo-hardening /var/lib/chamilo-hardening {LOCAL}"
    host.run(f"tar -cf /root/old.tar {ours} 2>/dev/null")
    try:
        damage(saved)
        host.run(f"rm -rf {ROOT} {LOCAL} /var/cache/chamilo-hardening /var/lib/chamilo-hardening/backups")
        host.run(f"rm /etc/chamilo-hardening/backups-{SITE}.json; mariadb -e 'DROP DATABASE chamilo'; test -f {key}")
        options = ["--site", SITE, "--repository", store.REPOSITORY, "--confirm", host.domain]
        done = host.run(["chamilo-hardening", "restore", "host", *options], check=False)
        assert done.returncode == 3, done.stdout + done.stderr
        named = re.search(sentence, (done.stdout + done.stderr).strip().splitlines()[-1])
        assert named, done.stdout + done.stderr
        listed = host.get(named[1])
        directory = rf"^{ROOT}(/var(/upload)?)?\tof the older backup"  # the pack has more than one
        assert lecture in listed if "cannot" in sentence else re.search(directory, listed, re.MULTILINE), listed
        found = contents(host)
        lost = {name for name in before if found.get(name) != before[name]}
        assert {name.rpartition("/")[2] for name in lost} <= {os.path.basename(lecture), "upload"}
        assert host.wait("/").status == 200
    finally:
        saved.store.run(f"rm -rf {there}; mv {there}.intact {there}")
        host.run(f"rm -rf {ours} {lecture} /var/www/.chamilo.*; tar -C / -xf /root/old.tar; rm /root/old.tar")
    program(host, "backup", "--accept")


@pytest.mark.long
def test_what_the_nearest_repository_lost_is_taken_from_the_other(saved: Saved) -> None:
    host = saved.host
    program(host, "backup")
    before = contents(host)
    host.run(f"cp -a {LOCAL} {LOCAL}.kept; rm -rf /var/cache/chamilo-hardening {ROOT}/public/plugin {ROOT}/config")
    try:
        host.run(TEN.replace("FILE", f"$(ls {LOCAL}/index/* | head -1)"))
        program(host, "restore", "files", "--confirm", host.domain)
        assert contents(host) == before
    finally:
        host.run(f"rm -rf {LOCAL} /var/www/.chamilo.*; mv {LOCAL}.kept {LOCAL}")


@pytest.mark.long
def test_without_another_place_the_local_part_is_done_and_reports_so(fresh: Host, playbook: Playbook) -> None:
    playbook.sections = "database,backups"
    left = dump(fresh)
    assert through(fresh, ATTACKED) == {*ATTACKED}
    assert playbook.harden(fresh, "--check") > 0
    playbook.harden(fresh)
    assert through(fresh, ATTACKED) == {"backups_private"}, "what lies there is a person's to remove"
    fresh.run(["rm", left])
    assert through(fresh, ATTACKED) == set()
    found = status(playbook, fresh)
    assert found.pop("backups_offsite") == "fail"
    assert set(found.values()) == {"pass"}, record(fresh)
    copies = list((playbook.directory / "keys").iterdir())
    assert [copy.name for copy in copies] == [f"campus.test-{SITE}.key"] and copies[0].stat().st_mode & 0o77 == 0
    assert copies[0].read_text() == fresh.get(f"/etc/chamilo-hardening/backups-{SITE}.key")
    assert playbook.harden(fresh) == 0
    log = "/var/lib/mysql/all.log"
    fresh.run(["mariadb", "-e", f"SET GLOBAL general_log_file = '{log}'; SET GLOBAL general_log = ON"])
    program(fresh, "backup")
    assert logins(fresh, log) == {ACCOUNT}
    # What that account may not see is not lost.
    fresh.run(["mariadb", "chamilo"], data="CREATE FUNCTION doubled(number INT) RETURNS INT RETURN 2 * number;\n")
    program(fresh, "backup")
    assert "root" in logins(fresh, log)
    words = f"RESTIC_PASSWORD_FILE=/etc/chamilo-hardening/backups-{SITE}.key restic -r {LOCAL} --host {SITE}"
    assert "doubled" in fresh.run(f"{words} --path /database.sql dump latest /database.sql | grep FUNCTION").stdout
    # A directory on another disk is another place.
    configured = fresh.get(f"/etc/chamilo-hardening/backups-{SITE}.json")
    fresh.run("mkdir /mnt/disk && mount -t tmpfs -o size=200m disk /mnt/disk")
    _configure(fresh, offsite="/mnt/disk/copies")
    program(fresh, "backup")
    assert record(fresh)["offsite"]["ok"] is True
    assert len(program(fresh, "restore", "list", "--from", "offsite").splitlines()) > 1
    assert set(status(playbook, fresh).values()) == {"pass"}, record(fresh)
    fresh.put(f"/etc/chamilo-hardening/backups-{SITE}.json", configured, "0600")
    playbook.harden(fresh, chamilo_backups_state="absent")
    assert fresh.run("ls /etc/cron.d | grep chamilo", check=False).stdout == ""
    assert playbook.harden(fresh, chamilo_backups_state="absent") == 0


@pytest.mark.long
def test_a_backup_from_before_the_account_was_moved_reports_how_to_go_on(fresh: Host, playbook: Playbook) -> None:
    login = f"http://{fresh.domain}/login"
    make_anew(fresh)
    playbook.sections = "backups"
    playbook.harden(fresh)
    program(fresh, "backup")
    playbook.sections = "database"
    playbook.harden(fresh)
    assert fresh.wait(login).status == 200
    reported = program(fresh, "restore", "files", "--confirm", fresh.domain)
    assert "name the database account chamilo," in reported and "chamilo_database_state=absent" in reported
    assert fresh.wait(login, seconds=5).status == 500
    playbook.harden(fresh, chamilo_database_state="absent")
    assert fresh.wait(login).status == 200
    playbook.harden(fresh)
    assert fresh.wait(login).status == 200


@pytest.mark.long
@pytest.mark.parametrize("absolute", [False, True], ids=["relative", "absolute"])
def test_a_release_behind_a_link_comes_back_after_the_next_one(fresh: Host, playbook: Playbook, absolute: bool) -> None:
    """What links lead to, as the directory all releases share, is saved, stays at a restore, and is restored alone."""
    into_a_release(fresh)
    shared, disk = "/srv/campus/shared/var", "/srv/disk/upload"
    if absolute:
        fresh.run(f"ln -sfn {shared} /srv/campus/releases/7/var")
    fresh.run(f"mkdir -p /srv/disk {shared}/upload && mv {shared}/upload {disk} && ln -s {disk} {shared}/upload")
    fresh.run(f"echo '6 * 7' >{disk}/lesson.txt")
    playbook.sections = "backups"
    playbook.harden(fresh)
    assert record(fresh)["drill"]["ok"] is True, record(fresh)
    digests = (
        f"find /srv/disk {shared} -type f -not -path '*/cache/*' -not -path '*/log/*' -print0"
        " | sort -z | xargs -0 sha256sum /srv/campus/current/.env"
    )
    courses = "mariadb -N chamilo -e 'CHECKSUM TABLE course, user'"
    files, rows = fresh.run(digests).stdout, fresh.run(courses).stdout
    program(fresh, "backup")

    fresh.run("cd /srv/campus && cp -a releases/7 releases/8 && ln -sfn releases/8 current")
    fresh.run("systemctl restart 'php*-fpm.service'")
    fresh.run(f"rm {disk}/lesson.txt && echo spoilt >/srv/campus/releases/8/.env")
    fresh.run("mariadb chamilo -e 'DELETE FROM course'")
    reported = program(fresh, "restore", "host", "--confirm", fresh.domain)
    for path in (shared, disk):
        assert f"Left as it is, outside of the portal's directory: {path}." in reported
    program(fresh, "restore", "file", f"{disk}/lesson.txt", "--confirm", fresh.domain)
    assert fresh.run(digests).stdout == files
    assert fresh.run(courses).stdout == rows
    assert fresh.run("readlink /srv/campus/current").stdout == "releases/8\n"
    assert not missing_from_the_portal(fresh, "http")
    program(fresh, "backup")
    program(fresh, "drill")

    # As on a fresh machine: what is reported missing is asked for.
    rows = fresh.run(courses).stdout  # a user logged in since
    fresh.run("rm -r /srv/campus /srv/disk && mariadb -e 'DROP DATABASE chamilo'")
    reported = program(fresh, "restore", "host", "--confirm", fresh.domain)
    gone = re.findall(r"Not there, outside of the portal's directory: (\S+)\. To", reported)
    assert set(gone) == {shared, disk}, reported
    for path in gone:
        program(fresh, "restore", "file", path, "--confirm", fresh.domain)
    assert fresh.run(digests).stdout == files
    assert fresh.run(courses).stdout == rows
    assert fresh.run("readlink /srv/campus/current").stdout == "releases/8\n"
    assert not missing_from_the_portal(fresh, "http")


def test_the_run_does_not_wait_for_the_first_backup(make: Callable[..., Host], playbook: Playbook) -> None:
    playbook.sections, playbook.patient = "backups", False
    host = make()
    # One of a portal with much data takes longer than the run.
    slow = 'until [ -e /run/go ]; do sleep 0.1; done; exec /usr/bin/restic "$@"'
    host.put("/usr/local/bin/restic", f"#!/bin/sh\n{slow}\n", "0755")
    screen = " ".join(playbook.run("harden", host).output.split("PLAY RECAP")[1].split())
    assert "The first backup and restore test go on on the host" in screen and "All sections are active" not in screen
    assert "is not done yet" in host.run("chamilo-hardening status").stdout
    assert playbook.harden(host) == 0, "what goes on is not begun again"
    assert status(playbook, host)["backups_restore_tested"] == "fail"
    host.run(f"touch /run/go && {ENDED}")
    assert record(host)["database"]["ok"] and record(host)["drill"]["ok"], record(host)
    assert "is not done yet" not in host.run("chamilo-hardening status").stdout


@pytest.mark.long
def test_over_ssh_with_retention(make: Callable[..., Host], playbook: Playbook) -> None:
    playbook.sections = "backups"
    remote = store.up(f"{RUN}-own")
    try:
        host = make()
        variables = {"chamilo_backups_offsite_repository": store.SFTP, "chamilo_backups_keep_daily": 1}
        # The store does not let it in yet: a run that needs a backup first gets no further.
        with pytest.raises(PlayError, match="Run the first backup and restore test"):
            playbook.harden(host, chamilo_backups_first=True, **variables)
        assert record(host)["offsite"]["ok"] is False
        # Whatever section it was to be: nothing of it was written.
        drop_in = "find / -xdev -path '*/chamilo-*.d/headers.conf'"
        with pytest.raises(PlayError, match="Run the first backup and restore test"):
            playbook.harden(host, "--tags", "headers", chamilo_backups_first=True, **variables)
        assert host.run(drop_in).stdout == "" and "headers" not in host.run("chamilo-hardening status").stdout
        store.trust(host)
        playbook.harden(host, "--tags", "headers", chamilo_backups_first=True, **variables)
        assert host.run(drop_in).stdout != ""
        playbook.harden(host, chamilo_backups_first=True, **variables)
        assert set(status(playbook, host).values()) == {"pass"}, record(host)
        for _time in range(2):
            program(host, "backup")
        memory = f"/var/lib/chamilo-hardening/backups/{SITE}.json"
        host.put(memory, json.dumps({**json.loads(host.get(memory)), "upkeep": {LOCAL: 0, store.SFTP: 0}}), "0600")
        assert "in order" in program(host, "backup")
        left = remote.run("ls /home/copies/portal/snapshots").split()
        assert len(left) == 6, "of five pairs the last two stay, and the oldest as long as there are few"
    finally:
        remote.down()


@pytest.mark.long
def test_a_database_elsewhere_that_demands_tls_is_saved_tried_and_comes_back(
    make: Callable[..., Host], tmp_path: Path
) -> None:
    web, base = two_hosts(make)
    path = tmp_path / "two.yml"
    settings = {"chamilo_database_bind_address": base.address, "chamilo_database_clients": [web.address]}
    groups = {
        "chamilo_web": {"hosts": {web.domain: web.quick_inventory()}},
        "chamilo_db": {"hosts": {base.domain: {**base.quick_inventory(), **settings}}},
    }
    path.write_text(yaml.safe_dump({"chamilo": {"children": groups}}))
    variables = {"chamilo_backups_key_folder": str(tmp_path / "keys")}
    play("harden", path, "--tags", "database", variables=variables)
    base.run(["mariadb", "-e", "SET GLOBAL require_secure_transport = ON"])
    play("harden", path, "--limit", web.domain, "--tags", "backups", variables=variables)
    web.run(ENDED)
    assert record(web)["drill"]["ok"], record(web)
    sums = "CHECKSUM TABLE chamilo.user, chamilo.course, chamilo.settings"
    before = base.run(["mariadb", "-N", "-e", sums]).stdout
    base.run(["mariadb", "-e", "DELETE FROM chamilo.course; UPDATE chamilo.user SET email = 'x'"])
    spoilt = base.run(["mariadb", "-N", "-e", sums]).stdout
    output = program(web, "restore", "database", "--confirm", web.domain, works=False)
    assert "The database is on store.test. Put the login" in output and f"restore-{SITE}.cnf" in output
    assert base.run(["mariadb", "-N", "-e", sums]).stdout == spoilt
    base.run(["mariadb", "-e", "CREATE USER chief@'%' IDENTIFIED BY 'chief-1'; GRANT ALL ON *.* TO chief@'%'"])
    login = {"chamilo_database_admin_user": "chief", "chamilo_database_admin_password": "chief-1"}
    confirmed = {"chamilo_restore": "database", "chamilo_restore_confirm": web.domain}
    played = play("restore", path, "--limit", web.domain, variables={**variables, **confirmed, **login})
    assert "chief-1" not in played.output
    assert base.run(["mariadb", "-N", "-e", sums]).stdout == before
    kept = base.run(["mariadb", "-N", "-e", "SHOW DATABASES LIKE 'chamilo\\_before%'"]).stdout.strip()
    assert base.run(["mariadb", "-N", "-e", f"SELECT DISTINCT email FROM {kept}.user"]).stdout == "x\n"
    assert web.run("ls /etc/chamilo-hardening | grep restore", check=False).stdout == ""
    assert web.wait("/").status == 200


# Kills a restore at a moment, or as soon as its journal reaches a phase.
KILLED_AT = """
import json, os, signal, subprocess, sys, time
when, journal = sys.argv[1], "/var/lib/chamilo-hardening/backups/campus_test.restoring.json"
job = subprocess.Popen(sys.argv[2:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
end = time.monotonic() + (float(when) if when[0].isdigit() else 120)
while time.monotonic() < end and job.poll() is None:
    try:
        if json.load(open(journal))["phase"] == when:
            break
    except (FileNotFoundError, ValueError):
        pass
    time.sleep(0.0005)
try:
    os.killpg(job.pid, signal.SIGKILL)
except ProcessLookupError:
    pass
job.wait()
try:
    print(json.load(open(journal))["phase"])
except FileNotFoundError:
    print("none")
"""
PHASES = ["fetching", "staged", "changing"]
RANDOM = random.Random(20)
MOMENTS = [*PHASES, *(f"{RANDOM.uniform(0.3, 1):.3f}" for _number in range(17))]


def unmounted(host: Host) -> None:
    host.run(f"umount {ROOT}/var/upload 2>/dev/null; rm -rf /var/www/.chamilo.*; true")


@pytest.mark.parametrize(
    ("moments", "disks"),
    [
        (["changing"], "one"),  # the phase in which the portal is neither the old one nor the new one
        pytest.param(MOMENTS, "one", marks=pytest.mark.long),
        pytest.param(MOMENTS, "two", marks=pytest.mark.long),
    ],
)
def test_a_restore_that_is_killed_is_resumed_or_rolled_back(saved: Saved, moments: list[str], disks: str) -> None:
    host = saved.host
    unmounted(host)
    if disks == "two":  # what is mounted cannot change places: the tables alone do
        host.run(
            f"mkdir /mnt/uploads; cp -a {ROOT}/var/upload/. /mnt/uploads; mount -t tmpfs uploads {ROOT}/var/upload"
        )
        host.run(f"chown www-data: {ROOT}/var/upload; cp -a /mnt/uploads/. {ROOT}/var/upload; rm -r /mnt/uploads")
    part = "host" if disks == "one" else "database"
    command = ["restore", part, "--confirm", host.domain]
    program(host, "backup")
    good = contents(host)
    # What is there before a restore is another portal, file by file and row by row.
    spoil = f"echo spoilt >{ROOT}/var/upload/lesson.txt; rm -f {ROOT}/public/check.php" if disks == "one" else "true"
    spoil += "; mariadb chamilo -e \"UPDATE user SET email = 'spoilt'; DROP EVENT tidy_up; DROP TRIGGER trimmed\""
    spoil += "; mariadb chamilo -e 'CREATE TRIGGER trimmed BEFORE INSERT ON user FOR EACH ROW SET NEW.active = 1'"
    spoil += "; mariadb chamilo -e 'CREATE EVENT tidy_up ON SCHEDULE EVERY 2 DAY DO DELETE FROM course WHERE id < 0'"
    began = time.monotonic()
    program(host, *command)
    whole = time.monotonic() - began
    assert contents(host) == good
    reached = []
    try:
        for number, moment in enumerate(moments):
            host.run(spoil)
            spoilt = contents(host)
            assert spoilt != good
            when = moment if moment in PHASES else f"{float(moment) * whole:.3f}"
            phase = host.run(["python3", "-", when, "chamilo-hardening", *command], data=KILLED_AT).stdout.strip()
            reached.append(phase)
            shown = host.run("chamilo-hardening status").stdout
            assert ("is not finished" in shown) is (phase != "none"), (when, shown)
            if phase == "none":  # over before
                assert contents(host) == good
                continue
            assert {"fetching": "being fetched", "staged": "is fetched", "changing": "changing places"}[phase] in shown
            assert host.wait("/").status == 200 or phase == "changing"
            if number % 2:
                program(host, *command)
                assert contents(host) == good, (when, phase)
            else:
                program(host, "restore", "--abandon")
                assert contents(host) == spoilt, (when, phase)
                program(host, *command)
                assert contents(host) == good, (when, phase)
            assert host.wait("/").status == 200
            assert "is not finished" not in host.run("chamilo-hardening status").stdout
            host.run("rm -rf /var/www/.chamilo.before-* /var/www/.chamilo.abandoned-*")
    finally:
        if disks == "two":
            refused = program(host, "restore", "host", "--confirm", host.domain, works=False)
            assert f"{ROOT}/var/upload is a file system of its own" in refused and "Nothing was changed" in refused
        unmounted(host)
    assert {*PHASES} & {*moments} <= {*reached}


# As chattr does, which Debian installs with a file system's programs alone.
TURN_IMMUTABLE = """
import fcntl, os, struct, sys
handle = os.open(sys.argv[1], os.O_RDONLY)
flags = struct.unpack("I", fcntl.ioctl(handle, 0x80086601, bytes(8))[:4])[0]
fcntl.ioctl(handle, 0x40086602, struct.pack("I", flags ^ 0x10) + bytes(4))
"""


@pytest.mark.long
def test_what_cannot_change_places_is_found_before_a_table_does(saved: Saved) -> None:
    host = saved.host
    program(host, "backup")
    good = contents(host)
    host.run(f"mariadb chamilo -e \"UPDATE user SET email = 'spoilt'\"; echo spoilt >{ROOT}/var/upload/lesson.txt")
    spoilt = contents(host)
    host.run(["python3", "-", f"{ROOT}/public"], data=TURN_IMMUTABLE)
    try:
        output = program(host, "restore", "host", "--confirm", host.domain, works=False)
    finally:
        host.run(["python3", "-", f"{ROOT}/public"], data=TURN_IMMUTABLE)
    assert f"{ROOT}/public cannot be replaced: " in output and "Nothing was changed" in output and "lsattr -d" in output
    assert contents(host) == spoilt
    assert "What was fetched is kept in /var/www/.chamilo.restoring" in output
    program(host, "restore", "--abandon")
    assert contents(host) == spoilt
    assert host.run("ls -A /var/www | grep restoring; mariadb -Ne \"SHOW DATABASES LIKE '%restoring'\"").stdout == ""
    program(host, "restore", "host", "--confirm", host.domain)
    assert contents(host) == good
    host.run("rm -rf /var/www/.chamilo.before-*")


@pytest.mark.long
def test_a_sparse_file_comes_back_sparse_and_a_clock_that_was_ahead_is_not_believed(saved: Saved) -> None:
    host = saved.host
    sparse = f"{ROOT}/var/upload/disk.img"
    host.run(f"truncate -s 200M {sparse}; echo end >>{sparse}; chown www-data: {sparse}")
    # One backup is made while the clock is 400 days ahead.
    host.run("mv /usr/bin/restic /usr/bin/restic.real")
    host.put(
        "/usr/bin/restic",
        "#!/usr/bin/env python3\nimport os, re, sys\na = sys.argv[1:]\n"
        "if '--time' in a:\n    a[a.index('--time') + 1] = re.sub(r'^20..', '2029', a[a.index('--time') + 1])\n"
        "os.execv('/usr/bin/restic.real', ['restic', *a])\n",
        "0755",
    )
    try:
        program(host, "backup")
    finally:
        host.run("mv /usr/bin/restic.real /usr/bin/restic")
    assert "in the future" in program(host, "drill", works=False)
    assert "dated in the future" in program(host, "restore", "list").splitlines()[-1]
    program(host, "backup")
    listed = program(host, "restore", "list").splitlines()
    assert "2029" in listed[-2] and "2029" not in listed[-1]
    host.run(f"rm {sparse}")
    output = program(host, "restore", "file", "var/upload/disk.img", "--confirm", host.domain)
    assert listed[-1].split()[1] in output.splitlines()[0]
    size, blocks = host.run(f"stat -c '%s %b' {sparse}").stdout.split()
    assert int(size) == (200 << 20) + 4
    if host.release != "bookworm":  # its restic cannot
        assert int(blocks) * 512 < 1 << 20
    host.run(f"rm -rf {sparse} /var/www/.chamilo.before-*")
    program(host, "backup", "--accept")


KILLED = """
import os, signal, subprocess, sys, time
job = subprocess.Popen(sys.argv[3:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
time.sleep(float(sys.argv[1]))
if sys.argv[2] == "all":
    try:
        os.killpg(job.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
else:
    job.kill()
print("killed" if job.wait() == -9 else "done before")
"""


@pytest.mark.long
@pytest.mark.parametrize("job", ["backup", "drill"])
def test_killed_at_twenty_random_moments(saved: Saved, job: str) -> None:
    host, chance = saved.host, random.Random(f"6 {job}")
    program(host, "backup")
    before, known = contents(host), program(host, "restore", "list").splitlines()
    began = time.monotonic()
    program(host, job)
    whole = time.monotonic() - began
    killed = 0
    for number in range(20):
        moment = chance.uniform(0.1, whole)
        which = ("all", "first")[number % 2]  # the whole process group, as the power does, or the first one alone
        output = host.run(["python3", "-", f"{moment}", which, "chamilo-hardening", job], data=KILLED).stdout
        killed += "killed" in output
        assert host.wait("/").status == 200, f"after {moment:.2f} of {whole:.2f} s"
        program(host, job)
    assert killed >= 10, "most runs must not have been over by then"
    assert contents(host) == before
    program(host, "backup")
    assert set(known) <= set(program(host, "restore", "list").splitlines())
    # A restore that was killed left a lock; the program takes such ones away when it needs the repository for itself.
    check = f"export RESTIC_PASSWORD_FILE=/etc/chamilo-hardening/backups-{SITE}.key RESTIC_REPOSITORY={LOCAL}"
    host.run(f"{check}; restic unlock && restic check --read-data")
    program(host, "drill")
    assert host.run("ps -eo uid= | grep -c '^ *65300$'", check=False).stdout.strip() == "0"
    assert host.run("ls -d /var/tmp/chamilo-hardening-drill-*", check=False).stdout == ""
