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
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.proof import fingerprint
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


def pair(run: str = "1", tree: str = "t", hours: float = 1) -> Pair:
    at = time.time() - hours * 3600
    return Pair(run, Snapshot("d1", tree, at, run, ()), Snapshot("f1", "f", at, run, ()))


def attempt(portal: Portal, *pairs: Pair, identity: str = "known") -> restore_test._RestoreTest:
    last = {"run": "1", "at": time.time(), "trees": ["t", "f"], "snapshots": ["d1", "f1"]}
    memory = {"repositories": {"rest:http://store/x": "known"}, "last": last, "good": {}}
    made = restore_test._RestoreTest(portal, memory, False)

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
        ([pair(tree="old")], "known", "its content is another"),
        ([pair(hours=30)], "known", "30 hours old"),
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
    ("dump", "known", "words"),
    [
        (DUMPED + backups_dump.stamp("1"), {}, ""),
        (DUMPED + backups_dump.stamp("1"), {"good": {"tables": ["course"]}, "drill": {"tables": ["user"]}}, ""),
        (DUMPED, {}, "cut short"),
        (DUMPED + backups_dump.stamp("0"), {}, "an older one, of run 0"),
        (DUMPED + backups_dump.stamp("1"), {"last": {"dump_sha256": "x"}}, "its checksum is another"),
        (DUMPED + backups_dump.stamp("1"), {"good": {"tables": ["course", "old"]}}, "in the backup: old. If"),
        (
            DUMPED + backups_dump.stamp("1"),
            {"drill": {"tables": ["older", "user"]}},
            "in the backup: older. If",
        ),
    ],
)
def test_a_dump_is_the_whole_one_that_was_sent(
    portal: Portal, tmp_path: Path, dump: bytes, known: dict[str, Any], words: str
) -> None:
    made = attempt(portal, pair())
    made.memory |= known
    made.last = {"dump_sha256": hashlib.sha256(dump).hexdigest(), **known.get("last", {})}

    def run(*arguments: str, output: IO[bytes]) -> None:
        assert arguments == ("dump", "d1", "/database.sql")
        output.write(dump)

    cast(Any, made.place).run = run
    if words:
        with pytest.raises(BackupError, match=words):
            made._fetch_dump(pair(), str(tmp_path))
    else:
        assert made._fetch_dump(pair(), str(tmp_path)) == ("course", "user")
    if "old" in words and "tables" in str(known):
        made.accept = True
        Path(tmp_path / "database.sql").unlink()
        assert made._fetch_dump(pair(), str(tmp_path)) == ("course", "user")


