# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which names a portal has, wherever they are written."""

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovery import discover
from ansible_collections.chamilo.hardening.plugins.module_utils._application.portal_reader import PortalReader
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver import names
from tests.testbed import authority

CAMPUS = "campus.test"
ROOT = "/var/www/chamilo/public"


@pytest.mark.parametrize(
    ("declared", "virtual_hosts", "access_urls", "found"),
    [
        ([], [], [], [CAMPUS]),
        ([], ["www.campus.test", CAMPUS], [], [CAMPUS, "www.campus.test"]),
        (["Learn.Campus.test"], [], ["library.test"], [CAMPUS, "learn.campus.test", "library.test"]),
        (["!www.campus.test"], ["www.campus.test"], ["library.test"], [CAMPUS, "library.test"]),
        ([], [".campus.test"], [], [CAMPUS, "*.campus.test"]),
        (["!*.campus.test"], [".campus.test"], [], [CAMPUS]),
        (
            [],
            ["campus.*", "~^(www\\.)?campus\\.test$", "*campus.test"],
            ["10.0.0.1", "\x1b[31m.x", "localhost"],
            [CAMPUS],
        ),
    ],
)
def test_all_names_each_once_and_the_domain_first(declared, virtual_hosts, access_urls, found):
    assert list(names.portal_names(CAMPUS, declared, virtual_hosts, access_urls)) == found


def test_a_portal_that_is_known_by_its_directory_alone_has_no_empty_name():
    assert names.portal_names("", (), ("campus.test",), ()) == ("campus.test",)


SERVING = f"server {{ listen 80; server_name campus.test www.campus.test; root {ROOT}; }}\n"
NGINX = [
    ("return 301 https://campus.test$request_uri;", True),
    ("return 301 $scheme://campus.test$request_uri;", False),
    ("return 301 https://shop.test/;", False),
    ("rewrite ^/(.*)$ https://campus.test/$1 permanent;", True),
    ("location / { return 301 https://campus.test$request_uri; }", True),
    ("if ($host = x.test) { return 301 https://campus.test/; }", False),
]


@pytest.mark.parametrize(("line", "ours"), NGINX)
def test_a_virtual_host_that_only_leads_to_the_portal_gives_it_a_name_nginx(host, line, ours):
    host.install("nginx")
    host.chamilo()
    host.site("nginx", f"{SERVING}server {{ listen 80; server_name old.test; {line} }}\n")
    found = discover(CAMPUS, tree=host.tree)
    assert found.names == (CAMPUS, "www.campus.test")
    assert found.portal_names == (CAMPUS, "www.campus.test", *(["old.test"] if ours else []))


APACHE = [
    ("Redirect permanent / https://campus.test/", True),
    ("RedirectMatch 301 ^/(.*)$ https://campus.test/$1", True),
    ("Redirect permanent /lms https://campus.test/", False),
    ("RewriteEngine On\nRewriteRule ^ https://campus.test%{REQUEST_URI} [R=301,L]", True),
    ("RewriteCond %{HTTP_HOST} =x.test\nRewriteRule ^ https://campus.test/ [R=301,L]", False),
    ("RewriteRule ^ https://%{SERVER_NAME}%{REQUEST_URI} [R=301,L]", False),
]


@pytest.mark.parametrize(("lines", "ours"), APACHE)
def test_a_virtual_host_that_only_leads_to_the_portal_gives_it_a_name_apache(host, lines, ours):
    host.install("apache")
    host.chamilo()
    serving = (
        f"<VirtualHost *:80>\nServerName {CAMPUS}\nServerAlias www.campus.test\nDocumentRoot {ROOT}\n</VirtualHost>\n"
    )
    host.site("apache", f"{serving}<VirtualHost *:80>\nServerName old.test\n{lines}\n</VirtualHost>\n")
    found = discover(CAMPUS, tree=host.tree)
    assert found.portal_names == (CAMPUS, "www.campus.test", *(["old.test"] if ours else []))


def test_the_applications_own_addresses_are_names_as_well(host, monkeypatch):
    host.install("nginx")
    host.chamilo()
    host.site("nginx", SERVING)
    urls = ["library.test", "10.0.0.1", CAMPUS, "localhost", "*.shop.test", "\x1b[31m.x"]
    monkeypatch.setattr(
        PortalReader,
        "of",
        lambda _where: type(
            "Fake", (), {"hosts": lambda _self: urls, "plugins": lambda _self: [], "two_factor": lambda _self: False}
        )(),
    )
    found = discover(CAMPUS, tree=host.tree, names=["!www.campus.test"])
    assert found.access_urls == ("library.test", CAMPUS)
    assert found.portal_names == (CAMPUS, "library.test")
    assert discover(CAMPUS, tree=host.tree).access_urls == (), "not asked"


