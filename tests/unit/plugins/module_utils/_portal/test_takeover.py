# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._portal.discovery import discover
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.takeover import twice
from tests.vhosts import DOMAIN, cases

OTHER = {"nginx": "apache", "apache": "nginx"}
DIRECTORY = {"nginx": "/etc/nginx", "apache": "/etc/apache2"}


def takeover(host):
    site = discover("campus.test", tree=host.tree)
    assert site.problems == ()
    return site.takeover


def ready(host, server):
    host.install(server)
    host.chamilo()
    return DIRECTORY[server]


@pytest.mark.parametrize("server", ["nginx", "apache"])
@pytest.mark.parametrize("name", ["plain", "https", "wrong-docroot", "default-server"])
def test_a_virtual_host_is_replaced_by_choice(host, server, name):
    directory = ready(host, server)
    file = host.testbed_site(server, name)
    found = takeover(host)
    assert "managed" not in found.refused
    assert found.files == (file,)
    assert found.disable == (f"{directory}/sites-enabled/campus.conf",)


def test_another_site_without_a_name_in_the_same_file_is_detected(host):
    ready(host, "apache")
    host.write("/etc/hostname", "web.school.test\n")
    host.write("/etc/hosts", "127.0.1.1 web.school.test web\n")
    host.site("apache", f"{APACHE.format('', '')}<VirtualHost *:80>\nDocumentRoot /srv/other\n</VirtualHost>\n")
    assert [place.what for place in takeover(host).neighbours] == ["<VirtualHost *:80> without a name"]


@pytest.mark.parametrize("server", ["nginx", "apache"])
def test_other_sites_in_the_same_file_are_detected(host, server):
    ready(host, server)
    host.testbed_site(server, "two-servers")
    found = takeover(host)
    assert found.neighbours
    assert {place.what.split()[-1] for place in found.neighbours} == {"library.test"}


NAMELESS = {
    "nginx": "server {{\n listen 80{};\n server_name {};\n root /srv/other;\n}}\n",
    "apache": "<VirtualHost *:80{}>\n ServerAdmin root@{}\n DocumentRoot /srv/other\n</VirtualHost>\n",
}


@pytest.mark.parametrize("server", ["nginx", "apache"])
@pytest.mark.parametrize(
    ("link", "portal", "displaced"),
    [
        ("default.conf", "portal.conf", True),
        ("000-default.conf", "portal.conf", False),
        ("default.conf", "campus.conf", False),  # it was not the first one before either
        ("default.conf", "", True),
    ],
)
def test_an_unrelated_site_that_answers_for_being_first_stays_the_first(host, server, link, portal, displaced):
    ready(host, server)
    file = host.site(server, NAMELESS[server].format("", "_"), link)
    if portal:
        host.site(server, {"nginx": NGINX, "apache": APACHE}[server].format("", ""), portal)
    found = takeover(host)
    assert [place.file for place in found.neighbours] == [file] * displaced
    values = {"managed"} if portal else {"auto", "managed"}  # an owner's virtual host stays where it is
    assert set(found.refused) == (values if displaced else set())
    if displaced:
        remedy = {"nginx": "default_server", "apache": "comes before chamilo-campus_test.conf"}
        assert all(remedy[server] in text and "a file of its own" not in text for text in found.refused.values())


@pytest.mark.parametrize(("more", "name"), [(" default_server", "_"), ("", "other.test")])
def test_an_explicit_default_or_a_named_site_may_come_later(host, more, name):
    ready(host, "nginx")
    host.site("nginx", NAMELESS["nginx"].format(more, name), "default.conf")
    host.site("nginx", NGINX.format("", ""), "portal.conf")
    assert takeover(host).neighbours == ()


def test_an_unrelated_site_at_another_address_is_not_displaced(host):
    ready(host, "nginx")
    host.site("nginx", NAMELESS["nginx"].format("", "_"), "default.conf")
    host.site("nginx", NGINX.format("", "").replace("listen 80", "listen 10.0.0.5:80"), "portal.conf")
    assert takeover(host).neighbours == ()


@pytest.mark.parametrize("server", ["nginx", "apache"])
@pytest.mark.parametrize("name, redirected", [("plain", False), ("https", True)])
def test_a_redirect_to_https_is_seen(host, server, name, redirected):
    ready(host, server)
    host.testbed_site(server, name)
    assert takeover(host).redirected is redirected


