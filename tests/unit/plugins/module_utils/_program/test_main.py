# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program on the host: what it prints and what it does."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._backups import portal as backups_portal
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import Portal
from ansible_collections.chamilo.hardening.plugins.module_utils._common import alert
from ansible_collections.chamilo.hardening.plugins.module_utils._common import files as common_files
from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._common.locks import Busy
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.found import Found
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.window import Done, Window, WindowError
from ansible_collections.chamilo.hardening.plugins.module_utils._program import main as program_main
from ansible_collections.chamilo.hardening.plugins.module_utils._program.main import main
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.memory import Memory
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.repair import Repairing
from ansible_collections.chamilo.hardening.plugins.module_utils._webserver.configuration import Listen, VirtualHost
from tests.unit.plugins.module_utils._program.conftest import Desk


def test_what_it_reports_harms_no_terminal(desk: Desk) -> None:
    _code, out, err = desk.type("undo", "\x1b[2Jheaders")
    assert "\\x1b[2Jheaders" in out + err and "\x1b" not in out + err


def test_undo_restores_and_reports_so(desk: Desk, log: list[str]) -> None:
    desk.harden()
    (desk.root / "etc/a.conf").write_text("edited")
    code, out, _err = desk.type("undo", "headers", "--yes")
    assert code == 0 and desk.text() == "old"
    assert "was edited by hand after it was written. The edited file is kept as " in out
    assert out.endswith("undo headers: done; loaded, and the site answers.\n")
    assert log[0] == "undo headers: begins" and log[-1].startswith("undo headers: done")


