# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The copy of the key on the controller; what the host does with the key: modules/test_backup_key.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.chamilo.hardening.plugins.action.backup_key import ActionModule
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.proof import fingerprint
from ansible_collections.chamilo.hardening.plugins.plugin_utils import _keys
from tests.tools.plans import answered


class Host:
    """A host that has a key, or takes the one it is given."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "keys"
        self.key = ""
        self.lies = False
        self.answer: Callable[..., dict[str, Any]] = self.answers
        self.asked: list[dict[str, Any]] = []
        self.shown: list[str] = []  # what a connection shows with -vvv

    @property
    def copy(self) -> Path:
        return self.directory / "campus.test-campus.key"

    def answers(self, module_name: str, module_args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        assert module_name == "chamilo.hardening.backup_key"
        request = {**module_args["request"], **module_args["secrets"]}
        self.asked.append(request)
        given = request["password"]
        if self.key and given and given != self.key and not self.lies:
            return {"failed": True, "msg": "The key is not the controller's copy."}
        changed = not self.key
        self.key = self.key or given or "made on the host"
        shown = {"key": self.key} if request.get("fetch") else {}
        return {"changed": changed, "fingerprint": fingerprint(self.key, request["salt"]), "held": True, **shown}

    def run(
        self,
        check: bool = False,
        name: str = "campus.test",
        via: str = "ssh",
        discovered: dict[str, Any] | None = None,
        **arguments: Any,
    ) -> dict[str, Any]:
        given = {"site": "campus", "folder": str(self.directory), **arguments}
        task = Mock(action="backup_key", args={"request": given}, async_val=0, check_mode=check, delegate_to=None)
        context = SimpleNamespace(no_log=False)
        connection = SimpleNamespace(transport=via, _shell=Mock(tmpdir=None), _play_context=context)
        action = ActionModule(task, connection, *[Mock()] * 4)

        def execute(**how: Any) -> dict[str, Any]:
            answer = self.answer(**how)
            self.shown += [] if context.no_log else [str(answer)]
            return answer

        action._execute_module = execute
        school = {"inventory_dir": str(self.directory.parent / "school"), "ansible_inventory_sources": []}
        known = {"_chamilo_each_once": True, "__chamilo_common_info": answered(backup_key=discovered or {})}
        return action.run(task_vars={"inventory_hostname": name, **school, **known})


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_key_that_the_host_made_is_fetched_once_for_one_reader(host: Host) -> None:
    result = host.run()
    assert result["changed"] and result["key_file"] == str(host.copy)
    assert host.copy.read_text() == "made on the host\n"
    assert (host.copy.stat().st_mode & 0o777, host.directory.stat().st_mode & 0o777) == (0o600, 0o700)
    assert ["fetch" in asked for asked in host.asked] == [True, False], "the second time it proves that it has it"
    again = host.run()
    assert not again["changed"] and host.asked[-1]["password"] == "made on the host"


def test_the_key_is_in_no_result(host: Host) -> None:
    assert "made on the host" not in str([host.run(), host.run()])
    assert "made on the host" not in str(host.shown) and len(host.shown) == 2, "all else is shown"


def test_a_key_of_the_controllers_own_needs_no_file(host: Host) -> None:
    result = host.run(password="from a vault")
    assert result["key_file"] == "" and host.key == "from a vault" and not host.directory.exists()


def test_check_mode_writes_no_copy(host: Host) -> None:
    host.key = "of the host"
    assert host.run(check=True)["key_file"] == str(host.copy)
    assert not host.directory.exists()


def test_a_copy_of_another_key_is_reported_and_stays(host: Host) -> None:
    host.directory.mkdir()
    host.copy.write_text("of another host\n")
    host.key = "of this host"
    result = host.run()
    assert result["failed"] and "not the controller's copy" in result["msg"]
    host.lies = True
    assert "did not prove that it has the key" in host.run()["msg"]
    assert host.copy.read_text() == "of another host\n"


def test_a_damaged_copy_is_reported_before_the_host_is_asked(host: Host) -> None:
    host.directory.mkdir()
    host.copy.touch()
    with pytest.raises(AnsibleActionFail, match="campus.test-campus.key is empty"):
        host.run()
    assert host.asked == []


def test_a_copy_of_version_1_0_0_is_found_in_the_working_directory_and_moved(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its playbook was run there; the next run is too, or is given the same directory."""
    monkeypatch.setattr(_keys, "ephemeral", lambda: "")
    (tmp_path / "work/chamilo-keys").mkdir(parents=True)
    before = tmp_path / "work/chamilo-keys/campus.test-campus.key"
    before.write_text("of the host\n")
    host.key = "of the host"
    monkeypatch.chdir(tmp_path / "work")
    checked = host.run(folder="chamilo-keys", check=True)
    assert checked["key_file"] == str(before) and before.exists() and "warnings" not in checked
    result = host.run(folder="chamilo-keys")
    assert result["key_file"] == str(tmp_path / "school/chamilo-keys/campus.test-campus.key")
    assert Path(result["key_file"]).read_text() == "of the host\n" and not before.exists()
    assert result["warnings"] == [f"The copy of the backup key was moved from {before} to {result['key_file']}."]
    assert [asked["password"] for asked in host.asked] == ["of the host"] * 2
    assert "warnings" not in host.run(folder="chamilo-keys")


