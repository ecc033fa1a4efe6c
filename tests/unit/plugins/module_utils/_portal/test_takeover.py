# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._portal.discovery import discover
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.takeover import twice

OTHER = {"nginx": "apache", "apache": "nginx"}
FOLDER = {"nginx": "/etc/nginx", "apache": "/etc/apache2"}


def takeover(host):
    site = discover("campus.test", tree=host.tree)
    assert site.problems == ()
    return site.takeover


def ready(host, server):
    host.install(server)
    host.chamilo()
    return FOLDER[server]


def lost(found):
    return [(place.line, place.what) for place in found.obstacles]


@pytest.mark.parametrize("server", ["nginx", "apache"])
@pytest.mark.parametrize("name", ["plain", "https", "wrong-docroot", "default-server"])
def test_a_plain_virtual_host_can_be_taken_over(host, server, name):
    folder = ready(host, server)
    file = host.testbed_site(server, name)
    found = takeover(host)
    assert lost(found) == []
    assert found.possible
    assert found.files == (file,)
    assert found.disable == (f"{folder}/sites-enabled/campus.conf",)


def test_debians_default_site_that_answers_to_the_name_of_the_host_is_in_the_way(host):
    ready(host, "apache")
    host.write("/etc/hostname", "campus\n")
    host.write("/etc/hosts", "127.0.1.1 campus.test campus\n")
    host.testbed_site("apache", "plain")
    host.link("/etc/apache2/sites-enabled/000-default.conf", "../sites-available/000-default.conf")
    found = takeover(host)
    assert found.files == ("/etc/apache2/sites-available/000-default.conf",)
    assert "DocumentRoot /var/www/html" in [place.what for place in found.obstacles]
    assert "/etc/apache2/sites-available/000-default.conf line" in found.refused["auto"]


def test_another_site_without_a_name_in_the_same_file_is_a_neighbour(host):
    ready(host, "apache")
    host.write("/etc/hostname", "web.school.test\n")
    host.write("/etc/hosts", "127.0.1.1 web.school.test web\n")
    host.site("apache", f"{APACHE.format('', '')}<VirtualHost *:80>\nDocumentRoot /srv/other\n</VirtualHost>\n")
    assert [place.what for place in takeover(host).neighbours] == ["<VirtualHost *:80> without a name"]


@pytest.mark.parametrize("server", ["nginx", "apache"])
def test_other_sites_in_the_same_file_are_neighbours(host, server):
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
def test_a_neighbour_that_answers_for_being_first_stays_the_first(host, server, link, portal, displaced):
    ready(host, server)
    file = host.site(server, NAMELESS[server].format("", "_"), link)
    if portal:
        host.site(server, {"nginx": NGINX, "apache": APACHE}[server].format("", ""), portal)
    found = takeover(host)
    assert [place.file for place in found.neighbours] == [file] * displaced
    assert set(found.refused) == ({"auto", "managed"} if displaced else set())
    if displaced:
        remedy = {"nginx": "default_server", "apache": "comes before chamilo-campus_test.conf"}
        assert all(remedy[server] in text and "a file of its own" not in text for text in found.refused.values())


@pytest.mark.parametrize(("more", "name"), [(" default_server", "_"), ("", "other.test")])
def test_a_neighbour_that_says_so_or_has_a_name_may_come_later(host, more, name):
    ready(host, "nginx")
    host.site("nginx", NAMELESS["nginx"].format(more, name), "default.conf")
    host.site("nginx", NGINX.format("", ""), "portal.conf")
    assert takeover(host).possible


def test_a_neighbour_at_another_address_is_not_displaced(host):
    ready(host, "nginx")
    host.site("nginx", NAMELESS["nginx"].format("", "_"), "default.conf")
    host.site("nginx", NGINX.format("", "").replace("listen 80", "listen 10.0.0.5:80"), "portal.conf")
    assert takeover(host).possible


@pytest.mark.parametrize("server", ["nginx", "apache"])
def test_foreign_headers_are_no_neighbours(host, server):
    ready(host, server)
    host.testbed_site(server, "foreign-headers")
    found = takeover(host)
    assert found.obstacles
    assert not found.neighbours


