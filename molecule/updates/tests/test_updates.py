"""What the role updates alone leaves behind, on nginx and Apache, on both releases."""

from __future__ import annotations

from typing import Any

import pytest

from tests.testbed.hosts import Host

testinfra_hosts = ["ansible://updates"]


def test_security_fixes_install_themselves(host: Any) -> None:
    tried = host.run("unattended-upgrade --dry-run --debug")
    assert tried.rc == 0 and "Debian-Security" in tried.stdout + tried.stderr
    assert host.service("apt-daily-upgrade.timer").is_enabled
    known = host.check_output("apt-config dump APT::Periodic::Unattended-Upgrade")
    assert known == 'APT::Periodic::Unattended-Upgrade "1";'


def test_a_new_release_is_looked_for_each_day(host: Any) -> None:
    timer = host.check_output("systemctl show chamilo-hardening-daily.timer -p ActiveState -p Unit")
    assert set(timer.splitlines()) == {"ActiveState=active", "Unit=chamilo-hardening-daily.service"}
    record = host.check_output("cat /var/lib/chamilo-hardening/updates.json")
    assert '"watch"' in record


@pytest.mark.parametrize("path", ["/main/install/index.php", "/main/install/", "/index.php/../main/install/index.php"])
def test_nobody_reaches_the_installer(portal: Host, path: str) -> None:
    assert portal.http(path).status in (403, 404)


def test_the_portal_and_the_shop_beside_it_still_answer(portal: Host) -> None:
    assert portal.http("/login").status == 200
    assert portal.http("http://shop.test/").status == 200
