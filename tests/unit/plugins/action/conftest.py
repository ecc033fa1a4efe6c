# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ansible-playbook in one process, without forks: real action plugins, and a connection that is local or fails."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import yaml
from ansible.plugins.action import ActionBase

ROOT = Path(__file__).resolve().parents[4]


@dataclass(frozen=True)
class Outcome:
    code: int
    output: str

    def recap(self, host: str) -> dict[str, int]:
        line = re.search(rf"^{re.escape(host)} +: (.*)$", self.output, re.MULTILINE)
        assert line, self.output
        return {key: int(count) for key, count in re.findall(r"(\w+)=(\d+)", line[1])}


class Ansible:
    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def play(self, playbook: Any, hosts: dict[str, Any], *arguments: str) -> Outcome:
        """Run a playbook, given as plays or by its name in the collection, over hosts with their variables."""
        if not isinstance(playbook, str):
            (self.directory / "play.yml").write_text(yaml.safe_dump(playbook, sort_keys=False))
            playbook = "play.yml"
        shared = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        inventory = {"chamilo": {"hosts": hosts, "vars": shared}}
        (self.directory / "hosts.yml").write_text(yaml.safe_dump(inventory, sort_keys=False))
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
            "ANSIBLE_CONFIG": str(self.directory / "ansible.cfg"),
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
            "ANSIBLE_LOCAL_TEMP": str(self.directory / "tmp"),
            "ANSIBLE_NOCOLOR": "1",
            "PYTHONPATH": str(ROOT),
        }
        (self.directory / "ansible.cfg").touch()
        command = [sys.executable, "-m", "tests.tools.inline_playbook", "-i", "hosts.yml", playbook, *arguments]
        done = subprocess.run(
            command, cwd=self.directory, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        output = done.stdout + done.stderr
        assert "[WARNING]" not in output and "[DEPRECATION WARNING]" not in output, output
        return Outcome(done.returncode, output)

    def ask(self, questions: list[tuple[dict[str, Any], dict[str, Any]]]) -> list[tuple[int, int, int]]:
        """Run each task where its variables are known: ok, changed, unreachable. No host can be reached."""
        hosts, tasks = {}, []
        for number, (variables, task) in enumerate(questions):
            name = f"host{number}.test"
            hosts[name] = {
                "ansible_connection": "ssh",
                "ansible_host": "127.0.0.1",
                "ansible_port": 9,
                "ansible_timeout": 60,
                **variables,
            }
            tasks.append({**task, "when": f"inventory_hostname == '{name}'"})
        done = self.play([{"hosts": "chamilo", "gather_facts": False, "tasks": tasks}], hosts, "--diff")
        found = map(done.recap, hosts)
        return [(one["ok"], one["changed"], one["unreachable"]) for one in found]


@pytest.fixture
def ansible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ansible:
    # Where it is set, a controller does not outlive the run, and a backup key must be given.
    monkeypatch.delenv("CI", raising=False)
    return Ansible(tmp_path)


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The result of a module's action plugin when the host answers so, or raises so."""

    def run(module: str, answer: Any) -> dict[str, Any]:
        monkeypatch.setattr(ActionBase, "_execute_module", Mock(side_effect=[answer]))
        name = f"ansible_collections.chamilo.hardening.plugins.action.{module}"
        task = Mock(action=f"chamilo.hardening.{module}", args={}, async_val=0, diff=False)
        action = importlib.import_module(name).ActionModule(task, Mock(), Mock(), Mock(), Mock(), Mock())
        result: dict[str, Any] = action.run(task_vars={})
        return result

    return run
