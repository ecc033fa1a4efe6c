# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _inventory


def portal(domain: str = "campus.test", root: str = "/var/www/chamilo", **more: Any) -> dict[str, Any]:
    empty = {"web_server": "nginx", "php": "", "database": "", "version": "2.0.4", "obstacles": []}
    return {**empty, "domain": domain, "names": [domain] if domain else [], "root": root, **more}


def test_a_portal_is_a_host_that_is_reached_as_before() -> None:
    variables = {"192.0.2.7": {"ansible_user": "anna", "ansible_port": 2222, "ansible_password": "hunter2"}}
    text = _inventory.to_yaml(_inventory.hosts({"192.0.2.7": [portal()]}, variables))
    assert yaml.safe_load(text) == {
        "chamilo": {
            "hosts": {"campus.test": {"ansible_host": "192.0.2.7", "ansible_port": 2222, "ansible_user": "anna"}},
            "vars": {"ansible_python_interpreter": "auto_silent"},
        }
    }


def test_a_host_that_has_the_name_of_its_portal_needs_nothing() -> None:
    text = _inventory.to_yaml(_inventory.hosts({"campus.test": [portal()]}, {"campus.test": {}}))
    assert "chamilo:\n  hosts:\n    campus.test:\n  vars:\n" in text
    kept = _inventory.hosts({"campus.test": [portal()]}, {"campus.test": {"ansible_host": "192.0.2.7"}})
    assert kept == {"campus.test": {"ansible_host": "192.0.2.7"}}


def test_of_several_portals_each_has_its_directory() -> None:
    two = [portal(), portal("kolleg.test", "/srv/kolleg"), portal("", "/srv/old")]
    found = _inventory.hosts({"192.0.2.7": two}, {"192.0.2.7": {}})
    assert {name: entry["chamilo_root"] for name, entry in found.items()} == {
        "campus.test": "/var/www/chamilo",
        "kolleg.test": "/srv/kolleg",
    }


def test_two_nodes_of_one_portal_are_for_a_person_to_name() -> None:
    with pytest.raises(_inventory.InventoryError, match="recipe for several nodes"):
        _inventory.hosts({"a": [portal()], "b": [portal()]}, {"a": {}, "b": {}})


def test_no_host_answers_for_another_that_was_not_discovered() -> None:
    """What the inventory has of that one, its secrets too, would be sent to this one."""
    found = {"evil.test": [portal()], "here.test": [portal("here.test")]}
    with pytest.raises(_inventory.InventoryError, match=r"evil\.test reports that it serves campus\.test"):
        _inventory.hosts(found, {"evil.test": {}, "here.test": {}}, ["evil.test", "here.test", "campus.test"])
    assert "campus.test" in _inventory.hosts(found, {"evil.test": {}, "here.test": {}}, ["evil.test", "here.test"])


def test_what_is_shown() -> None:
    shown = _inventory.table([portal(names=["campus.test", "www.campus.test"], obstacles=["MySQL\x1b[31m is here."])])
    assert shown[0] == "campus.test (also www.campus.test)"
    assert shown[1] == "  Chamilo 2.0.4 in /var/www/chamilo, nginx, no PHP, no database"
    assert shown[2].startswith("  OBSTACLE: MySQL") and "\x1b" not in shown[2]
