# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a module learns which portal is meant: from this run, or from a discovery of its own before it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any
from unittest.mock import Mock

import pytest
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.chamilo.hardening.plugins.action import chamilo_settings
from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovered import Discovered
from ansible_collections.chamilo.hardening.plugins.module_utils._application.installation import told
from ansible_collections.chamilo.hardening.plugins.module_utils._application.sealed import SealError, seal
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._common.tree import Place
from ansible_collections.chamilo.hardening.plugins.module_utils._php.php import Php

PLACE = {"domain": "Campus.test", "root": "/srv/campus", "web_server": "nginx"}
GIVEN = {"APP_SECRET": Place("/pool.conf", 7, "canary")}
SITE = Site("campus.test", "/srv/campus", php=Php("8.4", user="www-data"))
BY_SERVER = replace(SITE, environment_source={"APP_SECRET": "/pool.conf:7"})


def plain(value: Any) -> Any:
    return json.loads(json.dumps(asdict(value)))


class Host:
    """What a host answers to discovery and to the module, and what it was asked."""

    def __init__(self) -> None:
        self.site = BY_SERVER
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def execute(self, module_name: str | None = None, module_args: Any = None, **_more: Any) -> dict[str, Any]:
        self.asked.append((str(module_name), module_args))
        if module_name is None:
            return {"changed": True, "forgotten": 2}
        closed = seal({name: asdict(place) for name, place in GIVEN.items()}, module_args["secrets"]["salt"])
        return {"changed": False, **plain(Discovered(self.site, given=closed))}


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host()
    monkeypatch.setattr(ActionBase, "_execute_module", lambda _self, **options: made.execute(**options))
    return made


def run(args: dict[str, Any], **variables: Any) -> dict[str, Any]:
    task = Mock(action="chamilo.hardening.chamilo_remembered", args=args, async_val=0, diff=False, delegate_to=None)
    plugin = chamilo_settings.ActionModule(task, Mock(), Mock(), Mock(), Mock(), Mock())
    result: dict[str, Any] = plugin.run(task_vars=variables)
    return result


def known(site: Site) -> dict[str, Any]:
    return {"_chamilo_each_once": True, "__chamilo_common_info": plain(Discovered(site))}


def test_what_this_run_discovered_is_handed_on(host: Host) -> None:
    assert run(PLACE, **known(SITE))["forgotten"] == 2
    ((_module, options),) = host.asked
    assert told(options["installation"], "") == SITE.installation


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {**known(SITE), "_chamilo_each_once": False},
        known(replace(SITE, domain="other.test")),
        known(replace(SITE, root="/srv/other")),
        known(BY_SERVER),
    ],
)
def test_else_the_host_is_asked_first_and_no_secret_passes_in_the_open(host: Host, variables: dict[str, Any]) -> None:
    run(PLACE, **variables)
    (first, request), (_module, options) = host.asked
    assert first == "chamilo.hardening.chamilo_site_info"
    assert request["request"] == {**PLACE, "domain": "campus.test"} and "canary" not in str(host.asked)
    assert told(options["installation"], options["installation_salt"]) == replace(SITE.installation, given=GIVEN)
    with pytest.raises(SealError, match="What the server gives PHP cannot be read"):
        told(options["installation"], "another")


def test_a_host_without_a_portal_is_refused_in_the_words_of_discovery(host: Host) -> None:
    host.site = replace(host.site, errors=("No Chamilo was found.",))
    with pytest.raises(AnsibleActionFail, match="No Chamilo was found"):
        run(PLACE)


@pytest.mark.parametrize("name", ["installation", "installation_salt"])
def test_it_cannot_be_given(host: Host, name: str) -> None:
    with pytest.raises(AnsibleActionFail, match=f"{name} is made by the collection"):
        run({**PLACE, name: "x"})
