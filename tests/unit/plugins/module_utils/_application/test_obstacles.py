# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pwd
import re
import socket
import time
from dataclasses import replace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application import obstacles as portal_obstacles
from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import Reader
from ansible_collections.chamilo.hardening.plugins.module_utils._application.declared import SECTIONS
from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovery import discover
from ansible_collections.chamilo.hardening.plugins.module_utils._application.obstacle import Obstacle, report
from ansible_collections.chamilo.hardening.plugins.module_utils._application.obstacles import (
    HEADERS,
    Desired,
    Host,
    misnamed,
    observe,
    obstacles,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Database, Site
from ansible_collections.chamilo.hardening.plugins.module_utils._application.virtual_hosts import Planned
from ansible_collections.chamilo.hardening.plugins.module_utils._common.mounts import Mount
from ansible_collections.chamilo.hardening.plugins.module_utils._php.php import Php
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver import planned
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.configuration import VirtualHost
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.planned import OwnHost

NOW = 1795000000.0
ALL = Desired(sections=SECTIONS, controller_time=NOW, install={"monitoring": ["monit"], "backups": ["restic"]})
SERVING = VirtualHost("campus.conf", 1, ("campus.example.org",), (), "/var/www/chamilo/public")


def site(**facts):
    return Site("campus.example.org", **{"root": "/var/www/chamilo", "serving": (SERVING,), "sendmail": True, **facts})


def test_a_host_as_it_should_be_has_none():
    assert obstacles(site(), Host(now=NOW), ALL) == []


EVERY = tuple(SECTIONS)


@pytest.mark.parametrize(
    ("host", "desired", "costs", "words"),
    [
        ({"read_only": ("/var",)}, {}, EVERY, ["File system /var: read-only.", "mount -o remount,rw /var"]),
        ({"not_mounted": ("/srv",)}, {}, (), ["File system /srv: not mounted.", "mount /srv"]),
        ({"free": {"/": 100, "/var": 5000}}, {}, EVERY, ["Free space on /: 100 MiB.", "256 MiB"]),
        (
            {"free": {"/var/www/chamilo/var/upload": 100}},
            {},
            ("brute_force", "passwords", "permissions", "sessions", "uploads", "backups"),
            ["Free space on /var/www/chamilo/var/upload: 100 MiB."],
        ),
        (
            {"no_database": "db1.internal: Connection refused"},
            {"sections": ["https", "database", "monitoring"]},
            ("database", "monitoring"),
            ["Database on db1.internal: Connection refused. The portal needs it", "Start it"],
        ),
        (
            {"mirror": "deb.example: not found in the DNS"},
            {},
            ("monitoring",),
            ["Package mirror deb.example: not found", "Mend the DNS"],
        ),
        ({"now": NOW + 90 * 60}, {}, ("https", "brute_force", "backups"), ["ahead of the controller's", "90 minutes"]),
        ({"now": NOW - 400 * 86400}, {}, ("https", "brute_force", "backups"), ["behind the controller's", "400 days"]),
        (
            {"now": 86400.0},
            {"controller_time": 0},
            ("https", "brute_force", "backups"),
            ["before this collection was released", "timedatectl"],
        ),
        (
            {"unreachable": "campus.example.org has no address in the DNS."},
            {"acme": "auto"},
            ("https",),
            ["chamilo_https_certificate: auto.", "no address in the DNS", "files", "self_signed"],
        ),
        ({"certificate": "It has run out."}, {}, ("https",), ["It has run out."]),
    ],
)
def test_what_is_wrong_with_the_host_is_named_with_what_to_do_and_the_sections_that_it_costs(
    host, desired, costs, words
):
    (found,) = obstacles(site(missing_packages=("monit",)), Host(**{"now": NOW, **host}), replace(ALL, **desired))
    assert found.sections == costs and found.of_all is (not costs)
    assert all(word in found.why for word in words), found


@pytest.mark.parametrize("own_mail", [True, False])
def test_what_does_not_answer_outside_costs_its_control_alone(quiet, host, own_mail):
    """An owner's mail program is left alone: no other mail server is asked then."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = f"127.0.0.1:{server.getsockname()[1]}"
    desired = replace(ALL, outside={portal_obstacles.OFFSITE: closed, portal_obstacles.SMTP: closed})
    known = site(sendmail=own_mail, missing_packages=("msmtp-mta",))
    seen = observe(known, desired, quiet, host.tree)
    found = {one.controls: one.why for one in obstacles(known, replace(seen, now=NOW, read_only=()), desired)}
    assert set(found) == {("backups_offsite",), *([] if own_mail else [("monitoring_delivery",)])}
    assert all(
        f": {closed} does not answer (Connection refused)" in why and "or set chamilo_" in why for why in found.values()
    )


@pytest.mark.parametrize(
    ("mail", "sendmail", "smtp_host", "fine"),
    [
        ("a@example.org", True, "", True),
        ("a@example.org", False, "smtp.example.org", True),
        ("a@example.org", False, "", False),
    ],
)
def test_an_address_for_alerts_needs_a_program_that_sends_mail(mail, sendmail, smtp_host, fine):
    desired = Desired(**{**vars(ALL), "alert_mail": mail, "smtp_host": smtp_host})
    found = obstacles(site(sendmail=sendmail), Host(now=NOW), desired)
    assert (found == []) is fine
    if not fine:
        assert found[0].controls == ("monitoring_delivery",) and not found[0].sections, "all else of it is enforced"
        assert "chamilo_alert_mail: a@example.org." in found[0].why and "chamilo_monitoring_smtp_host" in found[0].why


@pytest.mark.parametrize(
    ("mail", "unknown"),
    [
        ("root@srv1", ""),
        ("root@relay", ""),
        ("admin@school.example", ""),
        ("", ""),
        ("admin@school", "school"),
    ],
)
def test_a_mailbox_without_a_domain_is_of_a_host_that_is_known(quiet, host, monkeypatch, mail, unknown):
    """Only the host can distinguish a mailbox of its own from a domain whose end is missing."""
    asked = []

    def run(argv, _seconds):
        asked.append(argv[-1])
        return (0, "10.0.0.2 STREAM relay") if argv[-1] == "relay" else (2, "")

    monkeypatch.setattr(portal_obstacles.socket, "gethostname", lambda: "srv1.school.lan")
    monkeypatch.setattr(portal_obstacles.services, "run", run)
    desired = Desired(**{**vars(ALL), "alert_mail": mail})
    seen = observe(site(), desired, str, host.tree)
    assert seen.no_mail_domain == unknown and seen.name == "srv1"
    assert asked == [name for name in ("relay", "school") if mail.endswith(f"@{name}")]
    found = obstacles(site(), replace(seen, now=NOW, read_only=()), desired)
    assert (found == []) is (not unknown)
    if unknown:
        assert "chamilo_alert_mail: admin@school. This host is not called school" in found[0].why
        assert "admin@school.example" in found[0].why and "admin@srv1" in found[0].why


def test_all_of_them_are_in_one_message():
    dark = site(
        serving=(),
        names=("campus.example.com",),
        errors=("No web server.",),
        sendmail=False,
        distribution="Debian 11",
        own_host=OwnHost(refused={"auto": "It would lose a line."}),
        missing_packages=("monit",),
    )
    host = Host(now=NOW, read_only=("/usr",), free={"/var": 1}, mirror="deb.example: no route")
    desired = Desired(**{**vars(ALL), "alert_mail": "a@example.org", "vhost": "auto"})
    found = obstacles(dark, host, desired)
    text = report("campus.example.org", found)
    assert len(found) == 8 and text.startswith("campus.example.org: 8 obstacles. Nothing was changed.\n- ")
    *lines, last = text.splitlines()[1:]
    assert [line[:2] for line in lines] == ["- "] * 8
    assert last == "Then continue with the same command: ansible-playbook chamilo.hardening.harden -i INVENTORY"
    for part in (
        "No web server.",
        "Debian 11",
        "/usr",
        "/var",
        "deb.example",
        "mail",
        "Did you mean",
    ):
        assert part in text, part
    assert "It would lose a line." in text
    assert report("x", [Obstacle("one")]).startswith("x: 1 obstacle. Nothing was changed.\n")


def test_without_sections_nothing_of_the_host_is_in_the_way():
    desired = Desired(alert_mail="a@example.org", controller_time=NOW)
    assert obstacles(site(sendmail=False), Host(mirror="deb.example: no route"), desired) == []


@pytest.mark.parametrize("vhost", ["include", "auto"])
def test_a_location_that_hides_the_headers_is_named_where_only_its_owner_writes(vhost: str) -> None:
    bare = planned.Obstacle("/etc/nginx/campus", 7, "location /files/", 'Add "include x;" to it')
    found = obstacles(
        site(in_place=planned.InPlace(bare=(bare,))), Host(now=NOW), Desired(sections=["headers"], vhost=vhost)
    )
    assert [one.controls for one in found] == ([HEADERS[1:]] if vhost == "include" else [])
    assert all("/etc/nginx/campus line 7: location /files/ sends headers of its own" in one.why for one in found)


FPM = Php(user="www-data", group="www-data", pool_file="/etc/php/8.4/fpm/pool.d/www.conf")


@pytest.mark.parametrize(
    ("values", "host", "words"),
    [
        ({}, {}, []),
        ({"chamilo_web_user": "www-data", "chamilo_group": "web"}, {"web_groups": {33: "www-data", 7: "web"}}, []),
        ({"chamilo_group": "33"}, {"web_groups": {33: "www-data"}}, []),
        ({"chamilo_web_user": "nobody"}, {}, ["chamilo_web_user: nobody.", "runs as www-data", "www.conf"]),
        (
            {"chamilo_group": "root"},
            {"web_groups": {33: "www-data"}},
            ["chamilo_group: root.", "no member", "www-data."],
        ),
        (
            {"chamilo_database_bind_address": "10.0.0.20"},
            {"foreign_addresses": ("10.0.0.20",)},
            ["chamilo_database_bind_address: 10.0.0.20.", "no such address", "127.0.0.1, 192.0.2.7"],
        ),
        (
            {"chamilo_backups_repository": "/var/www/chamilo/public/b"},
            {"served": {"chamilo_backups_repository": "/var/www/chamilo"}},
            ["chamilo_backups_repository: /var/www/chamilo/public/b.", "The web server serves /var/www/chamilo,"],
        ),
        (
            {"chamilo_backups_scratch": "/nope"},
            {"no_directories": ("chamilo_backups_scratch",)},
            ["chamilo_backups_scratch: /nope.", "no such directory"],
        ),
    ],
)
def test_what_the_host_knows_of_a_variable_is_in_the_way_by_its_name(values, host, words):
    known = site(php=FPM, addresses=("192.0.2.7",))
    found = obstacles(known, Host(now=NOW, **host), Desired(**{**vars(ALL), "variables": values}))
    assert len(found) == bool(words)
    assert all(word in found[0].why for word in words), found


def test_what_the_host_knows_of_a_variable_is_observed(quiet, host, tmp_path, monkeypatch):
    mine = Php(user=pwd.getpwuid(0).pw_name, group="")
    (tmp_path / "public").mkdir()
    (tmp_path / "away").symlink_to(tmp_path / "public")
    (tmp_path / "file").touch()
    (tmp_path / "socket").touch()
    monkeypatch.setattr(portal_obstacles, "_DATABASE", str(tmp_path / "socket"))
    shop = VirtualHost("shop.conf", 1, ("shop.example",), (), str(tmp_path / "public"))
    values = {
        "chamilo_group": "root",
        "chamilo_database_bind_address": "127.0.0.1, 192.0.2.99,::1",
        "chamilo_backups_repository": f"{tmp_path}/away/backups",
        "chamilo_backups_scratch": f"{tmp_path}/file",
    }
    known = site(php=mine, virtual_hosts=(shop, SERVING, replace(SERVING, root="/")))
    found = observe(known, Desired(**{**vars(ALL), "variables": values}), str, host.tree)
    assert found.web_groups[0] == "root"
    assert set(found.foreign_addresses) - {"::1"} == {"192.0.2.99"}
    assert found.served == {"chamilo_backups_repository": f"{tmp_path}/public"}
    assert found.no_directories == ("chamilo_backups_scratch",)
    elsewhere = replace(known, database=Database(host="127.0.0.2", port=1))
    assert observe(elsewhere, Desired(**{**vars(ALL), "variables": values}), str, host.tree).foreign_addresses == ()


CAMPUS, OLD = "campus.example.org", "old.example.org"


@pytest.mark.parametrize(
    ("facts", "urls", "meant"),
    [
        # Served under other names alone.
        ({"names": (CAMPUS,)}, (), CAMPUS),
        ({"names": ("www.example.org", CAMPUS)}, (), CAMPUS),
        ({"names": (OLD,)}, (CAMPUS,), CAMPUS),
        ({"names": ("*.example.com", OLD)}, (), OLD),
        # A virtual host that answers to every name, or none at all: only a slip of the pen is refused.
        ({}, (CAMPUS,), CAMPUS),
        ({"names": (OLD,), "nameless": True}, (CAMPUS,), CAMPUS),
        ({}, (), None),
        ({}, ("localhost.localdomain",), None),
        ({"names": (OLD,), "nameless": True}, (), None),
        # It is known.
        ({"names": (OLD,)}, ("campsu.example.org",), None),
        ({"names": (CAMPUS,), "serving": (SERVING,)}, (), None),
        ({"names": (CAMPUS,), "root": ""}, (), None),
    ],
)
def test_a_name_that_is_not_served(facts, urls, meant):
    found = Site("campsu.example.org", **{"root": "/srv/campus", **facts})
    found = replace(found, access_urls=urls)
    messages = misnamed(found)
    assert bool(messages) is bool(meant), messages
    if meant:
        assert f"campsu.example.org is not served here. Did you mean {meant}?" in messages
        assert bool(obstacles(found, Host(now=NOW), ALL))
        assert not obstacles(found, Host(now=NOW), Desired(["database"], controller_time=NOW))


WEB = {"nginx": "server {{\n listen 80{};\n server_name {};\n root /var/www/chamilo/public;\n}}\n"}
WEB["apache"] = "<VirtualHost *:80>\n#{}\n {}\n DocumentRoot /var/www/chamilo/public\n</VirtualHost>\n"


@pytest.mark.parametrize("server", ["nginx", "apache"])
@pytest.mark.parametrize(
    ("names", "refused"),
    [("campus.test www.campus.test", True), ("", False), ("localhost", False), ("campsu.test campus.test", False)],
)
def test_by_the_virtual_hosts_of_a_host(host, server, names, refused):
    host.install(server)
    host.chamilo()
    host.write("/etc/hostname", "web1\n")
    host.write("/etc/hosts", "127.0.1.1 web1.example.org web1\n")
    first, *more = names.split() or [""]
    apache = "\n".join([*([f"ServerName {first}"] if first else []), *(f"ServerAlias {name}" for name in more)])
    host.site(server, WEB[server].format("", {"nginx": names or "_", "apache": apache}[server]))
    found = discover("campsu.test", tree=host.tree)
    assert bool(misnamed(found)) is refused
    if refused:
        assert "campsu.test is not served here. Did you mean campus.test?" in misnamed(found)
        assert re.search(r" is known as .*campus\.test.* \(/etc/\S+ line \d\), and", misnamed(found))


@pytest.mark.parametrize("server", ["nginx", "apache"])
def test_a_virtual_host_that_reports_it_is_the_default_and_has_a_name_is_not_meant_for_another(host, server):
    """It would be hardened, and every visitor sent to the name that was mistyped."""
    host.install(server)
    host.chamilo()
    host.testbed_site(server, "default-server")
    assert "Did you mean campus.test?" in misnamed(discover("campsu.test", tree=host.tree))
    assert misnamed(discover("campus.test", tree=host.tree)) == ""


@pytest.fixture
def quiet(monkeypatch):
    """Observing asks neither the DNS nor a database unless it has to."""

    def refuse(*_arguments):
        raise AssertionError("not to be asked")

    monkeypatch.setattr(Reader, "of", refuse)
    return refuse


def test_a_host_is_observed_without_asking_what_this_run_does_not_need(quiet, host):
    found = observe(site(), ALL, quiet, host.tree)
    assert abs(found.now - time.time()) < 60
    assert found.free and all(free > 0 for free in found.free.values())
    assert (found.not_mounted, found.unreachable) == ((), "")


def test_a_database_on_another_host_that_is_away_is_in_the_way(quiet, host, monkeypatch):
    """Before a web node leaves the load balancer: it could not be changed, and would stay out."""
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    monkeypatch.setattr(portal_obstacles, "_has_database", lambda known: known.database.host == "localhost")
    elsewhere = site(database=Database(host="127.0.0.1", port=port))
    assert observe(elsewhere, ALL, quiet, host.tree).no_database == ""
    server.close()
    assert observe(elsewhere, ALL, quiet, host.tree).no_database == "127.0.0.1: Connection refused"
    assert observe(site(root="", database=elsewhere.database), ALL, quiet, host.tree).no_database == ""
    here = replace(elsewhere.database, host="localhost")
    assert observe(site(database=here), ALL, quiet, host.tree).no_database == ""


def test_a_shared_disk_in_the_portal_that_turned_read_only_is_in_the_way(quiet, host, monkeypatch):
    root = os.path.realpath(site().root)
    mounted = {"/": False, f"{root}/var/upload": True, f"{root}/var/themes": False, f"{root}/public/help": True}
    known = {point: Mount("nfs4", read_only=closed) for point, closed in mounted.items()}
    monkeypatch.setattr(portal_obstacles, "mounts", lambda: known)
    found = observe(site(), ALL, quiet, host.tree)
    assert found.read_only == (f"{root}/var/upload",)
    assert list(found.free) == ["/"], "how much is free there is the owner's matter"
    assert observe(site(root=""), ALL, quiet, host.tree).read_only == ()


@pytest.mark.parametrize(
    ("acme", "served", "lineage", "asked"),
    [
        ("", 0, 0, 0),
        ("auto", 0, 0, 1),
        ("auto", 1, 0, 0),
        ("certbot", 1, 0, 1),
    ],
)
def test_the_dns_is_asked_where_certbot_is_to_be_used(host, acme, served, lineage, asked):
    pair = type(site().served)
    facts = {"served": pair(good=bool(served)), "lineage": pair(good=bool(lineage))}
    found = observe(site(**facts), Desired(["https"], acme=acme), "No address for {}.".format, host.tree)
    assert found.unreachable == ("No address for campus.example.org." if asked else "")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("UUID=1 /srv/campus ext4 defaults 0 2", ("/srv/campus",)),
        ("nas:/x /srv/campus/var/upload nfs _netdev 0 0", ("/srv/campus/var/upload",)),
        ("UUID=1 /srv ext4 nofail 0 2", ("/srv",)),
        ("UUID=1 /srv/campus ext4 noauto 0 2", ()),
        ("UUID=1 /home ext4 defaults 0 2", ()),
        ("UUID=1 none swap sw 0 0", ()),
        ("UUID=1 / ext4 defaults 0 1", ()),
    ],
)
def test_a_file_system_that_should_be_there(host, line, found):
    host.write("/etc/fstab", f"# /etc/fstab\n{line}\n")
    assert portal_obstacles._not_mounted(host.tree, "/srv/campus", {"/": False}) == found
    assert portal_obstacles._not_mounted(host.tree, "/srv/campus", dict.fromkeys(["/", *found], False)) == ()


URI = "'http://deb.example/debian/x.deb' x.deb 1 MD5Sum:0\n'https://me:x@sec.example:8080/y.deb' y.deb 1 MD5Sum:0\n"


@pytest.mark.parametrize("proxy", ["", 'Acquire::http::Proxy "http://proxy:3128";'])
def test_a_mirror_that_cannot_be_reached(monkeypatch, proxy):
    asked = []
    for name in portal_obstacles._PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    answers = {"apt-get": URI, "apt-config": proxy}
    monkeypatch.setattr(portal_obstacles.services, "run", lambda argv, _seconds: (0, answers[argv[0]]))
    monkeypatch.setattr(
        portal_obstacles, "unanswered", lambda places: asked.append(places) or {"sec.example": "no route"}
    )
    assert portal_obstacles._mirror(["monit"]) == ("" if proxy else "sec.example: no route")
    assert asked == ([] if proxy else [{"deb.example": "deb.example:80", "sec.example": "sec.example:8080"}])
    monkeypatch.setenv("https_proxy", "http://proxy.school.example:3128")  # apt goes by it as well
    assert portal_obstacles._mirror(["monit"]) == "" and len(asked) < 2


@pytest.mark.parametrize(
    ("sections", "messages"), [(["uploads"], True), (["sessions", "https"], True), (["https", "headers"], False)]
)
def test_an_open_basedir_that_leaves_out_what_sections_have_php_run(sections, messages):
    confined = site(php=Php(confined="/etc/php/8.4/fpm/pool.d/www.conf", service="php8.4-fpm"))
    text = " ".join(one.why for one in obstacles(confined, Host(now=NOW), replace(ALL, sections=sections)))
    assert ("open_basedir in /etc/php/8.4/fpm/pool.d/www.conf: it leaves out /usr/local/share" in text) is messages


@pytest.mark.parametrize(
    ("sections", "out"), [(["https", "uploads", "passwords"], "passwords,uploads"), (["https", "headers"], "")]
)
@pytest.mark.parametrize("address", ["127.0.0.1:9000", "unix:/run/php/php7.4-fpm.sock"])
def test_php_that_no_pool_of_the_host_is(host, address, sections, out):
    host.install("nginx")
    host.chamilo()
    host.write("/etc/php/8.4/fpm/pool.d/www.conf", "[www]\nuser = www-data\nlisten = /run/php/php8.4-fpm.sock\n")
    location = f"location ~ php {{ fastcgi_pass {address}; }}"
    host.site("nginx", f"server {{ server_name campus.test; root /var/www/chamilo/public; {location} }}\n")
    found = obstacles(discover("campus.test", tree=host.tree, hosted=Planned()), Host(now=NOW), Desired(sections))
    named = [one for one in found if one.why.startswith(f"PHP of the portal: {address} (/etc/nginx/sites-available/")]
    assert [",".join(sorted(one.sections)) for one in named] == ([out] if out else [])
    assert all(f"listen = {address.replace('unix:', '')} in" in one.why for one in named)


@pytest.mark.parametrize(
    ("value", "confined"),
    [
        ("/var/www/chamilo:/tmp", True),
        ("$base/:/usr/lib/php/:/tmp/", True),
        ("/var/www:/usr/local/share/chamilo-hardening", False),
        ("/var/www:/usr/local/share/chamilo-hardening-2/", True),
        ("/", False),
    ],
)
@pytest.mark.parametrize("place", ["pool", "drop-in", "php.ini", "virtual host"])
def test_where_an_open_basedir_stands(host, value, confined, place):
    host.install("nginx")
    host.chamilo()
    pool = "[www]\nuser = www-data\ngroup = www-data\nlisten = /run/php/php8.4-fpm.sock\n"
    pool += f"php_admin_value[open_basedir] = {value}\n" if place == "pool" else ""
    host.write("/etc/php/8.4/fpm/pool.d/www.conf", pool)
    for name in {"drop-in": ["conf.d/99-x.ini"], "php.ini": ["php.ini"]}.get(place, []):
        host.write(f"/etc/php/8.4/fpm/{name}", f"[PHP]\n; open_basedir = /\nopen_basedir = {value}\n")
    given = f'fastcgi_param PHP_ADMIN_VALUE "open_basedir={value}";' if place == "virtual host" else ""
    location = f"location ~ php {{ fastcgi_pass unix:/run/php/php8.4-fpm.sock;\n{given} }}"
    host.site("nginx", f"server {{ server_name campus.test; root /var/www/chamilo/public;\n{location}\n}}\n")
    where = {
        "pool": "/etc/php/8.4/fpm/pool.d/www.conf line 5",
        "drop-in": "/etc/php/8.4/fpm/conf.d/99-x.ini line 3",
        "php.ini": "/etc/php/8.4/fpm/php.ini line 3",
        "virtual host": "/etc/nginx/sites-available/campus.conf line 3",
    }
    assert discover("campus.test", tree=host.tree).php.confined == (where[place] if confined else "")
