"""The role uploads: nothing that the web user can write runs, by whatever name, address or virtual host."""

from __future__ import annotations

import io
import json
import re
import secrets
import socket
import ssl
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.attacks import uploads
from tests.hosts.hardening import Playbook, missing_from_the_portal, unrelated_site
from tests.playbook import PlayError, play
from tests.testbed import authority
from tests.testbed.app.selfcheck import PASSWORDS, Browser
from tests.testbed.hosts import Host
from tests.testbed.mail import HOOK, Sink
from tests.tools import ways_in

ROOT = "/var/www/chamilo"
# Old virtual hosts: the project directory is their root, or a link to it, and everything goes to PHP.
KNOWN = {8081: ROOT}
OLD_SITES = {**KNOWN, 8082: "/srv/old"}
NGINX = r"""
server {
    listen %(port)d;
    server_name old.test;
    root %(root)s;
    location ~* \.(?:ph\w+|inc|jpg)(?:[./]|$) {
        fastcgi_split_path_info ^(.+?\.\w+)(/.*)$;
        fastcgi_pass unix:/run/php/php-fpm.sock;
        include fastcgi_params;
        fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
    }
}
"""
APACHE = r"""
Listen %(port)d
<VirtualHost *:%(port)d>
    ServerName old.test
    DocumentRoot %(root)s
    <Directory %(root)s>
        AllowOverride All
        Options +ExecCGI +FollowSymLinks
        Require all granted
        <FilesMatch "(?i)\.(?:ph\w+|inc|jpg)(?:\.|$)">
            SetHandler "proxy:unix:/run/php/php-fpm.sock|fcgi://localhost"
        </FilesMatch>
    </Directory>
</VirtualHost>
"""
# What they run; the rest (no end, .cgi, .shtml) no server of these tests is configured to.
STRANGE = re.compile(r"\.(?:ph\w+|inc|jpg)(?:\.|$)", re.IGNORECASE)
LAY = """
import json, os, sys
directory, files = {directory!r}, json.loads({files!r})
os.makedirs(directory, exist_ok=True)
for name, text in files.items():
    with open(os.path.join(directory, name), "w") as file:
        file.write(text)
    os.chmod(os.path.join(directory, name), 0o755)
"""


@pytest.fixture
def playbook(tmp_path: Path) -> Playbook:
    """With the owners that the section permissions gives the files: they decide what is Chamilo's program."""
    return Playbook(tmp_path, "updates,https,permissions,uploads")


def lay(host: Host, directory: str, files: dict[str, str]) -> None:
    """As the web user does it."""
    host.run(["python3", "-"], user="www-data", data=LAY.format(directory=directory, files=json.dumps(files)))


def programs(word: str) -> dict[str, str]:
    return {name: uploads._program(name, word) for name in uploads._LAID}


def ran(host: Host, base: str, word: str) -> list[str]:
    """What runs of the programs in a directory, by what was asked for below it; nothing: the directory itself."""
    return [way for way in uploads._WAYS if word.encode() in host.http(f"{base}/{way}").body]


def unrelated(host: Host, sites: dict[int, str] = OLD_SITES) -> None:
    """Set up the old virtual hosts, directories that the web user can write to, and a pool that runs any name."""
    text, directory = {"nginx": (NGINX, "/etc/nginx"), "apache": (APACHE, "/etc/apache2")}[host.web]
    for port, root in sites.items():
        host.put(f"{directory}/sites-enabled/old-{port}.conf", text % {"port": port, "root": root})
    host.run(f"ln -sfn {ROOT} /srv/old; install -d -o www-data -g www-data {ROOT}/files {ROOT}/public/files")
    host.run("echo 'security.limit_extensions =' >>$(ls /etc/php/*/fpm/pool.d/www.conf)")
    service = {"nginx": "nginx", "apache": "apache2"}[host.web]
    host.run(f"systemctl reload 'php*-fpm.service' && systemctl restart {service}")


def hardened_among_old_sites(host: Host, playbook: Playbook) -> None:
    """Harden refuses those with the project directory as their root: one comes after it, by a path that is known."""
    watch = "<?php header('X-Watched: {}');\n"
    host.put("/opt/pool.php", watch.format("pool"))
    host.run("echo 'php_admin_value[auto_prepend_file] = /opt/pool.php' >>$(ls /etc/php/*/fpm/pool.d/www.conf)")
    playbook.harden(host)
    unrelated(host, KNOWN)