@pytest.fixture
def fetching(portal: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """``fetching(came, used)``: fetch a sample of one file; what came back of it, and what is in use."""
    bulk = [f"--exclude={tmp_path}/var/upload\\[1\\]/*"]
    sample = restore_test.File(f"{tmp_path}/var/a*", 4, 0)
    monkeypatch.setattr(restore_test._RestoreTest, "bulk", (f"{tmp_path}/var/upload[1]",), raising=False)

    def run(came: str | None, used: str, chosen: bool = True, long: bool = False, untried: int = 0) -> list[str]:
        made, asked = attempt(portal), []
        made.untried = untried

        def fetch(snapshot: str, target: str, *arguments: str) -> dict[str, str]:
            asked.append((snapshot, list(arguments)))
            if arguments[:1] != tuple(bulk) and came is not None:
                path = Path(target + sample.path)
                path.parent.mkdir(parents=True)
                path.write_text(came)
            return {"/x": "/y: file name too long"} if long else {}

        cast(Any, made.place).fetch = fetch
        monkeypatch.setattr(restore_test, "_used", lambda _file: used and hashlib.sha256(used.encode()).hexdigest())
        made._fetch_files(pair(), str(tmp_path / "scratch"), [sample] * chosen)
        include = [("f1", [f"--include={tmp_path}/var/a\\*"])]
        assert asked == [("f1", bulk), *include * chosen]
        return made.lines

    return run


def test_a_sample_of_the_uploads_comes_back_as_it_is(fetching: Any) -> None:
    assert fetching("text", "text") == ["1 of its uploads came back, 1 compared with those in use;"]


def test_an_upload_that_changed_since_is_not_compared(fetching: Any) -> None:
    assert fetching("text", "") == ["1 of its uploads came back, 0 compared with those in use, 1 changed since;"]


@pytest.mark.parametrize(
    ("came", "words"),
    [
        (None, "did not come back whole"),
        ("texts", "did not come back whole"),
        ("tent", "with another content"),
        ("test", "with another content"),
    ],
)
def test_an_upload_that_came_back_otherwise_is_a_fault(fetching: Any, came: str | None, words: str) -> None:
    with pytest.raises(BackupError, match=words):
        fetching(came, "text")


def test_a_key_that_changed_is_refused(portal: Portal) -> None:
    backups_portal.note(portal, "encrypted", True, "", salt="s", fingerprint=fingerprint(KEY, "s"))
    attempt(portal, pair())._newest()
    Path(portal.key_file).write_text("another")
    with pytest.raises(BackupError, match="no longer the one"):
        attempt(portal, pair())._newest()


def test_no_restore_test_begins_without_room(portal: Portal) -> None:
    with pytest.raises(BackupError, match="make room"):
        attempt(portal)._room(1 << 60, 0, [])


@pytest.mark.parametrize(
    ("change", "different"),
    [
        (lambda text: text, []),
        (lambda text: text.replace("-- Host", "-- Another host"), []),
        (lambda text: text.replace("(2)", "(3)"), ["user"]),
        (lambda text: text.replace("INSERT INTO `course` VALUES (1);\n", ""), ["course"]),
    ],
)
def test_dumps_are_compared_table_by_table(tmp_path: Path, change: Any, different: list[str]) -> None:
    text = "".join(
        f"DROP TABLE IF EXISTS `{name}`;\nCREATE TABLE `{name}` (\n  `id` int\n);\nLOCK TABLES `{name}` WRITE;\n"
        f"INSERT INTO `{name}` VALUES ({number});\nUNLOCK TABLES;\n"
        for number, name in ((1, "course"), (2, "user"))
    )
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text(f"/*M!999999 */\n-- Host: localhost\n{text}")
    other.write_text(change(f"-- Host: localhost\n{text}"))
    found, desired = restore_test._tables(str(one)), restore_test._tables(str(other))
    assert [name for name in found if found[name] != desired.get(name)] == different


def test_the_restored_portal_asks_for_no_tls_of_its_database(tmp_path: Path) -> None:
    """Its database, which speaks none, is behind a socket; the one in use is on another host and demands it."""
    configured = """\
doctrine:
    dbal:
        options:
            # PDO::MYSQL_ATTR_SSL_CA
            1009: /usr/local/share/chamilo-hardening/database.pem
            1014: true
            1002: "SET SESSION sql_mode = ''"
            !php/const PDO::MYSQL_ATTR_SSL_CA: /etc/ssl/ca.pem
            !php/const:Pdo\\Mysql::ATTR_SSL_VERIFY_SERVER_CERT: true
            !php/const PDO::ATTR_TIMEOUT: 5
"""
    path = tmp_path / "config" / "packages" / "prod" / "zz.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(configured)
    outside = tmp_path / "outside.yaml"
    outside.write_text(configured)
    (path.parent / "link.yaml").symlink_to(outside)
    restore_test._without_tls(str(tmp_path))
    left = path.read_text().splitlines()
    assert len(left) == 6 and "1002" in left[4] and "ATTR_TIMEOUT" in left[5]
    assert outside.read_text() == configured


def test_who_owns_what_runs_in_a_dump_is_known(tmp_path: Path) -> None:
    dump = tmp_path / "dump.sql"
    dump.write_bytes(
        b"/*!50013 DEFINER=`root`@`localhost` SQL SECURITY DEFINER */\n"
        b"/*!50003 CREATE*/ /*!50017 DEFINER=`a``b`@`%`*/ /*!50003 TRIGGER `x` BEFORE INSERT ON `y` FOR EACH ROW\n"
        b"CREATE DEFINER=`f`@`h` FUNCTION `doubled`(number INT) RETURNS int(11)\n"
        b"/*!50106 CREATE*/ /*!50117 DEFINER=`e`@`h`*/ /*!50106 EVENT `nightly` ON SCHEDULE EVERY 1 DAY */ ;;\n"
        b"INSERT INTO `course` VALUES (1,'DEFINER=`no`@`no`');\n"
    )
    assert restore_test._definers(str(dump)) == {"`root`@`localhost`", "`a``b`@`%`", "`f`@`h`", "`e`@`h`"}


def test_a_failure_is_reported_where_the_disk_is_full(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    reported: list[str] = []
    monkeypatch.setattr(jobs, "notify", lambda _portal, title, _text: reported.append(title))
    monkeypatch.setattr(restore_test._RestoreTest, "run", full)
    monkeypatch.setattr(files, "replace_file", full)
    with pytest.raises(OSError, match="No space"):
        restore_test.restore_test(portal)
    assert reported == ["The restore test failed"]


def test_whatever_breaks_a_restore_test_is_reported(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: Any) -> None:
        raise RecursionError

    reported: list[str] = []
    monkeypatch.setattr(jobs, "notify", lambda _portal, _title, text: reported.append(text))
    monkeypatch.setattr(restore_test._RestoreTest, "run", broken)
    with pytest.raises(BackupError, match="RecursionError"):
        restore_test.restore_test(portal)
    assert reported == ["RecursionError"]


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


def test_nothing_that_takes_the_place_of_a_file_blocks_the_comparison(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    path = tmp_path / "folder/film"
    path.write_bytes(b"film")
    saved = restore_test.File(str(path), 4, path.stat().st_mtime)
    assert restore_test._used(saved) == restore_test._digest(str(path)) == hashlib.sha256(b"film").hexdigest()
    os.truncate(path, 1 << 40)
    assert restore_test._used(saved) == ""
    path.unlink()
    assert restore_test._used(saved) == ""
    os.mkfifo(path)
    assert restore_test._used(restore_test.File(str(path), 0, path.stat().st_mtime)) == ""
    path.unlink()
    (tmp_path / "folder").rmdir()
    (tmp_path / "folder").touch()
    assert restore_test._used(saved) == ""
    (tmp_path / "folder").unlink()
    (tmp_path / "folder").symlink_to("/dev")
    zero = tmp_path / "folder/zero"
    assert restore_test._used(restore_test.File(str(zero), 0, zero.stat().st_mtime)) == ""


def test_uploads_on_another_disk_are_only_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "portal" / "var").mkdir(parents=True)
    (tmp_path / "portal" / "var" / "upload").symlink_to(tmp_path / "disk")
    (tmp_path / "larger").mkdir()
    (tmp_path / "disk" / "resource").symlink_to(tmp_path / "larger")
    there = Portal("campus", "campus.test", str(tmp_path / "portal"), repository="/repository")
    made = restore_test._RestoreTest(there, {"last": {}, "good": {}}, False)
    listed = {
        "d1": [restore_test.File("/database.sql", 7, 0)],
        "f1": [
            restore_test.File(f"{tmp_path}/portal/index.php", 1, 0),
            restore_test.File(f"{tmp_path}/disk/film", 100, 0),
            restore_test.File(f"{tmp_path}/larger/film", 100, 0),
            restore_test.File("/srv/plugin/file", 20, 0),
        ],
    }
    monkeypatch.setattr(made, "_files", listed.__getitem__)
    dump, program, sample = made._list(pair())
    assert (dump, program, [file.path for file in sample]) == (
        7,
        21,
        [f"{tmp_path}/disk/film", f"{tmp_path}/larger/film"],
    )
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(restic.Repository, "fetch", lambda _self, *words: ran.append(words) or {})
    made._fetch_files(pair(), str(tmp_path / "scratch"), [])
    assert {f"--exclude={tmp_path}/{name}/*" for name in ("disk", "larger")} < set(ran[0])


def test_what_is_started_does_not_go_by_what_is_in_use(portal: Portal, tmp_path: Path) -> None:
    """Links with whole paths, as some tools lay them for what all releases share, lead to what came back."""
    used, shared, system = (tmp_path / name for name in ("releases/8", "shared", "system"))
    for directory in (used / "config", shared / "var", system):
        directory.mkdir(parents=True)
    (tmp_path / "current").symlink_to("releases/8")
    (tmp_path / "old-name").symlink_to("shared")
    made = attempt(replace(portal, root=str(tmp_path / "current")))
    made.saved = f"{tmp_path}/releases/7"
    tree = tmp_path / "scratch"
    root, came = Path(f"{tree}{made.saved}"), Path(f"{tree}{shared}/var")
    for directory in (root / "config", came / "upload"):
        directory.mkdir(parents=True)
    links = {
        "var": (shared / "var", came),
        "again": (tmp_path / "old-name/var", came),
        "own": (tmp_path / "current/config", root / "config"),
        "beside": ("../../shared/var", "../../shared/var"),
        "php": (system, system),  # not in the backup
    }
    for name, (leads, _to) in links.items():
        (root / name).symlink_to(leads)
    made._turn_links(str(tree))
    assert {name: os.readlink(root / name) for name in links} == {name: str(to) for name, (_leads, to) in links.items()}


def test_links_are_turned_however_deep_they_lie(portal: Portal, tmp_path: Path) -> None:
    made = attempt(portal)
    tree = tmp_path / "scratch"
    tree.mkdir()
    (Path(f"{tree}{made.saved}") / "config").mkdir(parents=True)
    here = os.open(tree, os.O_DIRECTORY)
    for _level in range(1500):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = below
    os.symlink(f"{portal.directory}/config", "link", dir_fd=here)
    made._turn_links(str(tree))
    assert os.readlink("link", dir_fd=here) == f"{tree}{made.saved}/config"
    os.close(here)


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


def upload(number: int, size: int = 1000) -> dict[str, Any]:
    path = f"/x/var/upload/{number:03}.txt"
    return {"path": path, "type": "file", "size": size, "mtime": "2026-11-25T12:00:00.5Z"}


def sampled(portal: Portal, run: str, nodes: list[dict[str, Any]]) -> list[str]:
    return [file.path for file in listed(portal, nodes)[0]._list(pair(run))[2]]


def test_the_sample_is_the_same_for_a_backup_and_another_for_the_next(portal: Portal) -> None:
    nodes = [upload(number) for number in range(500)]
    first = sampled(portal, "1", nodes)
    assert first == sampled(portal, "1", nodes)
    assert len(first) == len(set(first)) == 200 and set(first) <= {node["path"] for node in nodes}
    assert set(sampled(portal, "2", nodes)) != set(first)
    # From all of them, not from the first 200.
    assert 40 < sum(path > "/x/var/upload/300.txt" for path in first) < 120


def test_the_sample_is_bounded_in_bytes_and_contains_no_huge_file(portal: Portal) -> None:
    large = 100 << 20
    assert len(sampled(portal, "1", [upload(number, large) for number in range(500)])) == (1 << 30) // large
    nodes = [upload(number, (200 << 20) + 1 if number % 2 else 10) for number in range(500)]
    assert not {upload(number)["path"] for number in range(1, 500, 2)} & set(sampled(portal, "1", nodes))


def test_a_name_that_cannot_be_restored_is_left_out_of_the_sample_and_reported(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """restic lists what is no UTF-8 with a sign for it, and finds nothing of that name."""
    nodes = [upload(1, 0), {**upload(2, 0), "path": "/x/var/upload/caf\ufffd.txt"}]
    nodes.append({**upload(3, 0), "path": f"/x/var/upload/{'d/' * 2000}003.txt"})  # longer in the scratch directory
    made, _place = listed(portal, nodes)
    _dump, _program, sample = made._list(pair())
    assert [file.path for file in sample] == ["/x/var/upload/001.txt"]
    (tmp_path / "files/x/var/upload").mkdir(parents=True)
    (tmp_path / "files/x/var/upload/001.txt").touch()
    monkeypatch.setattr(made.place, "fetch", lambda *_words: {"/x": "/y: file name too long"}, raising=False)
    made._fetch_files(pair(), str(tmp_path), sample)
    assert made.lines == [
        "files whose paths are too long did not come back;",
        "1 of its uploads came back, 0 compared with those in use, 1 changed since, 2 not tried because their names "
        "are no UTF-8 or too long;",
    ]


def test_a_large_repository_is_read_part_by_part_in_turn(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    made, place = listed(portal, [], (4 << 30) + 1)
    for _drill_number in range(4):
        made._read()
    assert place.checked == [f"--read-data-subset={part}/3" for part in (1, 2, 3, 1)]
    assert "part 1 of 3" in made.lines[-1]
    place.size = 2 << 30
    made._read()
    assert place.checked[-1] == "--read-data"


def test_the_backup_in_the_nearest_repository_is_known_by_its_number(portal: Portal) -> None:
    """Older versions of restic name what they saved by the first digits of it."""
    near = replace(portal, offsite="")
    for numbers, same in ((["d1", "f1"], True), (["d", ""], True), (["d2", "f1"], False), (["d1", "f2"], False)):
        made = attempt(near, pair(tree="another"))
        made.place = replaced(made.place, near.repository)
        made.memory["repositories"] = {}
        made.last["snapshots"] = numbers
        with contextlib.nullcontext() if same else pytest.raises(BackupError, match="its content is another"):
            assert made._newest().run == "1"
    del made.last["snapshots"]
    assert made._newest().run == "1", "of an older version nothing is known"


def replaced(place: restic.Repository, url: str) -> restic.Repository:
    return type(place)(place.portal, url)
