# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Transactions against a small world: real files below tmp_path, a server that knows what it has loaded."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import files as common_files
from ansible_collections.chamilo.hardening.plugins.module_utils._common import paths as common_paths
from ansible_collections.chamilo.hardening.plugins.module_utils._common import services
from ansible_collections.chamilo.hardening.plugins.module_utils._common.files import StateError, Tree
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from ansible_collections.chamilo.hardening.plugins.module_utils._common.services import Machine
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction import engine as transaction_engine
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import (
    Engine,
    Outcome,
    Probe,
    TransactionError,
    asks_for_nothing,
    plan,
)

ME = {"owner": str(os.geteuid()), "group": str(os.getegid())}


class World:
    """A host. Its server reads etc/ when it is told to, answers by what it has read, and may be broken in many ways."""

    def __init__(self, root: Path) -> None:
        self.etc = root / "etc"
        self.state = root / "state"
        (self.etc / "enabled").mkdir(parents=True)
        self.write("main.conf", "main", 0o640)
        self.write("enabled/default", "default")
        self.write("key.pem", "old key", 0o600)
        (self.etc / "enabled/site").symlink_to("../main.conf")
        self.service = "active"
        self.reload_fails = 0
        self.deaf = False
        self.commands: list[str] = []
        self.asked = 0
        self.claim: tuple[tuple[str, str], ...] = ()  # whoever does not send this is sent away
        self.site: Callable[[dict[str, str]], int] = lambda loaded: 500 if "crash" in "".join(loaded.values()) else 200
        program = root / "program"
        program.write_text("")
        program.chmod(0o755)
        self.machine = Machine(self.run, systemd=True, program=str(program))
        self.loaded = self.texts()

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        (self.etc / name).write_text(text)
        (self.etc / name).chmod(mode)

    def texts(self) -> dict[str, str]:
        return {str(each.relative_to(self.etc)): each.read_text() for each in self.etc.rglob("*") if each.is_file()}

    def tree(self) -> dict[str, Any]:
        """Everything below etc/: kind, content, owner, mode."""
        found: dict[str, Any] = {}
        for each in sorted(self.etc.rglob("*")):
            info = each.lstat()
            what = os.readlink(each) if each.is_symlink() else each.read_bytes() if each.is_file() else "directory"
            found[str(each.relative_to(self.etc))] = (what, info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode))
        return found

    def run(self, argv: Sequence[str], seconds: float) -> tuple[int, str]:
        command = " ".join(argv)
        self.commands.append(command.replace(str(self.etc.parent), ""))
        if argv[0] == "systemctl" and argv[1] == "is-active":
            return (0 if self.service == "active" else 3), self.service
        if argv[0] == "systemctl" and argv[1] in ("reload", "restart"):
            if argv[1] == "reload" and self.service != "active":
                return 1, "Unit is not active, cannot reload."
            if self.reload_fails:
                self.reload_fails -= 1
                return 1, "Job failed."
            if not self.deaf:
                self.loaded = self.texts()
            self.service = "active"
            return 0, ""
        if argv[0] == "check":
            broken = [name for name, text in self.texts().items() if "syntax error" in text]
            return (1, f"syntax error in {broken[0]}") if broken else (0, "")
        return 0, ""

    def fetch(self, probe: Probe) -> Answer:
        self.asked += 1
        if self.service != "active":
            return Answer(probe.url, error="Connection refused")
        if self.claim and probe.send != self.claim:
            return Answer(probe.url, 301)
        if probe.url.endswith("/token"):
            token = self.loaded.get("token.conf", "")
            return Answer(probe.url, 204 if token else 404, (("X-Token", token),) if token else ())
        headers = [("X-Header", "on")] if "header on" in "".join(self.loaded.values()) else []
        return Answer(probe.url, self.site(self.loaded), tuple(headers))

    def engine(self) -> Engine:
        return Engine(str(self.state), self.machine, self.fetch)

    def params(self, **different: Any) -> dict[str, Any]:
        """A plan that makes, changes, links and removes files, in a directory that is not there yet too."""
        files = [
            {"path": "main.conf", "content": "new main, header on", "mode": "0644"},
            {"path": "token.conf", "content": "@generation@"},
            {"path": "new/deep/first.conf", "content": "first"},
            {"path": "key.pem", "secret_content": "new key", "mode": "0600"},
            {"path": "enabled/default", "state": "absent"},
            {"path": "enabled/site", "state": "link", "target": "../new/deep/first.conf"},
        ]
        whole = {
            "name": "headers",
            "files": files,
            "test": [["check"]],
            "load": {"service": "web"},
            "probe": [
                {"url": "http://host/token", "status": [204], "headers": {"X-Token": "@generation@"}},
                {"url": "http://host/", "status": [200]},
            ],
            **different,
        }
        if "probe" not in different and not any(each["path"] == "token.conf" for each in whole["files"]):
            del whole["probe"][0]  # nothing could answer it
        whole["files"] = [{**ME, **each, "path": f"{self.etc}/{each['path']}"} for each in whole["files"]]
        return whole

    def apply(self, check: bool = False, **different: Any) -> Outcome:
        outcome = Outcome()
        self.commands.clear()
        self.engine().apply(plan(self.params(**different)), outcome, check)
        return outcome

    def undo(self, name: str = "headers") -> Outcome:
        outcome = Outcome()
        self.commands.clear()
        self.engine().undo(name, outcome)
        return outcome

    def journal(self) -> dict[str, Any]:
        return self.engine().store.peek()

    def loads(self) -> int:
        return sum(command.startswith(("systemctl reload", "systemctl restart")) for command in self.commands)

    def untouched(self) -> bool:
        """Nothing of ours is left below the state but what belongs there."""
        names = {str(each.relative_to(self.state)) for each in self.state.rglob("*") if each.is_file()}
        kept = [known["before"] for record in self.journal()["records"].values() for known in record["files"].values()]
        return names <= {"lock", "state.json", *(item.get("blob") for item in kept)}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    # Waiting for an answer that never comes is the same whether it takes ten seconds or none.
    monkeypatch.setattr(transaction_engine, "TOKEN_SECONDS", 0.0)
    monkeypatch.setattr(transaction_engine, "LEAVE_SECONDS", 0.0)
    # Nobody cuts the power here. That it is called at the right moments is seen on a real host.
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.setattr(transaction_engine, "ANSWER_SECONDS", 0.0)
    return World(tmp_path)


