# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.chamilo.hardening.plugins.module_utils._application.portals import portals
from tests.unit.plugins.conftest import Files

SERVER = """
server {{
    listen {listen};
    server_name {names};
    root {root};
    location ~ \\.php$ {{ fastcgi_pass unix:/run/php/php8.4-fpm.sock; }}
}}
"""
POOL = "[www]\nuser = www-data\ngroup = www-data\nlisten = /run/php/php8.4-fpm.sock\n"


def served(host: Files, names: str, root: str, listen: str = "443 ssl") -> None:
    name = names.split(maxsplit=1)[0]
    host.site("nginx", SERVER.format(names=names, root=f"{root}/public", listen=listen), f"{name}.conf")


def test_each_portal_is_found_with_its_names_and_what_serves_it(host: Files) -> None:
    host.install("nginx")
    host.write("/etc/php/8.4/fpm/pool.d/www.conf", POOL)
    host.chamilo("/var/www/campus", "APP_ENV=prod\nDATABASE_NAME=campus\nDATABASE_HOST=localhost\n")
    host.chamilo("/srv/kolleg")
    host.write("/var/www/shop/public/index.php")
    served(host, "campus.test www.campus.test", "/var/www/campus")
    served(host, "old.campus.test", "/var/www/campus", "80")
    served(host, "kolleg.test", "/srv/kolleg")
    served(host, "shop.test", "/var/www/shop")
    campus, kolleg = portals(tree=host.tree)
    assert (campus.domain, campus.root, campus.version) == ("campus.test", "/var/www/campus", "2.0.4")
    assert set(campus.names) == {"campus.test", "www.campus.test", "old.campus.test"}
    assert campus.names[0] == "campus.test"
    assert campus.php == "8.4 as www-data" and campus.web_server.startswith("nginx")
    assert campus.database == "campus on localhost"
    assert (kolleg.domain, kolleg.root) == ("kolleg.test", "/srv/kolleg")


def test_the_name_under_which_visitors_arrive_is_its_name(host: Files) -> None:
    host.install("nginx")
    host.chamilo("/var/www/campus")
    served(host, "a.campus.test", "/var/www/campus", "80")
    served(host, "campus.test", "/var/www/campus", "443 ssl")
    (found,) = portals(tree=host.tree)
    assert found.domain == "campus.test"


def test_a_portal_that_nothing_names_is_an_obstacle(host: Files) -> None:
    host.install("nginx")
    host.chamilo("/var/www/campus")
    (found,) = portals(tree=host.tree)
    assert (found.domain, found.names, found.root) == ("", (), "/var/www/campus")
    assert "Set chamilo_domain" in found.obstacles[0]


def test_a_portal_behind_a_link_is_one(host: Files) -> None:
    host.install("nginx")
    host.chamilo("/var/www/releases")
    host.link("/var/www/current", "releases")
    served(host, "campus.test", "/var/www/current")
    (found,) = portals(tree=host.tree)
    assert (found.domain, found.root) == ("campus.test", "/var/www/current")
