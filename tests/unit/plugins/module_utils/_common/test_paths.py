# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real links of real accounts: these tests give files to other accounts, so they need root."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application import dotenv
from ansible_collections.chamilo.hardening.plugins.module_utils._application.discovery import discover
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import SiteError
from ansible_collections.chamilo.hardening.plugins.module_utils._common import paths
from ansible_collections.chamilo.hardening.plugins.module_utils._common.mounts import Mount, mounts
from ansible_collections.chamilo.hardening.plugins.module_utils._common.paths import (
    open_path,
    open_regular,
    read_guarded,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._common.tree import Tree

WEB = pwd.getpwnam("www-data")
DEPLOY = pwd.getpwnam("backup").pw_uid


def give(path: Path, user: int, mode: int | None = None, group: int = 0) -> None:
    os.chown(path, user, group, follow_symlinks=False)
    if mode is not None:
        path.chmod(mode)


class Campus:
    """releases/7 and shared/, as Deployer lays them. ``owner`` has laid all of it."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.root = top / "releases/7"
        self.shared = top / "shared"
        for directory in (self.root / "var/upload", self.shared):
            directory.mkdir(parents=True)
        (self.shared / ".env").write_text("DATABASE_USER=shared\n")
        (self.root / ".env").symlink_to("../../shared/.env")
        (top / "current").symlink_to("releases/7")

    def owner(self, user: int) -> Campus:
        for path in [self.top, *self.top.rglob("*")]:
            give(path, user)
        give(self.root / "var/upload", WEB.pw_uid, 0o770)
        give(self.shared / ".env", user, 0o640, WEB.pw_gid)
        return self

    def read(self) -> tuple[str, str]:
        found = dotenv.read(Tree(), str(self.top / "current"), web_user="www-data")
        return found.get("DATABASE_USER"), " ".join(found.problems)


@pytest.fixture
def campus(tmp_path: Path) -> Campus:
    return Campus(tmp_path / "campus").owner(0)


@pytest.mark.parametrize("user", [0, DEPLOY])
def test_shared_files_and_releases_are_read(campus: Campus, user: int) -> None:
    assert campus.owner(user).read() == ("shared", "")


def test_links_of_root_lead_to_a_file_of_the_deploy_user_and_the_other_way_round(campus: Campus) -> None:
    give(campus.shared / ".env", DEPLOY, 0o640, WEB.pw_gid)
    assert campus.read() == ("shared", "")
    campus.owner(DEPLOY)
    give(campus.shared / ".env", 0, 0o640, WEB.pw_gid)
    assert campus.read() == ("shared", "")


def a_link_of_the_web_user(campus: Campus) -> None:
    give(campus.root / ".env", WEB.pw_uid)


def a_link_of_a_stranger(campus: Campus) -> None:
    give(campus.root / ".env", DEPLOY)


def a_folder_of_the_web_user(campus: Campus) -> None:
    give(campus.root, WEB.pw_uid)


def a_folder_of_the_web_user_s_group(campus: Campus) -> None:
    give(campus.root, 0, 0o775, WEB.pw_gid)


def a_release_of_the_web_user(campus: Campus) -> None:
    give(campus.top / "current", WEB.pw_uid)


@pytest.mark.parametrize(
    ("wrong", "name", "target"),
    [
        (a_link_of_the_web_user, ".env", "../../shared/.env"),
        (a_link_of_a_stranger, ".env", "../../shared/.env"),
        (a_folder_of_the_web_user, ".env", "../../shared/.env"),
        (a_folder_of_the_web_user_s_group, ".env", "../../shared/.env"),
        (a_release_of_the_web_user, "current", "releases/7"),
    ],
)
def test_a_link_that_the_web_user_could_have_laid_is_named(campus: Campus, wrong, name: str, target: str) -> None:
    wrong(campus)
    user, problem = campus.read()
    assert user == "" and f" {name} is a link of " in problem and f" to {target}, and www-data could" in problem


def of_the_web_user(path: Path) -> None:
    give(path, WEB.pw_uid, 0o600)


def of_its_group(path: Path) -> None:
    give(path, 0, 0o660, WEB.pw_gid)


def of_everybody(path: Path) -> None:
    give(path, 0, 0o666)


@pytest.mark.parametrize("wrong", [of_the_web_user, of_its_group, of_everybody])
def test_a_link_of_root_to_what_the_web_user_can_change_is_refused(campus: Campus, wrong) -> None:
    text = campus.root / "var/upload/e.txt"
    text.write_text("DATABASE_USER=theirs\n")
    wrong(text)
    (campus.root / ".env.local").symlink_to("var/upload/e.txt")
    user, problem = campus.read()
    assert user == "" and f"link to {text}, which www-data can change. Give that file to root" in problem


def test_a_secret_of_root_is_never_read_through_a_link(campus: Campus) -> None:
    """`chown -R root` makes every link one of root's."""
    give(campus.shared / ".env", 0, 0o600)
    assert "which root alone can read" in campus.read()[1]


def test_a_file_of_the_web_user_itself_is_read(campus: Campus) -> None:
    """Chamilo's wizard writes it."""
    (campus.root / ".env").unlink()
    (campus.root / ".env").write_text("DATABASE_USER=wizard\n")
    give(campus.root / ".env", WEB.pw_uid, 0o600)
    assert campus.read() == ("wizard", "")


def test_a_directory_that_a_link_leads_back_to_can_be_listed(campus: Campus) -> None:
    (campus.root / "here").symlink_to(".")
    handle, linked = open_path(str(campus.root / "here"), lambda *_link: "")
    assert (sorted(os.listdir(handle)), linked) == ([".env", "here", "var"], True)
    os.close(handle)


def test_a_refused_environment_stops_a_run_before_anything_changes(host) -> None:
    host.install("nginx")
    host.chamilo()
    host.testbed_site("nginx", "plain")
    env = host.root / "var/www/chamilo/.env"
    env.rename(host.root / "secret")
    env.symlink_to(host.root / "secret")
    give(env, WEB.pw_uid)
    site = discover("campus.test", tree=host.tree)
    assert "APP_ENV" not in site.environment
    assert any(".env is a link of www-data" in problem for problem in site.problems)
    with pytest.raises(SiteError, match=r"\.env is a link of www-data"):
        discover("campus.test", require=True, tree=host.tree)


@pytest.mark.parametrize(
    ("link", "directory", "mode", "trusted"),
    [
        (0, 0, 0o755, True),
        (0, 0, 0o775, False),
        (0, 0, 0o757, False),
        (0, 0, 0o1777, True),
        (DEPLOY, 0, 0o755, False),
        (0, DEPLOY, 0o755, False),
        (DEPLOY, 0, 0o1777, False),
    ],
)
def test_only_a_link_of_root_s_that_root_alone_can_move_is_followed(link, directory, mode, trusted) -> None:
    there = SimpleNamespace(st_uid=directory, st_mode=0o40000 | mode)
    refusal = paths.of_root("/etc/x", "/srv", SimpleNamespace(st_uid=link, st_mode=0o120777), there)
    assert (refusal == "") == trusted
    if not trusted:
        assert refusal.startswith("/etc/x is a link to /srv that an account other than root could have made.")


def test_a_device_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / ".env").symlink_to("/dev/zero")
    with pytest.raises(OSError, match="no regular file but a device"):
        open_path(str(tmp_path / ".env"), lambda *_link: "")


