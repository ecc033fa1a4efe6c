# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repositories of restic, and which of their snapshots count as a backup."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import portal, restic
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import BackupError, Portal
from tests.unit.plugins.module_utils._backups.conftest import of_campus

pytestmark = pytest.mark.usefixtures("directories")


def snapshot(run: str, paths: list[str], name: str) -> dict[str, Any]:
    at = "2026-11-25T12:00:00.123456789+01:00"
    return {"id": name, "tree": f"t-{name}", "time": at, "paths": paths, "tags": ["chamilo-hardening", f"run={run}"]}


def test_the_last_run_is_the_newest_backup_whatever_a_clock_reported() -> None:
    """One is dated 400 days ahead, one is from before runs were numbered, one was numbered by another program."""
    dates = {"1": "2026-11-24", "2": "2027-12-30", "3": "2026-11-26", "4": "2026-11-27", "x": "2028-01-01"}
    numbers = {"2": "number=2", "3": "number=3", "4": "number=10", "x": "number=1e99"}
    entries = []
    for run, date in dates.items():
        for half in ([restic.DUMP], ["/var/www/chamilo"]):
            entry = snapshot(run, half, f"{run}{len(half[0])}")
            entries.append({**entry, "time": f"{date}T03:00:00Z", "tags": [*entry["tags"], numbers.get(run, "also")]})
    assert [pair.run for pair in restic.paired(entries)] == ["1", "x", "2", "3", "4"]


def test_another_repository_at_a_known_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    place = restic.Repository(Portal("campus", "campus.test", "/srv/campus"), "/repository")
    monkeypatch.setattr(place, "identity", lambda: "x1")
    for known in ({}, {"/repository": "x1"}):
        place.reached({"repositories": known})
    with pytest.raises(BackupError, match="^/repository is another repository than the one this host sent its"):
        place.reached({"repositories": {"/repository": "x2"}})


def test_only_a_run_with_both_halves_is_a_backup() -> None:
    entries = [
        snapshot("1", [restic.DUMP], "d1"),
        snapshot("1", ["/var/www/chamilo"], "f1"),
        snapshot("2", [restic.DUMP], "d2"),
        {**snapshot("3", ["/"], "x"), "tags": None},
    ]
    pairs = restic.paired(entries)
    assert [(pair.run, pair.database.id, pair.files.id) for pair in pairs] == [("1", "d1", "f1")]
    assert pairs[0].at == 1795604400


@pytest.mark.parametrize("password", ["se/cret", "se%cret", "se?cret", "se#cret"])
def test_an_address_that_cannot_be_read_shows_no_password(directories: Path, password: str) -> None:
    url = f"rest:https://campus:{password}@store.example/x"
    complaint = (
        f'Fatal: parsing repository location failed: parse "{url[5:]}/": invalid port ":{password[:2]}" after host'
    )
    words = str(restic.Repository(of_campus(directories), url).failed("cat", 1, complaint))
    assert "se" not in words.replace("rest:https://store.example/x", "") and "%2F" in words


TOO_LONG = "open /staging/chamilo/var/d\nd: file name too long"
LONG = f"ignoring error for /chamilo/var/d\nd: {TOO_LONG}\n"


@pytest.mark.parametrize(
    ("complaint", "unread"),
    [
        ("", {}),
        (f"{LONG}{LONG}Fatal: There were 2 errors", {"/chamilo/var/d\nd": TOO_LONG}),
        (
            f"Load(<data/d6>) failed: x\n{LONG}ignoring error for /chamilo/var/e: read: x\nFatal: There were 2 errors",
            {"/chamilo/var/d\nd": TOO_LONG, "/chamilo/var/e": "read: x"},
        ),
        (
            '{"message_type":"error","error":{"message":"verification failed"},"during":"restore","item":"/a: b"}\n'
            'Load(<data/d6>) failed: x\n{"message_type":"exit_error","message":"Fatal: There were 1 errors\\n"}',
            {"/a: b": "verification failed"},
        ),
        (f"{LONG}Fatal: There were 2 errors", None),
        (f"{LONG}Fatal: wrong password or no key found", None),
        (f"{LONG}Fatal: There were 1 errors\nsignal: killed", None),
        ("Fatal: There were 0 errors", None),
    ],
)
def test_what_cannot_be_read_is_named_and_all_else_comes_back(
    directories: Path, monkeypatch: pytest.MonkeyPatch, complaint: str, unread: dict[str, str] | None
) -> None:
    (directories / "restic").write_text(f"#!/bin/sh\ncat {directories}/complaint >&2\nexit {int(bool(complaint))}\n")
    (directories / "restic").chmod(0o755)
    (directories / "complaint").write_text(complaint)
    monkeypatch.setattr(restic, "PATH", f"{directories}:{restic.PATH}")
    monkeypatch.setattr(restic, "CACHE", str(directories / "cache"))
    place = restic.Repository(of_campus(directories), "/repository")
    if unread is None:
        with pytest.raises(BackupError, match="restic restore on /repository failed"):
            place.fetch("id", "/staging")
    else:
        assert place.fetch("id", "/staging") == unread


