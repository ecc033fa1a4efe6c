# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._attacks import permissions
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._insider import Insider
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import policy, walk
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Listen, VirtualHost
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.php_fpm import Pool
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.site import Php, Site

PAGE = {"/": Answer("", 200, (), b"welcome")}


def test_nothing_to_fetch_passes(portal):
    assert permissions.fetch_secrets(portal(PAGE)).status == "pass"


@pytest.mark.parametrize(
    "path, body",
    [
        ("/.env", b"# settings\nAPP_SECRET=x\n"),
        ("/public/../.env.bak", b"DATABASE_PASSWORD=x"),
        ("/.git/config", b"[core]\n\tbare = false"),
        ("/config/jwt/private.pem", b"-----BEGIN ENCRYPTED PRIVATE KEY-----"),
        ("/dump.sql", b"-- dump\nCREATE TABLE user"),
        ("/main/template/default/layout/layout_1_col.tpl", b"{% extends %}"),
        ("/build/..%2f..%2fcomposer.json", b'{ "name": "chamilo/chamilo-lms" }'),
    ],
)
def test_a_file_that_can_be_fetched_is_named(portal, path, body):
    found = permissions.fetch_secrets(portal({**PAGE, path: Answer("", 200, (), body)}))
    assert found.status == "fail"
    assert path in found.evidence


def test_a_page_of_the_application_is_no_loot(portal):
    answers = {path: Answer("", 200, (), b"<html>one page for everything</html>") for path in permissions._LOOT}
    found = permissions.fetch_secrets(portal({**PAGE, **answers}))
    assert found.status == "pass", found.evidence


def test_a_portal_that_is_down_does_not_pass(portal):
    with pytest.raises(OSError, match="no answer"):
        permissions.fetch_secrets(portal({"/": Answer("", 0, (), b"", "refused")}))


# --------------------------------------------------------------------------------- with an account on the host itself


@pytest.fixture
def site():
    """A portal that every local user may change, in a directory open to all: those of pytest are closed to others."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        os.chmod(directory, 0o755)
        yield sloppy(Path(directory, "chamilo"))


def sloppy(root):
    for path in (".env", "config/a.yaml", "public/index.php", "src/Kernel.php", "vendor/x.php", "var/log/x.log"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    subprocess.run(["chmod", "-R", "777", root], check=True)
    return root


ATTACKS = [
    permissions.plant,
    permissions.read_uploads,
    permissions.read_passwords,
    permissions.read_configuration,
    permissions.lay_traps,
]


def picture(root):
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_size) for path in sorted(root.rglob("*"))}


@pytest.mark.parametrize("attack", ATTACKS)
def test_from_inside_it_gets_through_and_leaves_nothing(attack, site):
    insider = Insider(Site("campus.test", root=str(site), php=Php(user="www-data")))
    before = picture(site)
    assert attack(insider).status == "fail"
    assert picture(site) == before


@pytest.mark.parametrize("attack", ATTACKS)
def test_from_inside_it_is_blocked_by_the_module(attack, site):
    given = {"path": str(site), "owner": "root", "web_user": "www-data"}
    walk.run(policy.order(given, "production"))
    found = attack(Insider(Site("campus.test", root=str(site), php=Php(user="www-data"))))
    assert found.status == "pass", found.evidence


@pytest.fixture
def next_door(site, monkeypatch):
    """The portal as PHP of the account `nobody` serves it, beside a shop of www-data's; and the socket of its pool."""
    path = str(site.parent / "campus.sock")
    pools = [
        Pool("campus", "8.4", "/campus.conf", f"unix:{path}", "nobody", "nogroup"),
        Pool("www", "8.4", "/www.conf", "unix:/run/php/www.sock", "www-data", "www-data"),
    ]
    monkeypatch.setattr(permissions.php_fpm, "pools", lambda tree: (pools, []))

    def host(name, root, php):
        return VirtualHost(f"/etc/{name}", 1, (name,), (Listen("*", 80, tls=False),), root, php=php)

    hosts = (
        host("campus.test", f"{site}/public", pools[0].address),
        host("shop.test", "/srv/shop", pools[1].address),
    )
    walk.run(policy.order({"path": str(site), "owner": "root", "web_user": "nobody"}, "production"))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        os.chmod(path, 0o600)
        yield Site("campus.test", str(site), php=Php(user="nobody", socket=pools[0].address), virtual_hosts=hosts), path


