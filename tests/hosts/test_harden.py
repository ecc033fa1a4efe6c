"""The playbook harden: what it predicts, what it repeats, and what it refuses before it changes anything."""

from __future__ import annotations

import json
import platform
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.conftest import Cell
from tests.hosts.hardening import (
    CERTIFICATE,
    PROGRAM,
    QUIET,
    Playbook,
    changed,
    missing_from_the_portal,
    unrelated_site,
)
from tests.playbook import PlayError
from tests.testbed.engine import ROOT
from tests.testbed.hosts import Host

CHECKED = [
    *QUIET,
    # Ansible's own module for packages refreshes the lists of Debian's packages in check mode too.
    "/var/lib/apt*",
    "/var/cache/apt*",
    "/var/www/chamilo/var/*",
]
TAGS = ("--tags", "https,headers")
CHANGED = re.compile(r"^\+\+\+ after: (\S+)", re.MULTILINE)
# What is done at once and not only set up: check mode cannot predict how a backup will end.
JOBS = {
    "backups : Run the first backup and restore test",
    "monitoring : Run the daily work that is due",
    "monitoring : Keep a copy of the list of files off the host",
    "monitoring : Record on the host where that copy is",
    "updates : Check for a new release",
    "brute_force : Start and enable fail2ban",  # where ssh has no log, it cannot start when its package comes
}


@pytest.fixture
def playbook(tmp_path: Path) -> Playbook:
    """Two sections do for what applies to all of them, and take a fifth of the time."""
    return Playbook(tmp_path, TAGS[1])


@pytest.fixture
def whole(tmp_path: Path) -> Playbook:
    return Playbook(tmp_path)


def workers(host: Host) -> str:
    """The process ids of the web server's workers: a reload replaces them."""
    return host.run("pgrep -P $(cat /run/nginx.pid /run/apache2/apache2.pid 2>/dev/null) | sort").stdout


def test_check_mode_on_a_bare_host_shows_what_becomes_of_the_owner_s_files(fresh: Host, tmp_path: Path) -> None:
    output = Playbook(tmp_path, details=False).run("harden", fresh, "--check", "--diff").output
    assert len(output.splitlines()) <= 250
    assert re.search(r"^\+    # BEGIN chamilo.hardening campus_test$", output, re.MULTILINE), "his virtual host"
    assert "APP_ENV=dev -> prod" in output
    assert "/headers.conf (new; -vv shows it)" in output and "Managed by Ansible" not in output


@pytest.mark.wire
def test_check_mode_predicts_what_the_run_changes_and_a_second_one_does_nothing(
    fresh: Host, whole: Playbook, keep: Callable[[Playbook, Host], None]
) -> None:
    before = fresh.snapshot()
    predicted = whole.run("harden", fresh, "--check", "--diff")
    assert not before.changes(fresh.snapshot(), CHECKED), "check mode changes nothing"
    done = whole.run("harden", fresh, "--diff")
    assert CHANGED.findall(predicted.output), "it shows files"
    # Two sections that write the same file both show it in check mode, and one of them when it is done.
    assert set(CHANGED.findall(predicted.output)) == set(CHANGED.findall(done.output))
    assert changed(predicted.output) == changed(done.output) - JOBS

    running = workers(fresh)
    whole.details = False
    again = whole.run("harden", fresh)
    assert again.changed[fresh.domain] == 0, again.output
    assert workers(fresh) == running, "nothing was loaded"
    assert len(again.output.splitlines()) <= 40, again.output
    assert f"{fresh.domain}: nothing to change. All sections are active." in again.output
    assert "chamilo_backups_offsite_repository" in again.output, "what is open for want of a variable"
    keep(whole, fresh)


def test_what_was_changed_since_is_corrected(fresh: Host, tmp_path: Path) -> None:
    playbook = Playbook(tmp_path, "https,passwords,headers")
    playbook.harden(fresh)
    fresh.run(["mariadb", "chamilo", "-e", "UPDATE settings SET selected_value = '' WHERE variable = 'check_password'"])
    fresh.run("find /etc/nginx /etc/apache2 -name https_hsts.conf -delete", check=False)
    healed = playbook.run("harden", fresh)
    assert changed(healed.output) == {
        "passwords : Require long and mixed passwords on every portal",
        "https : Bind browsers to https, step by step",
    }
    assert playbook.harden(fresh) == 0


@pytest.mark.long
def test_only_the_section_that_is_asked_for_changes(fresh: Host, playbook: Playbook) -> None:
    playbook.harden(fresh, "--tags", "headers")
    answer = fresh.http("/")
    assert (answer.status, answer.values("X-Content-Type-Options")) == (200, ["nosniff"])
    assert not fresh.http(f"https://{fresh.domain}/").status, "https is another section"
    assert playbook.harden(fresh, "--tags", "headers") == 0
    playbook.harden(fresh, "--tags", "https")
    assert fresh.http("/").status == 301