@pytest.mark.parametrize("server", ["nginx", "apache"])
@pytest.mark.parametrize("name, redirected", [("plain", False), ("https", True)])
def test_a_redirect_to_https_is_seen(host, server, name, redirected):
    ready(host, server)
    host.testbed_site(server, name)
    assert takeover(host).redirected is redirected


@pytest.mark.parametrize(
    "server, name, obstacles",
    [
        ("nginx", "two-names", [(4, "server_name campus.test library.test")]),
        ("nginx", "two-servers", [(23, "server_name library.test")]),
        ("nginx", "old-docroot", [(23, "server_name old.campus.test")]),
        ("nginx", "other-port", [(2, "listen 8080"), (3, "listen [::]:8080")]),
        (
            "nginx",
            "foreign-headers",
            [
                (10, 'add_header X-School "Example High School" always'),
                (11, 'add_header X-Frame-Options "DENY"'),
                (17, "location /build/"),
                (22, "location ~ \\.php$"),
            ],
        ),
        ("apache", "two-names", [(3, "ServerAlias library.test")]),
        ("apache", "two-servers", [(13, "ServerName library.test")]),
        ("apache", "old-docroot", [(13, "ServerName old.campus.test")]),
        ("apache", "other-port", [(1, "Listen 8080"), (3, "<VirtualHost *:8080>")]),
        (
            "apache",
            "foreign-headers",
            [
                (4, 'Header always set X-School "Example High School"'),
                (5, 'Header set X-Frame-Options "DENY"'),
                (13, "<Location /build>"),
                (17, '<FilesMatch "\\.php$">'),
            ],
        ),
    ],
)
def test_what_would_be_lost_is_named_with_its_line(host, server, name, obstacles):
    ready(host, server)
    file = host.testbed_site(server, name)
    found = takeover(host)
    assert lost(found) == obstacles
    assert {place.file for place in found.obstacles} == {file}
    assert not found.possible


NGINX = """server {{
listen 80;
server_name campus.test;
root /var/www/chamilo/public;
{}
location ~ \\.php$ {{ include snippets/fastcgi-php.conf; fastcgi_pass unix:/run/php/php8.4-fpm.sock; {} }}
}}
"""


