# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._portal import php_fpm
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Place

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


FPM = "/etc/php/8.2/fpm"


def test_what_php_sets_for_the_portal(host, pools):
    host.write(
        f"{FPM}/php.ini", "[PHP]\npost_max_size = 8M ; as Debian has it\nmemory_limit = 128M\nupload_max_filesize=2M\n"
    )
    host.write(f"{FPM}/conf.d/20-own.ini", 'upload_max_filesize = "16M"\nauto_prepend_file = /opt/watch.php\n')
    host.write(
        f"{FPM}/conf.d/60-own.ini",
        "[PATH=/var/www/chamilo/]\npost_max_size = 1G\n"
        "[PATH=/var/www/other]\nupload_max_filesize = 1M\n[HOST=x]\nupload_max_filesize = 3M\n",
    )
    # Ours: made of what the owner had set when it was written. That may have changed since.
    host.write(
        f"{FPM}/conf.d/91-chamilo-campus-uploads.ini",
        "[PATH=/var/www/chamilo]\nupload_max_filesize = 8M\npost_max_size = 9M\nauto_prepend_file = /ours\n",
    )
    found = php_fpm.settings(host.tree, FPM, "/var/www/chamilo", pools[0])
    assert (found["upload_max_filesize"], found["post_max_size"], found["memory_limit"]) == ("16M", "1G", "256M")
    assert found["auto_prepend_file"] == "/opt/watch.php"
    assert "auto_prepend_file" not in php_fpm.settings(host.tree, "/etc/php/8.2/cli", "/var/www/chamilo")
