# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What sections share: worked out when it is asked for, and no more than that."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._php.php import Php
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.configuration import WebServer
from ansible_collections.chamilo.hardening.plugins.plugin_utils._controls import ControlError
from ansible_collections.chamilo.hardening.plugins.plugin_utils._plans.portal import Portal
from tests.tools.plans import answered, planned, virtual_host

WAIVER = {"control": "brute_force_lock", "reason": "A test.", "owner": "Ada", "until": "2999-12-31"}


def portal(site: Site | None = None, **variables: Any) -> Portal:
    info = answered(site or Site("campus.test"))
    return Portal({"__chamilo_common_info": info, "chamilo_level": "should", "chamilo_waivers": [], **variables})


def test_a_control_is_enforced_at_the_level_that_is_asked_for() -> None:
    assert [portal().enforced("sessions_remember_me", level) for level in ("", "consider")] == [False, True]
    with pytest.raises(ControlError, match="no such control"):
        portal(chamilo_waivers=[{**WAIVER, "control": "brute"}]).enforced("brute_force_lock")


BESIDE = {
    "groups": {"all": ["web0", "campus.test"], "chamilo": ["web0", "campus.test"]},
    "hostvars": {"web0": {"chamilo_domain": "campus.test"}},
}


def test_what_is_done_once_for_a_portal_is_done_by_its_leader(host: Any) -> None:
    def plans(**given: Any) -> list[Any]:
        names = ("backups", "passwords", "brute_force", "monitoring", "database")
        return [planned(host, name, **given) for name in names]

    host.install("nginx")
    host.chamilo()
    host.testbed_site("nginx", "plain")
    found = []
    for given in ({}, BESIDE, {**BESIDE, "chamilo_leader": "campus.test"}):
        backups, passwords, bans, monitoring, database = plans(**given)
        found.append(
            [
                backups["present"],
                "state" not in backups["main"],
                passwords["settings"] is not None,
                bool(passwords["unknown"]),
                bans["settings"] is not None,
                database["backup"],
                '"leader": "web0"' not in monitoring["main"]["files"][0]["content"],
            ]
        )
        assert (bans["bans"], database["account"]) == (True, True), "each node has its own"
    assert found == [[True] * 7, [False] * 7, [True] * 7]


PHP = Php("8.4", "fpm", user="www-data")
NGINX = WebServer("nginx")


@pytest.mark.parametrize(
    ("sources", "mode"),
    [
        ({}, []),
        ({"APP_ENV": "/var/www/chamilo/.env"}, []),
        # What a line of the server gives PHP wins over the files, by which the console would go.
        (
            {"APP_ENV": "/etc/php/8.4/fpm/pool.d/www.conf:7", "APP_DEBUG": "/etc/nginx/x:3", "APP_SECRET": "/etc/x:1"},
            ["APP_DEBUG=0", "APP_ENV=prod"],
        ),
    ],
)
def test_the_console_goes_by_what_the_server_gives_php(sources: dict[str, str], mode: list[str]) -> None:
    environment = {"APP_ENV": "prod", "APP_DEBUG": "0", "APP_SECRET": "x"}
    site = Site("campus.test", "/x", php=PHP, environment=environment, environment_source=sources, web=NGINX)
    found = portal(site)
    start = ["runuser", "-u", "www-data", "--", "env", "--chdir=/x", "HOME=/nonexistent"]
    assert found.console == [*start, *mode, "php8.4", "bin/console"]
    assert found.rebuild == [
        [*found.console, "cache:clear", "--no-interaction", "--quiet"],
        ["systemctl", "try-reload-or-restart", "nginx"],
    ]


@pytest.mark.parametrize(
    ("asked", "owners", "limit"),
    [
        ("", [], None),
        ("", [-1], None),
        ("", [-1, 1000, 2000], 2000),
        ("", [1000, 0], 0),  # without limit
        ("2M", [], 3 << 20),
        ("2M", [0], 3 << 20),
    ],
)
@pytest.mark.parametrize(("web", "words"), [("nginx", "client_max_body_size {};"), ("apache", "LimitRequestBody {}")])
def test_a_request_may_be_as_long_as_its_owner_or_a_variable_reports(
    asked: str, owners: list[int], limit: int | None, web: str, words: str
) -> None:
    serving = tuple(virtual_host(body_limit=one) for one in owners)
    site = Site("campus.test", web=WebServer(web), serving=serving)
    files = portal(site, chamilo_site="campus", chamilo_uploads_maximum_size=asked).body_limit
    texts = [file.content.splitlines()[1] for file in files]
    assert texts == ([] if limit is None else [words.format(limit)])