def one(content: str, path: str = "main.conf", **more: Any) -> list[dict[str, Any]]:
    return [{"path": path, "content": content, **more}]


# -- what goes well --------------------------------------------------------------------------------------------------


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


def test_the_timer_is_armed_before_and_taken_back_after(world: World) -> None:
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


def test_the_diff_shows_values_and_no_secret(world: World) -> None:
    (world.etc / "binary").write_bytes(b"\x00\x01")
    files = [
        *world.params()["files"],
        {**ME, "path": f"{world.etc}/binary", "content": "text\n"},
    ]
    outcome = Outcome()
    world.engine().apply(plan({**world.params(), "files": files}), outcome, check=True)
    by_path = {each["before_header"].removeprefix(f"{world.etc}/"): each for each in outcome.diff}
    assert by_path["new/deep/first.conf (absent)"]["after"] == "first"
    assert by_path["enabled/default"]["after_header"].endswith("enabled/default (absent)")
    assert by_path["enabled/site"]["before"] == "link to ../main.conf\n"
    assert by_path["binary"]["before"].startswith("(binary, 2 bytes, sha256 ")
    assert "mode: 0644" in by_path["main.conf (owner and mode)"]["after"]
    # main.conf is 0640: what not everybody may read is not shown either.
    assert "main" not in by_path["main.conf"]["before"] and by_path["main.conf"]["after"] == "new main, header on"
    assert "key" not in by_path["key.pem"]["before"] + by_path["key.pem"]["after"]


def test_a_private_file_that_we_wrote_in_plain_is_shown(world: World) -> None:
    world.apply(files=[*one("first", mode="0640"), {"path": "key.pem", "secret_content": "key 1", "mode": "0640"}])
    files = [*one("second", mode="0640"), {"path": "key.pem", "content": "no key", "mode": "0640"}]
    plain, key = world.apply(files=files, check=True).diff
    assert (plain["before"], plain["after"]) == ("first", "second")
    assert "key 1" not in key["before"] and key["after"] == "no key"
    world.write("main.conf", "somebody's password", 0o640)
    assert "password" not in world.apply(files=files, check=True).diff[0]["before"]


def test_mode_alone_is_a_change(world: World) -> None:
    assert world.apply(files=one("main", mode="0600")).changed
    assert world.tree()["main.conf"][3] == 0o600
    assert not world.apply(files=one("main", mode="0600")).changed


def test_the_generation_does_not_depend_on_the_order(world: World) -> None:
    params = world.params()
    turned = {**params, "files": params["files"][::-1]}
    assert plan(params).generation == plan(turned).generation
    assert len(plan(params).generation) == 16
    link = {"path": "/link", "state": "link", "target": "x"}
    assert plan({**params, "files": [*params["files"], link]}).generation == plan(params).generation
    for change in ({"mode": "0600"}, {"content": "other"}, {"owner": "1"}, {"path": "/other"}):
        files = [{**params["files"][0], **change}, *params["files"][1:]]
        assert plan({**params, "files": files}).generation != plan(params).generation


def test_one_service_may_have_no_load_at_all(world: World) -> None:
    done = world.apply(load=None, probe=[])
    assert done.changed and not done.loaded
    assert world.loads() == 0


def unloaded(world: World) -> dict[str, Any]:
    """Files that a command of the test brings into force, as `cache:clear` does."""
    run = world.machine.run

    def clear(argv: Sequence[str], seconds: float) -> tuple[int, str]:
        if argv[0] == "clear":
            world.loaded = world.texts()
        return run(argv, seconds)

    world.machine.run = clear
    return {"load": None, "test": [["check"], ["clear"]]}


def test_without_a_service_it_is_asked_all_the_same(world: World) -> None:
    done = world.apply(**unloaded(world))
    assert done.changed and not done.loaded and world.asked == 3
    failure = failing(world, **unloaded(world), files=one("crash"))
    assert failure.rolled_back == "http://host/ answers 500 instead of 200"
    assert world.loads() == 0
    world.site = lambda loaded: 500 if loaded["main.conf"] == "main" else 200
    with pytest.raises(TransactionError, match="http://host/ answers 500; before this it was 200"):
        world.undo()


def test_without_a_service_a_command_that_fails_on_the_way_back_is_told(world: World) -> None:
    how = unloaded(world)
    clear = world.machine.run

    def fails(argv: Sequence[str], seconds: float) -> tuple[int, str]:
        return (1, "no room") if argv[0] == "clear" and world.texts()["main.conf"] == "main" else clear(argv, seconds)

    world.machine.run = fails
    with pytest.raises(
        TransactionError, match=r"could not be brought into force: The test `clear` failed \(1\): no room"
    ):
        world.apply(**how, files=one("crash"))


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
def test_without_a_timer_it_goes_on_and_says_so(world: World, broken: dict[str, Any], note: str) -> None:
    world.machine = Machine(world.run, **{"systemd": True, **broken})
    done = world.apply(probe=[], load=None)
    assert done.changed
    assert [each for each in done.notes if note in each]


# -- what goes wrong -------------------------------------------------------------------------------------------------


def failing(world: World, **different: Any) -> TransactionError:
    """A run that fails must leave everything as it was, on disk and in force, and the next one must go through."""
    before, loaded = world.tree(), dict(world.loaded)
    with pytest.raises(TransactionError) as caught:
        world.apply(**different)
    assert world.tree() == before
    assert world.loaded == loaded
    assert world.untouched()
    return caught.value