NGINX = """server {{
listen 80;
server_name campus.test;
root /var/www/chamilo/public;
{}
location ~ \\.php$ {{ include snippets/fastcgi-php.conf; fastcgi_pass unix:/run/php/php8.4-fpm.sock; {} }}
}}
"""


@pytest.mark.parametrize(
    "condition, redirected",
    [("$request_uri ~ ^/moodle", False), ("$scheme = http", True), ("$host = campus.test", True)],
)
def test_visitors_of_one_address_are_not_all_that_are_sent_to_https(host, condition, redirected):
    ready(host, "nginx")
    host.site("nginx", NGINX.format(f"if ({condition}) {{ return 302 https://campus.test/; }}", ""))
    assert takeover(host).redirected is redirected


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


INCLUDE = {
    "nginx": "include /etc/nginx/sites-available/chamilo-campus_test.d/*.conf;",
    "apache": "IncludeOptional /etc/apache2/sites-available/chamilo-campus_test.d/*.conf",
}


@pytest.mark.parametrize("server", ["nginx", "apache"])
@pytest.mark.parametrize(("name", "values"), [("two-servers", {"managed"}), ("foreign-headers", set())])
def test_who_is_refused_is_reported_where_and_what_to_do(host, server, name, values):
    ready(host, server)
    file = host.testbed_site(server, name)
    found = takeover(host)
    assert set(found.refused) == values, "other sites are never taken off line"
    for text in found.refused.values():
        assert all(f"{file} line {place.line}: {place.what}" in text for place in found.neighbours)
        assert f'set chamilo_https_vhost to include and add the line "{INCLUDE[server]}" to it.' in text


def test_a_server_block_in_the_main_file_stays(host):
    ready(host, "nginx")
    text = (host.root / "etc/nginx/nginx.conf").read_text().rstrip().removesuffix("}")
    host.write("/etc/nginx/nginx.conf", text + "server {\n server_name campus.test;\n}\n}\n")
    found = takeover(host)
    assert [(place.file, place.what) for place in found.neighbours] == [("/etc/nginx/nginx.conf", "server")]
    assert found.disable == ()


def test_a_file_that_is_no_link_has_to_go_itself(host):
    ready(host, "nginx")
    host.write("/etc/nginx/conf.d/campus.conf", "server {\n server_name campus.test;\n}\n")
    found = takeover(host)
    assert "managed" not in found.refused
    assert found.disable == ("/etc/nginx/conf.d/campus.conf",)


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("include sites-enabled/*.conf;", True),
        ("include sites-enabled/*.vhost;", False),
        ("", False),  # as nginx's own makers have it
    ],
)
def test_ours_is_refused_where_it_would_not_be_read(host, line, read):
    ready(host, "nginx")
    main = (host.root / "etc/nginx/nginx.conf").read_text()
    host.write("/etc/nginx/nginx.conf", main.replace("include /etc/nginx/sites-enabled/*;", line))
    host.write("/etc/nginx/conf.d/campus.conf", NGINX.format("", ""))
    found = takeover(host)
    output = found.refused.get("managed", "")
    assert ('the line "include /etc/nginx/sites-enabled/*;" is missing' in output) is not read


@pytest.mark.parametrize("server", ["nginx", "apache"])
def test_nothing_has_to_go_where_no_site_names_the_domain(host, server):
    ready(host, server)
    host.testbed_site(server, "shop")
    found = takeover(host)
    assert (found.refused, found.files, found.disable) == ({}, (), ())


@pytest.mark.parametrize("server", ["nginx", "apache"])
def test_what_is_ours_already_needs_no_takeover(host, server):
    directory = ready(host, server)
    header = "# Managed by Ansible: chamilo.hardening, section https. Changes here are lost.\n"
    body = {"nginx": NGINX.format("gzip off;", ""), "apache": APACHE.format("Alias /x /y", "")}[server]
    host.site(server, header + body, "chamilo-campus.conf")
    site = discover("campus.test", tree=host.tree)
    assert site.serving[0].ours
    assert site.serving[0].file == f"{directory}/sites-available/chamilo-campus.conf"
    assert (site.takeover.refused, site.takeover.files) == ({}, ())


LINE = "include /etc/nginx/sites-available/chamilo-campus_test.d/*.conf;"
SERVERS = """server {{
 listen 80;
 server_name campus.test;
 {}
}}
server {{
 listen 443 ssl;
 server_name campus.test;
 {}
}}
"""
OURS = {"server_tokens": "off", "real_ip_header": "X-Forwarded-For", "real_ip_recursive": "on"}


