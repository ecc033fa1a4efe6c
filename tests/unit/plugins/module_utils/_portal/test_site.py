# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the web server and PHP have their files."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._portal.site import Php, Site, WebServer, include_line


@pytest.mark.parametrize(
    ("web", "line"),
    [
        (WebServer("nginx", service="nginx"), "include /etc/nginx/sites-available/chamilo-campus.d/*.conf;"),
        (
            WebServer("apache", service="apache2"),
            "IncludeOptional /etc/apache2/sites-available/chamilo-campus.d/*.conf",
        ),
    ],
)
def test_a_virtual_host_includes_the_drop_ins_of_its_portal(web: WebServer, line: str) -> None:
    assert include_line(web, "campus") == line


@pytest.mark.parametrize(("sapi", "face"), [("fpm", "fpm"), ("mod_php", "apache2"), ("", "apache2")])
def test_php_has_its_settings_where_it_is_run(sapi: str, face: str) -> None:
    assert Php("8.4", sapi).face == face


def test_what_was_not_found_is_empty() -> None:
    def leaves(value: object) -> list[object]:
        if isinstance(value, dict) and value:
            return [leaf for each in value.values() for leaf in leaves(each)]
        return [value]

    found = asdict(Site("campus.test"))
    assert found.pop("domain") == "campus.test"
    assert found["php"].pop("time_limit") == 30, "PHP's own"
    assert [leaf for leaf in leaves(found) if leaf] == []