@pytest.fixture
def among_old_sites(stage: Callable[..., Host], playbook: Playbook) -> Host:
    return stage("among old sites", lambda host: hardened_among_old_sites(host, playbook))


def test_on_an_unhardened_host_they_run(fresh: Host) -> None:
    unrelated(fresh)
    word = secrets.token_hex(12)
    for directory in ("public/files", "var/upload/new"):
        lay(fresh, f"{ROOT}/{directory}", programs(word))
    directory = {"nginx": {""}, "apache": set()}[
        fresh.web
    ]  # Chamilo's .htaccess has the front controller answer for it
    assert {"a.php", "a.jpg.php", *directory} <= set(ran(fresh, f"http://{fresh.domain}/files", word))
    refused = {"nginx": set(), "apache": {"a.phps"}}[fresh.web]  # by Debian's own configuration of PHP
    for port, root in OLD_SITES.items():
        found = set(ran(fresh, f"http://old.test:{port}/var/upload/new", word))
        assert {name for name in uploads._LAID if STRANGE.search(name)} - refused <= found, root
    # In a directory of its own: PHP remembers for five minutes that there was no such file.
    directory = f"{ROOT}/var/upload/rules"
    rules = {".user.ini": f"auto_prepend_file = {directory}/a.jpg\n", "a.jpg": programs(word)["a.jpg"], "b.php": ""}
    lay(fresh, directory, rules)
    assert word.encode() in fresh.http("http://old.test:8081/var/upload/rules/b.php").body


@pytest.mark.wire
def test_no_address_of_any_virtual_host_runs_them(among_old_sites: Host) -> None:
    host, word = among_old_sites, secrets.token_hex(12)
    for directory in ("public/files", "files", "var/upload/new", "var/cache/new"):
        lay(host, f"{ROOT}/{directory}", programs(word))
    assert not ran(host, f"https://{host.domain}/files", word)
    for port in KNOWN:
        for directory in ("files", "public/files", "var/upload/new", "var/cache/new"):
            base = f"http://old.test:{port}/{directory}"
            assert not ran(host, base, word)
            assert host.http(f"{base}/a.php").status == 403
    # Chamilo's own program runs by all of them, as it did.
    for base in (f"https://{host.domain}", *(f"http://old.test:{port}/public" for port in KNOWN)):
        assert host.http(f"{base}/main/auth/lostPassword.php").status == 200


@pytest.mark.wire
def test_rules_among_the_uploads_have_no_effect(among_old_sites: Host) -> None:
    host, word = among_old_sites, secrets.token_hex(12)
    for directory in ("public/files", "var/upload/new"):
        path = f"{ROOT}/{directory}"
        rules = "Require all denied\n" if directory == "public/files" else "Require all granted\n"
        lay(
            host,
            path,
            {
                **programs(word),
                "plain.txt": "plain",
                ".htaccess": f"{rules}SetHandler application/x-httpd-php\nAddHandler cgi-script .txt\n",
                ".user.ini": f"auto_prepend_file = {path}/a.jpg\nauto_append_file = {path}/a.jpg\n",
            },
        )
    assert host.http(f"https://{host.domain}/files/plain.txt").status == 200
    for base in (f"https://{host.domain}/files", *(f"http://old.test:{port}/var/upload/new" for port in KNOWN)):
        assert not ran(host, base, word)
    # Rules for PHP count for programs beside them, also those of root.
    host.put(f"{ROOT}/public/files/ours.php", "<?php echo 'ours';")
    assert word.encode() not in host.http("http://old.test:8081/public/files/ours.php").body
    for name in (".htaccess", ".user.ini"):
        assert host.http(f"https://{host.domain}/files/{name}").status == 403


def spoilt(host: Host) -> None:
    """A new program of root's runs, unless the web user could have written it."""
    host.put(f"{ROOT}/public/main/new.php", "<?php echo 6 * 7;")
    url = f"https://{host.domain}/main/new.php"
    assert host.http(url).body == b"42", "an update by root brings new programs"
    for spoil in ("chown www-data", "chown root:www-data", "chmod 0666"):
        host.run(f"{spoil} {ROOT}/public/main/new.php")
        refused = host.http(url)
        if spoil == "chown root:www-data":
            assert refused.body == b"42"
        else:
            assert (refused.status, refused.body) == (403, b"Forbidden\n"), spoil


