# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Only the playbook harden lets action plugins answer from what discovery saw."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.plugin_utils._discovered import refusal, seen

INFO = {"in_force": {"headers:campus": {}}}
HERE = SimpleNamespace(delegate_to=None)


def test_what_discovery_saw_in_this_play() -> None:
    assert seen(HERE, {"_chamilo_each_once": True, "__chamilo_common_info": INFO}) == INFO


@pytest.mark.parametrize(
    ("task", "variables"),
    [
        (HERE, {"__chamilo_common_info": INFO}),
        (HERE, {"_chamilo_each_once": "True", "__chamilo_common_info": INFO}),
        (HERE, {"_chamilo_each_once": True}),
        (HERE, {"_chamilo_each_once": True, "__chamilo_common_info": None}),
        (SimpleNamespace(delegate_to="database"), {"_chamilo_each_once": True, "__chamilo_common_info": INFO}),
    ],
)
def test_otherwise_the_host_is_asked(task: Any, variables: dict[str, Any]) -> None:
    assert seen(task, variables) == {}


def found(fingerprint: str, *groups: str, **more: Any) -> dict[str, Any]:
    site = {"fingerprint": fingerprint, "root": "/var/www/chamilo"}
    return {"group_names": groups, "__chamilo_common_info": {"site": site}, **more}


@pytest.mark.parametrize(
    ("other", "refused"),
    [
        (found("x"), True),
        (found("x", "chamilo_web", "chamilo_db"), True),
        (found("x", "chamilo_db"), False),
        (found("y"), False),
        (found(""), False),
        ({"group_names": ()}, False),
        ({"group_names": (), "__chamilo_common_info": {"failed": True}}, False),
    ],
)
def test_two_inventory_names_of_one_portal_are_refused(other: dict[str, Any], refused: bool) -> None:
    hosts = {"campus.test": found("x"), "library.test": other}
    for name, beside in (("campus.test", "library.test"), ("library.test", "campus.test")):
        play = {"ansible_play_hosts_all": ["campus.test", "library.test"], "hostvars": hosts}
        output = refusal({**hosts[name], **play, "inventory_hostname": name})
        assert bool(output) is refused, (name, beside)
        if refused:
            assert output.startswith("Inventory names campus.test, library.test: one portal. ")
            assert "/var/www/chamilo" in output and "chamilo_names" in output


def test_a_host_without_a_portal_or_without_others_is_none() -> None:
    hosts = {"campus.test": found("")}
    play = {"ansible_play_hosts_all": ["campus.test", "library.test"], "hostvars": hosts}
    assert refusal({**found(""), **play, "inventory_hostname": "campus.test"}) == ""
    assert refusal({**found("x"), "inventory_hostname": "campus.test"}) == ""
