# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How directories change places, also when that was interrupted."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import portal as backups_portal
from ansible_collections.chamilo.hardening.plugins.module_utils._backups import restore, restore_tables
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import BackupError, Portal
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.restic import Pair, Repository, Snapshot
from tests.unit.plugins.module_utils._backups.conftest import NAMES, Server, looks_right, planned


class Killed(BaseException):
    """As by the kernel: nothing of the program runs after it."""


def killed_after(calls: int, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> bool:
    """Have it killed before so many steps that change a file system, or statements. Whether that was before its end."""
    left = [calls]

    def limited(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            if not left[0]:
                raise Killed
            left[0] -= 1
            return real(*arguments, **more)

        return call

    with monkeypatch.context() as patch:
        for name in ("rename", "unlink", "mkdir", "rmdir"):
            patch.setattr(os, name, limited(getattr(os, name)))
        patch.setattr(restore_tables, "execute", limited(restore_tables.execute))
        try:
            act()
        except Killed:
            return True
    return False


def looks_as_before(portal: Portal) -> None:
    root = Path(portal.directory)
    assert sorted(path.name for path in root.iterdir()) == ["later", "var"]
    assert (root / "var" / "lesson").read_text() == "spoilt"
    assert (root / "later").read_text() == "came after the backup"


def test_it_is_resumed_or_rolled_back_whenever_it_was_killed(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each step it takes; and a roll back is resumed as well. Where it stands is shown in between."""
    phases, calls, over = set(), 0, False
    while not over:
        made = planned(portal)
        over = not killed_after(calls, monkeypatch, lambda: restore.finish(portal))
        if not over:
            phases.add(backups_portal.journal(portal)["phase"])
            assert "is not finished" in backups_portal.unfinished(portal)
            began = calls % 7
            killed_after(began, monkeypatch, lambda: restore.abandon(portal))
            if os.path.exists(backups_portal.journal_path(portal)):
                restore.abandon(portal)
            looks_as_before(portal)
            assert backups_portal.unfinished(portal) == "" and not os.path.lexists(made.staging)
            for left in Path(portal.directory).parent.glob(".chamilo.*"):
                shutil.rmtree(left)
            made = planned(portal)
            killed_after(calls, monkeypatch, lambda: restore.finish(portal))
            restore.finish(portal)
        looks_right(portal, made.kept)
        assert not os.path.lexists(made.staging) and backups_portal.unfinished(portal) == ""
        shutil.rmtree(portal.directory)
        shutil.rmtree(f"{made.kept}{portal.directory}/new", ignore_errors=True)
        shutil.move(f"{made.kept}{portal.directory}", portal.directory)
        shutil.rmtree(made.kept)
        calls += 1
    assert phases == {"staged", "changing"} and calls > 15


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        ("fetching", "was being fetched; nothing was changed."),
        ("staged", "is fetched; nothing was changed."),
        ("changing", "some may be from the backup and some from before."),
        ("abandoning", "It was being rolled back"),
    ],
)
def test_where_an_unfinished_restore_stands_is_reported(portal: Portal, phase: str, words: str) -> None:
    made = planned(portal)
    made.write_down(phase)
    messages = backups_portal.unfinished(portal)
    assert words in messages and "(host of campus.test from run)" in messages
    assert "Resume: chamilo-hardening restore host --site campus --confirm campus.test." in messages
    assert messages.endswith("Roll back: chamilo-hardening restore --abandon --site campus")
    Path(backups_portal.journal_path(portal)).write_text("{")
    with pytest.raises(BackupError, match="restoring.json cannot be read"):
        backups_portal.unfinished(portal)


def test_a_restore_that_is_resumed_fetches_nothing_again(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    made = planned(portal)
    lines = restore.restore(portal, "host")
    assert lines[0] == "The restore that was interrupted is resumed." and made.kept in lines[1]
    looks_right(portal, made.kept)
    shutil.rmtree(made.kept)
    planned(portal)
    monkeypatch.setattr(restore, "found", lambda *_words: (_ for _ in ()).throw(BackupError("looked for")))
    with pytest.raises(BackupError, match="looked for"):
        restore.restore(portal, "host", run="another")


class Databases:
    """A server that knows which tables each database has, and moves them all or none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.has = {"chamilo": ["course", "old"], "chamilo_restoring": ["course", "new"]}
        self.rows = {("chamilo", "course"): "spoilt", ("chamilo_restoring", "course"): "as it was"}
        self.objects = "views-and-programs"
        monkeypatch.setattr(restore_tables, "tables", lambda _portal, name: sorted(self.has.get(name, [])))
        monkeypatch.setattr(restore_tables, "execute", self.sql)

    def sql(self, _portal: Portal, sql: str, database: str = "", source: IO[bytes] | None = None) -> str:
        if "information_schema.EVENTS" in sql and "'chamilo'" in sql:
            return f"VIEW\0{self.objects}".encode().hex() if self.objects else ""
        if source:
            self.objects = source.read().decode().removeprefix("CREATE ")
        if "DROP VIEW IF EXISTS `chamilo`" in sql:
            self.objects = ""
        for statement in sql.split("; "):
            for found in re.findall(r"`(\w+)`\.`(\w+)` TO `(\w+)`\.`(\w+)`", statement):
                self.has[found[0]].remove(found[1])
                self.has.setdefault(found[2], []).append(found[3])
                if found[:2] in self.rows:
                    self.rows[found[2:]] = self.rows.pop(found[:2])
            dropped = re.fullmatch(r"DROP DATABASE IF EXISTS `(\w+)`", statement)
            if dropped:
                assert not self.has.get(dropped[1]) or dropped[1] == "chamilo_restoring"
                self.has.pop(dropped[1], None)
        return ""


def test_tables_are_rolled_back_with_the_files(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before each statement and step, also of the roll back."""
    portal = replace(portal, name="chamilo")
    calls, over, moved = 0, False, 0
    while not over:
        with monkeypatch.context() as patch:
            made = planned(portal)
            made.journal["database"] = NAMES
            made.write_down()
            for name in ("views-and-programs", "coming"):
                Path(made.staging, f"{name}.sql").write_text(f"CREATE {name}")
            server = Databases(patch)
            over = not killed_after(calls, patch, lambda: restore.finish(portal))
            if not over:
                for again in (calls * 7 + 3) % 19, 11, calls % 5, 100:
                    if os.path.exists(backups_portal.journal_path(portal)):
                        killed_after(again, patch, lambda: restore.abandon(portal))
                assert server.objects == "views-and-programs"
                assert sorted(server.has.pop("chamilo")) == ["course", "old"]
                assert server.rows["chamilo", "course"] == "spoilt"
                looks_as_before(portal)
                if "chamilo_abandoned_x" in server.has:
                    moved += 1
                    assert sorted(server.has.pop("chamilo_abandoned_x")) == ["course", "new"]
                server.has.pop("chamilo_restoring", None)
                assert not any(server.has.values())
            for left in Path(portal.directory).parent.glob(".chamilo.*"):
                shutil.rmtree(left)
            calls += 1
    assert moved > 5


def test_a_restore_that_was_being_rolled_back_goes_on_with_that(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = planned(portal)
    made.write_down("abandoning")
    assert restore.finish(portal) == []
    looks_as_before(portal)
    assert backups_portal.unfinished(portal) == "" and not os.path.lexists(made.staging)


def test_what_came_after_a_restore_stays_where_only_its_end_is_missing(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the account of the application could not be made: all else is done."""
    made = planned(portal)
    with monkeypatch.context() as patch, pytest.raises(BackupError, match="refused"):

        def refused(_portal: Portal) -> list[str]:
            raise BackupError("refused")

        patch.setattr(restore, "wake", refused)
        restore.finish(portal)
    (Path(portal.directory) / "later").write_text("came once more")
    restore.finish(portal)
    assert (Path(portal.directory) / "later").read_text() == "came once more"
    assert (Path(f"{made.kept}{portal.directory}") / "later").read_text() == "came after the backup"
    assert restore.finish(portal) == []


@pytest.mark.parametrize(
    ("run", "source", "repository", "newest"),
    [
        ("", "", "/near", "3"),
        ("2", "", "/near", "2b"),
        ("1", "", "/far", "1"),
        ("", "offsite", "/far", "1"),
        ("", "local", "/near", "3"),
    ],
)
def test_the_newest_backup_of_the_nearest_repository_is_meant(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, run: str, source: str, repository: str, newest: str
) -> None:
    two = with_two_repositories(portal, monkeypatch)
    place, pair = restore.found(two, run, source)[0]
    assert (place.url, pair.run) == (repository, newest)


def with_two_repositories(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> Portal:
    """Both answer with the runs they have, the newest last."""
    known = {"/near": ["2a", "2b", "3"], "/far": ["0", "1"], "/empty": []}

    def pairs(place: Repository) -> list[Pair]:
        if place.url not in known:
            raise BackupError(f"{place.url} gives no answer")
        half = Snapshot("x", 86400, "", ())
        return [Pair(run, half, half) for run in known[place.url]]

    monkeypatch.setattr(Repository, "pairs", pairs)
    return replace(portal, repository="/near", offsite="/far")


def with_database(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> tuple[Portal, restore.Staging, Server]:
    """A restore of everything that is written down, and the server."""
    portal = replace(portal, name="chamilo")
    made = planned(portal)
    made.journal["database"] = NAMES
    made.write_down()
    return portal, made, Server(monkeypatch)


def test_where_the_tables_may_not_be_moved_nothing_is_and_what_was_fetched_stays(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    portal, made, server = with_database(portal, monkeypatch)
    server.refuses, server.words = "RENAME TABLE", "ERROR 1205 (HY000) at line 1: Lock wait timeout exceeded"
    monkeypatch.setattr(restore_tables, "may_restore", lambda _portal: True)
    Path(made.staging, "views-and-programs.sql").write_text("CREATE TRIGGER going")
    with pytest.raises(BackupError, match=r"ERROR 1205.*Nothing was changed\. What was fetched is kept"):
        restore.finish(portal)
    assert "CREATE TRIGGER going" in server.messages
    assert Path(portal.directory, "var", "lesson").read_text() == "spoilt"
    assert os.path.lexists(made.staging)
    assert restore.finish(portal) == []


def test_where_tables_may_have_moved_all_the_same_the_restore_can_be_finished(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    portal, made, server = with_database(portal, monkeypatch)
    server.refuses, server.words = "RENAME TABLE", "ERROR 2013 (HY000) at line 1: Lost connection"
    with pytest.raises(BackupError, match="ERROR 2013"):
        restore.finish(portal)
    server.refuses = ""
    restore.finish(portal)
    looks_right(portal, made.kept)


@pytest.mark.parametrize(
    ("begun", "asked", "goes"),
    [
        ("host", "file", False),
        ("host", "files", False),
        ("host", "database", False),
        ("database", "files", False),
        ("files", "file", False),
        ("file", "file", True),
        ("file", "files", False),
        ("files", "host", True),
        ("database", "database", True),
    ],
)
def test_who_asks_for_less_does_not_finish_a_restore_of_more(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, begun: str, asked: str, goes: bool
) -> None:
    made = planned(portal)
    made.journal.update(part=begun, path="var/my file")
    made.write_down()

    def found(*_words: str) -> None:
        raise BackupError("another backup is looked for")

    monkeypatch.setattr(restore, "found", found)
    with pytest.raises(BackupError) as raised:
        restore.restore(portal, asked, "var/lesson")
    assert (str(raised.value) == "another backup is looked for") == goes
    assert Path(portal.directory, "var", "lesson").read_text() == ("as it was" if goes else "spoilt")
    if not goes:
        assert str(raised.value) == f"Nothing was changed. {backups_portal.unfinished(portal)}"


@pytest.mark.parametrize(("code", "stays"), [(errno.ENOSPC, []), (errno.EIO, [".chamilo.restoring"])])
def test_what_was_fetched_in_vain_stays_but_fills_no_disk(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, code: int, stays: list[str]
) -> None:
    def stopped(work: restore.Staging, _path: str) -> None:
        Path(work.staging, "fetched").touch()
        raise OSError(code, "stopped")

    half = Snapshot("f1", 0, "run", ())
    found = [(Repository(portal, "/repository"), Pair("run", half, half))]
    monkeypatch.setattr(restore, "found", lambda *_words: found)
    monkeypatch.setattr(restore.Staging, "stage_file", stopped)
    with pytest.raises((OSError, BackupError), match="stopped") as raised:
        restore.restore(portal, "file", "var/lesson")
    parent = Path(portal.directory).parent
    assert [path.name for path in parent.iterdir() if path.name.startswith(".")] == stays
    assert ("the same command goes on with it" in str(raised.value)) is bool(stays)
    assert bool(backups_portal.unfinished(portal)) is bool(stays)


class Damaged:
    """A repository of which these files cannot be read."""

    def __init__(self, shown: str, text: str, unread: dict[str, str], fails: bool = False) -> None:
        self.shown, self.text, self.unread, self.fails = shown, text, unread, fails
        self.asked: list[str] = []

    def identity(self) -> str:
        return "x1"

    def nodes(self, _snapshot: str) -> list[dict[str, Any]]:
        return [{"path": f"/{number}", "type": "file"} for number in range(0)]

    def fetch(self, _snapshot: str, staging: str, *arguments: str) -> dict[str, str]:
        if self.fails:
            raise BackupError("LoadRaw(<index/d1>): invalid data returned")
        patterns = [argument.removeprefix("--include=") for argument in arguments[1:]]
        self.asked += patterns
        root = os.path.dirname(patterns[0]) if patterns[0].endswith("/lesson") else ""
        for name in ("a", "b", "c"):
            path = f"{root}/lesson/{name}" if root else patterns[0]
            os.makedirs(os.path.dirname(staging + path), exist_ok=True)
            Path(staging + path).write_text(self.text)
        return {path: "ciphertext verification failed" for path in self.unread if path.startswith(tuple(patterns))}


def test_what_cannot_be_read_is_taken_from_elsewhere_or_listed(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    root = f"{portal.directory}/var/lesson"
    half, older = Snapshot("f2", 2, "new", (), 2), Snapshot("f1", 1, "old", (), 1)
    new, old = Pair("new", half, half), Pair("old", older, older)
    index = Damaged("/one", "new", {}, fails=True)
    near = Damaged("/near", "new", {f"{root}/a": "", f"{root}/b": "", f"{root}/c": ""})
    far = Damaged("/far", "far", {f"{root}/b": "", f"{root}/c": ""})
    past = Damaged("/far", "past", {f"{root}/c": ""})
    sources = [(index, new), (near, new), (far, new), (past, old)]
    monkeypatch.setattr(restore, "found", lambda *_words: sources)
    os.unlink(root)
    with pytest.raises(restore.Incomplete) as raised:
        restore.restore(portal, "file", "var/lesson")
    words, listed = str(raised.value).rsplit(" ", 1)
    assert words == "Restored but for 1 path that cannot be read, and 1 of an older backup. The list:"
    assert Path(listed).read_text().splitlines() == [
        "Of the backup new:",
        f"{root}/c\tmissing: ciphertext verification failed",
        f"{root}/b\tof the older backup old",
    ]
    assert {path.name: path.read_text() for path in Path(root).iterdir()} == {"a": "far", "b": "past"}
    assert far.asked == [f"{root}/a", f"{root}/b", f"{root}/c"] and past.asked == [f"{root}/b", f"{root}/c"]
    assert raised.value.lines and backups_portal.unfinished(portal) == ""


def test_a_name_that_the_web_user_made_up_removes_nothing_elsewhere(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Older versions of restic print a line break in a name: what follows it looks like a complaint of its own."""
    root, one = f"{portal.directory}/var/lesson", Snapshot("f1", 1, "new", (), 1)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/shadow").write_text("root's")

    class Forged(Damaged):
        def fetch(self, _snapshot: str, staging: str, *_arguments: str) -> dict[str, str]:
            os.makedirs(staging + root)
            os.symlink(tmp_path / "elsewhere", f"{staging}{root}/link")
            return {f"{root}/link/shadow": "y"}

    monkeypatch.setattr(restore, "found", lambda *_words: [(Forged("/near", "", {}), Pair("new", one, one))])
    os.unlink(root)
    with pytest.raises(restore.Incomplete):
        restore.restore(portal, "file", "var/lesson")
    assert (tmp_path / "elsewhere/shadow").exists()
