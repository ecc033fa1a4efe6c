# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that `chamilo-hardening status` calls otherwise than it should be: why, and the command that ends it."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import jobs, portal
from ansible_collections.chamilo.hardening.plugins.module_utils._common import files
from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._program import state
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.job import Outcome
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.plan import plan

CAMPUS = portal.Portal("campus", "campus.test", "/x")


def _marked(desk: Any) -> None:
    """A file of an owner, of whose two marked places one is gone."""
    path = desk.root / "etc/a.conf"
    path.write_text("old\n")
    marks = [{"at": 0, "lines": ["one"]}, {"at": 4, "lines": ["two"]}]
    file = {"path": str(path), "marks": marks, "digest": hashlib.sha256(b"old\n").hexdigest()}
    desk.engine().apply(plan({"name": "https:campus", "files": [file]}), Outcome())
    path.write_text(path.read_text().partition("old")[0] + "old\n# mine\n")


def _edited(desk: Any) -> None:
    desk.harden()
    (desk.root / "etc/a.conf").write_text("edited")


def _commit(desk: Any, **more: Any) -> None:
    desk.harden()
    store = desk.engine().store
    with store.lock("test", 0):
        store.commit({**store.peek(), **more})


def _record(desk: Any, name: str, known: Any) -> None:
    path = desk.root / "state" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known))


def _failed(job: str) -> dict[str, Any]:
    done = {"at": time.time(), "ok": True, "detail": ""}
    return {**dict.fromkeys(("database", "drill"), done), job: {**done, "ok": False, "detail": "It is damaged."}}


def _window(desk: Any) -> None:
    _record(desk, "windows.json", [{"tree": {"path": "/srv/x"}, "profile": "upgrade", "opened": 0, "until": 60}])


def _banned(target: str) -> Any:
    note = "fail2ban gives no answer."
    account = SimpleNamespace(name="anna", description=lambda: "anna is blocked for 15 minutes, after wrong answers.")
    return SimpleNamespace(notes=[note], accounts=[account], bans={"192.0.2.7": ["chamilo-login"]})


JOURNAL = {"name": "https", "since": "2026-11-25T00:00:00Z", "entries": []}
LISTED = {"campus": {"at": 0.0, "lines": ["Crontab: x", "At job: y"]}, "shop": {"at": 0.0, "lines": []}}
HARDEN = "ansible-playbook chamilo.hardening.harden"
# What happened, the state, why, and the command that ends it.
CAUSES: dict[str, tuple[Callable[[Any], None], str, str, str]] = {
    "edited": (_edited, "broken", "Edited by hand since: ", "chamilo-hardening repair"),
    "lines": (_marked, "broken", "a.conf: lines of https:campus are gone, in 1 of 2", "chamilo-hardening repair"),
    "cut off": (lambda desk: _commit(desk, open=JOURNAL), "broken", "The run of https", "chamilo-hardening repair"),
    "not loaded": (
        lambda desk: _commit(desk, pending={"web": {"action": "reload", "test": [], "active": True}}),
        "broken",
        "web has not read its present files",
        "chamilo-hardening repair",
    ),
    "restore test": (
        lambda desk: _record(desk, "backups-campus.json", _failed("drill")),
        "red",
        "The last restore test of campus.test failed: It is damaged.",
        "chamilo-hardening drill --site campus",
    ),
    "backup": (
        lambda desk: _record(desk, "backups-campus.json", _failed("database")),
        "red",
        "The last backup of campus.test failed: It is damaged.",
        "chamilo-hardening backup --site campus",
    ),
    "restore": (
        lambda desk: _record(desk, "backups/campus.restoring.json", {"phase": "staged", "part": "database"}),
        "open",
        "The restore (database of campus.test) is not finished.",
        "chamilo-hardening restore --abandon --site campus",
    ),
    "no journal": (
        lambda desk: (
            _record(desk, "backups/campus.restoring.json", [])
            or (desk.root / "state/backups/campus.restoring.json").write_text("{")
        ),
        "not looked at",
        "restoring.json cannot be read",
        "chamilo-hardening status",
    ),
    "daily work": (
        lambda desk: _record(desk, "daily.json", {"monitoring": {"ok": False, "detail": "No space."}}),
        "red",
        "The daily work of monitoring failed: No space.",
        "chamilo-hardening daily monitoring",
    ),
    "scan": (
        lambda desk: _record(desk, "antivirus.json", {"campus": {"ok": False, "detail": "clamd is away."}}),
        "red",
        "The last scan of uploads of campus failed: clamd is away.",
        "chamilo-hardening scan",
    ),
    "window": (_window, "open", "/srv/x is open (upgrade) until 1970", "chamilo-hardening window close"),
    "lists": (
        lambda desk: _record(desk, "left_behind.json", LISTED),
        "not looked at",
        "What an intruder may have left, not accepted yet: campus: 2 lines, as listed on 1970-01-01",
        "chamilo-hardening integrity accept --site campus",
    ),
    "undo data": (
        lambda desk: _record(desk, "settings.json", []),
        "not looked at",
        "settings.json is damaged",
        "chamilo-hardening status",
    ),
    "locked": (lambda desk: None, "locked", "anna is blocked for 15 minutes", "chamilo-hardening unlock anna"),
    "banned": (lambda desk: None, "locked", "192.0.2.7 is banned by", "chamilo-hardening unlock 192.0.2.7"),
    "fail2ban": (lambda desk: None, "not looked at", "fail2ban gives no answer.", "chamilo-hardening status"),
}


