# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup is made of, and what counts as one."""

from __future__ import annotations

import contextlib
import datetime
import gzip
import json
import lzma
import os
import resource
import struct
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import backup as backups_backup
from ansible_collections.chamilo.hardening.plugins.module_utils._backups import dumps as backups_dumps
from ansible_collections.chamilo.hardening.plugins.module_utils._backups import portal as backups_portal
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.backup import Reading
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import BackupError, Portal
from ansible_collections.chamilo.hardening.plugins.module_utils._common import alert
from ansible_collections.chamilo.hardening.plugins.module_utils._common import files as common_files

DUMP = b"""/*M!999999\\- enable the sandbox mode */
-- MariaDB dump 10.19-11.8.3-MariaDB, for debian-linux-gnu (x86_64)
DROP TABLE IF EXISTS `course`;
CREATE TABLE `course` (
  `id` int(11) NOT NULL
);
INSERT INTO `course` VALUES (1,'a\\nCREATE TABLE `no` (');
CREATE TABLE `user` (
  `id` int(11) NOT NULL
);
-- Dump completed
"""


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(backups_portal, "CONFIGURATION", str(tmp_path / "etc"))
    monkeypatch.setattr(common_files, "STATE", str(tmp_path / "state"))
    (tmp_path / "etc").mkdir()
    return tmp_path


def portal(folder: Path, **more: Any) -> Portal:
    return Portal("campus", "campus.test", str(folder / "chamilo"), **more)


@pytest.mark.parametrize("size", [1, 7, 100, 10000])
def test_the_tables_of_a_dump_are_seen_however_it_is_cut_into_parts(size: int) -> None:
    reading = Reading()
    for start in range(0, len(DUMP), size):
        reading.take(DUMP[start : start + size])
    assert reading.done().tables == ("course", "user")
    assert reading.done().size == len(DUMP)
    assert reading.ended


@pytest.mark.parametrize("missing", [1, 5, 17, 100])
def test_a_dump_without_its_last_line_has_not_ended(missing: int) -> None:
    reading = Reading()
    reading.take(DUMP[:-missing])
    assert reading.ended is (missing == 1)  # only the last end of line is missing


def snapshot(run: str, paths: list[str], name: str) -> dict[str, Any]:
    at = "2026-11-25T12:00:00.123456789+01:00"
    return {"id": name, "tree": f"t-{name}", "time": at, "paths": paths, "tags": ["chamilo-hardening", f"run={run}"]}


def made(run: str, number: int, at: float) -> backups_backup.Pair:
    half = backups_backup.Snapshot(f"s{run}", "tree", at, run, (), number)
    return backups_backup.Pair(run, half, half)


def test_the_last_run_is_the_newest_backup_whatever_a_clock_said() -> None:
    """One is dated 400 days ahead, one is from before runs were numbered, one was numbered by somebody else."""
    dates = {"1": "2026-11-24", "2": "2027-12-30", "3": "2026-11-26", "4": "2026-11-27", "x": "2028-01-01"}
    numbers = {"2": "number=2", "3": "number=3", "4": "number=10", "x": "number=1e99"}
    entries = []
    for run, date in dates.items():
        for half in ([backups_backup.DUMP], ["/var/www/chamilo"]):
            entry = snapshot(run, half, f"{run}{len(half[0])}")
            entries.append({**entry, "time": f"{date}T03:00:00Z", "tags": [*entry["tags"], numbers.get(run, "also")]})
    assert [pair.run for pair in backups_backup.paired(entries)] == ["1", "x", "2", "3", "4"]


DAY = 86400.0


def test_what_is_dated_ahead_takes_no_place_of_what_is_kept(folders: Path) -> None:
    """For ten nights the clock was 400 days ahead; restic's own forget would remove each backup made since."""
    there = portal(folders, keep_daily=3, keep_weekly=0, keep_monthly=0)
    now = time.time()
    ahead = [made(f"a{number}", number, now + (400 + number) * DAY) for number in range(10)]
    since = [made(f"b{number}", 10 + number, now - (10 - number) * DAY) for number in range(10)]
    gone = [pair.run for pair in backups_backup.outdated(there, [*ahead, *since])]
    assert sorted(gone) == [f"b{number}" for number in range(7)]
    place = backups_backup.Repository(there, "/repository")
    (line,) = backups_backup.dated_ahead(place, [*ahead, *since])
    assert line == (
        "Backups in /repository are dated in the future: a0, a1, a2, a3, a4 and 5 more. The clock was wrong."
    )


def test_days_weeks_and_months_are_kept_as_restic_does(folders: Path) -> None:
    there = portal(folders, keep_daily=2, keep_weekly=2, keep_monthly=2)
    begin = datetime.datetime(2026, 3, 31, 3).timestamp()  # a Tuesday
    every = [made(f"{number}", number, begin - (60 - number) * DAY) for number in range(61)]
    gone = {pair.run for pair in backups_backup.outdated(there, every)}
    # 30 and 31 March; Sunday before, 29 March; February's last.
    assert {pair.run for pair in every} - gone == {"60", "59", "58", "29"}
    assert backups_backup.outdated(there, every[:2]) == []


