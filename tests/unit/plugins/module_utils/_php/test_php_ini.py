# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._php.php import Php
from ansible_collections.chamilo.hardening.plugins.module_utils._php.php_ini import (
    PhpError,
    faces,
    is_on,
    of_face,
    of_site,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.configuration import VirtualHost, WebServer

FPM = "/etc/php/8.4/fpm"
FAR = "<Directory /srv>\nphp_value a far\n</Directory>"
SOCKET = "unix:/run/php/campus.sock"


def values(known):
    return {name: setting.value for name, setting in known.items()}


def test_the_last_file_counts_in_the_order_of_names(host):
    host.write(f"{FPM}/php.ini", '; a = 0\na = 1\nb = 1 ; seconds\nc = 1\nuser_ini.filename =\nd = "/x;y"\n[PHP]\n')
    host.write(f"{FPM}/conf.d/20-x.ini", "c = 20\n")
    host.write(f"{FPM}/conf.d/10-x.ini", "b = 10\nc = 10\n[PATH=/srv]\nb = 11\n[HOST=x]\nb = 12\n")
    host.write(f"{FPM}/conf.d/30-x.ini.dpkg-old", "c = 30\n")
    host.write("/etc/php/8.4/cli/php.ini", "a = cli\n")
    found = of_face(host.tree, "8.4", "fpm")
    assert values(found) == {"a": "1", "b": "10", "c": "20", "user_ini.filename": "", "d": "/x;y"}
    assert found["c"].place == f"{FPM}/conf.d/20-x.ini line 1"
    assert faces(host.tree) == [("8.4", "cli"), ("8.4", "fpm")]
    assert of_face(host.tree, "8.4", "apache2") == {}, "it is not there"
    assert is_on("On") and is_on("1") and not is_on("Off") and not is_on("")


def test_what_this_collection_makes_of_its_owners_values_hides_none_of_them(host):
    host.write(f"{FPM}/php.ini", "post_max_size = 8M\nauto_prepend_file = /opt/watch.php\n")
    ours = "[PATH=/srv/campus]\npost_max_size = 9M\nauto_prepend_file = /ours\ndisplay_errors = Off\n"
    host.write(f"{FPM}/conf.d/91-chamilo-campus-uploads.ini", ours)
    script = "/srv/campus/public/index.php"
    assert values(of_face(host.tree, "8.4", "fpm", script, ours=False)) == {"display_errors": "Off"}
    assert values(of_face(host.tree, "8.4", "fpm", script))["post_max_size"] == "9M"


def test_fpm_goes_by_its_files_the_pool_the_server_its_directory_and_then_what_lies_in_it(host):
    host.write("/etc/nginx/nginx.conf", "events {}\nhttp { include /etc/nginx/sites-enabled/*; }\n")
    host.write(f"{FPM}/pool.d/www.conf", "[www]\nlisten = /run/php/www.sock\nphp_admin_value[a] = another pool\n")
    web = WebServer("nginx")
    served = VirtualHost("/etc/nginx/sites-enabled/campus", 1, ("campus.test",), (), "/srv/campus/public")
    php = Php("8.4", "fpm", socket=SOCKET, user="root")
    site = Site("campus.test", "/srv/campus", web=web, php=php, serving=(served,))

    def steps(*lines):
        pool, given, section, own = lines
        host.write(f"{FPM}/php.ini", "a = file\n")
        host.write(f"{FPM}/pool.d/campus.conf", f"[campus]\nlisten = /run/php/campus.sock\n;php_value[a] = 0\n{pool}\n")
        server = f"server {{ listen 80; server_name campus.test; root /srv/campus/public; {given} }}\n"
        host.write("/etc/nginx/sites-enabled/campus", server)
        host.write(f"{FPM}/conf.d/50-own.ini", f"[PATH=/srv/campusx]\na = another\n[PATH=/srv/campus]\n{section}\n")
        host.write("/srv/campus/public/.user.ini", own)
        return of_site(host.tree, site)["a"].value

    value, admin = "php_value[a] = pool", "php_admin_flag[a] = pool"
    given = 'location ~ \\.php$ { fastcgi_pass unix:/run/php/campus.sock; fastcgi_param PHP_VALUE "a=server"; }'
    assert steps("", "", "", "") == "file"
    assert steps(value, "", "", "") == "pool"
    assert steps(value, "", "", "a = directory") == "directory"
    assert steps(admin, "", "", "a = directory") == "pool"  # an administrator's line is no user's to change
    assert steps(admin, given, "", "") == "server"
    assert steps(value, given, "a = section", "a = directory") == "section"
    assert steps(value, "", "user_ini.filename =", "a = directory") == "pool"


def test_a_file_in_the_directory_that_cannot_be_read_is_not_passed_over(host):
    host.write(f"{FPM}/php.ini", "a = 1\n")
    host.write("/srv/campus/public/.user.ini/x", "")
    with pytest.raises(PhpError, match="which PHP goes by, cannot be read"):
        of_site(host.tree, Site("campus.test", "/srv/campus", php=Php("8.4", "fpm", user="root")))


def test_without_a_php_nothing_is_guessed(host):
    host.write(f"{FPM}/php.ini", "a = 1\n")
    with pytest.raises(PhpError, match="PHP that serves the site could not be found"):
        of_site(host.tree, Site("campus.test"))


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        ("", "file"),
        ("php_value a host", "host"),
        ("<Directory /srv/campus>\nphp_value a directory\n</Directory>\nphp_value a host", "directory"),
        ("php_admin_value a host\n<Directory /srv/campus>\nphp_value a directory\n</Directory>", "host"),
        (f"<Directory /srv/campus/public>\nphp_value a near\n</Directory>\n{FAR}", "near"),
        (
            "<Directory /srv/campus-old>\nphp_value a other\n</Directory>\n<Directory>\nphp_value a 3\n</Directory>",
            "file",
        ),
        ("php_value a\nOptions d e", "file"),
    ],
)
def test_what_apache_sets_for_its_own_php(host, lines, value):
    host.write("/etc/php/8.4/apache2/php.ini", "a = file\n[PATH=/srv/campus]\na = section\n")
    host.write("/srv/campus/public/.user.ini", "a = user\n")
    virtual = f"<VirtualHost *:80>\nServerName campus.test\nDocumentRoot /srv/campus/public\n{lines}\n</VirtualHost>\n"
    other = f"<VirtualHost *:80>\nServerName other.test\nphp_admin_value a other\n{FAR}\n</VirtualHost>\n"
    host.write("/etc/apache2/apache2.conf", virtual + other)
    served = VirtualHost("/etc/apache2/apache2.conf", 1, ("campus.test",), (), "/srv/campus/public")
    site = Site("campus.test", "/srv/campus", web=WebServer("apache"), php=Php("8.4", "mod_php"), serving=(served,))
    found = of_site(host.tree, site)
    assert found["a"].value == value and "options" not in found