@pytest.fixture(autouse=True)
def here(desk: Any, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setattr(files, "STATE", str(desk.root / "state"))
    name = getattr(getattr(request.node, "callspec", None), "params", {}).get("name", "")
    backed_up = [CAMPUS] if name in ("restore test", "backup", "restore", "no journal") else []
    monkeypatch.setattr(portal, "portals", lambda: backed_up)
    monkeypatch.setattr(state.unlock, "known", lambda: ["x"] if name in ("locked", "banned", "fail2ban") else [])
    monkeypatch.setattr(state.unlock, "inspect", _banned)


@pytest.mark.parametrize("name", CAUSES)
def test_each_cause_is_named_with_the_command_that_ends_it(desk: Any, name: str) -> None:
    happen, kind, why, command = CAUSES[name]
    happen(desk)
    code, out, err = desk.type("status")
    assert (code, err) == (0, "")
    below = out.partition(f"\n{kind.capitalize()}:\n")[2]
    assert re.search(rf"^  .*{re.escape(why)}.*\n      {re.escape(command)}$", below, re.MULTILINE), out
    found = json.loads(desk.type("status", "--json")[1])["entries"]
    assert [one for one in found if one["state"] == kind and why in one["why"] and one["next"] == command]
    if command == "chamilo-hardening repair":
        if name == "cut off":
            desk.engine().store.commit({**desk.engine().store.peek(), "open": None})
        assert desk.type("repair")[0] == 0
        assert json.loads(desk.type("status", "--json")[1])["entries"] == []


def test_nothing_is_active_on_a_new_host(desk: Any) -> None:
    code, out, err = desk.type("status")
    assert (code, err) == (0, "") and not (desk.root / "state").exists()
    assert out.startswith("chamilo-hardening 1.2.3 on ") and out.endswith("\n\nNo section is active.\n")


def test_what_is_active_is_listed_in_columns(desk: Any) -> None:
    desk.harden("headers:campus")
    _record(
        desk,
        "settings.json",
        {"passwords": {"root": "/x", "settings": {"a": {"rows": [], "overrides": {}, "ours": "1"}}}},
    )
    out = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "2026-11-29 23:51 UTC", desk.type("status")[1])
    assert out.splitlines()[1:] == [
        "",
        "Active:",
        "  SECTION          SINCE                  WHAT",
        "  headers:campus   2026-11-29 23:51 UTC   1 file",
        "  passwords                               settings of Chamilo: a",
        "",
        "To restore the state before: chamilo-hardening undo SECTION",
    ]
    assert desk.type("undo", "https", "--yes")[2] == (
        "Nothing of https is active here. Active: headers:campus, passwords.\n"
    )


def test_what_no_virtual_host_includes_is_not_active(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.harden("headers")
    monkeypatch.setattr(state, "unused_drop_ins", lambda _paths: {f"{desk.root}/etc/a.conf"})
    out = desk.type("status")[1]
    assert "No section is active." in out
    assert f"\nOpen:\n  headers: No virtual host includes {desk.root}/etc/a.conf\n      {HARDEN}\n" in out


def test_a_file_of_two_sections_is_compared_with_the_later_one(desk: Any) -> None:
    desk.harden("https")
    desk.harden("headers")
    assert json.loads(desk.type("status", "--json")[1])["entries"] == []


def test_what_goes_on_is_no_fault(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.harden()
    monkeypatch.setattr(portal, "portals", lambda: [CAMPUS])
    store = desk.engine().store
    with store.lock("https", 0), jobs.alone(CAMPUS, "restore"):
        store.commit({**store.peek(), "open": JOURNAL})
        found = json.loads(desk.type("status", "--json")[1])["entries"]
    assert {one["state"] for one in found if "going on" in one["why"]} == {"waiting"}
    assert not [one for one in found if "interrupted" in one["why"]]


def test_a_database_that_gives_no_answer_hides_nothing_else(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(_target: str) -> None:
        raise HardeningError("The database gives no answer.")

    _edited(desk)
    monkeypatch.setattr(state.unlock, "known", lambda: ["x"])
    monkeypatch.setattr(state.unlock, "inspect", down)
    found = [(one["state"], one["section"]) for one in json.loads(desk.type("status", "--json")[1])["entries"]]
    assert found == [("broken", "headers"), ("not looked at", "brute_force")]
