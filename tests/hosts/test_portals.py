"""Several portals on one host, several names of one portal, IPv6 and HTTP/2."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hosts.hardening import GUIDE, HSTS, Playbook, neighbour
from tests.playbook import play
from tests.testbed import authority
from tests.testbed.hosts import Host

pytestmark = pytest.mark.long

CERTIFICATE, KEY = "/etc/ssl/testbed/both.pem", "/etc/ssl/testbed/both.key"
VARIABLES = {
    "chamilo_https_certificate": "files",
    "chamilo_https_certificate_file": CERTIFICATE,
    "chamilo_https_certificate_key_file": KEY,
    "chamilo_https_hsts": "full",
}
SECTIONS = ("--tags", "https,headers,sessions")
# A second installation: its own folder and database.
SECOND = """
cp -a /var/www/chamilo /var/www/second
sed -i "s/^DATABASE_NAME=.*/DATABASE_NAME='second'/" /var/www/second/.env
mariadb -e 'CREATE DATABASE second'
mariadb-dump chamilo | mariadb second
mariadb second -e "UPDATE access_url SET url = 'http://second.test/'"
rm -rf /var/www/second/var/cache/*
echo first >/var/www/chamilo/public/who.txt
echo second >/var/www/second/public/who.txt
"""


@pytest.fixture
def playbook(tmp_path: Path) -> Playbook:
    return Playbook(tmp_path, "https,headers,sessions")


def also_serve(host: Host, name: str, root: str) -> None:
    """A virtual host like the one that is there, for another name."""
    folder, suffix, service = {
        "nginx": ("/etc/nginx", "", "nginx"),
        "apache": ("/etc/apache2", ".conf", "apache2"),
    }[host.web]
    host.run(
        f"cd {folder} && sed 's/{host.domain}/{name}/; s#/var/www/chamilo#{root}#' sites-available/chamilo{suffix} "
        f">sites-available/other{suffix} && ln -s ../sites-available/other{suffix} sites-enabled/ "
        f"&& systemctl restart {service}"
    )
    chain, key = authority.issue(host.domain, name)
    host.put(CERTIFICATE, chain)
    host.put(KEY, key, "0600")


def inventory(playbook: Playbook, host: Host, *names: str) -> Path:
    """One host under several names, as somebody with two portals on it writes it."""
    path = playbook.folder / "portals.json"
    path.write_text(json.dumps({"chamilo": {"hosts": {name: host.inventory() for name in names}}}))
    return path


def faults(host: Host, *names: str) -> list[str]:
    """What is missing on either portal."""
    found = []
    for name in names:
        for path in ("/login", "/build/app.css", "/nothing-here"):
            answer = host.http(f"https://{name}{path}")
            wanted = {**GUIDE, "Strict-Transport-Security": HSTS}
            found += [
                f"{answer.url}: {key} {answer.values(key)}" for key in wanted if answer.values(key) != [wanted[key]]
            ]
        plain = host.http(f"http://{name}/login")
        if plain.value("Location") != f"https://{name}/login":
            found.append(f"{plain.url} answers {plain.status} {plain.value('Location')}")
    return found


def test_two_portals_on_one_host_keep_apart(fresh: Host, playbook: Playbook) -> None:
    fresh.run(SECOND)
    also_serve(fresh, "second.test", "/var/www/second")
    names = (fresh.domain, "second.test")
    hosts = inventory(playbook, fresh, *names)
    shop = neighbour(fresh)
    play("harden", hosts, *SECTIONS, variables=VARIABLES)
    assert faults(fresh, *names) == []
    assert [fresh.http(f"https://{name}/who.txt").body.strip() for name in names] == [b"first", b"second"]
    assert neighbour(fresh) == shop
    again = play("harden", hosts, *SECTIONS, variables=VARIABLES)
    assert [again.changed[name] for name in names] == [0, 0]

    # One of them goes its own way again; the other stays as it is.
    play("harden", hosts, "--tags", "headers", "--limit", "second.test", variables={"chamilo_headers_state": "absent"})
    assert fresh.http("https://second.test/login").values("X-Frame-Options") == []
    assert faults(fresh, fresh.domain) == []


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
    hosts = inventory(playbook, modern, *names)
    play("harden", hosts, *SECTIONS, variables=VARIABLES)
    assert faults(modern, *names) == []
    for name in names:
        command = (
            f"curl -sS --http2 -D - -o /dev/null --resolve {name}:443:[::1] --cacert /etc/ssl/certs/ca-certificates.crt"
        )
        lines = modern.run(f"{command} https://{name}/login").stdout.lower().splitlines()
        assert lines[0].startswith("http/2 200"), lines
        for header, value in {**GUIDE, "Strict-Transport-Security": HSTS}.items():
            assert [line for line in lines if line.startswith(f"{header.lower()}:")] == [f"{header}: {value}".lower()]
    again = play("harden", hosts, *SECTIONS, variables=VARIABLES)
    assert [again.changed[name] for name in names] == [0, 0]
