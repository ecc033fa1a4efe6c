# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import zlib
from typing import Any
from unittest.mock import Mock

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.chamilo.hardening.plugins.action.host_program import ActionModule
from ansible_collections.chamilo.hardening.plugins.plugin_utils._program import build


def run(**arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The result of the action, and what the module was given."""
    action = ActionModule(Mock(args=arguments, async_val=0), Mock(), Mock(), Mock(), Mock(), Mock())
    action._execute_module = Mock(return_value={"changed": True})
    result = action.run(task_vars={})
    return result, action._execute_module.call_args.kwargs["module_args"]


def test_the_module_gets_the_program_and_its_version() -> None:
    result, given = run(path="/usr/local/sbin/x")
    assert result["changed"] is True
    assert zlib.decompress(base64.b64decode(given["content"])) == build().content
    assert (given["path"], given["version"]) == ("/usr/local/sbin/x", build().version)


@pytest.mark.parametrize("name", ["content", "version"])
def test_nobody_else_makes_the_program(name: str) -> None:
    with pytest.raises(AnsibleActionFail, match=f"{name} is made by the collection"):
        run(**{name: "x"})
