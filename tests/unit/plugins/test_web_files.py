# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles of the web server make of a host: values and files."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from tests.testbed import authority
from tests.tools.plans import ROLES, planned, variables


def made(host: Any, role: str, expression: str, **given: Any) -> Any:
    """An expression as the role sees it on this host."""
    known = variables(host, "https", role, ansible_search_path=[str(ROLES / role)], _chamilo_https_policy=True, **given)
    known["_chamilo_common_portal"] = planned(host, "portal", **known)
    return Templar(DataLoader(), variables=known).template(trust_as_template(expression), escape_backslashes=False)


def rendered(host: Any, role: str, template: str, **given: Any) -> str:
    return str(made(host, role, (ROLES / role / "templates" / template).read_text(encoding="utf-8"), **given))


PORTAL = """server {{
{}
server_name campus.test;
root /var/www/chamilo/public;
location / {{ try_files $uri /index.php$is_args$args; }}
location ~ \\.php$ {{ include snippets/fastcgi-php.conf; fastcgi_pass unix:/run/php/php8.4-fpm.sock; }}
}}
"""
TLS = "ssl_certificate /etc/ssl/c.pem; ssl_certificate_key /etc/ssl/k.pem;"


def on_nginx(host, *lines, **others):
    """A host with the portal, and with other sites by the names of their files."""
    host.install("nginx")
    host.write("/var/lib/dpkg/status", "Package: nginx\nStatus: install ok installed\nVersion: 1.22.1-9\n\n")
    host.chamilo()
    host.site("nginx", PORTAL.format("\n".join(lines)))
    for name, text in others.items():
        host.site("nginx", text, f"{name}.conf")


@pytest.mark.parametrize(
    ("listens", "other", "kept"),
    [
        # Debian's own site is the default of port 80.
        (
            ["listen 80;", "listen [::]:80;", "listen 443 ssl default_server;", "listen [::]:443 ssl;", TLS],
            "server { listen 80 default_server; listen [::]:80 default_server; listen [::]:443 ssl default_server; }",
            ["80", "[::]:80", "443 ssl default_server", "[::]:443 ssl"],
        ),
        (
            ["listen 80 default_server;"],
            f"server {{ listen 443 ssl default_server; server_name shop.test; {TLS} }}",
            ["80 default_server", "443 ssl"],
        ),
    ],
)
def test_the_portal_is_the_default_of_those_addresses_where_it_was(host, listens, other, kept):
    on_nginx(host, *listens, other=other)
    given = {"_chamilo_https_pair": {"certificate": "/c.pem", "certificate_key": "/k.pem"}}
    text = rendered(host, "https", "nginx/vhost.conf.j2", **given)
    assert [each.replace(" http2", "") for each in re.findall(r"listen (.*);", text)] == kept


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("common.inc.js", False),
        ("photo.jpg", False),
        ("common.inc", True),
        ("common.INC", True),
        ("common.php.js", True),
        ("common.phtml", True),
    ],
)
@pytest.mark.parametrize(
    ("server", "rule", "behind"),
    [
        ("nginx", r"location (~\*) (\S+) \{\s+return 403;", "/x"),
        ("apache", r'<FilesMatch "(\(\?i\))(\S+)">\s+SetHandler none', ""),  # it is told the name of the file alone
    ],
    ids=["nginx", "apache"],
)
def test_names_of_programs_are_refused_where_a_server_could_run_them(host, server, rule, behind, name, refused):
    host.install(server)
    host.write("/var/lib/dpkg/status", "Package: nginx\nStatus: install ok installed\nVersion: 1.22.1-9\n\n")
    host.chamilo()
    host.testbed_site(server, "plain")
    nothing = {"certificate": "", "certificate_key": ""}
    found = re.findall(rule, rendered(host, "https", f"{server}/vhost.conf.j2", _chamilo_https_pair=nothing))
    patterns = [pattern for _any_case, pattern in found[-2:]]
    assert patterns
    for asked in {name, name + behind if refused else name}:
        assert {bool(re.search(pattern, asked, re.IGNORECASE)) for pattern in patterns} == {refused}, asked


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ("access_log off;", "access_log /var/log/nginx/campus.log;", "/var/log/nginx/campus.log"),
        ("access_log off;", "access_log off;", "off"),
        ("access_log /a.log odd;", "access_log off;", "/a.log odd"),
    ],
)
def test_the_log_of_the_portal_stays_where_only_its_redirect_had_none(host, first, second, kept):
    redirect = f"server {{ listen 80; server_name campus.test; {first} return 301 https://$host$request_uri; }}\n"
    on_nginx(host, "listen 443 ssl;", TLS, second)
    host.site("nginx", redirect, "a-redirect.conf")
    assert made(host, "https", "{{ _chamilo_https_access_log }}") == kept