def test_what_restic_needs_to_get_in_is_in_its_environment(directories: Path) -> None:
    there = of_campus(directories)
    place = restic.Repository(there, "/repository")
    Path(there.credentials_file).write_text("AWS_SECRET_ACCESS_KEY=a=b\n\nREST=x\n# no value\n")
    assert place.environment() == {
        **restic.environment(),
        "AWS_SECRET_ACCESS_KEY": "a=b",
        "REST": "x",
        "RESTIC_REPOSITORY": "/repository",
        "RESTIC_PASSWORD_FILE": there.key_file,
        "RESTIC_CACHE_DIR": restic.CACHE,
        "RESTIC_PROGRESS_FPS": "0.01",
    }
    Path(there.credentials_file).unlink()
    assert "REST" not in place.environment()


class New(restic.Repository):
    """Not there until it is made; ``refusal``: why not."""

    def __init__(self, there: Portal, url: str, refusal: str = "", made: bool = False) -> None:
        super().__init__(there, url)
        self.refusal, self.made = refusal, made
        self.asked: list[tuple[str, ...]] = []

    def identity(self) -> str:
        if not self.made:
            raise BackupError(self.refusal or "There is no repository.")
        return "x1"

    def run(self, *arguments: str, **_more: Any) -> tuple[str, str]:
        self.asked.append(arguments)
        if self.refusal:
            raise BackupError("Nothing was made.")
        self.made = True
        return "", ""


def test_a_repository_is_made_where_none_is_and_then_known(directories: Path) -> None:
    there = of_campus(directories)
    Path(portal.journal_path(there)).parent.mkdir(parents=True)
    for url, made, asked in ((f"{directories}/a/b", False, [("init",)]), ("rest:http://store/x", True, [])):
        place, memory = New(there, url, made=made), {"repositories": {}}
        for _time in range(2):
            place.prepare(memory)
        assert memory == {"repositories": {place.shown: "x1"}} and place.asked == asked
        if asked:
            assert Path(url).stat().st_mode & 0o777 == 0o700
        gone = New(there, url)
        gone.prepare(memory)
        assert gone.asked == [], "one that was there before is never made anew"


def test_a_repository_that_cannot_be_made_is_reported_with_why(directories: Path) -> None:
    there = of_campus(directories)
    memory: dict[str, Any] = {"repositories": {}}
    place = New(there, "rest:http://store/x", "No answer.")
    with pytest.raises(BackupError, match="^No answer. Nothing was made.$"):
        place.prepare(memory)
    locked = New(there, "rest:http://store/x", "Fatal: wrong password or no key found")
    with pytest.raises(BackupError, match="^Fatal: wrong password"):
        locked.prepare(memory)
    assert locked.asked == [] and memory == {"repositories": {}}


@pytest.fixture
def place(directories: Path, monkeypatch: pytest.MonkeyPatch) -> restic.Repository:
    """Of a restic that is a shell script, which a test writes."""
    monkeypatch.setattr(restic, "program", lambda: str(directories / "restic"))
    monkeypatch.setattr(restic, "CACHE", str(directories / "cache"))
    monkeypatch.setattr(restic, "GENTLE", ())
    return restic.Repository(of_campus(directories), "rest:https://me:secret@store.example/x")


def speaks(directories: Path, text: str) -> None:
    (directories / "restic").write_text(f"#!/bin/sh\n{text}\n")
    (directories / "restic").chmod(0o755)


def test_a_repository_that_gives_no_answer_is_not_waited_for(
    place: restic.Repository, directories: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restic, "_PATIENCE", 0.05)
    speaks(directories, "exec sleep 60")
    words = r"^rest:https://store\.example/x gave no answer to restic cat in 0\.05 seconds\.$"
    with pytest.raises(BackupError, match=words):
        place.identity()
