# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How folders change places, also when that was cut off in between."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import dump, restic
from ansible_collections.chamilo.hardening.plugins.module_utils._backups import portal as backups_portal
from ansible_collections.chamilo.hardening.plugins.module_utils._backups import restore as backups_restore
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import BackupError, Portal
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.restic import Pair, Repository, Snapshot
from ansible_collections.chamilo.hardening.plugins.module_utils._common import files as common_files


@pytest.fixture
def portal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Portal:
    monkeypatch.setattr(common_files, "STATE", str(tmp_path / "state"))
    (tmp_path / "state" / "backups").mkdir(parents=True)
    root = tmp_path / "chamilo"
    (root / "var").mkdir(parents=True)
    (root / "var" / "lesson").write_text("spoilt")
    (root / "later").write_text("came after the backup")
    return Portal("campus", "campus.test", str(root), host="db.example.org")


def work(portal: Portal) -> backups_restore._Work:
    half = Snapshot("id", "tree", 0, "run", ())
    made = backups_restore._Work(portal, None, Pair("run", half, half))  # type: ignore[arg-type]  # fetches nothing here
    made.clear()
    assert os.stat(made.staging).st_mode & 0o777 == 0o700
    fetched = Path(f"{made.staging}{portal.folder}")
    (fetched / "var").mkdir(parents=True)
    (fetched / "var" / "lesson").write_text("as it was")
    (fetched / "new" / "deep").mkdir(parents=True)
    (fetched / "new").chmod(0o750)
    (fetched / "new" / "deep" / "file").write_text("gone since")
    return made


def planned(portal: Portal) -> backups_restore._Work:
    made = work(portal)
    for name in ("var", "later", "new/deep/file"):
        made._swap(f"{made.staging}{portal.folder}/{name}", f"{portal.folder}/{name}")
    made.write_down()
    return made


def looks_right(portal: Portal, kept: str) -> None:
    root, old = Path(portal.folder), Path(f"{kept}{portal.folder}")
    assert (root / "var" / "lesson").read_text() == "as it was"
    assert (root / "new" / "deep" / "file").read_text() == "gone since"
    assert not (root / "later").exists()
    assert (old / "var" / "lesson").read_text() == "spoilt"
    assert (old / "later").read_text() == "came after the backup"


def test_what_was_fetched_comes_in_and_what_was_there_is_kept(portal: Portal) -> None:
    made = planned(portal)
    assert made.kept in " ".join(backups_restore.finish(portal))
    looks_right(portal, made.kept)
    assert (Path(portal.folder) / "new").stat().st_mode & 0o777 == 0o750
    assert backups_restore.finish(portal) == []


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
        for name in ("exchange", "_sql"):
            patch.setattr(backups_restore, name, limited(getattr(backups_restore, name)))
        try:
            act()
        except Killed:
            return True
    return False


def looks_as_before(portal: Portal) -> None:
    root = Path(portal.folder)
    assert sorted(path.name for path in root.iterdir()) == ["later", "var"]
    assert (root / "var" / "lesson").read_text() == "spoilt"
    assert (root / "later").read_text() == "came after the backup"


