# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which server blocks serve a portal, which lead to it, and what else is under its name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._webserver import beside, nginx, server_blocks
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.in_place import DesiredHost
from tests.vhosts import DOMAIN, ROOT, cases

DESIRED = DesiredHost(
    "campus", DOMAIN, frozenset({DOMAIN}), frozenset({ROOT, f"{ROOT}/public"}), "/etc/nginx/d", frozenset(), True
)


def obstacles_of(host, found: server_blocks.Found) -> list:
    return list(server_blocks.obstacles(host.tree, nginx.parse(host.tree), found))


def classified(host, text: str = "", name: str = "") -> server_blocks.Found:
    host.install("nginx")
    if text:
        host.site("nginx", text)
    for case in cases("nginx"):
        if case.name == name:
            case.lay(host.root)
    return server_blocks.classify(host.tree, nginx.parse(host.tree), DESIRED)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("return 301 https://$host$request_uri;", "redirect"),
        ("rewrite ^ https://$host$uri permanent;", "redirect"),
        ("location / { return 302 https://x/; } location /.well-known/ { root /srv/acme; }", "redirect"),
        (f"root {ROOT}/public; if ($host = a) {{ return 301 https://b; }}", "portal"),
        (f"root {ROOT}/public; rewrite ^/(.*)$ /index.php?$1;", "portal"),
        (f"root {ROOT}/public; rewrite (?P>x) https://x/ permanent;", "portal"),  # a form that only PCRE knows
        (f"root {ROOT}/public; location / {{ return 301 https://x; }} location ~ php {{ fastcgi_pass x; }}", "portal"),
        (f"location / {{ root {ROOT}/public; }}", "portal"),
        (f"root /srv/x; location /lms {{ root {ROOT}/public; }}", "portal"),
    ],
)
def test_what_only_leads_on_is_reported_from_what_serves(host, body, kind):
    found = classified(host, f"server {{ listen 80; server_name {DOMAIN}; {body} }}")
    assert (len(found.portal), len(found.redirect)) == {"portal": (1, 0), "redirect": (0, 1)}[kind]
    assert obstacles_of(host, found) == []


TOUCHBASE = "/var/www/chamilo/public/plugin/touchbase/public"


@pytest.mark.parametrize(
    ("name", "program"),
    [
        ("n07-chamilo-touchbase-production", ("/touchbase", f"PHP in {TOUCHBASE}", TOUCHBASE)),
        ("n29-phpmyadmin-beside", ("/phpmyadmin", "PHP in /usr/share", "/usr/share/phpmyadmin")),
        ("n43-onlyoffice-beside", ("/ds-vpath/", "handed on by proxy_pass", "")),
        ("n01-chamilo111-guide-rewrites", None),
    ],
)
def test_other_programs_under_the_name(host, name, program):
    found = [
        program for one in classified(host, name=name).portal for program in beside.nginx_programs(one, DESIRED.roots)
    ]
    assert [(one.path, one.what, one.directory) for one in found] == ([program] if program else [])


def test_the_default_server_answers_for_the_names_that_no_other_has(host):
    host.install("nginx")
    host.site(
        "nginx",
        f"server {{ listen 80 default_server; root {ROOT}/public; }}\n"
        f"server {{ listen 80; server_name old.school.test; root {ROOT}/public; }}\n",
    )
    desired = replace(DESIRED, names=frozenset({DOMAIN, "old.school.test"}))
    found = server_blocks.classify(host.tree, nginx.parse(host.tree), desired)
    assert [found.unnamed(server) for server in found.portal] == [[DOMAIN], []]
    assert [found.names(server) for server in found.portal] == [[DOMAIN], ["old.school.test"]]
