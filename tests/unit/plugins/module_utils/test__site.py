# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._site import (
    Database,
    SiteError,
    WebServer,
    discover,
)


def site_of(host, **options):
    return discover("campus.test", tree=host.tree, **options)


def runs(host, server):
    pid_file, name = {"nginx": ("/run/nginx.pid", "nginx"), "apache": ("/run/apache2/apache2.pid", "apache2")}[server]
    pid = {"nginx": 71, "apache": 72}[server]
    host.write(pid_file, f"{pid}\n")
    host.write(f"/proc/{pid}/comm", f"{name}\n")


ENVIRONMENT = """APP_ENV=prod
APP_INSTALLED='1'
APP_SECRET=a-secret-that-is-ours
JWT_PASSPHRASE=your_secret_passphrase
DATABASE_HOST=localhost
DATABASE_PORT=3306
DATABASE_NAME=chamilo
DATABASE_USER=chamilo
DATABASE_PASSWORD=never-shown
"""


def test_nginx(host):
    host.install("nginx")
    host.chamilo(env=ENVIRONMENT)
    host.testbed_site("nginx", "https")
    host.write("/var/lib/dpkg/status", "Package: nginx\nStatus: install ok installed\nVersion: 1.26.3-3+deb13u1\n")
    host.write("/run/systemd/system/x")
    runs(host, "nginx")
    site = site_of(host, packages=["nginx", "fail2ban"])
    assert site.problems == ()
    assert (site.root, site.version, site.installed) == ("/var/www/chamilo", "2.0.1", True)
    assert (site.distribution, site.codename, site.systemd) == ("Debian 13", "trixie", True)
    assert site.web == WebServer("nginx", False, "1.26.3", "www-data", "nginx", running=True)
    assert (site.php.version, site.php.sapi, site.php.service) == ("8.4", "fpm", "php8.4-fpm")
    assert (site.php.socket, site.php.user) == ("unix:/run/php/php8.4-fpm.sock", "www-data")
    assert site.database == Database("localhost", 3306, "/run/mysqld/mysqld.sock", "chamilo", "chamilo")
    assert site.environment["APP_ENV"] == "prod"
    assert site.environment_source["DATABASE_PASSWORD"] == "/var/www/chamilo/.env"
    assert site.secrets_default == ("JWT_PASSPHRASE",)
    assert [server.line for server in site.serving] == [1, 8]
    assert site.missing_packages == ("fail2ban",)
    shown = json.dumps(asdict(site))
    assert "never-shown" not in shown
    assert "a-secret" not in shown


def test_what_the_sections_would_else_ask_again(host):
    host.install("nginx")
    host.chamilo(env=ENVIRONMENT)
    site = site_of(host)
    assert (site.database.client, site.fail2ban, site.ssh_log, site.managed_from) == ("", False, False, "")
    host.write("/usr/lib/python3/dist-packages/pymysql/x")
    host.write("/etc/php/8.2/cli/php.ini")
    host.write("/etc/php/8.4/fpm/php.ini")
    host.write("/var/log/auth.log")
    host.write("/run/fail2ban/fail2ban.pid", "9\n")
    host.write("/proc/9/comm", "fail2ban-server\n")
    site = site_of(host)
    assert site.database.client == "/usr/lib/python3/dist-packages/pymysql"
    assert (site.php_folders, site.ssh_log) == (("/etc/php/8.2/cli", "/etc/php/8.4/fpm"), True)
    assert not site.fail2ban, "it would not be there after the next boot"
    host.link("/etc/systemd/system/multi-user.target.wants/fail2ban.service", "x")
    assert site_of(host).fail2ban


def test_what_php_says_about_uploads(host):
    host.install("nginx")
    host.chamilo()
    host.testbed_site("nginx", "plain")
    assert (site_of(host).php.upload_limit, site_of(host).php.post_limit) == (2 << 20, 8 << 20)
    assert site_of(host).php.time_limit == 30
    host.write("/etc/php/8.4/fpm/conf.d/30-own.ini", "max_execution_time = 300\n")
    assert site_of(host).php.time_limit == 300
    host.write("/etc/php/8.4/fpm/conf.d/20-own.ini", "upload_max_filesize = 16M\nauto_prepend_file = /opt/ini.php\n")
    pool = "[www]\nlisten = /run/php/php8.4-fpm.sock\nphp_admin_value[auto_prepend_file] = /opt/watch.php\n"
    host.write("/etc/php/8.4/fpm/pool.d/www.conf", pool)
    host.write("/etc/php/8.4/cli/conf.d/20-own.ini", "auto_prepend_file = /opt/cli.php\n")
    php = site_of(host).php
    assert (php.upload_limit, php.prepended, php.prepended_cli) == (16 << 20, "/opt/watch.php", "/opt/cli.php")


