# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup is made of, and what counts as one."""

from __future__ import annotations

import datetime
import json
import os
import socket
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import (
    backup,
    dump,
    jobs,
    portal,
    restic,
    retention,
    saved_files,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import BackupError, Portal
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.proof import fingerprint
from ansible_collections.chamilo.hardening.plugins.module_utils._common import files as common_files
from ansible_collections.chamilo.hardening.plugins.module_utils._common import records
from tests.unit.plugins.module_utils._backups.conftest import made, of_campus

pytestmark = pytest.mark.usefixtures("directories")
NOTHING = saved_files.Chosen([])


def test_numbers_go_on_from_what_the_repositories_have(directories: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on a new machine, or where one could not be asked for a while."""
    there = of_campus(directories, repository="/near", offsite="/far")
    pairs = {"/near": [made("1", 4, 0)], "/far": [made("2", 7, 0)]}
    numbers: list[str] = []
    stubbed(monkeypatch, lambda _place, _run, tags: (numbers.append(tags[7]), (dump.Dumped(), "d1"))[1])
    monkeypatch.setattr(restic.Repository, "pairs", lambda self: pairs[self.url])
    memory = portal.remembered(there)
    backup._save(there, memory, NOTHING)
    assert numbers == ["number=5", "number=8"] and memory["number"] == 8
    memory["open"] = ""
    backup._save(there, memory, NOTHING)
    assert numbers[2:] == ["number=9", "number=9"]


def stubbed(monkeypatch: pytest.MonkeyPatch, saved: Any) -> None:
    """Repositories that are there, and take files; the dump is saved by ``saved``."""
    monkeypatch.setattr(restic.Repository, "prepare", lambda *_words: None)
    monkeypatch.setattr(restic.Repository, "reached", lambda *_words: None)
    monkeypatch.setattr(restic.Repository, "pairs", lambda _place: [])
    monkeypatch.setattr(backup.shutil, "disk_usage", lambda _path: SimpleNamespace(free=1 << 20))
    monkeypatch.setattr(dump, "save", saved)
    summary = {"total_files_processed": 1, "total_bytes_processed": 1, "snapshot_id": "f1"}
    monkeypatch.setattr(saved_files, "save", lambda *_words: summary)


@pytest.mark.parametrize(
    ("now", "earlier"), [("23:59:59", "23:59:58"), ("00:00:00", "00:00:00"), ("00:00:01", "00:00:00")]
)
def test_both_halves_are_of_one_day(directories: Path, monkeypatch: pytest.MonkeyPatch, now: str, earlier: str) -> None:
    """Else each would be kept or forgotten by itself, where midnight lies between them."""

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, _zone: Any = None) -> datetime.datetime:
            return datetime.datetime.fromisoformat(f"2026-11-27 {now}.9").astimezone()

    times: list[str] = []

    def saved(tags: list[str]) -> None:
        times.append(tags[tags.index("--time") + 1])

    def database(_place: Any, _run: str, tags: list[str]) -> tuple[dump.Dumped, str]:
        saved(tags)
        return dump.Dumped(), "d1"

    def files(_place: Any, tags: list[str], _chosen: Any) -> dict[str, Any]:
        saved(tags)
        return {"total_files_processed": 1, "total_bytes_processed": 1, "snapshot_id": "f1"}

    stubbed(monkeypatch, database)
    monkeypatch.setattr(saved_files, "save", files)
    monkeypatch.setattr(datetime, "datetime", Clock)
    there = of_campus(directories, repository="/repository")
    backup._save(there, portal.remembered(there), NOTHING)
    assert times == [f"2026-11-27 {earlier}", f"2026-11-27 {now}"]


def test_what_is_much_less_than_before_is_named() -> None:
    good = {"dump_bytes": 1000, "files": 100, "bytes": 1000, "tables": ["course", "user"]}
    assert backup.shrunken(good, good) == []
    assert backup.shrunken({}, good) == []
    words = " ".join(backup.shrunken(good, {**good, "dump_bytes": 400, "tables": ["user"]}))
    assert "400 bytes of database" in words and "course" in words
    for number, named in ((5, "t0, t1, t2, t3, t4."), (6, "t0, t1, t2, t3, t4 ....")):
        gone = {**good, "tables": [f"t{count}" for count in range(number)]}
        assert backup.shrunken(gone, {**good, "tables": []}) == [f"Tables are gone: {named}"]
    for name in ("dump_bytes", "files", "bytes"):
        enough = backup._SHRUNKEN * good[name]
        assert backup.shrunken(good, {**good, name: enough}) == []
        (words,) = backup.shrunken(good, {**good, name: enough - 1})
        assert words.endswith(f"were saved; it were {good[name]} before.")


@pytest.mark.parametrize(
    ("offsite", "near"),
    [
        ("rest:https://u:p@localhost:8000/x", True),
        ("rest:http://127.0.0.1:8000/", True),
        ("sftp:backup@campus.test:/x", True),
        ("sftp:backup@store.example:/x", False),
        ("sftp://backup@[::1]:22//x", True),
        ("s3:https://s3.example.org/bucket", False),
        ("s3:s3.example.org/bucket", False),
        ("sftp:backup@10.0.0.5:/x", True),
        ("rest:https://u:p@[2001:db8::5]:8000/x", True),
        ("sftp:backup@10.0.0.6:/x", False),
        ("sftp:backup@lan.school.example:/x", True),
        ("sftp:backup@nowhere.example:/x", False),
    ],
)
def test_a_repository_on_this_machine_is_not_elsewhere(
    directories: Path, monkeypatch: pytest.MonkeyPatch, offsite: str, near: bool
) -> None:
    def resolve(name: str, _port: None) -> list[Any]:
        if name == "nowhere.example":
            raise OSError("not found")
        if name[-1].isdigit():
            return [(0, 0, 0, "", (name, 0))]
        return [(0, 0, 0, "", ("10.0.0.5" if name.startswith("lan.") else "203.0.113.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(backup.host, "addresses", lambda _tree: ("10.0.0.5", "2001:db8::5"))
    assert bool(backup.nearby(of_campus(directories, offsite=offsite))) is near


def test_a_directory_on_the_same_disk_is_not_elsewhere(directories: Path) -> None:
    (directories / "chamilo").mkdir()
    assert "same disk" in backup.nearby(of_campus(directories, offsite=str(directories / "copy")))
    # For restic all but its own schemes are paths, a forgotten slash included; cron's directory is the root.
    for offsite in ("mnt/nas", "nas", "S3:bucket", f"local:{directories}/copy"):
        assert "same disk" in backup.nearby(of_campus(directories, offsite=offsite)), offsite
    for offsite in ("/proc", "local:/proc"):  # a file system of its own
        assert backup.nearby(of_campus(directories, offsite=offsite)) == "", offsite


def test_after_a_backup_that_did_not_end_all_repositories_are_unlocked_and_halves_forgotten(
    directories: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def saved(place: restic.Repository, *_words: Any) -> tuple[dump.Dumped, str]:
        raise BackupError(f"{place.url} is full.")

    stubbed(monkeypatch, saved)
    monkeypatch.setattr(restic.Repository, "unlock", lambda place: done.append(f"unlock {place.url}"))
    monkeypatch.setattr(retention, "forget_halves", lambda place: done.append(f"halves {place.url}"))
    there = of_campus(directories, repository="/near", offsite="/far")
    every = ["unlock /near", "halves /near", "unlock /far", "halves /far"]
    for before, expected in (("", []), ("1", every)):
        with pytest.raises(
            BackupError, match="^Nothing was saved in /near: /near is full. Nothing was saved in /far: /far is full.$"
        ):
            backup._save(there, {**portal.remembered(there), "number": 1, "open": before}, NOTHING)
        assert done == expected


@pytest.mark.parametrize(("full", "red"), [("/near", {"database", "files"}), ("/far", {"offsite"})])
def test_no_repository_needs_the_other(
    directories: Path,
    monkeypatch: pytest.MonkeyPatch,
    alerts: list[tuple[str, str]],
    full: str,
    red: set[str],
) -> None:
    def saved(place: restic.Repository, *_words: Any) -> tuple[dump.Dumped, str]:
        if place.url == full:
            raise BackupError(f"{full} is full.")
        return dump.Dumped(1, "x", ("user",)), "d1"

    made_up(directories, monkeypatch, saves=True)
    monkeypatch.setattr(backup, "nearby", lambda _portal: "")
    stubbed(monkeypatch, saved)
    (directories / "chamilo" / "var").mkdir(parents=True)
    there = of_campus(directories, repository="/near", offsite="/far")
    portal.remember(there, {**portal.remembered(there), "number": 1})
    with pytest.raises(backup.NeedsReview, match=f"{full} is full"):
        backup.backup(there)
    ((title, text),) = alerts
    assert title == "A copy of the backup of campus.test is missing" and f"{full} is full" in text
    noted = records.read("backups-campus.json")
    assert {name for name in ("database", "files", "offsite") if not noted[name]["ok"]} == red


def test_a_disk_that_would_be_filled_is_left_alone(directories: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The portal may be on it, too. What was changed before the last backup there needs no room."""
    stubbed(monkeypatch, lambda *_words: (dump.Dumped(), "d1"))
    there = of_campus(directories, repository="/near")
    chosen = saved_files.Chosen([], sizes=Counter({0: 2 << 20, 2: 1 << 19}))
    with pytest.raises(BackupError, match="1 MB are free there, and what was changed .* may need up to 3"):
        backup._save(there, portal.remembered(there), chosen)
    monkeypatch.setattr(restic.Repository, "pairs", lambda _place: [made("1", 4, 7000.0)])
    assert backup._save(there, {**portal.remembered(there), "open": ""}, chosen) == {}


def made_up(directories: Path, monkeypatch: pytest.MonkeyPatch, saves: bool = False) -> None:
    """Backups succeed without restic."""
    last = {"run": "1", "at": time.time(), "dump_bytes": 1, "tables": ["user"], "files": 1, "bytes": 1, "places": {}}

    def save(_portal: Portal, memory: dict[str, Any], _chosen: Any) -> dict[str, str]:
        memory["last"] = last
        return {}

    if not saves:
        monkeypatch.setattr(backup, "_save", save)
    monkeypatch.setattr(retention, "upkeep", lambda _portal, _memory, _url: [])
    (directories / "etc" / "backups-campus.key").write_text("a key")


def test_whatever_breaks_a_backup_is_reported_and_written_down(
    directories: Path, monkeypatch: pytest.MonkeyPatch, alerts: list[tuple[str, str]]
) -> None:
    (directories / "chamilo").mkdir()
    made_up(directories, monkeypatch)

    def broken(*_arguments: Any) -> None:
        raise RecursionError

    monkeypatch.setattr(backup, "_save", broken)
    with pytest.raises(BackupError, match="RecursionError"):
        backup.backup(of_campus(directories, repository="/repository"))
    assert alerts == [("No backup of campus.test was made", "RecursionError")]
    assert json.loads((directories / "state" / "backups.json").read_text())["files"]["ok"] is False


def test_an_unfinished_restore_is_reported_each_day_and_by_the_backup(
    directories: Path, monkeypatch: pytest.MonkeyPatch, alerts: list[tuple[str, str]]
) -> None:
    (directories / "chamilo" / "var").mkdir(parents=True)
    made_up(directories, monkeypatch)
    there = of_campus(directories, repository="/repository", offsite="", drills=False)
    (directories / "etc" / "backups-campus.json").write_text(json.dumps(vars(there)))
    (directories / "state" / "backups").mkdir(parents=True)
    (directories / "state" / "backups" / "campus.restoring.json").write_text(json.dumps({"phase": "changing"}))
    with pytest.raises(BackupError, match="made while a restore was not finished.* --abandon --site campus"):
        backup.backup(there)
    (line,) = jobs.late()
    assert "is not finished" in line and alerts[-1] == ("A restore of campus.test is not finished", line)
    with jobs.alone(there, "restore"):
        assert jobs.holder(there).startswith("restore (process")
        assert jobs.late() == ["Backups and restore tests are in time, and the last ones succeeded."]
    assert jobs.holder(there) == ""


def test_a_backup_that_needs_review_is_distinguished_from_one_that_failed(
    directories: Path, monkeypatch: pytest.MonkeyPatch, alerts: list[tuple[str, str]]
) -> None:
    (directories / "chamilo" / "var").mkdir(parents=True)
    made_up(directories, monkeypatch)
    there = of_campus(directories, repository="/repository", offsite="rest:http://store.example/x")

    def nobody(*_arguments: Any, **_more: Any) -> None:
        raise BackupError("store.example is not there")

    monkeypatch.setattr(retention, "upkeep", nobody)
    monkeypatch.setattr(backup, "nearby", lambda _portal: "")
    with pytest.raises(backup.NeedsReview, match="store.example is not there"):
        backup.backup(there)
    assert {title for title, _text in alerts} == {"Check the backup of campus.test"}
    # No alert can be sent, and the key is another one than that of which there is a copy.
    portal.note(there, "encrypted", True, "", salt="s", fingerprint="another")
    with pytest.raises(backup.NeedsReview, match="no longer the one of which there is a copy elsewhere"):
        backup.backup(there)
    # Much less than before: it is not known whether it would be enough.
    memory = portal.remembered(there)
    portal.remember(there, {**memory, "good": {**memory["good"], "files": 100}})
    with pytest.raises(BackupError, match="1 files were saved") as raised:
        backup.backup(there)
    assert not isinstance(raised.value, backup.NeedsReview)


@pytest.mark.parametrize(
    ("places", "sick", "enough"),
    [
        ({"repository": "/repository", "offsite": "sftp:store.example:/x"}, "sftp:store.example:/x", True),
        ({"repository": "/repository", "offsite": "sftp:store.example:/x"}, "/repository", True),
        ({"repository": "/repository"}, "/repository", False),
    ],
)
def test_a_backup_in_a_repository_that_is_not_sound_is_not_enough_to_go_back_to(
    directories: Path, monkeypatch: pytest.MonkeyPatch, places: dict[str, str], sick: str, enough: bool
) -> None:
    def upkeep(_portal: Portal, _memory: dict[str, Any], url: str) -> list[str]:
        if url == sick:
            raise BackupError("pack 1a2b does not match its name")
        return [f"{url} is in order."]

    (directories / "chamilo" / "var").mkdir(parents=True)
    made_up(directories, monkeypatch)
    monkeypatch.setattr(backup, "nearby", lambda _portal: "")
    monkeypatch.setattr(retention, "upkeep", upkeep)
    with pytest.raises(BackupError, match="does not match its name") as raised:
        backup.backup(of_campus(directories, **places))
    assert isinstance(raised.value, backup.NeedsReview) == enough


def test_a_failure_is_reported_where_the_disk_is_full(
    directories: Path, monkeypatch: pytest.MonkeyPatch, alerts: list[tuple[str, str]]
) -> None:
    def full(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    (directories / "chamilo").mkdir()
    monkeypatch.setattr(common_files, "replace_file", full)
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space"):
        backup.backup(of_campus(directories))
    assert [title for title, _text in alerts] == ["No backup of campus.test was made"]


@pytest.mark.parametrize(("ok", "changed", "reported"), [(True, True, 1), (True, False, 0), (False, True, 0)])
def test_a_key_that_is_another_than_the_one_that_was_compared_is_reported(
    directories: Path, ok: bool, changed: bool, reported: int
) -> None:
    there = of_campus(directories)
    Path(there.key_file).write_text("a key")
    portal.note(there, "encrypted", ok, "", salt="s", fingerprint=fingerprint("a key", "s"))
    if changed:
        Path(there.key_file).write_text("another")
    assert len(backup._compared_key(there)) == reported
    entry = json.loads((directories / "state/backups-campus.json").read_text())["encrypted"]
    assert entry["ok"] is (ok and not reported)
    assert (entry["salt"], entry["fingerprint"]) == ("s", fingerprint("a key", "s"))
