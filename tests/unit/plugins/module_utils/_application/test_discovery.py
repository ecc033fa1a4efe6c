# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application import discovery
from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovery import discover, unfit
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Database, SiteError
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.web_server import WebServer
from tests.testbed import authority


def site_of(host, **options):
    return discover("campus.test", tree=host.tree, **options)


def runs(host, server):
    pid_file, name = {"nginx": ("/run/nginx.pid", "nginx"), "apache": ("/run/apache2/apache2.pid", "apache2")}[server]
    pid = {"nginx": 71, "apache": 72}[server]
    host.write(pid_file, f"{pid}\n")
    host.write(f"/proc/{pid}/comm", f"{name}\n")


ENVIRONMENT = """APP_ENV=prod
APP_INSTALLED='1'
APP_SECRET=6f1c0b7e94d25a83c1f0e7b2a9d46358
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
    assert (site.root, site.version, site.installed) == ("/var/www/chamilo", "2.0.4", True)
    assert (site.distribution, site.systemd) == ("Debian 13", True)
    assert site.web == WebServer("nginx", "1.26.3", "www-data", "nginx", running=True)
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


def test_who_may_write_what_the_web_server_logs(host):
    host.install("nginx")
    host.chamilo()
    host.testbed_site("nginx", "plain")
    log, file = "/var/log/nginx/access.log", "/etc/logrotate.d/00-chamilo-hardening"
    host.write("/etc/nginx/nginx.conf", f"http {{ access_log {log}; include /etc/nginx/sites-enabled/*; }}")
    host.write("/etc/logrotate.d/nginx", "/var/log/nginx/*.log {\n create 0640 www-data adm\n}\n")
    host.write(log, "")
    pool = "[www]\nuser = {}\nlisten = /run/php/php8.4-fpm.sock\n"
    host.write("/etc/php/8.4/fpm/pool.d/www.conf", pool.format("www-data"))
    site = site_of(host)
    assert " create 0640 root adm\n" in site.log_rotation and site.exposed_logs == {}
    (host.root / log[1:]).chmod(0o646)
    assert site_of(host).exposed_logs == {log: file}
    alias = log.replace("access", "alias")  # of another name of the portal
    host.write(alias, "")
    (host.root / alias[1:]).chmod(0o646)
    server = f"server {{ server_name library.test; root /var/www/chamilo/public; access_log {alias}; }}"
    host.site("nginx", server, "alias.conf")
    assert site_of(host).exposed_logs == {alias: file, log: file}
    (host.root / "etc/nginx/sites-enabled/alias.conf").unlink()
    (host.root / log[1:]).parent.chmod(0o777)
    assert site_of(host).exposed_logs == {log: ""}, "he would put another one in its place"
    host.write("/etc/php/8.4/fpm/pool.d/www.conf", pool.format("nobody"))
    assert site_of(host).log_rotation == "", "the logs are those of the web server's user, as whom no PHP runs"


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("#Automatically Generated by clamav-daemon postinst\n", False),
        ("# Managed by Ansible: chamilo.hardening\n", False),
        ("LogTime true\n", True),
    ],
)
def test_whose_scanner_it_is(host, text, own):
    host.install("nginx")
    host.chamilo()
    assert (site_of(host).clamd_own, site_of(host).memory) == (False, 0)
    host.write("/etc/clamav/clamd.conf", text)
    host.write("/proc/meminfo", "MemTotal:        2048000 kB\nMemFree: 1 kB\n")
    assert (site_of(host).clamd_own, site_of(host).memory) == (own, 2048000 * 1024)


def test_what_php_is_set_to(host):
    host.install("nginx")
    host.chamilo()
    host.testbed_site("nginx", "plain")
    assert site_of(host).php.time_limit == 30
    host.write("/etc/php/8.4/fpm/conf.d/30-own.ini", "max_execution_time = 300\n")
    assert site_of(host).php.time_limit == 300
    host.write("/etc/php/8.4/fpm/conf.d/20-own.ini", "auto_prepend_file = /opt/ini.php\n")
    pool = "[www]\nlisten = /run/php/php8.4-fpm.sock\nphp_admin_value[auto_prepend_file] = /opt/watch.php\n"
    host.write("/etc/php/8.4/fpm/pool.d/www.conf", pool)
    host.write("/etc/php/8.4/cli/conf.d/20-own.ini", "auto_prepend_file = /opt/cli.php\n")
    php = site_of(host).php
    assert (php.prepended, php.prepended_cli) == ("/opt/watch.php", "/opt/cli.php")


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
    assert site.own_host.refused == {} and site.in_place.blocks == ()
    with pytest.raises(SiteError, match="Neither nginx nor Apache.*No Chamilo was found"):
        site_of(host, require=True)


@pytest.mark.parametrize(
    "running, desired, name, problem",
    [
        (["nginx", "apache"], "", "", "nginx and Apache are both installed and both running. Set chamilo_web_server"),
        ([], "", "", "nginx and Apache are both installed and neither of them running. Set chamilo_web_server"),
        (["nginx"], "", "nginx", None),
        (["apache"], "", "apache", None),
        (["nginx", "apache"], "apache", "apache", None),
    ],
)
def test_which_of_two_web_servers_counts(host, running, desired, name, problem):
    host.install("nginx")
    host.install("apache")
    host.chamilo()
    for server in running:
        runs(host, server)
    site = site_of(host, web_server=desired)
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


POOL = "[www]\nuser = www-data\nlisten = /run/php/php{0}-fpm.sock\n"


@pytest.mark.parametrize("left", [True, False], ids=["its configuration is left", "purged"])
@pytest.mark.parametrize("ours", [True, False], ids=["ours", "somebody's own"])
def test_after_an_upgrade_our_virtual_host_gets_the_php_that_is_there(host, ours, left):
    host.install("nginx")
    host.chamilo()
    if left:
        host.write("/etc/php/8.2/fpm/pool.d/www.conf", POOL.format("8.2"))
    host.write("/etc/php/8.4/fpm/pool.d/www.conf", POOL.format("8.4"))
    host.write("/usr/sbin/php-fpm8.4")
    head = "# Managed by Ansible: chamilo.hardening, section https.\n" if ours else ""
    old = "unix:/run/php/php8.2-fpm.sock"
    host.site("nginx", f"{head}server {{\n server_name campus.test;\n fastcgi_pass {old};\n}}\n")
    site = site_of(host)
    if ours:
        assert (site.php.socket, site.php.service) == ("unix:/run/php/php8.4-fpm.sock", "php8.4-fpm")
        assert site.problems == ()
    else:
        assert site.problems == (f"PHP goes to {old}, but no pool below /etc/php listens there.",)


def test_after_an_upgrade_php_is_no_user_of_its_own_until_it_gets_one_again(host):
    host.install("nginx")
    host.chamilo()
    host.write("/etc/php/8.2/fpm/pool.d/chamilo-campus_test.conf", POOL.format("8.2").replace("[www]", "[chamilo]"))
    host.write("/etc/php/8.4/fpm/pool.d/www.conf", POOL.format("8.4"))
    host.write("/usr/sbin/php-fpm8.4")
    host.site(
        "nginx",
        "# Managed by Ansible: chamilo.hardening, section https.\n"
        "server {\n server_name campus.test;\n fastcgi_pass unix:/run/chamilo-campus_test.sock;\n}\n",
    )
    site = site_of(host)
    assert (site.php.socket, site.php.user) == ("unix:/run/php/php8.4-fpm.sock", "www-data")


def test_the_drop_ins_of_the_site_are_reported_from_others(host):
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


def test_certificate_files_are_checked_when_they_are_given(host):
    host.install("nginx")
    host.chamilo()
    with pytest.raises(SiteError, match='^chamilo_https_certificate_file is "/none.pem"'):
        site_of(host, certificate_file="/none.pem", certificate_key_file="/none.key", require=True)


@pytest.mark.parametrize(
    ("names", "lacks"),
    [
        (("campus.test", "*.campus.test"), ()),
        (("*.campus.test",), ("campus.test",)),  # a wildcard is for one label more
        (("campus.test", "*.test"), ("*.campus.test", "www.campus.test", "de.campus.test", "a.b.campus.test")),
    ],
)
def test_a_wildcard_certificate_that_is_given_as_files_is_for_all_names_it_covers(host, names, lacks):
    host.install("nginx")
    host.chamilo()
    written = ".campus.test www.campus.test de.campus.test" + (" a.b.campus.test" if "*.test" in names else "")
    host.site("nginx", f"server {{ listen 443 ssl; server_name {written}; root /var/www/chamilo/public; }}\n")
    host.write("/etc/ssl/given.pem", authority.issue(*names)[0])
    site = site_of(host, certificate_file="/etc/ssl/given.pem", certificate_key_file="/etc/ssl/given.key")
    assert site.portal_names[0] == "campus.test" and "*.campus.test" in site.portal_names
    assert site.given.names == names and {*site.given.lacks} == {*lacks}


def test_what_a_user_may_not_read_is_reported(open_host, nobody):
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


@pytest.mark.parametrize(
    ("name", "version", "fits"),
    [
        ("Debian GNU/Linux", "11", False),
        ("Debian GNU/Linux", "12", True),
        ("Debian GNU/Linux", "", True),  # testing
        ("Ubuntu", "22.04", False),
        ("Ubuntu", "24.04", True),
        ("Linux Mint", "21", True),  # nothing is known of it
    ],
)
def test_a_release_that_is_too_old_is_only_inspected(host, name, version, fits):
    host.install("nginx")
    host.chamilo(env=ENVIRONMENT)
    host.write("/etc/os-release", f'NAME="{name}"\nVERSION_ID="{version}"\n')
    site = site_of(host, require=True)
    output = unfit(site, ["headers"], host.tree)
    assert bool(output) is not fits
    if output:
        assert f"This host is {name.split()[0]} {version}" in output[0] and "Debian 12 or Ubuntu 24.04" in output[0]
    assert unfit(site, [], host.tree) == []


@pytest.mark.parametrize(
    ("programs", "where", "refused"),
    [
        (["/usr/sbin/mysqld", "/usr/bin/mysql"], "localhost", "database,backups"),
        (["/usr/sbin/mysqld", "/usr/bin/mysql"], "192.0.2.9", "backups"),
        (["/usr/sbin/mysqld", "/usr/sbin/mariadbd", "/usr/bin/mysql", "/usr/bin/mariadb"], "localhost", ""),
        (["/usr/bin/mysql"], "192.0.2.9", "backups"),
        ([], "localhost", ""),
    ],
)
def test_mysql_is_not_put_aside_for_mariadb(host, programs, where, refused):
    host.install("nginx")
    host.chamilo(env=ENVIRONMENT.replace("localhost", where))
    for program in programs:
        host.write(program)
    site = site_of(host)
    output = unfit(site, ["https", "database", "backups", "monitoring"], host.tree)
    assert len(output) == bool(refused)
    if refused:
        assert "MySQL" in output[0] and output[0].endswith(f"--skip-tags {refused}") and programs[0] in output[0]
    assert unfit(site, ["https", "monitoring"], host.tree) == []


def test_on_a_host_of_the_database_alone_it_is_the_portal_s(host):
    host.write("/usr/sbin/mysqld")
    assert "--skip-tags database" in unfit(site_of(host), ["database"], host.tree)[0]


def test_a_package_may_be_named_after_the_php_that_serves_the_portal(host):
    host.install("nginx")
    host.chamilo()
    host.testbed_site("nginx", "plain")
    for version in ("8.3", "8.4"):
        host.write(f"/etc/php/{version}/fpm/php.ini")
    host.write("/etc/php/8.4/fpm/pool.d/www.conf", "[www]\nuser = www-data\nlisten = /run/php/php8.4-fpm.sock\n")
    host.write("/var/lib/dpkg/status", "Package: php8.3-redis\nStatus: install ok installed\nVersion: 1\n")
    assert site_of(host, packages=["php{php}-redis"]).missing_packages == ("php8.4-redis",)
    host.write("/var/lib/dpkg/status", "Package: php8.4-redis\nStatus: install ok installed\nVersion: 1\n")
    assert site_of(host, packages=["php{php}-redis"]).missing_packages == ()


@pytest.mark.parametrize("other", ["systemd-cron", "cronie", "bcron"])
def test_who_has_another_cron_lacks_none(host, other):
    host.install("nginx")
    host.write("/var/lib/dpkg/status", f"Package: {other}\nStatus: install ok installed\nVersion: 1\n")
    assert site_of(host, packages=["cron", "restic"]).missing_packages == ("restic",)


@pytest.mark.parametrize(
    ("server", "directory", "site"),
    [
        ("nginx", "/etc/nginx", "server {{ listen 80; {include}; }}"),
        ("apache", "/etc/apache2", "<VirtualHost *:80>\n{include}\n</VirtualHost>\n"),
    ],
)
def test_files_of_ours_that_no_virtual_host_includes_are_found(host, server, directory, site):
    host.install(server)
    used, unused = (f"{directory}/sites-available/chamilo-{name}.d/headers.conf" for name in ("campus", "old"))
    host.site(server, site.format(include=f"include {directory}/sites-available/chamilo-campus.d/*.conf"))
    others = ["/etc/x.conf", f"{directory}/sites-available/other.d/x.conf", f"{directory}/sites-available/campus.conf"]
    assert discovery.unused_drop_ins([used, unused, *others], host.tree) == {unused}
    assert discovery.unused_drop_ins(others, host.tree) == set()


def test_what_is_wrong_with_the_web_servers_configuration_is_a_problem(host):
    host.install("nginx")
    host.chamilo()
    host.testbed_site("nginx", "plain")
    host.site("nginx", "include /etc/nginx/gone.conf;\n", "more.conf")
    assert any("/etc/nginx/gone.conf" in problem for problem in site_of(host).problems)