def test_a_program_of_chamilo_that_the_web_user_could_have_written_does_not_run(among_old_sites: Host) -> None:
    host = among_old_sites
    spoilt(host)
    output = host.run(
        "cat /var/log/php*-fpm.log /var/log/nginx/error.log /var/log/apache2/error.log", check=False
    ).stdout
    assert f"chamilo-hardening refuses to run {ROOT}/public/main/new.php" in output


@pytest.mark.long
def test_what_php_ran_before_each_script_it_still_runs(among_old_sites: Host) -> None:
    host = among_old_sites
    assert host.http(f"https://{host.domain}/main/auth/lostPassword.php").values("X-Watched") == ["pool"]
    host.put("/opt/ini.php", "<?php header('X-Watched: ini');")
    host.run("sed -i /auto_prepend_file/d /etc/php/*/fpm/pool.d/www.conf /etc/php/*/fpm/conf.d/99-chamilo-*.ini")
    directory = host.run("ls -d /etc/php/*/fpm/conf.d").stdout.strip()
    prepend = "/usr/local/share/chamilo-hardening/prepend.php"
    host.run(f"sed -i '/before/d; $ a auto_prepend_file = {prepend}' {directory}/99-chamilo-*")
    host.put(f"{directory}/20-watch.ini", "auto_prepend_file = /opt/ini.php\n")
    host.run("systemctl reload 'php*-fpm.service'")
    assert host.wait(f"https://{host.domain}/main/auth/lostPassword.php").values("X-Watched") == ["ini"]
    host.run("rm /opt/ini.php")
    answer = host.http(f"https://{host.domain}/main/auth/lostPassword.php")
    assert (answer.status, answer.values("X-Watched")) == (200, []), "its removal does not break the portal"


def crawl(host: Host, scheme: str) -> dict[str, int]:
    """What each script under the web root answers to a guest."""
    found = host.run(f"cd {ROOT}/public && find . -name '*.php' | sort").stdout.split()
    return {path[1:]: host.http(f"{scheme}://{host.domain}{path[1:]}").status for path in found}


CLOSED = ("/main/install/", *(way.address for way in ways_in.table() if way.closed))
NOT_A_PROGRAM = ("/custompages/",)  # other scripts include these, no client asks for them: see the README of the role


@pytest.mark.wire
def test_every_script_of_chamilo_answers_as_before_but_the_dangerous_ones(shared: Host, hardened: Host) -> None:
    before, after = crawl(shared, "http"), crawl(hardened, "https")
    assert len(before) > 20
    assert {path: after[path] for path in after if path.startswith(CLOSED)} == dict.fromkeys(
        (path for path in before if path.startswith(CLOSED)), 403
    )
    kept = [path for path in before if not path.startswith((*CLOSED, *NOT_A_PROGRAM))]
    assert {path: after[path] for path in kept} == {path: before[path] for path in kept}
    # The known ways in, as the README of the role updates lists them, and other spellings of those that are closed.
    ways = ways_in.table()
    more = [
        "/main/install",
        "/main/install/",
        "/main/install/database.sql",
        "/check.php/x",
        "//main//install/index.php",
        "/index.php/plugin/pens/collect",
    ]
    closed = [*more, *(way.address for way in ways if way.closed)]
    assert {path: hardened.http(f"https://{hardened.domain}{path}").status for path in closed} == dict.fromkeys(
        closed, 403
    )
    answer = [way.address for way in ways if not way.closed]
    assert {path: hardened.http(f"https://{hardened.domain}{path}").status for path in answer} == {
        path: shared.http(f"http://{shared.domain}{path}").status for path in answer
    }
    assert not missing_from_the_portal(hardened, "https")
    assert unrelated_site(hardened) == unrelated_site(shared)


def test_the_window_lets_one_address_reach_the_installer(hardened: Host) -> None:
    host = hardened
    mine = host.http(f"https://{host.domain}/main/install/version.php")
    assert mine.status == 403
    gateway = host.address.rpartition(".")[0] + ".1"
    directory, line, service = {
        "nginx": ("/etc/nginx", f'if ($remote_addr = "{gateway}") {{ set $chamilo_installer ""; }}', "nginx"),
        "apache": ("/etc/apache2", f"Require ip {gateway}", "apache2"),
    }[host.web]
    host.put(f"{directory}/sites-available/chamilo-campus_test.d/window/installer.conf", line + "\n")
    host.run(f"systemctl restart {service}")
    assert host.wait(f"https://{host.domain}/main/install/version.php").status == 200
    own = f"curl -sko /dev/null -w %{{http_code}} --resolve {host.domain}:443:127.0.0.1 https://{host.domain}"
    assert host.run(f"{own}/main/install/version.php").stdout == "403"
    assert host.http(f"https://{host.domain}/plugin/Pens/pens.php").status == 403, "that one is closed to all"


