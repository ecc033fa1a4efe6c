"""What a visitor gets after the role headers alone, on plain http."""

from __future__ import annotations

from typing import Any

import pytest

from tests.guide import HEADERS
from tests.testbed.hosts import Host

testinfra_hosts = ["ansible://headers"]

# PHP, an older page, a static file, a refused API call, a missing page
ANSWERS = {
    "/login": 200,
    "/main/auth/lostPassword.php": 200,
    "/build/app.css": 200,
    "/api/users": 401,
    "/no-such-page": 404,
}


@pytest.mark.parametrize("path", ANSWERS)
def test_each_header_once_on_every_answer(portal: Host, path: str) -> None:
    answer = portal.http(path)
    assert answer.status == ANSWERS[path]
    assert {name: answer.values(name) for name in HEADERS} == {name: [value] for name, value in HEADERS.items()}


def test_the_policy_is_tried_out_first(portal: Host) -> None:
    answer = portal.http("/login")
    (policy,) = answer.values("Content-Security-Policy-Report-Only")
    assert "frame-ancestors 'self'" in policy
    assert answer.values("Content-Security-Policy") == []


def test_versions_are_not_reported(portal: Host) -> None:
    answer = portal.http("/login")
    assert answer.values("X-Powered-By") == []
    assert not any(character.isdigit() for character in answer.value("Server"))


def test_the_shop_beside_it_is_left_alone(portal: Host) -> None:
    answer = portal.http("http://shop.test/")
    assert answer.status == 200
    assert answer.values("X-Frame-Options") == []


def test_the_server_still_accepts_its_configuration(host: Any) -> None:
    variables = host.ansible.get_variables()
    command = {"nginx": "nginx -t", "apache": "apache2ctl configtest"}[variables["testbed_web"]]
    assert host.run(command).rc == 0
