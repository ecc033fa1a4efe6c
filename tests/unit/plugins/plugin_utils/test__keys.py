# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the copy of a backup key is, with each kind of inventory, and what a run that is not kept does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.plugin_utils import _keys

NAME = "campus.test-campus.key"
EPHEMERAL: Any = _keys.ephemeral


class Controller:
    """A home directory, a working directory, and an inventory elsewhere."""

    def __init__(self, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home, self.work, self.school = base / "home", base / "work", base / "school"
        for place in (self.home, self.work, self.school):
            place.mkdir()
        monkeypatch.setenv("HOME", str(self.home))
        monkeypatch.chdir(self.work)
        self.sources = [str(self.school / "hosts.yml")]
        self.directory: Path | None = self.school

    def find(self, directory: str = "chamilo-keys", host: str = "campus.test") -> _keys.KeyCopy:
        variables = {"inventory_dir": self.directory and str(self.directory), "ansible_inventory_sources": self.sources}
        return _keys.find(directory, host, "campus", variables)

    def copy(self, place: Path, key: str = "secret") -> Path:
        (place / "chamilo-keys").mkdir(parents=True)
        path = place / "chamilo-keys" / NAME
        path.write_text(f"{key}\n")
        return path


@pytest.fixture
def controller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Controller:
    return Controller(tmp_path, monkeypatch)


@pytest.fixture(autouse=True)
def _kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine these tests run on may be such a one."""
    monkeypatch.setattr(_keys, "ephemeral", lambda: "")


def test_copies_are_beside_the_inventory_wherever_the_playbook_was_started(controller: Controller) -> None:
    path = controller.school / "chamilo-keys" / NAME
    assert controller.find() == _keys.KeyCopy(path, None, lasting=False)
    controller.find().keep("secret")
    found = controller.find()
    assert found.present == path and found.read() == "secret"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_whole_path_is_the_administrators_word(controller: Controller, tmp_path: Path) -> None:
    controller.copy(controller.work)
    found = controller.find(str(tmp_path / "vault"))
    assert found == _keys.KeyCopy(tmp_path / "vault" / NAME, None, lasting=True)
    assert controller.find("~/keys").path == controller.home / "keys" / NAME and controller.find("~/keys").lasting


@pytest.mark.parametrize("place", ["work", "home", "other"])
def test_a_copy_from_before_is_moved_and_reported(controller: Controller, tmp_path: Path, place: str) -> None:
    """Version 1.0.0 had it in the working directory; with another order of inventories it is beside another one."""
    (tmp_path / "other").mkdir()
    controller.sources += [str(tmp_path / "other"), "desk.test,"]
    before = controller.copy(tmp_path / place)
    found = controller.find()
    assert found.present == before and found.read() == "secret"
    path, output = found.move()
    assert path == controller.school / "chamilo-keys" / NAME and path.read_text() == "secret\n"
    assert output == f"The copy of the backup key was moved from {before} to {path}."
    assert not before.exists()
    assert controller.find().move() == (path, "")


def test_a_copy_that_is_in_place_comes_before_all_others(controller: Controller) -> None:
    before, now = controller.copy(controller.work, "old"), controller.copy(controller.school, "new")
    assert controller.find().read() == "new"
    assert controller.find().move() == (now, "") and before.read_text() == "old\n"


def test_a_copy_that_cannot_be_moved_is_used_where_it_is(controller: Controller) -> None:
    before = controller.copy(controller.work)
    (controller.school / "chamilo-keys").touch()
    path, output = controller.find().move()
    assert path == before and output.startswith(f"The copy of the backup key stays in {before}. The copy of")
    assert controller.find().read() == "secret" and not controller.find().cannot_be_kept()


def test_half_a_copy_does_not_hide_a_whole_one(controller: Controller, monkeypatch: pytest.MonkeyPatch) -> None:
    before = controller.copy(controller.work)

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    path, output = controller.find().move()
    assert path == before and "No space left on device" in output
    assert controller.find().read() == "secret"


def test_a_copy_is_never_written_over(controller: Controller) -> None:
    path = controller.copy(controller.school)
    with pytest.raises(_keys.KeyCopyError, match="File exists"):
        controller.find().keep("another")
    assert path.read_text() == "secret\n"


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "is empty. Remove it"), (b" \n", "is empty"), (b"\xff\xfe", "cannot be read")]
)
def test_a_damaged_copy_is_no_copy(controller: Controller, content: bytes, words: str) -> None:
    controller.copy(controller.school).write_bytes(content)
    with pytest.raises(_keys.KeyCopyError, match=f"{NAME} {words}"):
        controller.find().read()


def test_the_name_of_a_host_leads_nowhere_else(controller: Controller) -> None:
    assert controller.find(host="../../etc/x y").path.parent == controller.school / "chamilo-keys"


def test_a_directory_that_cannot_be_written_is_reported_before_a_key_is_made(controller: Controller) -> None:
    assert controller.find().cannot_be_kept() == ""
    (controller.school / "chamilo-keys").touch()
    assert "is not a directory that you can write. Set chamilo_backups_key_folder" in controller.find().cannot_be_kept()
    assert str(controller.school) in controller.find(str(controller.school / "chamilo-keys")).cannot_be_kept()


def test_where_the_controller_is_gone_after_the_run_a_relative_directory_is_refused(
    controller: Controller, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_keys, "ephemeral", lambda: "the environment variable CI is set")
    controller.copy(controller.work)
    output = controller.find().cannot_be_kept()
    assert output.startswith(
        "chamilo_backups_password is not set, and this controller does not outlive the run (the env"
    )
    assert "Set chamilo_backups_password" in output and str(controller.school) in output
    assert controller.find(str(tmp_path / "vault")).cannot_be_kept() == ""


@pytest.mark.parametrize(
    ("environment", "output"),
    [
        ({}, ""),
        ({"CI": "true"}, "CI"),
        ({"CI": "false", "HOME": "/root"}, ""),
        ({"AWX_ISOLATED_DATA_DIR": "/runner/artifacts/5"}, "AWX_ISOLATED_DATA_DIR"),
        ({"KUBERNETES_SERVICE_HOST": "10.96.0.1"}, "KUBERNETES_SERVICE_HOST"),
        ({"JENKINS_URL": "https://jenkins.test/"}, "JENKINS_URL"),
    ],
)
def test_a_job_is_known_by_its_environment(environment: dict[str, str], output: str) -> None:
    assert EPHEMERAL(environment, ()) == (output and f"the environment variable {output} is set")


def test_a_container_is_known_by_its_file(tmp_path: Path) -> None:
    path = tmp_path / ".dockerenv"
    assert EPHEMERAL({}, (str(path),)) == ""
    path.touch()
    assert EPHEMERAL({}, (str(path),)) == f"it is a container: {path} exists"


@pytest.mark.parametrize("transport", ["local", "ansible.builtin.local"])
def test_a_controller_that_is_the_host_itself_is_no_other_machine(transport: str) -> None:
    assert _keys.machine(transport) == "" and _keys.machine("ssh")
