"""The role permissions: attacks that got through are blocked, the application goes on, and it stays so."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.hosts.hardening import Playbook, into_a_release, missing_from_the_portal
from tests.hosts.test_audit_data import audit, install
from tests.playbook import PlayError
from tests.testbed import authority
from tests.testbed.hosts import Host

ROOT = "/var/www/chamilo"
ONLY = ("--tags", "https,permissions")
ATTACKS = (
    "permissions_code permissions_var permissions_env permissions_config permissions_links permissions_docroot "
    "permissions_production permissions_secrets"
).split()
# None of this section's, though it lies under the document root.
PRIVATE = (
    "/.htaccess",
    "/documentation/changelog.html",
    "/Documentation/changelog.html",
    "/main/template/default/layout/layout.tpl",
    "/main/install/database.sql",
    "/plugin/BuyCourses/README.md",
    "/plugin/BuyCourses/composer.json",
    "/plugin/BuyCourses/install.sql",
    "/plugin/BuyCourses/resources/catalog.tpl",
    "//plugin/BuyCourses/resources/catalog.tpl",
    "/plugin/BuyCourses/resources/%63atalog.tpl",
    "/dump.sql",
    "/index.php.bak",
    "/index.php~",
    "/backup.tar.gz",
)
# What an older page or an address of the application may resemble.
PUBLIC = {
    "/main/auth/lostPassword.php": 200,
    "/plugin/BuyCourses/index.php": 200,
    "/plugin/BuyCourses/resources/style.css": 200,
    "/build/app.js": 200,
    "/nothing-here.sql": 404,
    "/courses/notes.md": 404,
}


def through(playbook: Playbook, host: Host) -> list[str]:
    """The attacks of this section that got through."""
    options = {"chamilo_prove_address": host.address, "chamilo_prove_ca_file": str(authority.certificate())}
    with pytest.raises(PlayError) as failed:  # other sections are not hardened here
        playbook.run("prove", host, **options)
    output = str(failed.value)
    assert "attacks were blocked" in output, output
    return [control for control in ATTACKS if f"{control}: " in output]


# As an administrator has it who read Chamilo's documentation. What Chamilo ships writes no log in production mode.
LOG_FILE = """monolog:
    handlers:
        nested:
            type: stream
            path: '%kernel.logs_dir%/%kernel.environment%.log'