def given_back(monkeypatch: pytest.MonkeyPatch, *undo: Callable[[str, Repairing], list[str]]) -> None:
    """What is undone besides files, each kind by one of these, or all by the only one."""
    kinds = zip(program_main.KINDS, undo * (len(program_main.KINDS) // len(undo)), strict=True)
    monkeypatch.setattr(program_main, "KINDS", [replace(kind, undo=one) for kind, one in kinds])


def test_undo_restores_the_environment_of_the_application(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    (desk.root / "state").mkdir(mode=0o700)
    kept = {"domain": "campus.test", "root": "/srv/campus", "web_server": "nginx"}
    keys = {"before": {"TRUSTED_PROXIES": None}, "ours": {"TRUSTED_PROXIES": "10.0.0.5"}}
    (desk.root / "state/environment.json").write_text(json.dumps({"https:campus": {**kept, **keys}}))
    given_back(monkeypatch, lambda name, _engine: [f"{name} again."])
    assert desk.type("undo", "headers", "--yes")[0] == 1
    desk.harden("https:campus")
    code, out, _err = desk.type("undo", "https", "--yes")
    assert code == 0 and desk.text() == "old" and out.endswith("undo https:campus: https:campus again.\n")


def test_undo_goes_on_behind_what_cannot_go_back_now(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(name: str, _engine: Repairing) -> list[str]:
        raise HardeningError("The database does not answer.")

    (desk.root / "state").mkdir(mode=0o700)
    monkeypatch.setattr(Memory, "names", lambda *_unused: ["https:campus"])
    given_back(monkeypatch, down, lambda name, _engine: ["again."])
    code, out, err = desk.type("undo", "https", "--yes")
    assert (code, err) == (1, "undo https:campus: The database does not answer.\n")
    assert out == "undo https:campus: again.\n"


def test_undo_of_what_is_not_there_names_what_is(desk: Desk) -> None:
    desk.harden("https:campus")
    code, _out, err = desk.type("undo", "headers", "--yes")
    assert (code, err) == (1, "Nothing of headers is active here. Active: https:campus.\n")


def test_undo_of_the_backups_waits_for_a_restore(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without their configuration it could neither be resumed nor abandoned."""
    desk.harden("backups:campus")
    monkeypatch.setattr(backups_portal, "portals", lambda: [Portal("campus", "campus.test", "/x")])
    monkeypatch.setattr(common_files, "STATE", str(desk.root / "state"))
    journal = desk.root / "state/backups/campus.restoring.json"
    journal.parent.mkdir()
    journal.write_text('{"phase": "staged", "part": "database"}')
    code, _out, err = desk.type("undo", "backups", "--yes")
    assert code == 1 and "undo backups: refused. The restore (database of campus.test) is not finished." in err
    assert desk.text() == "by backups:campus"
    journal.unlink()
    assert desk.type("undo", "backups", "--yes")[0] == 0 and desk.text() == "old"


def test_undo_that_fails_reports_why(desk: Desk, log: list[str]) -> None:
    desk.harden()
    desk.reload = 1
    code, _out, err = desk.type("undo", "headers", "--yes")
    assert code == 1 and desk.text() == "by headers"
    assert err.startswith("undo headers: `systemctl reload web` failed (1)")
    assert any("failed" in line for line in log)


def test_repair_brings_back_what_status_shows_as_edited(desk: Desk) -> None:
    desk.harden()
    (desk.root / "etc/a.conf").write_text("edited")
    assert "chamilo-hardening repair" in desk.type("status")[1]
    code, out, _err = desk.type("repair")
    assert code == 0 and desk.text() == "by headers" and "As headers wrote them again: " in out
    assert desk.type("repair")[1] == "repair: nothing to do. All files are as they were written.\n"


def test_undo_asks_no_one_where_there_is_no_terminal(desk: Desk) -> None:
    desk.harden()
    code, _out, err = desk.type("undo", "headers")
    assert code == 1 and err.endswith("To go on without a question: --yes\n") and desk.text() == "by headers"


def test_no_advice_names_a_command_that_the_help_hides(desk: Desk) -> None:
    with pytest.raises(SystemExit):
        desk.type("--help")
    shown = {*re.findall(r"^    (\w+) ", desk.capsys.readouterr().out, re.MULTILINE)}
    root = Path(__file__).resolve().parents[5]
    texts = [path.read_text() for path in [*root.glob("plugins/module_utils/**/*.py"), *root.glob("docs/*.md")]]
    advised = {
        word for text in texts for word in re.findall(r"(?:run|Run|Try|by|now)[: `]+chamilo-hardening (\w+)", text)
    }
    assert len(advised) > 5 and advised <= shown


@pytest.mark.parametrize(("answer", "code"), [("n", 1), ("", 1), ("yes", 0)])
def test_a_person_is_asked_first(desk: Desk, monkeypatch: pytest.MonkeyPatch, answer: str, code: int) -> None:
    desk.harden()
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: answer)
    found, out, _err = desk.type("undo", "headers")
    assert found == code and f"  {desk.root}/etc/a.conf" in out
    assert desk.text() == ("old" if code == 0 else "by headers")


@pytest.mark.parametrize("after", [True, False])
def test_without_https_the_cookie_that_needs_it_goes_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    speaks = [True, after]

    def discover(domain: str) -> Site:
        assert domain == "campus.test"
        listens = (Listen("*", 80, False), Listen("*", 443, True))[: 2 if speaks.pop(0) else 1]
        return Site(domain, serving=(VirtualHost("/etc/campus", 1, (domain,), listens, "/var/www"),))

    known = [{"site": "campus", "domain": "campus.test"}, {"site": "library", "domain": "library.test"}]
    monkeypatch.setattr(program_main, "discover", discover)
    monkeypatch.setattr(program_main.renewal, "configurations", lambda: (known, []))
    for name, path in (("https:campus", "etc/host.conf"), ("sessions:campus", "etc/drop-in.conf")):
        desk.harden(name, path)
    for part in ("campus.php", "campus.application", "library.php"):
        desk.harden(f"sessions:{part}", f"etc/{part}", "cookie_secure" if part != "campus.application" else "idle")
    code, out, _err = desk.type("undo", "https", "--yes")
    left = {"sessions:campus", "sessions:campus.application", "sessions:library.php"}
    assert code == 0 and speaks == []
    assert set(desk.engine().store.peek()["records"]) == (left | {"sessions:campus.php"} if after else left)
    assert ("Logins to campus.test by plain http would fail" in out) is not after


def test_a_cookie_that_another_portal_needs_is_reported(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program_main, "_encrypted", lambda names: {"campus": "campus.test"})
    monkeypatch.setattr(program_main, "_speaks_tls", lambda domain: False)
    desk.harden("https:campus", "etc/host.conf")
    for site in ("campus", "library"):  # two domains on one directory
        desk.harden(f"sessions:{site}.application", "etc/application.yaml", "cookie_secure")
    code, _out, err = desk.type("undo", "https", "--yes")
    assert code == 1 and "application.yaml is another portal's too and stays: logins to campus.test fail" in err


@pytest.mark.parametrize("armed", [True, False])
def test_what_cannot_be_rolled_back_at_boot_is_retried_by_a_timer(desk: Desk, log: list[str], armed: bool) -> None:
    store = desk.engine().store
    with store.lock("test", 0):
        owed = {"action": "reload", "test": [], "active": True}
        store.commit({**store.peek(), "pending": {"web": owed}})
    desk.reload = 1
    desk.timer = 0 if armed else 1
    code, out, err = desk.type("recover", "--boot")
    assert "web could not load its files" in log[0] and log[0].endswith("It is tried again when the host is up.")
    assert desk.timers == 1 and code == desk.timer and ("could not be set" in out + err) is not armed


def test_recover_that_could_not_load_fails_so_that_it_is_tried_again(desk: Desk) -> None:
    store = desk.engine().store
    with store.lock("test", 0):
        owed = {"action": "reload", "test": [], "active": True}
        store.commit({**store.peek(), "pending": {"web": owed}})
    desk.reload = 1
    code, _out, err = desk.type("recover")
    assert code == 1 and "web could not load its files" in err
    desk.reload = 0
    assert desk.type("recover")[1] == "web has loaded its present files.\n"


def test_what_goes_to_the_journal_anyway_goes_there_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, log: list[str], tmp_path: Path
) -> None:
    with (tmp_path / "journal").open("w") as stream:
        info = os.fstat(stream.fileno())
        monkeypatch.setattr(sys, "stdout", stream)
        program_main._print("one")
        monkeypatch.setenv("JOURNAL_STREAM", f"{info.st_dev}:{info.st_ino}")
        program_main._print("two")
    assert (tmp_path / "journal").read_text() == "one\n" and log == ["one", "two"]


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        (["A title", "A text", "--section", "backups"], ("backups", "A title", "A text", False)),
        (["A title", "A text", "--monit"], ("monitoring", "A title", "A text\nmonit: it is full", False)),
        (
            ["--test"],
            ("monitoring", "Test alert", "This is a test: alerts of this host arrive. There is nothing to do.", True),
        ),
        ([], None),
    ],
)
@pytest.mark.parametrize("ways", [[], ["mail", "webhook"]])
def test_an_alert_is_sent(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, words: list[str], sent: tuple[Any, ...] | None, ways: list[str]
) -> None:
    def notify(section: str, title: str, text: str, again: bool = False, holds: str = "", then: str = "") -> list[str]:
        found.append((section, title, text, again))
        return ways

    found: list[tuple[Any, ...]] = []
    monkeypatch.setenv("MONIT_DESCRIPTION", "it is full")
    monkeypatch.setattr(program_main.common_alert, "notify", notify)
    code, out, err = desk.type("alert", *words)
    assert found == ([sent] if sent else [])
    if not sent:
        assert code == 2 and "Usage: chamilo-hardening alert TITLE TEXT" in err
    elif ways:
        assert code == 0 and "mail" in out and "webhook" in out
    else:
        assert code == 1 and "No recipient: set chamilo_alert_mail" in err


@pytest.mark.parametrize("words", [[], ["nonsense"], ["undo"]])
def test_a_wrong_command_is_reported_how(desk: Desk, words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        desk.type(*words)
    assert ended.value.code == 2
    assert "usage: chamilo-hardening" in desk.capsys.readouterr().err


def test_help_is_for_people(desk: Desk) -> None:
    with pytest.raises(SystemExit):
        desk.type("--help")
    output = desk.capsys.readouterr().out
    assert "status" in output and "undo" in output and "journalctl -t chamilo-hardening" in output
    assert "recover" not in output, "timers and the boot call that, not people"


@pytest.mark.parametrize(("problem", "code"), [("", 0), ("No answer.", 1)])
def test_the_daily_work_reports_each_step_and_ends_with_a_fault_where_one_failed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, log: list[str], problem: str, code: int
) -> None:
    def run(steps: list[str], due: bool) -> list[SimpleNamespace]:
        assert (steps, due) == (["https"], False)
        return [
            SimpleNamespace(name="https", problem=problem, changed=True, lines=["a", "b"]),
            SimpleNamespace(name="updates", problem="", changed=False, lines=[]),
        ]

    monkeypatch.setattr(program_main.program_daily, "run", run)
    monkeypatch.setattr(program_main.monitoring_daily, "lists", lambda: {"campus": 1})
    ended, out, err = desk.type("daily", "https")
    lines = ["https: a", "https: b"]
    assert (ended, out.splitlines()) == (code, lines) and problem in err
    ended, out, _err = desk.type("daily", "--json", "https")
    assert ended == code and json.loads(out) == {
        "ran": [
            {"step": "https", "problem": problem, "changed": True},
            {"step": "updates", "problem": "", "changed": False},
        ],
        "lists": {"campus": 1},
    }


class Windows:
    """Three are open, and those of ``stuck`` cannot be closed. The real ones are in test_window.py."""

    def __init__(self, stuck: dict[str, Exception]) -> None:
        self.stuck = stuck
        self.closed: list[str] = []
        names = ("campus", "shop", "later")
        self.open = [Window({"path": f"/srv/{name}"}, "update", 0, 0, site=name) for name in names]

    def __call__(self, _engine: Repairing) -> Windows:
        return self

    def known(self) -> list[Window]:
        return self.open

    def due(self, window: Window) -> bool:
        return window.site != "later"

    def close(self, window: Window) -> Done:
        if problem := self.stuck.get(window.site):
            raise problem
        self.closed.append(window.site)
        return Done(window, Found())


@pytest.mark.parametrize("problem", [WindowError("not mounted."), OSError(28, "No space left")])
@pytest.mark.parametrize("due", [False, True])
@pytest.mark.parametrize("deaf", [False, True])
def test_one_window_that_cannot_be_closed_leaves_no_other_one_open(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, problem: Exception, due: bool, deaf: bool
) -> None:
    def notify(*words: str, **_more: Any) -> list[str]:
        sent.append(words)
        if deaf:
            raise alert.AlertError("No alert went out.")
        return []

    sent: list[tuple[str, ...]] = []
    windows = Windows({"campus": problem})
    monkeypatch.setattr(program_main.permissions_window, "Windows", windows)
    monkeypatch.setattr(program_main.common_alert, "notify", notify)
    code, out, err = desk.type("window", "close", *["--due"] * due)
    assert (code, windows.closed[:1]) == (1, ["shop"]) and "Harden again" not in out
    assert str(problem) in err and ("No alert went out." in err) is (due and deaf)
    text = f"{problem}\nIt is tried again each minute."
    assert sent == [("permissions", "A window cannot be closed", text)] * due


def test_recover_waits_for_a_living_run_but_not_at_boot(log: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[tuple[Any, ...]] = []

    class Running:
        def recover(self, *given: Any, **more: Any) -> list[str]:
            asked.append((*given, *more.items()))
            raise Busy("A run of headers is active.")

    engine = cast(Repairing, Running())
    assert main(["recover"], engine=engine) == 1 and "A run of headers is active." in capsys.readouterr().err
    assert main(["recover", "--boot"], engine=engine) == 0
    assert asked == [(), (0, ("early", True))]


def test_undo_warns_before_and_reports_what_cannot_come_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program_main.renewal, "warnings", lambda names: [f"{' '.join(names)}: renewal ends."])
    monkeypatch.setitem(program_main.GONE, "headers", ("Old secrets are gone.",))
    desk.harden("headers:campus")
    code, out, _err = desk.type("undo", "headers:campus", "--yes")
    lines = out.splitlines()
    assert code == 0 and lines[0] == "headers:campus: renewal ends."
    assert lines[-1] == "undo headers:campus: Old secrets are gone."
