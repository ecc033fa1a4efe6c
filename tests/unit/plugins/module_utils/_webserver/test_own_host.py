# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual host that this collection writes: where it does, and what it keeps of an owner's."""

from __future__ import annotations

import re

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovery import discover
from ansible_collections.chamilo.hardening.plugins.module_utils._application.virtual_hosts import Planned
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _answers
from tests.vhosts import DOMAIN, cases

DIRECTORY = {"nginx": "/etc/nginx", "apache": "/etc/apache2"}
HEADER = "# Managed by Ansible: chamilo.hardening, section https. Changes here are lost.\n"
NGINX = """server {{
listen 80;
server_name campus.test;
root /var/www/chamilo/public;
{}
location ~ \\.php$ {{ include snippets/fastcgi-php.conf; fastcgi_pass unix:/run/php/php8.4-fpm.sock; {} }}
}}
"""


APACHE = """<VirtualHost *:80>
ServerName campus.test
DocumentRoot /var/www/chamilo/public
{}
<Directory /var/www/chamilo/public>
Require all granted
{}
</Directory>
</VirtualHost>
"""
NAMELESS = {
    "nginx": "server {{\n listen 80{};\n server_name {};\n root /srv/other;\n}}\n",
    "apache": "<VirtualHost *:80{}>\n ServerAdmin root@{}\n DocumentRoot /srv/other\n</VirtualHost>\n",
}


def found(host):
    site = discover("campus.test", tree=host.tree, hosted=Planned())
    assert site.problems == ()
    return site


def ready(host, server):
    host.install(server)
    host.chamilo()
    return DIRECTORY[server]


# -------------------------------------------------------------------------------------------- where it is written


@pytest.mark.parametrize("server", ["nginx", "apache"])
@pytest.mark.parametrize("name", ["plain", "https", "default-server", "two-servers", "foreign-headers"])
def test_an_owners_virtual_host_is_in_the_way_of_one_of_ours_and_of_nothing_else(host, server, name):
    ready(host, server)
    file = host.testbed_site(server, name)
    refused = found(host).own_host.refused
    assert set(refused) == {"managed"}
    assert refused["managed"].startswith(f"campus.test has a virtual host of its owner's: {file} line ")
    assert "Leave chamilo_https_vhost out" in refused["managed"] and "remove it" in refused["managed"]


@pytest.mark.parametrize("server", ["nginx", "apache"])
def test_it_is_written_where_no_virtual_host_serves_the_portal(host, server):
    ready(host, server)
    host.testbed_site(server, "shop")
    assert found(host).own_host.refused == {}


@pytest.mark.parametrize("server", ["nginx", "apache"])
def test_one_of_ours_stays_ours(host, server):
    """Also one that an earlier version wrote in place of its owner's."""
    directory = ready(host, server)
    body = {"nginx": NGINX.format("gzip off;", ""), "apache": APACHE.format("Alias /x /y", "")}[server]
    host.site(server, HEADER + body, "chamilo-campus.conf")
    site = found(host)
    assert site.serving[0].ours
    assert site.serving[0].file == f"{directory}/sites-available/chamilo-campus.conf"
    assert site.own_host.refused == {} and site.in_place.blocks == ()


@pytest.mark.parametrize("server", ["nginx", "apache"])
@pytest.mark.parametrize(
    ("link", "displaced"),
    [("default.conf", True), ("000-default.conf", False)],
)
def test_an_unrelated_site_that_answers_for_being_first_stays_the_first(host, server, link, displaced):
    ready(host, server)
    file = host.site(server, NAMELESS[server].format("", "_"), link)
    refused = found(host).own_host.refused
    assert set(refused) == ({"auto", "managed"} if displaced else set())
    remedy = {"nginx": "default_server", "apache": "comes before chamilo-campus_test.conf"}[server]
    assert all(f"{file} line 1: " in text and remedy in text for text in refused.values())


@pytest.mark.parametrize(("more", "name"), [(" default_server", "_"), ("", "other.test")])
def test_an_explicit_default_or_a_named_site_may_come_later(host, more, name):
    ready(host, "nginx")
    host.site("nginx", NAMELESS["nginx"].format(more, name), "default.conf")
    assert found(host).own_host.refused == {}


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("include sites-enabled/*.conf;", True),
        ("include sites-enabled/*.vhost;", False),
        ("", False),  # as nginx's own makers have it
    ],
)
def test_it_is_refused_where_it_would_not_be_read(host, line, read):
    ready(host, "nginx")
    main = (host.root / "etc/nginx/nginx.conf").read_text()
    host.write("/etc/nginx/nginx.conf", main.replace("include /etc/nginx/sites-enabled/*;", line))
    refused = found(host).own_host.refused
    assert set(refused) == (set() if read else {"auto", "managed"})
    assert all('the line "include /etc/nginx/sites-enabled/*;" is missing' in text for text in refused.values())


