# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What our files for a virtual host set that may be set only once."""

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._portal import shared_directives

NGINX = """# add_header X-Comment a;
add_header X-Frame-Options "SAMEORIGIN" always;
location = /x {
    add_header X-Within 1;
}
server_tokens off;
add_header X-Chamilo-Generation 1;
"""
APACHE = 'Header always set Referrer-Policy "same-origin"\nHeader always unset X-Powered-By\n'


def test_headers_and_directives() -> None:
    assert shared_directives.headers([NGINX, APACHE]) == {"x-frame-options", "referrer-policy"}
    assert shared_directives.once([NGINX, APACHE]) == {"server_tokens"}


@pytest.mark.parametrize(
    ("line", "about"),
    [
        ('add_header x-frame-options "DENY";', True),
        ("more_set_headers 'X-Frame-Options: DENY';", True),
        ("Header onsuccess unset X-Frame-Options early", True),
        ("add_header X-Frame-Options-Legacy a;", False),
        ("add_header No-X-Frame-Options a;", False),
    ],
)
def test_a_line_is_about_a_header(line: str, about: bool) -> None:
    assert shared_directives.mentions(line, ["x-frame-options"]) is about
