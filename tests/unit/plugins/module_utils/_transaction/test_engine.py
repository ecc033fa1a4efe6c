# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Transactions against a small world: what goes well, and what is rolled back when it does not."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from ansible_collections.chamilo.hardening.plugins.module_utils._common.services import Machine
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction import engine as transaction_engine
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.job import Outcome, TransactionError
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.probe import Probe
from tests.unit.plugins.module_utils._transaction.conftest import (
    Os,
    World,
    exchange_os,
    failing,
    nothing_to_do,
    one,
    unloaded,
)


def test_all_files_change_and_are_loaded_once(world: World) -> None:
    done = world.apply()
    assert done.changed and done.loaded and not done.notes and not done.recovered
    assert world.loaded["main.conf"] == "new main, header on"
    assert world.loaded["token.conf"] == done.generation
    tree = world.tree()
    assert tree["key.pem"] == (b"new key", os.geteuid(), os.getegid(), 0o600)
    assert tree["new/deep"][3] == 0o755
    assert tree["enabled/site"][0] == "../new/deep/first.conf"
    assert "enabled/default" not in tree
    assert world.loads() == 1


def test_the_timer_is_armed_before_and_stopped_after(world: World) -> None:
    world.apply()
    order = [command.split()[0:2] for command in world.commands]
    armed = next(i for i, command in enumerate(world.commands) if command.startswith("systemd-run"))
    assert world.commands[armed].endswith("/program recover")
    assert armed < order.index(["check"])
    unit = world.commands[armed].split("--unit=")[1].split()[0]
    assert world.commands[-1] == f"systemctl stop {unit}.timer"


def test_a_second_run_does_nothing_and_asks_nothing(world: World) -> None:
    first = world.apply()
    before, asked = world.tree(), world.asked
    again = world.apply()
    assert not again.changed and not again.loaded and again.diff == []
    assert again.generation == first.generation
    assert world.commands == [] and world.asked == asked
    assert world.tree() == before


def test_check_mode_predicts_and_touches_nothing(world: World) -> None:
    before = world.tree()
    predicted = world.apply(check=True)
    assert predicted.changed
    assert world.tree() == before and not world.state.exists() and world.commands == []
    done = world.apply()
    assert (predicted.diff, predicted.generation) == (done.diff, done.generation)
    assert not world.apply(check=True).changed


def test_check_mode_announces_a_restart_and_no_reload(world: World) -> None:
    restart = {"service": "mariadb", "action": "restart"}
    announced = [each["prepared"] for each in world.apply(check=True, load=restart).diff if "prepared" in each]
    assert announced == ["mariadb would be restarted: requests that need it fail for that moment.\n"]
    assert not [each for each in world.apply(check=True).diff if "prepared" in each]
    world.apply(load=restart)
    assert world.apply(check=True, load=restart).diff == []


def test_without_a_service_it_is_asked_all_the_same(world: World) -> None:
    done = world.apply(**unloaded(world))
    assert done.changed and not done.loaded and world.asked == 3
    failure = failing(world, **unloaded(world), files=one("crash"))
    assert failure.rolled_back == "http://host/ answers 500 instead of 200"
    assert world.loads() == 0
    world.site = lambda loaded: 500 if loaded["main.conf"] == "main" else 200
    with pytest.raises(TransactionError, match="http://host/ answers 500; before this it was 200"):
        world.undo()


def test_a_service_that_does_not_run_is_not_started(world: World) -> None:
    world.service = "inactive"
    done = world.apply()
    assert done.changed and not done.loaded
    assert done.notes == ["web is inactive, so nothing was loaded or probed; it was not started."]
    assert world.loads() == 0 and world.asked == 0
    assert "check" in world.commands
    assert world.journal()["pending"] == {}, "it reads the files when it starts"


def test_a_service_on_its_way_up_may_have_read_the_old_files(world: World) -> None:
    world.service = "activating"
    world.apply()
    world.service = "active"
    again = world.apply()
    assert again.loaded and again.changed
    assert world.loaded["main.conf"] == "new main, header on"
    assert not world.apply().changed