def test_where_the_copy_would_be_lost_no_key_is_made(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_keys, "ephemeral", lambda: "the environment variable CI is set")
    with pytest.raises(AnsibleActionFail, match="chamilo_backups_password is not set, and this controller does not"):
        host.run(folder="chamilo-keys")
    assert host.asked == [] and not host.key
    assert host.run(folder="chamilo-keys", password="from a vault")["key_file"] == ""


def test_a_restore_works_with_the_key_of_the_host_and_fetches_none_that_would_be_lost(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_keys, "ephemeral", lambda: "the environment variable CI is set")
    host.key = "of the host"
    assert not host.run(folder="chamilo-keys", create=False).get("failed")
    assert not host.asked[0]["fetch"] and host.asked[0]["elsewhere"], "nothing is compared, and the record stays"
    host.answer = lambda **_how: {"failed": True, "msg": "There is no key here."}
    assert "this controller does not outlive the run" in host.run(folder="chamilo-keys", create=False)["msg"]


def test_each_question_has_a_salt_of_its_own(host: Host) -> None:
    host.run()
    host.run()
    assert len({asked["salt"] for asked in host.asked}) == len(host.asked) == 3


@pytest.mark.parametrize("via", ["local", "ansible.builtin.local"])
def test_a_copy_on_the_host_itself_is_no_copy_elsewhere(host: Host, via: str) -> None:
    host.run(via=via)
    assert host.asked[0]["elsewhere"] == ""
    host.run()
    assert host.asked[-1]["elsewhere"]


@pytest.mark.parametrize("name", ["salt", "elsewhere", "fetch"])
def test_a_task_cannot_set_what_the_comparison_needs(host: Host, name: str) -> None:
    with pytest.raises(AnsibleActionFail, match=f"{name} is made by the collection"):
        host.run(**{name: "x"})
    assert host.asked == []


def observed(key: str, **other: Any) -> dict[str, Any]:
    return {"fingerprint": fingerprint(key, "f0"), "salt": "f0", "held": True, "due": ["drill"], **other}


@pytest.mark.parametrize("password", ["", "of a vault"])
def test_a_host_that_showed_its_key_in_this_run_is_not_asked(host: Host, password: str) -> None:
    host.run(password=password)
    host.asked.clear()
    result = host.run(password=password, discovered=observed(host.key))
    assert result == {"changed": False, "held": True, "due": ["drill"], "key_file": "" if password else str(host.copy)}
    assert not host.asked


@pytest.mark.parametrize(
    ("discovered", "via"),
    [
        (observed("another"), "ssh"),
        (observed("made on the host", held=False), "ssh"),
        (observed("made on the host", salt="f1"), "ssh"),
        ({"held": True}, "ssh"),
        (observed("made on the host"), "local"),
    ],
)
def test_any_other_host_is_asked(host: Host, discovered: dict[str, Any], via: str) -> None:
    host.run()
    host.asked.clear()
    host.run(discovered=discovered, via=via)
    assert len(host.asked) == 1 and host.key == "made on the host"
