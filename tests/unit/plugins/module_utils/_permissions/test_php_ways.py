# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import php_ways
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.php_accounts import PhpUserError
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.php_ways import Ways
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Listen, Tree, VirtualHost
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.php_fpm import Pool
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.site import Php, Site, WebServer

HTTP = Listen("*", 80, tls=False)


@pytest.fixture
def ways(tmp_path, monkeypatch):
    """A portal in its owner's virtual host with a pool of its own. ``shop``: as whom a shop runs."""
    (tmp_path / "run").mkdir()
    (tmp_path / "campus.conf").write_text("[campus]\n")

    def make(shop="nobody", address="", problems=()):
        address = address or f"unix:{tmp_path}/run/campus.sock"
        pools = [
            Pool("campus", "8.4", str(tmp_path / "campus.conf"), address, "www-data", "www-data"),
            Pool("shop", "8.4", "/shop.conf", "unix:/run/shop.sock", shop, shop),
        ]
        monkeypatch.setattr(php_ways.php_fpm, "pools", lambda tree: (pools, list(problems)))
        hosts = (
            VirtualHost("/etc/nginx/campus", 1, ("campus.test",), (HTTP,), "/srv/campus/public", php=address),
            VirtualHost("/etc/nginx/shop", 9, ("shop.test",), (HTTP,), "/srv/campus2", php="unix:/run/shop.sock"),
        )
        php = Php("8.4", "fpm", socket=address, user="www-data")
        web = WebServer("nginx", user="www-data", service="nginx")
        return Ways(Site("campus.test", "/srv/campus", web=web, php=php, virtual_hosts=hosts)), pools

    return make


def test_a_pool_that_serves_nothing_else_can_be_replaced(ways, monkeypatch, tmp_path):
    found, pools = ways()
    assert found.pool() is pools[0] and found.way(pools[0]) == "address"
    # Another file of the web server names it, for whatever.
    monkeypatch.setattr(Tree, "glob", lambda self, pattern: [str(tmp_path / "other")] if "conf.d" in pattern else [])
    (tmp_path / "other").write_text(f"fastcgi_pass {pools[0].address};")
    assert found.way(pools[0]) == "line"


def test_a_pool_in_a_file_with_others_stays(ways, tmp_path):
    found, pools = ways()
    (tmp_path / "campus.conf").write_text("[global]\n[campus]\n[library]\n")
    assert found.way(pools[0]) == "line"


def test_where_others_could_exchange_the_socket_it_is_not_used(ways, tmp_path):
    found, pools = ways()
    (tmp_path / "run").chmod(0o777)
    assert found.way(pools[0]) == "line"
    found, pools = ways(address="127.0.0.1:9000")  # every account may connect
    assert found.way(pools[0]) == "line"


def test_a_pool_that_is_not_known_is_reported(ways):
    found, _pools = ways()
    lost = Ways(Site("campus.test", "/srv/campus", php=Php(socket="unix:/run/lost.sock")))
    with pytest.raises(PhpUserError, match="requests go to unix:/run/lost.sock, which no pool here is"):
        lost.pool()
    found, _pools = ways(problems=["/x.conf cannot be read: denied."])
    with pytest.raises(PhpUserError, match="/x.conf cannot be read: denied."):
        found.pool()
