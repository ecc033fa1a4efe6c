# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.tree import Place
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver import apache
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.configuration import Listen

CAMPUS = "/etc/apache2/sites-available/campus.conf"


def vhost(lines="", address="*:80"):
    return f"<VirtualHost {address}>\n{lines}\n</VirtualHost>\n"


def servers(host, text):
    host.install("apache")
    (host.root / "etc/apache2/sites-available/000-default.conf").unlink()
    host.site("apache", text)
    configuration = apache.parse(host.tree, "2.4.71")
    assert configuration.problems == []
    return apache.servers(configuration)


def test_debians_own_configuration(host):
    host.install("apache")
    host.link("/etc/apache2/sites-enabled/000-default.conf", "../sites-available/000-default.conf")
    configuration = apache.parse(host.tree, "2.4.71")
    assert configuration.problems == []
    assert {"mpm_event", "rewrite", "core", "proxy_fcgi"} <= set(configuration.modules)
    assert "ssl" not in configuration.modules
    assert apache.listening(configuration) == [Listen("*", 80, False)]
    assert next(item.arguments for item in configuration.directives if item.name == "user") == ("www-data",)
    (server,) = apache.servers(configuration)
    assert server.host.root == "/var/www/html"
    assert server.host.names == ()
    assert server.host.access_log == "${APACHE_LOG_DIR}/access.log combined"
    assert server.host.access_log_file == "/var/log/apache2/access.log"
    assert server.host.error_log == "${APACHE_LOG_DIR}/error.log"
    assert server.host.php == "unix:/run/php/php8.4-fpm.sock"


def rooted(name, address="*:80"):
    return vhost(f"ServerName {name}.test\nDocumentRoot /srv/{name}", address)


# What Apache 2.4.71 itself answered to these names with this configuration.
CHOICE = (
    r"""Define DOMAIN one.test
<IfDefine DOMAIN>
  Define SHORT ${DOMAIN}
</IfDefine>
<IfModule !mod_nothere.c>
<VirtualHost *:80>
  servername http://First.test:80
  DocumentRoot /srv/first
</VirtualHost>
</IfModule>
<VIRTUALHOST *:80>
  ServerName ${SHORT}
  ServerAlias www.${SHORT} \
     *.wild.test \
     "quoted.test"
  DocumentRoot /srv/one
  # a comment goes on \
  ServerAlias notme.test
</VirtualHost>
"""
    + f"<IfModule mod_nothere.c>\n<IfModule mod_alias.c>\n{rooted('never')}</IfModule>\n</IfModule>\n"
    + vhost("ServerName exact.wild.test\nDocumentRoot /srv/wild")
    + vhost('ServerName two.test\nServerName two-again.test\nDocumentRoot "/srv/two/"', "*:80 *:8080")
    + rooted("any", "*")
    + rooted("local", "127.0.0.1:80")
    + f"Listen 8080\nListen 8081\n<IfModule mpm_event_module>\n{rooted('eight', '*:8080')}</IfModule>\n"
    + f"<IfVersion >= 2.4.7>\n{rooted('nine', '*:8080')}</IfVersion>\n"
    + f"<IfFile /etc/apache2/ports.conf>\n{rooted('ten', '*:8080')}</IfFile>\n"
)


@pytest.mark.parametrize(
    "port, name, answer",
    [
        (80, "first.test", "first"),
        (80, "one.test", "one"),
        (80, "WWW.one.test", "one"),
        (80, "a.wild.test", "one"),
        (80, "exact.wild.test", "one"),
        (80, "notme.test", None),
        (80, "two-again.test", "two"),
        (80, "any.test", None),
        (80, "never.test", None),
        (8080, "two-again.test", "two"),
        (8080, "eight.test", "eight"),
        (8080, "nine.test", "nine"),
        (8081, "any.test", "any"),
    ],
)
def test_the_virtual_host_that_answers_is_the_one_apache_takes(host, port, name, answer):
    named, default = apache.answering(servers(host, CHOICE), name)

    def roots(hosts):
        return [server.host.root for server in hosts if Listen("*", port, False) in server.host.listens]

    assert roots(named) == ([f"/srv/{answer}"] if answer else [])
    if answer is None:
        assert roots(default) == ["/srv/first"]