@pytest.mark.parametrize(
    ("broken", "note"),
    [({"systemd": False}, "systemd does not run here"), ({"program": "/nowhere"}, "/nowhere is not installed")],
)
def test_without_a_timer_it_goes_on_and_reports_so(world: World, broken: dict[str, Any], note: str) -> None:
    world.machine = Machine(world.run, **{"systemd": True, **broken})
    done = world.apply(probe=[], load=None)
    assert done.changed
    assert [each for each in done.notes if note in each]


def test_a_test_that_fails_puts_everything_back(world: World) -> None:
    failure = failing(world, files=[*world.params()["files"][:0], *one("syntax error"), *one("x", "new/y.conf")])
    assert "`check` failed (1): syntax error in main.conf" in str(failure)
    assert str(failure).endswith("The old files were restored.")
    assert failure.rolled_back == "The test `check` failed (1): syntax error in main.conf"
    assert world.loads() == 0
    assert world.apply().changed


def test_a_fault_that_was_there_before_is_reported_from_ours(world: World) -> None:
    world.write("foreign.conf", "syntax error")
    failure = failing(world)
    assert "fail the same test: the fault was there before" in str(failure)


def test_a_probe_that_turns_red_puts_everything_back_and_loads_it(world: World) -> None:
    failure = failing(world, files=[*one("crash"), *one("@generation@", "token.conf")])
    assert failure.rolled_back == "http://host/ answers 500 instead of 200"
    assert str(failure).endswith("The old configuration was restored and is active.")
    assert world.loads() == 2
    assert world.apply().changed


def test_what_was_red_before_stops_nothing(world: World) -> None:
    world.site = lambda loaded: 503
    assert world.apply().changed


def test_each_part_of_a_probe_counts_for_itself(world: World) -> None:
    # The header is missing before, so it cannot cause a rollback; the status was right, so it can.
    probe = [{"url": "http://host/", "status": [200], "headers": {"X-Header": "on"}}]
    failure = failing(world, probe=probe, files=one("crash"))
    assert failure.rolled_back == "http://host/ answers 500 instead of 200"
    assert world.apply(probe=probe, files=one("header on")).changed
    again = failing(world, probe=probe, files=one("header off"))
    assert again.rolled_back == "http://host/ sends nothing as X-Header instead of 'on'"


def test_what_was_right_at_another_url_before_can_stop_it(world: World) -> None:
    # There is no https before: http answered, so https must.
    def fetch(probe: Probe) -> Answer:
        tls = "tls" in world.loaded["main.conf"]
        if probe.url.startswith("https"):
            return world.fetch(probe) if tls else Answer(probe.url, error="Connection refused")
        return Answer(probe.url, 301) if tls else world.fetch(probe)

    engine = world.engine
    world.engine = lambda: Engine(str(world.state), world.machine, fetch)  # type: ignore[method-assign] # a fake
    probe = [{"url": "https://host/", "was": "http://host/", "status": [200]}]
    failure = failing(world, probe=probe, files=one("tls crash"))
    assert failure.rolled_back == "https://host/ answers 500 instead of 200"
    assert world.apply(probe=probe, files=one("tls")).changed
    # From now on https itself is what was right before.
    failure = failing(world, probe=probe, files=one("tls again crash"))
    assert failure.rolled_back == "https://host/ answers 500 instead of 200"
    before = world.tree()
    world.undo()
    assert world.tree() != before and world.loaded["main.conf"] == "main"
    world.engine = engine  # type: ignore[method-assign] # the fake goes


def test_an_old_workers_answer_proves_nothing(world: World) -> None:
    world.deaf = True
    failure = failing(world)
    assert failure.rolled_back.startswith("The new configuration is not active: http://host/token answers 404")
    world.deaf = False
    assert world.apply().changed


PAGES = [{"url": f"http://host/{number}", "same": True} for number in range(3)]


def test_a_page_that_is_not_the_same_for_visitors_is_rolled_back(world: World) -> None:
    world.site = lambda loaded: 403 if "open" in "".join(loaded.values()) else 404
    failure = failing(world, files=one("open"), probe=PAGES)
    assert failure.rolled_back == "http://host/0 answers 403, and 404 before"
    assert str(failure).endswith("The old configuration was restored and is active.")
    before = world.tree()
    assert world.apply(files=one("closed"), probe=PAGES).changed, "whatever it is"
    assert not world.apply(files=one("closed"), probe=PAGES).changed
    world.undo()
    assert world.tree() == before


