# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup is made of, and what counts as one."""

from __future__ import annotations

import datetime
import json
import os
import socket
from pathlib import Path
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


def test_a_machine_that_knows_no_number_counts_on_from_the_repositories(
    directories: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = of_campus(directories, repository="/near", offsite="/far")
    pairs = {"/near": [made("1", 4, 0)], "/far": [made("2", 7, 0)]}
    monkeypatch.setattr(restic.Repository, "reached", lambda _self, _memory: None)
    monkeypatch.setattr(restic.Repository, "pairs", lambda self: pairs[self.url])
    assert backup._highest(there, {}) == 7
    assert backup._highest(there, {"number": 3}) == 3
    # One that could not be asked then, and is ahead: once it is reported, then the numbers go on from there.
    monkeypatch.setattr(restic.Repository, "run", lambda _self, *_words, **_more: ("", ""))
    memory = {**portal.remembered(there), "number": 5, "last": {"run": "3"}, "repositories": {"/far": "x"}}
    pairs["/far"] = [made("3", 5, 0), made("2", 7, 0)]
    with pytest.raises(BackupError, match=r"The backup 2 in /far has a higher number \(7\) than this one \(5\)"):
        backup._offsite(there, memory, "/far")
    assert memory["number"] == 7


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

    def files(_place: Any, tags: list[str]) -> dict[str, Any]:
        saved(tags)
        return {"total_files_processed": 1, "total_bytes_processed": 1, "snapshot_id": "f1"}

    monkeypatch.setattr(restic.Repository, "prepare", lambda *_words: None)
    monkeypatch.setattr(dump, "save", database)
    monkeypatch.setattr(saved_files, "save", files)
    monkeypatch.setattr(datetime, "datetime", Clock)
    there = of_campus(directories, repository="/repository")
    backup._pair(there, portal.remembered(there), "/repository")
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

    def unlock(place: restic.Repository) -> None:
        done.append(f"unlock {place.url}")
        if place.url == "/near":
            raise BackupError("gives no answer")

    def highest(_portal: Portal, _memory: dict[str, Any]) -> int:
        raise BackupError("no further")

    monkeypatch.setattr(restic.Repository, "prepare", lambda *_words: None)
    monkeypatch.setattr(restic.Repository, "unlock", unlock)
    monkeypatch.setattr(retention, "forget_halves", lambda place: done.append(f"halves {place.url}"))
    monkeypatch.setattr(backup, "_highest", highest)
    there = of_campus(directories, repository="/near", offsite="/far")
    for before, expected in (("", []), ("1", ["unlock /near", "unlock /far", "halves /near"])):
        with pytest.raises(BackupError, match="no further"):
            backup._pair(there, {**portal.remembered(there), "open": before}, "/near")
        assert done == expected


def made_up(directories: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Backups succeed without restic. The result: the alerts, as title and text."""
    reported: list[tuple[str, str]] = []
    last = {"run": "1", "dump_bytes": 1, "tables": ["user"], "files": 1, "bytes": 1}
    monkeypatch.setattr(jobs, "notify", lambda _portal, title, text, again=False: reported.append((title, text)))
    monkeypatch.setattr(backup, "_pair", lambda _portal, memory, _url: memory.update(last=last) or last)
    monkeypatch.setattr(retention, "upkeep", lambda _portal, _memory, _url: [])
    (directories / "etc" / "backups-campus.key").write_text("a key")
    return reported


def test_whatever_breaks_a_backup_is_reported_and_written_down(
    directories: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directories / "chamilo").mkdir()
    reported = made_up(directories, monkeypatch)

    def broken(*_arguments: Any) -> None:
        raise RecursionError

    monkeypatch.setattr(backup, "_pair", broken)
    with pytest.raises(BackupError, match="RecursionError"):
        backup.backup(of_campus(directories, repository="/repository"))
    assert reported == [("The backup failed", "RecursionError")]
    assert json.loads((directories / "state" / "backups.json").read_text())["files"]["ok"] is False


@pytest.mark.parametrize("far", [True, False])
def test_what_fails_on_this_host_is_made_elsewhere(
    directories: Path, monkeypatch: pytest.MonkeyPatch, far: bool
) -> None:
    (directories / "chamilo").mkdir()
    reported = made_up(directories, monkeypatch)
    last = {"run": "1", "dump_bytes": 1, "tables": ["user"], "files": 1, "bytes": 1}

    def pair(_portal: Portal, memory: dict[str, Any], url: str) -> dict[str, Any]:
        if url == "/repository" or not far:
            raise BackupError(f"{url} is full.")
        memory["last"] = last
        return last

    monkeypatch.setattr(backup, "_pair", pair)
    monkeypatch.setattr(backup, "_offsite", lambda *_words: ["A copy is in /far."])
    there = of_campus(directories, repository="/repository", offsite="/far")
    with pytest.raises(BackupError) as raised:
        backup.backup(there)
    assert isinstance(raised.value, backup.NeedsReview) is far
    both = "This backup is in /far alone: /repository is full." if far else "/repository is full. /far is full."
    assert str(raised.value) == both and reported == [("Check the backup" if far else "The backup failed", both)]
    entry = json.loads((directories / "state" / "backups.json").read_text())["database"]
    assert not entry["ok"] and both in entry["detail"]


def test_an_unfinished_restore_is_reported_each_day_and_by_the_backup(
    directories: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directories / "chamilo" / "var").mkdir(parents=True)
    reported = made_up(directories, monkeypatch)
    there = of_campus(directories, repository="/repository", offsite="", drills=False)
    (directories / "etc" / "backups-campus.json").write_text(json.dumps(vars(there)))
    (directories / "state" / "backups").mkdir(parents=True)
    (directories / "state" / "backups" / "campus.restoring.json").write_text(json.dumps({"phase": "changing"}))
    with pytest.raises(BackupError, match="made while a restore was not finished.* --abandon --site campus"):
        backup.backup(there)
    (line,) = jobs.late()
    assert "is not finished" in line and reported[-1] == ("A restore is not finished", line)
    with jobs.alone(there, "restore"):
        assert jobs.holder(there).startswith("restore (process")
        assert jobs.late() == ["Backups and restore tests are in time, and the last ones succeeded."]
    assert jobs.holder(there) == ""


def test_a_backup_that_needs_review_is_distinguished_from_one_that_failed(
    directories: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directories / "chamilo" / "var").mkdir(parents=True)
    reported = made_up(directories, monkeypatch)
    there = of_campus(directories, repository="/repository", offsite="rest:http://store.example/x")

    def nobody(*_arguments: Any, **_more: Any) -> None:
        raise BackupError("store.example is not there")

    monkeypatch.setattr(restic.Repository, "prepare", nobody)
    with pytest.raises(backup.NeedsReview, match="store.example is not there"):
        backup.backup(there)
    assert reported == [("Check the backup", "store.example is not there")]
    # No alert can be sent, and the key is another one than that of which there is a copy.
    portal.note(there, "encrypted", True, "", salt="s", fingerprint="another")
    monkeypatch.setattr(jobs, "notify", nobody)
    with pytest.raises(backup.NeedsReview):
        backup.backup(there)
    made_up(directories, monkeypatch)
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
        ({"repository": "/repository", "offsite": "sftp:store.example:/x"}, "/repository", False),
        ({"offsite": "sftp:store.example:/x"}, "sftp:store.example:/x", False),
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
    monkeypatch.setattr(backup, "_offsite", lambda *_words: [])
    monkeypatch.setattr(retention, "upkeep", upkeep)
    with pytest.raises(BackupError, match="does not match its name") as raised:
        backup.backup(of_campus(directories, **places))
    assert isinstance(raised.value, backup.NeedsReview) == enough


def test_a_failure_is_reported_where_the_disk_is_full(directories: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    reported: list[str] = []
    (directories / "chamilo").mkdir()
    monkeypatch.setattr(jobs, "notify", lambda _portal, title, _text: reported.append(title))
    monkeypatch.setattr(common_files, "replace_file", full)
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space"):
        backup.backup(of_campus(directories))
    assert reported == ["The backup failed"]


@pytest.mark.parametrize(("ok", "changed", "reported"), [(True, True, 1), (True, False, 0), (False, True, 0)])
def test_a_key_that_is_another_than_the_one_that_was_compared_is_reported(
    directories: Path, monkeypatch: pytest.MonkeyPatch, ok: bool, changed: bool, reported: int
) -> None:
    there = of_campus(directories)
    words: list[str] = []
    monkeypatch.setattr(jobs, "notify", lambda _portal, title, _text: words.append(title))
    Path(there.key_file).write_text("a key")
    portal.note(there, "encrypted", ok, "", salt="s", fingerprint=fingerprint("a key", "s"))
    if changed:
        Path(there.key_file).write_text("another")
    backup._compare_key(there)
    assert words == ["The key of the backups has changed"] * reported
    entry = json.loads((directories / "state/backups-campus.json").read_text())["encrypted"]
    assert entry["ok"] is (ok and not reported)
    assert (entry["salt"], entry["fingerprint"]) == ("s", fingerprint("a key", "s"))


class Elsewhere(restic.Repository):
    """``runs``: what it has after a copy."""

    runs: tuple[tuple[str, int], ...] = ()
    done: list[str] = []

    def prepare(self, memory: dict[str, Any], source: restic.Repository | None = None) -> None:
        self.done.append(f"prepare like {source.url if source else None}")

    def reached(self, memory: Any) -> None:
        self.done.append("reached")

    def run(self, *arguments: str, source: restic.Repository | None = None, **_more: Any) -> tuple[str, str]:
        self.done.append(f"{' '.join(arguments)} of {source.url if source else None}")
        return "", ""

    def pairs(self) -> list[restic.Pair]:
        return [made(run, number, 0) for run, number in self.runs]


COPY = ["prepare like /near", "reached", "copy --quiet --host campus --tag chamilo-hardening of /near"]


@pytest.mark.parametrize(
    ("near", "runs", "beside", "ok", "words"),
    [
        ("/near", (("6", 6), ("7", 7)), "", True, "In /far."),
        ("", (("7", 7),), "", True, "In /far."),
        ("/near", (("7", 7),), "It is the same disk.", False, "It is the same disk."),
        ("/near", (("6", 6),), "", False, "/far does not show what was just sent there."),
        ("/near", (("7", 7), ("9", 9)), "", False, "The backup 9 in /far has a higher number (9) than this one (7)"),
    ],
)
def test_a_backup_goes_elsewhere_and_is_seen_there(
    directories: Path,
    monkeypatch: pytest.MonkeyPatch,
    near: str,
    runs: tuple[tuple[str, int], ...],
    beside: str,
    ok: bool,
    words: str,
) -> None:
    monkeypatch.setattr(backup, "Repository", Elsewhere)
    monkeypatch.setattr(backup, "nearby", lambda _portal: beside)
    monkeypatch.setattr(Elsewhere, "runs", runs)
    monkeypatch.setattr(Elsewhere, "done", [])
    there = of_campus(directories, repository=near, offsite="/far")
    memory: dict[str, Any] = {"last": {"run": "7"}, "number": 7}
    if ok or beside:
        assert backup._offsite(there, memory, "/far") == [beside or "A copy is in /far."]
        assert memory["last"] == {"run": "7", "offsite": "/far", "trees": ["tree", "tree"]}
    else:
        with pytest.raises(BackupError) as raised:
            backup._offsite(there, memory, "/far")
        assert str(raised.value).startswith(words)
    assert memory["number"] == (9 if "higher number" in words else 7)
    assert Elsewhere.done == (COPY if near else [])
    noted = records.read("backups-campus.json")["offsite"]
    assert (noted["ok"], noted["detail"].startswith(words)) == (ok, True)
    assert noted.get("run") == ("7" if ok else None)