@pytest.mark.parametrize(
    ("hostname", "hosts", "global_name", "names"),
    [
        ("web", "127.0.0.1 localhost\n127.0.1.1 web.school.test web # ours\n", "", ("web.school.test",)),
        ("Web.school.test", "127.0.0.1 localhost\n", "", ("web.school.test",)),
        ("web", "127.0.1.1 web.school.test web\n", "ServerName http://Campus.test:80\n", ("campus.test",)),
        # Apache takes an address for its name then.
        ("web", "127.0.0.1 localhost web\n", "", ()),
        ("web", "# 127.0.1.1 web.school.test web\n", "", ()),
    ],
)
def test_a_virtual_host_without_a_name_has_that_of_the_server(host, hostname, hosts, global_name, names):
    host.write("/etc/hostname", f"{hostname}\n")
    host.write("/etc/hosts", hosts)
    blocks = vhost("ServerAlias alias.test"), vhost("", "192.0.2.7:80"), vhost("ServerName own.test", "_default_:80")
    found = [server.host.names for server in servers(host, global_name + "".join(blocks))]
    assert found == [(*names, "alias.test"), (), ("own.test",)]


def test_lines_and_files_survive_conditions_and_continuations(host):
    one = next(server for server in servers(host, CHOICE) if "one.test" in server.host.names)
    assert (one.host.file, one.host.line) == (CAMPUS, 11)
    assert one.host.names == ("one.test", "www.one.test", "*.wild.test", "quoted.test")
    assert one.block.block[2].place == Place(CAMPUS, 16, "DocumentRoot /srv/one")


def test_what_stands_in_a_virtual_host_and_around_it_counts(host):
    (server,) = servers(
        host,
        """Protocols h2 http/1.1
<VirtualHost *:443 [2001:db8::1]:443>
  ServerName campus.test
  SSLEngine on
  SSLCertificateFile /c.pem
  SSLCertificateKeyFile /k.pem
  LimitRequestBody 1000
  ProxyTimeout 90
  IncludeOptional mine/*.conf
  CustomLog /var/log/campus.log combined env=!quiet
  ProxyPassMatch ^/(.*\\.php)$ fcgi://127.0.0.1:9000/srv/$1
</VirtualHost>
""",
    )
    assert server.host.listens == (
        Listen("*", 443, True, http2=True),
        Listen("[2001:db8::1]", 443, True, http2=True),
    )
    assert (server.host.certificate, server.host.certificate_key) == ("/c.pem", "/k.pem")
    assert server.host.body_limit == 1000
    assert (server.host.patience, server.host.patience_own) == (90, True)
    assert server.host.includes == ("mine/*.conf",)
    assert server.host.access_log == "/var/log/campus.log combined env=!quiet"
    assert server.host.php == "127.0.0.1:9000"
    assert server.host.enabled_by == "/etc/apache2/sites-enabled/campus.conf"


def test_how_long_all_virtual_hosts_wait_and_what_we_report_does_not_count(host):
    ours = "# Managed by Ansible: chamilo.hardening, section https.\nProxyTimeout 150\n"
    host.write("/etc/apache2/mine/x.conf", ours)
    found = servers(host, "Timeout 20\n" + vhost("Include mine/x.conf") + vhost("Timeout 400"))
    assert [(one.host.patience, one.host.patience_own) for one in found] == [(20, False), (400, True)]


@pytest.mark.parametrize(
    "text, problem",
    [
        ("<VirtualHost *:80>", f"Apache: {CAMPUS}:1: <virtualhost> is never closed."),
        ("<Macro site $name>\nServerName $name\n", f"Apache: {CAMPUS}:1: <macro> is never closed."),
        ("\n</Directory>", f"Apache: {CAMPUS}:2: unexpected </Directory>."),
        ("Use Site campus", f'Apache: {CAMPUS}:1: the macro in "Use Site campus" is not followed.'),
        (
            "<Macro Site $a>\nServerName $a\n</Macro>\nUse Site one two",
            f'Apache: {CAMPUS}:4: the macro in "Use Site one two" is not followed.',
        ),
        (
            "<Macro Site $a>\nServerName $a\n</Macro>\nUse Site",
            f'Apache: {CAMPUS}:4: the macro in "Use Site" is not followed.',
        ),
        ("Include missing.conf", "Apache: /etc/apache2/missing.conf cannot be read: No such file or directory."),
        ("Include sites-enabled", "Apache: /etc/apache2/sites-enabled/campus.conf is included from itself."),
    ],
)
def test_what_cannot_be_read_is_a_problem(host, text, problem):
    host.install("apache")
    host.site("apache", text)
    assert apache.parse(host.tree).problems == ([problem] if problem else [])