def test_a_test_that_fails_puts_everything_back(world: World) -> None:
    failure = failing(world, files=[*world.params()["files"][:0], *one("syntax error"), *one("x", "new/y.conf")])
    assert "`check` failed (1): syntax error in main.conf" in str(failure)
    assert str(failure).endswith("The old files are back.")
    assert failure.rolled_back == "The test `check` failed (1): syntax error in main.conf"
    assert world.loads() == 0
    assert world.apply().changed


def test_a_fault_that_was_there_before_is_told_from_ours(world: World) -> None:
    world.write("foreign.conf", "syntax error")
    failure = failing(world)
    assert "fail the same test: the fault was there before" in str(failure)


def test_a_probe_that_turns_red_puts_everything_back_and_loads_it(world: World) -> None:
    failure = failing(world, files=[*one("crash"), *one("@generation@", "token.conf")])
    assert failure.rolled_back == "http://host/ answers 500 instead of 200"
    assert str(failure).endswith("The old configuration is back and in force.")
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
    assert failure.rolled_back.startswith("The new configuration is not in force: http://host/token answers 404")
    world.deaf = False
    assert world.apply().changed


def test_old_workers_may_leave_between_the_token_and_the_first_question(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fetch = world.fetch
    monkeypatch.setattr(transaction_engine, "LEAVE_SECONDS", 0.125)
    monkeypatch.setattr(transaction_engine.time, "sleep", lambda seconds: events.append(str(seconds)))

    def noted(probe: Probe) -> Answer:
        events.append(probe.url.rpartition("/")[2] or "front")
        return fetch(probe)

    monkeypatch.setattr(world, "fetch", noted)
    more = [*world.params()["probe"], {"url": "http://host/other"}]
    world.apply(probe=more)
    assert events == ["front", "other", "token", "0.125", "front", "other"]
    events.clear()
    world.apply(probe=more[1:], files=one("without a token"))
    assert "0.125" not in events


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
    with pytest.raises(TransactionError, match="The old files are back, but could not be loaded"):
        world.apply(files=one("new"))
    assert world.tree() == before
    assert not [command for command in world.commands if command.endswith(".timer")], "the timer tries again, too"
    world.loaded = {}
    again = world.apply(files=one("main", mode="0640"), probe=[])
    assert again.loaded and again.changed and again.diff == []
    assert again.recovered == ["web has its present files in force."]
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


def test_a_start_that_is_owed_to_a_service_on_its_way_stays_owed(world: World) -> None:
    stopped_by_us(world)
    world.service = "activating"
    world.reload_fails = 1
    world.service, world.machine.run = "activating", world.run
    world.apply()
    assert world.journal()["pending"]["web"]["active"]


def test_an_occupied_address_stops_the_run_before_anything(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Machine, "occupied", lambda self, listen, service: f"{listen} is occupied by x.")
    failure = failing(world, listen=["0.0.0.0:443"])
    assert str(failure).startswith("0.0.0.0:443 is occupied by x. No file was changed.")
    assert failure.rolled_back == ""
    assert [command for command in world.commands if command != "systemctl is-active web"] == []


def test_a_link_of_somebody_else_is_not_replaced_by_a_file(world: World) -> None:
    failure = failing(world, files=one("x", "enabled/site"))
    assert "is a link to ../main.conf that this collection did not make" in str(failure)
    link = [{"path": "enabled/site", "state": "link", "target": "../key.pem"}]
    assert world.apply(files=link).changed
    # Now it is ours.
    assert world.apply(files=one("x", "enabled/site")).changed


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"name": "Headers"}, "no section with an optional site"),
        ({"name": "headers/../x"}, "no section with an optional site"),
        ({"files": [{"path": "../x", "content": ""}]}, "is no plain absolute path"),
        ({"files": one("x") + one("y")}, "is there twice"),
        ({"files": [{"path": "x"}]}, "needs content or secret_content"),
        ({"files": [{"path": "x", "content": "", "secret_content": ""}]}, "both content and secret_content"),
        ({"files": [{"path": "x", "state": "absent", "content": ""}]}, "takes no content when state is absent"),
        ({"files": [{"path": "x", "state": "link"}]}, "target goes with state link"),
        ({"files": one("x", mode="u+x")}, r"mode 'u\+x' is no octal number"),
        ({"files": one("x", mode=True)}, "mode True is no octal number"),
        ({"files": one("x", owner="nobody-here")}, "there is no user 'nobody-here'"),
        ({"files": one("x", group="nobody-here")}, "there is no group 'nobody-here'"),
        ({"listen": ["443"]}, "'443' is no address with a port"),
        ({"listen": ["0.0.0.0:99999"]}, "'0.0.0.0:99999' is no address with a port"),
        ({"test": [[]]}, "an empty command"),
        ({"probe": [{"url": "ftp://x/"}]}, "is no http or https URL"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(world: World, params: dict[str, Any], words: str) -> None:
    before = world.tree()
    with pytest.raises(TransactionError, match=words):
        world.apply(**params)
    assert world.tree() == before and world.commands == []


def test_a_mode_without_quotes_is_what_yaml_made_of_it(world: World) -> None:
    world.apply(files=one("x", mode=0o640))
    assert world.tree()["main.conf"][3] == 0o640


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

    monkeypatch.setattr(common_files, "os", Watched(0))
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


# -- killed at any moment --------------------------------------------------------------------------------------------

CHANGING = (
    "open mkdir rmdir rename unlink symlink link write pwrite fsync ftruncate fchmod chmod fchown chown setxattr utime"
).split()


class Killed(BaseException):
    """What a process does after SIGKILL: nothing."""


class Os:
    """The module os, where the n-th call that changes something, and every one after it, does not happen."""

    def __init__(self, stop_at: int, error: OSError | None = None) -> None:
        self.count = 0
        self.stop_at = stop_at
        self.error = error
        self.dead = False

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in CHANGING:
            return real

        def call(*args: Any, **kwargs: Any) -> Any:
            reads = name == "open" and not (args[1] & os.O_CREAT)
            if self.dead and not reads:
                raise Killed
            if not reads:
                self.count += 1
                if self.count == self.stop_at:
                    if self.error:
                        raise self.error
                    self.dead = True
                    raise Killed
            return real(*args, **kwargs)

        return call


def kill_points(
    world: World, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object], error: OSError | None = None
) -> Iterator[tuple[int, BaseException | None]]:
    """Run ``act`` over and over, stopped at the first, second, .. change, until it runs through."""
    for number in range(1, 1000):
        faulty = Os(number, error)
        monkeypatch.setattr(common_files, "os", faulty)
        run = world.machine.run

        def obey(argv: Sequence[str], seconds: float, faulty: Os = faulty, run: Any = run) -> tuple[int, str]:
            if faulty.dead:
                raise Killed
            return run(argv, seconds)

        world.machine.run = obey
        stopped: BaseException | None = None
        try:
            act()
        except (Killed, TransactionError, OSError) as problem:
            stopped = problem
        finally:
            monkeypatch.setattr(common_files, "os", os)
            world.machine.run = run
        yield number, stopped
        if stopped is None and faulty.count < number:
            return
    raise AssertionError("no end")


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


