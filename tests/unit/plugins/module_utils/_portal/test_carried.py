# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the virtual host of this collection goes on with when it takes the place of an owner's."""

from __future__ import annotations

import re

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._portal.discovery import discover
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _answers
from tests.vhosts import DOMAIN, cases

PUBLIC = "/var/www/chamilo/public"
APACHE = f"<VirtualHost *:80>\nServerName campus.test\nDocumentRoot {PUBLIC}\n%s</VirtualHost>\n"
NGINX = (
    f"server {{\nlisten 80;\nserver_name campus.test;\nroot {PUBLIC};\n%s\n"
    "location ~ \\.php$ {\nfastcgi_pass unix:/run/php/php8.4-fpm.sock;\n%s\n}\n}\n"
)
OURS = "# Managed by Ansible: chamilo.hardening, section https. Changes here are lost.\n"
MOD_PHP = "LoadModule php_module /usr/lib/apache2/modules/libphp8.4.so\n"


def takeover(host, server, text, domain="campus.test"):
    host.install(server)
    host.chamilo()
    if text:
        host.site(server, text)
    if server == "apache":
        host.write("/etc/apache2/mods-enabled/php8.4.load", MOD_PHP)
    return discover(domain, tree=host.tree).takeover


@pytest.mark.parametrize(
    ("line", "carried"),
    [
        ('php_value memory_limit "256M"', ('php_value memory_limit "256M"',)),
        ("php_admin_flag display_errors off", ('php_admin_flag display_errors "off"',)),
        ("php_value error_reporting 'E_ALL & ~E_NOTICE'", ('php_value error_reporting "E_ALL & ~E_NOTICE"',)),
        (f"<Directory {PUBLIC}>\nphp_value post_max_size 9M\n</Directory>", ('php_value post_max_size "9M"',)),
        ("<IfModule php_module>\nphp_value post_max_size 9M\n</IfModule>", ('php_value post_max_size "9M"',)),
        ("<Directory /usr/share/adminer>\nphp_value post_max_size 9M\n</Directory>", ()),
        ("ProxyTimeout 600", ("ProxyTimeout 600",)),
        ("TimeOut 600", ("TimeOut 600",)),
        ('<Proxy "fcgi://localhost">\nProxySet connectiontimeout=5 timeout=900\n</Proxy>', ("ProxyTimeout 900",)),
        ("CustomLog /var/log/one combined", ()),
        (
            'CustomLog\t/var/log/one combined\nLogFormat "%h %{X-Real}i" real\nCustomLog /var/log/two real env=x',
            ('LogFormat "%h %{X-Real}i" real', "CustomLog /var/log/two real env=x"),
        ),
    ],
)
def test_apache(host, line, carried):
    found = takeover(host, "apache", APACHE % f"{line}\n")
    assert (found.carried, found.uncarried) == (carried, ())
    assert "managed" not in found.refused
    # Ours has it then, and goes on with it.
    lines = "".join(f"{each}\n" for each in ("CustomLog /var/log/one combined", *carried))
    host.write("/etc/apache2/sites-available/campus.conf", OURS + APACHE % lines)
    assert discover("campus.test", tree=host.tree).takeover.carried == carried


@pytest.mark.parametrize(
    ("level", "php", "carried", "carried_php"),
    [
        ("fastcgi_read_timeout 600;", "", (), ("fastcgi_read_timeout 600",)),
        ("", "fastcgi_send_timeout 5m;", (), ("fastcgi_send_timeout 5m",)),
        ('fastcgi_param PHP_VALUE "a.b=1";', "", (), ('fastcgi_param PHP_VALUE "a.b=1"',)),
        (
            "",
            'fastcgi_param PHP_ADMIN_VALUE "memory_limit=1G\npost_max_size = 2G";',
            (),
            ('fastcgi_param PHP_ADMIN_VALUE "memory_limit=1G \\n post_max_size = 2G"',),
        ),
        ("", "fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;", (), ()),
        (
            "access_log /var/log/nginx/one.log;\naccess_log /var/log/nginx/two.log combined buffer=32k;",
            "",
            ("access_log /var/log/nginx/two.log combined buffer=32k",),
            (),
        ),
        ("location ^~ /pma { fastcgi_pass unix:/run/x; fastcgi_read_timeout 9; }", "", (), ()),
    ],
)
def test_nginx(host, level, php, carried, carried_php):
    found = takeover(host, "nginx", NGINX % (level, php))
    assert (found.carried, found.carried_php, found.uncarried) == (carried, carried_php, ())
    assert "managed" not in found.refused


@pytest.mark.parametrize(
    ("server", "text"),
    [
        ("apache", APACHE % 'php_value session.save_path "tcp://127.0.0.1:6379?auth=x7"\n'),
        ("apache", APACHE % "php_value smtp.password x7\n"),
        ("apache", APACHE % "php_value x '{{ x7 }}'\n"),
        ("apache", APACHE % "CustomLog /a combined\nCustomLog '/b{{ x7' combined\n"),
        ("nginx", NGINX % ("", 'fastcgi_param PHP_VALUE "a=1\nsession.save_path=tcp://r?auth=x7";')),
    ],
)
def test_what_may_be_a_secret_or_is_of_another_form_is_refused_by_its_place(host, server, text):
    found = takeover(host, server, text)
    (place,) = found.uncarried
    assert f"{place.file} line {place.line}: {place.what}" in found.refused["managed"]
    assert "x7" not in repr(found)
    assert "auto" not in found.refused


def test_the_log_of_each_virtual_host_of_the_portal(host):
    """Of the first one it is that of the whole server, which ours keeps."""
    host.install("apache")
    host.write("/etc/apache2/conf-enabled/log.conf", "CustomLog /var/log/all combined\n")
    host.chamilo()
    host.site("apache", APACHE % "" + APACHE.replace(":80", ":443") % "CustomLog /var/log/tls combined\n")
    assert discover("campus.test", tree=host.tree).takeover.carried == ("CustomLog /var/log/tls combined",)


@pytest.mark.parametrize("case", [*cases("apache"), *cases("nginx")], ids=lambda case: case.name)
def test_the_virtual_hosts_of_the_world(host, case):
    host.install(case.server)
    host.chamilo()
    if case.head.get("php"):
        host.write("/etc/apache2/mods-enabled/php8.4.load", MOD_PHP)
    case.lay(host.root)
    found = discover(DOMAIN, tree=host.tree).takeover
    assert found.uncarried == ()
    assert all(re.fullmatch(_answers.LINE, line) for line in (*found.carried, *found.carried_php))
    asked = set(re.findall(r"^\s*(?:php_\w+) (\S+)", "".join(case.files.values()), re.MULTILINE))
    assert asked <= {line.split()[1] for line in found.carried if line.startswith("php_")}