def test_a_machine_that_knows_no_number_counts_on_from_the_repositories(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = portal(folders, repository="/near", offsite="/far")
    pairs = {"/near": [made("1", 4, 0)], "/far": [made("2", 7, 0)]}
    monkeypatch.setattr(backups_backup.Repository, "reached", lambda _self, _memory: None)
    monkeypatch.setattr(backups_backup.Repository, "pairs", lambda self: pairs[self.url])
    assert backups_backup._highest(there, {}) == 7
    assert backups_backup._highest(there, {"number": 3}) == 3
    # One that could not be asked then, and is ahead: once it is reported, then the numbers go on from there.
    monkeypatch.setattr(backups_backup.Repository, "run", lambda _self, *_words, **_more: ("", ""))
    memory = {**backups_portal.remembered(there), "number": 5, "last": {"run": "3"}, "repositories": {"/far": "x"}}
    pairs["/far"] = [made("3", 5, 0), made("2", 7, 0)]
    with pytest.raises(BackupError, match=r"The backup 2 in /far has a higher number \(7\) than this one \(5\)"):
        backups_backup._offsite(there, memory, "/far")
    assert memory["number"] == 7


@pytest.mark.parametrize(
    ("paths", "root"),
    [
        ((), "/www/releases/8"),
        (("/www/releases/7",), "/www/releases/7"),
        (("/srv/data", "/www/releases/8"), "/www/releases/8"),
        (("/srv/data", "/www/releases/7"), "/www/releases/7"),
    ],
)
def test_where_the_portal_was_is_found_in_the_snapshot(
    folders: Path, monkeypatch: pytest.MonkeyPatch, paths: tuple[str, ...], root: str
) -> None:
    """A link to its folder may lead to a newer release by now."""
    there = Portal("campus", "campus.test", "/www/releases/8")
    listed = ["/srv/data/var", "/www/releases/7/bin/console", "/www/releases/7/var", "/www/releases/7/x/bin/console"]
    place = backups_backup.Repository(there, "/repository")
    monkeypatch.setattr(place, "nodes", lambda _id: [{"path": path} for path in listed])
    saved = backups_backup.Snapshot("f1", "tree", 0, "run", (*paths, backups_portal.path_of("campus")))
    assert backups_backup.saved_root(there, place, saved) == root


def test_where_the_portal_was_is_not_guessed(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = Portal("campus", "campus.test", "/www/releases/8")
    place = backups_backup.Repository(there, "/repository")
    monkeypatch.setattr(place, "nodes", lambda _id: [{"path": "/srv/data/var"}])
    with pytest.raises(BackupError, match="Which of these in snapshot f1.*: /srv/data, /www/releases/7"):
        backups_backup.saved_root(
            there, place, backups_backup.Snapshot("f1", "tree", 0, "run", ("/srv/data", "/www/releases/7"))
        )


def test_only_a_run_with_both_halves_is_a_backup() -> None:
    entries = [
        snapshot("1", [backups_backup.DUMP], "d1"),
        snapshot("1", ["/var/www/chamilo"], "f1"),
        snapshot("2", [backups_backup.DUMP], "d2"),
        {**snapshot("3", ["/"], "x"), "tags": None},
    ]
    pairs = backups_backup.paired(entries)
    assert [(pair.run, pair.database.id, pair.files.id) for pair in pairs] == [("1", "d1", "f1")]
    assert pairs[0].at == 1795604400


@pytest.mark.parametrize(
    ("now", "earlier"), [("23:59:59", "23:59:58"), ("00:00:00", "00:00:00"), ("00:00:01", "00:00:00")]
)
def test_both_halves_are_of_one_day(folders: Path, monkeypatch: pytest.MonkeyPatch, now: str, earlier: str) -> None:
    """Else each would be kept or forgotten by itself, where midnight lies between them."""

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, _zone: Any = None) -> datetime.datetime:
            return datetime.datetime.fromisoformat(f"2026-11-27 {now}.9").astimezone()

    times: list[str] = []

    def saved(tags: list[str]) -> None:
        times.append(tags[tags.index("--time") + 1])

    def database(_place: Any, _run: str, tags: list[str]) -> tuple[backups_backup.Dumped, str]:
        saved(tags)
        return backups_backup.Dumped(), "d1"

    def files(_place: Any, tags: list[str]) -> dict[str, Any]:
        saved(tags)
        return {"total_files_processed": 1, "total_bytes_processed": 1, "snapshot_id": "f1"}

    monkeypatch.setattr(backups_backup.Repository, "prepare", lambda *_words: None)
    monkeypatch.setattr(backups_backup, "_save_database", database)
    monkeypatch.setattr(backups_backup, "_save_files", files)
    monkeypatch.setattr(backups_backup.datetime, "datetime", Clock)
    there = portal(folders, repository="/repository")
    backups_backup._pair(there, backups_portal.remembered(there))
    assert times == [f"2026-11-27 {earlier}", f"2026-11-27 {now}"]


def test_what_is_much_less_than_before_is_named() -> None:
    good = {"dump_bytes": 1000, "files": 100, "bytes": 1000, "tables": ["course", "user"]}
    assert backups_backup.shrunken(good, good) == []
    assert backups_backup.shrunken({}, good) == []
    words = " ".join(backups_backup.shrunken(good, {**good, "dump_bytes": 400, "tables": ["user"]}))
    assert "400 bytes of database" in words and "course" in words


def test_a_repository_is_shown_without_its_password() -> None:
    assert backups_backup.shown("rest:https://campus:secret@store.example/x") == "rest:https://store.example/x"
    assert backups_backup.shown("rest:https://campus:se@cret@store.example/x@y") == "rest:https://store.example/x@y"
    assert backups_backup.shown("rest:https://campus:se/cr@et@store.example/x") == "rest:https://store.example/x"
    for plain in ("rest:https://store.example:8000/x@y", "rest:https://[2001:db8::5]:8000/x@y", "sftp:me@there:/x"):
        assert backups_backup.shown(plain) == plain


@pytest.mark.parametrize("password", ["se/cret", "se%cret", "se?cret", "se#cret"])
def test_an_address_that_cannot_be_read_shows_no_password(folders: Path, password: str) -> None:
    url = f"rest:https://campus:{password}@store.example/x"
    complaint = (
        f'Fatal: parsing repository location failed: parse "{url[5:]}/": invalid port ":{password[:2]}" after host'
    )
    words = str(backups_backup.Repository(portal(folders), url).failed("cat", 1, complaint))
    assert "se" not in words.replace("rest:https://store.example/x", "") and "%2F" in words


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
    folders: Path, monkeypatch: pytest.MonkeyPatch, offsite: str, near: bool
) -> None:
    def resolve(name: str, _port: None) -> list[Any]:
        if name == "nowhere.example":
            raise OSError("not found")
        if name[-1].isdigit():
            return [(0, 0, 0, "", (name, 0))]
        return [(0, 0, 0, "", ("10.0.0.5" if name.startswith("lan.") else "203.0.113.1", 0))]

    monkeypatch.setattr(backups_backup.socket, "getaddrinfo", resolve)
    monkeypatch.setattr(backups_backup.portal_host, "addresses", lambda _tree: ("10.0.0.5", "2001:db8::5"))
    assert bool(backups_backup.nearby(portal(folders, offsite=offsite))) is near


