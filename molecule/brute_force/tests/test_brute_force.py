"""What the role brute_force leaves behind: an armed jail, other jails, the way back, a login with a CAPTCHA."""

from __future__ import annotations

from typing import Any

import pytest

from tests.testbed.hosts import Host

testinfra_hosts = ["ansible://brute_force"]


@pytest.fixture
def jail(host: Any) -> str:
    return "chamilo-" + str(host.ansible.get_variables()["inventory_hostname"]).replace("-", "--").replace(".", "-")


def test_fail2ban_runs_with_the_jail_and_with_its_own(host: Any, jail: str) -> None:
    assert host.service("fail2ban").is_running
    assert host.service("fail2ban").is_enabled
    output = host.run("fail2ban-client status").stdout
    assert jail in output
    assert "sshd" in output


@pytest.mark.parametrize(("value", "desired"), [("maxretry", "5"), ("findtime", "900"), ("bantime", "900")])
def test_the_jail_is_as_strict_as_the_guide_asks(host: Any, jail: str, value: str, desired: str) -> None:
    assert host.run(f"fail2ban-client get {jail} {value}").stdout.strip() == desired


def test_the_way_back_is_there_for_root_only(host: Any) -> None:
    program = host.file("/usr/local/sbin/chamilo-unlock")
    assert program.linked_to == "/usr/local/sbin/chamilo-hardening"
    assert host.run("chamilo-unlock").rc == 0
    assert host.run("runuser -u www-data -- /usr/local/sbin/chamilo-unlock").rc == 2


def test_a_login_asks_for_a_captcha(portal: Host) -> None:
    assert b'data-captcha="true"' in portal.http("/login").body
