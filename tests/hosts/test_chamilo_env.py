"""The module chamilo_env on a real host: the application sees the new values, and no other account sees the secrets."""

from __future__ import annotations

import json
import time

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.dotenv import parse_text
from tests.hosts.hardening import Playbook, dump_environment, missing_from_the_portal
from tests.hosts.test_mod_php import FILE, as_shipped
from tests.playbook import PlayError
from tests.testbed.app.selfcheck import PASSWORDS, Browser
from tests.testbed.hosts import Host

ROOT = "/var/www/chamilo"
PLAY = """
- hosts: all
  become: true
  gather_facts: false
  tasks:
    - chamilo.hardening.host_program: {request: {}}
    - chamilo.hardening.chamilo_env:
        domain: "{{ inventory_hostname }}"
        values: "{{ wanted | default({'APP_ENV': 'prod', 'APP_DEBUG': 0}) }}"
        secret_values: "{{ given | default({}) }}"
        require: [APP_SECRET, JWT_PASSPHRASE]
        generate: true
"""


def apply(playbook: Playbook, host: Host, *options: str, **variables: object) -> str:
    return playbook.run(playbook.write("env.yml", PLAY), host, *options, **variables).output


def token(host: Host) -> str:
    client = Browser(f"http://{host.domain}", host.address)
    answer = client.post_json("/api/authentication_token", username="student01", password=PASSWORDS["student01"])
    return f"Bearer {answer.json()['token']}"


def accepted(host: Host, given: str) -> bool:
    return Browser(f"http://{host.domain}", host.address).get("/api/me", Authorization=given).status == 200


def state(host: Host) -> dict[str, object]:
    found: dict[str, object] = json.loads(host.http("/_testbed/request").body)
    return found


def test_production_mode_and_secrets_of_its_own(fresh: Host, playbook: Playbook) -> None:
    old = token(fresh)
    key = f"openssl pkey -in {ROOT}/config/jwt/private.pem -pubout -passin pass:"
    public = fresh.run(f"{key}your_secret_passphrase").stdout
    predicted = apply(playbook, fresh, "--check", "--diff")
    assert "+APP_SECRET=(another secret)" in predicted and "another key" in predicted
    assert state(fresh)["env"] == "dev"
    apply(playbook, fresh)
    assert (state(fresh)["env"], state(fresh)["debug"]) == ("prod", False)
    assert fresh.run(f"test -e {ROOT}/var/cache/dev", check=False).returncode == 1, (
        "its files were open to every account"
    )
    assert fresh.run(f"find {ROOT}/var/cache -user root").stdout == ""
    assert fresh.run(f"{key}your_secret_passphrase", check=False).returncode != 0
    passphrase = fresh.run(f"sed -n 's/^JWT_PASSPHRASE=//p' {ROOT}/.env").stdout.strip()
    assert fresh.run(f"{key}{passphrase}").stdout != public
    assert not accepted(fresh, old), "any holder of the old key could have made it"
    assert accepted(fresh, token(fresh))
    assert not missing_from_the_portal(fresh, "http")
    assert "changed=0" in apply(playbook, fresh)


@pytest.mark.long
def test_people_with_a_second_factor_are_not_locked_out(fresh: Host, playbook: Playbook) -> None:
    fresh.run(
        ["mariadb", "chamilo"], data="UPDATE user SET mfa_enabled = 1, mfa_secret = 'x' WHERE username = 'student01';"
    )
    before = fresh.run(f"grep ^APP_SECRET {ROOT}/.env").stdout
    with pytest.raises(PlayError, match="1 person uses two-factor login") as warned:
        apply(playbook, fresh)
    assert "failed=0" in str(warned.value) and "Set rotate_secret" in str(warned.value), "a warning, no failure"
    assert fresh.run(f"grep ^APP_SECRET {ROOT}/.env").stdout == before
    assert state(fresh)["env"] == "prod", "the rest was done"


def test_what_does_not_boot_is_rolled_back(fresh: Host, playbook: Playbook) -> None:
    files = f"cat {ROOT}/.env {ROOT}/config/jwt/private.pem"
    before = fresh.run(files).stdout
    fresh.put(f"{ROOT}/config/packages/prod/broken.yaml", "framework: {no_such_option: 1}\n")
    with pytest.raises(PlayError, match="The cache could not be cleared as www-data") as failed:
        apply(playbook, fresh)
    assert "The old files were restored" in str(failed.value)
    assert fresh.run(files).stdout == before
    assert not missing_from_the_portal(fresh, "http")


@pytest.mark.long
def test_what_the_pool_reports_is_named(fresh: Host, playbook: Playbook) -> None:
    pool = fresh.run("ls /etc/php/*/fpm/pool.d/www.conf").stdout.strip()
    fresh.run(f"echo 'env[APP_ENV] = dev' >>{pool} && systemctl reload 'php*-fpm.service'")
    with pytest.raises(PlayError, match=rf"APP_ENV \({pool} line \d+\)"):
        apply(playbook, fresh)
    assert "APP_ENV='dev'" in fresh.get(f"{ROOT}/.env")