@pytest.mark.parametrize(
    ("root", "links", "document_root", "spellings"),
    [
        ("/var/www/chamilo", {}, "/var/www/chamilo/public", ["/var/www/chamilo"]),
        ("/var/www/chamilo", {}, "/var/www/chamilo/", ["/var/www/chamilo"]),
        ("/var/www/chamilo", {"/srv/web": "/var/www"}, "/srv/web", ["/srv/web/chamilo", "/var/www/chamilo"]),
        ("/var/www/chamilo", {"/srv/old": "/var/www/chamilo"}, "/srv/old", ["/srv/old", "/var/www/chamilo"]),
        (
            "/srv/campus/current",
            {"/srv/campus/current": "/srv/campus/releases/7"},
            "/srv/campus/current/public",
            ["/srv/campus/current", "/srv/campus/releases"],
        ),
        ("/var/www/chamilo", {"/var/www/chamilo": "/srv/chamilo-2"}, "", ["/srv/chamilo-2", "/var/www/chamilo"]),
    ],
)
def test_how_the_project_folder_is_written(host, root, links, document_root, spellings):
    host.install("nginx")
    host.chamilo(links.get(root, root))
    for link, target in links.items():
        host.link(link, str(host.root) + target)
    if document_root:
        host.write("/etc/nginx/sites-enabled/x", f"server {{ server_name campus.test; root {document_root}; }}")
    site = site_of(host, root=root)
    assert list(site.spellings) == spellings
    releases = "/srv/campus/releases/*"
    assert site.real_root == (releases if "current" in root else str(links.get(root, root)))


def test_apache(host):
    host.install("apache")
    host.chamilo()
    host.testbed_site("apache", "plain")
    site = site_of(host)
    assert site.problems == ()
    assert (site.web.name, site.web.user, site.web.service) == ("apache", "www-data", "apache2")
    assert "rewrite" in site.web.modules
    assert site.php.pool_file == "/etc/php/8.4/fpm/pool.d/www.conf"
    assert [server.file for server in site.serving] == ["/etc/apache2/sites-available/campus.conf"]


def test_apache_with_mod_php(host):
    host.install("apache")
    host.chamilo()
    (host.root / "etc/apache2/conf-enabled/php8.4-fpm.conf").unlink()
    host.write("/etc/apache2/mods-enabled/php8.4.load", "LoadModule php_module /usr/lib/apache2/modules/libphp8.4.so\n")
    host.write("/etc/php/8.4/apache2/php.ini")
    host.testbed_site("apache", "plain")
    php = site_of(host).php
    assert (php.version, php.sapi, php.service, php.user) == ("8.4", "mod_php", "apache2", "www-data")


def test_an_empty_host(host):
    site = site_of(host, packages=["nginx"])
    web, portal = site.problems
    assert web == "Neither nginx nor Apache is installed on this host. Install one to serve Chamilo."
    assert portal.startswith("No Chamilo was found: ")
    assert not site.takeover.possible
    with pytest.raises(SiteError, match="Neither nginx nor Apache.*No Chamilo was found"):
        site_of(host, require=True)


@pytest.mark.parametrize(
    "running, wanted, name, problem",
    [
        (["nginx", "apache"], "", "", "nginx and Apache are both installed and both running. Set chamilo_web_server"),
        ([], "", "", "nginx and Apache are both installed and neither of them running. Set chamilo_web_server"),
        (["nginx"], "", "nginx", None),
        (["apache"], "", "apache", None),
        (["nginx", "apache"], "apache", "apache", None),
    ],
)
def test_which_of_two_web_servers_counts(host, running, wanted, name, problem):
    host.install("nginx")
    host.install("apache")
    host.chamilo()
    for server in running:
        runs(host, server)
    site = site_of(host, web_server=wanted)
    assert site.web.both
    assert site.web.name == name
    if problem:
        assert site.problems[0].startswith(problem)
    else:
        assert site.problems == ()


def test_a_web_server_that_is_not_there(host):
    host.install("nginx")
    host.chamilo()
    with pytest.raises(SiteError, match='^chamilo_web_server is "apache", but there is no /usr/sbin/apache2'):
        site_of(host, web_server="apache", require=True)


@pytest.mark.parametrize("given, hint", [("/srv/none", False), ("/var/www/chamilo/public", True)])
def test_a_root_without_chamilo(host, given, hint):
    host.install("nginx")
    host.chamilo()
    (problem,) = site_of(host, root=given).problems
    assert problem.startswith(f'chamilo_root is "{given}", but no Chamilo is there: it has no public/main')
    assert ("It is the project folder, not its public/." in problem) is hint


def test_the_root_behind_the_virtual_host_wins(host):
    host.install("nginx")
    host.chamilo("/var/www/old")
    host.chamilo("/opt/learn/campus")
    host.site("nginx", "server {\n server_name campus.test;\n root /opt/learn/campus/public;\n}\n")
    assert site_of(host).root == "/opt/learn/campus"
    assert site_of(host, root="/var/www/old/").root == "/var/www/old"


def test_the_root_behind_a_default_server_with_the_wrong_document_root(host):
    host.install("nginx")
    host.chamilo("/opt/campus")
    host.site("nginx", "server {\n root /opt/campus;\n}\n")
    assert site_of(host).root == "/opt/campus"


