"""What a visitor gets after the role sessions alone, on plain http and with "Remember me" off."""

from __future__ import annotations

from typing import Any

import pytest

from tests.testbed.hosts import Host

testinfra_hosts = ["ansible://sessions"]

CHOSEN = "0chosen0by0a0stranger0chosen0by0a0stranger"
# A page of the application, and a script of its own
PATHS = ("/login", "/main/lp/aicc_hacp.php")


def cookie(portal: Host, path: str, **headers: str) -> str:
    (line,) = portal.http(path, headers=headers).values("Set-Cookie")
    return line


@pytest.mark.parametrize("path", PATHS)
def test_the_cookie_is_protected_and_still_comes_back(portal: Host, path: str) -> None:
    flags = {part.strip().lower() for part in cookie(portal, path).split(";")[1:]}
    assert {"httponly", "samesite=lax"} <= flags
    assert "secure" not in flags, "nobody could log in over plain http"


@pytest.mark.parametrize("path", [*PATHS, f"{PATHS[1]}?session_id={CHOSEN}"])
def test_nobody_chooses_a_session(portal: Host, path: str) -> None:
    assert CHOSEN not in cookie(portal, path, Cookie=f"chamilo2={CHOSEN}")


def test_the_cleaner_runs_every_five_minutes(host: Any) -> None:
    schedule = host.check_output("systemctl show phpsessionclean.timer -p TimersCalendar --value")
    assert "*:00/5:00" in schedule and schedule.count("OnCalendar") == 1


def test_the_servers_still_accept_their_configuration(host: Any) -> None:
    variables = host.ansible.get_variables()
    command = {"nginx": "nginx -t", "apache": "apache2ctl configtest"}[variables["testbed_web"]]
    assert host.run(command).rc == 0


def test_the_shop_beside_it_is_left_alone(portal: Host) -> None:
    answer = portal.http("http://shop.test/")
    assert answer.status == 200
    assert answer.values("Set-Cookie") == ["basket=empty; path=/; SameSite=None"]