@pytest.mark.parametrize(
    ("first", "second", "wrong"),
    [
        ("", "", []),
        ("gzip off;", "gzip off;", []),
        ("server_tokens off;", "server_tokens off;", []),
        (
            "server_tokens off; real_ip_header x-forwarded-for;",
            'server_tokens "off"; real_ip_header X-Forwarded-For;',
            [],
        ),
        ("server_tokens on;", "server_tokens off;", ["line 4: server_tokens on", "line 9: server_tokens off"]),
        ("", "server_tokens off;", ["line 9: server_tokens off"]),
        (
            "",
            "real_ip_header X-Real-IP; server_tokens off;",
            ["line 9: real_ip_header X-Real-IP", "line 9: server_tokens off"],
        ),
        (
            "real_ip_recursive off;",
            "real_ip_recursive off;",
            ["line 4: real_ip_recursive off", "line 9: real_ip_recursive off"],
        ),
    ],
)
def test_what_nginx_takes_once_is_named_where_its_owner_reports_something_else(host, first, second, wrong):
    ready(host, "nginx")
    file = host.site("nginx", SERVERS.format(first + LINE, second + LINE))
    serving = discover("campus.test", tree=host.tree).serving
    output = twice("campus.test", serving, "include", OURS)
    assert [place for place in wrong if f"{file} {place}" not in output] == []
    assert bool(output) is bool(wrong)
    assert not wrong or "Remove these lines from it: our files set " in output
    assert twice("campus.test", serving, "managed", OURS) == "", "his goes"
    assert twice("campus.test", serving, "include", {}) == "", "we say nothing"


@pytest.mark.parametrize(("desired", "asked"), [("", False), ("auto", False), ("managed", False), ("include", True)])
def test_a_virtual_host_that_ours_replaces_may_report_what_it_likes(host, desired, asked):
    ready(host, "nginx")
    host.site("nginx", SERVERS.format("server_tokens on;", "server_tokens on;"))
    output = twice("campus.test", discover("campus.test", tree=host.tree).serving, desired, OURS)
    assert ('our files set "server_tokens off;"' in output) is asked


def test_each_obstacle_in_an_owners_virtual_host_is_reported_with_its_place_and_remedy(host):
    host.install("nginx")
    host.chamilo()
    next(case for case in cases("nginx") if "hestia" in case.name).lay(host.root)
    text = discover(DOMAIN, tree=host.tree).takeover.refused["auto"]
    for file, ssl in (("campus.example.org.conf", ""), ("campus.example.org.ssl.conf", ".ssl")):
        assert (
            f"/etc/nginx/conf.d/domains/{file} line 1: HestiaCP writes this file again, and lines of ours would be lost"
            ' with it. Add the line "include /etc/nginx/sites-available/chamilo-campus_example_org.d/*.conf;" to'
            f" the file /home/school/conf/web/campus.example.org/nginx{ssl}.conf_chamilo, which HestiaCP includes and"
            " keeps."
        ) in text


def test_our_own_redirect_in_an_owners_virtual_host_is_none_of_his(host):
    ready(host, "apache")
    drop_ins = "/etc/apache2/sites-available/chamilo-campus_test.d"
    host.site(
        "apache", f"<VirtualHost *:80>\nServerName campus.test\nIncludeOptional {drop_ins}/*.conf\n</VirtualHost>\n"
    )
    rule = "RewriteEngine On\nRewriteRule ^ https://%{SERVER_NAME}%1 [R=301,L,NE]\n"
    host.write(f"{drop_ins}/https.conf", rule)
    assert takeover(host).redirected
    host.write(f"{drop_ins}/https.conf", f"# Managed by Ansible: chamilo.hardening, section https.\n{rule}")
    assert not takeover(host).redirected


def test_a_refusal_fits_on_a_screen(host):
    ready(host, "nginx")
    rules = "".join(f"location /{number} {{\n deny all;\n}}\n" for number in range(100, 140))
    host.site("nginx", f"server {{\nlisten 80;\nserver_name campus.test;\nroot /var/www/chamilo/public;\n{rules}}}\n")
    message = takeover(host).refused["managed"]
    assert message.count("line ") == 6 and "; and 34 more, named when these are solved. " in message
