# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore fetches, and how it changes places with what is in use."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import (
    dump,
    exchange,
    restore,
    restore_tables,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._backups import portal as backups_portal
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import BackupError, Portal
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.restic import Pair, Repository, Snapshot
from tests.unit.plugins.module_utils._backups.conftest import DUMP, Server, looks_right, planned, work

HALF = Snapshot("id", 0, "run", ())


def test_nothing_is_fetched_to_where_the_web_user_could_lead_it_elsewhere(
    portal: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory above the portal is the web user's: it could exchange what lies in it while root writes there."""
    above = tmp_path / "www" / "sites"
    above.mkdir(parents=True)
    there = replace(portal, root=str(above / "chamilo"))
    os.rename(portal.root, there.root)
    (tmp_path / "www").chmod(0o777)
    made = planned(there)
    assert os.listdir(above) == ["chamilo"] and os.listdir(tmp_path / "www") == ["sites"]
    assert os.path.dirname(made.staging) == os.path.dirname(made.kept) == str(tmp_path / "state" / "backups")
    assert made.kept in " ".join(restore.finish(there))
    looks_right(there, made.kept)
    # Where all may create files and others cannot move those of root, as in /tmp, it is beside the portal.
    (tmp_path / "www").chmod(0o1777)
    assert exchange._directory(there) == f"{above}/.chamilo.restoring"
    (tmp_path / "www").chmod(0o775)
    (tmp_path / "state").chmod(0o770)
    with pytest.raises(BackupError, match=rf"{tmp_path}/www can be written by others.*Nothing was changed.*chown root"):
        work(there)
    # What is elsewhere cannot change places with the portal.
    (tmp_path / "state").chmod(0o700)
    monkeypatch.setattr(exchange, "mounts", lambda: dict.fromkeys(["/", str(tmp_path / "state")], "ext4"))
    with pytest.raises(BackupError, match=rf"{tmp_path}/www can be written by others"):
        work(there)
    # A database needs not.
    assert exchange._directory(there, files=False) == f"{tmp_path}/state/backups/.campus.restoring"
    assert os.listdir(above) == ["chamilo"] and not list(tmp_path.rglob(".*.restoring"))


def test_a_portal_on_a_disk_of_its_own_that_others_can_write_is_refused(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "mounts", lambda: dict.fromkeys(["/", portal.directory], "ext4"))
    assert work(portal).staging == f"{portal.directory}/.chamilo.restoring"
    restore.abandon(portal)
    os.chmod(portal.directory, 0o770)
    with pytest.raises(BackupError, match=f"{portal.directory} can be written by others"):
        work(portal)


def test_what_was_fetched_to_elsewhere_is_not_taken(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    made = work(portal)

    def fetch(*_words: Any) -> dict[str, str]:
        os.rename(made.staging, f"{made.staging}.aside")
        os.makedirs(f"{made.staging}{portal.directory}/var/lesson")
        return {}

    monkeypatch.setattr(Repository, "fetch", fetch)
    with pytest.raises(BackupError, match="exchanged while the backup was fetched. Nothing was changed"):
        made.stage_file("var/lesson")
    assert made.journal["swaps"] == []


def test_what_goes_and_cannot_be_written_down_hinders_no_restore(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = work(portal)

    def asked(command: Sequence[str], _source: object, output: IO[bytes]) -> bytes:
        assert "--force" in command
        output.write(b"CREATE VIEW good")
        raise BackupError("View 'chamilo.active' references invalid table(s) (1356)")

    monkeypatch.setattr(restore_tables, "_asked", asked)
    monkeypatch.setattr(restore_tables, "rows", lambda *_words: ["active"])
    monkeypatch.setattr(dump, "program", lambda: "mariadb-dump")
    made._keep_objects()
    assert len(made.left) == 1 and "(1356)" in made.left[0]
    assert Path(made.staging, "views-and-programs.sql").read_text() == "CREATE VIEW good"


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

    class Place(Repository):
        def nodes(self, _snapshot: str) -> Iterator[dict[str, Any]]:
            yield {"path": f"{saved}/var/lesson", "size": 2, "type": "file"}

        def fetch(self, _snapshot: str, staging: str, *patterns: str) -> dict[str, str]:
            assert patterns[0] == "--verify" and all(one.startswith(f"--include={saved}") for one in patterns[1:])
            os.makedirs(f"{staging}{saved}/var")
            Path(f"{staging}{saved}/var/lesson").write_text("as it was")
            return {}

    half = Snapshot("f1", 0, "run", (saved, backups_portal.path_of("campus")))
    made = restore.Staging(there, [(Place(there, ""), Pair("run", half, half))])
    made.clear()
    if part in ("host", "files"):
        made.stage_files(part == "host")
    else:
        made.stage_file("var/lesson" if part == "file" else f"{saved}/var/lesson")
    made.write_down()
    restore.finish(there)
    assert (tmp_path / "current" / "var" / "lesson").read_text() == "as it was"
    assert made.elsewhere() == []
    behind = {"host": "releases/7", "files": "releases/7"}.get(part, "")
    leads = [os.readlink(tmp_path / "current")] if (tmp_path / "current").is_symlink() else []
    assert leads == (["releases/8"] if link else [behind] if behind else [])
    assert os.path.lexists(saved) == ("releases/7" in leads)


def staged(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, saved: Sequence[str], everything: bool
) -> tuple[list[str], list[str]]:
    """What changes places after these files of the portal's directory came back, and what was asked for."""
    made, asked = work(portal), []

    def fetch(_place: Repository, _id: str, _staging: str, *words: str) -> dict[str, str]:
        asked.extend(words)
        return {}

    for name in saved:
        os.makedirs(f"{made.staging}{portal.directory}/{name}", exist_ok=True)
    Path(portal.directory, "node_modules").mkdir(exist_ok=True)
    monkeypatch.setattr(Repository, "nodes", lambda *_words, **_more: [])
    monkeypatch.setattr(Repository, "fetch", fetch)
    made.stage_files(everything)
    root = f"{portal.directory}/"
    for fetched, live, *_more in made.journal["swaps"]:
        assert fetched == made.staging + live
    return [live.removeprefix(root) for _fetched, live, *_more in made.journal["swaps"]], asked


@pytest.mark.parametrize(
    ("everything", "names"),
    [
        (True, [".env", "later", "new", "public", "var"]),
        (False, [".env", "new", "public/plugin", "var"]),
    ],
)
def test_what_came_back_changes_places_and_what_came_later_goes_aside(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, everything: bool, names: list[str]
) -> None:
    Path(portal.directory, "public").mkdir()
    found, asked = staged(portal, monkeypatch, [".env", "public/plugin"], everything)
    assert found == names
    patterns = [pattern.removeprefix(f"--include={portal.directory}") for pattern in asked[1:]]
    assert patterns == ([""] if everything else [*(f"/{name}" for name in restore._FILES), "/.env", "/.env.*"])


def test_a_portal_on_a_disk_of_its_own_does_not_change_places_with_what_was_fetched(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = f"{portal.directory}/.chamilo.restoring"
    monkeypatch.setattr(exchange, "_directory", lambda *_words: inside)
    found, _asked = staged(portal, monkeypatch, [], True)
    assert found == ["later", "new", "var"]


def test_a_backup_without_data_is_not_restored(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    made = work(portal)
    os.rename(f"{made.staging}{portal.directory}/var", f"{made.staging}{portal.directory}/other")
    monkeypatch.setattr(Repository, "nodes", lambda *_words, **_more: [])
    monkeypatch.setattr(Repository, "fetch", lambda *_words: {})
    with pytest.raises(BackupError, match=f"^The backup contains no {portal.directory}/var\\.$"):
        made.stage_files(True)
    assert made.journal["swaps"] == []


def test_a_link_of_the_web_users_leads_nothing_out_of_the_portal(portal: Portal, tmp_path: Path) -> None:
    """It is laid while the backup is fetched, or before: what it leads to keeps its content."""
    made = work(portal)
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "lesson").write_text("root's")
    fetched, live = f"{made.staging}{portal.directory}/var/lesson", f"{portal.directory}/var/lesson"
    made.swap(fetched, live)
    made.write_down()
    os.rename(f"{portal.directory}/var", f"{portal.directory}/aside")
    os.symlink(etc, f"{portal.directory}/var")
    os.chown(f"{portal.directory}/var", os.geteuid() or 12345, -1, follow_symlinks=False)
    with pytest.raises(BackupError, match=r"an account other than root.*Nothing was changed"):
        restore.finish(portal)
    assert (etc / "lesson").read_text() == "root's"
    with pytest.raises(BackupError, match=r"an account other than root.*Nothing was changed"):
        made.swap(fetched, live)


def test_a_disk_inside_is_found_before_anything_is_fetched(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted = ["/", portal.directory, f"{portal.directory}/public"]
    monkeypatch.setattr(exchange, "mounts", lambda: dict.fromkeys(mounted, "ext4"))
    for part, mount in (("host", "public"), ("files", "var/upload")):
        mounted.append(f"{portal.directory}/{mount}")
        made = restore.Staging(portal, [(Repository(portal, "/repository"), Pair("run", HALF, HALF))], part)
        with pytest.raises(BackupError, match=f"^{portal.directory}/{mount} is a file system of its own"):
            made.stage()


def test_what_is_on_a_disk_inside_is_refused_too(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were it written down, no later restore could get past it."""
    monkeypatch.setattr(exchange, "mounts", lambda: dict.fromkeys(["/", f"{portal.directory}/var"], "ext4"))
    made = work(portal)
    for name, missing in (("var/lesson", "var/lesson"), ("var/gone/since", "var/gone")):
        with pytest.raises(BackupError, match="on another file system.*Nothing was changed.*copy it") as raised:
            made.swap(f"{made.staging}{portal.directory}/{name}", f"{portal.directory}/{name}")
        assert f"{made.staging}{portal.directory}/{missing}:" in str(raised.value)
    assert made.journal["swaps"] == []


def test_what_a_link_leads_to_stays_and_comes_back_by_itself(portal: Portal, tmp_path: Path) -> None:
    data = tmp_path / "data"

    class Place(Repository):
        def fetch(self, _snapshot: str, staging: str, *_patterns: str) -> dict[str, str]:
            os.makedirs(f"{staging}{data}", exist_ok=True)
            return {}

    half = Snapshot("f1", 0, "run", (portal.directory, str(data), backups_portal.path_of("campus")))
    made = restore.Staging(portal, [(Place(portal, ""), Pair("run", half, half))])
    (line,) = made.elsewhere()
    assert line.startswith(f"Not there, outside of the portal's directory: {data}. ")
    made.clear()
    made.stage_file(str(data))
    made.write_down()
    restore.finish(portal)
    assert data.is_dir()
    (line,) = made.elsewhere()
    assert line == f"Left as it is, outside of the portal's directory: {data}. Snapshot f1 has it too."
    with pytest.raises(BackupError, match="^/etc/passwd is not below .*, nor in the backup besides"):
        made.stage_file("/etc/passwd")


@pytest.mark.parametrize(
    ("text", "loaded", "words"),
    [
        (DUMP + dump.stamp("run"), ["course", "user", "more"], ""),
        (DUMP + dump.stamp("another"), ["course", "user"], "is not whole, or of another run."),
        (DUMP, ["course", "user"], "is not whole, or of another run."),
        (DUMP + dump.stamp("run"), ["course"], "^Not every table of the dump could be loaded"),
    ],
)
@pytest.mark.parametrize("there", [True, False])
def test_a_dump_is_loaded_into_a_database_of_its_own(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, text: bytes, loaded: list[str], words: str, there: bool
) -> None:
    server = Server(monkeypatch)
    made = work(replace(portal, name="chamilo"))
    new = restore_tables.new_database(made.portal)
    server.tables[new] = loaded
    kept: list[str] = []

    def run(_place: Repository, *arguments: str, output: IO[bytes]) -> None:
        assert arguments == ("dump", "id", "/database.sql")
        output.write(text)

    monkeypatch.setattr(Repository, "run", run)
    monkeypatch.setattr(restore_tables, "may_restore", lambda _portal: True)
    monkeypatch.setattr(restore_tables, "rows", lambda _portal, sql: ["chamilo"] * there)
    monkeypatch.setattr(restore_tables, "drops", lambda _portal, name, *_kinds: f"DROP of {name}")
    monkeypatch.setattr(restore_tables, "write_objects", lambda _portal, name, *_more: kept.append(name))
    if words:
        with pytest.raises(BackupError, match=words):
            made.stage_database()
        assert kept == [] and not made.journal["database"]
        return
    made.stage_database()
    assert server.messages[1:] == [f"CREATE DATABASE `{new}` CHARACTER SET utf8mb4", text.decode(), f"DROP of {new}"]
    assert kept == [new, *(["chamilo"] if there else [])]
    assert made.journal["database"]["new"] == new
    assert re.fullmatch(r"chamilo_before_\w+", made.journal["database"]["old"])
    assert not os.path.exists(f"{made.staging}/database.sql")


@pytest.mark.parametrize(
    ("host", "words"),
    [("localhost", "No database server runs on this host"), ("db.test", "The database is on db.test.")],
)
def test_a_dump_that_cannot_be_loaded_here_is_not_fetched(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, host: str, words: str
) -> None:
    monkeypatch.setattr(restore_tables, "may_restore", lambda _portal: False)
    with pytest.raises(BackupError, match=words):
        work(replace(portal, host=host)).stage_database()


def test_what_is_kept_from_before_is_named_and_removed(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    portal = replace(portal, name="chamilo")
    above = Path(portal.directory).parent
    moment = "20261125T030000Z"
    for name in (f".chamilo.before-{moment}", f".chamilo.abandoned-{moment}", ".chamilo.before-hand", "shop.before"):
        (above / name).mkdir()
    databases = ["chamilo", f"chamilo_before_{moment}", "chamilo_before_x", f"shop_before_{moment}"]
    ran: list[str] = []
    monkeypatch.setattr(restore_tables, "may_restore", lambda _portal: True)
    monkeypatch.setattr(restore_tables, "rows", lambda _portal, _sql: databases)
    monkeypatch.setattr(restore_tables, "execute", lambda _portal, sql: ran.append(sql))
    kept = [f"{above}/.chamilo.abandoned-{moment}", f"{above}/.chamilo.before-{moment}", f"chamilo_before_{moment}"]
    (words,) = restore.kept(portal)
    assert f"of campus.test: {', '.join(kept[:2])}, the database {kept[2]}. When all is well" in words
    assert restore.forget_before(portal)[0] == f"{kept[0]} is removed."
    assert ran == [f"DROP DATABASE `chamilo_before_{moment}`"]
    assert not any(os.path.lexists(path) for path in kept) and (above / ".chamilo.before-hand").is_dir()

    def down(_portal: Portal, _sql: str) -> list[str]:
        raise BackupError("The database server refused: ERROR 2002")

    monkeypatch.setattr(restore_tables, "rows", down)
    (words,) = restore.kept(portal)
    assert "before a restore of campus.test is unknown: The database server refused" in words