@pytest.mark.parametrize("kernel", [True, False], ids=["in one step", "in three steps"])
def test_it_is_resumed_or_rolled_back_whenever_it_was_killed(
    portal: Portal, kernel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each step it takes; and a roll back is resumed as well. Where it stands is shown in between."""
    if not kernel:

        class Old:
            def renameat2(self, *_arguments: Any) -> int:
                return -1

        monkeypatch.setattr(backups_restore.ctypes, "CDLL", lambda *_a, **_k: Old())
        monkeypatch.setattr(backups_restore.ctypes, "get_errno", lambda: errno.EINVAL)
    phases, calls, over = set(), 0, False
    while not over:
        made = planned(portal)
        over = not killed_after(calls, monkeypatch, lambda: backups_restore.finish(portal))
        if not over:
            phases.add(backups_portal.journal(portal)["phase"])
            assert "is not finished" in backups_portal.unfinished(portal)
            began = calls % 7
            killed_after(began, monkeypatch, lambda: backups_restore.abandon(portal))
            if os.path.exists(backups_restore._journal(portal)):
                backups_restore.abandon(portal)
            looks_as_before(portal)
            assert backups_portal.unfinished(portal) == "" and not os.path.lexists(made.staging)
            for left in Path(portal.folder).parent.glob(".chamilo.*"):
                shutil.rmtree(left)
            made = planned(portal)
            killed_after(calls, monkeypatch, lambda: backups_restore.finish(portal))
            backups_restore.finish(portal)
        looks_right(portal, made.kept)
        assert not os.path.lexists(made.staging) and backups_portal.unfinished(portal) == ""
        shutil.rmtree(portal.folder)
        shutil.rmtree(f"{made.kept}{portal.folder}/new")
        shutil.move(f"{made.kept}{portal.folder}", portal.folder)
        shutil.rmtree(made.kept)
        calls += 1
    assert phases == {"staged", "changing"} and calls > 15


def test_what_cannot_change_places_is_found_before_anything_does(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a file is immutable: the kernel refuses its exchange, and that of nothing before it."""
    portal, made, server = with_database(portal, monkeypatch)
    real = backups_restore.exchange

    def refused(one: str, other: str) -> None:
        if one.endswith("/var"):
            raise BackupError(f"{other} cannot change places with {one}: {os.strerror(errno.EPERM)}.")
        real(one, other)

    monkeypatch.setattr(backups_restore, "exchange", refused)
    made.journal["swaps"].reverse()  # others come before it
    made.write_down()
    with pytest.raises(BackupError, match=r"var cannot be replaced: .*Nothing was changed\. .*lsattr -d .*/var "):
        backups_restore.finish(portal)
    assert server.said == [] and backups_portal.unfinished(portal) == ""
    looks_as_before(portal)
    assert not os.path.lexists(made.staging)


def test_sparse_files_are_reported_and_need_no_room_for_their_holes(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = work(portal)
    used, fetched = Path(portal.folder, "var", "big"), Path(f"{made.staging}{portal.folder}", "var", "big")
    for path in (used, fetched):
        with open(path, "wb") as stream:
            stream.truncate(1 << 40)
    monkeypatch.setattr(restic, "restores_sparse", lambda: True)
    nodes = [{"path": str(used), "size": 1 << 40}]
    monkeypatch.setattr(made, "place", SimpleNamespace(nodes=lambda _snapshot: nodes))
    made._room(True)
    made._holes()
    assert made.left == [f"Sparse files came back with their holes: {used}."]
    os.unlink(fetched)
    with open(used, "wb") as stream:
        stream.truncate(2 << 20)
    fetched.write_bytes(bytes(2 << 20))
    made.left.clear()
    made._holes()
    (line,) = made.left
    assert line.startswith("Sparse files came back without their holes") and line.endswith(f"{used}.")
    monkeypatch.setattr(restic, "restores_sparse", lambda: False)
    with pytest.raises(BackupError, match="MB free, the restore needs"):
        made._room(True)


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        ("fetching", "was being fetched; nothing was changed."),
        ("staged", "nothing was changed for good."),
        ("changing", "some may be from the backup and some from before."),
        ("abandoning", "It was being rolled back"),
    ],
)
def test_where_an_unfinished_restore_stands_is_said(portal: Portal, phase: str, words: str) -> None:
    made = planned(portal)
    made.write_down(phase)
    said = backups_portal.unfinished(portal)
    assert words in said and "(host of campus.test from run)" in said
    assert "Resume: chamilo-hardening restore host --site campus --confirm campus.test." in said
    assert said.endswith("Roll back: chamilo-hardening restore --abandon --site campus")
    Path(backups_restore._journal(portal)).write_text("{")
    with pytest.raises(BackupError, match="restoring.json cannot be read"):
        backups_portal.unfinished(portal)


