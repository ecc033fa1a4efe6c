"""chamilo-hardening window: open for one address and a while, closed by itself, and the role leaves it alone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from tests.hosts.hardening import Playbook
from tests.playbook import PlayError
from tests.testbed.hosts import Host, docker

ROOT = "/var/www/chamilo"
OPENING = """
- hosts: all
  become: true
  gather_facts: false
  tasks:
    - chamilo.hardening.chamilo_perms:
        path: {root}
        web_user: www-data
        profile: "{{{{ profile }}}}"
        until: "{{{{ minutes }}}}"
      register: opened
    - ansible.builtin.debug:
        msg: "window: {{{{ opened.window }}}}"
"""
ONLY = ("--tags", "updates,https,permissions,sessions")
INSTALLER = "/main/install/version.php"  # later versions guard the wizard themselves
CLOSED = ["root:www-data 644", "root:www-data 640", "root:www-data 640"]
OPEN = ["root:www-data 664", "root:www-data 660", "root:www-data 660"]


def modes(host: Host) -> list[str]:
    paths = f"{ROOT}/public/index.php {ROOT}/config/services.yaml {ROOT}/.env"
    return host.run(f"stat -c '%U:%G %a' {paths}").stdout.splitlines()


def wait(host: Host, seconds: int) -> None:
    """Until nothing is open any more."""
    for _second in range(seconds):
        if "chamilo-hardening window close" not in host.run("chamilo-hardening status").stdout:
            return
        time.sleep(1)
    raise AssertionError(host.run("chamilo-hardening status; journalctl -n 40 -t chamilo-hardening").stdout)


def audited(playbook: Playbook, host: Host) -> tuple[str, str]:
    """What the audit reports of permissions_code."""
    playbook.run("audit", host)
    (entry,) = json.loads((playbook.directory / "report/report.json").read_text())["hosts"]
    return next((row["status"], row["evidence"]) for row in entry["controls"] if row["id"] == "permissions_code")


def answers(host: Host, portal: Host) -> int:
    command = f"curl -sk -o /dev/null -w %{{http_code}} https://{portal.domain}{INSTALLER}"
    return int(host.run(f"{command} --resolve {portal.domain}:443:{portal.address}").stdout)


@pytest.fixture
def closed(stage: Callable[..., Host], playbook: Playbook) -> Host:
    return stage("window", lambda host: playbook.harden(host, *ONLY))


def test_one_address_reaches_the_installer_for_a_minute(
    closed: Host, make: Callable[..., Host], playbook: Playbook
) -> None:
    friend, unrelated_client = make("friend", state="virgin"), make("stranger", state="virgin")
    assert [answers(host, closed) for host in (friend, unrelated_client)] == [403, 403]
    assert modes(closed) == CLOSED
    began = time.monotonic()
    output = closed.run(f"chamilo-hardening window open --yes --minutes 1 --from {friend.address}").stdout
    assert f"the installer answers {friend.address} only" in output
    assert modes(closed) == OPEN
    assert [answers(host, closed) for host in (friend, unrelated_client)] == [200, 403]
    # What an update changes of ours is reported, for no one reads what the unit prints.
    ours = json.loads(closed.run("chamilo-hardening status --json").stdout)["sections"]
    (changed,) = (path for path in ours["permissions:campus_test"]["files"] if path.endswith(".d/permissions.conf"))
    closed.run(f"echo '# by the update' >>{changed}")
    closed.put("/etc/chamilo-hardening/alert.json", json.dumps({"mail": "admin@school.example"}), "0600")
    closed.put("/usr/sbin/sendmail", "#!/bin/sh\ncat >>/root/mails\n", "0755")
    wait(closed, 90)
    assert time.monotonic() - began > 45
    assert [answers(host, closed) for host in (friend, unrelated_client)] == [403, 403]
    assert modes(closed) == CLOSED
    left = "ls -R /etc/systemd/system /etc/nginx /etc/apache2 2>/dev/null | grep window"
    assert not closed.run(f"timeout 30 sh -c 'while {left}; do sleep 1; done' >&2", check=False).returncode, "its units"
    reported = "timeout 30 sh -c 'until grep -s \"closed by itself\" /root/mails; do sleep 1; done'; cat /root/mails"
    mail = closed.run(reported).stdout
    assert "The window closed by itself" in mail and changed in mail


@pytest.mark.long
def test_a_backup_comes_first_and_without_one_the_window_stays_closed(closed: Host, playbook: Playbook) -> None:
    playbook.harden(closed, "--tags", "backups")

    def runs() -> list[str]:
        return closed.run("chamilo-hardening restore list").stdout.splitlines()

    before = runs()
    assert "backup of campus.test: A dump of" in closed.run("chamilo-hardening window open --yes").stdout
    assert modes(closed) == OPEN and len(runs()) == len(before) + 1
    closed.run("chamilo-hardening window open --yes --minutes 5")
    assert len(runs()) == len(before) + 1, "what is open already may be half updated"
    output = closed.run("chamilo-hardening window close").stdout
    assert "ansible-playbook chamilo.hardening.harden" in output and "No longer as" not in output
    repository = "/var/backups/chamilo-hardening/campus_test"
    closed.run(f"mv {repository}/keys {repository}/away")
    refused = closed.run("chamilo-hardening window open --yes", check=False)
    assert refused.returncode == 1 and "the window stays closed" in refused.stderr
    assert modes(closed) == CLOSED
    closed.run("chamilo-hardening window open --yes --without-backup")
    assert modes(closed) == OPEN
    closed.run(f"mv {repository}/away {repository}/keys; chamilo-hardening window close")
    assert len(runs()) == len(before) + 1 and modes(closed) == CLOSED


@pytest.mark.long
def test_the_role_leaves_an_open_tree_alone(closed: Host, playbook: Playbook) -> None:
    closed.run("chamilo-hardening window open --yes")
    played = playbook.run("harden", closed, *ONLY, "--diff")
    assert played.changed[closed.domain] == 0, played.output
    assert f"{ROOT} is open (upgrade) until" in played.output
    assert modes(closed) == OPEN
    closed.run("chamilo-hardening window close")
    assert modes(closed) == CLOSED
    assert playbook.harden(closed, *ONLY) == 0


@pytest.mark.long
def test_the_module_opens_until_a_deadline_and_the_audit_reports_so(closed: Host, playbook: Playbook) -> None:
    opening = playbook.write("open.yml", OPENING.format(root=ROOT))

    def play(**given: object) -> tuple[int, str]:
        played = playbook.run(opening, closed, **given)
        return played.changed[closed.domain], " ".join(played.output.split())

    for minutes in (0, -5, 24 * 60 + 1):  # over before it begins, or too long
        with pytest.raises(PlayError) as refused:
            play(profile="upgrade", minutes=minutes)
        assert f"minutes is {minutes}; a window is open for 1 to 1440 minutes." in str(refused.value)
    with pytest.raises(PlayError, match="production has no end"):
        play(profile="production", minutes=5)
    assert modes(closed) == CLOSED

    changed, output = play(profile="upgrade", minutes=30)
    assert (changed, modes(closed)) == (1, OPEN)
    until = output.split(f"window: {ROOT} is open (upgrade) until ")[1][: len("2026-01-01 00:00:00 UTC")]
    status, evidence = audited(playbook, closed)
    assert status == "fail" and f"a window is open (profile upgrade, until {until})" in evidence
    changed, output = play(profile="upgrade", minutes=30)  # the deadline does not move
    assert changed == 0 and until in output

    # As if the deadline had passed while nothing could close it: the next run does.
    closed.run("systemctl stop chamilo-hardening-window.timer")
    records = json.loads(closed.get("/var/lib/chamilo-hardening/windows.json"))
    records[0]["until"] = int(time.time()) - 60
    closed.put("/var/lib/chamilo-hardening/windows.json", json.dumps(records), mode="0600")
    assert "and should be closed by now" in audited(playbook, closed)[1]
    assert playbook.harden(closed, *ONLY) == 1
    assert modes(closed) == CLOSED
    assert "a window is open" not in audited(playbook, closed)[1]
    assert "window" not in closed.run("ls -R /etc/systemd/system").stdout
    assert playbook.harden(closed, *ONLY) == 0


@pytest.mark.long
def test_it_closes_after_a_restart(closed: Host) -> None:
    """Once the deadline is still to come, once it passed while the host was down."""
    closed.run("chamilo-hardening window open --yes --minutes 60 --from 203.0.113.7")
    closed.restart()
    assert modes(closed) == OPEN
    closed.run("chamilo-hardening window open --yes --minutes 1 --from 203.0.113.7")
    docker("stop", "--time", "30", closed.container)
    time.sleep(65)
    docker("start", closed.container)
    closed.ready()
    wait(closed, 60)
    assert modes(closed) == CLOSED
    assert answers(closed, closed) == 403
