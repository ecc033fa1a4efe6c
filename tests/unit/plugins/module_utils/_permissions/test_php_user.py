# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real files, as root; only the commands are not run, and who owns what is only recorded."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from unittest.mock import Mock

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.services import Machine
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import (
    php_accounts,
    php_files,
    php_pool,
    php_user,
    php_ways,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.php_accounts import PhpUserError
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.policy import PermsError
from ansible_collections.chamilo.hardening.plugins.module_utils._portal import php_fpm
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Listen, VirtualHost
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.site import Php, Site, WebServer
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.plan import Outcome, plan

OWN, OLD = "daemon", "www-data"  # accounts that each host has, with a group of that name
POOL = "[{name}]\nuser = {user}\ngroup = {user}\nlisten = {listen}\npm = ondemand\nenv[SECRET] = s3cret\n"


class Host:
    """A portal and a shop, each with a virtual host that names a socket."""

    def __init__(self, directory):
        self.directory = directory
        self.commands = []
        self.rights = []
        self.fails = None
        self.ours = True  # the virtual host of the portal
        self.window = ""
        self.sapi = "fpm"
        self.web = "nginx"
        self.crontabs = {}
        self.root = directory / "chamilo"
        for name in ("chamilo/public", "8.4/fpm/pool.d", "8.4/fpm/conf.d", "cron.d", "etc", "run", "nginx"):
            (directory / name).mkdir(parents=True)
        self.write("8.4/fpm/pool.d/www.conf", POOL.format(name="www", user=OLD, listen=self.socket("www")))
        self.write("nginx/nginx.conf", "user www-data;\nevents {}\n")
        self.write("campus", f"fastcgi_pass unix:{self.socket('www')};\n")
        self.write("shop", f"fastcgi_pass unix:{self.socket('www')};\n")
        self.write("cron.d/campus", f"* * * * * {OLD} php {self.root}/bin/console x\n")
        self.engine = Engine(str(directory / "state"), Machine(self.run, systemd=True, program=sys.executable))

    def socket(self, name):
        return str(self.directory / "run" / f"{name}.sock")

    def write(self, name, text):
        (self.directory / name).write_text(text)

    def read(self, name):
        return (self.directory / name).read_text()

    def run(self, argv, _seconds):
        self.commands.append(" ".join(argv))
        argv = list(argv)
        if argv[:2] == ["crontab", "-u"]:
            if argv[3] == "-l":
                return (0, self.crontabs[argv[2]]) if argv[2] in self.crontabs else (1, "no crontab")
            self.crontabs.pop(argv[2], None)
            if argv[3] != "-r":
                with open(argv[3], encoding="utf-8") as file:
                    self.crontabs[argv[2]] = file.read().rstrip("\n")
        return 0, ""

    def pools(self, _tree):
        found = []
        for path in sorted((self.directory / "8.4/fpm/pool.d").glob("*.conf")):
            found += [
                replace(one, file=str(path))
                for one in php_fpm._parse(path.read_text(), "/etc/php/8.4/fpm/pool.d/x.conf")
            ]
        return found, []

    def discover(self, *_given, **_more):
        def host(name, root, ours):
            php = re.search(r"unix:[^;|]+", self.read(name))[0]
            return VirtualHost(
                str(self.directory / name),
                1,
                (f"{name}.test",),
                (Listen("*", 80, tls=False),),
                root,
                php=php,
                ours=ours,
            )

        hosts = (host("campus", f"{self.root}/public", self.ours), host("shop", "/srv/shop", ours=False))
        pool = next(one for one in self.pools(None)[0] if one.address == hosts[0].php)
        php = Php("8.4", self.sapi, "php8.4-fpm", pool.address, pool.file, pool.user, pool.group)
        web = WebServer(self.web, user=OLD, service={"nginx": "nginx", "apache": "apache2"}[self.web])
        return Site("campus.test", str(self.root), web=web, php=php, virtual_hosts=hosts)

    def apply(self, tree, *_more, **_probe):
        if self.fails and tree["web_user"] == self.fails:
            raise PermsError("The portal's health check failed.")
        self.rights.append((tree["web_user"], tree["group"]))

    def go(self, own=True, check=False, **more):
        desired = php_user.Desired("campus", own, "campus.test", tree={"path": str(self.root), "owner": "root"}, **more)
        return php_user.Switch(desired, self.engine).go(check)

    def picture(self):
        return {
            str(path): path.read_bytes()
            for path in self.directory.rglob("*")
            if path.is_file() and "state" not in path.parts
        }


@pytest.fixture
def host(tmp_path, monkeypatch):
    made = Host(tmp_path)
    monkeypatch.setattr(php_files, "_PHP", str(tmp_path))
    monkeypatch.setattr(php_files, "_CRON", f"{tmp_path}/cron.d/*")
    monkeypatch.setattr(php_files, "_MEMO", f"{tmp_path}/etc/php_user-{{site}}.json")
    monkeypatch.setattr(php_files, "_NGINX", f"{tmp_path}/nginx/nginx.conf")
    monkeypatch.setattr(php_files, "_APACHE_GROUP", f"{tmp_path}/etc/group.conf")
    monkeypatch.setattr(php_accounts, "_UNITS", f"{tmp_path}/*.service")
    monkeypatch.setattr(php_pool, "account", lambda _word: OWN)
    monkeypatch.setattr(php_ways.php_fpm, "pools", made.pools)
    monkeypatch.setattr(php_ways.Ways, "_names", lambda self, address, without: False)
    monkeypatch.setattr(php_user, "discover", made.discover)
    monkeypatch.setattr(php_user.permissions_window, "apply", made.apply)
    monkeypatch.setattr(
        php_user.permissions_window.Windows,
        "at",
        lambda self, path: type("W", (), {"description": lambda _: made.window})() if made.window else None
    )  # fmt: skip
    monkeypatch.setattr(php_user.logins, "hand_over", lambda site, mode, old, new: made.rights.append((old, new)))
    # The socket of the portal's own pool.
    init = php_files.PoolFiles.__init__

    def own_socket(self, *given):
        init(self, *given)
        self.socket = f"unix:{made.socket('campus')}"

    monkeypatch.setattr(php_files.PoolFiles, "__init__", own_socket)
    return made


def test_php_gets_a_user_of_its_own_and_loses_it_byte_for_byte(host):
    before = host.picture()
    host.crontabs = {OLD: f"7 3 * * * php {host.root}/bin/console x\n8 3 * * * true"}
    done = host.go()
    assert done.changed and (done.site.php.user, done.site.php.socket) == (OWN, f"unix:{host.socket('campus')}")
    assert host.read("campus") == f"fastcgi_pass unix:{host.socket('campus')};\n"
    assert host.read("shop") == f"fastcgi_pass unix:{host.socket('www')};\n"
    assert "user www-data chamilo-web;" in host.read("nginx/nginx.conf")
    assert host.read("cron.d/campus").startswith(f"* * * * * {OWN} php")
    pool = host.read("8.4/fpm/pool.d/chamilo-campus.conf")
    assert f"user = {OWN}\n" in pool and "pm = ondemand\nenv[SECRET] = s3cret\n" in pool
    assert host.rights == [(OWN, OWN), (OLD, OWN)]
    assert host.crontabs == {OLD: "8 3 * * * true", OWN: f"7 3 * * * php {host.root}/bin/console x"}
    joined, tested = (next(n for n, one in enumerate(host.commands) if word in one) for word in (f"--add {OWN}", "-t"))
    assert joined < tested, "the new user can do what the old one could before it serves anybody"
    assert not host.go().changed and not host.go(check=True).changed

    done = host.go(own=False)
    assert done.changed and done.site.php.user == OLD
    assert host.rights[2:] == [(OLD, OLD), (OWN, OLD)]
    assert host.picture() == before
    assert host.crontabs[OLD].splitlines() == ["8 3 * * * true", f"7 3 * * * php {host.root}/bin/console x"]
    assert OWN not in host.crontabs and php_files.tracked(host.engine) == []
    assert not host.go(own=False).changed


def test_no_process_of_php_keeps_what_a_group_gave_that_its_user_leaves(host, monkeypatch):
    monkeypatch.setattr(php_accounts.grp, "getgrnam", lambda _name: Mock(gr_mem=[OWN]))
    switch = php_user.Switch(php_user.Desired("campus", True, "campus.test", group="staff"), host.engine)
    switch.site = host.discover()
    switch._leave(OWN, "staff")
    switch._leave(OWN, "")
    assert host.commands == []
    switch._leave(OWN, "teachers")
    assert [one for one in host.commands if "MainPID" not in one] == [
        f"gpasswd --delete {OWN} teachers",
        "systemctl try-reload-or-restart php8.4-fpm",
        "systemctl try-reload-or-restart nginx",
    ]


def test_what_its_owner_changes_meanwhile_stays(host):
    host.go()
    host.write("8.4/fpm/pool.d/www.conf", host.read("8.4/fpm/pool.d/www.conf") + "pm.max_children = 9\n")
    host.write("nginx/nginx.conf", "# mine\n" + host.read("nginx/nginx.conf"))
    host.write("cron.d/campus", host.read("cron.d/campus") + "# mine\n")
    assert host.go().changed
    assert "pm.max_children = 9" in host.read("8.4/fpm/pool.d/chamilo-campus.conf")
    assert not host.go().changed
    host.go(own=False)
    assert host.read("nginx/nginx.conf") == "# mine\nuser www-data;\nevents {}\n"
    assert host.read("cron.d/campus") == f"* * * * * {OLD} php {host.root}/bin/console x\n# mine\n"


@pytest.mark.parametrize("own", [True, False])
def test_where_a_page_fails_all_is_as_before(host, own):
    if not own:
        host.go()
    before = host.picture()
    host.fails = OWN if own else OLD
    with pytest.raises(PhpUserError, match="runs as .*, as before. The portal's health check failed."):
        host.go(own)
    assert host.picture() == before
    assert host.rights[-1] == ((OWN, OLD) if own else (OLD, OWN))


@pytest.mark.parametrize("own", [True, False])
def test_where_a_page_fails_in_the_end_all_is_as_before(host, own, monkeypatch):
    """Owners and modes are right, and PHP as the new user answers otherwise."""
    if not own:
        host.go()
    before = host.picture()
    monkeypatch.setattr(php_user.Pages, "broken", lambda _pages: "/ answers 500, and 200 before")
    old, new = (OLD, OWN) if own else (OWN, OLD)
    with pytest.raises(PhpUserError, match=f"runs as {old}, as before: as {new}, / answers 500, and 200 before.$"):
        host.go(own)
    assert host.picture() == before
    assert host.rights[-1] == (new, old)


def test_in_a_virtual_host_of_its_owner_he_changes_the_line(host):
    host.ours = False
    before = host.picture()
    done = host.go()
    assert done.changed and done.site.php.user == OLD and not host.rights
    assert f"Write there: fastcgi_pass unix:{host.socket('campus')};" in done.reported[0]
    assert f"user = {OLD}\n" in host.read("8.4/fpm/pool.d/chamilo-campus.conf")
    assert not host.go().changed and host.go().reported[0] == done.reported[0]
    host.write("campus", f"fastcgi_pass unix:{host.socket('campus')};\n")
    assert host.go().site.php.user == OWN and host.rights[0] == (OWN, OWN)
    assert not host.go().changed

    done = host.go(own=False)
    assert done.site.php.user == OLD and f"Write there: fastcgi_pass unix:{host.socket('www')};" in done.reported[0]
    assert php_files.tracked(host.engine) == ["campus"], "its pool stays while the line leads there"
    host.write("campus", f"fastcgi_pass unix:{host.socket('www')};\n")
    host.go(own=False)
    assert host.picture() == before and php_files.tracked(host.engine) == []


def test_a_pool_of_the_portal_alone_is_replaced_where_it_listens(host):
    host.ours = False
    host.write("8.4/fpm/pool.d/campus.conf", POOL.format(name="campus", user=OLD, listen=host.socket("own")))
    host.write("campus", f"fastcgi_pass unix:{host.socket('own')};\n")
    host.write("8.4/fpm/pool.d/shop.conf", POOL.format(name="shop", user="nobody", listen=host.socket("shop")))
    host.write("shop", f"fastcgi_pass unix:{host.socket('shop')};\n")
    before = host.picture()
    done = host.go()
    assert (done.site.php.user, done.site.php.socket) == (OWN, f"unix:{host.socket('own')}")
    assert not (host.directory / "8.4/fpm/pool.d/campus.conf").exists()
    assert "env[SECRET] = s3cret" in host.read("8.4/fpm/pool.d/chamilo-campus.conf")
    assert "systemctl try-restart php8.4-fpm" in host.commands
    assert not host.go().changed
    host.go(own=False)
    assert host.picture() == before


def test_a_user_that_no_other_site_has_stays(host):
    host.write("8.4/fpm/pool.d/campus.conf", POOL.format(name="campus", user="nobody", listen=host.socket("own")))
    host.write("campus", f"fastcgi_pass unix:{host.socket('own')};\n")
    host.write("8.4/fpm/pool.d/shop.conf", POOL.format(name="shop", user=OWN, listen=host.socket("shop")))
    host.write("shop", f"fastcgi_pass unix:{host.socket('shop')};\n")
    done = host.go()
    assert not done.changed and done.reported == [
        "PHP of campus.test runs as nobody, which no other site of this host does."
    ]


def test_apache_gets_its_group_by_a_file_of_its_own(host):
    host.web = "apache"
    host.go()
    assert "\nGroup chamilo-web\n" in host.read("etc/group.conf")
    assert host.read("nginx/nginx.conf").startswith("user www-data;")
    assert "apache2ctl configtest" in host.commands
    host.go(own=False)
    assert not (host.directory / "etc/group.conf").exists()


def test_a_check_touches_nothing(host):
    before = host.picture()
    assert host.go(check=True).changed
    assert host.picture() == before and not host.commands
    host.go()
    before = host.picture()
    assert host.go(own=False, check=True).changed
    assert host.picture() == before


def test_mod_php_has_one_user_for_all_sites(host):
    host.sapi = "mod_php"
    done = host.go()
    assert not done.changed and "mod_php" in done.reported[0]


def test_what_cannot_be_is_refused(host):
    before = host.picture()
    with pytest.raises(PhpUserError, match="^chamilo_web_user: www-data. .* Leave chamilo_web_user empty.$"):
        host.go(web_user=OLD)
    host.window = "it is open until noon"
    with pytest.raises(PhpUserError, match="it is open until noon. Run `chamilo-hardening window close` first.$"):
        host.go()
    assert host.picture() == before and not host.commands


def test_back_needs_no_ansible(host, monkeypatch):
    with pytest.raises(PhpUserError, match="has no user of its own here"):
        php_user.back("campus", host.engine)
    before = host.picture()
    host.go()
    tree = {"path": str(host.root), "owner": "root", "web_user": OWN, "group": OWN}
    monkeypatch.setattr(
        php_user.permissions_window, "site", lambda name: php_user.permissions_window.Site(name, tree, {})
    )
    assert php_user.back("campus", host.engine).site.php.user == OLD
    assert host.picture() == before


def test_a_job_of_systemd_is_named(host):
    host.write("worker.service", f"[Service]\nUser={OLD}\nExecStart=php {host.root}/bin/console messenger:consume\n")
    assert host.go().reported == [
        f"{host.directory}/worker.service: runs the portal's program as {OLD}. Write User={OWN} there, and restart it."
    ]


def test_what_other_sections_wrote_is_tested_as_the_new_user(host):
    """Their undo runs the console of the portal, which the old user can no longer do."""

    def console(user, root=host.root):
        return ["runuser", "-u", user, "--", "env", f"--chdir={root}", "php8.4", "bin/console", "cache:clear"]

    for name, root in (("campus", host.root), ("shop", "/srv/shop")):
        files = [{"path": str(host.directory / f"{name}.yaml"), "content": "x\n"}]
        tests = [["nginx", "-t"], console(OLD, root)]
        host.engine.apply(plan({"name": f"sessions:{name}.application", "files": files, "test": tests}), Outcome())

    def tests(name="campus"):
        return host.engine.store.peek()["records"][f"sessions:{name}.application"]["test"]

    host.go(check=True)
    assert tests() == [["nginx", "-t"], console(OLD)]
    host.go()
    assert tests() == [["nginx", "-t"], console(OWN)] and tests("shop")[1] == console(OLD, "/srv/shop")
    host.fails = OLD
    with pytest.raises(PhpUserError):
        host.go(own=False)
    assert tests()[1] == console(OWN), "it runs as before"
    host.fails = None
    host.go(own=False)
    assert tests()[1] == console(OLD)
    host.commands.clear()
    host.engine.undo("sessions:campus.application", Outcome())
    assert " ".join(console(OLD)) in host.commands