def test_a_load_that_fails_puts_everything_back(world: World) -> None:
    world.reload_fails = 1
    failure = failing(world)
    assert failure.rolled_back == "`systemctl reload web` failed (1): Job failed."
    assert world.apply().changed


def test_a_service_that_dies_of_it_is_started_again(world: World) -> None:
    def die(argv: Sequence[str], seconds: float) -> tuple[int, str]:
        answer = World.run(world, argv, seconds)
        if argv[1:2] == ["reload"] and "crash" in "".join(world.texts().values()):
            world.service = "failed"
        return answer

    world.machine.run = die
    failing(world, files=one("crash"), probe=[])
    assert world.service == "active"


def test_a_load_that_is_owed_is_made_up_for_by_the_next_run(world: World) -> None:
    before = world.tree()
    world.reload_fails = 2
    with pytest.raises(TransactionError, match="The old files were restored, but could not be loaded"):
        world.apply(files=one("new"))
    assert world.tree() == before
    assert not [command for command in world.commands if command.endswith(".timer")], "the timer tries again, too"
    world.loaded = {}
    again = world.apply(files=one("main", mode="0640"), probe=[])
    assert again.loaded and again.changed and again.diff == []
    assert again.recovered == ["web has loaded its present files."]
    assert world.loaded == world.texts()
    assert not world.apply(files=one("main", mode="0640")).changed


def test_a_load_that_stays_owed_is_no_success(world: World) -> None:
    world.reload_fails = 4
    with pytest.raises(TransactionError):
        world.apply(files=one("new"))
    with pytest.raises(TransactionError, match="web could not load its files"):
        world.apply(files=one("main", mode="0640"))
    # Another change of the same service makes up for it as well.
    assert world.apply().loaded
    assert world.journal()["pending"] == {}


def stopped_by_us(world: World) -> None:
    """Our restart stopped it, and could not start it again with the old files either."""
    run = world.machine.run

    def die(argv: Sequence[str], seconds: float) -> tuple[int, str]:
        answer = run(argv, seconds)
        if argv[1:2] == ["restart"] and answer[0]:
            world.service = "failed"
        return answer

    world.machine.run = die
    world.reload_fails = 2
    with pytest.raises(TransactionError, match="but could not be loaded"):
        world.apply(files=one("new"), load={"service": "web", "action": "restart"})
    assert world.service == "failed" and world.journal()["pending"]["web"]["active"]


def test_a_start_that_is_owed_is_made_up_for_by_another_change(world: World) -> None:
    stopped_by_us(world)
    world.reload_fails = 1  # it starts with other files only
    done = world.apply()
    assert done.changed and done.loaded and world.service == "active"
    assert not [note for note in done.notes if "not started" in note]
    assert world.loaded == world.texts() and world.journal()["pending"] == {}


def test_a_start_that_is_owed_and_fails_stays_owed(world: World) -> None:
    stopped_by_us(world)
    before = world.tree()
    world.reload_fails = 3
    with pytest.raises(TransactionError, match="but could not be loaded"):
        world.apply()
    assert world.tree() == before and world.journal()["pending"]["web"]["active"]
    world.engine().recover()
    assert world.service == "active" and world.journal()["pending"] == {}


def test_a_journal_that_cannot_be_written_changes_no_file(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_unused: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "_write_down", full)
        failure = failing(world)
    assert str(failure) == "[Errno 28] No space left on device. No file was changed."
    assert world.commands[-1].startswith("systemctl stop "), "there is nothing for the timer to do"


def test_what_ends_a_run_from_outside_ends_it_after_its_files_are_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_unused: object) -> None:
        raise KeyboardInterrupt

    before = world.tree()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Engine, "_test", stop)
        world.apply()
    assert world.tree() == before and world.journal()["open"] is None


