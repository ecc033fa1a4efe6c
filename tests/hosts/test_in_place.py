# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual host of its owner stays: hardened by marked lines, and the same bytes as before without them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.hosts.conftest import Cell
from tests.hosts.hardening import HSTS, Playbook, missing_from_the_portal, unrelated_site
from tests.testbed.hosts import Host
from tests.tools.mangled import mangled

SENT = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Strict-Transport-Security": HSTS,
}
SECTIONS = ("https", "permissions", "headers", "uploads")


def virtual_host(host: Host) -> str:
    return {"nginx": "/etc/nginx/sites-available/chamilo", "apache": "/etc/apache2/sites-available/chamilo.conf"}[
        host.web
    ]


@pytest.fixture
def playbook(tmp_path: Path) -> Playbook:
    return Playbook(tmp_path, ",".join(SECTIONS))


def red(host: Host, playbook: Playbook) -> list[str]:
    """What the audit shows red of the sections."""
    playbook.run("audit", host)
    report = json.loads((playbook.directory / "report/report.json").read_text())
    return [
        f"{one['id']}: {one['evidence']}"
        for one in report["hosts"][0]["controls"]
        if one["section"] in SECTIONS and one["level"] in ("must", "should") and one["status"] == "fail"
    ]


def school(host: Host, scheme: str) -> list[tuple[str, ...]]:
    """The headers of the owner alone."""
    found = [host.http(f"{scheme}://{host.domain}{path}") for path in ("/", "/build/app.css", "/favicon.ico")]
    return [(*answer.values("X-School"), *answer.values("X-Served-By")) for answer in found]


@pytest.mark.wire
@pytest.mark.parametrize("vhost", ["foreign-headers", pytest.param("two-names", marks=pytest.mark.long)])
def test_a_virtual_host_stays_its_owners(make: Callable[..., Host], cell: Cell, playbook: Playbook, vhost: str) -> None:
    host = make(vhost=vhost)
    file, web = virtual_host(host), {"nginx": "nginx", "apache": "apache2"}[host.web]
    left = "/var/www/chamilo/public/main/img/notes.bak"
    if host.web == "nginx":  # which asks no regular expression of ours for it then
        prefix = "    location ^~ /main/img/ {\n        expires 1d;\n    }\n\n"
        host.put(file, host.get(file).replace("    location / {", f"{prefix}    location / {{"))
        host.run(f"install -D -m 0644 /dev/null {left} && systemctl reload nginx")
        assert host.http("/main/img/notes.bak").status == 200
    before, beside, own = host.get(file), unrelated_site(host), school(host, "http")
    frames = host.http("/favicon.ico").values("X-Frame-Options")
    playbook.harden(host)
    if host.web == "nginx":
        assert host.http(f"https://{host.domain}/main/img/notes.bak").status == 403
        host.run(["rm", left])
    assert host.http("/.well-known/acme-challenge/none").status == 404
    assert red(host, playbook) == []
    assert not missing_from_the_portal(host, "https")
    for path in ("/", "/build/app.css", "/nothing-here", "/api/users"):
        answer = host.http(f"https://{host.domain}{path}")
        assert {name: answer.values(name) for name in SENT} == {name: [value] for name, value in SENT.items()}, path
    assert school(host, "https") == own
    host.put("/var/www/chamilo/public/upload/x.php", "<?php echo 6*7;", "0644")
    assert host.http(f"https://{host.domain}/upload/x.php").status == 403
    host.run(["rm", "/var/www/chamilo/public/upload/x.php"])
    assert unrelated_site(host) == beside
    playbook.sections = "https,headers,uploads"  # what was uploaded since has other rights
    assert playbook.harden(host) == 0

    # Its owner goes on editing it.
    first, rest = host.get(file).split("\n", 1)
    host.put(file, f"# Mine.\n{first}\n{rest}")
    assert playbook.harden(host) == 0
    for section in SECTIONS[::-1]:
        host.run(["chamilo-hardening", "undo", section, "--yes"])
        if section == "headers" and web == "nginx":  # what stood aside for it comes back with it
            assert host.http(f"https://{host.domain}/favicon.ico").values("X-Frame-Options") == frames
    assert host.get(file) == f"# Mine.\n{before}"
    host.run(["systemctl", "reload", web])
    assert not missing_from_the_portal(host, "http")