@pytest.mark.parametrize(
    ("portal", "other", "address"),
    [
        ("listen 80; listen [::]:80;", "listen 8080;", "127.0.0.1"),
        ("listen 80; listen [::]:80;", "listen 127.0.0.1:80; server_name 127.0.0.1;", "192.0.2.7"),
        ("listen 80;", "listen 127.0.0.1:80; listen 192.0.2.7:80;", "192.0.2.8"),
        ("listen [::]:80;", "listen 127.0.0.1:80; listen [::1]:80;", "2001:db8::7"),
        ("listen 192.0.2.7:80;", "listen 127.0.0.1:80;", "192.0.2.7"),
        # Nothing else is known.
        ("listen 80;", "listen 127.0.0.1:80; listen 192.0.2.7:80; listen 192.0.2.8:80;", "127.0.0.1"),
    ],
)
def test_a_probe_knocks_where_the_portal_answers_and_not_a_page_for_the_host_alone(host, portal, other, address):
    on_nginx(host, portal, status=f"server {{ {other} location /status {{ stub_status; }} }}")
    trie = "".join(f"|-- {each}\n /32 host LOCAL\n" for each in ("192.0.2.7", "192.0.2.8"))
    host.write("/proc/net/fib_trie", trie)
    host.write("/proc/net/if_inet6", "20010db8000000000000000000000007 02 40 00 80 eth0\n")
    assert made(host, "headers", "{{ _chamilo_common_probe_address }}") == address


@pytest.mark.parametrize(
    ("server", "template", "served"),
    [
        ("nginx", "nginx/vhost.conf.j2", 'root "/var/www/acme";'),
        (
            "apache",
            "apache/vhost.conf.j2",
            'Alias /.well-known/acme-challenge "/var/www/acme/.well-known/acme-challenge"',
        ),
    ],
)
def test_challenges_are_answered_from_where_certbot_puts_them(host, server, template, served):
    """Until now another virtual host did that on port 80, for all names of the host."""
    host.install(server)
    host.write("/var/lib/dpkg/status", "Package: nginx\nStatus: install ok installed\nVersion: 1.22.1-9\n\n")
    host.chamilo()
    host.testbed_site(server, "plain")
    assert served not in rendered(host, "https", template)
    host.write("/etc/letsencrypt/live/campus.test/fullchain.pem", authority.issue("campus.test", days=60)[0])
    conf = "[renewalparams]\nauthenticator = webroot\nwebroot_path = /var/www/acme,\n"
    host.write("/etc/letsencrypt/renewal/campus.test.conf", conf)
    assert served in rendered(host, "https", template)


def test_apache_leaves_what_it_has_no_directory_for_below_well_known_to_the_application() -> None:
    """It takes /.well-known/oauth-protected-resource for a file .well-known with a path behind it."""
    text = (ROLES / "https/templates/apache/vhost.conf.j2").read_text(encoding="utf-8")
    (hidden,) = re.findall(r'<FilesMatch "(\^\\\..*)">', text)
    assert [name for name in (".well-known", ".env", ".well-known.bak", ".git") if not re.search(hidden, name)] == [
        ".well-known"
    ]
