"""chamilo-hardening window: open for one address and a while, closed by itself, and the role leaves it alone."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.hosts.hardening import Playbook
from tests.testbed.hosts import Host, docker

ROOT = "/var/www/chamilo"
ONLY = ("--tags", "updates,https,permissions,sessions")
INSTALLER = "/main/install/index.php"
CLOSED = ["root:www-data 644", "root:www-data 640", "root:www-data 640"]
OPEN = ["root:www-data 664", "root:www-data 660", "root:www-data 660"]


def modes(host: Host) -> list[str]:
    paths = f"{ROOT}/public/index.php {ROOT}/config/services.yaml {ROOT}/.env"
    return host.run(f"stat -c '%U:%G %a' {paths}").stdout.splitlines()


def wait(host: Host, seconds: int) -> None:
    """Until nothing is open any more."""
    for _second in range(seconds):
        if "OPEN" not in host.run("chamilo-hardening status").stdout:
            return
        time.sleep(1)
    raise AssertionError(host.run("chamilo-hardening status; journalctl -n 40 -t chamilo-hardening").stdout)


def answers(host: Host, portal: Host) -> int:
    command = f"curl -sk -o /dev/null -w %{{http_code}} https://{portal.domain}{INSTALLER}"
    return int(host.run(f"{command} --resolve {portal.domain}:443:{portal.address}").stdout)


@pytest.fixture
def closed(stage: Callable[..., Host], playbook: Playbook) -> Host:
    return stage("window", lambda host: playbook.harden(host, *ONLY))


@pytest.mark.wire
def test_one_address_reaches_the_installer_for_a_minute(
    closed: Host, make: Callable[..., Host], playbook: Playbook
) -> None:
    friend, stranger = make("friend", state="virgin"), make("stranger", state="virgin")
    assert [answers(host, closed) for host in (friend, stranger)] == [403, 403]
    assert modes(closed) == CLOSED
    said = closed.run(f"chamilo-hardening window open --minutes 1 --from {friend.address}").stdout
    assert f"the installer answers {friend.address} only" in said
    began = time.monotonic()
    assert modes(closed) == OPEN
    assert [answers(host, closed) for host in (friend, stranger)] == [200, 403]
    wait(closed, 90)
    assert time.monotonic() - began > 45
    assert [answers(host, closed) for host in (friend, stranger)] == [403, 403]
    assert modes(closed) == CLOSED
    assert "window" not in closed.run("ls -R /etc/systemd/system /etc/nginx /etc/apache2", check=False).stdout


def test_the_role_leaves_an_open_tree_alone(closed: Host, playbook: Playbook) -> None:
    closed.run("chamilo-hardening window open")
    played = playbook.run("harden", closed, *ONLY, "--diff")
    assert played.changed[closed.domain] == 0, played.output
    assert f"{ROOT} is open (upgrade) until" in played.output
    assert modes(closed) == OPEN
    closed.run("chamilo-hardening window close")
    assert modes(closed) == CLOSED
    assert playbook.harden(closed, *ONLY) == 0


def test_it_closes_after_a_restart(closed: Host) -> None:
    """Once the deadline is still to come, once it passed while the host was down."""
    closed.run("chamilo-hardening window open --minutes 60 --from 203.0.113.7")
    closed.restart()
    assert modes(closed) == OPEN
    closed.run("chamilo-hardening window open --minutes 1 --from 203.0.113.7")
    docker("stop", "--time", "30", closed.container)
    time.sleep(65)
    docker("start", closed.container)
    closed.ready()
    wait(closed, 60)
    assert modes(closed) == CLOSED
    assert answers(closed, closed) == 403