@pytest.mark.parametrize(
    "directive, kept",
    [
        ("index index.php;", True),
        ("index start.html;", False),
        ("access_log /var/log/nginx/campus.log odd;", True),
        ("access_log /a.log; access_log syslog:server=192.0.2.9;", False),
        ("error_log /var/log/nginx/campus.err;", True),
        ("client_max_body_size 2g;", True),
        ("if ($host = campus.test) { return 301 https://$host$request_uri; } return 404;", True),
        ("if ($scheme != https) { return 301 https://campus.test$request_uri; }", True),
        ("if ($scheme != https) { return 301 https://library.test$request_uri; }", False),
        ("if ($http_user_agent ~ bot) { return 403; }", False),
        ('if ($https = "") { return 301 https://$host$request_uri; }', True),
        ("if ($server_port != 443) { return 301 https://$host$request_uri; }", True),
        ("if ($http_host = campus.test) { return 301 https://$host$request_uri; }", True),
        ("if ($request_uri ~ ^/moodle) { return 302 https://campus.test/; }", False),
        ("if ($remote_addr !~ ^10\\.) { return 302 https://campus.test/; }", False),
        ("if ($http_hostile) { return 302 https://campus.test/; }", False),
        ("rewrite ^ https://$host$request_uri? permanent;", True),
        ("listen [::]:80 ipv6only=on;", True),
        ("listen [::]:80 ipv6only=off;", False),
        ("rewrite ^/(.*)$ https://campus.test/$1 permanent;", True),
        ("rewrite ^/old$ /new last;", False),
        ("rewrite ^/old/?$ https://campus.test/ permanent;", False),
        ("return 301 https://www.campus.test$request_uri;", False),
        ("add_header Strict-Transport-Security max-age=15768000 always;", True),
        ("add_header X-Content-Type-Options nosniff;", True),
        ("add_header Content-Security-Policy \"default-src 'self'\";", False),
        ("ssl_protocols TLSv1 TLSv1.2; ssl_ciphers ALL; ssl_dhparam /d.pem; ssl_session_cache shared:SSL:10m;", True),
        ("ssl_verify_client on;", False),
        ("auth_basic closed;", False),
        ("allow 192.0.2.0/24;", False),
        ("limit_req zone=login;", False),
        ("gzip off;", False),
        ("root /var/www/other;", False),
        ("location / { try_files $uri /index.php$is_args$args; }", True),
        ("location / { try_files $uri $uri/ /index.php?$args; }", True),
        ("location / { try_files $uri @elsewhere; }", False),
        ("location / { auth_basic closed; try_files $uri /index.php; }", False),
        ("location / { proxy_pass http://127.0.0.1:8080; }", False),
        ("location ~ /\\.ht { deny all; }", True),
        ("location ~ /\\.(?!well-known) { return 404; }", True),
        ("location ~ \\.secret$ { deny all; }", False),
        ("location ~ ^/(\\.|private) { deny all; }", False),
        ("location ~ /\\.|/private { deny all; }", False),
        ("location ~ (?:^|/)\\.(?!well-known(?:/|$)) { deny all; }", True),
        ("location ~ /\\.(ht|git|svn) { deny all; }", True),
        ("ssl_certificate /ecdsa.pem; ssl_certificate_key /ecdsa.key;", True),
        ("ssl_certificate /a; ssl_certificate_key /b; ssl_certificate /c; ssl_certificate_key /d;", False),
        ("location = /favicon.ico { log_not_found off; access_log off; }", True),
        ("location /files { alias /srv/files; }", False),
        ("location ~* \\.(css|js)$ { expires 30d; }", False),
        ("location ^~ /.well-known/acme-challenge/ { root /var/lib/acme; }", False),
        ("include /etc/letsencrypt/options-ssl-nginx.conf;", True),
        ("include snippets/limits.conf;", False),
        ("include sites-available/chamilo-campus.d/*.conf;", True),
    ],
)
def test_directives_of_nginx(host, directive, kept):
    ready(host, "nginx")
    host.write("/etc/letsencrypt/options-ssl-nginx.conf", "ssl_session_timeout 1440m; ssl_protocols TLSv1.2;")
    host.write("/etc/nginx/snippets/limits.conf", "\nclient_body_timeout 5s;\n")
    host.write(
        "/etc/nginx/sites-available/chamilo-campus.d/headers.conf",
        "# Managed by Ansible: chamilo.hardening, section headers. Changes here are lost.\nadd_header X 1;\n",
    )
    host.site("nginx", NGINX.format(directive, ""))
    assert takeover(host).possible is kept


@pytest.mark.parametrize(
    "directive, kept",
    [
        ("fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;", True),
        ("include fastcgi_params;", True),
        ("fastcgi_param APP_ENV prod;", False),
        ('fastcgi_param PHP_VALUE "memory_limit=1G";', False),
        ("fastcgi_read_timeout 600;", False),
        ("fastcgi_buffers 16 16k;", True),
        ("try_files $uri =404;", True),
        ("limit_req zone=php;", False),
    ],
)
def test_directives_of_nginx_for_php(host, directive, kept):
    ready(host, "nginx")
    host.site("nginx", NGINX.format("", directive))
    assert takeover(host).possible is kept


@pytest.mark.parametrize(
    "condition, redirected",
    [("$request_uri ~ ^/moodle", False), ("$scheme = http", True), ("$host = campus.test", True)],
)
def test_visitors_of_one_address_are_not_all_that_are_sent_to_https(host, condition, redirected):
    ready(host, "nginx")
    host.site("nginx", NGINX.format(f"if ({condition}) {{ return 302 https://campus.test/; }}", ""))
    assert takeover(host).redirected is redirected


def test_the_configuration_that_symfony_recommends(host):
    ready(host, "nginx")
    host.site(
        "nginx",
        """server {
    server_name campus.test;
    root /var/www/chamilo/public;
    location / { try_files $uri /index.php$is_args$args; }
    location ~ ^/index\\.php(/|$) {
        fastcgi_pass unix:/run/php/php8.4-fpm.sock;
        fastcgi_split_path_info ^(.+\\.php)(/.*)$;
        include fastcgi_params;
        fastcgi_param SCRIPT_FILENAME $realpath_root$fastcgi_script_name;
        fastcgi_param DOCUMENT_ROOT $realpath_root;
        internal;
    }
    location ~ \\.php$ { return 404; }
    error_log /var/log/nginx/project_error.log;
    access_log /var/log/nginx/project_access.log;
}
""",
    )
    assert lost(takeover(host)) == []


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


