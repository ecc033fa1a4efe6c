"""PHP of the portal as a user of its own: the PHP of another site is kept out, everything else goes on, and back."""

from __future__ import annotations

import json

import pytest

from tests.hosts.hardening import Playbook, changed, missing_from_the_portal
from tests.hosts.test_audit_data import audit, install
from tests.testbed import authority
from tests.testbed.app.selfcheck import PASSWORDS, Browser
from tests.testbed.hosts import Host

ROOT = "/var/www/chamilo"
OWN = "chamilo-campus_test"
ONLY = ("--tags", "https,permissions")
MANAGED = {"chamilo_https_vhost": "managed"}
OWN_USER = {**MANAGED, "chamilo_permissions_php_user": "own"}
CONSOLE = f"php {ROOT}/bin/console about"
# What an attacker lays into the other site: reads secrets, also those that PHP compiled for the portal, uses its PHP.
PEEK = f"""<?php
error_reporting(0);
$found = str_contains((string) file_get_contents('{ROOT}/.env'), 'APP_SECRET') ? ['read'] : [];
if (is_array(include '{ROOT}/config/peek.php')) {{ $found[] = 'compiled'; }}
foreach ([...glob('/run/php/*.sock'), ...glob('/run/*.sock')] as $socket) {{
    if (!str_contains($socket, 'shop') && stream_socket_client("unix://$socket")) {{ $found[] = basename($socket); }}
}}
echo implode(' ', $found);
"""
CRON = f"""# of the portal
* * * * * www-data umask 007; php {ROOT}/bin/console about >{ROOT}/var/log/cron.txt
5 4 * * * www-data php /var/www/shop/index.php
"""


def beside_a_shop_of_the_same_user(host: Host) -> None:
    """Both sites as Debian has them: one pool, www-data. The portal has jobs in both places."""
    php = host.run("ls -d /etc/php/*/fpm").stdout.split("/")[3]
    service = {"nginx": "nginx", "apache": "apache2"}[host.web]
    host.run(f"sed -i 's#/run/php/shop.sock#/run/php/php{php}-fpm.sock#' /etc/{service}/sites-available/shop*")
    host.put("/var/www/shop/peek.php", PEEK)
    host.put("/etc/cron.d/portal", CRON)
    host.run(["crontab", "-u", "www-data", "-"], data=f"MAILTO=root\n7 3 * * * {CONSOLE}\n8 3 * * * true\n")
    host.run(f"printf 'env[CAMPUS] = kept\\n' >>/etc/php/{php}/fpm/pool.d/www.conf")
    host.run(f"systemctl restart {service} 'php*-fpm.service'")


def seen_from_the_shop(host: Host) -> list[str]:
    return sorted(host.http("http://shop.test/peek.php").body.decode().split())


def visitor(host: Host) -> Browser:
    return Browser(f"https://{host.domain}", host.address, str(authority.certificate()))


@pytest.mark.wire
def test_another_site_is_kept_out_and_everything_goes_on_and_back(fresh: Host, playbook: Playbook) -> None:
    beside_a_shop_of_the_same_user(install(fresh))
    playbook.harden(fresh, *ONLY, **MANAGED)
    # PHP compiles what a page of the portal includes, and hands it to all pools.
    fresh.put(f"{ROOT}/config/peek.php", "<?php return ['secret'];\n", "0640", "root:www-data")
    fresh.put(
        f"{ROOT}/public/main/peek.php", f"<?php echo getenv('CAMPUS'), count(include '{ROOT}/config/peek.php');\n"
    )
    assert fresh.http(f"https://{fresh.domain}/main/peek.php").body == b"kept1"
    before = seen_from_the_shop(fresh)
    assert {"compiled", "read"} < set(before), "it could read all that there is"
    admin = visitor(fresh)
    assert admin.request("POST", "/login_json", *logging_in()).status == 200
    shared = audit(fresh, "permissions")
    assert "shop.test" in shared.evidence["permissions_php_user"]

    playbook.harden(fresh, *ONLY, **OWN_USER)
    assert seen_from_the_shop(fresh) == [name for name in before if name.endswith("fpm.sock")]
    assert fresh.http(f"https://{fresh.domain}/main/peek.php").body == b"kept1"
    assert admin.request("GET", "/_testbed/request").status == 200
    assert missing_from_the_portal(fresh, "https") == []
    assert not fresh.run(f"find {ROOT}/var /var/www/chamilo/.env -user www-data -o -group www-data").stdout
    fresh.run(f"cd {ROOT} && runuser -u {OWN} -- php bin/console cache:clear")
    assert f"* * * * * {OWN} umask" in fresh.get("/etc/cron.d/portal")
    assert "5 4 * * * www-data php" in fresh.get("/etc/cron.d/portal")
    assert fresh.run(["crontab", "-u", OWN, "-l"]).stdout == f"MAILTO=root\n7 3 * * * {CONSOLE}\n"
    assert fresh.run(["crontab", "-u", "www-data", "-l"]).stdout == "MAILTO=root\n8 3 * * * true\n"
    assert changed(playbook.run("harden", fresh, *ONLY, **OWN_USER).output) == set()
    assert audit(fresh, "permissions").status["permissions_php_user"] == "pass"
    fresh.run("chamilo-hardening window open --minutes 5 && chamilo-hardening window close")
    assert fresh.run(f"stat -c %U:%G {ROOT}/var {ROOT}/.env").stdout.split() == [f"{OWN}:{OWN}", f"root:{OWN}"]

    playbook.harden(fresh, *ONLY, **MANAGED)
    assert seen_from_the_shop(fresh) == before
    assert missing_from_the_portal(fresh, "https") == []
    assert changed(playbook.run("harden", fresh, *ONLY, **MANAGED).output) == set()
    assert fresh.run(f"stat -c %U:%G {ROOT}/var {ROOT}/.env").stdout.split() == ["www-data:www-data", "root:www-data"]
    assert fresh.get("/etc/cron.d/portal") == CRON
    jobs = fresh.run(["crontab", "-u", "www-data", "-l"]).stdout.splitlines()
    assert sorted(jobs) == sorted(["MAILTO=root", f"7 3 * * * {CONSOLE}", "8 3 * * * true"])
    assert not fresh.run("grep -rl chamilo-web /etc/nginx /etc/apache2 /etc/php 2>/dev/null", check=False).stdout


def logging_in() -> tuple[bytes, dict[str, str]]:
    body = json.dumps({"username": "student01", "password": PASSWORDS["student01"]}).encode()
    return body, {"Content-Type": "application/json"}
