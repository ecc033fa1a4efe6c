# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files a backup saves, and where they lay."""

from __future__ import annotations

import json
import os
import pwd
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import portal, restic, saved_files
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.portal import BackupError, Portal
from tests.unit.plugins.module_utils._backups.conftest import of_campus

pytestmark = pytest.mark.usefixtures("directories")
NOTHING = saved_files.Chosen([])


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
    directories: Path, monkeypatch: pytest.MonkeyPatch, paths: tuple[str, ...], root: str
) -> None:
    """A link to its directory may lead to a newer release by now."""
    there = Portal("campus", "campus.test", "/www/releases/8")
    listed = ["/srv/data/var", "/www/releases/7/bin/console", "/www/releases/7/var", "/www/releases/7/x/bin/console"]
    place = restic.Repository(there, "/repository")
    monkeypatch.setattr(place, "nodes", lambda _id: [{"path": path} for path in listed])
    saved = restic.Snapshot("f1", 0, "run", (*paths, portal.path_of("campus")))
    assert saved_files.saved_root(there, place, saved) == root


def test_where_the_portal_was_is_not_guessed(directories: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = Portal("campus", "campus.test", "/www/releases/8")
    place = restic.Repository(there, "/repository")
    monkeypatch.setattr(place, "nodes", lambda _id: [{"path": "/srv/data/var"}])
    with pytest.raises(BackupError, match="Which of these in snapshot f1.*: /srv/data, /www/releases/7"):
        saved_files.saved_root(there, place, restic.Snapshot("f1", 0, "run", ("/srv/data", "/www/releases/7")))


def test_what_links_lead_to_is_saved_too(directories: Path) -> None:
    shared = directories / "shared"
    (directories / "chamilo" / "public").mkdir(parents=True)
    (shared / "var").mkdir(parents=True)
    (directories / "chamilo" / "var").symlink_to(shared / "var")
    (directories / "chamilo" / "public" / "here").symlink_to(directories / "chamilo")
    (directories / "chamilo" / "broken").symlink_to("/nothing-here")
    assert saved_files.contents(of_campus(directories)) == [str(directories / "chamilo"), str(shared / "var")]
    configured = directories / "etc/backups-campus.json"
    configured.touch()
    saved = [str(directories / "chamilo"), str(configured), str(shared / "var")]
    assert saved_files.contents(of_campus(directories)) == saved, "and how it is backed up"


def test_links_are_found_however_deep_they_lie(directories: Path) -> None:
    """Uploads on a bigger disk, keys that all releases share, and what these lead to in turn."""
    root, disk, shared = directories / "chamilo", directories / "disk", directories / "shared"
    for directory in (root / "var/upload", root / "config", disk / "resource/1", disk / "old", shared / "jwt"):
        directory.mkdir(parents=True)
    (shared / "logo.svg").write_text("<svg/>")
    (root / "var/upload/resource").symlink_to(disk / "resource")
    (disk / "resource/1/2019").symlink_to("../../old")
    (root / "config/jwt").symlink_to(shared / "jwt")
    (shared / "jwt/logo.svg").symlink_to(shared / "logo.svg")
    assert saved_files.contents(of_campus(directories)) == sorted(
        map(str, (root, disk / "resource", disk / "old", shared / "jwt", shared / "logo.svg"))
    )


def test_links_to_what_contains_no_data_are_not_part_of_backups(directories: Path) -> None:
    """As a log to the terminal, which is another one in each run."""
    log = directories / "chamilo" / "var" / "log"
    log.mkdir(parents=True)
    os.mkfifo(directories / "queue")
    (log / "prod.log").symlink_to(directories / "queue")
    (log / "dev.log").symlink_to("/dev/null")
    assert saved_files.contents(of_campus(directories)) == [str(directories / "chamilo")]


def test_the_walk_for_links_has_an_end(directories: Path) -> None:
    """Links to directories above and to each other."""
    one, two = directories / "disk" / "one", directories / "disk" / "two"
    (directories / "chamilo" / "var").mkdir(parents=True)
    for here, there in ((one, two), (two, one)):
        here.mkdir(parents=True)
        (here / "other").symlink_to(there)
        (here / "above").symlink_to(directories)
    (directories / "chamilo" / "var" / "upload").symlink_to(one)
    # What lies in a saved directory is not named once more: the paths of a snapshot show which came before it.
    assert saved_files.contents(of_campus(directories)) == [str(directories), str(directories / "chamilo")]


def test_directories_too_deep_to_be_named_end_no_backup(directories: Path) -> None:
    """The web user may lay such ones."""
    (directories / "chamilo").mkdir()
    here = os.open(directories / "chamilo", os.O_DIRECTORY)
    for _level in range(30):
        os.mkdir("x" * 200, dir_fd=here)
        below = os.open("x" * 200, os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    assert saved_files.contents(of_campus(directories)) == [str(directories / "chamilo")]


def test_the_web_user_cannot_have_the_whole_host_saved(directories: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    web = os.geteuid() or 12345
    monkeypatch.setattr(pwd, "getpwnam", lambda _name: SimpleNamespace(pw_uid=web, pw_gid=web))
    var = directories / "chamilo" / "var"
    var.mkdir(parents=True)
    (directories / "data").mkdir()
    (var / "upload").symlink_to(directories / "data")
    (var / "x\n").symlink_to("/proc")
    for path in (directories / "data", var / "upload", var / "x\n"):
        os.chown(path, web, -1, follow_symlinks=False)
    assert saved_files.contents(of_campus(directories)) == [str(directories / "chamilo"), str(directories / "data")]
    (line,) = saved_files.strange_links(of_campus(directories))
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
        ("of_the_group/x", "{folders}/roots", True),
        ("writable/x", "{folders}/roots", False),
        ("var/upload/roots/x", "{folders}/roots", False),
        ("config/x", "/etc", False),
        ("config/x", "/etc/passwd", False),
        ("config/x", "/var/lib", False),
        ("config/x", "/var/log/wtmp", False),
    ],
)
def test_a_link_of_roots_is_followed_to_the_portals_data_alone(
    directories: Path, monkeypatch: pytest.MonkeyPatch, link: str, target: str, followed: bool
) -> None:
    if os.geteuid() != 0:
        pytest.skip("gives files to other accounts")
    web = 12345
    monkeypatch.setattr(pwd, "getpwnam", lambda _name: SimpleNamespace(pw_uid=web, pw_gid=web))
    monkeypatch.setattr(os, "getgrouplist", lambda _name, group: [group])
    for path in (
        "chamilo/var/upload/roots",
        "chamilo/config",
        "chamilo/of_the_group",
        "chamilo/writable",
        "roots",
        "webs",
        "groups",
    ):
        (directories / path).mkdir(parents=True)
    os.chown(directories / "chamilo/var/upload", web, web)
    for path, mode in (("of_the_group", 0o755), ("writable", 0o775)):
        os.chown(directories / "chamilo" / path, 0, web)
        (directories / "chamilo" / path).chmod(mode)
    os.chown(directories / "webs", web, web)
    os.chown(directories / "groups", 0, web)
    target = target.format(folders=directories)
    if not os.path.exists(target):
        pytest.skip(f"no {target} here")
    (directories / "chamilo" / link).symlink_to(target)
    found = saved_files.contents(of_campus(directories))
    assert found == sorted([str(directories / "chamilo"), *([target] if followed else [])])
    assert [link in line for line in saved_files.strange_links(of_campus(directories))] == [True] * (not followed)


def test_no_process_is_saved(directories: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    var = directories / "chamilo" / "var"
    var.mkdir(parents=True)
    monkeypatch.setattr(pwd, "getpwnam", lambda _name: SimpleNamespace(pw_uid=os.geteuid(), pw_gid=os.getegid()))
    (var / "x").symlink_to(f"/proc/{os.getpid()}/task")
    assert saved_files.contents(of_campus(directories)) == [str(directories / "chamilo")]


def test_a_link_to_a_link_without_end_leads_nowhere(directories: Path) -> None:
    (directories / "chamilo").mkdir()
    (directories / "chamilo" / "own").symlink_to("own")
    for number in range(5000):
        (directories / "chamilo" / f"{number}").symlink_to(f"{number + 1}")
    assert saved_files.contents(of_campus(directories)) == [str(directories / "chamilo")]


class Asked(restic.Repository):
    """``summary``: how many files restic reports; ``complaint``: what it writes of errors."""

    def __init__(self, there: Portal, files: int = 1, complaint: str = "") -> None:
        super().__init__(there, "/repository")
        self.files, self.complaint, self.arguments, self.listed = files, complaint, (), b""

    def run(self, *arguments: str, accepted: Any = (0,), **_more: Any) -> tuple[str, str]:
        assert accepted == (0, 3)
        self.arguments, self.listed = arguments[:-1], Path(arguments[-1]).read_bytes()
        return json.dumps({"message_type": "summary", "total_files_processed": self.files}), self.complaint


def test_the_files_that_are_saved_are_listed_in_a_file(directories: Path) -> None:
    there = of_campus(directories)
    (directories / "chamilo/var").mkdir(parents=True)
    (directories / "data").mkdir()
    (directories / "chamilo/data").symlink_to("../data")
    place = Asked(there)
    assert saved_files.save(place, ["--tag", "x"], saved_files.chosen(there))["total_files_processed"] == 1
    assert place.listed == f"{directories}/chamilo\0{directories}/data\0".encode()
    skipped = [f"--exclude={directories}/chamilo/{name}" for name in ("var/cache/*", "node_modules", ".git")]
    assert place.arguments == ("backup", "--json", "--quiet", "--tag", "x", *skipped, "--files-from-raw")


def test_a_backup_without_a_file_of_the_portal_is_none(directories: Path) -> None:
    there = of_campus(directories)
    with pytest.raises(BackupError, match="chamilo/var is not there, so there is nothing to back up"):
        saved_files.save(Asked(there), [], NOTHING)
    (directories / "chamilo/var").mkdir(parents=True)
    with pytest.raises(BackupError, match=f"^The backup of {directories}/chamilo is empty.$"):
        saved_files.save(Asked(there, files=0), [], NOTHING)


def test_a_file_that_cannot_be_read_is_a_fault_and_one_that_is_gone_is_none(directories: Path) -> None:
    there = of_campus(directories)
    (directories / "chamilo/var").mkdir(parents=True)
    (directories / "chamilo/closed").touch()
    error = {"message_type": "error", "item": str(directories / "chamilo/gone")}
    lines = ["Warning: x", "[1]", "7", json.dumps({**error, "message_type": "status"}), json.dumps(error), "{}"]
    lines.append(json.dumps({"message_type": "error"}))
    saved_files.save(Asked(there, complaint="\n".join(lines)), [], NOTHING)
    lines[3:3] = [json.dumps({**error, "item": str(directories / "chamilo/closed")})]
    with pytest.raises(BackupError, match=f"^Files could not be read: {directories}/chamilo/closed.$"):
        saved_files.save(Asked(there, complaint="\n".join(lines)), [], NOTHING)


def test_the_certificate_of_the_portal_is_saved_with_what_its_links_lead_to(
    directories: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directories / "chamilo/var").mkdir(parents=True)
    (directories / "privkey1.pem").touch()
    (directories / "privkey.pem").symlink_to("privkey1.pem")
    served = SimpleNamespace(file=f"{directories}/gone.pem", key=f"{directories}/privkey.pem")
    monkeypatch.setattr(saved_files, "discover", lambda *_words: SimpleNamespace(served=served))
    found = saved_files.chosen(of_campus(directories))
    assert found.paths[1:] == [f"{directories}/privkey.pem", f"{directories}/privkey1.pem"] and not found.problems


def test_files_of_holes_are_left_out_where_they_claim_too_much(directories: Path) -> None:
    """Whatever the web user calls them; what is small, or has data, is saved."""
    upload = directories / "chamilo/var/upload"
    (directories / "chamilo/var/cache/x").mkdir(parents=True)
    upload.mkdir()
    for name, size in (("a*b c\nd", 1 << 42), ("also", 1 << 41), ("small", 1 << 30), ("cache", 0)):
        with open(upload / name, "wb") as stream:
            stream.truncate(size)
    with open(directories / "chamilo/var/cache/x/y", "wb") as stream:
        stream.truncate(1 << 42)
    (upload / "data").write_bytes(b"x" * (2 << 20))
    there = of_campus(directories)
    found = saved_files.chosen(there)
    assert found.hollow == [f"{upload}/also", f"{upload}/a*b c\nd"]
    assert found.problems == [
        f"Left out, because they are nearly nothing but holes and too large: {upload}/also, {upload}/a*b c\\nd."
    ]
    place = Asked(there)
    saved_files.save(place, [], found)
    assert place.arguments[-3:-1] == (f"--exclude={upload}/also", f"--exclude={upload}/a\\*b c\nd")
    assert 2 << 20 <= found.since(0) < 3 << 20 and found.since(4e9) == 0
