# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shell around the installation of the program, and the action plugin that makes the program."""

from __future__ import annotations

import base64
import json
import zlib
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible.module_utils.testing import patch_module_args

from ansible_collections.chamilo.hardening.plugins.action.host_program import ActionModule
from ansible_collections.chamilo.hardening.plugins.module_utils import _install
from ansible_collections.chamilo.hardening.plugins.modules import host_program
from ansible_collections.chamilo.hardening.plugins.plugin_utils._program import build


def run(capsys: pytest.CaptureFixture[str], **arguments: Any) -> dict[str, Any]:
    with patch_module_args(arguments), pytest.raises(SystemExit):
        host_program.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_the_program_is_unpacked_and_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed: list[tuple[Any, ...]] = []
    monkeypatch.setattr(
        host_program, "install", lambda *words: installed.append(words) or _install.Installed(True, [{"before": ""}])
    )
    content = base64.b64encode(zlib.compress(b"program")).decode()
    done = run(capsys, content=content, version="1.2.3", path="/x", _ansible_diff=True)
    assert installed == [(b"program", "1.2.3", "/x", False)]
    assert (done["changed"], done["version"], done["diff"]) == (True, "1.2.3", [{"before": ""}])
    assert content not in json.dumps(done)


def test_the_program_needs_its_action_plugin(capsys: pytest.CaptureFixture[str]) -> None:
    assert "through its action plugin only" in run(capsys)["msg"]


def action(monkeypatch: pytest.MonkeyPatch, sent: list[dict[str, Any]], **args: Any) -> ActionModule:
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/tmp/none"))
    plugin = ActionModule(SimpleNamespace(args=args, async_val=0, check_mode=False), connection, None, None, None, None)
    monkeypatch.setattr(plugin, "_execute_module", lambda **more: sent.append(more) or {"changed": True})
    return plugin


def test_the_controller_makes_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []
    assert action(monkeypatch, sent, path="/x").run(task_vars={})["changed"]
    (call,) = sent
    assert call["module_name"] == "chamilo.hardening.host_program"
    assert call["module_args"]["path"] == "/x" and call["module_args"]["version"] == build().version
    assert zlib.decompress(base64.b64decode(call["module_args"]["content"])) == build().content


@pytest.mark.parametrize("name", ["content", "version"])
def test_nobody_gives_the_program(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with pytest.raises(AnsibleActionFail, match=f"{name} is made by the collection"):
        action(monkeypatch, [], **{name: "x"}).run(task_vars={})


def test_the_examples_parse() -> None:
    assert all("chamilo.hardening.host_program" in task for task in yaml.safe_load(host_program.EXAMPLES))
