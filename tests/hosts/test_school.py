"""A whole school behind one address works on a hardened host, and a script gets the time that PHP gives it."""

from __future__ import annotations

import re
import secrets
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
OWN, SECONDS = 20, 25  # how long the web server waits for PHP by its owner's will, and what a script takes
FAULTS = "grep -hE '(CRITICAL|ERROR):' /var/www/chamilo/var/log/*.log | cut -c 1-1000"
FILM = secrets.token_bytes(1 << 20) * 100


def lesson(host: Host, number: int) -> list[int]:
    """What one pupil does at the beginning of a lesson, and the answers."""
    pupil = Browser(f"https://{host.domain}", host.address, str(authority.certificate()), timeout=120)
    seen = [pupil.get(path).status for path in ("/", "/build/app.css", "/build/app.js", "/img/icon.png")]
    seen.append(pupil.login(f"student{number % 30 + 1:02}", "student-Password-1!").status)
    seen += [
        pupil.get(path).status for path in ("/editor", "/main/lp/lp_controller.php", "/assets/scorm/demo/index.html")
    ]
    if not number:  # the one who hands in a film while all the others work
        answer = pupil.upload("/documents/upload", "film.mp4", FILM)
        assert answer.status == 201, answer.body[:200]
        assert pupil.get(str(answer.json()["url"])).body == FILM
    return seen


def served_at_once(host: Host) -> int:
    """How many connections the web server takes, by what is active."""
    if host.web == "nginx":
        words = host.run("nginx -T 2>/dev/null").stdout
        # But for ours, which leaves the pages alone: the pupils of this lesson show it.
        assert set(re.findall(r"^\s*limit_(?:conn|req)\w* (?:\S+ )?zone=(\w+)_[0-9a-f]{8}_", words, re.M)) <= {
            "chamilo"
        }
        return int(re.findall(r"^\s*worker_connections (\d+);", words, re.MULTILINE)[-1])
    found = host.run("cat /etc/apache2/mods-enabled/mpm_*.conf").stdout
    return int(re.findall(r"^\s*MaxRequestWorkers\s+(\d+)", found, re.MULTILINE)[-1])


def test_sixty_pupils_behind_one_address_are_served(fresh: Host, playbook: Playbook) -> None:
    before = served_at_once(fresh)
    # All sections. Not a friend: the address of these pupils is like any other.
    playbook.harden(fresh, chamilo_friends=[], chamilo_uploads_maximum_size="256M")
    children = int(fresh.run("sed -n 's/^pm.max_children = //p' /etc/php/*/fpm/pool.d/www.conf").stdout)
    assert served_at_once(fresh) == before > max(children, USERS), "no visitor is turned away before PHP is asked"
    with ThreadPoolExecutor(USERS) as school:
        seen = Counter(
            status for answers in school.map(lambda number: lesson(fresh, number), range(USERS)) for status in answers
        )
    output = fresh.run(f"tail -n 5 /var/log/*/error.log /var/log/php*.log; {FAULTS}", check=False)
    assert seen == {200: USERS * 8}, output.stdout


def test_a_script_has_the_time_that_php_gives_it(fresh: Host, tmp_path: Path) -> None:
    """Also where the owner of the web server has it give up earlier."""
    playbook = Playbook(tmp_path, "https,permissions")
    directory = fresh.run("echo /etc/php/*/fpm/conf.d").stdout.strip()
    fresh.put(f"{directory}/50-own.ini", "max_execution_time = 120\n")
    path, text, service = {
        "nginx": ("/etc/nginx/conf.d/own.conf", f"fastcgi_read_timeout {OWN}s;\n", "nginx"),
        "apache": ("/etc/apache2/conf-enabled/own.conf", f"Timeout {OWN}\n", "apache2"),
    }[fresh.web]
    fresh.put(path, text)
    fresh.run(f"systemctl restart 'php*-fpm.service' {service}")
    fresh.put("/var/www/chamilo/public/main/long.php", f"<?php sleep({SECONDS}); echo 'done';")
    assert fresh.http("/main/long.php", timeout=SECONDS + 30.0).status == 504
    playbook.harden(fresh)
    answer = fresh.http(f"https://{fresh.domain}/main/long.php", timeout=SECONDS + 30.0)
    assert (answer.status, answer.body) == (200, b"done")
    assert playbook.harden(fresh) == 0, "what we wrote is not taken for the owner's"
