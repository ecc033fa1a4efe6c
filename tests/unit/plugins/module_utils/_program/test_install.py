# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program and its unit on a host: installed once, left alone after."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import stat
import subprocess
import sys
import threading
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.alert import Addressee
from ansible_collections.chamilo.hardening.plugins.module_utils._common.files import StateError
from ansible_collections.chamilo.hardening.plugins.module_utils._common.services import Machine
from ansible_collections.chamilo.hardening.plugins.module_utils._program import install as program_install
from ansible_collections.chamilo.hardening.plugins.module_utils._program.install import (
    DAILY,
    UNIT,
    Installation,
    Installed,
    Places,
    asks_for_nothing,
    newer,
    own_pool,
    seen,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.store import Store
from tests.tools.units import settings


def program(source: str, **modules: str) -> bytes:
    stream = io.BytesIO(f"#!{sys.executable}\n".encode())
    stream.seek(0, io.SEEK_END)
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("__main__.py", source)
        for name, text in modules.items():
            archive.writestr(f"{name}.py", text)
    return stream.getvalue()


ONE, TWO = program("print('one')"), program("print('two')")


class Place:
    def __init__(self, root: Path) -> None:
        self.program = root / "sbin/chamilo-hardening"
        self.units = root / "units"
        self.addressee = root / "etc/alert.json"
        self.places = Places(str(self.program), str(self.units), str(self.addressee))
        self.store = Store(str(root / "own"))
        self.commands: list[str] = []
        self.code = 0

    def run(self, argv: Sequence[str], _seconds: float) -> tuple[int, str]:
        self.commands.append(" ".join(argv))
        return self.code, ""

    def install(
        self,
        content: bytes = ONE,
        check: bool = False,
        systemd: bool = True,
        recipient: Addressee | None = None,
        store: Store | None = None,
        daily: bool = True,
    ) -> Installed:
        self.commands.clear()
        machine = Machine(self.run, systemd=systemd)
        return Installation(
            content, "1.2.3", recipient, daily, machine, places=self.places, store=store or self.store
        ).install(check)

    def seen(self) -> dict[str, str]:
        return seen(self.places)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize(
    ("there", "is_newer"),
    [("1.2.3", False), ("1.2.4", True), ("1.10.0", True), ("1.2.3-dev", False), ("0.9", False), ("newest", False)],
)
def test_a_host_that_a_newer_version_hardened_is_left_as_it_is(place: Place, there: str, is_newer: bool) -> None:
    """Place installs version 1.2.3."""
    place.program.parent.mkdir()
    place.program.write_bytes(found := program(f"import sys\n\nsys.exit(main(version={there!r}))\n"))
    assert (f"Version {there} of the collection hardened this host" in newer("1.2.3", str(place.program))) is is_newer
    for check in (True, False):
        with pytest.raises(StateError, match="Nothing was changed") if is_newer else contextlib.nullcontext():
            place.install(check=check)
    assert (place.program.read_bytes() == found) is is_newer
    assert place.units.exists() is not is_newer


def test_phps_account_of_a_version_that_was_no_release_is_given_up_by_that_version(tmp_path: Path) -> None:
    memos = str(tmp_path / "php_user-*.json")
    assert own_pool(memos) == ""
    (tmp_path / "php_user-campus.json").touch()
    assert "run `chamilo-hardening undo permissions` on the host" in own_pool(memos)


def test_it_is_installed_and_enabled_once(place: Place) -> None:
    assert place.install().changed
    assert subprocess.check_output([place.program]) == b"one\n"
    assert stat.S_IMODE(place.program.stat().st_mode) == 0o755
    enabled = place.units / "sysinit.target.wants" / UNIT
    assert os.readlink(enabled) == f"../{UNIT}"
    assert f"ExecStart={place.program} recover --boot\n" in enabled.read_text()
    assert os.readlink(place.units / "timers.target.wants" / f"{DAILY}.timer") == f"../{DAILY}.timer"
    assert f"ExecStart={place.program} daily\n" in (place.units / f"{DAILY}.service").read_text()
    assert place.commands == ["systemctl daemon-reload", f"systemctl restart {DAILY}.timer"]
    again = place.install()
    assert not again.changed and again.diff == [] and place.commands == []


def test_two_at_a_time_wait_for_each_other(place: Place, tmp_path: Path) -> None:
    store = Store(str(tmp_path / "state"))
    others: list[bool] = []

    def other() -> None:
        others.append(place.install(store=store).changed)

    with store.lock("somebody else", 1):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(0.3)
        assert thread.is_alive() and not place.program.exists(), "it waits"
        assert place.install().changed
    thread.join(30)
    assert others == [False], "the other one has done it"


def test_where_nothing_differs_the_lock_is_not_taken(place: Place, tmp_path: Path) -> None:
    store = Store(str(tmp_path / "state"))
    assert place.install(store=store).changed
    with store.lock("another run", 1):
        assert not place.install(store=store).changed
        assert place.install(TWO, check=True, store=store).changed


def test_check_mode_predicts_and_touches_nothing(place: Place) -> None:
    predicted = place.install(check=True)
    assert predicted.diff[0]["before_header"] == str(place.program) and predicted.diff[0]["before"] == ""
    assert predicted.changed and not place.units.exists() and not place.program.exists() and place.commands == []
    assert place.install() == predicted
    assert not place.install(check=True).changed


def test_a_new_version_replaces_the_old_and_shows_both(place: Place) -> None:
    place.install()
    done = place.install(TWO)
    assert done.changed and subprocess.check_output([place.program]) == b"two\n"
    assert place.commands == [], "the units are the same"
    (only,) = done.diff
    assert only["before"].startswith("sha256 ") and only["after"].startswith("version 1.2.3, sha256 ")
    back = place.install(ONE)
    assert back.diff[0]["after"] == f"version 1.2.3, {only['before']}"


def test_it_starts_without_compiling_and_names_its_lines_all_the_same(place: Place) -> None:
    modules = {"part": "def fail() -> None:\n    raise OSError('here')\n"}
    place.install(program("import part\nprint(part.__loader__.get_filename('part'))\npart.fail()", **modules))
    done = subprocess.run([place.program], capture_output=True, text=True)
    assert done.stdout == f"{place.program}/part.pyc\n"
    assert f'File "{place.program}/part.py", line 2, in fail\n' in done.stderr


@pytest.mark.parametrize("what", ["mode", "unit", "link", "byte"])
def test_what_was_changed_is_repaired(place: Place, what: str) -> None:
    place.install()
    if what == "mode":
        place.program.chmod(0o777)
    elif what == "byte":
        place.program.write_bytes(place.program.read_bytes().replace(b"one", b"two"))
    elif what == "unit":
        (place.units / UNIT).write_text("")
    else:
        (place.units / "sysinit.target.wants" / UNIT).unlink()
    assert place.seen() == {}
    assert place.install().changed
    assert not place.install().changed


def test_who_saw_it_knows_whether_there_is_something_to_do(place: Place) -> None:
    assert place.seen() == {}
    place.install()
    known = place.seen()
    assert asks_for_nothing(ONE, None, known)
    assert not asks_for_nothing(TWO, None, known) and not asks_for_nothing(ONE, Addressee(), known)
    reported = Addressee("admin@school.example", "https://hook.example/secret")
    place.install(recipient=reported)
    known, again = place.seen(), place.seen()
    assert asks_for_nothing(ONE, reported, known) and asks_for_nothing(ONE, None, known)
    assert not asks_for_nothing(ONE, Addressee("admin@school.example"), known)
    assert known["told"] != again["told"], "it cannot be compared with another one"
    place.addressee.chmod(0o644)
    assert not asks_for_nothing(ONE, reported, place.seen())


def test_the_daily_timer_is_left_out_and_comes_back(place: Place) -> None:
    timer, link = place.units / f"{DAILY}.timer", place.units / "timers.target.wants" / f"{DAILY}.timer"
    assert place.install(daily=False).changed and not timer.exists()
    assert (place.units / f"{DAILY}.service").exists(), "for a timer of one's own"
    assert place.commands == ["systemctl daemon-reload"]
    assert not place.install(daily=False).changed and asks_for_nothing(ONE, None, place.seen(), daily=False)
    assert not asks_for_nothing(ONE, None, place.seen())
    assert place.install().changed and timer.exists() and link.is_symlink()
    assert not asks_for_nothing(ONE, None, place.seen(), daily=False)
    assert place.install(daily=False).changed and not timer.exists() and not link.is_symlink()
    assert place.commands == [f"systemctl stop {DAILY}.timer", "systemctl daemon-reload"]


def test_without_systemd_the_files_are_enough(place: Place) -> None:
    assert place.install(systemd=False).changed and place.commands == []


def test_systemd_that_refuses_is_reported(place: Place) -> None:
    place.code = 1
    with pytest.raises(StateError, match=r"`systemctl daemon-reload` failed \(1\)"):
        place.install()


@pytest.mark.parametrize("command", [1, 2])
def test_what_was_cut_off_before_its_commands_ends_with_the_next_run(
    place: Place, command: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(argv: Sequence[str], seconds: float) -> tuple[int, str]:
        answer = Place.run(place, argv, seconds)
        if len(place.commands) == command:
            raise Killed
        return answer

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(place, "run", die)
        place.install()
    assert place.install(check=True).changed and place.install().changed
    assert place.commands == ["systemctl daemon-reload", f"systemctl restart {DAILY}.timer"]
    assert not place.install().changed


def test_whom_it_reports_is_written_for_root_alone_and_never_shown(place: Place) -> None:
    place.install()
    assert not place.addressee.exists(), "nobody asked for it"
    done = place.install(recipient=Addressee("admin@school.example", "https://hook.example/secret"))
    assert done.changed and place.commands == [] and "hook.example" not in str(done.diff)
    assert json.loads(place.addressee.read_text()) == {
        "mail": "admin@school.example",
        "webhook": "https://hook.example/secret",
    }
    assert stat.S_IMODE(place.addressee.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.addressee.parent.stat().st_mode) == 0o700
    assert not place.install(recipient=Addressee("admin@school.example", "https://hook.example/secret")).changed
    assert not place.install().changed and place.addressee.exists(), "left as it is"
    assert place.install(recipient=Addressee()).changed


def test_recovery_comes_before_whatever_serves_the_files() -> None:
    """Early at boot, where systemd's defaults would put it behind the network, and only where there is a state."""
    unit = settings(program_install.UNIT_TEXT.format(program="/sbin/ours"))
    assert unit.pop("Unit.Description")
    assert unit == {
        "Unit.DefaultDependencies": ["no"],
        "Unit.RequiresMountsFor": ["/etc", "/usr", "/var/lib/chamilo-hardening"],
        "Unit.After": ["local-fs.target"],
        "Unit.Before": ["sysinit.target", "nginx.service", "apache2.service", "shutdown.target"],
        "Unit.Conflicts": ["shutdown.target"],  # a unit without default dependencies is not stopped otherwise
        "Unit.ConditionPathExists": ["/var/lib/chamilo-hardening/state.json"],
        "Service.Type": ["oneshot"],  # what comes after it waits until it has ended
        "Service.RemainAfterExit": ["yes"],
        "Service.TimeoutStartSec": ["60"],  # a boot waits no longer
        "Service.ExecStart": ["/sbin/ours recover --boot"],
        "Install.WantedBy": ["sysinit.target"],
    }


def test_the_daily_work_yields_and_reports_that_it_was_stopped() -> None:
    unit = settings(program_install.DAILY_TEXT.format(program="/sbin/ours"))
    stopped = unit.pop("Service.ExecStopPost")[0]
    assert unit.pop("Unit.Description")
    assert unit == {
        "Service.Type": ["oneshot"],
        "Service.Nice": ["10"],
        "Service.IOSchedulingClass": ["idle"],
        "Service.TimeoutStartSec": ["4h"],
        "Service.ExecStart": ["/sbin/ours daily"],
    }
    script = re.fullmatch(r"/bin/sh -c '(.*)'", stopped)
    assert script
    for result, reported in (("success", False), ("exit-code", False), ("timeout", True), ("oom-kill", True)):
        command = script[1].replace("/sbin/ours", "echo")
        done = subprocess.run(
            ["/bin/sh", "-c", command], env={"SERVICE_RESULT": result}, capture_output=True, text=True, check=True
        )
        assert done.stdout.startswith("alert The daily work was stopped") is reported, result
        assert (f"Result: {result}." in done.stdout) is reported
