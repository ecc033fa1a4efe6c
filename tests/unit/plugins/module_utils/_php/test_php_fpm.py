# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.tree import Place
from ansible_collections.chamilo.hardening.plugins.module_utils._php import php_fpm

POOLS = """; a comment
[global]
pid = /run/x.pid
[www]
user = www-data ; not me
;user = nobody
listen = /run/php/$pool.sock
env[APP_ENV] = prod
env["HOME"] = '/tmp'
php_admin_value[memory_limit] = 256M
unknown[memory_limit] = 1G
[shop]
user = shop
group = staff
listen = "9001"
"""


@pytest.fixture
def pools(host):
    host.write("/etc/php/8.2/fpm/pool.d/all.conf", POOLS)
    found, problems = php_fpm.pools(host.tree)
    assert problems == []
    return found


def test_pools(pools):
    www, shop = pools
    file = "/etc/php/8.2/fpm/pool.d/all.conf"
    assert (www.name, www.version, www.file, www.address) == ("www", "8.2", file, "unix:/run/php/www.sock")
    assert (www.user, www.group) == ("www-data", "www-data")
    assert dict(www.environment)["APP_ENV"] == Place(file, 8, "prod")
    assert (shop.address, shop.user, shop.group) == ("127.0.0.1:9001", "shop", "staff")


def test_the_pool_behind_an_address(host, pools):
    host.write("/run/php/www.sock")
    host.link("/run/php/php-fpm.sock", "../../etc/alternatives/php-fpm.sock")
    host.link("/etc/alternatives/php-fpm.sock", "../../run/php/www.sock")
    for address, name in (
        ("unix:/run/php/www.sock", "www"),
        ("unix:/run/php/php-fpm.sock", "www"),
        ("localhost:9001", "shop"),
    ):
        assert php_fpm.pool_behind(host.tree, pools, address).name == name
    assert php_fpm.pool_behind(host.tree, pools, "unix:/run/php/gone.sock") is None
    assert php_fpm.pool_behind(host.tree, pools, "") is None
