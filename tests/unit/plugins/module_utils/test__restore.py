# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How folders change places, also when that was cut off in between."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils import _restore, _state
from ansible_collections.chamilo.hardening.plugins.module_utils._backup import (
    BackupError,
    Pair,
    Portal,
    Repository,
    Snapshot,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._perms import PermsError


@pytest.fixture
def portal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Portal:
    monkeypatch.setattr(_state, "STATE", str(tmp_path / "state"))
    (tmp_path / "state" / "backups").mkdir(parents=True)
    root = tmp_path / "chamilo"
    (root / "var").mkdir(parents=True)
    (root / "var" / "lesson").write_text("spoilt")
    (root / "later").write_text("came after the backup")
    return Portal("campus", "campus.test", str(root), host="db.example.org")


def work(portal: Portal) -> _restore._Work:
    half = Snapshot("id", "tree", 0, "run", ())
    made = _restore._Work(portal, None, Pair("run", half, half))  # type: ignore[arg-type]  # fetches nothing here
    made.clear()
    assert os.stat(made.staging).st_mode & 0o777 == 0o700
    fetched = Path(f"{made.staging}{portal.folder}")
    (fetched / "var").mkdir(parents=True)
    (fetched / "var" / "lesson").write_text("as it was")
    (fetched / "new" / "deep").mkdir(parents=True)
    (fetched / "new").chmod(0o750)
    (fetched / "new" / "deep" / "file").write_text("gone since")
    return made


def planned(portal: Portal) -> _restore._Work:
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
    assert made.kept in " ".join(_restore.finish(portal))
    looks_right(portal, made.kept)
    assert (Path(portal.folder) / "new").stat().st_mode & 0o777 == 0o750
    assert _restore.finish(portal) == []


@pytest.mark.parametrize("calls", range(8))
def test_it_is_finished_whenever_it_was_cut_off(portal: Portal, calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made = planned(portal)
    real: dict[str, Any] = {name: getattr(os, name) for name in ("rename", "unlink")}
    left = [calls]

    def limited(name: str) -> Any:
        def call(*arguments: Any) -> Any:
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            return real[name](*arguments)

        return call

    exchange = _restore.exchange
    with monkeypatch.context() as patch:
        for name in real:
            patch.setattr(os, name, limited(name))
        patch.setattr(_restore, "exchange", lambda *paths: limited_exchange(paths))

        def limited_exchange(paths: tuple[str, str]) -> None:
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            exchange(*paths)

        try:
            _restore.finish(portal)
        except KeyboardInterrupt:
            pass  # killed here
    _restore.finish(portal)
    looks_right(portal, made.kept)
    assert not os.path.lexists(made.staging)


def test_what_came_after_a_restore_stays_where_only_its_end_is_missing(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the account of the application could not be made: all else is done."""
    made = planned(portal)
    with monkeypatch.context() as patch, pytest.raises(BackupError, match="refused"):

        def refused(_portal: Portal) -> list[str]:
            raise BackupError("refused")

        patch.setattr(_restore, "_wake", refused)
        _restore.finish(portal)
    (Path(portal.folder) / "later").write_text("came once more")
    _restore.finish(portal)
    assert (Path(portal.folder) / "later").read_text() == "came once more"
    assert (Path(f"{made.kept}{portal.folder}") / "later").read_text() == "came after the backup"
    assert _restore.finish(portal) == []


def test_two_paths_change_places_also_where_the_kernel_cannot_do_it_in_one_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.write_text("file")
    _restore.exchange(str(one), str(other))
    assert one.read_text() == "file" and other.is_dir()

    class Old:
        def renameat2(self, *_arguments: Any) -> int:
            return -1

    monkeypatch.setattr(_restore.ctypes, "CDLL", lambda *_a, **_k: Old())
    monkeypatch.setattr(_restore.ctypes, "get_errno", lambda: 22)
    _restore.exchange(str(one), str(other))
    assert other.read_text() == "file" and one.is_dir()
    monkeypatch.setattr(_restore.ctypes, "get_errno", lambda: 18)
    with pytest.raises(BackupError, match="cannot change places"):
        _restore.exchange(str(one), str(other))


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
    assert made.kept in " ".join(_restore.finish(there))
    looks_right(there, made.kept)
    # Where everybody may lay something and nobody may move what is root's, as in /tmp, it is beside the portal.
    (tmp_path / "www").chmod(0o1777)
    assert _restore._staging(there) == f"{above}/.chamilo.restoring"
    (tmp_path / "www").chmod(0o775)
    (tmp_path / "state").chmod(0o770)
    with pytest.raises(BackupError, match=rf"{tmp_path}/www can be written by others.*Nothing was changed.*chown root"):
        work(there)
    # What is elsewhere cannot change places with the portal.
    (tmp_path / "state").chmod(0o700)
    monkeypatch.setattr(_restore, "mounts", lambda: ["/", str(tmp_path / "state")])
    with pytest.raises(BackupError, match=rf"{tmp_path}/www can be written by others"):
        work(there)
    # A database needs not.
    assert _restore._staging(there, files=False) == f"{tmp_path}/state/backups/.campus.restoring"
    assert os.listdir(above) == ["chamilo"] and not list(tmp_path.rglob(".*.restoring"))


def test_a_portal_on_a_disk_of_its_own_that_others_can_write_is_refused(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_restore, "mounts", lambda: ["/", portal.folder])
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
    monkeypatch.setattr(_restore, "_found", lambda *_words: (Place(), Pair("run", half, half)))
    lines = _restore.restore(portal, "file", "var/lesson")
    left = "Files whose paths are too long did not come back. Snapshot f1 has them. Because of them restic did not read"
    assert any(line.startswith(left) for line in lines)
    with pytest.raises(BackupError, match="^Files whose paths are too long did not come back"):
        _restore.restore(portal, "file", "var/another")


def test_a_restore_begins_anew_also_after_one_that_was_killed_over_folders_without_end(
    portal: Portal, deep: Callable[[Path], None]
) -> None:
    made = work(portal)
    deep(Path(made.staging))
    made.clear()
    assert os.listdir(made.staging) == []


def test_a_pattern_stands_for_its_path_alone() -> None:
    assert _restore._literal("/a/[x]*?\\") == "/a/\\[x\\]\\*\\?\\\\"


def test_a_portal_on_a_disk_of_its_own_is_staged_inside(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _restore._staging(portal) == f"{os.path.dirname(portal.folder)}/.chamilo.restoring"
    real = os.stat

    def stat(path: str) -> Any:
        return real("/proc") if path == portal.folder else real(path)

    monkeypatch.setattr(_restore.os, "stat", stat)
    assert _restore._staging(portal) == f"{portal.folder}/.chamilo.restoring"


class Server:
    """Knows tables, and what cannot be moved with them, by database."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.said: list[str] = []
        self.tables = {"chamilo_restoring": ["course", "user"], "chamilo": ["user"]}
        self.objects = {"chamilo": ["TRIGGER\ttrimmed", "VIEW\tactive"]}
        self.refuses = ""
        monkeypatch.setattr(_restore, "_tables", lambda _portal, name: self.tables.get(name, []))
        monkeypatch.setattr(_restore, "_sql", self.sql)

    def sql(self, _portal: Portal, sql: str, database: str = "", source: IO[bytes] | None = None) -> str:
        if "SELECT DISTINCT DEFINER" in sql:
            return "nobody@here\n"
        if sql.startswith("\nSELECT 'VIEW'"):
            return "\n".join(next((found for name, found in self.objects.items() if f"'{name}'" in sql), []))
        self.said.append(source.read().decode() if source else sql)
        if self.refuses and self.refuses in self.said[-1]:
            raise BackupError("refused")
        return ""


NAMES = {"new": "chamilo_restoring", "old": "chamilo_before_x"}


def test_tables_change_places_in_one_statement_and_the_rest_is_made_anew(
    portal: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(monkeypatch)
    portal = replace(portal, name="chamilo")
    (tmp_path / "coming.sql").write_text("CREATE VIEW coming")
    (tmp_path / "views-and-programs.sql").write_text("CREATE VIEW going")
    lines = _restore._change_tables(portal, NAMES, str(tmp_path), "/kept")
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
    _restore._change_tables(portal, NAMES, str(tmp_path), "/kept")
    assert server.said == [drops, made, end]


def test_where_the_tables_may_not_be_moved_the_triggers_come_back(
    portal: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(monkeypatch)
    server.refuses = "RENAME TABLE"
    (tmp_path / "views-and-programs.sql").write_text("CREATE TRIGGER going")
    with pytest.raises(BackupError, match="refused"):
        _restore._change_tables(replace(portal, name="chamilo"), NAMES, str(tmp_path), "/kept")
    assert server.said[-1] == "CREATE TRIGGER going"


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
    with pytest.raises(PermsError, match="somebody else than root"):
        _restore.finish(portal)
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
    monkeypatch.setattr(_restore.os, "mkdir", swapped)
    with pytest.raises(OSError, match="Not a directory|symbolic links"):
        _restore.finish(portal)
    assert secret.stat().st_mode & 0o777 == 0o700 and not list(secret.iterdir())


def test_a_disk_inside_is_refused_before_anything_changes(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_restore, "mounts", lambda: ["/", portal.folder, f"{portal.folder}/var/upload"])
    made = work(portal)
    made._swap(f"{made.staging}{portal.folder}/later", f"{portal.folder}/later")
    with pytest.raises(BackupError, match="var/upload is a file system of its own.*Nothing was changed"):
        made._swap(f"{made.staging}{portal.folder}/var", f"{portal.folder}/var")


def test_what_is_on_a_disk_inside_is_refused_too(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were it written down, no later restore could get past it."""
    monkeypatch.setattr(_restore, "mounts", lambda: ["/", f"{portal.folder}/var"])
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
    monkeypatch.setattr(_restore._backup, "CONFIGURATION", str(tmp_path))
    monkeypatch.setattr(_restore.Repository, "pairs", lambda _self: [Pair("run", half, half)])
    monkeypatch.setattr(_restore.Repository, "run", lambda *_words: (saved, ""))
    begun = _restore.begin("campus", "/mnt/usb")
    assert begun.places == ("/mnt/usb",)
    assert _restore._backup.portals() == [begun]


def test_what_a_link_leads_to_stays_and_comes_back_by_itself(portal: Portal, tmp_path: Path) -> None:
    data = tmp_path / "data"

    class Place:
        shown = "/repository"

        def fetch(self, _snapshot: str, staging: str, *_patterns: str) -> bool:
            os.makedirs(f"{staging}{data}")
            return False

    half = Snapshot("f1", "tree", 0, "run", (portal.folder, str(data), _restore._backup.path_of("campus")))
    made = _restore._Work(portal, Place(), Pair("run", half, half))  # type: ignore[arg-type]  # all it is asked for here
    (line,) = made.elsewhere()
    assert line.startswith(f"A link leads to {data}, which is not there.")
    made.clear()
    made.stage_file(str(data))
    made.write_down()
    _restore.finish(portal)
    assert data.is_dir()
    (line,) = made.elsewhere()
    assert line == f"Left as it is, because a link leads there: {data}. Snapshot f1 has it too."
    with pytest.raises(BackupError, match="^/etc/passwd is not below .*, nor does a link of the backup lead there"):
        made.stage_file("/etc/passwd")


@pytest.mark.parametrize(("wanted", "stays"), [(False, []), (True, [".chamilo.restoring"])])
def test_what_was_fetched_in_vain_fills_no_disk(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, wanted: bool, stays: list[str]
) -> None:
    def full(work: _restore._Work, _path: str) -> None:
        work.wanted = wanted
        raise OSError(errno.ENOSPC, "No space left on device")

    half = Snapshot("f1", "tree", 0, "run", ())
    monkeypatch.setattr(
        _restore, "_found", lambda *_words: (Repository(portal, "/repository"), Pair("run", half, half))
    )
    monkeypatch.setattr(_restore._Work, "stage_file", full)
    with pytest.raises(OSError, match="No space left"):
        _restore.restore(portal, "file", "var/lesson")
    parent = Path(portal.folder).parent
    assert [path.name for path in parent.iterdir() if path.name.startswith(".")] == stays


def test_files_are_back_where_no_database_server_runs_here(portal: Portal) -> None:
    """As where it runs in a container, behind a port."""
    here = replace(portal, host="127.0.0.1", socket="/nothing/here")
    (Path(portal.folder) / ".env").write_text("DATABASE_USER=chamilo\nDATABASE_PASSWORD=x\n")
    planned(here)
    assert "are back" in _restore.finish(here)[0]
    assert not os.path.exists(_restore._journal(here))