def student(host: Host, scheme: str) -> Browser:
    browser = Browser(f"{scheme}://{host.domain}", host.address, str(authority.certificate()), timeout=120)
    assert browser.login("student01", PASSWORDS["student01"]).status == 200
    return browser


def offer(browser: Browser, name: str, content: bytes = b"x") -> int:
    """How the portal answers to an upload, which does not stay."""
    answer = browser.upload("/documents/upload", name, content)
    if answer.status == 201:
        assert browser.request("DELETE", f"/documents/{answer.json()['id']}").status == 204
    return answer.status


DANGEROUS = list(uploads._OFFERED)


def test_an_unhardened_portal_takes_dangerous_files(shared: Host) -> None:
    browser = student(shared, "http")
    assert {offer(browser, name) for name in DANGEROUS} == {201}


@pytest.mark.wire
def test_dangerous_files_are_refused_and_no_larger_ones_are_taken_than_before(hardened: Host) -> None:
    browser = student(hardened, "https")
    assert {name: offer(browser, name) for name in DANGEROUS} == dict.fromkeys(DANGEROUS, 400)
    assert offer(browser, "essay.odt") == 201
    assert offer(browser, "film.mp4", bytes(2 << 20)) == 201
    assert offer(browser, "film.mp4", bytes((2 << 20) + 1)) == 400, "no more was requested than Debian's PHP takes"


@pytest.mark.long
def test_the_largest_file_is_what_the_variable_reports(hardened: Host, playbook: Playbook) -> None:
    playbook.harden(hardened, "--tags", "uploads", chamilo_uploads_maximum_size="3M")
    browser = student(hardened, "https")
    assert offer(browser, "film.mp4", bytes(3 << 20)) == 201
    assert offer(browser, "film.mp4", bytes((3 << 20) + 1)) == 400, "PHP refuses the file"
    # PHP reads nothing of a larger request; the limit of the virtual host is its owner's.
    assert offer(browser, "film.mp4", bytes(5 << 20)) == 400


def announce(host: Host, megabytes: int) -> int:
    """What the web server answers to the head of a request, before it was sent more: 100 where it asks for it."""
    trusted = ssl.create_default_context(cafile=str(authority.certificate()))
    with (
        socket.create_connection((host.address, 443), timeout=30) as raw,
        trusted.wrap_socket(raw, server_hostname=host.domain) as wire,
    ):
        head = f"POST /documents/upload HTTP/1.1\r\nHost: {host.domain}\r\nContent-Length: {megabytes << 20}\r\n"
        wire.sendall(f"{head}Content-Type: application/octet-stream\r\nExpect: 100-continue\r\n\r\n".encode())
        return int(wire.recv(4096).split()[1])


@pytest.mark.long
@pytest.mark.wire
def test_what_the_owner_has_php_and_the_web_server_take_stays(hardened: Host, playbook: Playbook) -> None:
    directory = hardened.run("ls -d /etc/php/*/fpm/conf.d").stdout.strip()
    hardened.put(f"{directory}/50-own.ini", "upload_max_filesize = 300M\npost_max_size = 310M\n")
    hardened.run("systemctl restart 'php*-fpm.service'")
    assert playbook.harden(hardened, "--tags", "uploads") == 0
    if hardened.web == "nginx":  # 256 MB in the virtual host that its owner wrote
        assert (announce(hardened, 255), announce(hardened, 257)) == (100, 413)
    browser = student(hardened, "https")
    assert offer(browser, "film.mp4", secrets.token_bytes(1 << 20) * 100) == 201
    if hardened.web == "apache":  # LimitRequestBody does not count for PHP-FPM; PHP refuses it
        assert offer(browser, "film.mp4", bytes(315 << 20)) == 400