OTHERS = {
    "nginx": (
        SERVING + "server {{ listen 8080; server_name campus.test; root {root}; }}\n"
        "server {{ listen 80; server_name shop.test; root /srv/shop; }}\n"
        "server {{ listen 80; server_name *.shop.test; location / {{ proxy_pass http://127.0.0.1:3000; }} }}\n"
        "server {{ listen 80; server_name my.test; return 301 https://shop.test/; }}\n"
        "server {{ listen 80; server_name go.test; return 301 https://elsewhere.test/; }}\n"
        "server {{ listen 80; server_name old.test; return 301 https://campus.test/; }}\n"
        "server {{ listen 80; server_name fast.test; location / {{ proxy_pass http://127.0.0.1:8080; }} }}\n"
    ),
    "apache": (
        "<VirtualHost *:80 *:8080>\nServerName campus.test\nDocumentRoot {root}\n</VirtualHost>\n"
        "<VirtualHost *:80>\nServerName shop.test\nServerAlias *.shop.test\nDocumentRoot /srv/shop\n</VirtualHost>\n"
        "<VirtualHost *:80>\nServerName my.test\nRedirect / https://shop.test/\n</VirtualHost>\n"
        "<VirtualHost *:80>\nServerName go.test\nRedirect / https://elsewhere.test/\n</VirtualHost>\n"
        "<VirtualHost *:80>\nServerName old.test\nRedirect permanent / https://campus.test/\n</VirtualHost>\n"
        "<VirtualHost *:80>\nServerName fast.test\nProxyPass / http://127.0.0.1:8080/\n</VirtualHost>\n"
    ),
}


@pytest.mark.parametrize("web_server", OTHERS)
def test_an_access_url_takes_no_name_of_another_site(host, monkeypatch, web_server):
    """Who took over the application may write any address into its database."""
    host.install(web_server)
    host.chamilo()
    host.site(web_server, OTHERS[web_server].replace("{{", "{").replace("}}", "}").replace("{root}", ROOT))
    urls = ["shop.test", "www.shop.test", "my.test", "old.test", "fast.test", "elsewhere.test"]
    monkeypatch.setattr(
        PortalReader,
        "of",
        lambda _where: type(
            "Fake", (), {"hosts": lambda _self: urls, "plugins": lambda _self: [], "two_factor": lambda _self: False}
        )(),
    )
    found = discover(CAMPUS, tree=host.tree, names=[])
    assert found.access_urls == tuple(urls)
    assert {*found.portal_names} == {CAMPUS, "www.campus.test", "old.test", "fast.test", "elsewhere.test"} - (
        {"www.campus.test"} if web_server == "apache" else set()
    )
    assert "/srv/shop" not in str(found.in_place)
    declared = discover(CAMPUS, tree=host.tree, names=["shop.test"])
    assert "shop.test" in declared.portal_names, "its administrator says so"


@pytest.mark.parametrize(
    ("certified", "lacks"),
    [
        ([CAMPUS], ("library.test", "www.campus.test")),
        ([CAMPUS, "*.campus.test"], ("library.test",)),
        ([CAMPUS, "www.campus.test", "library.test", "shop.test"], ()),
        (["shop.test"], (CAMPUS, "library.test", "www.campus.test")),
    ],
)
def test_which_names_a_certificate_lacks_is_known(host, certified, lacks):
    host.install("nginx")
    host.chamilo()
    host.write("/etc/ssl/x.pem", authority.issue(*certified)[0])
    tls = "listen 443 ssl; ssl_certificate /etc/ssl/x.pem; ssl_certificate_key /etc/ssl/x.key;"
    host.site("nginx", SERVING.replace("listen 80;", tls))
    found = discover(CAMPUS, tree=host.tree, names=["library.test"])
    assert (set(found.served.names), found.served.lacks) == ({*certified}, lacks)
    assert found.served.good is (CAMPUS in certified)
    assert found.lineage.lacks == found.self_signed.lacks == found.portal_names
