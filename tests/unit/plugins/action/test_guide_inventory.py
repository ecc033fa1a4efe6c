# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import yaml
from ansible.errors import AnsibleActionFail

from ansible_collections.chamilo.hardening.plugins.action.guide_inventory import ActionModule
from tests.unit.plugins.plugin_utils.test__inventory import portal


def run(hostvars: dict[str, Any], check: bool = False, **arguments: Any) -> dict[str, Any]:
    request = {"hosts": list(hostvars), "register": "found", **arguments}
    task = Mock(args={"request": request}, async_val=0, check_mode=check)
    action = ActionModule(task, Mock(), Mock(), Mock(), Mock(), Mock())
    return dict(action.run(task_vars={"hostvars": Mock(raw_get=hostvars.get)}))


FOUND = {"192.0.2.7": {"found": {"portals": [portal()]}}, "gone.test": {"found": {"unreachable": True}}}


def test_it_is_printed_or_written(tmp_path: Path) -> None:
    printed = run(FOUND)
    assert printed["lines"] == ["192.0.2.7: 1 portal", "gone.test: not discovered"]
    assert printed["inventory"] == "" and "    campus.test:" in printed["msg"]
    path = tmp_path / "hosts.yml"
    assert run(FOUND, check=True, path=str(path))["inventory"] == str(path) and not path.exists()
    assert run(FOUND, path=str(path))["inventory"] == str(path)
    assert yaml.safe_load(path.read_text())["chamilo"]["hosts"] == {"campus.test": {"ansible_host": "192.0.2.7"}}


def test_a_file_that_exists_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "hosts.yml"
    path.write_text("mine")
    with pytest.raises(AnsibleActionFail, match="exists"):
        run(FOUND, path=str(path))
    assert path.read_text() == "mine"


def test_without_a_portal_nothing_is_written(tmp_path: Path) -> None:
    done = run({"a.test": {"found": {"portals": []}}}, path=str(tmp_path / "hosts.yml"))
    assert done["inventory"] == "" and done["lines"] == ["a.test: 0 portals"]
    assert not list(tmp_path.iterdir())
