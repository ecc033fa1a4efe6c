"""The role https: certificate, redirect, protocols, HSTS, and what becomes of the virtual host that was there."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.handshakes import handshake
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import tls_context
from tests.hosts.conftest import Cell
from tests.hosts.hardening import (
    HSTS,
    PROGRAM,
    QUIET,
    Playbook,
    include_line,
    missing_from_the_portal,
    paste,
    unrelated_site,
)
from tests.playbook import PlayError
from tests.testbed import authority
from tests.testbed.hosts import Host

OWNERS = [
    pytest.param("plain", marks=pytest.mark.long),  # what all other tests begin with
    "regular-file",
    "https",
    pytest.param("default-server", marks=pytest.mark.long),
]
LONG = "moodle.gymnasium-musterstadt.schule"  # words made of it do not fit into nginx's tables
LONGER = "e-learning.staedtisches-gymnasium-musterstadt-am-grossen-fluss.schule.test"  # it does not fit by itself


@pytest.fixture
def playbook(tmp_path: Path) -> Playbook:
    """Only what this file is about, which takes a fifth of the time."""
    return Playbook(tmp_path, "https,headers")


@pytest.mark.wire
def test_the_portal_is_served_with_a_chain_that_clients_trust(served: Host) -> None:
    answer = served.http(f"https://{served.domain}/", verify=True, ca_file=str(authority.certificate()))
    assert answer.status == 200, answer.error


@pytest.mark.parametrize(
    "path", ["/", "/main/auth/inscription.php?a=1&b=%20%2F", "/caf%C3%A9/x;y", "/courses?q=a+b&r=[1]"]
)
@pytest.mark.wire
def test_http_is_sent_to_the_same_address(served: Host, path: str) -> None:
    answer = served.http(f"http://{served.domain}{path}")
    assert (answer.status, answer.value("Location")) == (301, f"https://{served.domain}{path}")


@pytest.mark.wire
def test_a_login_over_http_is_not_answered(served: Host) -> None:
    answer = served.http("/login_json", method="POST", body=b'{"username":"admin","password":"x"}')
    assert answer.status == 301


@pytest.mark.wire
def test_a_request_with_a_whole_address_is_redirected_too(served: Host) -> None:
    body = "{}"
    request = (
        f"POST http://{served.domain}/login_json HTTP/1.1\r\nHost: {served.domain}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
    )
    with socket.create_connection((served.address, 80), 10) as connection:
        connection.sendall(request.encode())
        answer = connection.makefile("rb").read().decode()
    assert answer.startswith("HTTP/1.1 301"), answer[:300]
    assert f"\r\nLocation: https://{served.domain}/login_json\r\n" in answer


@pytest.mark.wire
def test_another_name_on_this_host_does_not_end_up_at_the_portal(served: Host) -> None:
    answer = served.http("https://shop.test/page?a=b")
    if served.web == "nginx":
        assert not answer.status, "no site speaks https for that name, as before"
    else:
        assert (answer.status, answer.value("Location")) == (302, "http://shop.test/page?a=b")
    assert answer.values("Strict-Transport-Security") == []


@pytest.mark.wire
def test_the_challenge_of_an_authority_is_not_redirected(served: Host) -> None:
    assert served.http("/.well-known/acme-challenge/none").status == 404


OLD_PROTOCOLS = {
    "nginx": "ssl_protocols TLSv1 TLSv1.1 TLSv1.2; ssl_ciphers ALL:@SECLEVEL=0;",
    "apache": "SSLProtocol all\\nSSLCipherSuite ALL:@SECLEVEL=0",
}


@pytest.mark.wire
def test_old_protocols_are_refused(make: Callable[..., Host], playbook: Playbook) -> None:
    def refused() -> list[bool]:
        old = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        offered = [tls_context(verify=False, minimum=one, maximum=one, ciphers="ALL:@SECLEVEL=0") for one in old]
        return [bool(handshake(host.domain, 443, host.address, one).error) for one in offered]

    host = make(vhost="https")
    paste(host, OLD_PROTOCOLS[host.web])
    host.run(f"systemctl restart {'nginx' if host.web == 'nginx' else 'apache2'}")
    assert refused() == [False, False]
    playbook.harden(host)
    assert refused() == [True, True]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.wire
def test_current_protocols_are_spoken(served: Host, version: ssl.TLSVersion) -> None:
    context = tls_context(verify=False, minimum=version, maximum=version)
    assert not handshake(served.domain, 443, served.address, context).error


@pytest.mark.wire
def test_the_portal_works_as_before_and_the_unrelated_site_too(stage: Callable[..., Host], playbook: Playbook) -> None:
    host = stage("sloppy", lambda host: None)
    assert not missing_from_the_portal(host, "http")
    before = unrelated_site(host)
    playbook.harden(host)
    assert not missing_from_the_portal(host, "https")
    assert unrelated_site(host) == before


def test_a_certificate_that_is_served_is_kept(make: Callable[..., Host], cell: Cell, playbook: Playbook) -> None:
    host = make(vhost="https")
    served = handshake(host.domain, 443, host.address, tls_context(verify=False)).certificate
    playbook.harden(host, chamilo_https_certificate="auto")
    assert handshake(host.domain, 443, host.address, tls_context(verify=False)).certificate == served
    assert playbook.harden(host, chamilo_https_certificate="auto") == 0


@pytest.mark.parametrize("fixture", OWNERS)
@pytest.mark.wire
def test_a_virtual_host_is_hardened_and_restored(
    make: Callable[..., Host], cell: Cell, playbook: Playbook, fixture: str
) -> None:
    host = make(LONG if fixture == "regular-file" else "campus", vhost=fixture)
    service = "nginx" if host.web == "nginx" else "apache2"
    names = "find . -mindepth 1 -printf '%P %y %m %U:%G %l\\n' | sort"
    listing = f"cd /etc/{service} && {names} && find . -type f | sort | xargs sha256sum"
    before = host.run(listing).stdout
    playbook.harden(host)
    assert not missing_from_the_portal(host, "https")
    assert playbook.harden(host) == 0
    host.run("chamilo-hardening undo https --yes && chamilo-hardening undo headers --yes")
    assert host.run(listing).stdout == before
    assert host.wait(host.url).status == 200


# It speaks https alone, and nothing answers to its name on port 80 but the portal.
LIBRARY = {
    "nginx": """server {
    listen 443 ssl;
    server_name .library.test "~^reading\\d+\\.test$";
    ssl_certificate /etc/ssl/testbed/fullchain.pem;
    ssl_certificate_key /etc/ssl/testbed/privkey.pem;
    return 200 library;
}
""",
    "apache": """<VirtualHost *:443>
    ServerName library.test
    ServerAlias *.library.test reading*.test
    SSLEngine on
    SSLCertificateFile /etc/ssl/testbed/fullchain.pem
    SSLCertificateKeyFile /etc/ssl/testbed/privkey.pem
    RedirectMatch 404 "^/$"
    ErrorDocument 404 "library"
