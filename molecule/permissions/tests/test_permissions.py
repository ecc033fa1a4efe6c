"""What the tree looks like after the role permissions alone, and what a visitor still gets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.testbed.hosts import Host

testinfra_hosts = ["ansible://permissions"]

ROOT = "/var/www/chamilo"
MODES = {
    "": "root:www-data 755",
    "public": "root:www-data 755",
    "public/index.php": "root:www-data 644",
    "bin/console": "root:www-data 755",
    "config": "root:www-data 750",
    ".env": "root:www-data 640",
    "var": "www-data:www-data 770",
}
ANSWERS = {
    "/login": 200,
    "/main/auth/lostPassword.php": 200,
    "/build/app.css": 200,
    "/no-such-page": 404,
    "/.env": 403,
    "/documentation/changelog.html": 403,
    "/main/install/database.sql": 403,
}


@pytest.mark.parametrize("path", MODES)
def test_owner_group_and_mode(host: Any, path: str) -> None:
    file = host.file(f"{ROOT}/{path}")
    assert f"{file.user}:{file.group} {file.mode:o}" == MODES[path]


def test_the_web_user_can_write_to_var_alone(host: Any) -> None:
    output = host.check_output("runuser -u www-data -- find %s -not -path '%s/var*' -writable -not -type l", ROOT, ROOT)
    assert output == ""
    assert host.run("runuser -u www-data -- test -w %s/var/log", ROOT).rc == 0


@pytest.mark.parametrize("path", ANSWERS)
def test_what_a_visitor_gets(portal: Host, path: str) -> None:
    assert portal.http(path).status == ANSWERS[path]


def test_a_window_opens_and_closes(host: Any) -> None:
    assert "is open (install)" in host.check_output("chamilo-hardening window open --profile install --minutes 5")
    assert host.file(f"{ROOT}/config").mode == 0o770
    host.check_output("chamilo-hardening window close")
    assert host.file(f"{ROOT}/config").mode == 0o750


def test_the_shop_beside_it_is_left_alone(portal: Host) -> None:
    assert portal.http("http://shop.test/").status == 200
