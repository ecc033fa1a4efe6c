# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.tree import Place
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver import nginx
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.configuration import Listen, walk


def servers(host, text):
    host.install("nginx")
    host.site("nginx", text)
    configuration = nginx.parse(host.tree)
    assert configuration.problems == []
    return nginx.servers(configuration)


def test_words_quotes_comments_and_blocks():
    text = """# { not ; a block
map $host $kind { default "a;b{c}"; ~^x\\.(?<n>.+)$ 'it\\'s'; }
log_format odd '$remote_addr "$request" # no comment'
  "tail";
server { set $v "a\\"b${host}"; return 200 x${v}y#z; }
"""
    kind, log, server = nginx.parse_text(text, "f")
    assert [(entry.name, entry.arguments) for entry in kind.block] == [
        ("default", ("a;b{c}",)),
        ("~^x\\.(?<n>.+)$", ("it's",)),
    ]
    assert log.arguments == ("odd", '$remote_addr "$request" # no comment', "tail")
    assert [entry.arguments for entry in server.block] == [("$v", 'a"b${host}'), ("200", "x${v}y#z")]
    assert (kind.line, log.line, server.line) == (2, 3, 5)
    assert server.block[1].written == "return 200 x${v}y#z"


def test_a_program_of_lua_has_braces_and_quotes_of_its_own():
    text = """server {
    content_by_lua_block {
        -- it's no { brace
        local t = {a = "}", b = '{', c = [[ } ]]} --[==[ { ]==]
        ngx.say("it's; # here")
    }
    listen 80;
}
"""
    (server,) = nginx.parse_text(text, "f")
    lua, listen = server.block
    assert (lua.name, lua.block, listen.arguments, listen.line) == ("content_by_lua_block", None, ("80",), 7)
    assert text[lua.start : lua.end].endswith("\n    }")


@pytest.mark.parametrize(
    ("lines", "root"),
    [
        ("set $base /srv/a; root ${base}/public;", "/srv/a/public"),
        ("root /a; location / { root /b; }", "/a"),
        ("location /lms { root /a; } location / { root /b; }", "/b"),
        ("server_name campus.test; root /var/www/$host/public;", "/var/www/campus.test/public"),
        ("server_name campus.test; root /var/www/${server_name};", "/var/www/campus.test"),
        ("server_name campus.test www.campus.test; root /var/www/$host;", "/var/www/$host"),
        ("server_name *.campus.test; root /var/www/$host;", "/var/www/$host"),
    ],
)
def test_the_document_root_is_that_of_the_server_or_of_its_front_page(host, lines, root):
    (server,) = servers(host, f"root /var/www/html; server {{ {lines} }}")
    assert server.host.root == root


@pytest.mark.parametrize(
    "text", ["server {", "a_by_lua_block { '", "a b", "}", "a b; }", "; ", "{ }", 'a "b;', "a b\\"]
)
def test_what_nginx_refuses_is_a_problem_with_its_place(host, text):
    host.install("nginx")
    host.site("nginx", "\n" + text)
    (problem,) = nginx.parse(host.tree).problems
    assert problem.startswith("nginx: /etc/nginx/sites-available/campus.conf:")


def test_a_missing_file_and_a_loop_are_problems(host):
    host.install("nginx")
    host.site("nginx", "include missing.conf; include none/*.conf;")
    host.site("nginx", "include sites-enabled/loop.conf; set $x y;", "loop.conf")
    configuration = nginx.parse(host.tree)
    missing, loop = sorted(configuration.problems)
    assert sum(item.name == "set" for item in walk(configuration.directives)) == 20, "as deep as it is followed"
    assert loop == "nginx: /etc/nginx/sites-enabled/loop.conf is included from itself."
    assert missing == "nginx: /etc/nginx/missing.conf cannot be read: No such file or directory."


def test_what_stands_in_a_server_and_around_it_counts(host):
    host.write("/etc/nginx/conf.d/top.conf", "ssl_certificate /c.pem; ssl_certificate_key /k.pem;")
    host.write("/etc/nginx/conf.d/own.conf", "real_ip_header X-Real-IP;")
    host.write(
        "/etc/nginx/mine/y.conf", "# Managed by Ansible: chamilo.hardening, section https.\nreal_ip_recursive on;"
    )
    first, second = servers(
        host,
        """
server {
    listen 80; listen [::]:80; listen 443 ssl http2 default_server; listen [::1]:8443 ssl; listen unix:/run/x.sock;
    listen 443 quic; listen 192.0.2.1; listen 0.0.0.0:81;
    server_name Campus.test .other.test;
    root /srv/campus;
    include mine/*.conf;
    error_log /e.log warn;
    client_max_body_size 16m; server_tokens "off";
    fastcgi_read_timeout 1m 30s;
    location ~ \\.php$ { include fastcgi_params; fastcgi_pass php; }
}
upstream php { server unix:/run/php/x.sock weight=2; }
server { server_name second.test; access_log /a.log odd buffer=32k; http2 on; }
""",
    )
    assert first.host.listens == (
        Listen("*", 80, False),
        Listen("[::]", 80, False),
        Listen("*", 443, True, True, True),
        Listen("[::1]", 8443, True),
        Listen("unix:/run/x.sock", 0, False),
        Listen("192.0.2.1", 80, False),
        Listen("*", 81, False),
    )
    file = "/etc/nginx/sites-available/campus.conf"
    assert first.host.file == file
    assert first.host.line == 2
    assert first.host.enabled_by == "/etc/nginx/sites-enabled/campus.conf"
    assert first.host.names == ("campus.test", ".other.test")
    assert first.host.root == "/srv/campus"
    assert (first.host.certificate, first.host.certificate_key) == ("/c.pem", "/k.pem")
    assert first.host.includes == ("mine/*.conf",)
    assert (first.host.access_log, first.host.access_log_file) == ("/var/log/nginx/access.log",) * 2
    assert first.host.error_log == "/e.log warn"
    assert first.host.body_limit == 16 * 1024 * 1024
    # neither ours nor what is set around it
    assert first.host.once == (Place(file, 9, "server_tokens off"),) and second.host.once == ()
    assert (first.host.patience, first.host.patience_own) == (90, True)
    assert first.host.php == "unix:/run/php/x.sock"

    assert second.host.listens == (Listen("*", 80, False, http2=True),)
    assert second.host.access_log == "/a.log odd buffer=32k"
    assert second.host.body_limit == -1
    assert (second.host.patience, second.host.patience_own) == (-1, False)