def test_the_root_in_a_usual_place(host):
    host.install("nginx")
    host.chamilo("/srv/www/campus")
    host.write("/srv/www/other/public/index.php")
    assert site_of(host).root == "/srv/www/campus"
    host.chamilo("/var/www/second")
    (problem,) = site_of(host).problems
    assert problem.startswith("Several Chamilo portals are on this host (/var/www/second, /srv/www/campus)")


def test_a_project_without_console_is_known_by_its_composer_file(host):
    host.install("nginx")
    host.write("/srv/campus/public/main/index.php")
    host.write("/srv/campus/composer.json", '{"name": "chamilo/chamilo-lms"}')
    assert site_of(host).root == "/srv/campus"


@pytest.mark.parametrize(
    "text, version",
    [
        ("<?php\nreturn ['new_version' => '2.0.0', 'new_version_status' => 'RC'];", "2.0.0"),
        ("<?php\n$new_version = '2.0.1';\n$new_version_status = '';", "2.0.1"),
        ('<?php\n$new_version_status = "stable";', ""),
    ],
)
def test_the_version(host, text, version):
    host.install("nginx")
    host.chamilo()
    host.write("/var/www/chamilo/public/main/install/version.php", text)
    assert site_of(host).version == version


def test_the_pool_that_the_virtual_host_names(host):
    host.install("nginx")
    host.chamilo(env="APP_ENV=dev\n")
    host.write("/etc/php/8.2/fpm/pool.d/campus.conf", "[campus]\nlisten = 9001\nuser = campus\nenv[APP_ENV] = prod\n")
    host.site(
        "nginx",
        "upstream php { server 127.0.0.1:9001; }\nserver {\n server_name campus.test;\n root /var/www/chamilo/public;\n"
        " location ~ \\.php$ { fastcgi_pass php; fastcgi_param APP_DEBUG 1; }\n}\n",
    )
    site = site_of(host)
    assert site.problems == ()
    assert (site.php.socket, site.php.user, site.php.service) == ("127.0.0.1:9001", "campus", "php8.2-fpm")
    assert site.environment["APP_ENV"] == "prod"
    assert site.environment_source["APP_ENV"] == "/etc/php/8.2/fpm/pool.d/campus.conf:4"
    assert site.environment["APP_DEBUG"] == "1"


def test_a_socket_that_no_pool_serves(host):
    host.install("nginx")
    host.chamilo()
    host.site("nginx", "server {\n server_name campus.test;\n fastcgi_pass unix:/run/php/gone.sock;\n}\n")
    site = site_of(host)
    assert site.problems == ("PHP goes to unix:/run/php/gone.sock, but no pool below /etc/php listens there.",)
    assert (site.php.sapi, site.php.socket, site.php.service) == ("fpm", "unix:/run/php/gone.sock", "")


def test_the_drop_ins_of_the_site_are_told_from_others(host):
    host.install("nginx")
    host.chamilo()
    host.site("nginx", "server {\n server_name campus.test;\n include sites-available/chamilo-campus.d/*.conf;\n}\n")
    assert site_of(host, site="campus").serving[0].includes_ours
    assert not site_of(host, site="camp").serving[0].includes_ours
    assert not site_of(host).serving[0].includes_ours


@pytest.mark.parametrize(
    "text, since, problems", [('{"since": "2026-11-25"}', "2026-11-25", 0), ("{", "", 1), ("[]", "", 1)]
)
def test_since_when_hsts_is_sent(host, text, since, problems):
    host.install("nginx")
    host.chamilo()
    host.write("/var/lib/chamilo-hardening/hsts-campus.json", text)
    site = site_of(host, site="campus")
    assert site.hsts_since == since
    assert len(site.problems) == problems
    assert site_of(host).hsts_since == ""


def test_certificate_files_are_looked_at_when_they_are_given(host):
    host.install("nginx")
    host.chamilo()
    with pytest.raises(SiteError, match='^chamilo_https_certificate_file is "/none.pem"'):
        site_of(host, certificate_file="/none.pem", certificate_key_file="/none.key", require=True)


def test_what_a_user_may_not_read_is_said(open_host, nobody):
    open_host.install("nginx")
    open_host.chamilo()
    open_host.testbed_site("nginx", "plain")
    (open_host.root / "var/www/chamilo/.env").chmod(0)
    (open_host.root / "etc/php/8.4/fpm/pool.d/www.conf").chmod(0)
    with nobody():
        site = site_of(open_host)
    assert site.root == "/var/www/chamilo"
    assert site.secrets_default == ()
    assert "/var/www/chamilo/.env cannot be read: Permission denied." in site.problems
    assert "/etc/php/8.4/fpm/pool.d/www.conf cannot be read: Permission denied." in site.problems


def test_a_project_a_user_may_not_enter_is_said(open_host, nobody):
    open_host.install("nginx")
    open_host.chamilo()
    (open_host.root / "var/www/chamilo").chmod(0)
    with nobody():
        site = site_of(open_host, root="/var/www/chamilo")
    (open_host.root / "var/www/chamilo").chmod(0o755)
    assert site.problems[-1].startswith("This user may not look at /var/www/chamilo/public/main")