def test_a_folder_on_the_same_disk_is_not_elsewhere(folders: Path) -> None:
    (folders / "chamilo").mkdir()
    assert "same disk" in backups_backup.nearby(portal(folders, offsite=str(folders / "copy")))
    # For restic all but its own schemes are paths, a forgotten slash included; cron's directory is the root.
    for offsite in ("mnt/nas", "nas", "S3:bucket", f"local:{folders}/copy"):
        assert "same disk" in backups_backup.nearby(portal(folders, offsite=offsite)), offsite


def test_what_links_lead_to_is_saved_too(folders: Path) -> None:
    shared = folders / "shared"
    (folders / "chamilo" / "public").mkdir(parents=True)
    (shared / "var").mkdir(parents=True)
    (folders / "chamilo" / "var").symlink_to(shared / "var")
    (folders / "chamilo" / "public" / "here").symlink_to(folders / "chamilo")
    (folders / "chamilo" / "broken").symlink_to("/nothing-here")
    assert backups_backup.contents(portal(folders)) == [str(folders / "chamilo"), str(shared / "var")]


def test_links_are_found_however_deep_they_lie(folders: Path) -> None:
    """Uploads on a bigger disk, keys that all releases share, and what these lead to in turn."""
    root, disk, shared = folders / "chamilo", folders / "disk", folders / "shared"
    for folder in (root / "var/upload", root / "config", disk / "resource/1", disk / "old", shared / "jwt"):
        folder.mkdir(parents=True)
    (shared / "logo.svg").write_text("<svg/>")
    (root / "var/upload/resource").symlink_to(disk / "resource")
    (disk / "resource/1/2019").symlink_to("../../old")
    (root / "config/jwt").symlink_to(shared / "jwt")
    (shared / "jwt/logo.svg").symlink_to(shared / "logo.svg")
    assert backups_backup.contents(portal(folders)) == sorted(
        map(str, (root, disk / "resource", disk / "old", shared / "jwt", shared / "logo.svg"))
    )


def test_links_to_what_holds_no_data_are_none_of_the_backups(folders: Path) -> None:
    """As a log to the terminal, which is another one in each run."""
    log = folders / "chamilo" / "var" / "log"
    log.mkdir(parents=True)
    os.mkfifo(folders / "queue")
    (log / "prod.log").symlink_to(folders / "queue")
    (log / "dev.log").symlink_to("/dev/null")
    assert backups_backup.contents(portal(folders)) == [str(folders / "chamilo")]