</VirtualHost>
""",
}


@pytest.mark.long
@pytest.mark.wire
def test_by_any_other_name_the_portal_leads_to_its_own(
    make: Callable[..., Host], cell: Cell, playbook: Playbook
) -> None:
    host = make(vhost="default-server")
    web, suffix = ("nginx", "") if host.web == "nginx" else ("apache2", ".conf")
    before = unrelated_site(host)
    playbook.sections = "https"

    def led(name: str, path: str = "/caf%C3%A9/x?a=%20b") -> tuple[int, str]:
        answer = host.http(f"http://{name}{path}")
        return answer.status, answer.value("Location").replace(path, "+")

    playbook.harden(host)
    for name in (host.address, "anything.test", "library.test", "www.campus.test", host.domain, host.domain.upper()):
        assert led(name) == (301, f"https://{host.domain}+"), name
    assert unrelated_site(host) == before
    # Another site that speaks https is still discovered.
    host.put(f"/etc/{web}/sites-available/library{suffix}", LIBRARY[host.web])
    host.run(f"ln -s ../sites-available/library{suffix} /etc/{web}/sites-enabled/ && systemctl reload {web}")
    playbook.harden(host)
    for name in ("library.test", "www.library.test", "reading1.test"):
        assert led(name) == (301, f"https://{name}+"), name
        assert host.http(f"https://{name}/").body.strip() == b"library"
    for name in (host.address, "anything.test", "xlibrary.test", "library.test.evil.test", host.domain):
        assert led(name) == (301, f"https://{host.domain}+"), name
    assert unrelated_site(host) == before
    assert playbook.harden(host) == 0


@pytest.mark.long
def test_without_https_the_other_sections_go_on(fresh: Host, playbook: Playbook) -> None:
    """A portal that is plain again has no cookie that needs https, and a second run finds nothing to do."""
    playbook.sections = "updates,https,sessions,headers"
    leaving = {"chamilo_https_hsts": "off"}  # else it warns, and rightly
    without = {**leaving, "chamilo_https_state": "absent"}

    def plain() -> None:
        assert not missing_from_the_portal(fresh, "http")
        answer = fresh.http("/")
        assert answer.values("X-Content-Type-Options") == ["nosniff"]
        cookies = answer.values("Set-Cookie")
        assert cookies and not [cookie for cookie in cookies if "secure" in cookie.lower()]

    playbook.harden(fresh, **leaving)
    playbook.harden(fresh, **without)
    plain()
    assert playbook.harden(fresh, **without) == 0
    plain()


@pytest.mark.long
def test_after_an_upgrade_of_php_the_next_run_brings_the_portal_back(fresh: Host, playbook: Playbook) -> None:
    """Another version has another socket, as here the same one, and nothing listens at the old one any more."""
    login = f"https://{fresh.domain}/login"
    playbook.sections = "https,headers,sessions"
    playbook.harden(fresh)
    assert fresh.wait(login).status == 200
    listen = "s|^listen = .*|listen = /run/php/php9.9-fpm.sock|"
    fresh.run(f"sed -i '{listen}' /etc/php/*/fpm/pool.d/www.conf && systemctl restart 'php*-fpm.service'")
    assert fresh.http(login).status in (502, 503)
    playbook.harden(fresh)
    assert fresh.wait(login).status == 200
    assert playbook.harden(fresh) == 0


@pytest.mark.cells("trixie-nginx")
@pytest.mark.long
def test_a_name_that_nginx_does_not_take_as_it_is_set_up(
    make: Callable[..., Host], cell: Cell, playbook: Playbook
) -> None:
    """Until now the portal was served by default, and no site named it."""
    host = make(vhost="default-server")
    host.run("sed -i 's/server_name .*/server_name _;/' /etc/nginx/sites-available/chamilo && systemctl reload nginx")
    playbook.sections = "https,headers,brute_force,uploads,sessions"
    variables = {
        "chamilo_domain": LONGER,
        "chamilo_https_certificate": "self_signed",
        "chamilo_https_certificate_file": "",
        "chamilo_https_certificate_key_file": "",
    }
    playbook.harden(host, **variables)
    assert host.http(f"https://{LONGER}/login").values("X-Content-Type-Options") == ["nosniff"]
    assert playbook.harden(host, **variables) == 0
    host.run("chamilo-hardening undo https --yes && chamilo-hardening undo headers --yes && nginx -t")


@pytest.mark.long
@pytest.mark.parametrize("fixture", ["in-nginx-conf", "two-servers"])
def test_an_owners_virtual_host_makes_no_room_for_one_of_ours(
    make: Callable[..., Host], cell: Cell, tmp_path: Path, fixture: str
) -> None:
    """Nor do the sections that need it: they are left as they are."""
    host = make(vhost=fixture)
    if fixture == "in-nginx-conf":
        file = {"nginx": "/etc/nginx/nginx.conf", "apache": "/etc/apache2/apache2.conf"}[host.web]
    else:
        file = {"nginx": "/etc/nginx/sites-available/chamilo", "apache": "/etc/apache2/sites-available/chamilo.conf"}[
            host.web
        ]
    before = host.snapshot()
    with pytest.raises(PlayError) as refused:
        Playbook(tmp_path, "https,headers,uploads").harden(host, chamilo_https_vhost="managed")
    message = " ".join(str(refused.value).split())
    assert f"has a virtual host of its owner's: {file} line " in message and "Leave chamilo_https_vhost out" in message
    assert not before.changes(host.snapshot(), [*QUIET, *PROGRAM])


NAMELESS = {
    "nginx": 'server {\n    listen 80;\n    server_name _;\n    location / { return 200 "kiosk"; }\n}\n',
    "apache": '<VirtualHost *:80>\n    RedirectMatch 404 "^/$"\n    ErrorDocument 404 "kiosk"\n</VirtualHost>\n',
}


@pytest.mark.long
def test_a_site_without_a_name_that_answers_for_being_read_first_goes_on(fresh: Host, playbook: Playbook) -> None:
    """Ours would be read before it. What the refusal advises lets the run through."""
    playbook.sections = "https"
    web, suffix = ("nginx", "") if fresh.web == "nginx" else ("apache2", ".conf")
    file, directory = f"/etc/{web}/sites-available/kiosk{suffix}", f"/etc/{web}/sites-enabled"
    fresh.put(file, NAMELESS[fresh.web])
    fresh.run(
        f"cd {directory} && rm -f default 000-default.conf && ln -s {file} kiosk{suffix}"
        f" && rm chamilo{suffix} && systemctl restart {web}"
    )
    ask = f"curl -s --resolve unknown.test:80:{fresh.address} http://unknown.test/"
    assert fresh.run(ask).stdout == "kiosk"
    before = fresh.snapshot()
    with pytest.raises(PlayError) as refused:
        playbook.harden(fresh)
    output = " ".join(str(refused.value).split())
    remedy = {"nginx": 'write default_server behind "listen"', "apache": "rename its link so that it comes before"}
    assert f"{file} line 1: " in output and remedy[fresh.web] in output
    assert not before.changes(fresh.snapshot(), [*QUIET, *PROGRAM])
    if fresh.web == "nginx":
        fresh.run(["sed", "-i", "s/listen 80;/listen 80 default_server;/", file])
    else:
        fresh.run(f"mv {directory}/kiosk.conf {directory}/a-kiosk.conf")
    fresh.run(["systemctl", "reload", web])
    playbook.harden(fresh)
    assert fresh.run(ask).stdout == "kiosk"
    assert not missing_from_the_portal(fresh, "https")


EARLIER = """
- hosts: all
  become: true
  gather_facts: false
  tasks:
    - chamilo.hardening.host_program: {request: {}}
    - chamilo.hardening.config_transaction:
        name: https:campus_test
        files:
          - {path: %(etc)s/sites-available/chamilo-campus_test.conf, content: %(text)s}
          - {path: %(etc)s/sites-enabled/chamilo-campus_test.conf, state: link, target: %(link)s}
          - {path: %(etc)s/sites-enabled/%(owners)s, state: absent}
        test: [[%(test)s]]
        load: {service: %(service)s, action: restart}
