# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a VirtualHost of the portal serves beside it, or instead of it."""

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._webserver import apache, apache_beside
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.in_place import DesiredHost

ROOTS = {"/var/www/chamilo", "/var/www/chamilo/public"}
DESIRED = DesiredHost("campus", "campus.test", frozenset(), frozenset(ROOTS), "/x.d", frozenset(), tls=True)


def served(host, lines, root="/var/www/chamilo/public"):
    host.install("apache")
    text = f"<VirtualHost *:80>\nServerName campus.test\nDocumentRoot {root}\n{lines}</VirtualHost>\n"
    host.site("apache", text)
    configuration = apache.parse(host.tree, "2.4.62")
    (server,) = [one for one in apache.servers(configuration) if one.host.names[:1] == ("campus.test",)]
    return configuration, server


@pytest.mark.parametrize(
    ("lines", "to"),
    [
        ("ProxyPass / http://10.0.0.7:80/\n", "10.0.0.7"),
        ("ProxyPass / http://127.0.0.1:8080/\n", ""),
        ("ProxyPass /office http://10.0.0.7/\n", ""),
        ("<Location />\nProxyPass http://10.0.0.7/\n</Location>\n", "10.0.0.7"),
        ("ProxyPassMatch ^/(.*)$ http://10.0.0.7/$1\n", "10.0.0.7"),
        ("RewriteRule ^/(.*) http://10.0.0.7/$1 [P]\n", "10.0.0.7"),
        ("RewriteRule ^/(.*) http://10.0.0.7/$1 [R]\n", ""),
        ("RewriteCond %{HTTP:Upgrade} websocket\nRewriteRule ^/(.*) ws://10.0.0.7/$1 [P,L]\n", ""),
    ],
)
def test_what_is_handed_on_to_another_host(host, lines, to):
    _configuration, server = served(host, lines)
    refusal = apache_beside.elsewhere(server)
    assert (f"handed on to {to}, which is another host" in refusal[0]) if to else refusal is None


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        ("ErrorDocument 403 https://campus.test/robots.txt", True),
        ("<Directory /var/www>\nErrorDocument 403 /index.php\n</Directory>", True),
        ("ErrorDocument 403 /403.html", False),
        ('ErrorDocument 403 "closed"', False),
        ("ErrorDocument 404 /index.php", False),
    ],
)
def test_a_page_that_hides_that_something_is_refused(host, line, refused):
    configuration, server = served(host, f"{line}\n")
    found = list(apache_beside.other_statuses(server, configuration))
    assert [one.line for one in found] == ([5 if "Directory" in line else 4] if refused else [])