@pytest.mark.parametrize(
    "directive, kept",
    [
        ("ServerAdmin webmaster@localhost", True),
        ("CustomLog ${APACHE_LOG_DIR}/campus.log combined", True),
        ("CustomLog /a.log combined\nCustomLog |/usr/bin/logger combined", False),
        ("ErrorLog ${APACHE_LOG_DIR}/campus.err", True),
        ("LimitRequestBody 268435456", True),
        ("Redirect permanent / https://campus.test/", True),
        ("Redirect /old https://campus.test/new", False),
        ("RewriteEngine On\nRewriteCond %{HTTPS} off\nRewriteRule ^ https://%{HTTP_HOST}%{REQUEST_URI} [R,L]", True),
        ("RewriteCond %{SERVER_NAME} =campus.test\nRewriteRule ^ https://%{SERVER_NAME}%{REQUEST_URI} [R]", True),
        ("RewriteCond %{REMOTE_ADDR} ^192\\.\nRewriteRule ^ https://%{HTTP_HOST}%{REQUEST_URI} [R]", False),
        ("RewriteRule !^/\\.well-known/ https://%{HTTP_HOST}%{REQUEST_URI} [R,L]", True),
        ("RewriteRule ^/?(.*) https://%{SERVER_NAME}/$1 [R,L]", True),
        ("RewriteRule ^/old$ /new [L]", False),
        ("RewriteRule ^/old$ https://campus.test/ [R=301,L]", False),
        ("Header always set Strict-Transport-Security max-age=31536000", True),
        ("Header always set X-Frame-Options SAMEORIGIN", True),
        ("Header unset X-Powered-By", False),
        ("SSLProtocol all -SSLv3\nSSLOptions +StrictRequire", True),
        ("SSLVerifyClient require", False),
        ("php_value memory_limit 1G", False),
        ("SetEnv APP_ENV prod", False),
        ('SetEnvIf Authorization "(.*)" HTTP_AUTHORIZATION=$1', True),
        ("ProxyPass /x http://127.0.0.1:8080/", False),
        ("ProxyPassMatch ^/(.*\\.php)$ unix:/run/php/php8.4-fpm.sock|fcgi://localhost/var/www/chamilo/public", True),
        ("<FilesMatch \\.php$>\nSetHandler proxy:unix:/run/php/php8.4-fpm.sock|fcgi://localhost\n</FilesMatch>", True),
        ("<FilesMatch \\.php$>\nSetHandler proxy:unix:/run/php/other.sock|fcgi://localhost\n</FilesMatch>", True),
        ('<LocationMatch "/\\.git">\nRequire all denied\n</LocationMatch>', True),
        ("<Location /documentation>\nOrder deny,allow\nDeny from all\n</Location>", True),
        ("<Location /private>\nRequire all denied\n</Location>", False),
        ('<LocationMatch "^/(\\.git|private)">\nRequire all denied\n</LocationMatch>', False),
        ('<FilesMatch "^\\.(ht|git)">\nRequire all denied\n</FilesMatch>', True),
        ('<LocationMatch "^/documentation(/|$)">\nRequire all denied\n</LocationMatch>', True),
        ("SSLCertificateFile /a.pem\nSSLCertificateFile /b.pem", False),
        ("<Location /private>\nAuthType Basic\n</Location>", False),
        ("<Directory /var/www/chamilo/>\nAllowOverride None\n</Directory>", True),
        ("<Directory /srv/files>\nRequire all granted\n</Directory>", False),
        ("Alias /files /srv/files", False),
        ("Include /etc/letsencrypt/options-ssl-apache.conf", True),
        ("IncludeOptional sites-available/chamilo-campus.d/*.conf", True),
    ],
)
def test_directives_of_apache(host, directive, kept):
    ready(host, "apache")
    host.write("/etc/letsencrypt/options-ssl-apache.conf", 'SSLEngine on\nLogFormat "%h" vhost_combined\n')
    host.write(
        "/etc/apache2/sites-available/chamilo-campus.d/headers.conf",
        "# Managed by Ansible: chamilo.hardening, section headers. Changes here are lost.\nHeader set X 1\n",
    )
    if "other.sock" in directive:
        host.write("/etc/php/8.4/fpm/pool.d/other.conf", "[other]\nlisten = /run/php/other.sock\nuser = campus\n")
    host.site("apache", APACHE.format(directive, ""))
    assert takeover(host).possible is kept