def test_mod_php(host):
    host.install("apache")
    (host.root / "etc/apache2/conf-enabled/php8.4-fpm.conf").unlink()
    host.write("/etc/apache2/mods-enabled/php8.4.load", "LoadModule php_module /usr/lib/apache2/modules/libphp8.4.so\n")
    host.site("apache", f"<IfModule mod_php.c>\n{vhost()}</IfModule>\n")
    (server,) = apache.servers(apache.parse(host.tree))
    assert server.host.php == "mod_php"


def test_what_php_is_given(host):
    (server,) = servers(host, vhost("SetEnv APP_ENV prod"))
    assert apache.real_environment(server) == {"APP_ENV": Place(CAMPUS, 2, "prod")}


def test_a_macro_makes_what_it_makes_where_it_is_used(host):
    found = servers(
        host,
        "<Macro Campus $name $name2 @root>\n  <VirtualHost *:80>\n    ServerName $name2.$name\n    DocumentRoot @root\n"
        "  </VirtualHost>\n</Macro>\nUse campus example.org www /srv/one\nUSE Campus example.org new /srv/two\n"
        "<VirtualHost *:80>\n</VirtualHost>",
    )
    assert [(one.host.names, one.host.root, one.host.line) for one in found[:2]] == [
        (("www.example.org",), "/srv/one", 2),
        (("new.example.org",), "/srv/two", 2),
    ]
    assert found[0].block.start == found[1].block.start < found[2].block.start


def test_files_are_included_from_the_root_of_the_server(host):
    host.write("/srv/conf/more.conf", vhost("ServerName more.test"))
    (server,) = servers(host, "ServerRoot /srv/conf\nInclude more.conf\n")
    assert (server.host.names, server.host.file) == (("more.test",), "/srv/conf/more.conf")


def test_an_alias_in_a_location_has_its_address(host):
    (server,) = servers(
        host,
        vhost(
            "<Location /lms>\nAlias /srv/lms\nAlias /two /srv/two\n</Location>\n<Location /none>\n</Location>\n"
            "Alias /one\nAlias /school /srv/school\nProxyPassMatch ^/php fcgi://127.0.0.1:9000/srv/php/\n"
            "ProxyPass /none"
        ),
    )
    found = [(alias.path, alias.directory) for alias in server.host.aliases]
    assert found[:4] == [("/lms", "/srv/lms"), ("/two", "/srv/two"), ("/school", "/srv/school"), ("/php", "/srv/php")]


@pytest.mark.parametrize(
    ("written", "listens"),
    [
        ("Listen", []),
        ("Listen 443", [Listen("*", 443, True)]),
        ("Listen 8443 https", [Listen("*", 8443, True)]),
        ("Listen 192.0.2.7:80\nListen 0.0.0.0:81", [Listen("192.0.2.7", 80, False), Listen("*", 81, False)]),
        ("Listen [2001:db8::7]:443", [Listen("[2001:db8::7]", 443, True)]),
    ],
)
def test_where_it_listens_is_written_in_several_ways(host, written, listens):
    host.write("/etc/apache2/apache2.conf", f"{written}\n")
    assert apache.listening(apache.parse(host.tree)) == listens


def test_a_file_of_a_directory_includes_and_defines_nothing(host):
    host.install("apache")
    configuration = apache.parse(host.tree, "2.4.71", ["more"])
    assert configuration.version == "2.4.71" and "more" in configuration.modules


def test_without_a_port_a_virtual_host_is_for_those_that_no_other_of_its_address_asks_for(host):
    host.install("apache")
    text = "".join(vhost("", address) for address in ("*:80", "192.0.2.7:81", "*", "[2001:db8::7]"))
    host.write("/etc/apache2/apache2.conf", f"Listen 80\nListen 81\nListen 82\n{text}")
    found = apache.servers(apache.parse(host.tree))
    ports = [[listen.port for listen in server.host.listens] for server in found]
    assert ports == [[80], [81], [81, 82], [80, 81, 82]]