@pytest.mark.cells("trixie-nginx", "bookworm-apache")
def test_what_the_web_server_reports_is_named_and_wins_until_it_is_corrected_there(
    fresh: Host, playbook: Playbook
) -> None:
    service, file, before, line = {
        "nginx": ("nginx", "/etc/nginx/sites-available/chamilo", "fastcgi_pass", "fastcgi_param APP_ENV dev;"),
        "apache": ("apache2", "/etc/apache2/sites-available/chamilo.conf", "DocumentRoot", "SetEnv APP_ENV dev"),
    }[fresh.web]
    fresh.run(["sed", "-i", rf"s/^\( *\)\({before} .*\)/\1{line}\n\1\2/", file])
    fresh.run(f"systemctl reload {service} && sed -i s/^APP_ENV=.*/APP_ENV=prod/ {ROOT}/.env")
    # Workers with the old configuration may answer for a moment.
    deadline = time.monotonic() + 30
    while state(fresh)["env"] != "dev":
        assert time.monotonic() < deadline, "it wins over the file"
        time.sleep(0.2)
    number = fresh.get(file).splitlines().index(next(text for text in fresh.get(file).splitlines() if line in text)) + 1
    with pytest.raises(PlayError, match=rf"APP_ENV \({file} line {number}\), which wins over its environment"):
        apply(playbook, fresh)
    assert "your_secret_passphrase" in fresh.get(f"{ROOT}/.env"), "nothing was changed"
    fresh.run(f"sed -i 's/APP_ENV dev/APP_ENV prod/' {file} && systemctl reload {service}")
    apply(playbook, fresh)
    assert state(fresh)["env"] == "prod" and "your_secret_passphrase" not in fresh.get(f"{ROOT}/.env")
    assert not missing_from_the_portal(fresh, "http")
    assert "changed=0" in apply(playbook, fresh)


@pytest.mark.long
def test_what_composer_wrote_is_changed_as_well_and_named_where_it_cannot_be(fresh: Host, playbook: Playbook) -> None:
    dumped = f"{ROOT}/.env.local.php"
    values = dump_environment(fresh)
    fresh.run(f"sed -i s/^APP_ENV=.*/APP_ENV=prod/ {ROOT}/.env")
    assert state(fresh)["env"] == "dev", "it wins over .env"
    apply(playbook, fresh)
    assert state(fresh)["env"] == "prod" and not missing_from_the_portal(fresh, "http")
    after = parse_text(fresh.get(f"{ROOT}/.env"), ".env")
    for name in ("APP_SECRET", "JWT_PASSPHRASE"):
        assert after[name] != values[name] and f"'{name}' => '{after[name]}'," in fresh.get(dumped)
    assert "changed=0" in apply(playbook, fresh)
    elsewhere = f"{ROOT}/dumped.php"
    fresh.put(elsewhere, fresh.get(dumped).replace("'APP_ENV' => 'prod'", "'APP_ENV' => 'dev'"))
    fresh.put(dumped, "<?php return require __DIR__.'/dumped.php';\n")
    before = fresh.get(f"{ROOT}/.env")
    with pytest.raises(PlayError, match=rf"{dumped} is not what `composer dump-env` writes, so APP_\w+ cannot be set"):
        apply(playbook, fresh)
    assert fresh.get(f"{ROOT}/.env") == before


@pytest.mark.cells("trixie-nginx", "trixie-apache")
def test_logins_end_wherever_php_keeps_the_sessions(fresh: Host, playbook: Playbook) -> None:
    """In FPM by a file in the document root, in Apache's own PHP by a line of the virtual host."""
    fresh.run("install -d -o www-data -g www-data -m 0700 /srv/sessions")
    if fresh.web == "nginx":
        fresh.put(f"{ROOT}/public/.user.ini", "session.save_path = /srv/sessions\n")
        fresh.run("systemctl restart 'php*-fpm.service'")
    else:
        as_shipped(fresh)
        line = "php_admin_value session.save_path /srv/sessions"
        fresh.run(f"sed -i 's|^ *DocumentRoot|{line}\\n&|' {FILE} && systemctl restart apache2")
    fresh.wait(f"http://{fresh.domain}/login")
    visitor = Browser(f"http://{fresh.domain}", fresh.address)
    visitor.post_json("/login_json", username="student01", password=PASSWORDS["student01"])
    logged_in = b'"isAuthenticated":true'
    assert logged_in in visitor.get("/check-session").body
    assert "sess_" in fresh.run("ls /srv/sessions").stdout
    apply(playbook, fresh)
    assert logged_in not in visitor.get("/check-session").body
