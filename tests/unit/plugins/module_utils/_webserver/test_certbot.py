# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certbot's own files, as its versions 2.1 and 4.0 write them."""

from __future__ import annotations

import time

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._webserver import certbot
from tests.testbed import authority
from tests.unit.plugins.conftest import Files

NOW = time.time()
WEBROOT = "/var/www/chamilo/public"
NGINX = """\
# renew_before_expiry = 30 days
version = 2.1.0
archive_dir = /etc/letsencrypt/archive/campus.test
cert = /etc/letsencrypt/live/campus.test/cert.pem
privkey = /etc/letsencrypt/live/campus.test/privkey.pem
chain = /etc/letsencrypt/live/campus.test/chain.pem
fullchain = /etc/letsencrypt/live/campus.test/fullchain.pem

# Options used in the renewal process
[renewalparams]
account = c21af9d8e287da0c0e808b2f909af28c
server = https://acme.test/dir
authenticator = nginx
installer = nginx
key_type = ecdsa
"""
ADOPTED = (
    NGINX.replace("authenticator = nginx\ninstaller = nginx\n", "authenticator = webroot\n")
    + """\
renew_hook = /usr/local/sbin/chamilo-hardening renewed
webroot_path = /var/www/chamilo/public,
[[webroot_map]]
campus.test = /var/www/chamilo/public
"""
)


def adopted(text: str, *names: str) -> str:
    return certbot.adopted(text, names or ("campus.test",), ["campus.test"], WEBROOT)


@pytest.mark.parametrize("plugin", ["nginx", "apache"])
def test_a_plugin_that_edits_the_web_server_gives_way(plugin: str) -> None:
    text = NGINX.replace("= nginx", f"= {plugin}")
    assert adopted(text) == ADOPTED
    assert adopted(ADOPTED) == ADOPTED


STANDALONE = NGINX.replace("= nginx", "= standalone") + "pre_hook = service nginx stop\n"
HOOK = "renew_hook = /usr/local/sbin/chamilo-hardening renewed\n"
OTHER = "[[webroot_map]]\ncampus.test = /old\nold.test = /old\n[[other]]\nx = 1\n"


@pytest.mark.parametrize(
    ("text", "names", "expected"),
    [
        (ADOPTED.replace(WEBROOT, "/var/www/letsencrypt"), (), ADOPTED.replace(WEBROOT, "/var/www/letsencrypt")),
        (NGINX.partition("[renewalparams]")[0], (), NGINX.partition("[renewalparams]")[0]),
        ("", (), ""),
        (f"{NGINX}\n  \n", (), ADOPTED),
        (NGINX, ("campus.test", "library.test"), NGINX + HOOK),
        (STANDALONE, (), STANDALONE + HOOK),
        (f"{NGINX}{OTHER}", (), ADOPTED.replace("[[webroot_map]]", "[[other]]\nx = 1\n[[webroot_map]]")),
    ],
    ids=[
        "a webroot of one's own",
        "no options",
        "empty",
        "empty lines",
        "other names",
        "standalone",
        "another map of directories",
    ],
)
def test_what_an_adoption_leaves_and_replaces(text: str, names: tuple[str, ...], expected: str) -> None:
    assert adopted(text, *names) == expected


@pytest.mark.parametrize(
    ("own", "kept"),
    [
        ("systemctl reload nginx", "systemctl reload nginx; /usr/local/sbin/chamilo-hardening renewed"),
        ("'cp a, b'", "'cp a, b; /usr/local/sbin/chamilo-hardening renewed'"),
        ("None", "/usr/local/sbin/chamilo-hardening renewed"),
    ],
)
def test_the_hook_of_the_owner_stays(own: str, kept: str) -> None:
    assert f"\nrenew_hook = {kept}\n" in adopted(NGINX + f"renew_hook = {own}\n")


@pytest.fixture
def host(tmp_path) -> Files:
    return Files(tmp_path)


def put(host: Files, name: str, *names: str, days: int = 90, conf: str = NGINX) -> str:
    file = f"/etc/letsencrypt/live/{name}/fullchain.pem"
    host.write(file, authority.issue(*names, days=days)[0])
    host.write(f"/etc/letsencrypt/renewal/{name}.conf", conf)
    return file


def test_of_several_lineages_the_one_that_lasts_longest_counts(host: Files) -> None:
    put(host, "old", "campus.test", days=-3)
    assert certbot.for_names(host.tree, ["campus.test"], NOW, "/var/www/chamilo").lineage == "old"
    file = put(host, "campus.test-0001", "www.campus.test", "campus.test", days=40)
    put(host, "shop.test", "shop.test")
    found = certbot.for_names(host.tree, ["campus.test"], NOW, "/var/www/chamilo")
    assert (found.file, found.lineage, found.good, found.settled) == (file, "campus.test-0001", True, False)
    other = put(host, "zz", "campus.test", days=9, conf=ADOPTED)
    served = certbot.for_names(host.tree, ["campus.test"], NOW, "/var/www/chamilo", other)
    assert (served.lineage, served.settled) == ("zz", True), "the one that is served, which was adopted"
    assert certbot.for_names(host.tree, ["campus.test"], NOW, "", "/etc/ssl/none.pem").lineage == "campus.test-0001"


@pytest.mark.parametrize(
    ("names", "days", "good"), [(["campus.test"], 9, True), (["shop.test"], 9, False), (["campus.test"], -1, False)]
)
def test_what_a_certificate_is_good_for(host: Files, names: list[str], days: int, good: bool) -> None:
    host.write("/etc/ssl/x.pem", authority.issue(*names, days=days)[0])
    found = certbot.pair(host.tree, "/etc/ssl/x.pem", "/etc/ssl/x.key", ["campus.test"], NOW)
    assert (found.there, found.good, found.lineage) == (True, good, "")


def test_a_file_that_is_no_certificate_is_good_for_nothing(host: Files) -> None:
    host.write("/etc/ssl/x.pem", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")
    assert not certbot.pair(host.tree, "/etc/ssl/x.pem", "", ["campus.test"], NOW).there
    assert not certbot.pair(host.tree, "/etc/ssl/none.pem", "", ["campus.test"], NOW).there


@pytest.mark.parametrize(
    ("conf", "webroot"),
    [
        (NGINX, ""),
        (ADOPTED, ""),
        (ADOPTED.replace(WEBROOT, "/var/www/letsencrypt"), "/var/www/letsencrypt"),
        (ADOPTED.replace(f"campus.test = {WEBROOT}", "campus.test = /srv/acme"), "/srv/acme"),
        (ADOPTED.replace(f"campus.test = {WEBROOT}", "").replace(f"{WEBROOT},", "/a, /b,"), "/b"),
    ],
)
def test_another_directory_for_challenges_is_known(host: Files, conf: str, webroot: str) -> None:
    put(host, "campus.test", "campus.test", conf=conf)
    assert certbot.for_names(host.tree, ["campus.test"], NOW, "/var/www/chamilo").webroot == webroot