def test_a_host_without_a_web_server_is_refused(make: Callable[..., Host], playbook: Playbook) -> None:
    host = make(state="empty")
    with pytest.raises(PlayError, match="Neither nginx nor Apache"):
        playbook.harden(host)


def test_a_host_with_both_is_asked_which_one_counts(fresh: Host, playbook: Playbook) -> None:
    other = "apache2" if fresh.web == "nginx" else "nginx"
    fresh.run(f"install -D /bin/true /usr/sbin/{other}")
    fresh.run(
        f"printf 'Package: {other}\\nStatus: install ok installed\\nVersion: 2.4.0-1\\nArchitecture: all\\n\\n'"
        " >>/var/lib/dpkg/status"
    )
    fresh.run("systemctl stop nginx apache2 2>/dev/null; true")
    with pytest.raises(PlayError, match="chamilo_web_server"):
        playbook.harden(fresh)


def test_what_a_host_cannot_have_is_refused_and_nothing_is_removed_for_it(fresh: Host, playbook: Playbook) -> None:
    def refusal(book: str, *options: str, **variables: Any) -> str:
        with pytest.raises(PlayError) as refused:
            playbook.run(book, fresh, *options, **variables)
        return " ".join(str(refused.value).split())

    release = fresh.get("/etc/os-release")
    fresh.put("/etc/os-release", 'NAME="Ubuntu"\nVERSION_ID="22.04"\nID=ubuntu\n')
    before = fresh.snapshot()
    assert "This host is Ubuntu 22.04" in refusal("harden")
    assert not before.changes(fresh.snapshot(), CHECKED)
    playbook.run("audit", fresh)
    fresh.put("/etc/os-release", release)

    fresh.run("cd /usr/sbin && rm -f mysqld && mv mariadbd mysqld")  # the names that MySQL has
    before = fresh.snapshot()
    output = refusal("harden", "--tags", "database,backups")
    assert "MySQL is on this host" in output and "Not enforced: database, backups." in output
    assert not before.changes(fresh.snapshot(), [*CHECKED, *PROGRAM])
    playbook.harden(fresh, "--check", "--tags", "headers,database,backups", "--skip-tags", "database,backups")
    fresh.run("cd /usr/sbin && mv mysqld mariadbd")

    control = "Package: in-the-way\nVersion: 1\nArchitecture: all\nMaintainer: Ada <ada@x.test>\nDescription: x\n"
    fresh.put("/root/x/DEBIAN/control", f"{control}Conflicts: restic\n")
    fresh.run("dpkg-deb --build /root/x /root/x.deb && dpkg -i /root/x.deb")
    assert "remove is disabled" in refusal("harden", "--tags", "backups")
    before = fresh.snapshot()
    assert "There is no key here, and the controller has no copy" in refusal(
        "restore", chamilo_restore_confirm=fresh.domain
    )
    assert not before.changes(fresh.snapshot(), CHECKED)
    key = {"chamilo_backups_password": "a-key-of-the-vault-1"}
    output = refusal("restore", chamilo_restore_confirm=fresh.domain, **key)
    assert "remove is disabled" in output and "put MariaDB in its place first" in output
    fresh.run("dpkg --verify in-the-way && test -e /var/lib/dpkg/info/in-the-way.list")


def test_over_ssh_as_an_ordinary_user_with_sudo(make: Callable[..., Host], cell: Cell, playbook: Playbook) -> None:
    host = make(ssh=True)
    before = unrelated_site(host)
    assert playbook.harden(host) > 0
    assert not missing_from_the_portal(host, "https")
    assert unrelated_site(host) == before
    assert playbook.harden(host) == 0


@pytest.mark.long
def test_on_the_server_itself(make: Callable[..., Host]) -> None:
    """``-c local``, with the environment of this machine on a host of the same Debian release."""
    host = make(release=platform.freedesktop_os_release()["VERSION_CODENAME"])
    host.put_tree(Path(sys.prefix), sys.prefix)
    for directory in ("meta", "playbooks", "plugins", "roles"):
        host.put_tree(ROOT / directory, f"/opt/ansible_collections/chamilo/hardening/{directory}")
    host.put("/opt/ansible_collections/chamilo/hardening/galaxy.yml", (ROOT / "galaxy.yml").read_text())
    command = [
        f"{sys.prefix}/bin/ansible-playbook",
        "chamilo.hardening.harden",
        "-i",
        f"{host.domain},",
        "-c",
        "local",
        *TAGS,
    ]
    command += ["-e", "chamilo_hosts=all", "-e", json.dumps(CERTIFICATE)]
    environment = ["env", "LC_ALL=C.UTF-8", "ANSIBLE_COLLECTIONS_PATH=/opt"]
    assert "failed=0" in host.run([*environment, *command]).stdout
    assert not missing_from_the_portal(host, "https")
    assert "changed=0" in host.run([*environment, *command]).stdout