@pytest.mark.parametrize(
    "directive, kept",
    [
        ("AllowOverride All", True),
        ("Options -Indexes +FollowSymLinks", True),
        ("Options +ExecCGI", False),
        ("Order allow,deny\nAllow from all", True),
        ("Require ip 192.0.2.0/24", False),
        ("AuthType Basic", False),
        ("FallbackResource /index.php", True),
        ("RewriteEngine On\nRewriteCond %{REQUEST_FILENAME} !-f\nRewriteRule ^ index.php [L]", True),
        ("RewriteCond %{HTTP:Authorization} .\nRewriteRule ^ - [E=HTTP_AUTHORIZATION:%0]", True),
        ("RewriteCond %{HTTP_USER_AGENT} bot\nRewriteRule ^ index.php [L]", False),
        ("php_flag display_errors off", False),
    ],
)
def test_directives_of_apache_for_the_document_root(host, directive, kept):
    ready(host, "apache")
    host.site("apache", APACHE.format("", directive))
    assert takeover(host).possible is kept


INCLUDE = {
    "nginx": "include /etc/nginx/sites-available/chamilo-campus_test.d/*.conf;",
    "apache": "IncludeOptional /etc/apache2/sites-available/chamilo-campus_test.d/*.conf",
}


@pytest.mark.parametrize("server", ["nginx", "apache"])
@pytest.mark.parametrize(
    "name, values, instead",
    [
        ("two-servers", {"auto", "managed"}, "or give each of the other sites a file of its own."),
        ("foreign-headers", {"auto"}, "or set it to managed to have it replaced."),
        ("plain", set(), ""),
    ],
)
def test_who_is_refused_is_told_where_and_what_to_do(host, server, name, values, instead):
    ready(host, server)
    file = host.testbed_site(server, name)
    found = takeover(host)
    assert set(found.refused) == values, "other sites are never taken off line"
    for text in found.refused.values():
        assert all(f"{file} line {place.line}: {place.what}" in text for place in found.obstacles)
        assert f'add the line "{INCLUDE[server]}" to that virtual host, {instead}' in text


@pytest.mark.parametrize("server", ["nginx", "apache"])
@pytest.mark.parametrize("included", [True, False])
def test_whoever_includes_our_files_is_left_alone(host, server, included):
    ready(host, server)
    header = {"nginx": "add_header X-School x;", "apache": "Header set X-School x"}[server]
    line = INCLUDE[server] if included else ""
    host.site(server, {"nginx": NGINX, "apache": APACHE}[server].format(f"{header}\n{line}", ""))
    found = takeover(host)
    assert len(found.obstacles) == 1 and set(found.refused) == (set() if included else {"auto"})


@pytest.mark.parametrize("server, text", [("nginx", "server {"), ("apache", "Use Portal campus.test")])
def test_a_part_that_cannot_be_read_may_hold_anything(host, server, text):
    ready(host, server)
    host.testbed_site(server, "plain")
    host.site(server, text, "unknown.conf")
    site = discover("campus.test", tree=host.tree)
    assert not site.takeover.possible
    assert [place.what for place in site.takeover.obstacles] == list(site.problems)


def test_a_server_block_in_the_main_file_stays(host):
    ready(host, "nginx")
    text = (host.root / "etc/nginx/nginx.conf").read_text().rstrip().removesuffix("}")
    host.write("/etc/nginx/nginx.conf", text + "server {\n server_name campus.test;\n}\n}\n")
    found = takeover(host)
    assert [(place.file, place.what) for place in found.obstacles] == [("/etc/nginx/nginx.conf", "server")]
    assert found.disable == ()


def test_what_stands_beside_the_server_block_would_be_lost(host):
    ready(host, "nginx")
    host.site("nginx", "limit_req_zone $remote_addr zone=a:1m rate=1r/s;\nserver {\n server_name campus.test;\n}\n")
    assert lost(takeover(host)) == [(1, "limit_req_zone $remote_addr zone=a:1m rate=1r/s")]