@pytest.mark.long
def test_alone_in_its_owner_s_virtual_host(fresh: Host, playbook: Playbook) -> None:
    server, word, suffix = {"nginx": ("nginx", "root", ""), "apache": ("apache2", "DocumentRoot", ".conf")}[fresh.web]
    file = f"/etc/{server}/sites-available/chamilo{suffix}"
    directory = f"/etc/{server}/sites-available/chamilo-campus_test.d/*.conf"
    include = {"nginx": f"include {directory};", "apache": f"IncludeOptional {directory}"}[fresh.web]
    line = rf"s|^ *{word} .*|&\n    {include}|"
    fresh.run(["sed", "-i", line, file])
    mine = fresh.get(file)
    alone = playbook.write(
        "site.yml", "- hosts: all\n  become: true\n  gather_facts: false\n  roles: [chamilo.hardening.uploads]\n"
    )
    for first in (True, False):
        done = play(alone, playbook.inventory(fresh), variables={"chamilo_https_vhost": "include"})
        assert bool(done.changed[fresh.domain]) == first, done.output
    assert fresh.get(file) == mine
    word = secrets.token_hex(12)
    lay(fresh, f"{ROOT}/public/files", programs(word))
    assert not ran(fresh, f"http://{fresh.domain}/files", word)
    assert offer(student(fresh, "http"), "a.phar") == 400
    assert not missing_from_the_portal(fresh, "http")


@pytest.mark.long
@pytest.mark.cells("trixie-apache", "bookworm-apache")
@pytest.mark.parametrize("beside", [False, True], ids=["mod_php alone", "mod_php beside PHP-FPM"])
def test_php_as_a_module_of_apache_runs_none_either(fresh: Host, playbook: Playbook, beside: bool) -> None:
    unrelated(fresh)
    fresh.run("apt-get update -qq && apt-get install -y -qq libapache2-mod-php", check=True)
    if not beside:
        fresh.run(
            "a2disconf -q 'php*-fpm' && sed -i '/FilesMatch/,/FilesMatch/d' /etc/apache2/sites-enabled/*old*.conf"
        )
    fresh.run("systemctl restart apache2")
    word = secrets.token_hex(12)
    rules = {".htaccess": "SetHandler application/x-httpd-php\nphp_value auto_prepend_file none\n"}
    lay(fresh, f"{ROOT}/files", {**programs(word), **rules})
    # What Apache itself takes for PHP, and what the .htaccess makes it take for it: every name, and the directory.
    # Debian's own configuration refuses .phps.
    assert {"", *uploads._LAID} - {"a.cgi", "a.shtml", "a.phps"} <= set(ran(fresh, "http://old.test:8081/files", word))
    playbook.harden(fresh)
    fresh.run(f"chown -R www-data: {ROOT}/files {ROOT}/public/files")
    for directory in ("public/files", "var/upload/new"):
        lay(fresh, f"{ROOT}/{directory}", {**programs(word), **rules})
    assert not ran(fresh, f"https://{fresh.domain}/files", word)
    for port in KNOWN:
        for directory in ("files", "public/files", "var/upload/new"):
            assert not ran(fresh, f"http://old.test:{port}/{directory}", word)
    assert fresh.http(f"https://{fresh.domain}/main/auth/lostPassword.php").status == 200
    spoilt(fresh)
    assert not missing_from_the_portal(fresh, "https")


# freshclam cannot reach its mirror here: one signature made for the test, and the directories that the unit requires.
DOWN = "Uploads are not scanned for viruses"
SIGNATURE = "44d88612fea8a8f36de82e1278abb02f:68:Eicar-Test-Signature\n"


