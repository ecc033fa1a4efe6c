# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the virtual host of a portal contains: made from the one that serves it now."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._php.php import Php
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.configuration import Listen, WebServer
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.planned import OwnHost
from ansible_collections.chamilo.hardening.plugins.plugin_utils._plans.certificate import Certificate
from ansible_collections.chamilo.hardening.plugins.plugin_utils._plans.portal import Portal
from ansible_collections.chamilo.hardening.plugins.plugin_utils._plans.vhost import VirtualHost
from tests.tools.plans import answered, discovered, variables, virtual_host

TLS_LISTEN = Listen("*", 443, tls=True)
TLS_OF_OURS = ["/etc/nginx/sites-available/chamilo-%s.d/*.conf", "/etc/nginx/sites-available/chamilo-%s.d/tls/*.conf"]
PORTAL = """server {{
{}
server_name campus.test;
root /var/www/chamilo/public;
location / {{ try_files $uri /index.php$is_args$args; }}
location ~ \\.php$ {{ include snippets/fastcgi-php.conf; fastcgi_pass unix:/run/php/php8.4-fpm.sock; }}
}}
"""
TLS = "ssl_certificate /etc/ssl/c.pem; ssl_certificate_key /etc/ssl/k.pem;"


def made(site: dict[str, Any], **given: Any) -> VirtualHost:
    found = Site("campus.test", **{"web": WebServer("nginx", "1.26.3"), **site})
    known = {
        "chamilo_domain": "campus.test",
        "chamilo_site": "campus_test",
        "chamilo_https_certificate": "auto",
        "chamilo_https_terminated_elsewhere": False,
        "chamilo_https_vhost": "auto",
        "__chamilo_common_info": answered(found),
        **given,
    }
    portal = Portal(known)
    return VirtualHost(portal, Certificate(portal, known, policy=True))


def on(host: Any, **given: Any) -> VirtualHost:
    """As discovery observes a host."""
    known = variables(host, "https", **given)
    known["chamilo_domain"], known["chamilo_site"] = "campus.test", "campus_test"
    portal = Portal(known)
    return VirtualHost(portal, Certificate(portal, known, policy=True))


def on_nginx(host: Any, *lines: str, **others: str) -> None:
    """A host with the portal, and with other sites by the names of their files."""
    host.install("nginx")
    host.write("/var/lib/dpkg/status", "Package: nginx\nStatus: install ok installed\nVersion: 1.22.1-9\n\n")
    host.chamilo()
    host.site("nginx", PORTAL.format("\n".join(lines)))
    for name, text in others.items():
        host.site("nginx", text, f"{name}.conf")


@pytest.mark.parametrize(
    ("managed", "first", "more", "open_to_others"),
    [
        (False, "campus", [], False),
        (False, "campus", [("www.campus.test", "campus")], False),
        (False, "campus", [("library.test", "library")], False),
        (False, "campus", [("shop.test", "")], True),
        (False, "", [("www.campus.test", "campus")], True),
        (True, "", [("shop.test", "")], True),
        (True, "campus", [("library.test", "library")], False),
    ],
)
def test_a_site_with_our_https_files_is_not_unrelated(managed, first, more, open_to_others):
    """Without an unrelated site, names that the host has no site for are refused, and go on being refused."""
    hosts = tuple(
        virtual_host(
            TLS_LISTEN,
            names=(name,),
            includes=tuple(path % site for path in TLS_OF_OURS) if site else ("snippets/ssl.conf",),
        )
        for name, site in [("campus.test", first), *more]
    )
    given = {"chamilo_https_vhost": "managed" if managed else "include"}
    found = made({"virtual_hosts": hosts, "serving": hosts[:1]}, **given)
    assert bool(found.unrelated) is open_to_others


@pytest.mark.parametrize(
    ("name", "host", "matches"),
    [
        ("shop.test", "shop.test", True),
        ("shop.test", "shopxtest", False),
        ("shop.test", "a.shop.test", False),
        (".shop.test", "a.shop.test", True),
        (".shop.test", "shop.test", True),
        (".shop.test", "workshop.test", False),
        ("*.shop.test", "a.shop.test", True),
        ("*.shop.test", "shop.test", False),
        ("shop.?", "shop.de", True),
        (r"~^x\d$", "x1", True),
    ],
)
def test_an_unrelated_site_keeps_its_names(name, host, matches):
    other = virtual_host(TLS_LISTEN, names=(name,))
    (pattern,) = made({"virtual_hosts": (other,)}, chamilo_https_vhost="managed").neighbours
    assert bool(re.search(pattern, host)) is matches


