"""What the role database alone leaves behind, on nginx and Apache, on both releases."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from tests.testbed.app.selfcheck import PASSWORDS, Browser
from tests.testbed.hosts import Host

testinfra_hosts = ["ansible://database"]

EIGHT = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, INDEX, ALTER ON `chamilo`.*"


def test_the_application_has_an_account_of_its_own(host: Any) -> None:
    user = host.check_output("sed -n \"s/^DATABASE_USER='*\\([a-z_]*\\)'*$/\\1/p\" /var/www/chamilo/.env")
    assert user.startswith("chamilo_database_")
    lines = host.check_output(f"mariadb --skip-column-names -e 'SHOW GRANTS FOR {user}@localhost'").splitlines()
    assert len(lines) == 2 and f"GRANT {EIGHT} TO" in lines[1]
    assert "ON *.*" in host.check_output("mariadb --skip-column-names -e \"SHOW GRANTS FOR 'chamilo'@'%'\"")
    assert "ALL PRIVILEGES" not in host.check_output("mariadb --skip-column-names -e \"SHOW GRANTS FOR 'chamilo'@'%'\"")


def test_people_still_log_in(portal: Host) -> None:
    client = Browser(f"http://{portal.domain}", portal.address)
    assert client.post_json("/login_json", username="student01", password=PASSWORDS["student01"]).status == 200


def test_the_database_answers_nobody_else(portal: Host) -> None:
    with pytest.raises(OSError):
        socket.create_connection((portal.address, 3306), 5).close()


def test_the_shop_beside_it_is_left_alone(portal: Host) -> None:
    assert portal.http("http://shop.test/").status == 200
