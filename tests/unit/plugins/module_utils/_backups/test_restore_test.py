# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore test checks. That it restores for real is shown on real hosts."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pwd
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, cast

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import dump as backups_dump
from ansible_collections.chamilo.hardening.plugins.module_utils._backups import jobs, restic, restore_test, sandbox
from ansible_collections.chamilo.hardening.plugins.module_utils._backups import portal as backups_portal
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import BackupError, Portal
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.restic import Pair, Snapshot
from ansible_collections.chamilo.hardening.plugins.module_utils._common import files

KEY = "a key"


@pytest.fixture
def portal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Portal:
    monkeypatch.setattr(backups_portal, "CONFIGURATION", str(tmp_path))
    monkeypatch.setattr(files, "STATE", str(tmp_path / "state"))
    made = Portal("campus", "campus.test", "/x", repository="/repository", offsite="rest:http://store/x")
    Path(made.key_file).write_text(KEY)
    return made


def pair(run: str = "1", hours: float = 1) -> Pair:
    at = time.time() - hours * 3600
    return Pair(run, Snapshot("d1", at, run, ()), Snapshot("f1", at, run, ()))


def attempt(portal: Portal, *pairs: Pair, identity: str = "known") -> restore_test._RestoreTest:
    place = {"snapshots": ["d1", "f1"], "dump_sha256": "x"}
    last = {"run": "1", "at": time.time(), "places": {"rest:http://store/x": place}}
    memory = {"repositories": {"rest:http://store/x": "known"}, "last": last, "good": {}}
    made = restore_test._RestoreTest(portal, memory)

    class Place(restic.Repository):
        def identity(self) -> str:
            return identity

        def unlock(self) -> None:
            pass

        def pairs(self) -> list[Pair]:
            return list(pairs)

    made.place = Place(portal, portal.offsite)  # no restic is needed here
    return made


@pytest.mark.parametrize(
    ("pairs", "identity", "words"),
    [
        ([pair("0"), pair()], "known", ""),
        ([], "known", "contains no complete backup"),
        ([pair()], "other", "another repository"),
        ([pair("0")], "known", "but this host made one at"),
        ([replace(pair(), database=pair().files)], "known", "its content is another"),
        ([pair(hours=-400 * 24)], "known", "in the future"),
    ],
)
def test_the_newest_backup_is_the_one_this_host_sent_or_refused(
    portal: Portal, pairs: list[Pair], identity: str, words: str
) -> None:
    with pytest.raises(BackupError, match=words) if words else contextlib.nullcontext():
        assert attempt(portal, *pairs, identity=identity)._newest().run == "1"


DUMPED = b"CREATE TABLE `course` (\n);\nCREATE TABLE `user` (\n);\n"


@pytest.mark.parametrize(
    ("dump", "sent", "words"),
    [
        (DUMPED + backups_dump.stamp("1"), "", ""),
        (DUMPED, "", "not whole, or of another run"),
        (DUMPED + backups_dump.stamp("0"), "", "not whole, or of another run"),
        (DUMPED + backups_dump.stamp("1"), "x", "its checksum is another"),
    ],
)
def test_a_dump_is_the_whole_one_that_was_sent(
    portal: Portal, tmp_path: Path, dump: bytes, sent: str, words: str
) -> None:
    made = attempt(portal, pair())
    made.sent = {"dump_sha256": sent or hashlib.sha256(dump).hexdigest()}

    def run(*arguments: str, output: IO[bytes]) -> None:
        assert arguments == ("dump", "d1", "/database.sql")
        output.write(dump)

    cast(Any, made.place).run = run
    if words:
        with pytest.raises(BackupError, match=words):
            made._fetch_dump(pair(), str(tmp_path))
    else:
        assert made._fetch_dump(pair(), str(tmp_path)) == ("course", "user")


def test_no_restore_test_begins_without_room(portal: Portal) -> None:
    made, _place = listed(portal, [{"path": "/x/film", "type": "file", "size": 1 << 60}])
    with pytest.raises(BackupError, match="make room, or set chamilo_backups_scratch"):
        made._room(pair())
    made, _place = listed(portal, [{"path": "/x/var/upload/film", "type": "file", "size": 1 << 60}])
    with pytest.raises(BackupError, match="make room"):  # a dump of that size
        made._room(pair())


