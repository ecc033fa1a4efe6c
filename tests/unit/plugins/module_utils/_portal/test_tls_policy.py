# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which protocols and ciphers of an owner are as good as ours."""

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._portal import nginx, tls_policy
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Directive


@pytest.mark.parametrize(
    ("text", "lacking"),
    [
        ("", ["ssl_protocols", "ssl_ciphers"]),
        (" ".join(tls_policy.LINES.values()), []),
        ("ssl_protocols TLSv1.3; ssl_ciphers 'ECDHE-RSA-AES128-GCM-SHA256:!MD5';", []),
        ("ssl_protocols TLSv1.1 TLSv1.2; ssl_ciphers ECDHE-RSA-AES128-GCM-SHA256;", ["ssl_protocols"]),
        ("ssl_protocols TLSv1.2; ssl_ciphers HIGH:!aNULL;", ["ssl_ciphers"]),
        ("ssl_protocols TLSv1.2; ssl_ciphers ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA;", ["ssl_ciphers"]),
    ],
)
def test_what_is_lacking(text: str, lacking: list[str]) -> None:
    level = nginx.parse_text(text, "/etc/nginx/x.conf")
    assert list(tls_policy.lacking(level, [])) == lacking
    assert list(tls_policy.lacking([], level)) == lacking, "what holds for all of http counts where nothing is said"


@pytest.mark.parametrize(
    ("line", "new"),
    [
        ("all -SSLv3 -TLSv1 -TLSv1.1", True),
        ("all -SSLv3 -TLSv1", False),
        ("-all +TLSv1.2 +TLSv1.3", True),
        ("-all +TLSv1.1 +TLSv1.2", False),
        ("-all +TLSv1.2 +TLSv1", False),
        ("TLSv1.1 TLSv1.2", True),  # each without a sign takes the place of those before it
        ("TLSv1.2 +TLSv1.1", False),
        ("TLSv1.3", True),
    ],
)
def test_protocols_of_apache_are_added_up(line: str, new: bool) -> None:
    level = [Directive("sslprotocol", tuple(line.split()), "/x.conf", 1)]
    assert (tls_policy.APACHE["sslprotocol"] in tls_policy.closing(level, [])) is not new
