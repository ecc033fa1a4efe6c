# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The line is named that has a web server take a client's word for its address."""

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._audit import _believed
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Tree


def wrote(root, path, text):
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


NGINX = """\
http {
    set_real_ip_from 10.9.0.0/16;
    set_real_ip_from unix:;
    real_ip_header X-Forwarded-For;
    server {
        listen 80;
        set_real_ip_from 0.0.0.0/0;
    }
}
"""


@pytest.mark.parametrize(
    ("address", "output"),
    [
        ("192.0.2.7", "set_real_ip_from 0.0.0.0/0 (/etc/nginx/nginx.conf line 7)"),
        ("2001:db8::7", ""),
        (
            "10.9.1.1",
            "set_real_ip_from 10.9.0.0/16 (/etc/nginx/nginx.conf line 2); "
            "set_real_ip_from 0.0.0.0/0 (/etc/nginx/nginx.conf line 7)",
        ),
        ("", ""),
    ],
)
def test_the_line_of_nginx_that_contains_the_address(tmp_path, address, output):
    wrote(tmp_path, "etc/nginx/nginx.conf", NGINX)
    assert _believed.lines("nginx", address, Tree(str(tmp_path))) == output


@pytest.mark.parametrize(
    ("text", "output"),
    [
        (
            "RemoteIPHeader X-Forwarded-For\nRemoteIPTrustedProxy 10.9.0.0/16\nremoteIPInternalProxy 192.0.2.0/24\n",
            "remoteIPInternalProxy 192.0.2.0/24 (/etc/apache2/apache2.conf line 3)",
        ),
        ("RemoteIPHeader X-Forwarded-For\n", "RemoteIPHeader X-Forwarded-For (/etc/apache2/apache2.conf line 1)"),
        (
            "RemoteIPHeader X-Forwarded-For\nRemoteIPTrustedProxyList /etc/proxies\n",
            "RemoteIPTrustedProxyList /etc/proxies (/etc/apache2/apache2.conf line 2)",
        ),
        (
            "RemoteIPTrustedProxy proxy.test 192.0.2.0/24\n",
            "RemoteIPTrustedProxy proxy.test 192.0.2.0/24 (/etc/apache2/apache2.conf line 1)",
        ),
        ("ServerName x\n", ""),
    ],
)
def test_the_line_of_apache(tmp_path, text, output):
    wrote(tmp_path, "etc/apache2/apache2.conf", text)
    assert _believed.lines("apache", "192.0.2.7", Tree(str(tmp_path))) == output


def test_many_lines_fill_no_report_and_none_is_none(tmp_path):
    assert _believed.lines("nginx", "192.0.2.7", Tree(str(tmp_path))) == ""
    wrote(tmp_path, "etc/nginx/nginx.conf", "http {\n" + "set_real_ip_from 192.0.2.0/24;\n" * 9 + "}\n")
    output = _believed.lines("nginx", "192.0.2.7", Tree(str(tmp_path)))
    assert output.count("set_real_ip_from") == 5 and output.endswith(" and 4 more")


@pytest.mark.parametrize("web", ["nginx", "apache"])
def test_a_configuration_that_cannot_be_read_shows_no_line(monkeypatch, web):
    def closed(_tree):
        raise PermissionError

    monkeypatch.setattr(getattr(_believed, web), "parse", closed)
    assert _believed.lines(web, "192.0.2.7") == ""