def test_php_of_another_site_that_is_no_other_user_reads_the_secrets(next_door):
    site, _socket = next_door
    assert permissions.come_from_next_door(Insider(site)).status == "pass"
    shutil.chown(f"{site.root}/.env", group="www-data")
    found = permissions.come_from_next_door(Insider(site))
    assert found.status == "fail" and found.evidence == "The PHP of shop.test (www-data) can read .env."


def test_php_of_another_site_that_may_use_the_socket_runs_what_it_wants(next_door):
    site, path = next_door
    shutil.chown(path, "www-data")  # as every tutorial has it for nginx
    found = permissions.come_from_next_door(Insider(site))
    assert found.status == "fail" and f"run any script (unix:{path})" in found.evidence


def test_php_of_another_site_that_may_exchange_the_socket_stands_in_for_the_portals(next_door):
    site, path = next_door
    shutil.chown(os.path.dirname(path), "www-data")  # as /run/php is on Debian
    found = permissions.come_from_next_door(Insider(site))
    assert found.status == "fail" and "can stand in for the portal's" in found.evidence


def test_without_another_site_no_attack_comes_from_one(next_door):
    site, _socket = next_door
    alone = Site(site.domain, site.root, php=site.php, virtual_hosts=site.virtual_hosts[:1])
    assert permissions.come_from_next_door(Insider(alone)).evidence == "No other site of this host runs PHP."
    leading = replace(site.virtual_hosts[1], leads_away=True)
    alone = replace(alone, virtual_hosts=(*alone.virtual_hosts, leading))
    assert permissions.come_from_next_door(Insider(alone)).evidence == "No other site of this host runs PHP."


def test_another_site_of_mod_php_has_the_web_servers_user_and_one_without_php_has_none(next_door, monkeypatch):
    site, _socket = next_door
    monkeypatch.setattr(permissions.php_fpm, "pool_behind", lambda _tree, _pools, _php: None)
    for php, users in (("mod_php", {"nobody": "shop.test"}), ("", {})):
        own, shop = site.virtual_hosts
        found = permissions._unrelated_sites(
            Insider(replace(site, virtual_hosts=(own, replace(shop, php=php)))), site.root
        )
        assert found == users


def test_a_published_secret_is_no_secret(site):
    insider = Insider(Site("campus.test", root=str(site), php=Php(user="www-data"), secrets_default=("APP_SECRET",)))
    assert "APP_SECRET" in permissions.forge_token(insider).evidence
    assert permissions.forge_token(insider).status == "fail"


@pytest.mark.parametrize(("passphrase", "status"), [("your_secret_passphrase", "fail"), ("own", "pass")])
def test_a_key_that_opens_with_the_shipped_passphrase_signs_a_forged_token(site, passphrase, status):
    key = site / "config/jwt/private.pem"
    key.parent.mkdir()
    command = ["openssl", "genpkey", "-algorithm", "RSA", "-aes256", "-pass", f"pass:{passphrase}", "-out", key]
    subprocess.run(command, check=True, capture_output=True)
    subprocess.run(["chmod", "-R", "755", site / "config"], check=True)
    found = permissions.forge_token(Insider(Site("campus.test", root=str(site), php=Php(user="www-data"))))
    assert found.status == status, found.evidence


def test_an_error_that_reports_too_much_is_named(portal):
    answer = Answer("https://campus.test/_profiler/", 500, (), b"<pre>Stack trace:</pre>")
    found = permissions.provoke(portal({**PAGE, "/_profiler/": answer}))
    assert found.status == "fail"
    assert "/_profiler/" in found.evidence
    assert permissions.provoke(portal(PAGE)).status == "pass"