def test_a_link_is_led_and_owned_by_one_and_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root's link was inspected, and another lies in its place when it is read."""
    for name in ("good", "bad"):
        (tmp_path / name).mkdir()
    (tmp_path / "here").symlink_to("good")
    (tmp_path / "theirs").symlink_to("bad")
    give(tmp_path / "theirs", WEB.pw_uid)
    inspected = os.stat

    def inspect(path: str, **how: Any) -> os.stat_result:
        found = inspected(path, **how)
        if path == "here":
            (tmp_path / "theirs").replace(tmp_path / "here")
        return found

    monkeypatch.setattr(os, "stat", inspect)
    owners = []
    handle, _linked = open_path(str(tmp_path / "here"), lambda _part, _to, link, _in: owners.append(link.st_uid) or "")
    assert os.path.samestat(os.fstat(handle), inspected(tmp_path / "bad"))
    os.close(handle)
    assert owners == [WEB.pw_uid]


def test_mounts_whose_names_contain_spaces_and_the_last_one_on_a_directory(tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text(
        "21 29 0:19 / /srv/my\\040campus/var rw,relatime shared:7 - tmpfs tmpfs rw\n"
        "22 29 0:20 / /a\\134b rw - proc p rw\n"
        "23 29 0:21 / /srv/late rw shared:8 master:1 - autofs systemd-1 rw\n"
        "24 23 0:22 / /srv/late rw shared:9 - nfs4 store:/late rw\n"
    )
    known = {
        "/srv/my campus/var": Mount("tmpfs", "tmpfs"),
        "/a\\b": Mount("proc", "p"),
        "/srv/late": Mount("nfs4", "store:/late"),
    }
    assert mounts(str(tmp_path / "mountinfo")) == known


@pytest.mark.parametrize("laid_by", [WEB.pw_uid, 0])  # before the tree is given to root, and after that
@pytest.mark.parametrize("name", ["version.php", "public/main/install/version.php", "composer.json"])
def test_a_planted_link_puts_nothing_of_a_root_only_file_into_the_report(host, laid_by: int, name: str) -> None:
    host.install("nginx")
    host.chamilo()
    host.testbed_site("nginx", "plain")
    secret = host.root / "root/key"
    secret.parent.mkdir()
    secret.write_text('{"version": "9.8.7"}' if "json" in name else "<?php return ['new_version' => '9.8.7-s3cret'];")
    secret.chmod(0o600)
    root = host.root / "var/www/chamilo"
    (root / "public/main/install/version.php").unlink()
    (root / name).symlink_to(os.path.relpath(secret, (root / name).parent))
    give(root / name, laid_by)
    found = discover("campus.test", tree=host.tree)
    assert found.root == "/var/www/chamilo" and found.version == ""
    assert any(name in problem for problem in found.problems)


@pytest.mark.parametrize("web_user", ["", "www-data"])
def test_a_log_or_script_is_not_read_through_a_link_of_the_web_users(tmp_path: Path, web_user: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.symlink_to("secret")
    give(theirs, WEB.pw_uid)
    ours.symlink_to("secret")
    with pytest.raises(OSError, match="theirs is a link of www-data"):
        open_regular(str(theirs), web_user)
    os.close(open_regular(str(ours), web_user))
    os.mkfifo(tmp_path / "pipe")
    for other in ("pipe", "."):
        with pytest.raises(OSError, match="no regular file"):
            open_regular(str(tmp_path / other), web_user)


def test_what_is_read_of_a_giant_is_bounded(tmp_path: Path) -> None:
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(1 << 42)
    assert read_guarded(str(tmp_path / "sparse"), "www-data", 10) == bytes(10)


def test_file_systems_on_which_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text(
        "21 29 0:19 / / rw,relatime shared:7 - ext4 /dev/x rw,errors=remount-ro\n"
        "22 29 0:20 / /usr ro,relatime - ext4 /dev/y rw\n"
        "23 29 0:21 / /srv rw shared:8 - ext4 /dev/z ro\n"
        "24 29 0:22 / /mine rw shared:9 - fuse.x x rw,user_id=33,group_id=33\n"
        "25 29 0:23 / /root rw shared:9 - fuse.x x rw,user_id=0,group_id=0\n"
    )
    known = mounts(str(tmp_path / "mountinfo"))
    assert [point for point, mount in known.items() if mount.read_only] == ["/usr", "/srv"]
    assert [point for point, mount in known.items() if mount.of_user] == ["/mine"]


@pytest.mark.parametrize(
    ("name", "followed"), [("no-such-user", True), ("root", True), (WEB.pw_name, False), ("", False)]
)
def test_a_link_is_followed_for_a_web_user_that_gains_nothing_by_it(name: str, followed: bool) -> None:
    """One of the web user's in a directory of its own; Debian's, where none is known."""
    theirs = os.stat_result((0o40755, 1, 1, 1, WEB.pw_uid, WEB.pw_gid, 0, 0, 0, 0))
    why = paths.untrusted(name)("/srv/link", "/etc", theirs, theirs)
    assert why.startswith(
        "" if followed else "/srv/link is a link of www-data to /etc, and www-data could have laid it."
    )
    assert bool(why) is not followed


def test_pieces_of_files(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"0123456789")
    assert (paths.head(str(path), 3), paths.tail(str(path), 3), paths.tail(str(path), 5)) == (b"012", b"789", b"56789")
    os.mkfifo(tmp_path / "pipe")
    assert [paths.head(str(other), 3) for other in (tmp_path, tmp_path / "pipe", tmp_path / "gone")] == [b""] * 3


def test_what_opens_and_cannot_be_read_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"text")

    def fails(*_what: object) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(paths.os, "pread", fails)
    handles = len(os.listdir("/proc/self/fd"))
    assert paths.head(str(path), 3) == paths.tail(str(path), 3) == b""
    assert len(os.listdir("/proc/self/fd")) == handles