"""
# What fails, and where that is to be read: PHP hands the errors of older pages to the web server.
ERRORS = {
    "/_testbed/crash": f"{ROOT}/var/log/prod.log",
    "/main/crash.php": "/var/log/nginx/*error.log /var/log/apache2/*error.log",
}


def logged(host: Host) -> dict[str, int]:
    """In how many lines of its log each error stands."""
    return {
        path: int(host.run(f"cat {logs} 2>/dev/null | grep -c 'page failed on purpose'", check=False).stdout)
        for path, logs in ERRORS.items()
    }


def server_type(host: Host, value: str = "") -> str:
    """What the settings have of the portal, after they were given another value."""
    change = f"UPDATE settings SET selected_value = '{value}' WHERE variable = 'server_type';" if value else ""
    ask = "SELECT selected_value FROM settings WHERE variable = 'server_type'"
    return host.run(["mariadb", "-N", "chamilo", "-e", change + ask]).stdout.strip()


def leave_things_behind(host: Host) -> None:
    host.run(
        f"cd {ROOT}/public; for name in dump.sql index.php.bak index.php~ backup.tar.gz; do echo secret >$name; done"
    )


@pytest.fixture
def permitted(stage: Callable[..., Host], playbook: Playbook) -> Host:
    def prepare(host: Host) -> None:
        leave_things_behind(host)
        # Later than the release by their change time alone: these pages have to go on.
        host.run(f"cd {ROOT}/public && chmod 755 index.php main/auth/lostPassword.php")
        host.put(f"{ROOT}/config/packages/prod/monolog.yaml", LOG_FILE)
        assert server_type(host, "test") == "test"
        playbook.harden(host, *ONLY)

    return stage("permissions", prepare)


@pytest.mark.long
def test_every_attack_succeeds_before_fails_after_and_succeeds_again_after_undo(
    fresh: Host, playbook: Playbook
) -> None:
    assert through(playbook, fresh) == ATTACKS
    playbook.harden(fresh, *ONLY)
    assert through(playbook, fresh) == []
    fresh.run("chamilo-hardening undo permissions --yes")
    fresh.run(f"chmod -R 777 {ROOT}")
    assert set(through(playbook, fresh)) >= {"permissions_code", "permissions_env", "permissions_var"}


@pytest.mark.wire
def test_the_application_goes_on_and_what_it_writes_is_private(permitted: Host, playbook: Playbook) -> None:
    assert missing_from_the_portal(permitted, "https") == []
    console = f"cd {ROOT} && runuser -u www-data -- php bin/console"
    permitted.run(f"{console} cache:clear")
    before = logged(permitted)
    for path in ERRORS:
        assert permitted.http(f"https://{permitted.domain}{path}").status == 500
    assert logged(permitted) == {path: count + 1 for path, count in before.items()}, "the error log goes on"
    assert missing_from_the_portal(permitted, "https") == []
    assert not permitted.run(f"find {ROOT}/var -perm /007").stdout
    assert playbook.harden(permitted, *ONLY) == 0


@pytest.mark.long
def test_a_disk_for_uploads_gets_its_rights_and_what_cannot_be_set_is_red(permitted: Host, playbook: Playbook) -> None:
    """A server of NFS cannot be had here: that root may do nothing on a mount is tried by a unit test."""
    disk = f"{ROOT}/var/upload"
    try:
        permitted.run(f"mount -t tmpfs -o mode=777 disk {disk}; mkdir -m 777 {disk}/big; echo x >{disk}/big/file")
        assert playbook.harden(permitted, *ONLY) == 1
        assert permitted.run(f"find {disk} ! -user www-data -o -perm /007").stdout == ""
        assert playbook.harden(permitted, *ONLY) == 0
        permitted.run(f"mount -t tmpfs -o mode=777 disk {ROOT}/public/build")
        with pytest.raises(PlayError, match="public/build: another file system is mounted here"):
            playbook.harden(permitted, *ONLY)
        assert playbook.harden(permitted, *ONLY, chamilo_permissions_roots=["public/build"]) > 0
        assert permitted.run(f"stat -c '%U %a' {ROOT}/public/build").stdout == "root 755\n"
    finally:
        permitted.run(f"umount {ROOT}/public/build; umount {disk}", check=False)


@pytest.mark.long
def test_a_portal_that_calls_itself_a_test_is_put_right(permitted: Host, playbook: Playbook) -> None:
    def seen() -> tuple[str, str]:
        found = audit(permitted, "permissions")
        return found.status["permissions_production"], found.evidence["permissions_production"]

    install(permitted)
    assert server_type(permitted) == "prod", "it was 'test' before the first run"
    assert seen()[0] == "pass"
    server_type(permitted, "test")
    assert seen() == ("fail", "Chamilo's setting platform.server_type is test.")
    assert playbook.harden(permitted, *ONLY, "--check") == 1 and server_type(permitted) == "test"
    assert playbook.harden(permitted, *ONLY) == 1 and server_type(permitted) == "prod"
    assert seen()[0] == "pass"


def test_php_shows_no_errors_whatever_its_pool_reports(permitted: Host, playbook: Playbook) -> None:
    """Nor what a file in conf.d sets that is read after ours."""
    directory = permitted.run("ls -d /etc/php/*/fpm").stdout.strip()
    permitted.put(
        "/opt/show.php",
        "<?php header('X-Shown: ' . (int) filter_var(ini_get('display_errors'), FILTER_VALIDATE_BOOL));",
    )
    permitted.put(f"{directory}/conf.d/99-zz-own.ini", "auto_prepend_file = /opt/show.php\ndisplay_errors = On\n")
    permitted.run(f"echo 'php_admin_flag[display_errors] = on' >>{directory}/pool.d/www.conf")
    permitted.run("systemctl restart 'php*-fpm.service'")

    def shown() -> str:
        return permitted.wait(f"https://{permitted.domain}/").value("X-Shown")

    assert shown() == "0"
    permitted.run("chamilo-hardening undo permissions --yes")
    assert shown() == "1"
    playbook.harden(permitted, *ONLY)
    assert shown() == "0"


@pytest.mark.wire
def test_what_is_nobodys_business_is_refused_and_pages_are_not(permitted: Host) -> None:
    base = f"https://{permitted.domain}"
    assert {path: permitted.http(f"{base}{path}").status for path in PRIVATE} == dict.fromkeys(PRIVATE, 403)
    assert {path: permitted.http(f"{base}{path}").status for path in PUBLIC} == PUBLIC


@pytest.mark.long
def test_slashes_that_the_web_server_keeps_open_nothing(fresh: Host, playbook: Playbook) -> None:
    """It is configured to, for another site."""
    file, text = {
        "nginx": ("/etc/nginx/conf.d/slashes.conf", "merge_slashes off;\n"),
        "apache": ("/etc/apache2/conf-enabled/slashes.conf", "MergeSlashes Off\n"),
    }[fresh.web]
    fresh.put(file, text)
    paths = (
        "//documentation/changelog.html",
        "//main/template/default/layout/layout.tpl",
        "//plugin//BuyCourses/composer.json",
        "//main/install/database.sql",
        "/main//install/database.sql",
        "//main//install/",
        "//main/install/index.php",
        "//main//webservices/additional_webservices.php",
    )
    playbook.harden(fresh, "--tags", "https,permissions,updates")
    base = f"https://{fresh.domain}"
    assert {path: fresh.http(f"{base}{path}").status for path in paths} == dict.fromkeys(paths, 403)
    assert missing_from_the_portal(fresh, "https") == []


@pytest.mark.long
def test_a_pool_of_its_own_reads_what_the_web_server_may_not(fresh: Host, playbook: Playbook) -> None:
    fresh.run("useradd --system --no-create-home campus")
    fresh.run("sed -i 's/^user = .*/user = campus/; s/^group = .*/group = campus/' /etc/php/*/fpm/pool.d/www.conf")
    fresh.run(f"chown -R campus:campus {ROOT} /var/lib/php/sessions")
    fresh.run("systemctl restart 'php*-fpm.service'")
    playbook.harden(fresh, *ONLY)
    assert missing_from_the_portal(fresh, "https") == []
    assert fresh.run(f"stat -c '%U:%G %a' {ROOT}/.env {ROOT}/var {ROOT}/public").stdout.split("\n")[:3] == [
        "root:campus 640",
        "campus:campus 770",
        "root:campus 755",
    ]
    assert fresh.run(f"runuser -u www-data -- cat {ROOT}/.env", check=False).returncode
    assert playbook.harden(fresh, *ONLY) == 0


# Whatever root makes there later is the web user's (33) to write.
LET = f"""
entries = (1, 7, -1), (2, 7, 33), (4, 5, -1), (16, 7, -1), (32, 5, -1)
acl = struct.pack('<I', 2) + b''.join(struct.pack('<HHi', *entry) for entry in entries)
os.setxattr('{ROOT}/public/main', 'system.posix_acl_default', acl)
"""


@pytest.mark.long
def test_what_takes_the_portal_down_is_rolled_back(fresh: Host, playbook: Playbook) -> None:
    fresh.run(["python3", "-c", f"import os, struct{LET}"])
    owners = f"stat -c '%U %a %n' {ROOT}/public/index.php {ROOT}/.env {ROOT}/src/Kernel.php"
    before = fresh.run(owners).stdout
    # PHP could not read its secrets: no page would be there any more.
    harmful = [{"path": ".env*", "file_mode": "0600"}]
    with pytest.raises(PlayError, match=r"answers 500, and 200 before\. The owners and modes of this run were rolled"):
        playbook.harden(fresh, *ONLY, chamilo_permissions_policy=harmful)
    assert missing_from_the_portal(fresh, "https") == []
    assert fresh.run(owners).stdout == before
    playbook.harden(fresh, *ONLY)
    assert missing_from_the_portal(fresh, "https") == []
    fresh.run(f"touch {ROOT}/public/main/made-later && ! runuser -u www-data -- test -w {ROOT}/public/main/made-later")


def test_the_web_user_attacks_while_it_runs(fresh: Host, playbook: Playbook) -> None:
    """Directories and links are exchanged on the host itself, in the worst tree there is."""
    fresh.run(f"chmod -R 777 {ROOT}; mkdir /srv/out; echo secret >/srv/out/shadow; chmod 600 /srv/out/shadow")
    attack = (
        f"import os\nos.chdir('{ROOT}/var/upload'); os.mkdir('d'); open('d/shadow', 'w').close()\n"
        "while True:\n os.chmod('d/shadow', 0o666); os.rename('d', 'k'); os.symlink('/srv/out', 'd'); os.unlink('d')\n"
        " os.rename('k', 'd')\n"
    )
    fresh.put("/srv/attack.py", attack)
    fresh.run("systemd-run --unit attack --uid www-data /usr/bin/python3 /srv/attack.py")
    playbook.harden(fresh, *ONLY)
    assert fresh.run("systemctl is-active attack").stdout.strip() == "active"
    fresh.run("systemctl stop attack")
    assert fresh.run("stat -c '%U:%G %a' /srv/out /srv/out/shadow").stdout.split("\n")[:2] == [
        "root:root 755",
        "root:root 600",
    ]


@pytest.mark.long
def test_our_own_files_in_the_tree_belong_to_its_owner_as_well(fresh: Host, playbook: Playbook) -> None:
    """Else the sections take them from each other in each run, and the host reports that they were edited by hand."""
    fresh.run("useradd --system deploy")
    options = ("--tags", "permissions,sessions,monitoring")
    playbook.harden(fresh, *options, chamilo_owner="deploy")
    files = fresh.run(f"stat -c '%U:%G %a' {ROOT}/config/packages/prod/zz_chamilo_hardening*.yaml").stdout
    assert files.splitlines() == ["deploy:www-data 640"] * 2
    assert playbook.harden(fresh, *options, chamilo_owner="deploy") == 0
    sections = json.loads(fresh.run(["chamilo-hardening", "status", "--json"]).stdout)["sections"]
    assert [path for one in sections.values() for path in one["edited"]] == []


@pytest.mark.long
def test_a_release_behind_a_link(fresh: Host, playbook: Playbook) -> None:
    """current -> releases/7, with a var/ that all releases share. The next release needs no other configuration."""
    into_a_release(fresh)
    only = ("--tags", "https,permissions,sessions")
    playbook.harden(fresh, *only)
    assert missing_from_the_portal(fresh, "https") == []
    assert fresh.run("stat -c '%U:%G %a' /srv/campus/releases/7/public /srv/campus/shared/var").stdout.splitlines() == [
        "root:www-data 755",
        "www-data:www-data 770",
    ]
    for page in ("/login", "/main/lp/aicc_hacp.php"):
        (cookie,) = fresh.http(f"https://{fresh.domain}{page}").values("Set-Cookie")
        assert {"secure", "httponly", "samesite=lax"} <= {part.strip().lower() for part in cookie.split(";")}, page
    assert playbook.harden(fresh, *only) == 0
