# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certbot's own files, as its versions 2.1 and 4.0 write them."""

from __future__ import annotations

import time

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._portal import certbot
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


@pytest.mark.parametrize("plugin", ["nginx", "apache", "standalone"])
def test_a_plugin_that_edits_the_web_server_gives_way(plugin: str) -> None:
    text = NGINX.replace("= nginx", f"= {plugin}")
    assert adopted(text) == ADOPTED
    assert adopted(ADOPTED) == ADOPTED


@pytest.mark.parametrize("stop", ["systemctl stop nginx", "service apache2 stop", "'sleep 1, /etc/init.d/nginx stop'"])
def test_hooks_that_stop_the_answering_server_are_removed(stop: str) -> None:
    text = NGINX.replace("= nginx", "= standalone")
    assert adopted(f"{text}pre_hook = {stop}\n") == ADOPTED
    other = f"{text}pre_hook = ufw allow 80\npost_hook = ufw delete allow 80\n"
    assert "\npre_hook = ufw allow 80\npost_hook = ufw delete allow 80\n" in adopted(other)
    shared = f"{text}pre_hook = {stop}\n"
    assert f"\npre_hook = {stop}\n" in adopted(shared, "campus.test", "library.test"), "standalone goes on"


STANDALONE = NGINX.replace("authenticator = nginx\ninstaller = nginx\n", "authenticator = standalone\n")
RENEW = "certbot renew --pre-hook 'service nginx stop' --post-hook 'service nginx start'"


@pytest.mark.parametrize(
    ("path", "text", "place"),
    [
        ("/etc/letsencrypt/renewal-hooks/pre/nginx", "#!/bin/sh\nservice nginx stop\n", " line 2"),
        ("/etc/letsencrypt/cli.ini", "max-log-backups = 0\npre-hook = systemctl stop apache2\n", " line 2"),
        ("/etc/cron.d/certbot", f"0 */12 * * * root {RENEW}\n", " line 1"),
        ("/etc/cron.weekly/renew", "#!/bin/sh\ncertbot renew \\\n --pre-hook='service nginx stop'\n", " line 2"),
        ("/etc/systemd/system/renew.service", f"[Service]\nExecStart=/usr/bin/{RENEW}\n", " line 2"),
    ],
)
def test_standalone_stays_where_a_hook_for_all_stops_the_web_server(
    host: Files, path: str, text: str, place: str
) -> None:
    host.write(path, text)
    host.link("/etc/systemd/system/masked.service", "/dev/null")
    found = certbot.stopper(host.tree, STANDALONE)
    assert found == path + place
    kept = certbot.adopted(STANDALONE, ["campus.test"], ["campus.test"], WEBROOT, found)
    assert kept == f"{STANDALONE}renew_hook = /usr/local/sbin/chamilo-hardening renewed\n"
    assert certbot.stopper(host.tree, NGINX) == "", "its plugin needs no hook that stops it"
    file = put(host, "campus.test", "campus.test", conf=kept)
    assert certbot.pair(host.tree, file, "", ["campus.test"], NOW, "/var/www/chamilo").settled
    (host.root / path.lstrip("/")).unlink()
    assert not certbot.pair(host.tree, file, "", ["campus.test"], NOW, "/var/www/chamilo").settled


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/letsencrypt/renewal-hooks/pre/nginx", "#!/bin/sh\n# no stop\nufw allow 80\n"),
        ("/etc/letsencrypt/cli.ini", "#pre-hook = systemctl stop nginx\npost-hook = systemctl stop ufw\n"),
        ("/etc/cron.d/certbot", f"# 0 */12 * * * root {RENEW}\n0 3 * * * root certbot -q renew\n"),
        ("/etc/cron.d/backup", "0 3 * * * root backup --pre-hook 'service nginx stop'\n"),
    ],
)
def test_other_hooks_do_not_stop_the_web_server(host: Files, path: str, text: str) -> None:
    host.write(path, text)
    assert certbot.stopper(host.tree, STANDALONE) == ""


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
        (f"{NGINX}{OTHER}", (), ADOPTED.replace("[[webroot_map]]", "[[other]]\nx = 1\n[[webroot_map]]")),
    ],
    ids=["a webroot of one's own", "no options", "empty", "empty lines", "other names", "another map of directories"],
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