def test_the_state_of_a_host_is_for_root_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a directory of its own any account may."""
    monkeypatch.setattr(transaction_engine.os, "geteuid", lambda: 1000)
    with monkeypatch.context() as patch, pytest.raises(TransactionError, match="Only root may do this"):
        patch.setattr(transaction_engine, "STATE", str(world.state))
        world.apply(check=True)
    assert world.apply(check=True).changed


def test_an_occupied_address_stops_the_run_before_anything(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Machine, "occupied", lambda self, listen, service: f"{listen} is occupied by x.")
    failure = failing(world, listen=["0.0.0.0:443"])
    assert str(failure).startswith("0.0.0.0:443 is occupied by x. No file was changed.")
    assert failure.rolled_back == ""
    assert [command for command in world.commands if command != "systemctl is-active web"] == []


def test_all_is_durable_before_the_first_name_changes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[tuple[str, str]] = []

    class Watched(Os):
        def __getattr__(self, name: str) -> Any:
            call = super().__getattr__(name)

            def watched(*args: Any, **kwargs: Any) -> Any:
                if name == "fsync":
                    log.append((name, os.readlink(f"/proc/self/fd/{args[0]}")))
                elif name == "rename":
                    log.append((name, args[1]))
                return call(*args, **kwargs)

            return watched if name in ("fsync", "rename") else call

    exchange_os(monkeypatch, Watched(0))
    world.apply(files=[*one("1", "one.conf"), *one("2", "two.conf")])
    etc, state = str(world.etc), str(world.state)
    journal = [index for index, entry in enumerate(log) if entry == ("rename", "state.json")]
    assert log[journal[0] + 1] == ("fsync", state)
    staged = [(name, path if ".chamilo" not in path else "staged") for name, path in log[journal[0] + 2 : journal[1]]]
    assert staged[:-1] == [
        ("fsync", "staged"),
        ("fsync", "staged"),
        ("fsync", etc),
        ("rename", "one.conf"),
        ("rename", "two.conf"),
        ("fsync", etc),
    ], "and then the state that speaks of it no more"
    assert log[-1] == ("fsync", state)


BROKEN = "syntax error"


@pytest.mark.parametrize("act", ["apply", "undo"])
def test_what_was_broken_by_hand_before_is_mended_and_then_it_goes_on(world: World, act: str) -> None:
    world.apply(name="headers", files=one("new"))
    world.apply(name="uploads", files=one("by uploads", "uploads.conf"))
    world.write("uploads.conf", BROKEN)
    done = world.undo() if act == "undo" else world.apply(name="headers", files=one("newer"))
    assert done.loaded and world.loaded["main.conf"] == ("main" if act == "undo" else "newer")
    assert world.loaded["uploads.conf"] == "by uploads"
    assert done.recovered == [f"As uploads wrote them again: {world.etc}/uploads.conf."]
    assert any("uploads.conf was edited by hand" in note for note in done.notes)


def test_where_a_new_configuration_is_refused_and_the_old_is_broken_the_one_before_serves(world: World) -> None:
    world.apply(name="headers", files=one("new"))
    world.write("main.conf", BROKEN)
    with pytest.raises(TransactionError, match="answers 500 instead of 200"):
        world.apply(name="headers", files=one("crash"))
    assert world.loaded["main.conf"] == "new" == world.texts()["main.conf"] and not world.journal()["pending"]


def test_what_others_broke_cannot_be_repaired(world: World) -> None:
    world.write("other.conf", BROKEN)
    with pytest.raises(TransactionError, match="fail the same test: the fault was there before"):
        world.apply()


def test_repair_is_whole_or_not_at_all(world: World) -> None:
    world.apply()
    hardened = world.tree()
    world.write("main.conf", "edited")
    (world.etc / "new/deep/first.conf").unlink()
    (world.etc / "key.pem").chmod(0o644)
    damaged = world.tree()
    world.reload_fails = 1
    with pytest.raises(TransactionError, match="Job failed"):
        world.engine().repair(Outcome())
    assert world.tree() == damaged
    world.engine().repair(Outcome())
    assert world.tree() == hardened and world.loaded == world.texts() and nothing_to_do(world)
    outcome = Outcome()
    world.engine().repair(outcome)
    assert not outcome.changed
