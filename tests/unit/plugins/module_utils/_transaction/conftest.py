# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small world for transactions: real files below tmp_path, a server that knows what it has loaded."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import files as common_files
from ansible_collections.chamilo.hardening.plugins.module_utils._common import locks
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from ansible_collections.chamilo.hardening.plugins.module_utils._common.in_force import InForce
from ansible_collections.chamilo.hardening.plugins.module_utils._common.services import Machine
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction import recovery, store
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.job import Outcome, TransactionError
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.plan import asks_for_nothing, plan
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.probe import Probe
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.repair import Repairing

ME = {"owner": str(os.geteuid()), "group": str(os.getegid())}


class World:
    """A host. Its server reads etc/ on a reload, answers by what it has read, and may be broken in many ways."""

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
        self.claim: dict[str, str] = {}  # a request without it is redirected
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

    def engine(self) -> Repairing:
        return Repairing(str(self.state), self.machine, self.fetch)

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
        return names <= {"lock", "state.json", *store.copies(self.journal())}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    # Waiting for an answer that never comes is the same whether it takes ten seconds or none.
    monkeypatch.setattr(recovery, "TOKEN_SECONDS", 0.0)
    monkeypatch.setattr(recovery, "LEAVE_SECONDS", 0.0)
    monkeypatch.setattr(recovery, "ANSWER_SECONDS", 0.0)
    return World(tmp_path)


def one(content: str, path: str = "main.conf", **more: Any) -> list[dict[str, Any]]:
    return [{"path": path, "content": content, **more}]


def unloaded(world: World) -> dict[str, Any]:
    """Files that a command of the test activates, as `cache:clear` does."""
    run = world.machine.run

    def clear(argv: Sequence[str], seconds: float) -> tuple[int, str]:
        if argv[0] == "clear":
            world.loaded = world.texts()
        return run(argv, seconds)

    world.machine.run = clear
    return {"load": None, "test": [["check"], ["clear"]]}


def failing(world: World, **different: Any) -> TransactionError:
    """A run that fails must leave everything as it was, on disk and active, and the next one must go through."""
    before, loaded = world.tree(), dict(world.loaded)
    with pytest.raises(TransactionError) as caught:
        world.apply(**different)
    assert world.tree() == before
    assert world.loaded == loaded
    assert world.untouched()
    return caught.value


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


def exchange_os(monkeypatch: pytest.MonkeyPatch, other: Any) -> None:
    """Another module os for everything that writes for a transaction."""
    for module in (common_files, locks, store):
        monkeypatch.setattr(module, "os", other)


def kill_points(
    world: World, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object], error: OSError | None = None
) -> Iterator[tuple[int, BaseException | None]]:
    """Run ``act`` over and over, stopped at the first, second, .. change, until it runs through."""
    for number in range(1, 1000):
        faulty = Os(number, error)
        exchange_os(monkeypatch, faulty)
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
            exchange_os(monkeypatch, os)
            world.machine.run = run
        yield number, stopped
        if stopped is None and faulty.count < number:
            return
    raise AssertionError("no end")


def interrupted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that died after its swap."""
    with monkeypatch.context() as patch:
        patch.setattr(Repairing, "_test", lambda *args: (_ for _ in ()).throw(Killed()))
        patch.setattr(Repairing, "_roll_back", lambda *args: (_ for _ in ()).throw(Killed()))
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
        patch.setattr(Repairing, "_roll_back", lambda *args: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            world.apply(**different)
    world.machine.run = run


def alone(*paths: str) -> list[dict[str, Any]]:
    """The files that ``World.params`` asks for, fewer of them."""
    contents = {"main.conf": "new main", "new/deep/first.conf": "first", "key.pem": "new key"}
    return [{"path": path, "content": contents[path]} for path in paths]


def nothing_to_do(world: World, **different: Any) -> bool:
    """Whether discovery may report of a transaction that the host need not be asked again."""
    desired = plan(world.params(**different))
    return asks_for_nothing(desired, world.engine().in_force().get(desired.name, InForce()))
