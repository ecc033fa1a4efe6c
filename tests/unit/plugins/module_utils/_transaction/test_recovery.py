# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Killed, failed or out of room at any moment: the old files are restored, and active."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import mounts
from ansible_collections.chamilo.hardening.plugins.module_utils._common.files import StateError
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction import store
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.job import TransactionError
from tests.unit.plugins.module_utils._transaction.conftest import (
    Killed,
    World,
    cut_off,
    interrupted,
    kill_points,
    one,
    unloaded,
)


@pytest.mark.slow
@pytest.mark.parametrize("again", [False, True], ids=["once", "and the recovery killed too"])
def test_killed_at_any_change_the_old_files_come_back(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    before = world.tree()
    points = 0
    for number, _stopped in kill_points(world, monkeypatch, world.apply):
        points += 1
        if world.journal()["open"]:
            world.loaded = {"main.conf": "whatever it had read when we died"}
        if again:
            for _number, ended in kill_points(world, monkeypatch, lambda: world.engine().recover()):
                if ended is None:
                    break
        else:
            world.engine().recover()
        state = world.journal()
        assert state["open"] is None and state["pending"] == {} and world.untouched(), number
        if state["records"]:
            assert world.tree()["main.conf"][0] == b"new main, header on", number
            world.undo()
        assert world.tree() == before, number
        assert world.loaded == world.texts(), number
    assert points > 60
    assert world.apply().changed


def test_recovery_loads_what_it_rolled_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # Dead right after the server has read the new files.
    def die(argv: Sequence[str], seconds: float) -> tuple[int, str]:
        answer = World.run(world, argv, seconds)
        if argv[1:2] == ["reload"]:
            raise Killed
        return answer

    before, loaded = world.tree(), dict(world.loaded)
    world.machine.run = die
    monkeypatch.setattr(Engine, "_roll_back", lambda *args: (_ for _ in ()).throw(Killed()))
    with pytest.raises(Killed):
        world.apply()
    monkeypatch.undo()
    world.machine.run = world.run
    assert world.loaded != loaded
    done = world.engine().recover()
    assert world.tree() == before and world.loaded == loaded
    assert done[0].startswith("The run of headers that began at 20")
    assert done[0].endswith("Its files (6) are as they were before.")
    assert done[1] == "web has loaded its present files."
    assert world.engine().recover() == []


@pytest.mark.parametrize("code", [1, -15])
def test_a_command_that_fails_in_recovery_is_reported_once_without_what_it_reported(world: World, code: int) -> None:
    cut_off(world, **unloaded(world))
    world.machine.run = lambda argv, _seconds: (code, "a secret") if argv[0] == "clear" else (0, "")
    first, second = world.engine().recover()
    assert "are as they were before" in first
    assert second == f"Activating the files failed ({code}): `clear`. Run it by hand."
    assert world.engine().recover() == []


def test_recovery_keeps_what_was_repaired_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = world.tree()
    interrupted(world, monkeypatch)
    assert "new main" not in json.dumps(world.journal()), "no content is written down, which may be a secret"
    world.write("main.conf", "repaired")
    (world.etc / "enabled/site").unlink()
    done = world.engine().recover()
    assert world.tree() == before
    (kept,) = (each for each in (world.state / "kept").rglob("main.conf"))
    assert kept.read_text() == "repaired"
    assert done[1:3] == [
        f"{world.etc}/main.conf was edited by hand after it was written. The edited file is kept as {kept}.",
        f"{world.etc}/enabled/site was changed by hand: it is gone now.",
    ]


def test_what_was_edited_while_it_was_tried_is_kept_by_the_rollback(world: World) -> None:
    def edit(argv: Sequence[str], seconds: float) -> tuple[int, str]:
        if argv[0] == "check" and world.texts()["main.conf"] == "new":
            world.write("main.conf", "edited")
            return 1, "no"
        return World.run(world, argv, seconds)

    world.machine.run = edit
    with pytest.raises(TransactionError, match="The edited file is kept as"):
        world.apply(files=one("new"))


def test_a_journal_that_knows_only_the_old_files_is_enough(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = world.tree()
    interrupted(world, monkeypatch)
    state = world.journal()
    for entry in state["open"]["entries"]:
        del entry["new"]
    (world.state / "state.json").write_text(json.dumps(state))
    world.write("main.conf", "repaired")
    assert len(world.engine().recover()) == 2
    assert world.tree() == before and not (world.state / "kept").exists()


def test_the_next_run_reports_what_it_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(world, monkeypatch)
    predicted = world.apply(check=True)
    assert predicted.changed and "did not finish; its files would be rolled back" in predicted.notes[0]
    done = world.apply()
    assert done.changed and len(done.recovered) == 2
    assert done.diff and not predicted.diff and not world.apply().changed


def test_after_a_reboot_files_are_enough(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = world.tree()
    interrupted(world, monkeypatch)
    world.service = "inactive"
    world.commands.clear()
    assert len(world.engine().recover(0)) == 2
    assert world.tree() == before
    assert world.commands == ["systemctl is-active web"]
    assert world.journal()["pending"] == {}


def test_a_stopped_service_stays_stopped_and_a_failed_one_is_started(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(world, monkeypatch)
    world.service = "failed"
    world.engine().recover()
    assert world.service == "active"
    interrupted(world, monkeypatch)
    world.service = "inactive"
    world.engine().recover()
    assert world.service == "inactive"


class Late:
    """A run that died, with one of its files on a disk that is mounted late, behind another such disk."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch, name: str = "srv/campus/site/.env") -> None:
        self.world = world
        self.name = name
        self.disk = world.etc / "srv"
        (world.etc / name).parent.mkdir(parents=True)
        world.write(name, "old")
        self.fstab = world.state.parent / "fstab"
        self.fstab.write_text(f"# {self.disk} was elsewhere once\nstore:/srv /mnt nfs defaults 0 0\n")
        monkeypatch.setattr(mounts, "_FSTAB", str(self.fstab))
        monkeypatch.setattr(mounts, "mounts", lambda: self.mounts)
        self.mounted()
        self.before = world.tree()
        with monkeypatch.context() as patch:
            patch.setattr(Engine, "_test", lambda *args: (_ for _ in ()).throw(Killed()))
            patch.setattr(Engine, "_roll_back", lambda *args: (_ for _ in ()).throw(Killed()))
            with pytest.raises(Killed):
                world.apply(files=[*one("new"), *one("new", name)])
        assert world.texts()[name] == "new"

    def mounted(self) -> None:
        inner = {str(self.disk / "campus"): mounts.Mount("ext4")} if "campus" in self.name else {}
        self.mounts = {"/": mounts.Mount("ext4"), str(self.disk): mounts.Mount("nfs4"), **inner}

    def unmount(self) -> None:
        self.disk.rename(self.world.state.parent / "disk")
        self.disk.mkdir()
        self.mounts = {"/": mounts.Mount("ext4")}

    def mount(self) -> None:
        shutil.rmtree(self.disk)
        (self.world.state.parent / "disk").rename(self.disk)
        self.mounted()


@pytest.fixture(params=["srv/campus/site/.env", "srv/.env"])
def late(world: World, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Late:
    return Late(world, monkeypatch, request.param)


@pytest.mark.parametrize("early", [True, False])
def test_a_disk_that_is_not_there_yet_is_waited_for(world: World, late: Late, early: bool) -> None:
    late.unmount()
    why = f"{late.disk} is not mounted, and 1 of the files that the run of headers left there"
    with pytest.raises(StateError, match=why):
        world.engine().recover(early=early)
    assert world.texts()["main.conf"] == "main"
    with pytest.raises(StateError, match=why):
        world.apply()
    assert world.journal()["open"] and not list(late.disk.iterdir()) and not (world.state / "kept").exists()
    late.mount()
    world.engine().recover()
    assert world.tree() == late.before and not world.journal()["open"]


def test_a_copy_below_the_disk_is_not_taken_for_it(world: World, late: Late) -> None:
    late.unmount()
    (world.etc / late.name).parent.mkdir(parents=True, exist_ok=True)
    world.write(late.name, "a copy of last year")
    late.fstab.write_text(f"store:/srv {late.disk}/ nfs nofail 0 0\n")
    for early in (True, False):
        with pytest.raises(StateError, match="is not mounted"):
            world.engine().recover(early=early)
    assert world.texts()[late.name] == "a copy of last year"
    late.mount()
    world.engine().recover()
    assert world.tree() == late.before


def test_a_disk_that_is_gone_for_good_blocks_nothing(world: World, late: Late) -> None:
    late.unmount()
    late.disk.rmdir()
    with pytest.raises(StateError, match="is not mounted"):
        world.engine().recover(early=True)
    world.engine().recover()
    assert not world.journal()["open"]


@pytest.mark.parametrize("service", ["", "web"], ids=["no service", "a service that is not there yet"])
def test_early_at_boot_files_are_rolled_back_and_commands_wait(world: World, service: str) -> None:
    before = world.texts()
    how = unloaded(world)
    rebuild = ["clear", "cache:clear"]
    cut_off(world, **{**how, "test": [rebuild], "load": {"service": service} if service else None})
    world.commands.clear()
    world.service = "inactive"
    with pytest.raises(TransactionError, match="Its files .* are as they were before"):
        world.engine().recover(early=True)
    assert world.texts() == before and world.commands == []
    world.service = "active"
    world.engine().recover()
    assert "clear cache:clear" in world.commands and not world.journal()["open"] and not world.journal()["pending"]


def test_early_at_boot_a_load_that_is_owed_waits_for_the_cache_that_goes_with_it(world: World) -> None:
    store = world.engine().store
    with store.lock("test", 0):
        owed = {"action": "restart", "test": [["clear", "cache:clear"]], "active": True}
        store.commit({**store.peek(), "pending": {"web": owed}})
    world.service = "inactive"
    with pytest.raises(TransactionError, match="web could not load its files: the cache"):
        world.engine().recover(early=True)
    assert world.journal()["pending"]
    world.service = "active"
    world.engine().recover()
    assert not world.journal()["pending"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_an_error_at_any_change_puts_everything_back(
    world: World, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before, loaded = world.tree(), dict(world.loaded)
    seen = 0
    error = OSError(number, os.strerror(number))
    for _point, stopped in kill_points(world, monkeypatch, world.apply, error):
        if stopped is None:  # nothing but the name of the lock's holder could not be written
            world.undo()
        elif "headers" in world.journal()["records"]:
            break
        else:
            seen += 1
            world.engine().recover()
        assert world.tree() == before
        assert world.loaded == loaded
    assert seen > 50


def test_a_load_that_is_owed_waits_until_its_test_passes(world: World) -> None:
    """Here as where the administrator edits meanwhile."""
    world.service = "activating"
    world.apply()
    world.service = "active"
    broken = world.etc / "broken.conf"
    broken.write_text("syntax error")
    world.commands.clear()
    with pytest.raises(TransactionError, match=r"^web could not load its files: The test `check` failed \(1\): syntax"):
        world.engine().recover()
    assert world.loads() == 0 and world.journal()["pending"]
    broken.unlink()
    world.engine().recover()
    assert world.loads() == 1 and not world.journal()["pending"]


def test_a_rollback_that_fails_is_reported_and_retried(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = world.tree()

    def full(*_unused: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "_restore", full)
        with pytest.raises(TransactionError) as caught:
            world.apply(files=one("syntax error"))
    assert str(caught.value).startswith(
        "The test `check` failed (1): syntax error in main.conf. The old files could not"
    )
    assert str(caught.value).endswith("the next run will try again: [Errno 28] No space left on device.")
    assert caught.value.rolled_back == ""
    assert not [command for command in world.commands if command.endswith(".timer")]
    world.engine().recover()
    assert world.tree() == before


@pytest.mark.parametrize("at", [2, 3], ids=["the files are back", "they are loaded"])
def test_what_is_back_is_loaded_though_the_disk_has_no_room_to_note_it(
    world: World, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    before, loaded = world.tree(), dict(world.loaded)
    commits = 0
    commit = store.Store.commit

    def full(kept: store.Store, state: dict[str, Any]) -> None:
        nonlocal commits
        commits += 1
        if commits >= at:
            raise OSError(errno.ENOSPC, "No space left on device")
        commit(kept, state)

    with monkeypatch.context() as patch:
        patch.setattr(store.Store, "commit", full)
        with pytest.raises(TransactionError) as caught:
            world.apply(files=one("crash"))
    assert world.tree() == before and world.loaded == loaded
    assert str(caught.value) == (
        "http://host/ answers 500 instead of 200. The old configuration was restored and is active. "
        "That could not be noted; a timer and the next run will do it: [Errno 28] No space left on device."
    )
    assert caught.value.rolled_back == "http://host/ answers 500 instead of 200"
    assert not [command for command in world.commands if command.endswith(".timer")], "it is still to go off"
    world.engine().recover()
    state = world.journal()
    assert world.tree() == before and state["open"] is None and not state["pending"]