# An older program's addresses, in each of the ways that web servers have for them.
MOVED = {
    "nginx": """
    rewrite ^/claroline/(\\w+)/index\\.php$ /courses/$1 permanent;
    rewrite ^/dokeos/ https://old.example.org/ last;
    if ($request_uri ~ ^/moodle/) { return 301 /; }
    if ($moved) { return 301 $moved; }
    location = /news.php { return 301 /blog; }
    location ^~ /forum/ { return 410; }
    location ~ ^/wiki/.+\\.php5?$ { return 302 /; }
    location ~* "^/(?:main/calendar|agenda)/.{1,20}\\.phtml$" { return 301 /; }
""",
    "apache": """
    RedirectMatch 301 "^/claroline/(\\w+)/index\\.php$" "/courses/$1"
    RedirectMatch 302 "^/dokeos/" "https://old.example.org/"
    Redirect permanent "/news.php" "/blog"
    Redirect gone "/forum"
    RedirectMatch 302 "^/wiki/.+\\.php5?$" "/"
    RedirectMatch 301 "(?i)^/(?:main/calendar|agenda)/.{1,20}\\.phtml$" "/"
    RewriteEngine On
    RewriteRule ^/moodle/ / [R=301,L]
    RewriteCond %{QUERY_STRING} ^id=7$
    RewriteRule ^/store/x\\.php$ /shop? [R=301,L]
""",
}
MAP = "map $request_uri $moved { /store/x.php?id=7 /shop; }\n"
OLD = {
    **dict.fromkeys(("/claroline/bio/index.php", "/claroline/maths/index.php?a=1"), 301),
    **dict.fromkeys(("/dokeos/x.php", "/dokeos/deep/er/x.phtml", "/dokeos/.htaccess"), 302),
    **dict.fromkeys(("/moodle/x.php?id=1", "/moodle/course/view.php?id=3&x=y", "/moodle/x.phar"), 301),
    **dict.fromkeys(("/store/x.php?id=7", "/news.php", "/news.php?year=2019"), 301),
    **dict.fromkeys(("/forum/x.php", "/forum/view/topic.php", "/forum/x.pht"), 410),
    **dict.fromkeys(("/wiki/a.php", "/wiki/a.php5", "/wiki/deep/a.php"), 302),
    **dict.fromkeys(("/main/calendar/a.phtml", "/AGENDA/b.PHTML"), 301),
}
# Each seems to be one of them: PHP that was uploaded would answer.
UPLOADED = (
    *("/claroline/bio/x.php", "/main/../upload/x.php", "/upload/x.php?/wiki/a.php5"),
    *("/store/x.php?id=8", "/up/wiki/a.php"),
)


@pytest.mark.cells("trixie-nginx", "trixie-apache")
def test_addresses_of_an_older_program_lead_where_they_led(fresh: Host, playbook: Playbook) -> None:
    file, moved, own = virtual_host(fresh), MOVED[fresh.web], fresh.get(virtual_host(fresh))
    if fresh.web == "nginx":
        fresh.put(file, MAP + own.replace("    location / {", f"{moved}    location / {{", 1))
    else:
        fresh.put(file, own.replace("</VirtualHost>", f"{moved}</VirtualHost>"))
    for path in ("claroline/bio/x", "upload/x", "store/x", "up/wiki/a"):
        fresh.put(f"/var/www/chamilo/public/{path}.php", "<?php echo 6*7;")
    fresh.run("chown -R www-data: /var/www/chamilo/public && systemctl try-reload-or-restart 'nginx*' 'apache2*'")

    def led(paths: Iterable[str]) -> dict[str, tuple[int, list[str]]]:
        answers = {path: fresh.http(f"https://{fresh.domain}{path}") for path in paths}
        return {path: (answer.status, answer.values("Location")) for path, answer in answers.items()}

    playbook.sections = "https"
    playbook.harden(fresh)
    before = led(OLD)
    assert {path: status for path, (status, _to) in before.items()} == OLD
    assert {status for status, _to in led(UPLOADED).values()} == {200}
    playbook.sections = "headers,uploads"
    playbook.harden(fresh)
    assert led(OLD) == before
    assert {status for status, _to in led(UPLOADED).values()} == {403}
    assert playbook.harden(fresh) == 0


DAMAGE = ("truncate -s 20 {}", "rm {}", "chmod 600 {}", "echo '}}' >> {}")


@pytest.mark.wire
def test_random_damage_is_repaired_and_undone_while_the_site_answers(
    make: Callable[..., Host], playbook: Playbook
) -> None:
    host, chance = make(vhost="foreign-headers"), random.Random(46)
    file = virtual_host(host)
    before = host.get(file)
    playbook.harden(host)
    marked = host.get(file)
    drop_ins = host.run(f"ls {file.removesuffix('.conf').rpartition('/')[0]}/chamilo-*.d/*.conf").stdout.split()

    def damage() -> None:
        host.put(file, mangled(host.get(file).removeprefix("# first\n"), chance))
        host.run(chance.choice(DAMAGE).format(chance.choice(drop_ins)))

    asking = f"curl -sko /dev/null -w '%{{http_code}}\\n' --resolve {host.domain}:443:127.0.0.1 https://{host.domain}/"
    host.run(f'systemd-run -q --unit=asking sh -c "while :; do {asking}; sleep 0.2; done > /run/answers"')
    for number in range(12):
        damage()
        if number % 4 == 3:  # the next run of the playbook does the same
            assert playbook.harden(host) > 0
        else:
            host.run("chamilo-hardening repair")
        assert host.get(file) == f"# first\n{marked}", number
        assert "edited by hand" not in host.run("chamilo-hardening status").stdout
    assert playbook.harden(host) == 0
    host.run("systemctl stop asking")
    answers = host.run("cat /run/answers").stdout.split()
    assert len(answers) > 50 and {*answers} == {"200"}
    damage()
    for section in SECTIONS[::-1]:
        host.run(["chamilo-hardening", "undo", section, "--yes"])
    assert host.get(file) == f"# first\n{before}"
    assert not missing_from_the_portal(host, "http")