def test_a_document_root_behind_a_link_is_the_same(host):
    host.install("nginx")
    host.chamilo("/srv/releases/7")
    host.link("/srv/campus", "releases/7")
    host.site("nginx", NGINX.format("", "").replace("/var/www/chamilo", "/srv/campus"))
    for root in ("", "/srv/campus", "/srv/releases/7"):
        assert lost(discover("campus.test", root=root, tree=host.tree).takeover) == []
    host.chamilo("/srv/other")
    assert lost(discover("campus.test", root="/srv/other", tree=host.tree).takeover) == [(4, "root /srv/campus/public")]


def test_a_file_that_is_no_link_has_to_go_itself(host):
    ready(host, "nginx")
    host.write("/etc/nginx/conf.d/campus.conf", "server {\n server_name campus.test;\n}\n")
    found = takeover(host)
    assert found.possible
    assert found.disable == ("/etc/nginx/conf.d/campus.conf",)


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("include sites-enabled/*.conf;", True),
        ("include sites-enabled/*.vhost;", False),
        ("", False),  # as nginx's own makers have it
    ],
)
def test_ours_takes_no_place_where_nobody_would_read_it(host, line, read):
    ready(host, "nginx")
    main = (host.root / "etc/nginx/nginx.conf").read_text()
    host.write("/etc/nginx/nginx.conf", main.replace("include /etc/nginx/sites-enabled/*;", line))
    host.write("/etc/nginx/conf.d/campus.conf", NGINX.format("", ""))
    found = takeover(host)
    assert found.possible is read
    assert ('the line "include /etc/nginx/sites-enabled/*;" is missing' in found.refused.get("auto", "")) is not read


@pytest.mark.parametrize("server", ["nginx", "apache"])
def test_nothing_has_to_go_where_nobody_names_the_domain(host, server):
    ready(host, server)
    host.testbed_site(server, "shop")
    found = takeover(host)
    assert (found.possible, found.files, found.disable) == (True, (), ())


def test_a_default_server_that_serves_the_portal_stays_but_its_rules_count(host):
    ready(host, "nginx")
    host.site(
        "nginx",
        "server {\n listen 80;\n server_name _;\n root /var/www/chamilo/public;\n auth_basic closed;\n}\n",
    )
    found = takeover(host)
    assert lost(found) == [(5, "auth_basic closed")]
    assert (found.files, found.disable) == ((), ())


@pytest.mark.parametrize("server", ["nginx", "apache"])
def test_what_is_ours_already_needs_no_takeover(host, server):
    folder = ready(host, server)
    header = "# Managed by Ansible: chamilo.hardening, section https. Changes here are lost.\n"
    body = {"nginx": NGINX.format("gzip off;", ""), "apache": APACHE.format("Alias /x /y", "")}[server]
    host.site(server, header + body, "chamilo-campus.conf")
    site = discover("campus.test", tree=host.tree)
    assert site.serving[0].ours
    assert site.serving[0].file == f"{folder}/sites-available/chamilo-campus.conf"
    assert (site.takeover.possible, site.takeover.files) == (True, ())


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
def test_what_nginx_takes_once_is_named_where_its_owner_says_something_else(host, first, second, wrong):
    ready(host, "nginx")
    file = host.site("nginx", SERVERS.format(first + LINE, second + LINE))
    serving = discover("campus.test", tree=host.tree).serving
    for wish in ("", "auto", "include"):
        said = twice("campus.test", serving, wish, OURS)
        assert [place for place in wrong if f"{file} {place}" not in said] == []
        assert bool(said) is bool(wrong)
        assert not wrong or "Take these lines out of it: our files say " in said
    assert twice("campus.test", serving, "managed", OURS) == "", "his goes"
    assert twice("campus.test", serving, "include", {}) == "", "we say nothing"


@pytest.mark.parametrize(("wish", "asked"), [("", False), ("auto", False), ("managed", False), ("include", True)])
def test_a_virtual_host_that_ours_replaces_may_say_what_it_likes(host, wish, asked):
    ready(host, "nginx")
    host.site("nginx", SERVERS.format("server_tokens on;", "server_tokens on;"))
    said = twice("campus.test", discover("campus.test", tree=host.tree).serving, wish, OURS)
    assert ('our files say "server_tokens off;"' in said) is asked
