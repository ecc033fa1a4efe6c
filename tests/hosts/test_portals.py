"""Several portals on one host, several names of one portal, IPv6 and HTTP/2."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.guide import HEADERS
from tests.hosts.hardening import BEHIND, HSTS, Playbook, missing_from_the_portal, unrelated_site
from tests.hosts.test_sessions import CHOSEN, SCRIPT, logged_in
from tests.playbook import play
from tests.testbed import authority, mail
from tests.testbed.app.selfcheck import PASSWORDS, Browser
from tests.testbed.hosts import Host
from tests.testbed.mail import Sink

pytestmark = pytest.mark.long

CERTIFICATE, KEY = "/etc/ssl/testbed/both.pem", "/etc/ssl/testbed/both.key"
VARIABLES = {
    "chamilo_https_certificate": "files",
    "chamilo_https_certificate_file": CERTIFICATE,
    "chamilo_https_certificate_key_file": KEY,
    "chamilo_https_hsts": "full",
}
SECTIONS = ("--tags", "https,headers,sessions")
ALL = ("--tags", "updates,https,permissions,headers,sessions,uploads")
# A second installation: its own directory and database, with other things in it.
SECOND = """
cp -a /var/www/chamilo /var/www/second
sed -i "s/^DATABASE_NAME=.*/DATABASE_NAME='second'/" /var/www/second/.env
mariadb -e 'CREATE DATABASE second'
mariadb-dump chamilo | mariadb second
mariadb second -e "UPDATE access_url SET url = 'http://second.test/'"
mariadb second -e "UPDATE settings SET selected_value = 'Second school' WHERE variable = 'site_name'"
mariadb second -e "UPDATE settings SET selected_value = 'exe;own' WHERE variable = 'upload_extensions_blacklist'"
rm -rf /var/www/second/var/cache/*
echo first >/var/www/chamilo/public/who.txt
echo second >/var/www/second/public/who.txt
"""

LOOP = """
- hosts: all
  become: true
  gather_facts: false
  tasks:
    - ansible.builtin.include_role:
        name: "chamilo.hardening.{{ item[1] }}"
      vars:
        chamilo_domain: "{{ item[0] }}"
      loop: "{{ portals | product(['headers', 'uploads']) }}"
"""


@pytest.fixture
def playbook(tmp_path: Path) -> Playbook:
    return Playbook(tmp_path)


def also_serve(host: Host, name: str, root: str) -> None:
    """A virtual host like the one that is there, for another name."""
    directory, suffix, service = {
        "nginx": ("/etc/nginx", "", "nginx"),
        "apache": ("/etc/apache2", ".conf", "apache2"),
    }[host.web]
    host.run(
        f"cd {directory} && sed 's/{host.domain}/{name}/; s#/var/www/chamilo#{root}#' sites-available/chamilo{suffix} "
        f">sites-available/other{suffix} && ln -s ../sites-available/other{suffix} sites-enabled/ "
        f"&& systemctl restart {service}"
    )
    chain, key = authority.issue(host.domain, name)
    host.put(CERTIFICATE, chain)
    host.put(KEY, key, "0600")


def inventory(playbook: Playbook, host: Host, *names: str, **own: Mapping[str, object]) -> Path:
    """One host under several names, as an administrator of two portals writes it. ``own``: variables of one name."""
    path = playbook.directory / "portals.json"
    portals = {name: {**host.quick_inventory(), **own.get(name.partition(".")[0], {})} for name in names}
    path.write_text(json.dumps({"chamilo": {"hosts": portals}}))
    return path


PATHS = {"/login": 200, "/build/app.css": 200, "/nothing-here": 404}


def faults(host: Host, *names: str) -> list[str]:
    """What is missing on either portal."""
    found = []
    for name in names:
        for path, status in PATHS.items():
            answer = host.http(f"https://{name}{path}")
            if answer.status != status:
                found.append(f"{answer.url} answers {answer.status}")
            desired = {**HEADERS, "Strict-Transport-Security": HSTS}
            found += [
                f"{answer.url}: {key} {answer.values(key)}" for key in desired if answer.values(key) != [desired[key]]
            ]
        plain = host.http(f"http://{name}/login")
        if plain.value("Location") != f"https://{name}/login":
            found.append(f"{plain.url} answers {plain.status} {plain.value('Location')}")
    return found


def blocked(host: Host, database: str) -> str:
    """The file types that a portal refuses, as its own database has it."""
    desired = "SELECT selected_value FROM settings WHERE variable = 'upload_extensions_blacklist'"
    return host.run(["mariadb", "-N", database, "-e", desired]).stdout.strip()


def test_two_portals_on_one_host_keep_apart(fresh: Host, playbook: Playbook) -> None:
    fresh.run(SECOND)
    also_serve(fresh, "second.test", "/var/www/second")
    names = (fresh.domain, "second.test")
    before = blocked(fresh, "chamilo")
    hosts = inventory(playbook, fresh, *names)
    shop = unrelated_site(fresh)
    play("harden", hosts, *ALL, variables=VARIABLES)

    def whole() -> None:
        assert faults(fresh, *names) == []
        for name, title in zip(names, (b"<h1>Campus</h1>", b"<h1>Second school</h1>"), strict=True):
            assert title in fresh.http(f"https://{name}/").body, "each with its own database"
            assert not missing_from_the_portal(fresh, "https", name)

    whole()
    assert [fresh.http(f"https://{name}/who.txt").body.strip() for name in names] == [b"first", b"second"]
    assert unrelated_site(fresh) == shop
    again = play("harden", hosts, *ALL, variables=VARIABLES)
    assert [again.changed[name] for name in names] == [0, 0]
    for root in ("/var/www/chamilo", "/var/www/second"):
        fresh.run(f"install -d -o www-data -g www-data {root}/public/files")
        fresh.run(f"echo '<?php echo 6 * 7;' >{root}/public/files/a.php; chown www-data {root}/public/files/a.php")
    closed = [fresh.http(f"https://{name}{path}").status for name in names for path in ("/files/a.php", "/check.php")]
    assert closed == [403] * 4
    ours = blocked(fresh, "chamilo")
    assert "phar" in ours and blocked(fresh, "second") == ours

    # One of them goes its own way again; the other stays as it is.
    fresh.run("chamilo-hardening undo uploads:second_test --yes")
    assert fresh.http(f"https://{fresh.domain}/files/a.php").status == 403
    assert (blocked(fresh, "chamilo"), blocked(fresh, "second")) == (ours, "exe;own")
    assert "uploads:second_test" not in fresh.run("chamilo-hardening status").stdout
    whole()
    play("harden", hosts, "--tags", "headers", "--limit", "second.test", variables={"chamilo_headers_state": "absent"})
    assert fresh.http("https://second.test/login").values("X-Frame-Options") == []
    assert faults(fresh, fresh.domain) == []
    fresh.run("chamilo-hardening undo uploads --yes")
    assert blocked(fresh, "chamilo") == before


def test_single_roles_in_a_loop_harden_each_portal_of_a_host(fresh: Host, playbook: Playbook) -> None:
    fresh.run(SECOND)
    also_serve(fresh, "second.test", "/var/www/second")
    names = [fresh.domain, "second.test"]
    site = playbook.write("site.yml", LOOP)
    playbook.run(site, fresh, portals=names)
    for name in names:
        answer = fresh.http(f"http://{name}/login")
        assert [answer.values(key) for key in HEADERS] == [[HEADERS[key]] for key in HEADERS]
    ours = blocked(fresh, "chamilo")
    assert "phar" in ours and blocked(fresh, "second") == ours
    assert playbook.run(site, fresh, portals=names).changed[fresh.domain] == 0


@pytest.mark.cells("trixie-apache")
def test_two_portals_of_apache_one_after_the_other(fresh: Host, playbook: Playbook) -> None:
    """In virtual hosts that stay their owner's: until the second portal speaks https, the first one alone does."""
    fresh.run(SECOND)
    first, second = fresh.domain, "second.test"
    also_serve(fresh, second, "/var/www/second")
    fresh.run("cp -a /etc/apache2/sites-available /root/before")

    def harden(name: str) -> int:
        hosts = inventory(playbook, fresh, name)
        return play("harden", hosts, "--tags", "https,headers,uploads", variables=VARIABLES).changed[name]

    def plain(name: str) -> list[int]:
        assert "X-Frame-Options" not in dict(fresh.http(f"http://{name}/login").headers)
        return [fresh.http(f"http://{name}{path}").status for path in PATHS]

    def undo(name: str) -> None:
        for section in ("uploads", "headers", "https"):
            fresh.run(["chamilo-hardening", "undo", f"{section}:{name.replace('.', '_')}", "--yes"])

    assert harden(first)
    assert faults(fresh, first) == []
    assert plain(second) == [*PATHS.values()]
    back = fresh.http(f"https://{second}/login?a=b")
    assert (back.status, back.value("Location")) == (302, f"http://{second}/login?a=b"), (
        "no visitor sees another portal"
    )
    assert harden(second)
    assert faults(fresh, first, second) == []
    assert [fresh.http(f"https://{name}/who.txt").body.strip() for name in (first, second)] == [b"first", b"second"]
    assert [harden(first), harden(second)] == [0, 0]
    undo(first)
    assert plain(first) == [*PATHS.values()]
    assert faults(fresh, second) == []
    assert harden(second) == 0
    undo(second)
    assert fresh.run("diff -r /root/before /etc/apache2/sites-available", check=False).stdout == ""


def test_a_virtual_host_for_another_name_of_the_portal_is_found_and_closed(fresh: Host, playbook: Playbook) -> None:
    """One that was not declared, such as that of an old name, knew no rule of ours."""
    also_serve(fresh, "old.test", "/var/www/chamilo")
    assert fresh.http("http://old.test/check.php").status == 200
    hosts = inventory(playbook, fresh, fresh.domain)
    variables = {**VARIABLES, "chamilo_report_dir": str(playbook.directory)}
    play("harden", hosts, "--tags", "https,updates", variables=variables)
    for scheme in ("http", "https"):
        assert fresh.http(f"{scheme}://old.test/check.php").status in (301, 403, 404)
    assert not missing_from_the_portal(fresh, "https")
    play("audit", hosts, variables=variables)
    (report,) = json.loads((playbook.directory / "report.json").read_text())["hosts"]
    assert report["names"] == [fresh.domain, "old.test"]
    found = [
        one for one in report["controls"] if one["id"] in ("updates_installer", "https_redirect", "https_certificate")
    ]
    assert {one["status"] for one in found} == {"pass"}, found


def test_one_of_two_portals_may_keep_its_sessions_itself(fresh: Host, playbook: Playbook) -> None:
    """Users stay logged in on both, and where PHP keeps them no visitor chooses the number of a session."""
    fresh.run(SECOND)
    also_serve(fresh, "second.test", "/var/www/second")
    own = "framework:\n    session:\n        handler_id: 'file://%kernel.project_dir%/var/sessions'\n"
    fresh.put("/var/www/second/config/packages/own.yaml", own)
    fresh.run("install -d -o www-data -g www-data -m 0700 /var/www/second/var/sessions")
    names = (fresh.domain, "second.test")
    hosts = inventory(playbook, fresh, *names)
    only = ("--tags", "https,permissions,sessions")
    play("harden", hosts, *only, variables=VARIABLES)
    for name in names:
        visitor = Browser(f"https://{name}", fresh.address, str(authority.certificate()))
        answer = visitor.post_json("/login_json", username="student01", password=PASSWORDS["student01"])
        assert answer.status == 200 and logged_in(visitor), name
    parts = fresh.run("ls /usr/local/share/chamilo-hardening/prepend.d").stdout.split()
    assert "sessions-campus_test" in parts and "sessions-second_test" not in parts
    (line,) = fresh.http(f"https://{fresh.domain}{SCRIPT}?session_id={CHOSEN}").values("Set-Cookie")
    assert CHOSEN not in line
    again = play("harden", hosts, *only, variables=VARIABLES)
    assert [again.changed[name] for name in names] == [0, 0], again.output


def test_two_portals_do_not_fight_over_the_watch_and_the_mail_program(
    fresh: Host, sink: Sink, playbook: Playbook, tmp_path: Path
) -> None:
    fresh.run(SECOND)
    also_serve(fresh, "second.test", "/var/www/second")
    hosts = inventory(playbook, fresh, fresh.domain, "second.test")
    reported = {"chamilo_alert_mail": "admin@school.example", "chamilo_monitoring_smtp_host": mail.NAME}
    reported["chamilo_report_dir"] = str(tmp_path / "report")
    play("harden", hosts, "--tags", "monitoring", variables=reported)
    again = play("harden", hosts, "--tags", "monitoring", variables=reported)
    assert set(again.changed.values()) == {0}, again.output
    # msmtp puts in the host's own name.
    name = fresh.run("hostname --fqdn").stdout.strip()
    assert f"from = root@{name}" in fresh.run("msmtp --pretend x@school.example </dev/null").stdout
    assert sink.mails()


def test_a_portal_behind_a_proxy_leaves_the_tls_of_the_other_alone(fresh: Host, playbook: Playbook) -> None:
    fresh.run(SECOND)
    also_serve(fresh, "second.test", "/var/www/second")
    names = (fresh.domain, "second.test")
    behind = {**BEHIND, "chamilo_trusted_proxies": ["192.0.2.1"]}
    hosts = inventory(playbook, fresh, *names, campus=VARIABLES, second=behind)
    unrelated_client = f"curl -sk -o /dev/null --resolve unknown.test:443:{fresh.address} https://unknown.test/"
    for _run in range(2):
        again = play("harden", hosts, *SECTIONS)
        assert faults(fresh, fresh.domain) == []
        assert fresh.http("http://second.test/login").value("Location") == "https://second.test/login"
        if fresh.web == "nginx":
            assert fresh.run(unrelated_client, check=False).returncode == 35, "an unknown name speaks no TLS"
    assert [again.changed[name] for name in names] == [0, 0]


@pytest.fixture
def modern(make: Callable[..., Host]) -> Host:
    """A host with IPv6 that speaks HTTP/2 already, and one portal under two names."""
    host = make(vhost="https")
    host.run("sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.lo.disable_ipv6=0")
    also_serve(host, "library.test", "/var/www/chamilo")
    service, edit = {
        ("apache", "trixie"): ("apache2", "s/SSLEngine on/SSLEngine on\\n    Protocols h2 http\\/1.1/"),
        ("apache", "bookworm"): ("apache2", "s/SSLEngine on/SSLEngine on\\n    Protocols h2 http\\/1.1/"),
        ("nginx", "trixie"): ("nginx", "/ssl_certificate_key/ s/$/ http2 on;/"),
        ("nginx", "bookworm"): ("nginx", "s/443 ssl;/443 ssl http2;/"),
    }[host.web, host.release]
    if host.web == "apache":
        host.run("a2enmod -q http2")
    host.run(f"sed -i '{edit}' /etc/{service}/sites-available/[co]* && systemctl restart {service}")
    return host


def test_one_portal_under_two_names_over_ipv6_and_http2(cell: object, modern: Host, playbook: Playbook) -> None:
    names = (modern.domain, "library.test")
    hosts = inventory(playbook, modern, modern.domain)
    play("harden", hosts, *SECTIONS, variables=VARIABLES)
    assert faults(modern, *names) == []
    for name in names:
        command = (
            f"curl -sS --http2 -D - -o /dev/null --resolve {name}:443:[::1] --cacert /etc/ssl/certs/ca-certificates.crt"
        )
        lines = modern.run(f"{command} https://{name}/login").stdout.lower().splitlines()
        assert lines[0].startswith("http/2 200"), lines
        for header, value in {**HEADERS, "Strict-Transport-Security": HSTS}.items():
            assert [line for line in lines if line.startswith(f"{header.lower()}:")] == [f"{header}: {value}".lower()]
    again = play("harden", hosts, *SECTIONS, variables=VARIABLES)
    assert again.changed[modern.domain] == 0