def test_a_refusal_fits_on_a_screen(host):
    ready(host, "nginx")
    for number in range(40):
        host.site(
            "nginx", NAMELESS["nginx"].replace("listen 80", f"listen 10.0.0.{number}:80").format("", "_"), f"x{number}"
        )
    host.site(
        "nginx",
        "".join(f"server {{\nlisten 10.0.0.{number}:80;\nserver_name campus.test;\n}}\n" for number in range(40)),
    )
    message = found(host).own_host.refused["managed"]
    assert message.count(" line ") == 6 and "; and 34 more, named when these are solved. " in message


# -------------------------------------------------------------------------------------------- what it keeps


KEPT = {
    "apache": (
        'php_value memory_limit "256M"\nProxyTimeout 600\nCustomLog /var/log/one combined\n'
        "CustomLog /var/log/two own\nLogFormat %h own\nCustomLog /var/log/sch\u00fcler own",
        ['php_value memory_limit "256M"', "ProxyTimeout 600", "CustomLog /var/log/two own", "LogFormat %h own"],
        [],
    ),
    "nginx": (
        "access_log /var/log/one;\naccess_log /var/log/two;\nfastcgi_read_timeout 600;\ngzip off;\n"
        "access_log '/x {{% y';",
        ["access_log /var/log/two", "fastcgi_read_timeout 600"],
        [r'fastcgi_param PHP_VALUE "memory_limit=1G \n post_max_size=2G"'],
    ),
}


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("server", ["nginx", "apache"])
def test_lines_of_an_owner_that_an_earlier_version_wrote_into_ours_stay(host, server, ours):
    ready(host, server)
    if server == "apache":
        host.write(
            "/etc/apache2/mods-enabled/php8.4.load", "LoadModule php_module /usr/lib/apache2/modules/libphp.so\n"
        )
    lines, kept, php = KEPT[server]
    text = {"nginx": NGINX, "apache": APACHE}[server].format(lines, "".join(f"{line};" for line in php))
    host.site(server, HEADER * ours + text, "chamilo-campus_test.conf")
    own = found(host).own_host
    assert (list(own.kept), list(own.kept_php)) == ((kept, php) if ours else ([], []))
    assert all(re.fullmatch(_answers.LINE, line) for line in (*own.kept, *own.kept_php))


# -------------------------------------------------------------------------------------------- an owner's redirect


@pytest.mark.parametrize("server", ["nginx", "apache"])
@pytest.mark.parametrize("name, redirected", [("plain", False), ("https", True)])
def test_a_redirect_to_https_is_seen(host, server, name, redirected):
    ready(host, server)
    host.testbed_site(server, name)
    assert found(host).redirected is redirected


@pytest.mark.parametrize(
    "condition, redirected",
    [("$request_uri ~ ^/moodle", False), ("$scheme = http", True), ("$host = campus.test", True)],
)
def test_visitors_of_one_address_are_not_all_that_are_sent_to_https(host, condition, redirected):
    ready(host, "nginx")
    host.site("nginx", NGINX.format(f"if ({condition}) {{ return 302 https://campus.test/; }}", ""))
    assert found(host).redirected is redirected


def test_our_own_redirect_in_an_owners_virtual_host_is_none_of_his(host):
    ready(host, "apache")
    drop_ins = "/etc/apache2/sites-available/chamilo-campus_test.d"
    host.site(
        "apache", f"<VirtualHost *:80>\nServerName campus.test\nIncludeOptional {drop_ins}/*.conf\n</VirtualHost>\n"
    )
    rule = "RewriteEngine On\nRewriteRule ^ https://%{SERVER_NAME}%1 [R=301,L,NE]\n"
    host.write(f"{drop_ins}/https.conf", rule)
    assert found(host).redirected
    host.write(f"{drop_ins}/https.conf", f"# Managed by Ansible: chamilo.hardening, section https.\n{rule}")
    assert not found(host).redirected


def test_each_obstacle_in_an_owners_virtual_host_is_reported_with_its_place_and_remedy(host):
    host.install("nginx")
    host.chamilo()
    next(case for case in cases("nginx") if "hestia" in case.name).lay(host.root)
    text = discover(DOMAIN, tree=host.tree, hosted=Planned()).own_host.refused["auto"]
    for file, ssl in (("campus.example.org.conf", ""), ("campus.example.org.ssl.conf", ".ssl")):
        assert (
            f"/etc/nginx/conf.d/domains/{file} line 1: HestiaCP writes this file again, and lines of ours would be lost"
            ' with it. Add the line "include /etc/nginx/sites-available/chamilo-campus_example_org.d/*.conf;" to'
            f" a file nginx{ssl}.conf_chamilo in /home/USER/conf/web/campus.example.org, which HestiaCP includes and"
            " keeps."
        ) in text