def test_how_long_all_virtual_hosts_wait_and_what_we_report_does_not_count(host):
    host.write("/etc/nginx/conf.d/own.conf", "fastcgi_read_timeout 20s;\n")
    ours = "# Managed by Ansible: chamilo.hardening, section https.\nfastcgi_read_timeout 150s;\n"
    host.write("/etc/nginx/mine/ours.conf", ours)
    all_servers = servers(
        host,
        """
server { listen 80; server_name campus.test; include mine/*.conf; }
server { listen 80; server_name other.test; fastcgi_read_timeout 400s; }
""",
    )
    assert [(one.host.patience, one.host.patience_own) for one in all_servers] == [(20, False), (400, True)]


# What nginx 1.26.3 itself answered to these names with this configuration.
CHOICE = """
server { listen 80 default_server; server_name _; return 200 default; }
server { listen 80; server_name exact.test; return 200 exact; }
server { listen 80; server_name *.test; return 200 star; }
server { listen 80; server_name *.long.test; return 200 longer; }
server { listen 80; server_name mail.*; return 200 mail; }
server { listen 80; server_name mail.long.*; return 200 mail.long; }
server { listen 80; server_name .dot.test; return 200 dot; }
server { listen 80; server_name ~^(?<sub>.+)\\.re\\.org$; return 200 re; }
server { listen 80; server_name "~^w\\d{1,3}\\.re\\.org$"; return 200 late; }
server { listen 80; server_name UPPER.Case; return 200 upper; }
"""


def test_an_expression_is_taken_as_it_is_written(host):
    (server, _form_that_only_pcre_knows) = servers(
        host, r'server { listen 80; server_name "~^\D+\.Re\.org$"; } server { server_name "~(?P>abc)"; }'
    )
    assert [nginx.answering([server], name)[0] == [server] for name in ("abc.re.org", "123.re.org")] == [True, False]
    assert nginx.answering([_form_that_only_pcre_knows], "abc.re.org")[0] == []


@pytest.mark.parametrize(
    "name, answer, by_name",
    [
        ("exact.test", "exact", True),
        ("x.test", "star", True),
        ("y.long.test", "longer", True),
        ("long.test", "star", True),
        ("mail.foo", "mail", True),
        ("mail.long.foo", "mail.long", True),
        ("dot.test", "dot", True),
        ("W12.RE.ORG", "re", True),
        ("upper.case", "upper", True),
        ("other.example", "default", False),
    ],
)
def test_the_server_that_answers_is_the_one_nginx_takes(host, name, answer, by_name):
    all_servers = servers(host, CHOICE)
    named, default = nginx.answering(all_servers, name)
    (chosen,) = named if by_name else default
    assert not (default if by_name else named)
    assert chosen.block.block[-1].arguments == ("200", answer)


def test_each_address_has_its_own_choice(host):
    all_servers = servers(
        host,
        """
server { listen 80; server_name campus.test; }
server { listen 443 ssl; server_name first.test; }
server { listen 443 ssl default_server; server_name second.test; }
server { listen 127.0.0.1:443 ssl; server_name status; }
server { listen 8080; server_name admin; }
server { listen 127.0.0.1:8081; server_name campus.test; }
""",
    )
    named, default = nginx.answering(all_servers, "campus.test")
    assert [server.host.line for server in named] == [2, 7]
    assert [server.host.names for server in default] == [("second.test",)]


def test_what_php_is_given(host):
    php = "include fastcgi_params; fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;"
    (server,) = servers(host, f"server {{\n location ~ \\.php$ {{\n  fastcgi_param APP_ENV prod; {php}\n }}\n}}")
    file = "/etc/nginx/sites-available/campus.conf"
    assert nginx.real_environment(server) == {"APP_ENV": Place(file, 3, "prod")}


@pytest.mark.parametrize(
    ("location", "aliases"),
    [
        ("/ { root /; }", [("", "/")]),
        ("/a { alias /srv/a; }", [("/a", "/srv/a")]),
        ("^~ /a { alias /; }", [("/a", "/")]),
        ("~ \\.php$ { root /srv/x; }", [("", "/srv/x")]),
        ("= /run { fastcgi_param SCRIPT_FILENAME /opt/run/index.php; }", [("/run", "/opt/run")]),
        (r"~ ^/run/.*\.php$ { fastcgi_param SCRIPT_FILENAME /opt$fastcgi_script_name; }", [("/run", "/opt/run")]),
        ("/run { fastcgi_param DOCUMENT_ROOT /opt/run/index.php; }", []),
    ],
)
def test_where_a_location_has_its_files(host, location, aliases):
    (server,) = servers(host, f"server {{ root /srv; location {location} }}")
    assert [(alias.path, alias.directory) for alias in server.host.aliases] == aliases
