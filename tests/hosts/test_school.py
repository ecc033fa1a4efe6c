"""A whole school behind one address works on a hardened host, and a script gets the time that PHP gives it."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.hosts.hardening import Playbook
from tests.testbed import authority
from tests.testbed.app.selfcheck import Browser
from tests.testbed.hosts import Host

pytestmark = pytest.mark.long

USERS = 60
SECONDS = 65  # more than nginx waits by itself


@pytest.fixture
def playbook(tmp_path: Path) -> Playbook:
    return Playbook(tmp_path, "https,brute_force,sessions,headers")


def lesson(host: Host, number: int) -> list[int]:
    """What one pupil does at the beginning of a lesson, and the answers."""
    pupil = Browser(f"https://{host.domain}", host.address, str(authority.certificate()))
    seen = [pupil.get(path).status for path in ("/", "/build/app.css", "/build/app.js", "/img/icon.png")]
    seen.append(pupil.login(f"student{number % 30 + 1:02}", "student-Password-1!").status)
    seen += [
        pupil.get(path).status for path in ("/editor", "/main/lp/lp_controller.php", "/assets/scorm/demo/index.html")
    ]
    return seen


def test_sixty_pupils_behind_one_address_are_served(fresh: Host, playbook: Playbook) -> None:
    # Not a friend: the address of these pupils is like any other.
    playbook.harden(fresh, chamilo_friends=[])
    with ThreadPoolExecutor(USERS) as school:
        seen = Counter(
            status for answers in school.map(lambda number: lesson(fresh, number), range(USERS)) for status in answers
        )
    said = fresh.run("tail -n 5 /var/log/*/error.log /var/log/php*.log /var/www/chamilo/var/log/*.log", check=False)
    assert seen == {200: USERS * 8}, said.stdout


def test_a_script_has_the_time_that_php_gives_it(fresh: Host, playbook: Playbook) -> None:
    folder = fresh.run("echo /etc/php/*/fpm/conf.d").stdout.strip()
    fresh.put(f"{folder}/50-own.ini", "max_execution_time = 120\n")
    fresh.run("systemctl restart 'php*-fpm.service'")
    playbook.harden(fresh)
    fresh.put("/var/www/chamilo/public/main/long.php", f"<?php sleep({SECONDS}); echo 'done';")
    answer = fresh.http(f"https://{fresh.domain}/main/long.php", timeout=SECONDS + 30.0)
    assert (answer.status, answer.body) == (200, b"done")