"""


@pytest.mark.long
@pytest.mark.wire
def test_ours_that_an_earlier_version_wrote_in_place_of_an_owners_stays_until_undo(
    fresh: Host, playbook: Playbook
) -> None:
    service, owners, test = {
        "nginx": ("nginx", "chamilo", "nginx, -t"),
        "apache": ("apache2", "chamilo.conf", "apache2ctl, configtest"),
    }[fresh.web]
    etc, kept = f"/etc/{service}", "fastcgi_read_timeout 777" if fresh.web == "nginx" else "ProxyTimeout 777"
    listing = f"cd {etc} && find . -mindepth 1 -printf '%P %y %m %U:%G %l\\n' | sort && cat sites-available/{owners}"
    before, text = fresh.run(listing).stdout, fresh.get(f"{etc}/sites-available/{owners}")
    begin = "server {" if fresh.web == "nginx" else "DocumentRoot"
    line = f"{begin}\n    {kept};" if fresh.web == "nginx" else f"{kept}\n    {begin}"
    ours = f"# Managed by Ansible: chamilo.hardening, section https.\n{text.replace(begin, line, 1)}"
    link = "../sites-available/chamilo-campus_test.conf"
    given = {"etc": etc, "text": json.dumps(ours), "link": link, "owners": owners, "test": test, "service": service}
    playbook.run(playbook.write("earlier.yml", EARLIER % given), fresh)
    assert fresh.http("/login").status == 200
    playbook.harden(fresh)
    assert not missing_from_the_portal(fresh, "https")
    written = fresh.get(f"{etc}/sites-available/chamilo-campus_test.conf")
    assert kept in written and "Changes here are lost." in written
    assert playbook.harden(fresh, chamilo_https_vhost="managed") == 0
    fresh.run("chamilo-hardening undo https --yes && chamilo-hardening undo headers --yes")
    assert fresh.run(listing).stdout == before
    assert fresh.wait("/login").status == 200


@pytest.mark.long
def test_a_virtual_host_of_ones_own_may_speak_http_until_its_owner_has_it_speak_https(
    fresh: Host, playbook: Playbook
) -> None:
    playbook.sections = "https,headers,sessions"
    with pytest.raises(PlayError, match="includes no files of this collection"):
        playbook.harden(fresh, chamilo_https_vhost="include")
    assert not missing_from_the_portal(fresh, "http")
    paste(fresh, include_line(fresh))
    fresh.run(["systemctl", "reload", "nginx" if fresh.web == "nginx" else "apache2"])
    asked = playbook.run("harden", fresh, chamilo_https_vhost="include")
    assert "have it speak https on port 443, with the certificate" in " ".join(asked.output.split())
    assert not missing_from_the_portal(fresh, "http"), "people can log in, with a cookie that needs no https"


OWN = {
    "chamilo_https_vhost": "include",
    "chamilo_trusted_proxies": ["192.0.2.1"],
    "chamilo_sessions_remember_me": False,
}


@pytest.fixture
def included(stage: Callable[..., Host], playbook: Playbook) -> Host:
    """A host whose owner has pasted the line into the virtual host, which stays his own."""

    def prepare(host: Host) -> None:
        if host.web == "nginx":  # it takes these once, and ours would set them as well
            paste(host, "server_tokens off; real_ip_header X-Forwarded-For;")
        with pytest.raises(PlayError) as asked:
            playbook.harden(host, **OWN)
        output = " ".join(str(asked.value).split())
        assert f'Add the line "{include_line(host)}" to the virtual host of' in output, "as it must be pasted"
        paste(host, include_line(host))
        host.run(["systemctl", "reload", "nginx" if host.web == "nginx" else "apache2"])
        playbook.harden(host, **OWN)

    playbook.sections = "https,brute_force,sessions,headers"
    return stage("included", prepare, vhost="https")


@pytest.mark.wire
def test_a_virtual_host_of_ones_own_works_with_the_include_line(included: Host, playbook: Playbook) -> None:
    """No section waits in vain for what the owner has not activated yet."""
    host = included
    answer = host.http(f"https://{host.domain}/")
    assert answer.values("Strict-Transport-Security") == [HSTS]
    assert answer.values("X-Content-Type-Options") == ["nosniff"]
    assert not missing_from_the_portal(host, "https")
    assert playbook.harden(host, **OWN) == 0
    if host.web == "nginx":
        paste(host, "location = /robots.txt { add_header X-Own 1; }")
        with pytest.raises(PlayError, match="exit code 2") as named:
            playbook.harden(host, **OWN)
        output = " ".join(str(named.value).split())
        assert "headers_csp: /etc/nginx/sites-available/chamilo line" in output
        assert "location = /robots.txt sends headers of its own, and so none of the virtual host's. Add" in output
        line = include_line(host).replace("/*.conf", "/location/*.conf")
        host.run(["sed", "-i", f"s|X-Own 1;|& {line}|", "/etc/nginx/sites-available/chamilo"])
        host.run("systemctl reload nginx")
        assert playbook.harden(host, **OWN) == 0
        answer = host.http(f"https://{host.domain}/robots.txt")
        assert (answer.values("X-Own"), answer.values("X-Content-Type-Options")) == (["1"], ["nosniff"])


@pytest.mark.long
@pytest.mark.wire
def test_what_the_owner_reports_later_is_heard(included: Host, playbook: Playbook) -> None:
    host = included
    if host.web == "nginx":
        file = "/etc/nginx/sites-available/chamilo"
        host.run(f"sed -i s/X-Forwarded-For/X-Real-IP/ {file}")
        before = host.snapshot()
        with pytest.raises(PlayError) as refused:
            playbook.harden(host, **OWN)
        assert f"{file} line 6: real_ip_header X-Real-IP; " in " ".join(str(refused.value).split())
        assert not before.changes(host.snapshot(), [*QUIET, *PROGRAM])
        host.run(f"sed -i 's/ real_ip_header X-Real-IP;//' {file}")
        playbook.harden(host, **OWN)
        assert "real_ip_header X-Forwarded-For;" in host.run("nginx -T").stdout, "ours sets it again"
    paste(host, "nonsense;" if host.web == "nginx" else "nonsense")
    with pytest.raises(PlayError, match="nonsense"):
        playbook.harden(host, **OWN)
