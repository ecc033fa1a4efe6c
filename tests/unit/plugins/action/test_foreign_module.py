# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError

from ansible_collections.chamilo.hardening.plugins.action import foreign_module

STARTED = {"changed": True, "ansible_job_id": "j7.7", "started": 1, "finished": 0}
DONE = {"changed": True, "finished": True, "rc": 0, "stdout": "It is back."}


class Core:
    """The action plugins of ansible-core, which answer one after the other."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, dict[str, Any], int]] = []
        self.cleaned = 0  # their temporary directories on the host

    def has_plugin(self, name: str) -> bool:
        return name.rpartition(".")[2] in ("command", "copy", "async_status")

    def get(self, name: str, task: Any, **_more: Any) -> Any:
        def run(task_vars: Any) -> Any:
            self.asked.append((name, {task.action: dict(task.args)}, task.async_val))
            answer = self.answers.pop(0) if self.answers else {}
            if isinstance(answer, Exception):
                raise answer
            return answer

        return Mock(run=run, cleanup=self.clean)

    def clean(self) -> None:
        self.cleaned += 1


def act(core: Core, options: dict[str, Any], seconds: int = 0, poll: int = 0, connection: Any = None) -> dict[str, Any]:
    task = Mock(args=options, async_val=seconds, poll=poll, check_mode=False, module_defaults=[])
    task.copy = lambda: Mock()
    templar = Mock(template=lambda value: value, _engine=Mock(resolve_to_container=lambda value: value))
    action = foreign_module.ActionModule(task, connection or Mock(), Mock(), Mock(), templar, Mock())
    action._shared_loader_obj = Mock(action_loader=core)
    result: dict[str, Any] = action.run(task_vars={})
    return result


def test_a_collection_that_is_not_there_is_named_before_anything_is_done() -> None:
    assert foreign_module.not_there("ansible.builtin.apt") == ""
    assert foreign_module.not_there("chamilo.hardening.chamilo_env") == ""
    for collection in ("chamilo.nothing", "nobody.nothing"):
        words = foreign_module.not_there(f"{collection}.mariadb_user")
        assert words.endswith(f"Install it: ansible-galaxy collection install {collection}")


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(foreign_module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(foreign_module.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))


def test_the_module_is_run_as_ansible_core_runs_it() -> None:
    core = Core({"changed": True, "rc": 0}, {"changed": False})
    assert act(core, {"command": {"argv": ["true"]}}) == {"changed": True, "rc": 0}
    assert act(core, {"apt": {"name": "x"}}) == {"changed": False}
    assert core.asked == [
        ("ansible.builtin.command", {"ansible.builtin.command": {"argv": ["true"]}}, 0),
        ("ansible.builtin.normal", {"ansible.builtin.apt": {"name": "x"}}, 0),
    ]


def test_of_its_answer_the_documented_is_left() -> None:
    answer = {
        "changed": True,
        "rc": 0,
        "stdout": "a\x1b[2J",
        "content": "eA==",
        "cmd": ["x"],
        "dest": "/x",
        "state": "file",
    }
    facts = {"ansible_facts": {"x": 1}, "add_host": {"host_name": "x"}, "ansible_stats": {"data": {"x": 1}}}
    assert act(Core({**answer, **facts}), {"file": {}}) == {
        "changed": True,
        "rc": 0,
        "stdout": "a\N{REPLACEMENT CHARACTER}[2J",
        "content": "eA==",
        "cmd": ["x"],
    }
    with pytest.raises(AnsibleActionFail, match=r"answer of the host to file: it sets variables .* \(chamilo_site\)\."):
        act(Core({"changed": True, "ansible_facts": {"chamilo_site": "x"}}), {"file": {}})


@pytest.mark.parametrize(
    "options", [{}, {"shell": {}}, {"apt": {}, "file": {}}, {"apt": {}, "x": 1}, {"apt": "name=x"}, {"apt": None}]
)
def test_it_runs_one_module_that_the_roles_use(options: dict[str, Any]) -> None:
    core = Core()
    with pytest.raises(AnsibleActionFail, match="foreign_module takes one of apt, command, "):
        act(core, options)
    assert core.asked == []


def test_it_waits_for_a_job_and_clears_it_away() -> None:
    lost = AnsibleConnectionFailure("lost")
    core, connection = Core(STARTED, {"finished": False}, lost, {"failed": True, "msg": "cut"}, DONE), Mock()
    result = act(core, {"command": {"argv": ["x"]}}, seconds=60, connection=connection)
    assert result["rc"] == 0 and result["stdout"] == "It is back."
    assert connection.reset.call_count == 1
    assert core.cleaned == len(core.asked)
    assert [asked[1:] for asked in core.asked] == [
        ({"ansible.builtin.command": {"argv": ["x"]}}, 60),
        *[({"ansible.builtin.async_status": {"jid": "j7.7"}}, 0)] * 4,
        ({"ansible.builtin.async_status": {"jid": "j7.7", "mode": "cleanup"}}, 0),
    ]


def test_a_job_that_failed_reports_so() -> None:
    result = act(Core(STARTED, {**DONE, "failed": True, "rc": 3}), {"command": {}}, seconds=60)
    assert (result["failed"], result["rc"]) == (True, 3)
    result = act(Core({"failed": True, "msg": "no"}), {"command": {}}, seconds=60)
    assert (result["failed"], result["msg"]) == (True, "no")


@pytest.mark.parametrize(
    ("answer", "seconds", "times"),
    [
        ({"finished": False}, 60, 31),
        ({"failed": True, "msg": "cut"}, 86400, 1801),
        (AnsibleConnectionFailure("cut"), 86400, 1801),
        (AnsibleError("failed to transfer file"), 86400, 1801),  # a disk without room
        (AnsibleError("Incorrect sudo password"), 86400, 1801),  # a directory service that is out of reach
    ],
)
def test_a_job_that_never_ends_is_left(answer: Any, seconds: int, times: int) -> None:
    core = Core(STARTED, *[answer] * 2000)
    with pytest.raises(
        AnsibleActionFail, match=r"The job of command did not report its end: j7\.7\. ?.* Check the host\."
    ):
        act(core, {"command": {}}, seconds=seconds)
    assert len(core.asked) == times + 1


@pytest.mark.parametrize("job", ["../../x", "", "x" * 65, None, ["j7.7"]])
def test_the_name_of_a_job_is_validated(job: Any) -> None:
    core = Core({**STARTED, "ansible_job_id": job})
    with pytest.raises(AnsibleActionFail, match="Invalid answer of the host to command: ansible_job_id"):
        act(core, {"command": {}}, seconds=60)
    assert len(core.asked) == 1


def test_ansible_core_polls_no_job() -> None:
    with pytest.raises(AnsibleActionFail, match="Set poll to 0"):
        act(Core(), {"command": {}}, seconds=60, poll=2)


def test_a_host_that_cannot_be_reached_stays_unreachable() -> None:
    with pytest.raises(AnsibleConnectionFailure):
        act(Core(AnsibleConnectionFailure("lost")), {"apt": {}})


def test_the_defaults_that_a_play_sets_for_a_module_hold_here_too(ansible: Any, tmp_path: Path) -> None:
    tasks = [
        {"chamilo.hardening.foreign_module": {"file": {"path": str(tmp_path / name), "state": "touch", **more}}}
        for name, more in (("default", {}), ("own", {"mode": "0640"}))
    ]
    defaults = {"ansible.builtin.file": {"mode": "{{ '06' }}00"}}
    plays = [{"hosts": "chamilo", "gather_facts": False, "module_defaults": defaults, "tasks": tasks}]
    done = ansible.play(plays, {"campus.test": {}})
    assert done.code == 0, done.output
    modes = {name: (tmp_path / name).stat().st_mode & 0o777 for name in ("default", "own")}
    assert modes == {"default": 0o600, "own": 0o640}