def test_the_walk_for_links_has_an_end(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links to folders above and to each other: each folder is listed once."""
    one, two = folders / "disk" / "one", folders / "disk" / "two"
    (folders / "chamilo" / "var").mkdir(parents=True)
    for here, there in ((one, two), (two, one)):
        here.mkdir(parents=True)
        (here / "other").symlink_to(there)
        (here / "above").symlink_to(folders)
    (folders / "chamilo" / "var" / "upload").symlink_to(one)
    listed: list[str] = []
    scandir = os.scandir

    def listing(handle: int) -> Any:
        listed.append(os.readlink(f"/proc/self/fd/{handle}"))
        return scandir(handle)

    monkeypatch.setattr(backups_backup.os, "scandir", listing)
    # What lies in a folder that is saved is not named once more: the paths of a snapshot tell which came before it.
    assert backups_backup.contents(portal(folders)) == [str(folders), str(folders / "chamilo")]
    assert str(two) in listed and len(listed) == len(set(listed))


@pytest.mark.parametrize("made", ["var/cache", "vendor", "node_modules", ".git"])
def test_no_links_are_looked_for_in_what_is_made_anew(folders: Path, made: str) -> None:
    (folders / "chamilo" / made).mkdir(parents=True)
    (folders / "data").mkdir()
    (folders / "chamilo" / made / "data").symlink_to(folders / "data")
    assert backups_backup.contents(portal(folders)) == [str(folders / "chamilo")]


def test_a_folder_that_becomes_a_link_during_the_walk_is_not_followed(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The web user may exchange its own. Links in what is there now are none of the portal's."""
    upload, host = folders / "chamilo" / "var" / "upload", folders / "host"
    for folder in (upload / "a", host / "a", folders / "secret"):
        folder.mkdir(parents=True)
    (host / "a" / "link").symlink_to(folders / "secret")
    opened = os.open

    def exchanged(path: Any, flags: int, *mode: int, **more: Any) -> int:
        if path == str(upload / "a"):
            upload.rename(folders / "aside")
            upload.symlink_to(host)
        return opened(path, flags, *mode, **more)

    monkeypatch.setattr(backups_backup.os, "open", exchanged)
    assert backups_backup.contents(portal(folders)) == [str(folders / "chamilo")]
    assert upload.is_symlink()


def test_folders_too_deep_to_be_named_end_no_backup(folders: Path) -> None:
    """The web user may lay such ones."""
    (folders / "chamilo").mkdir()
    here = os.open(folders / "chamilo", os.O_DIRECTORY)
    for _level in range(30):
        os.mkdir("x" * 200, dir_fd=here)
        below = os.open("x" * 200, os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    assert backups_backup.contents(portal(folders)) == [str(folders / "chamilo")]


def test_the_web_user_cannot_have_the_whole_host_saved(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    web = os.geteuid() or 12345
    monkeypatch.setattr(backups_backup.pwd, "getpwnam", lambda _name: SimpleNamespace(pw_uid=web, pw_gid=web))
    var = folders / "chamilo" / "var"
    var.mkdir(parents=True)
    (folders / "data").mkdir()
    (var / "upload").symlink_to(folders / "data")
    (var / "x\n").symlink_to("/proc")
    for path in (folders / "data", var / "upload", var / "x\n"):
        os.chown(path, web, -1, follow_symlinks=False)
    assert backups_backup.contents(portal(folders)) == [str(folders / "chamilo"), str(folders / "data")]
    (line,) = backups_backup.strange_links(portal(folders))
    assert r"var/x\n is not followed" in line


@pytest.mark.parametrize(
    ("link", "target", "followed"),
    [
        # Root's own link in a directory of the web user's: it may have moved it there.
        ("var/upload/x", "/etc", False),
        ("var/upload/x", "/root", False),
        ("var/upload/x", "/", False),
        ("var/upload/x", "{folders}/roots", False),
        ("var/upload/x", "{folders}/webs", True),
        ("var/upload/x", "{folders}/groups", True),
        # Where root alone can lay a link, it may lead to what the web user can only read, but not to the host's own.
        ("config/x", "{folders}/roots", True),
        ("config/x", "/etc", False),
        ("config/x", "/etc/passwd", False),
        ("config/x", "/var/lib", False),
        ("config/x", "/var/log/wtmp", False),
    ],
)
def test_a_link_of_roots_is_followed_to_the_portals_data_alone(
    folders: Path, monkeypatch: pytest.MonkeyPatch, link: str, target: str, followed: bool
) -> None:
    if os.geteuid() != 0:
        pytest.skip("gives files to other accounts")
    web = 12345
    monkeypatch.setattr(backups_backup.pwd, "getpwnam", lambda _name: SimpleNamespace(pw_uid=web, pw_gid=web))
    monkeypatch.setattr(backups_backup.os, "getgrouplist", lambda _name, group: [group])
    for path in ("chamilo/var/upload", "chamilo/config", "roots", "webs", "groups"):
        (folders / path).mkdir(parents=True)
    os.chown(folders / "chamilo/var/upload", web, web)
    os.chown(folders / "webs", web, web)
    os.chown(folders / "groups", 0, web)
    target = target.format(folders=folders)
    if not os.path.exists(target):
        pytest.skip(f"no {target} here")
    (folders / "chamilo" / link).symlink_to(target)
    found = backups_backup.contents(portal(folders))
    assert found == sorted([str(folders / "chamilo"), *([target] if followed else [])])
    assert [link in line for line in backups_backup.strange_links(portal(folders))] == [True] * (not followed)


def test_many_links_are_told_as_few(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    web = os.geteuid() or 12345
    monkeypatch.setattr(backups_backup.pwd, "getpwnam", lambda _name: SimpleNamespace(pw_uid=web, pw_gid=web))
    var = folders / "chamilo" / "var"
    var.mkdir(parents=True)
    for number in range(300):
        (var / str(number)).symlink_to("/etc")
        os.lchown(var / str(number), web, -1)
    lines = backups_backup.strange_links(portal(folders))
    assert (len(lines), lines[-1]) == (6, "The same goes for 295 more links.")


def test_no_process_is_saved(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    var = folders / "chamilo" / "var"
    var.mkdir(parents=True)
    monkeypatch.setattr(
        backups_backup.pwd, "getpwnam", lambda _name: SimpleNamespace(pw_uid=os.geteuid(), pw_gid=os.getegid())
    )
    (var / "x").symlink_to(f"/proc/{os.getpid()}/task")
    assert backups_backup.contents(portal(folders)) == [str(folders / "chamilo")]


def put_away(there: Portal) -> list[str]:
    return list(backups_backup.put_away(there, []))


def test_copies_in_the_portals_folder_are_put_where_root_alone_reads(folders: Path) -> None:
    public = folders / "chamilo" / "public"
    public.mkdir(parents=True)
    (folders / "chamilo" / "var").mkdir()
    (public / "dump.sql").write_bytes(DUMP)
    with gzip.open(public / "x.sql.gz", "wb") as stream:
        stream.write(DUMP)
    with zipfile.ZipFile(public / "slides.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("all/chamilo.sql", DUMP)
    (public / "database.sql").write_text("-- the installer's own\n")
    (public / "lesson.zip").write_bytes(b"x")
    (folders / "chamilo" / "var" / "backup.zip").write_bytes(b"a pupil's")
    lines = put_away(portal(folders))
    assert len(lines) == 3
    assert sorted(path.name for path in public.iterdir()) == ["database.sql", "lesson.zip"]
    kept = [path for path in (folders / "state").rglob("*") if path.is_file()]
    assert len(kept) == 3 and all(path.stat().st_mode & 0o777 == 0o600 for path in kept)
    assert put_away(portal(folders)) == []


def test_what_only_its_name_makes_a_copy_stays_and_is_reported_once(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = folders / "chamilo" / "public" / "plugin" / "slides"
    plugin.mkdir(parents=True)
    names = ["backup-2025.tar.gz", "slides-2024.zip", "timetable-2026.zip"]
    for name in names[1:]:
        with zipfile.ZipFile(plugin / name, "w") as archive:
            archive.writestr("slide.html", "<p>SELECT</p>")
    (plugin / names[0]).write_bytes(b"x")
    told = made_up(folders, monkeypatch)
    there = portal(folders, repository="/repository", offsite="")
    for number in range(2):
        (line,) = [line for line in backups_backup.backup(there) if "Named like a copy" in line]
        assert all(f"{plugin}/{name}" in line for name in names)
        assert sorted(path.name for path in plugin.iterdir()) == names
        assert [title for title, _text in told] == ["Files may be copies of data"], number
    (plugin / "db.zip").write_bytes(b"x")
    backups_backup.backup(there)
    assert len(told) == 2 and "db.zip" in told[1][1]


def made_up(folders: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Backups go well without restic. What is told, as title and text."""
    told: list[tuple[str, str]] = []
    last = {"run": "1", "dump_bytes": 1, "tables": ["user"], "files": 1, "bytes": 1}
    monkeypatch.setattr(backups_backup, "tell", lambda _portal, title, text, again=False: told.append((title, text)))
    monkeypatch.setattr(backups_backup, "_pair", lambda _portal, memory: memory.update(last=last) or last)
    monkeypatch.setattr(backups_backup, "_upkeep", lambda _portal, _memory, _url: [])
    (folders / "etc" / "backups-campus.key").write_text("a key")
    return told


def test_what_changes_places_while_copies_are_put_away_is_left_alone(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = folders / "chamilo" / "public"
    public.mkdir(parents=True)
    secret = folders / "secret.sql"
    secret.write_bytes(DUMP)
    (public / "link.sql").symlink_to(secret)
    os.mkfifo(public / "backup.sql")
    (public / "dump.sql").write_bytes(DUMP)
    real = backups_dumps.holds_data

    def exchanged(stream: IO[bytes]) -> bool:
        """The web user puts another file, and another folder, where we just looked."""
        public.rename(folders / "chamilo" / "aside")
        public.symlink_to(folders)
        (folders / "chamilo" / "aside" / "dump.sql").unlink()
        (folders / "chamilo" / "aside" / "dump.sql").symlink_to(secret)
        return real(stream)

    monkeypatch.setattr(backups_dumps, "holds_data", exchanged)
    (line,) = put_away(portal(folders))
    assert "dump.sql" in line and secret.read_bytes() == DUMP
    assert (folders / "chamilo" / "aside" / "dump.sql").is_symlink()
    (kept,) = [path for path in (folders / "state").rglob("*") if path.is_file()]
    assert kept.read_bytes() == DUMP


def test_folders_without_end_hide_no_copy_and_end_no_backup(
    folders: Path, monkeypatch: pytest.MonkeyPatch, deep: Callable[[Path], None]
) -> None:
    public = folders / "chamilo" / "public"
    (public / "zz").mkdir(parents=True)
    (public / "zz" / "dump.sql").write_bytes(DUMP)
    told = made_up(folders, monkeypatch)
    deep(public)
    with pytest.raises(BackupError) as raised:
        backups_backup.backup(portal(folders, repository="/repository"))
    assert "levels deep, and not looked into" in str(raised.value)
    assert len(str(raised.value)) < 1000
    assert [title for title, _text in told] == ["Copies of data lay in the portal's folder", "The backup needs a look"]
    assert "zz/dump.sql could be downloaded" in told[0][1]
    assert json.loads((folders / "state" / "backups.json").read_text())["files"]["ok"] is True


def test_whatever_stops_the_search_for_copies_is_told_and_a_backup_is_made(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folders / "chamilo").mkdir()
    for name in ("a.sql", "b.sql"):
        (folders / "chamilo" / name).write_bytes(DUMP)
    told = made_up(folders, monkeypatch)
    real = backups_dumps.holds_data

    def broken(stream: IO[bytes]) -> bool:
        if os.readlink(f"/proc/self/fd/{stream.fileno()}").endswith("/b.sql"):
            raise MemoryError
        return real(stream)

    monkeypatch.setattr(backups_dumps, "holds_data", broken)
    with pytest.raises(BackupError, match="MemoryError"):
        backups_backup.backup(portal(folders, repository="/repository"))
    assert "a.sql could be downloaded" in told[0][1] and "MemoryError" in told[1][1]
    assert json.loads((folders / "state" / "backups.json").read_text())["files"]["ok"] is True


def test_whatever_breaks_a_backup_is_told_and_written_down(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folders / "chamilo").mkdir()
    told = made_up(folders, monkeypatch)

    def broken(*_arguments: Any) -> None:
        raise RecursionError

    monkeypatch.setattr(backups_backup, "_pair", broken)
    with pytest.raises(BackupError, match="RecursionError"):
        backups_backup.backup(portal(folders, repository="/repository"))
    assert told == [("The backup failed", "RecursionError")]
    assert json.loads((folders / "state" / "backups.json").read_text())["files"]["ok"] is False


def test_a_link_to_a_link_without_end_leads_nowhere(folders: Path) -> None:
    (folders / "chamilo").mkdir()
    (folders / "chamilo" / "own").symlink_to("own")
    for number in range(5000):
        (folders / "chamilo" / f"{number}").symlink_to(f"{number + 1}")
    assert backups_backup.contents(portal(folders)) == [str(folders / "chamilo")]


def test_a_copy_that_asks_for_much_memory_gets_none(folders: Path) -> None:
    """64 bytes of xz whose dictionary is to have 4 GiB: nothing of it is unpacked."""
    packed = bytearray(lzma.compress(b"x" * 100, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32))
    end = 12 + (packed[12] + 1) * 4
    packed[packed.index(b"\x21\x01", 12) + 2] = 40  # the size of the dictionary
    packed[end - 4 : end] = struct.pack("<I", zlib.crc32(bytes(packed[12 : end - 4])))
    (folders / "chamilo").mkdir()
    (folders / "chamilo" / "dump.sql.xz").write_bytes(packed)
    (folders / "chamilo" / "lesson.sql.xz").write_bytes(packed)
    (folders / "chamilo" / "real.sql.xz").write_bytes(lzma.compress(DUMP, preset=9))
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))  # a host with less memory than that
        with contextlib.suppress(BaseException):
            put_away(portal(folders))
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert sorted(path.name for path in (folders / "chamilo").iterdir()) == ["dump.sql.xz", "lesson.sql.xz"]


LONG = "ignoring error for /chamilo/var/d\nd: open /staging/chamilo/var/d\nd: file name too long\n"


@pytest.mark.parametrize(
    ("complaint", "left"),
    [
        ("", False),
        (f"{LONG}{LONG}Fatal: There were 2 errors", True),
        (f"{LONG}ignoring error for /chamilo/var/e: no space left on device\nFatal: There were 2 errors", None),
        (f"{LONG}Fatal: There were 2 errors", None),
        (f"{LONG}Fatal: wrong password or no key found", None),
        (f"{LONG}Fatal: There were 1 errors\nsignal: killed", None),
        ("Fatal: There were 0 errors", None),
    ],
)
def test_only_paths_that_are_too_long_may_stay_away_from_what_is_fetched(
    folders: Path, monkeypatch: pytest.MonkeyPatch, complaint: str, left: bool | None
) -> None:
    """The web user may lay such ones, which must not keep all else from coming back."""
    (folders / "restic").write_text(f"#!/bin/sh\ncat {folders}/complaint >&2\nexit {int(bool(complaint))}\n")
    (folders / "restic").chmod(0o755)
    (folders / "complaint").write_text(complaint)
    monkeypatch.setattr(backups_backup, "_PATH", f"{folders}:{backups_backup._PATH}")
    monkeypatch.setattr(backups_backup, "CACHE", str(folders / "cache"))
    place = backups_backup.Repository(portal(folders), "/repository")
    if left is None:
        with pytest.raises(BackupError, match="restic restore on /repository failed"):
            place.fetch("id", "/staging")
    else:
        assert place.fetch("id", "/staging") is left


def test_one_backup_at_a_time(folders: Path) -> None:
    with backups_backup.alone(portal(folders), "drill"):
        with pytest.raises(backups_backup.Busy, match="drill"), backups_backup.alone(portal(folders), "backup"):
            raise AssertionError("two at a time")
    with backups_backup.alone(portal(folders), "backup"):
        assert os.path.exists(folders / "state" / "backups" / "campus.lock")


def test_late_ones_are_told(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(backups_backup, "tell", lambda _portal, title, _text: told.append(title))
    (folders / "etc" / "backups-campus.json").write_text(
        json.dumps({"site": "campus", "domain": "campus.test", "root": "/x"})
    )
    assert len(backups_backup.late()) == 2 and told == ["The backup is late", "The drill is late"]
    for name in ("database", "drill"):
        backups_portal.note(backups_portal.portals()[0], name, True, "fine")
    assert backups_backup.late() == ["Backups and drills are in time."]
    # The clock was wrong, and is right now.
    before = time.time() - 7200
    monkeypatch.setattr(backups_backup.time, "time", lambda: before)
    assert "dated in the future" in backups_backup.late()[0]


def test_an_unfinished_restore_is_reported_each_day_and_by_the_backup(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folders / "chamilo" / "var").mkdir(parents=True)
    told = made_up(folders, monkeypatch)
    there = portal(folders, repository="/repository", offsite="", drills=False)
    (folders / "etc" / "backups-campus.json").write_text(json.dumps(vars(there)))
    (folders / "state" / "backups").mkdir(parents=True)
    (folders / "state" / "backups" / "campus.restoring.json").write_text(json.dumps({"phase": "changing"}))
    with pytest.raises(BackupError, match="made while a restore was not finished.* --abandon --site campus"):
        backups_backup.backup(there)
    (line,) = backups_backup.late()
    assert "is not finished" in line and told[-1] == ("A restore is not finished", line)
    with backups_backup.alone(there, "restore"):
        assert backups_backup.holder(there).startswith("restore (process")
        assert backups_backup.late() == ["Backups and drills are in time."]
    assert backups_backup.holder(there) == ""


def test_no_drill_is_late_where_none_are_made(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(backups_backup, "tell", lambda _portal, title, _text: told.append(title))
    (folders / "etc" / "backups-campus.json").write_text(
        json.dumps({"site": "campus", "domain": "campus.test", "root": "/x", "drills": False})
    )
    assert len(backups_backup.late()) == 1 and told == ["The backup is late"]


def test_a_backup_is_made_even_when_nobody_can_be_told_of_a_copy(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folders / "chamilo" / "var").mkdir(parents=True)
    (folders / "chamilo" / "dump.sql").write_bytes(DUMP)
    made: list[str] = []

    def nobody(*_arguments: Any, **_more: Any) -> None:
        raise BackupError("nobody was told")

    def pair(*_arguments: Any) -> dict[str, Any]:
        made.append("pair")
        return {"run": "1", "dump_bytes": 1, "tables": ["user"], "files": 1, "bytes": 1}

    monkeypatch.setattr(backups_backup, "tell", nobody)
    monkeypatch.setattr(backups_backup, "_pair", pair)
    (folders / "etc" / "backups-campus.key").write_text("a key")
    with pytest.raises(BackupError, match="nobody was told"):
        backups_backup.backup(portal(folders, repository="/repository"))
    assert made == ["pair"]
    assert json.loads((folders / "state" / "backups.json").read_text())["database"]["ok"] is True


def test_a_backup_that_was_made_and_needs_a_look_is_told_from_one_that_failed(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folders / "chamilo" / "var").mkdir(parents=True)
    told = made_up(folders, monkeypatch)
    there = portal(folders, repository="/repository", offsite="rest:http://store.example/x")

    def nobody(*_arguments: Any, **_more: Any) -> None:
        raise BackupError("store.example is not there")

    monkeypatch.setattr(backups_backup.Repository, "prepare", nobody)
    with pytest.raises(backups_backup.NeedsALook, match="store.example is not there"):
        backups_backup.backup(there)
    assert told == [("The backup needs a look", "store.example is not there")]
    # Nobody can be told, and the key is another one than that of which there is a copy.
    backups_portal.note(there, "encrypted", True, "", salt="s", fingerprint="another")
    monkeypatch.setattr(backups_backup, "tell", nobody)
    with pytest.raises(backups_backup.NeedsALook):
        backups_backup.backup(there)
    made_up(folders, monkeypatch)
    # Much less than before: nobody knows whether it would be enough.
    memory = backups_portal.remembered(there)
    backups_portal.remember(there, {**memory, "good": {**memory["good"], "files": 100}})
    with pytest.raises(BackupError, match="1 files were saved") as raised:
        backups_backup.backup(there)
    assert not isinstance(raised.value, backups_backup.NeedsALook)


@pytest.mark.parametrize(
    ("places", "sick", "enough"),
    [
        ({"repository": "/repository", "offsite": "sftp:store.example:/x"}, "sftp:store.example:/x", True),
        ({"repository": "/repository", "offsite": "sftp:store.example:/x"}, "/repository", False),
        ({"offsite": "sftp:store.example:/x"}, "sftp:store.example:/x", False),
    ],
)
def test_a_backup_in_a_repository_that_is_not_sound_is_not_enough_to_go_back_to(
    folders: Path, monkeypatch: pytest.MonkeyPatch, places: dict[str, str], sick: str, enough: bool
) -> None:
    def upkeep(_portal: Portal, _memory: dict[str, Any], url: str) -> list[str]:
        if url == sick:
            raise BackupError("pack 1a2b does not match its name")
        return [f"{url} is in order."]

    (folders / "chamilo" / "var").mkdir(parents=True)
    made_up(folders, monkeypatch)
    monkeypatch.setattr(backups_backup, "_offsite", lambda *_words: [])
    monkeypatch.setattr(backups_backup, "_upkeep", upkeep)
    with pytest.raises(BackupError, match="does not match its name") as raised:
        backups_backup.backup(portal(folders, **places))
    assert isinstance(raised.value, backups_backup.NeedsALook) == enough


def test_a_failure_is_told_where_the_disk_is_full(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    told: list[str] = []
    (folders / "chamilo").mkdir()
    monkeypatch.setattr(backups_backup, "tell", lambda _portal, title, _text: told.append(title))
    monkeypatch.setattr(common_files, "replace_file", full)
    monkeypatch.setattr(backups_backup.os, "pwrite", full)
    with pytest.raises(OSError, match="No space"):
        backups_backup.backup(portal(folders))
    assert told == ["The backup failed"]


def test_the_name_of_a_copy_is_told_as_text(folders: Path) -> None:
    (folders / "chamilo").mkdir()
    with open(os.fsencode(folders / "chamilo") + b"/\xe9\n.sql", "wb") as stream:
        stream.write(DUMP)
    (line,) = put_away(portal(folders))
    assert r"\udce9\n.sql could be downloaded" in line and line.isprintable()


def test_an_offsite_repository_that_speaks_nonsense_is_written_down(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = portal(folders, offsite="sftp:store.example:/x")
    monkeypatch.setattr(backups_backup.Repository, "run", lambda *_a, **_k: ("no json", ""))
    with pytest.raises(ValueError, match="Expecting value"):
        backups_backup._offsite(there, {"last": {"run": "1"}}, there.offsite)
    assert json.loads((folders / "state" / "backups.json").read_text())["offsite"]["ok"] is False


@pytest.mark.parametrize(
    ("account", "routines", "who"),
    [
        (False, 0, "--user=root"),
        (True, 0, "--defaults-file="),
        (True, 1, "--user=root"),
        (True, None, "--defaults-file="),
    ],
)
def test_the_account_for_backups_dumps_unless_it_cannot_see_all(
    folders: Path, monkeypatch: pytest.MonkeyPatch, account: bool, routines: int | None, who: str
) -> None:
    class Reader:
        def __init__(self, login: Any) -> None:
            assert login.user == "root"

        def query(self, _sql: str, params: Any) -> list[dict[str, Any]]:
            if routines is None:
                raise backups_backup.portal_database.DatabaseError("root has a password")
            return [{"number": routines if params == ("chamilo",) else 9}]

    monkeypatch.setattr(backups_backup.portal_database, "Reader", Reader)
    monkeypatch.setattr(backups_backup, "dumper", lambda: "dump")
    (folders / "socket").touch()
    if account:
        (folders / "etc/backup-campus.cnf").touch()
    with backups_backup.dumping(portal(folders, socket=str(folders / "socket"), name="chamilo")) as (command, _handles):
        assert any(word.startswith(who) for word in command[:2] + command[2:3])


def test_without_the_application_s_environment_nothing_is_dumped_as_nobody(folders: Path) -> None:
    (folders / "chamilo").mkdir()
    os.mkfifo(folders / "chamilo/.env")
    with pytest.raises(backups_portal.BackupError, match=r"\.env cannot be read: no regular file"):
        with backups_backup.dumping(portal(folders, host="db.example.org", name="chamilo")):
            pass


def test_another_problem_of_the_same_day_and_the_same_of_the_next_night_are_told(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the real alert, of which only the mail is caught."""
    mails: list[str] = []
    moment = time.time()
    monkeypatch.setattr(alert, "addressee", lambda: alert.Addressee("admin@school.example"))
    monkeypatch.setattr(alert, "_mail", lambda _to, _section, title, text: mails.append(f"{title}: {text}") or "")
    monkeypatch.setattr(alert.time, "time", lambda: moment)
    look = "The backup needs a look"
    backups_backup.tell(portal(folders), look, "/store is not there (attempt 1).")
    backups_backup.tell(portal(folders), look, "/store is not there (attempt 2).")
    assert mails == [f"{look} (campus.test): /store is not there (attempt 1)."]
    backups_backup.tell(portal(folders), look, "Tables are gone: user.")
    assert len(mails) == 2
    moment += 86400 - 600  # cron began ten minutes later yesterday
    backups_backup.tell(portal(folders), look, "Tables are gone: user.")
    assert len(mails) == 3


def test_each_copy_that_lay_about_is_told(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    (folders / "chamilo" / "var").mkdir(parents=True)
    monkeypatch.setattr(alert, "addressee", lambda: alert.Addressee("admin@school.example"))
    monkeypatch.setattr(alert, "_mail", lambda _to, _section, _title, text: told.append(text) or "")
    for name in ("dump1.sql", "dump2.sql"):
        (folders / "chamilo" / name).write_bytes(DUMP)
        with pytest.raises(BackupError):  # there is no repository
            backups_backup.backup(portal(folders))
    assert [name for name in ("dump1.sql", "dump2.sql") if not any(f"/{name} could" in text for text in told)] == []