def test_recovery_loads_what_it_put_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert done[1] == "web has its present files in force."
    assert world.engine().recover() == []


def interrupted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that died after its swap."""
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "_test", lambda *args: (_ for _ in ()).throw(Killed()))
        patch.setattr(Engine, "_roll_back", lambda *args: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            world.apply()
    assert world.journal()["open"]


def cut_off(world: World, **different: Any) -> None:
    """A run that died in a command of its test."""
    run = world.machine.run

    def die(argv: Sequence[str], seconds: float) -> tuple[int, str]:
        if argv[0] == "clear":
            run(argv, seconds)
            raise Killed
        return run(argv, seconds)

    world.machine.run = die
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "_roll_back", lambda *args: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            world.apply(**different)
    world.machine.run = run


def test_recovery_runs_the_commands_that_bring_files_into_force(world: World) -> None:
    before, loaded = world.tree(), dict(world.loaded)
    cut_off(world, **unloaded(world))
    assert world.loaded != loaded
    (done,) = world.engine().recover()
    assert done.endswith("Its files (6) are as they were before.")
    assert world.tree() == before and world.loaded == loaded
    assert world.engine().recover() == []


def test_the_commands_run_before_it_is_noted_that_all_is_over(world: World) -> None:
    loaded = dict(world.loaded)
    how = unloaded(world)
    cut_off(world, **how)
    run = world.machine.run

    def die(argv: Sequence[str], seconds: float) -> tuple[int, str]:
        raise Killed

    world.machine.run = die
    with pytest.raises(Killed):
        world.engine().recover()
    world.machine.run = run
    world.engine().recover()
    assert world.loaded == loaded


def test_a_command_that_fails_in_recovery_is_told_once_without_what_it_said(world: World) -> None:
    cut_off(world, **unloaded(world))
    world.machine.run = lambda argv, _seconds: (1, "a secret") if argv[0] == "clear" else (0, "")
    first, second = world.engine().recover()
    assert "are as they were before" in first
    assert second == "What brings the files into force failed (1): `clear`. Run it by hand."
    assert world.engine().recover() == []


def test_recovery_keeps_what_somebody_repaired_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
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
        f"{world.etc}/main.conf was edited by hand since we wrote it. The edited file is kept as {kept}.",
        f"{world.etc}/enabled/site was changed by hand: it is gone now.",
    ]


def test_what_was_edited_while_it_was_tried_is_kept_on_the_way_back(world: World) -> None:
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


def test_the_next_run_says_what_it_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(world, monkeypatch)
    predicted = world.apply(check=True)
    assert predicted.changed and "did not finish; its files would be put back" in predicted.notes[0]
    done = world.apply()
    assert done.changed and len(done.recovered) == 2
    assert done.diff == predicted.diff
    assert not world.apply().changed


def test_after_a_reboot_files_are_enough(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = world.tree()
    interrupted(world, monkeypatch)
    world.service = "inactive"
    world.commands.clear()
    assert len(world.engine().recover(0)) == 2
    assert world.tree() == before
    assert world.commands == ["systemctl is-active web"]
    assert world.journal()["pending"] == {}


def test_a_service_somebody_stopped_stays_stopped_and_a_failed_one_is_started(
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
        monkeypatch.setattr(common_paths, "_FSTAB", str(self.fstab))
        monkeypatch.setattr(common_paths, "mounts", lambda: self.mounts)
        self.mounted()
        self.before = world.tree()
        with monkeypatch.context() as patch:
            patch.setattr(Engine, "_test", lambda *args: (_ for _ in ()).throw(Killed()))
            patch.setattr(Engine, "_roll_back", lambda *args: (_ for _ in ()).throw(Killed()))
            with pytest.raises(Killed):
                world.apply(files=[*one("new"), *one("new", name)])
        assert world.texts()[name] == "new"

    def mounted(self) -> None:
        inner = {str(self.disk / "campus"): "ext4"} if "campus" in self.name else {}
        self.mounts = {"/": "ext4", str(self.disk): "nfs4", **inner}

    def unmount(self) -> None:
        self.disk.rename(self.world.state.parent / "disk")
        self.disk.mkdir()
        self.mounts = {"/": "ext4"}

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


def test_a_disk_that_is_gone_for_good_holds_nothing_up(world: World, late: Late) -> None:
    late.unmount()
    late.disk.rmdir()
    with pytest.raises(StateError, match="is not mounted"):
        world.engine().recover(early=True)
    world.engine().recover()
    assert not world.journal()["open"]


def test_a_portal_that_is_on_the_disk_of_the_host_now_is_put_back(world: World, late: Late) -> None:
    late.mounts = {"/": "ext4"}
    world.engine().recover()
    assert world.tree() == late.before


def test_early_at_boot_nobody_has_a_disk_mounted_by_looking(
    world: World, late: Late, monkeypatch: pytest.MonkeyPatch
) -> None:
    late.mounts[str(late.disk)] = "autofs"
    look = Tree.look
    with monkeypatch.context() as patch:
        patch.setattr(Tree, "look", lambda tree, path: pytest.fail(path) if "srv" in path else look(tree, path))
        with pytest.raises(StateError, match="is not mounted"):
            world.engine().recover(early=True)
    world.engine().recover()
    assert world.tree() == late.before


def test_early_at_boot_folders_that_we_made_are_not_looked_at(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.apply()
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "_sweep", lambda engine, state: pytest.fail("a look at a folder"))
        assert world.engine().recover(early=True) == []


@pytest.mark.parametrize("service", ["", "web"], ids=["no service", "a service that is not there yet"])
def test_early_at_boot_files_are_put_back_and_commands_wait(world: World, service: str) -> None:
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


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_an_error_at_any_change_puts_everything_back(
    world: World, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before, loaded = world.tree(), dict(world.loaded)
    seen = 0
    error = OSError(number, os.strerror(number))
    for _point, stopped in kill_points(world, monkeypatch, world.apply, error):
        if stopped is None or "headers" in world.journal()["records"]:
            break
        seen += 1
        world.engine().recover()
        assert world.tree() == before
        assert world.loaded == loaded
    assert seen > 50


def test_a_way_back_that_is_blocked_is_told_and_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = world.tree()

    def full(*_unused: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "_put_back", full)
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
    commit = common_files.Store.commit

    def full(store: common_files.Store, state: dict[str, Any]) -> None:
        nonlocal commits
        commits += 1
        if commits >= at:
            raise OSError(errno.ENOSPC, "No space left on device")
        commit(store, state)

    with monkeypatch.context() as patch:
        patch.setattr(common_files.Store, "commit", full)
        with pytest.raises(TransactionError) as caught:
            world.apply(files=one("crash"))
    assert world.tree() == before and world.loaded == loaded
    assert str(caught.value) == (
        "http://host/ answers 500 instead of 200. The old configuration is back and in force. That could not be noted; "
        "a timer and the next run will do it: [Errno 28] No space left on device."
    )
    assert caught.value.rolled_back == "http://host/ answers 500 instead of 200"
    assert not [command for command in world.commands if command.endswith(".timer")], "it is still to go off"
    world.engine().recover()
    state = world.journal()
    assert world.tree() == before and state["open"] is None and not state["pending"]


# -- undo ------------------------------------------------------------------------------------------------------------


def test_undo_brings_back_what_was_before_the_first_run(world: World) -> None:
    before, loaded = world.tree(), dict(world.loaded)
    world.apply()
    world.apply(files=[*one("second"), *one("late", "late.conf")])
    world.apply()
    done = world.undo()
    assert done.changed and done.loaded and done.notes == []
    assert world.tree() == before and world.loaded == loaded
    assert world.untouched()
    assert world.journal()["records"] == {} and world.journal()["directories"] == []
    with pytest.raises(TransactionError, match="there is nothing to undo"):
        world.undo()


def test_a_section_that_is_to_be_absent_is_taken_back_once(world: World) -> None:
    before = world.tree()
    world.apply()
    predicted, done, again = Outcome(), Outcome(), Outcome()
    world.engine().withdraw("headers", predicted, check=True)
    assert predicted.changed and world.tree() != before
    world.engine().withdraw("headers", done)
    assert done.changed and done.loaded and world.tree() == before
    world.engine().withdraw("headers", again)
    assert not again.changed and not again.loaded


def test_the_daily_comparison_expects_what_a_section_leaves_behind(world: World) -> None:
    world.apply(files=[*one("main"), *one("x", "new.conf"), *one("x", "late.conf")])
    world.apply(files=[*one("main"), *one("x", "new.conf")])
    assert list(world.journal()["left"]) == [f"{world.etc}/late.conf"]
    world.undo()
    left = {Path(path).name: item.get("sha256", "gone") for path, item in world.journal()["left"].items()}
    assert left == {"main.conf": hashlib.sha256(b"main").hexdigest(), "new.conf": "gone", "late.conf": "gone"}


def test_undo_keeps_a_file_that_was_edited_by_hand(world: World) -> None:
    before = world.tree()
    world.apply()
    world.write("main.conf", "edited")
    done = world.undo()
    assert world.tree() == before
    (kept,) = (each for each in (world.state / "kept").rglob("main.conf"))
    assert kept.read_text() == "edited" and stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert done.notes == [
        f"{world.etc}/main.conf was edited by hand since we wrote it. The edited file is kept as {kept}."
    ]


def test_undo_leaves_alone_what_the_section_never_changed(world: World) -> None:
    world.apply(files=[*one("main", mode="0640"), *one("x", "new.conf")])
    world.write("main.conf", "edited")
    world.undo()
    assert world.texts()["main.conf"] == "edited" and "new.conf" not in world.texts()


def test_a_file_that_was_right_at_first_comes_back_as_it_was_then(world: World) -> None:
    before = world.tree()
    world.apply(files=[*one("main", mode="0640"), *one("x", "new.conf")])
    world.apply(files=[*one("other", mode="0644")])
    world.undo()
    assert world.tree() == before


@pytest.mark.parametrize("code", [5, 125, 127])
def test_undo_does_without_a_test_that_this_host_cannot_run_any_more(world: World, code: int) -> None:
    """After an upgrade of Debian, say, there is another PHP."""
    before, run = world.tree(), world.run
    world.apply(test=[["php-fpm8.2", "-t"], ["check"]])

    def gone(argv: Sequence[str], seconds: float) -> tuple[int, str]:
        return (code, "not found") if argv[0] == "php-fpm8.2" else run(argv, seconds)

    world.machine.run = gone
    done = world.undo()
    assert world.tree() == before and "check" in world.commands, "the others count"
    assert done.notes == ["`php-fpm8.2 -t` was left out, because this host cannot run it any more: not found"]
    with pytest.raises(TransactionError, match=r"php-fpm8\.2 -t` failed"):
        world.apply(test=[["php-fpm8.2", "-t"]])


def test_undo_that_breaks_the_site_goes_back(world: World) -> None:
    world.write("main.conf", "crash")
    world.loaded = world.texts()
    world.apply()
    before = world.tree()
    world.site = lambda loaded: 500 if loaded["main.conf"] == "crash" else 200
    # It was broken before the section too, and would be again: that is "as it was".
    world.undo()
    world.write("main.conf", "main", 0o640)
    world.loaded = world.texts()
    world.apply()
    before = world.tree()
    world.site = lambda loaded: 404 if loaded["main.conf"] == "main" else 200
    with pytest.raises(TransactionError, match="http://host/ answers 404; before this it was 200"):
        world.undo()
    assert world.tree() == before
    assert world.journal()["records"]


def test_undo_of_a_site_that_is_broken_may_lead_anywhere(world: World) -> None:
    world.apply()
    world.site = lambda loaded: 404 if loaded["main.conf"] == "main" else 500
    assert world.undo().changed


SENT = [{"url": "http://host/", "status": [200, 301], "send": {"X-Claim": 1}}]


def test_undo_asks_as_the_run_did(world: World) -> None:
    world.claim = (("X-Claim", "1"),)
    assert world.apply(probe=SENT, files=one("new")).changed
    world.site = lambda loaded: 200 if loaded["main.conf"] == "new" else 500
    with pytest.raises(TransactionError, match="http://host/ answers 500; before this it was 200"):
        world.undo()


def test_what_an_older_run_wrote_down_knows_of_no_header(world: World) -> None:
    assert world.apply(probe=SENT, files=one("new")).changed
    state = world.journal()
    for known in (known for name in ("seen", "probe") for known in state["records"]["headers"][name]):
        del known["send"]
    (world.state / "state.json").write_text(json.dumps(state))
    assert world.undo().changed


def test_undo_waits_until_the_token_is_gone(world: World) -> None:
    world.apply()
    before = world.tree()
    world.deaf = True
    with pytest.raises(TransactionError, match="still answers with the configuration that was to go"):
        world.undo()
    assert world.tree() == before
    world.deaf = False
    world.undo()


def test_killed_at_any_change_an_undo_is_whole_or_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = world.tree()
    world.apply()
    hardened = world.tree()
    for number, stopped in kill_points(world, monkeypatch, world.undo):
        world.engine().recover()
        if world.journal()["records"]:
            assert stopped is not None and world.tree() == hardened, number
            continue
        assert world.tree() == before and world.untouched(), number
        world.apply()
    world.undo()
    assert world.tree() == before and world.untouched()


@pytest.mark.parametrize("order", [["https", "headers"], ["headers", "https"]], ids=" then ".join)
def test_two_sections_are_undone_in_either_order(world: World, order: list[str]) -> None:
    before = world.tree()
    shared = [*one("by https", "shared.conf"), *one("main by https")]
    world.apply(name="https", files=[*shared, *one("x", "site.d/https.conf")])
    world.apply(name="headers", files=[*one("by headers", "shared.conf"), *one("y", "site.d/headers.conf")])
    both = world.tree()
    for name in order:
        world.undo(name)
        if world.journal()["records"]:
            # What only one of them touched is its own.
            assert world.tree() != both
            assert (f"site.d/{name}.conf" not in world.tree()) and "site.d" in world.tree()
    assert world.tree() == before
    assert world.untouched()


def test_a_shared_file_undone_and_done_again_keeps_its_first_state(world: World) -> None:
    before = world.tree()
    world.apply(name="https", files=one("by https"))
    world.apply(name="headers", files=one("by headers"))
    world.undo("https")
    assert world.texts()["main.conf"] == "by headers"
    world.apply(name="https", files=one("by https again"))
    world.undo("https")
    assert world.texts()["main.conf"] == "by headers"
    world.undo("headers")
    assert world.tree() == before


def test_what_another_one_wrote_anew_is_not_taken_for_an_edit(world: World) -> None:
    for text in ("old", "new"):
        for name in ("headers:one", "headers:two"):
            assert world.apply(name=name, files=one(text)).changed is (name == "headers:one")
    engine = world.engine()
    assert engine.edited(world.journal()) == {"headers:one": [], "headers:two": []}
    assert nothing_to_do(world, name="headers:two", files=one("new"))
    serial = world.journal()["serial"]
    world.apply(name="headers:two", files=one("new"))
    assert world.journal()["serial"] == serial, "once is enough"


def test_undo_leaves_what_the_one_below_wrote_anew(world: World) -> None:
    before = world.tree()
    world.apply(name="headers:one", files=one("old"))
    world.apply(name="headers:two", files=one("new"))
    world.apply(name="headers:one", files=one("new"))
    done = world.undo("headers:two")
    assert world.texts()["main.conf"] == "new" and not done.notes
    assert nothing_to_do(world, name="headers:one", files=one("new"))
    world.undo("headers:one")
    assert world.tree() == before and world.untouched()


def test_a_section_with_several_sites_is_found_by_its_name(world: World) -> None:
    world.apply(name="https:one", files=one("1", "one.conf"))
    world.apply(name="https:two", files=one("2", "two.conf"))
    world.apply(name="https:two.php", files=one("3", "three.conf"))
    world.apply(name="headers", files=one("4", "four.conf"))
    engine = world.engine()
    assert engine.names("https") == ["https:one", "https:two", "https:two.php"]
    assert engine.names("https:two") == ["https:two", "https:two.php"]
    assert engine.names("http") == []


def test_a_site_is_not_taken_for_a_part_of_another(world: World) -> None:
    for number, name in enumerate(("headers:campus", "headers:campus.php", "headers:campus.example.org")):
        world.apply(name=name, files=one(str(number), f"{number}.conf"))
    assert world.engine().names("headers:campus") == ["headers:campus", "headers:campus.php"]
    assert world.engine().names("headers:campus.example.org") == ["headers:campus.example.org"]


# -- the request -----------------------------------------------------------------------------------------------------


def test_a_probe_asks_for_its_host_at_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.chamilo.hardening.plugins.module_utils._common import http

    asked: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(http, "fetch", lambda url, **more: asked.append((url, more)) or Answer(url, 200))
    transaction_engine.ask(Probe("https://127.0.0.1:8443//a?b", host="campus.test", ca="/ca.pem"))
    transaction_engine.ask(Probe("http://campus.test/", address="10.0.0.1", send=(("X-Forwarded-Proto", "https"),)))
    alone = {"ca_alone": True}  # the authority must have signed the certificate
    claim = {"X-Forwarded-Proto": "https"}
    assert asked == [
        (
            "https://campus.test:8443//a?b",
            {"address": "127.0.0.1", "headers": {}, "verify": True, "ca_file": "/ca.pem", **alone},
        ),
        ("http://campus.test/", {"address": "10.0.0.1", "headers": claim, "verify": False, "ca_file": "", **alone}),
    ]


def test_an_authority_that_is_not_there_is_an_answer(tmp_path: Path) -> None:
    answer = transaction_engine.ask(Probe("https://127.0.0.1:1/", ca=str(tmp_path / "ca.pem")))
    assert answer.status == 0 and "ca.pem, cannot be used" in answer.error


def test_a_header_must_come_exactly_once() -> None:
    probe = Probe("http://x/", headers=(("X-A", "1"),))
    twice = Answer("http://x/", 200, (("X-A", "1"), ("x-a", "1")))
    assert probe.faults(twice) == {"X-A": "http://x/ sends '1' and '1' as X-A instead of '1'"}
    assert probe.faults(Answer("http://x/", 200, (("x-a", "1"),))) == {}


def test_the_machine_is_the_real_one_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine()
    assert engine.machine.program == services.PROGRAM
    monkeypatch.setattr(transaction_engine.os, "geteuid", lambda: 1000)
    with pytest.raises(TransactionError, match="run the task with become"):
        engine.apply(plan({"name": "headers", "files": []}), Outcome(), check=True)


# What discovery may say of a transaction, so that nobody has to ask again


def nothing_to_do(world: World, **different: Any) -> bool:
    wanted = plan(world.params(**different))
    return asks_for_nothing(wanted, world.engine().in_force().get(wanted.name, {}))


def test_what_was_written_and_is_as_it_was_asks_for_nothing(world: World) -> None:
    assert not nothing_to_do(world), "nothing was written yet"
    world.apply()
    assert nothing_to_do(world)
    assert not world.apply().changed, "which is what the transaction says itself"


@pytest.mark.parametrize(
    "drift",
    [
        lambda etc: (etc / "main.conf").write_text("edited"),
        lambda etc: (etc / "main.conf").chmod(0o600),
        lambda etc: (etc / "main.conf").unlink(),
        lambda etc: (etc / "enabled/default").write_text("back again"),
        lambda etc: ((etc / "enabled/site").unlink(), (etc / "enabled/site").symlink_to("../main.conf")),
    ],
)
def test_what_somebody_changed_since_has_to_be_asked_for(world: World, drift: Callable[[Path], Any]) -> None:
    world.apply()
    drift(world.etc)
    assert not nothing_to_do(world)
    assert world.apply().changed, "which is what the transaction says itself"


@pytest.mark.parametrize(
    "more",
    [
        {"path": "main.conf.bak", "state": "absent"},
        {"path": "enabled/other", "state": "link", "target": "../main.conf"},
        {"path": "more.conf", "content": "more"},
    ],
)
def test_a_plan_that_asks_for_more_has_to_be_asked_for(world: World, more: dict[str, Any]) -> None:
    world.apply()
    (world.etc / "main.conf.bak").write_text("")
    files = [
        {**each, "path": os.path.relpath(each["path"], world.etc)}  # as params takes them
        for each in world.params()["files"]
    ]
    assert nothing_to_do(world, files=files)
    assert not nothing_to_do(world, files=[*files, more])


def test_a_link_that_leads_elsewhere_has_to_be_asked_for(world: World) -> None:
    world.apply()
    files = [{**each, "path": os.path.relpath(each["path"], world.etc)} for each in world.params()["files"]]
    files[-1]["target"] = "../main.conf"
    assert not nothing_to_do(world, files=files)


@pytest.mark.parametrize("owed", [{"pending": {"web": {}}}, {"open": {"name": "https", "entries": []}}])
def test_nothing_is_in_force_while_something_is_owed(world: World, owed: dict[str, Any]) -> None:
    world.apply()
    path = world.state / "state.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **owed}))
    assert not nothing_to_do(world)
    assert list(world.engine().in_force()) == ["headers"], "that it holds files is told all the same"


# What a transaction wants no more


def alone(*paths: str) -> list[dict[str, Any]]:
    """The files that ``World.params`` asks for, fewer of them."""
    contents = {"main.conf": "new main", "new/deep/first.conf": "first", "key.pem": "new key"}
    return [{"path": path, "content": contents[path]} for path in paths]


def test_what_is_no_longer_named_is_given_back_in_that_run(world: World) -> None:
    before = world.tree()
    world.apply()
    files = one("new main, header on", mode="0644")
    assert not nothing_to_do(world, files=files)
    predicted = world.apply(check=True, files=files)
    assert (world.etc / "token.conf").exists()
    done = world.apply(files=files)
    assert predicted.changed and done.changed and done.loaded and predicted.diff == done.diff
    (key,) = (each for each in done.diff if each["after_header"].endswith("key.pem"))
    assert "key" not in key["before"] + key["after"], "secrets are in no diff"
    after = world.tree()
    assert {name for name in before if before[name] != after.get(name)} == {"main.conf", "enabled/default"}
    assert set(after) < set(before), "folders that were made for it are gone"
    assert world.loaded == world.texts() and world.untouched()
    assert nothing_to_do(world, files=files) and not world.apply(files=files).changed
    world.undo()
    assert world.tree() == before and not world.journal()["records"]


def test_a_link_that_is_no_longer_named_has_to_be_asked_for(world: World) -> None:
    link = {"path": "enabled/other", "state": "link", "target": "../main.conf"}
    world.apply(files=[*one("new"), link])
    assert not nothing_to_do(world, files=one("new"))
    assert world.apply(files=one("new")).changed
    assert not (world.etc / "enabled/other").is_symlink()
    assert nothing_to_do(world, files=one("new"))


def test_what_was_removed_stays_removed(world: World) -> None:
    world.apply(files=[*one("new"), {"path": "enabled/default", "state": "absent"}])
    assert nothing_to_do(world, files=one("new")) and not world.apply(files=one("new")).changed
    world.undo()
    assert (world.etc / "enabled/default").read_text() == "default"


def test_a_plan_that_is_not_complete_leaves_the_rest_alone(world: World) -> None:
    world.apply()
    files = one("new main, header on", mode="0644")
    assert not world.apply(files=files, complete=False).changed
    assert (world.etc / "token.conf").exists()
    world.apply(files=one("newer"), complete=False)
    assert (world.etc / "token.conf").exists()
    assert nothing_to_do(world, files=one("newer"), complete=False)
    assert not nothing_to_do(world, files=one("newer"))


def test_what_somebody_edited_stays_and_is_told_once(world: World) -> None:
    world.apply(files=alone("main.conf", "new/deep/first.conf"))
    world.write("new/deep/first.conf", "edited")
    done = world.apply(files=alone("main.conf"))
    assert not done.changed and "first.conf was edited by hand" in done.notes[0]
    assert (world.etc / "new/deep/first.conf").read_text() == "edited"
    assert nothing_to_do(world, files=alone("main.conf"))
    again = world.apply(files=alone("main.conf"))
    assert not again.changed and not again.notes


@pytest.mark.parametrize("first", ["headers:one", "headers:two"])
def test_what_another_one_wants_stays(world: World, first: str) -> None:
    """A file of the host, which two portals share."""
    before = world.tree()
    portals = ("headers:one", "headers:two") if first == "headers:one" else ("headers:two", "headers:one")
    for name in portals:
        world.apply(name=name, files=alone("main.conf", "new/deep/first.conf"))
    assert not world.apply(name="headers:one", files=alone("main.conf"), check=True).changed
    assert not world.apply(name="headers:one", files=alone("main.conf")).changed
    assert nothing_to_do(world, name="headers:one", files=alone("main.conf"))
    assert nothing_to_do(world, name="headers:two", files=alone("main.conf", "new/deep/first.conf"))
    assert world.apply(name="headers:two", files=alone("main.conf")).changed, "nobody wants it now"
    assert "new" not in world.tree()
    for name in portals[::-1]:
        world.undo(name)
    assert world.tree() == before


def test_a_file_is_again_as_the_one_below_wrote_it(world: World) -> None:
    world.apply(name="headers:one", files=one("of one"))
    world.apply(name="headers:two", files=[*one("of two"), *alone("key.pem")])
    assert world.apply(name="headers:two", files=alone("key.pem")).changed
    assert (world.etc / "main.conf").read_text() == "of one"
    assert nothing_to_do(world, name="headers:one", files=one("of one"))


def test_what_the_one_below_wrote_anew_stays(world: World) -> None:
    for text in ("old", "new"):
        world.apply(name="headers:one", files=one(text))
        world.apply(name="headers:two", files=[*one(text), *alone("key.pem")])
    assert not world.apply(name="headers:two", files=alone("key.pem")).changed
    assert (world.etc / "main.conf").read_text() == "new"
    assert nothing_to_do(world, name="headers:one", files=one("new"))


def test_without_a_service_the_one_that_read_it_is_told(world: World) -> None:
    """Whoever waives a jail names fail2ban no more, which has to forget it."""
    world.apply(files=alone("main.conf", "new/deep/first.conf"))
    done = world.apply(files=alone("main.conf"), load=None, test=[])
    assert done.loaded and world.loads() == 1 and "check" in world.commands
    assert "new/deep/first.conf" not in world.loaded
    assert world.journal()["records"]["headers"]["load"] is None


def test_when_it_cannot_be_given_back_everything_stays(world: World) -> None:
    world.apply(files=alone("main.conf", "new/deep/first.conf"))
    held = world.tree()
    world.site = lambda loaded: 200 if "new/deep/first.conf" in loaded else 500
    with pytest.raises(TransactionError, match="answers 500"):
        world.apply(files=alone("main.conf"))
    assert world.tree() == held and world.untouched()
    assert nothing_to_do(world, files=alone("main.conf", "new/deep/first.conf"))


def test_with_nothing_left_the_transaction_is_forgotten(world: World) -> None:
    before = world.tree()
    world.apply()
    world.apply(files=[{"path": "enabled/default", "state": "absent"}])
    assert "headers" in world.journal()["records"], "what was removed can still come back"
    world.apply(name="https", files=alone("new/deep/first.conf"))
    assert world.apply(name="https", files=[]).changed
    assert "https" not in world.journal()["records"]
    world.undo()
    assert world.tree() == before
