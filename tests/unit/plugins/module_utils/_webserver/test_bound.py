# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long browsers go by https because the owner of a virtual host sends HSTS."""

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._webserver import bound, nginx
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.configuration import Configuration, Directive

STS = "add_header Strict-Transport-Security"
YEAR, GUIDE = "max-age=31536000", "max-age=31536000; includeSubDomains"


@pytest.mark.parametrize(
    ("ours", "owners", "expected"),
    [
        ("max-age=86400", "", "max-age=86400"),
        ("max-age=86400", "max-age=0", "max-age=86400"),
        ("max-age=86400", "max-age=60; includeSubDomains", "max-age=86400"),
        ("max-age=86400", 'includesubdomains;MAX-AGE="31536000"', GUIDE),
        (GUIDE, "max-age=63072000", "max-age=63072000; includeSubDomains"),
        (GUIDE, f"{GUIDE}; preload", f"{GUIDE}; preload"),
        (YEAR, "max-age=$age", YEAR),
        (YEAR, "max-age=99999999999999", YEAR),
    ],
)
def test_nothing_is_lowered(ours: str, owners: str, expected: str) -> None:
    assert bound.kept(ours, owners) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("add_header X-Frame-Options DENY;", ""),
        (f"add_header Strict-Transport-Security '{GUIDE}' always;", GUIDE),
        (f"location / {{ add_header strict-transport-security '{YEAR}'; }}", YEAR),
        (f"{STS} max-age=6; if ($x) {{ {STS} {YEAR}; }}", YEAR),
        (f"more_set_headers 'Strict-Transport-Security: {GUIDE}' 'X-A: b';", GUIDE),
        ("add_header Strict-Transport-Security $hsts;", ""),
        ("add_header Strict-Transport-Security;", ""),
        ("add_header X-About Strict-Transport-Security;", ""),
    ],
)
def test_lines_of_nginx(text: str, expected: str) -> None:
    assert bound.by_owner(Configuration(), [nginx.parse_text(text, "/etc/nginx/x.conf")]) == expected


def test_lines_of_apache() -> None:
    words = ("always", "set", "Strict-Transport-Security", GUIDE, "env=HTTPS")
    unset = ("unset", "Strict-Transport-Security")
    level = [Directive("header", each, "/etc/apache2/x.conf", 1) for each in (words, unset)]
    assert bound.by_owner(Configuration(), [level]) == GUIDE


def test_our_own_lines_are_no_owners() -> None:
    configuration = Configuration(texts={"/x.conf": "# Managed by Ansible: chamilo.hardening, section https. ..."})
    level = nginx.parse_text(f"add_header Strict-Transport-Security {YEAR};", "/x.conf")
    assert bound.by_owner(configuration, [level]) == ""