def test_a_restore_that_is_resumed_fetches_nothing_again(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    made = planned(portal)
    lines = backups_restore.restore(portal, "host")
    assert lines[0] == "The restore that was interrupted is resumed." and made.kept in lines[1]
    looks_right(portal, made.kept)
    shutil.rmtree(made.kept)
    planned(portal)
    monkeypatch.setattr(backups_restore, "_found", lambda *_words: (_ for _ in ()).throw(BackupError("looked for")))
    with pytest.raises(BackupError, match="looked for"):
        backups_restore.restore(portal, "host", run="another")


class Databases:
    """A server that knows which tables each database has, and moves them all or none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.has = {"chamilo": ["course", "old"], "chamilo_restoring": ["course", "new"]}
        self.rows = {("chamilo", "course"): "spoilt", ("chamilo_restoring", "course"): "as it was"}
        self.objects = "views-and-programs"
        monkeypatch.setattr(backups_restore, "_tables", lambda _portal, name: sorted(self.has.get(name, [])))
        monkeypatch.setattr(backups_restore, "_sql", self.sql)

    def sql(self, _portal: Portal, sql: str, database: str = "", source: IO[bytes] | None = None) -> str:
        if sql.startswith("\nSELECT 'VIEW'") and "'chamilo'" in sql:
            return f"VIEW\t{self.objects}" if self.objects else ""
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
            for name in ("views-and-programs", "triggers", "coming"):
                Path(made.staging, f"{name}.sql").write_text(f"CREATE {name}")
            server = Databases(patch)
            over = not killed_after(calls, patch, lambda: backups_restore.finish(portal))
            if not over:
                for again in (calls * 7 + 3) % 19, 11, calls % 5, 100:
                    if os.path.exists(backups_restore._journal(portal)):
                        killed_after(again, patch, lambda: backups_restore.abandon(portal))
                assert server.objects in ("views-and-programs", "triggers")
                assert sorted(server.has.pop("chamilo")) == ["course", "old"]
                assert server.rows["chamilo", "course"] == "spoilt"
                looks_as_before(portal)
                if "chamilo_abandoned_x" in server.has:
                    moved += 1
                    assert sorted(server.has.pop("chamilo_abandoned_x")) == ["course", "new"]
                    assert server.objects == "views-and-programs"
                server.has.pop("chamilo_restoring", None)
                assert not any(server.has.values())
            for left in Path(portal.folder).parent.glob(".chamilo.*"):
                shutil.rmtree(left)
            calls += 1
    assert moved > 5


def test_a_database_elsewhere_is_asked_over_tls_where_the_portal_does(
    portal: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups_restore.portal_database, "AUTHORITY", str(tmp_path / "database.pem"))
    assert len(backups_restore._server(portal)) == 3
    (tmp_path / "database.pem").write_text("x")
    assert backups_restore._server(portal)[3:] == [f"--ssl-ca={tmp_path}/database.pem", "--ssl-verify-server-cert"]
    assert backups_restore._server(replace(portal, host="localhost"))[0] == "--no-defaults"


def test_nothing_is_rolled_back_where_nothing_is_unfinished(portal: Portal) -> None:
    with pytest.raises(BackupError, match="No restore of campus.test is unfinished. Nothing was changed"):
        backups_restore.abandon(portal)


def test_what_came_after_a_restore_stays_where_only_its_end_is_missing(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the account of the application could not be made: all else is done."""
    made = planned(portal)
    with monkeypatch.context() as patch, pytest.raises(BackupError, match="refused"):

        def refused(_portal: Portal) -> list[str]:
            raise BackupError("refused")

        patch.setattr(backups_restore, "_wake", refused)
        backups_restore.finish(portal)
    (Path(portal.folder) / "later").write_text("came once more")
    backups_restore.finish(portal)
    assert (Path(portal.folder) / "later").read_text() == "came once more"
    assert (Path(f"{made.kept}{portal.folder}") / "later").read_text() == "came after the backup"
    assert backups_restore.finish(portal) == []


def test_two_paths_change_places_also_where_the_kernel_cannot_do_it_in_one_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.write_text("file")
    backups_restore.exchange(str(one), str(other))
    assert one.read_text() == "file" and other.is_dir()

    class Old:
        def renameat2(self, *_arguments: Any) -> int:
            return -1

    monkeypatch.setattr(backups_restore.ctypes, "CDLL", lambda *_a, **_k: Old())
    monkeypatch.setattr(backups_restore.ctypes, "get_errno", lambda: 22)
    backups_restore.exchange(str(one), str(other))
    assert other.read_text() == "file" and one.is_dir()
    monkeypatch.setattr(backups_restore.ctypes, "get_errno", lambda: 18)
    with pytest.raises(BackupError, match="cannot change places"):
        backups_restore.exchange(str(one), str(other))


def test_nothing_is_fetched_to_where_the_web_user_could_lead_it_elsewhere(
    portal: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder above the portal is the web user's: it could exchange what lies in it while root writes there."""
    above = tmp_path / "www" / "sites"
    above.mkdir(parents=True)
    there = replace(portal, root=str(above / "chamilo"))
    os.rename(portal.root, there.root)
    (tmp_path / "www").chmod(0o777)
    made = planned(there)
    assert os.listdir(above) == ["chamilo"] and os.listdir(tmp_path / "www") == ["sites"]
    assert os.path.dirname(made.staging) == os.path.dirname(made.kept) == str(tmp_path / "state" / "backups")
    assert made.kept in " ".join(backups_restore.finish(there))
    looks_right(there, made.kept)
    # Where everybody may lay something and nobody may move what is root's, as in /tmp, it is beside the portal.
    (tmp_path / "www").chmod(0o1777)
    assert backups_restore._staging(there) == f"{above}/.chamilo.restoring"
    (tmp_path / "www").chmod(0o775)
    (tmp_path / "state").chmod(0o770)
    with pytest.raises(BackupError, match=rf"{tmp_path}/www can be written by others.*Nothing was changed.*chown root"):
        work(there)
    # What is elsewhere cannot change places with the portal.
    (tmp_path / "state").chmod(0o700)
    monkeypatch.setattr(backups_restore, "mounts", lambda: dict.fromkeys(["/", str(tmp_path / "state")], "ext4"))
    with pytest.raises(BackupError, match=rf"{tmp_path}/www can be written by others"):
        work(there)
    # A database needs not.
    assert backups_restore._staging(there, files=False) == f"{tmp_path}/state/backups/.campus.restoring"
    assert os.listdir(above) == ["chamilo"] and not list(tmp_path.rglob(".*.restoring"))


def test_a_portal_on_a_disk_of_its_own_that_others_can_write_is_refused(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups_restore, "mounts", lambda: dict.fromkeys(["/", portal.folder], "ext4"))
    assert work(portal).staging == f"{portal.folder}/.chamilo.restoring"
    os.chmod(portal.folder, 0o770)
    with pytest.raises(BackupError, match=f"{portal.folder} can be written by others"):
        work(portal)


def test_what_was_fetched_to_elsewhere_is_not_taken(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    made = work(portal)

    class Place:
        def fetch(self, *_words: str) -> None:
            os.rename(made.staging, f"{made.staging}.aside")
            os.makedirs(f"{made.staging}{portal.folder}/var/lesson")

    monkeypatch.setattr(made, "place", Place())
    with pytest.raises(BackupError, match="exchanged while the backup was fetched. Nothing was changed"):
        made.stage_file("var/lesson")
    assert made.journal["swaps"] == []


def test_what_did_not_come_back_is_said(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    class Place:
        shown = "/repository"

        def fetch(self, _snapshot: str, staging: str, *_patterns: str) -> bool:
            os.makedirs(f"{staging}{portal.folder}/var/lesson")
            return True

    half = Snapshot("f1", "tree", 0, "run", ())
    monkeypatch.setattr(backups_restore, "_found", lambda *_words: (Place(), Pair("run", half, half)))
    lines = backups_restore.restore(portal, "file", "var/lesson")
    left = "Files whose paths are too long did not come back. Snapshot f1 has them. Because of them restic did not read"
    assert any(line.startswith(left) for line in lines)
    with pytest.raises(BackupError, match="^Files whose paths are too long did not come back"):
        backups_restore.restore(portal, "file", "var/another")


def test_a_restore_begins_anew_also_after_one_that_was_killed_over_folders_without_end(
    portal: Portal, deep: Callable[[Path], None]
) -> None:
    made = work(portal)
    deep(Path(made.staging))
    made.clear()
    assert os.listdir(made.staging) == []


def test_a_pattern_stands_for_its_path_alone() -> None:
    assert backups_restore._literal("/a/[x]*?\\") == "/a/\\[x\\]\\*\\?\\\\"


def test_a_portal_on_a_disk_of_its_own_is_staged_inside(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    assert backups_restore._staging(portal) == f"{os.path.dirname(portal.folder)}/.chamilo.restoring"
    real = os.stat

    def stat(path: str) -> Any:
        return real("/proc") if path == portal.folder else real(path)

    monkeypatch.setattr(backups_restore.os, "stat", stat)
    assert backups_restore._staging(portal) == f"{portal.folder}/.chamilo.restoring"


class Server:
    """Knows tables, and what cannot be moved with them, by database."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.said: list[str] = []
        self.tables = {"chamilo_restoring": ["course", "user"], "chamilo": ["user"]}
        self.objects = {"chamilo": ["TRIGGER\ttrimmed", "VIEW\tactive"]}
        self.pointing = ""
        self.refuses, self.words = "", "refused"
        monkeypatch.setattr(backups_restore, "_tables", lambda _portal, name: self.tables.get(name, []))
        monkeypatch.setattr(backups_restore, "_sql", self.sql)

    def sql(self, _portal: Portal, sql: str, database: str = "", source: IO[bytes] | None = None) -> str:
        if "SELECT DISTINCT DEFINER" in sql:
            if self.refuses == "DEFINER":
                raise BackupError("denied")
            return "nobody@here\n"
        if "REFERENTIAL_CONSTRAINTS" in sql:
            return self.pointing
        if sql.startswith("\nSELECT 'VIEW'"):
            return "\n".join(next((found for name, found in self.objects.items() if f"'{name}'" in sql), []))
        self.said.append(source.read().decode() if source else sql)
        if self.refuses and self.refuses in self.said[-1]:
            raise BackupError(self.words)
        return ""


NAMES = {"new": "chamilo_restoring", "old": "chamilo_before_x"}


def test_tables_change_places_in_one_statement_and_the_rest_is_made_anew(
    portal: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(monkeypatch)
    portal = replace(portal, name="chamilo")
    (tmp_path / "coming.sql").write_text("CREATE VIEW coming")
    (tmp_path / "views-and-programs.sql").write_text("CREATE VIEW going")
    lines = backups_restore._change_tables(portal, NAMES, str(tmp_path), "/kept")
    swap, drops, made, end = server.said
    assert "DROP TRIGGER IF EXISTS `chamilo`.`trimmed`" in swap and "DROP VIEW" not in swap
    assert swap.count("RENAME TABLE") == 1 and swap.index("DROP TRIGGER") < swap.index("RENAME TABLE")
    assert "`chamilo`.`user` TO `chamilo_before_x`.`user`, `chamilo_restoring`.`course` TO `chamilo`.`course`" in swap
    assert "DROP VIEW IF EXISTS `chamilo`.`active`" in drops
    assert (made, end) == ("CREATE VIEW coming", "DROP DATABASE IF EXISTS `chamilo_restoring`")
    assert "/kept/views-and-programs.sql" in lines[1] and "nobody@here" in lines[2]
    # Cut off after the tables: only the rest is done.
    server.said.clear()
    server.tables["chamilo_restoring"] = []
    backups_restore._change_tables(portal, NAMES, str(tmp_path), "/kept")
    assert server.said == [drops, made, end]


def with_database(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> tuple[Portal, backups_restore._Work, Server]:
    """A restore of everything that is written down, and the server."""
    portal = replace(portal, name="chamilo")
    made = planned(portal)
    made.journal["database"] = NAMES
    made.write_down()
    return portal, made, Server(monkeypatch)


def test_where_the_tables_may_not_be_moved_nothing_is_and_nothing_is_left_to_do(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    portal, made, server = with_database(portal, monkeypatch)
    server.refuses, server.words = "RENAME TABLE", "ERROR 1205 (HY000) at line 1: Lock wait timeout exceeded"
    monkeypatch.setattr(backups_restore, "_may_restore", lambda _portal: True)
    Path(made.staging, "triggers.sql").write_text("CREATE TRIGGER going")
    Path(made.staging, "views-and-programs.sql").write_text("CREATE VIEW that fails")
    with pytest.raises(BackupError, match=r"ERROR 1205.*Something uses them for long.*Nothing was changed\.$"):
        backups_restore.finish(portal)
    assert server.said[1:] == [
        "CREATE TRIGGER going",
        "DROP DATABASE IF EXISTS `chamilo_before_x`",
        "DROP DATABASE IF EXISTS `chamilo_restoring`",
    ]
    assert Path(portal.folder, "var", "lesson").read_text() == "spoilt"
    assert not os.path.lexists(made.staging)
    assert backups_restore.finish(portal) == []


@pytest.mark.parametrize("moved", ["ERROR 2013 (HY000) at line 1: Lost connection", "chamilo_before_x"])
def test_where_tables_may_have_moved_all_the_same_the_restore_can_be_finished(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, moved: str
) -> None:
    portal, made, server = with_database(portal, monkeypatch)
    server.refuses, server.words = "RENAME TABLE", moved
    server.tables["chamilo_before_x"] = ["user"] if moved == "chamilo_before_x" else []
    with pytest.raises(BackupError, match=moved.split()[0]):
        backups_restore.finish(portal)
    assert Path(portal.folder, "var", "lesson").read_text() == "spoilt"
    server.refuses = ""
    backups_restore.finish(portal)
    looks_right(portal, made.kept)


def test_folders_follow_tables_also_where_the_restore_was_killed_between_them(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    portal, made, server = with_database(portal, monkeypatch)
    Path(made.staging, "coming.sql").write_text("CREATE VIEW coming")

    def killed(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(backups_restore, "_rehearse", lambda _swaps: None)
        patch.setattr(backups_restore, "_change_places", killed)
        backups_restore.finish(portal)
    assert any("RENAME TABLE" in words for words in server.said)
    server.tables["chamilo_restoring"] = []
    server.said.clear()
    backups_restore.finish(portal)
    assert "CREATE VIEW coming" in server.said and not any("RENAME TABLE" in words for words in server.said)
    looks_right(portal, made.kept)


@pytest.mark.parametrize(
    "words",
    [
        "ERROR 1025 (HY000) at line 1: Error on rename of './chamilo/user' to './chamilo_before_x/user' (errno: 155)",
        "ERROR 1033 (HY000) at line 1: Incorrect information in file: './chamilo_before_x/user.frm'",
        "ERROR 1932 (42S02) at line 1: Table 'chamilo.user' doesn't exist in engine",
    ],
)
def test_a_damaged_table_is_named_with_what_to_do(portal: Portal, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    portal, _made, server = with_database(portal, monkeypatch)
    server.refuses, server.words = "RENAME TABLE", words
    with pytest.raises(BackupError, match="The table `chamilo`.`user` is damaged.*DROP TABLE `chamilo`.`user`; then"):
        backups_restore.finish(portal)


def test_where_no_table_is_named_it_is_said_what_names_it() -> None:
    problem = BackupError('ERROR 1030 (HY000) at line 1: Got error 194 "Tablespace is missing" from storage engine')
    assert "mariadb-check --databases chamilo says which" in backups_restore._advice("chamilo", problem)


@pytest.mark.parametrize(
    ("begun", "asked", "goes"),
    [
        ("host", "file", False),
        ("host", "files", False),
        ("host", "database", False),
        ("database", "files", False),
        ("files", "file", False),
        ("file", "file", True),
        ("file", "files", True),
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

    monkeypatch.setattr(backups_restore, "_found", found)
    with pytest.raises(BackupError) as raised:
        backups_restore.restore(portal, asked, "var/lesson")
    assert (str(raised.value) == "another backup is looked for") == goes
    assert Path(portal.folder, "var", "lesson").read_text() == ("as it was" if goes else "spoilt")
    if not goes:
        finishing = f"chamilo-hardening restore {begun} --site campus --confirm campus.test"
        assert str(raised.value) == (
            f"A restore of the {begun} of campus.test was begun and is not finished. Nothing was changed. "
            f"Finish it first: {finishing} or roll it back: chamilo-hardening restore --abandon --site campus"
        )


def test_who_may_not_list_accounts_may_restore(portal: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch)
    server.refuses = "DEFINER"
    lines = backups_restore._change_tables(replace(portal, name="chamilo"), NAMES, str(tmp_path), "/kept")
    assert lines[-1].endswith("accounts that are not there is unknown. denied")


def test_what_was_moved_aside_points_no_longer_to_what_is_in_use(
    portal: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(monkeypatch)
    server.pointing = "course\tfk1\n"
    lines = backups_restore._change_tables(replace(portal, name="chamilo"), NAMES, str(tmp_path), "/kept")
    assert server.said[-1] == "ALTER TABLE `chamilo_before_x`.`course` DROP FOREIGN KEY `fk1`"
    assert any(line.endswith("were removed: fk1 of course.") for line in lines)


def test_what_goes_and_cannot_be_written_down_hinders_no_restore(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = work(portal)

    def asked(command: Sequence[str], _source: object, output: IO[bytes]) -> bytes:
        assert "--force" in command
        output.write(b"CREATE VIEW good")
        raise BackupError("View 'chamilo.active' references invalid table(s) (1356)")

    monkeypatch.setattr(backups_restore, "_asked", asked)
    monkeypatch.setattr(backups_restore, "_rows", lambda *_words: ["active"])
    monkeypatch.setattr(dump, "program", lambda: "mariadb-dump")
    made._keep_objects()
    assert len(made.left) == 2 and all("(1356)" in line for line in made.left)
    assert Path(made.staging, "views-and-programs.sql").read_text() == "CREATE VIEW good"


SECRET = b"""\
--------------
CREATE USER chamilo IDENTIFIED BY 'secret'
--------------

ERROR 1819 (HY000) at line 1: Your password does not satisfy the current policy requirements
"""


def test_no_message_holds_the_statement_that_failed(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], **_more: object) -> subprocess.CompletedProcess[bytes]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 1, b"", SECRET)

    monkeypatch.setattr(backups_restore.subprocess, "run", run)
    with pytest.raises(BackupError, match="refused: ERROR 1819") as raised:
        backups_restore._sql(portal, "CREATE USER")
    assert "secret" not in str(raised.value)
    assert "--loose-skip-print-query-on-error" in commands[0]


def test_of_other_words_the_last_line_is_shown() -> None:
    assert backups_restore.complaint(b"warned\nmariadb-dump: Got error: 1045\n") == "mariadb-dump: Got error: 1045"
    assert backups_restore.complaint(b"") == ""


class Packets:
    """A server that takes rows of some size, and lets that be changed or not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, size: int, fixed: bool = False) -> None:
        self.size = size
        self.fixed = fixed
        monkeypatch.setattr(backups_restore, "_sql", self.sql)

    def sql(self, _portal: Portal, sql: str) -> str:
        if sql.startswith("SELECT"):
            return f"{self.size}\n"
        if self.fixed:
            raise BackupError("ERROR 1227 (42000) at line 1: Access denied")
        self.size = int(sql.removeprefix("SET GLOBAL max_allowed_packet = "))
        return ""


def test_a_server_takes_large_rows_for_as_long_as_it_loads(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Packets(monkeypatch, 1 << 24)
    with pytest.raises(BackupError, match="^ERROR 1062$"), backups_restore._large_rows(portal):
        assert server.size == 1 << 30
        raise BackupError("ERROR 1062")
    assert server.size == 1 << 24


@pytest.mark.parametrize("code", [1153, 2006])
def test_where_large_rows_are_not_taken_the_setting_is_named(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    server = Packets(monkeypatch, 1 << 24, fixed=True)
    with (
        pytest.raises(BackupError, match=rf"ERROR {code} .* than 16777216 bytes.*Set max_allowed_packet .* to 1G"),
        backups_restore._large_rows(portal),
    ):
        raise BackupError(f"ERROR {code} (HY000) at line 9: gone")
    server.size = 1 << 30
    with pytest.raises(BackupError, match="gone$"), backups_restore._large_rows(portal):
        raise BackupError(f"ERROR {code} (HY000) at line 9: gone")


@pytest.mark.parametrize("link", [True, False])
@pytest.mark.parametrize("part", ["host", "files", "file", "file as the backup calls it"])
def test_a_portal_behind_a_link_comes_back_to_where_the_link_leads_now(
    portal: Portal, tmp_path: Path, link: bool, part: str
) -> None:
    """Saved from releases/7; since then there is a release 8, or the machine is a fresh one and gets the link too."""
    saved = f"{tmp_path}/releases/7"
    there = replace(portal, root=str(tmp_path / "current"))
    if link:
        (tmp_path / "releases" / "8" / "var").mkdir(parents=True)
        (tmp_path / "current").symlink_to("releases/8")

    class Place:
        def nodes(self, _snapshot: str) -> list[dict[str, Any]]:
            return [{"path": f"{saved}/var/lesson", "size": 2}]

        def fetch(self, _snapshot: str, staging: str, *patterns: str) -> bool:
            assert all(pattern.startswith(f"--include={saved}") for pattern in patterns[1:])
            os.makedirs(f"{staging}{saved}/var")
            Path(f"{staging}{saved}/var/lesson").write_text("as it was")
            return False

    half = Snapshot("f1", "tree", 0, "run", (saved, backups_portal.path_of("campus")))
    made = backups_restore._Work(there, Place(), Pair("run", half, half))  # type: ignore[arg-type]  # all it is asked for
    made.clear()
    if part in ("host", "files"):
        made.stage_files(part == "host")
    else:
        made.stage_file("var/lesson" if part == "file" else f"{saved}/var/lesson")
    made.write_down()
    backups_restore.finish(there)
    assert (tmp_path / "current" / "var" / "lesson").read_text() == "as it was"
    assert made.elsewhere() == []
    behind = {"host": "releases/7", "files": "releases/7"}.get(part, "")
    leads = [os.readlink(tmp_path / "current")] if (tmp_path / "current").is_symlink() else []
    assert leads == (["releases/8"] if link else [behind] if behind else [])
    assert os.path.lexists(saved) == ("releases/7" in leads)


def test_a_link_of_the_web_users_leads_nothing_out_of_the_portal(portal: Portal, tmp_path: Path) -> None:
    """It is laid while the backup is fetched, or before: what it leads to keeps its content."""
    made = work(portal)
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "lesson").write_text("root's")
    fetched, live = f"{made.staging}{portal.folder}/var/lesson", f"{portal.folder}/var/lesson"
    made._swap(fetched, live)
    made.write_down()
    os.rename(f"{portal.folder}/var", f"{portal.folder}/aside")
    os.symlink(etc, f"{portal.folder}/var")
    os.chown(f"{portal.folder}/var", os.geteuid() or 12345, -1, follow_symlinks=False)
    with pytest.raises(BackupError, match=r"somebody else than root.*Nothing was changed"):
        backups_restore.finish(portal)
    assert (etc / "lesson").read_text() == "root's"
    with pytest.raises(BackupError, match=r"somebody else than root.*Nothing was changed"):
        made._swap(fetched, live)


def test_a_folder_is_made_in_what_is_open(portal: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = work(portal)
    secret = tmp_path / "secret"
    secret.mkdir(0o700)
    real = os.mkdir

    def swapped(path: str, mode: int = 0o777, **more: Any) -> None:
        real(path, mode, **more)
        if path.endswith("/new"):
            os.rmdir(path)
            os.symlink(secret, path)

    made._swap(f"{made.staging}{portal.folder}/new/deep/file", f"{portal.folder}/new/deep/file")
    made.write_down()
    monkeypatch.setattr(backups_restore.os, "mkdir", swapped)
    with pytest.raises(BackupError, match="Not a directory|symbolic links"):
        backups_restore.finish(portal)
    assert secret.stat().st_mode & 0o777 == 0o700 and not list(secret.iterdir())


def test_a_disk_inside_is_refused_before_anything_changes(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted = ["/", portal.folder, f"{portal.folder}/var/upload"]
    monkeypatch.setattr(backups_restore, "mounts", lambda: dict.fromkeys(mounted, "ext4"))
    made = work(portal)
    made._swap(f"{made.staging}{portal.folder}/later", f"{portal.folder}/later")
    with pytest.raises(BackupError, match="var/upload is a file system of its own.*Nothing was changed"):
        made._swap(f"{made.staging}{portal.folder}/var", f"{portal.folder}/var")


def test_a_disk_inside_is_found_before_anything_is_fetched(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted = ["/", portal.folder, f"{portal.folder}/node_modules", f"{portal.folder}/public"]
    monkeypatch.setattr(backups_restore, "mounts", lambda: dict.fromkeys(mounted, "ext4"))
    made = work(portal)
    made._refuse_mounts(False)
    with pytest.raises(BackupError, match=f"^{portal.folder}/public is a file system of its own"):
        made.stage_files(True)
    mounted.append(f"{portal.folder}/var/upload")
    with pytest.raises(BackupError, match=f"^{portal.folder}/var/upload is a file system of its own"):
        made.stage_files(False)


def test_what_is_on_a_disk_inside_is_refused_too(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were it written down, no later restore could get past it."""
    monkeypatch.setattr(backups_restore, "mounts", lambda: dict.fromkeys(["/", f"{portal.folder}/var"], "ext4"))
    made = work(portal)
    for name in ("var/lesson", "var/gone/since"):
        fetched = f"{made.staging}{portal.folder}/{name}"
        with pytest.raises(BackupError, match="on another file system.*Nothing was changed.*copy it") as raised:
            made._swap(fetched, f"{portal.folder}/{name}")
        assert fetched in str(raised.value)
    assert made.journal["swaps"] == []


def test_a_machine_that_knew_nothing_goes_on_with_the_address_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one in the backup may be of a machine that is gone too, and a restore may need a second run."""
    saved = '{"site": "campus", "domain": "campus.test", "root": "/x", "offsite": "sftp:gone.example:/x"}'
    half = Snapshot("f1", "tree", 0, "run", ())
    monkeypatch.setattr(backups_portal, "CONFIGURATION", str(tmp_path))
    monkeypatch.setattr(backups_restore.Repository, "pairs", lambda _self: [Pair("run", half, half)])
    monkeypatch.setattr(backups_restore.Repository, "run", lambda *_words: (saved, ""))
    begun = backups_restore.begin("campus", "/mnt/usb")
    assert begun.places == ("/mnt/usb",)
    assert backups_portal.portals() == [begun]


def test_what_a_link_leads_to_stays_and_comes_back_by_itself(portal: Portal, tmp_path: Path) -> None:
    data = tmp_path / "data"

    class Place:
        shown = "/repository"

        def fetch(self, _snapshot: str, staging: str, *_patterns: str) -> bool:
            os.makedirs(f"{staging}{data}")
            return False

    half = Snapshot("f1", "tree", 0, "run", (portal.folder, str(data), backups_portal.path_of("campus")))
    made = backups_restore._Work(portal, Place(), Pair("run", half, half))  # type: ignore[arg-type]  # all it is asked for here
    (line,) = made.elsewhere()
    assert line.startswith(f"A link leads to {data}, which is not there.")
    made.clear()
    made.stage_file(str(data))
    made.write_down()
    backups_restore.finish(portal)
    assert data.is_dir()
    (line,) = made.elsewhere()
    assert line == f"Left as it is, because a link leads there: {data}. Snapshot f1 has it too."
    with pytest.raises(BackupError, match="^/etc/passwd is not below .*, nor does a link of the backup lead there"):
        made.stage_file("/etc/passwd")


@pytest.mark.parametrize(("wanted", "stays"), [(False, []), (True, [".chamilo.restoring"])])
def test_what_was_fetched_in_vain_fills_no_disk(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, wanted: bool, stays: list[str]
) -> None:
    def full(work: backups_restore._Work, _path: str) -> None:
        work.wanted = wanted
        raise OSError(errno.ENOSPC, "No space left on device")

    half = Snapshot("f1", "tree", 0, "run", ())
    monkeypatch.setattr(
        backups_restore, "_found", lambda *_words: (Repository(portal, "/repository"), Pair("run", half, half))
    )
    monkeypatch.setattr(backups_restore._Work, "stage_file", full)
    with pytest.raises(OSError, match="No space left"):
        backups_restore.restore(portal, "file", "var/lesson")
    parent = Path(portal.folder).parent
    assert [path.name for path in parent.iterdir() if path.name.startswith(".")] == stays


def test_files_are_back_where_no_database_server_runs_here(portal: Portal) -> None:
    """As where it runs in a container, behind a port."""
    here = replace(portal, host="127.0.0.1", socket="/nothing/here")
    (Path(portal.folder) / ".env").write_text("DATABASE_USER=chamilo\nDATABASE_PASSWORD=x\n")
    planned(here)
    assert "are back" in backups_restore.finish(here)[0]
    assert not os.path.exists(backups_restore._journal(here))