def test_a_failure_is_reported_where_the_disk_is_full(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, alerts: list[tuple[str, str]]
) -> None:
    def full(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(restore_test._RestoreTest, "run", full)
    monkeypatch.setattr(files, "replace_file", full)
    with pytest.raises(OSError, match="No space"):
        restore_test.restore_test(portal)
    assert [title for title, _text in alerts] == ["The restore test of campus.test failed"]


def test_whatever_breaks_a_restore_test_is_reported(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, alerts: list[tuple[str, str]]
) -> None:
    def broken(*_arguments: Any) -> None:
        raise RecursionError

    monkeypatch.setattr(restore_test._RestoreTest, "run", broken)
    with pytest.raises(BackupError, match="RecursionError"):
        restore_test.restore_test(portal)
    assert [text for _title, text in alerts] == ["RecursionError"]


def test_what_came_back_is_given_away_and_removed_however_deep_it_is(
    portal: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deep: Callable[[Path], None]
) -> None:
    """The web user may nest directories without end."""
    (tmp_path / "scratch" / "files").mkdir(parents=True)
    deep(tmp_path / "scratch" / "files")
    (tmp_path / "scratch" / "files" / "link").symlink_to("/etc/hostname")
    (tmp_path / "scratch" / "files" / "file").touch(0o640)
    made = attempt(portal)
    monkeypatch.setattr(sandbox, "UID", os.getuid())
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    monkeypatch.setattr(sandbox, "end_all", lambda: None)
    sandbox.hand_over(str(tmp_path / "scratch"))
    here = os.stat(f"{tmp_path}/scratch/files{'/d' * 1100}")
    assert (here.st_uid, here.st_mode & 0o777) == (os.getuid(), 0o700)
    assert (tmp_path / "scratch" / "files" / "file").stat().st_mode & 0o777 == 0o640
    made.memory["scratch"] = str(tmp_path / "scratch")
    made._clear()
    assert not (tmp_path / "scratch").exists()


def test_uploads_stay_away_on_another_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "portal" / "var").mkdir(parents=True)
    (tmp_path / "portal" / "var" / "upload").symlink_to(tmp_path / "disk")
    there = Portal("campus", "campus.test", str(tmp_path / "portal"), repository="/repository")
    (tmp_path / "scratch/files").mkdir(parents=True)
    made = restore_test._RestoreTest(there, {"last": {}, "good": {}})
    ran: list[tuple[str, ...]] = []
    lost: dict[str, str] = {}
    monkeypatch.setattr(restic.Repository, "fetch", lambda _self, _id, _target, *words: ran.append(words) or lost)
    made._fetch_files(pair(), str(tmp_path / "scratch"))
    assert f"--exclude={tmp_path}/disk/*" in ran[0]
    lost["/x/d"] = "open: file name too long"
    made._fetch_files(pair(), str(tmp_path / "scratch"))
    assert made.lines == ["files whose paths are too long did not come back;"]
    lost["/x/index.php"] = "ciphertext verification failed"
    with pytest.raises(BackupError, match="cannot be read whole: /x/index.php: ciphertext verification failed"):
        made._fetch_files(pair(), str(tmp_path / "scratch"))


def test_what_is_started_does_not_go_by_what_is_in_use(portal: Portal, tmp_path: Path) -> None:
    """What came back lies over what is in use, also where a link leads to another release by now."""
    fetched = tmp_path / "files"
    for directory in (tmp_path / "releases/8", tmp_path / "shared"):
        directory.mkdir(parents=True)
        Path(f"{fetched}{directory}").mkdir(parents=True)
    Path(f"{fetched}{tmp_path}/releases/7").mkdir()
    (tmp_path / "current").symlink_to("releases/8")
    made = attempt(replace(portal, root=str(tmp_path / "current")))
    made.saved = f"{tmp_path}/releases/7"
    paths = (made.saved, f"{tmp_path}/shared", f"{tmp_path}/gone", "/etc/hostname")
    known = pair()
    assert made._places(replace(known, files=replace(known.files, paths=paths)), str(fetched)) == {
        f"{tmp_path}/releases/8": f"{fetched}{tmp_path}/releases/7",
        f"{tmp_path}/shared": f"{fetched}{tmp_path}/shared",
    }


def test_a_restore_test_does_not_end_that_of_another_portal(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def run(attempt: restore_test._RestoreTest) -> None:
        ran.append(attempt.portal.site)
        if attempt.portal.site == "campus":
            with pytest.raises(jobs.Busy, match="drill"):
                restore_test.restore_test(replace(portal, site="shop"))

    monkeypatch.setattr(restore_test, "_PATIENCE", 0)
    monkeypatch.setattr(restore_test._RestoreTest, "run", run)
    restore_test.restore_test(portal)
    restore_test.restore_test(replace(portal, site="shop"))
    assert ran == ["campus", "shop"]


class Listed:
    """A repository that only lists what is in it, and remembers how it was checked."""

    def __init__(self, nodes: list[dict[str, Any]], size: int = 0) -> None:
        self.listed = nodes
        self.size = size
        self.checked: list[str] = []

    def nodes(self, _snapshot: str) -> list[dict[str, Any]]:
        return self.listed

    def run(self, *words: str) -> tuple[str, str]:
        if words[0] == "check":
            self.checked.append(words[-1])
        return json.dumps({"total_size": self.size}), ""


def listed(portal: Portal, nodes: list[dict[str, Any]], size: int = 0) -> tuple[restore_test._RestoreTest, Listed]:
    """A restore test on such a repository, and that repository."""
    made, place = attempt(portal), Listed(nodes, size)
    made.place = cast(restic.Repository, place)
    return made, place


def test_a_large_repository_is_read_part_by_part_in_turn(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    made, place = listed(portal, [], (4 << 30) + 1)
    for _drill_number in range(4):
        made._read()
    assert place.checked == [f"--read-data-subset={part}/3" for part in (1, 2, 3, 1)]
    assert "part 1 of 3" in made.lines[-1]
    place.size = 2 << 30
    made._read()
    assert place.checked[-1] == "--read-data"


def test_a_backup_is_known_by_its_number(portal: Portal) -> None:
    """Older versions of restic name what they saved by the first digits of it."""
    made = attempt(portal, pair())
    for numbers, same in ((["d1", "f1"], True), (["d", ""], True), (["d2", "f1"], False), (["d1", "f2"], False)):
        made.sent = {"snapshots": numbers}
        with contextlib.nullcontext() if same else pytest.raises(BackupError, match="its content is another"):
            assert made._newest().run == "1"
    made.sent = {}
    assert made._newest().run == "1", "of an older version nothing is known"