def deep(megabytes: int) -> bytes:
    """A small archive with a large file in it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("film", bytes(megabytes << 20))
    return packed.getvalue()


@pytest.mark.long
def test_a_virus_is_found_and_reported_and_an_upload_never_lost(fresh: Host, playbook: Playbook, sink: Sink) -> None:
    fresh.put("/tmp/meminfo", "MemTotal:        2900000 kB\n")
    fresh.run("mount --bind /tmp/meminfo /proc/meminfo")
    with pytest.raises(PlayError, match=r"2\.76 GiB of memory"):
        playbook.run("harden", fresh, "--tags", "uploads", chamilo_uploads_antivirus=True)
    fresh.run("umount /proc/meminfo")
    assert fresh.run("command -v clamd", check=False).returncode
    known = {
        "chamilo_uploads_antivirus": True,
        "chamilo_uploads_maximum_size": "256M",
        "chamilo_alert_webhook": HOOK,
    }
    playbook.harden(fresh, "--tags", "https,uploads", **known)
    again = playbook.run("harden", fresh, "--tags", "uploads", **known)
    assert again.changed[fresh.domain] == 0
    down = fresh.run("chamilo-hardening scan", check=False)
    assert down.returncode == 1
    assert "does not answer" in down.stderr
    assert sink.titles() == [DOWN]
    browser = student(fresh, "https")
    virus = browser.upload("/documents/upload", "essay.txt", uploads._EICAR.encode())
    assert virus.status == 201
    fresh.run("mkdir -p /var/lib/clamav/main.inc /var/lib/clamav/daily.inc")
    fresh.put("/var/lib/clamav/test.hdb", SIGNATURE, owner="clamav:clamav")
    url = str(virus.json()["url"])
    assert uploads._EICAR.encode() in browser.get(url).body
    end = time.monotonic() + 300
    while uploads._EICAR.encode() in browser.get(url).body:
        assert time.monotonic() < end, "five minutes"
        time.sleep(2)
    kept = fresh.run("cat /var/lib/chamilo-hardening/quarantine/*.json").stdout
    assert json.loads(kept)["virus"].startswith("Eicar-Test-Signature")
    sink.wait(lambda: "A virus was uploaded to campus.test" in sink.titles())
    playbook.run("audit", fresh, chamilo_level="consider")
    assert audited(playbook)[0] == "pass"

    # What is too large for the scanner stays, and each is reported, outside or inside (as a zip, of which ClamAV reads
    # the beginning), but not what it scans in full.
    sink.forget()
    for content in (secrets.token_bytes(1 << 20) * 101, deep(410), deep(120)):
        taken = browser.upload("/documents/upload", "film.zip", content)
        assert taken.status == 201
        fresh.run("chamilo-hardening scan")
        assert len(browser.get(str(taken.json()["url"])).body) == len(content)
    reported = [hook["text"] for hook in sink.hooks() if hook["title"] == "Uploads to campus.test were not judged"]
    assert "size limit exceeded" in reported[0] and "Limits.Exceeded.MaxScanSize" in reported[1], reported

    # While the scanner is down nothing is lost; a day after the first time it is reported again.
    fresh.run("systemctl mask --now clamav-daemon.socket clamav-daemon.service")
    fresh.run("rm /var/lib/chamilo-hardening/alerts.json")
    sink.forget()
    virus = browser.upload("/documents/upload", "essay.txt", uploads._EICAR.encode())
    assert virus.status == 201
    assert fresh.run("chamilo-hardening scan", check=False).returncode == 1
    assert sink.titles() == [DOWN]
    assert uploads._EICAR.encode() in browser.get(str(virus.json()["url"])).body
    fresh.run("systemctl unmask clamav-daemon.socket clamav-daemon.service")
    fresh.run("chamilo-hardening scan")
    assert uploads._EICAR.encode() not in browser.get(str(virus.json()["url"])).body
    assert sink.titles()[:2] == [DOWN, "A virus was uploaded to campus.test"]

    # A file of the owner's stays; the audit reports what it makes of it.
    mine = "LocalSocket /run/clamav/clamd.ctl\nUser clamav\n"
    playbook.harden(fresh, "--tags", "uploads", chamilo_uploads_state="absent")
    assert not fresh.run("ls /etc/cron.d/chamilo-hardening-scan", check=False).stdout
    assert fresh.get("/etc/clamav/clamd.conf").startswith("#Automatically Generated")
    fresh.put("/etc/clamav/clamd.conf", mine)
    fresh.run("systemctl restart clamav-daemon")
    playbook.harden(fresh, "--tags", "uploads", **known)
    assert fresh.get("/etc/clamav/clamd.conf") == mine
    fresh.run("chamilo-hardening scan")
    playbook.run("audit", fresh, chamilo_level="consider")
    status, evidence = audited(playbook)
    assert status == "fail" and "ConcurrentDatabaseReload no" in evidence and "AlertExceedsMax yes" in evidence


def audited(playbook: Playbook) -> tuple[str, str]:
    """What the last audit reports about the scanner."""
    controls = json.loads((playbook.directory / "report/report.json").read_text())["hosts"][0]["controls"]
    return next((one["status"], one["evidence"]) for one in controls if one["id"] == "uploads_antivirus")