@pytest.mark.parametrize(
    ("file", "ports", "left_out"),
    [
        ("/etc/nginx/sites-available/www", [80, 443], True),
        ("/etc/nginx/sites-available/www", [80], False),
        ("/etc/nginx/sites-available/www", [443], False),
    ],
    ids=["stays", "stays by http alone", "stays by https alone"],
)
def test_a_name_that_another_virtual_host_keeps_is_not_written_twice(file, ports, left_out):
    site = {
        "portal_names": ("campus.test", "www.campus.test", "library.test"),
        "virtual_hosts": tuple(
            virtual_host(Listen("*", port, port == 443), names=("www.campus.test",), file=file) for port in ports
        ),
    }
    assert made(site).names == ["campus.test", *([] if left_out else ["www.campus.test"]), "library.test"]


@pytest.mark.parametrize("own", [False, True])
def test_nginx_takes_a_limit_once_in_each_server_block_of_the_portal(own):
    """Our files are included by all of them, also by those that answer to another name than the domain."""
    quiet, answering = virtual_host(), virtual_host(patience_own=own)
    site = {"php": Php(time_limit=300), "serving": (quiet,), "answering": (quiet, answering)}
    assert made(site, chamilo_https_vhost="include").impatient is not own


@pytest.mark.parametrize(
    ("web", "waits", "limit", "impatient"),
    [
        ("nginx", [], 60, True),
        ("nginx", [], 30, False),
        ("apache", [], 300, True),
        ("apache", [], 270, False),
        ("nginx", [4000], 0, False),
        ("nginx", [4000, 3000], 0, True),
    ],
)
def test_what_waits_for_php_waits_longer_than_a_script_may_take(web, waits, limit, impatient):
    hosts = tuple(virtual_host(patience=one) for one in waits)
    site = {"php": Php(time_limit=limit), "serving": hosts, "answering": hosts, "web": WebServer(web)}
    assert made(site, chamilo_https_vhost="managed").impatient is impatient


@pytest.mark.parametrize(
    ("limit", "kept"), [(30, ["fastcgi_read_timeout 600", "access_log /x"]), (300, ["access_log /x"])]
)
def test_nginx_is_given_one_limit_for_how_long_it_waits(limit, kept):
    own_host = OwnHost(kept=("fastcgi_read_timeout 600", "access_log /x"))
    assert made({"php": Php(time_limit=limit), "own_host": own_host}, chamilo_https_vhost="managed").kept == kept


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
    found = on(host, chamilo_https_vhost="managed")
    assert found.plain_listens + found.tls_listens == kept


@pytest.mark.parametrize(
    ("version", "now", "directive", "listen"),
    [
        ("1.22.1-9", True, False, "443 ssl http2"),
        ("1.22.1-9", False, False, "443 ssl"),
        ("1.26.3", True, True, "443 ssl"),
        ("", True, False, "443 ssl http2"),
    ],
)
def test_http2_belonged_to_the_address_before_nginx_1_25_1(version, now, directive, listen):
    serving = (virtual_host(replace(TLS_LISTEN, http2=now)),)
    found = made({"serving": serving, "web": WebServer("nginx", version)})
    assert (found.http2_directive, found.tls_listens) == (directive, [listen])


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
    assert on(host).portal.site.own_host.access_log == kept


def test_while_nothing_names_the_portal_it_keeps_the_logs_of_the_site_that_serves_it(host):
    """Else the second run, which finds a virtual host of its name, would change them."""
    host.install("nginx")
    host.chamilo()
    logs = "access_log /var/log/nginx/all.log; error_log /var/log/nginx/all.err;"
    host.site("nginx", PORTAL.format(f"listen 80 default_server; {logs}").replace("campus.test", "_"))
    own = on(host).portal.site.own_host
    assert (own.access_log, own.error_log) == ("/var/log/nginx/all.log", "/var/log/nginx/all.err")


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
    assert on(host).portal.probe_address == address


def test_a_portal_without_a_virtual_host_listens_on_every_address(host):
    found = made({"addresses": ("192.0.2.7", "2001:db8::7")})
    assert (found.plain_listens, found.tls_listens) == (["80", "[::]:80"], ["443 ssl", "[::]:443 ssl"])
    assert found.refusal_listens == ["443 ssl default_server", "[::]:443 ssl default_server"]
    on_nginx(host, "listen 192.0.2.7:80;")
    assert discovered(host)["serving"] and on(host).tls_listens == ["192.0.2.7:443 ssl"]
