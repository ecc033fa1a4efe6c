# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One walk over the project directory. What is made of it: test_permissions.py."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.observer import Unseen
from ansible_collections.chamilo.hardening.plugins.module_utils._audit import permissions
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring import tree
from tests.unit.plugins.module_utils._common.test_acl import packed


def test_links_out_of_the_site(tree_look, project):
    (project / "var/upload/inside").symlink_to(project / "var/log")
    (project / "public/bundle").symlink_to("/usr/share")  # where only root can put one
    assert permissions.links(tree_look()).status == "pass"
    (project / "var/upload/outside").symlink_to("/etc/passwd")
    finding = permissions.links(tree_look())
    assert finding.status == "fail"
    assert "lead out of the site, for example var/upload/outside" in finding.evidence


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("src/Planted.php", "../var/upload/resource/essay.txt"),
        ("public/main.php", "../var/upload/later.txt"),
        (".env.local", "var/upload/resource/essay.txt"),
        ("config/late.php", "/tmp/nothing-is-here-yet/a.php"),
        ("src/Planted", "../var/upload"),
        ("config/x.php", "{elsewhere}/file"),
    ],
)
def test_a_link_in_the_program_to_what_the_web_user_can_change(tree_look, project, web_user, link, target):
    """Whichever account the link belongs to: chown -h gives it to root in a moment."""
    elsewhere = project.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").touch()
    shutil.chown(elsewhere, web_user)
    (project / link).symlink_to(target.format(elsewhere=elsewhere))
    finding = permissions.links(tree_look())
    assert finding.status == "fail"
    assert f"links in the program to what the web user can change, for example {link}" in finding.evidence


@pytest.mark.parametrize(
    ("mode", "there", "exchanged"),
    [(0o777, True, True), (0o1777, True, False), (0o1777, False, True), (0o755, True, False), (0o755, False, False)],
)
def test_what_can_be_exchanged_or_made_in_a_directory(tmp_path, mode, there, exchanged):
    file = tmp_path / "file"
    if there:
        file.touch(0o644)
    tmp_path.chmod(mode)
    assert tree.changeable(str(file), [tree.identity("nobody")]) == exchanged


@pytest.mark.parametrize("target", ["../.env", "../config/jwt", "..", "/", "{root}/config", "../.git"])
@pytest.mark.parametrize("owner", [0, 1])
def test_a_link_that_gives_secrets_a_web_address(tree_look, project, web_user, target, owner):
    """Whichever account it belongs to: the owner of a link changes with that of the tree."""
    (project / ".git").mkdir(exist_ok=True)
    (project / "public/x").symlink_to(target.format(root=project))
    os.lchown(project / "public/x", pwd.getpwnam(web_user).pw_uid if owner else 0, -1)
    finding = permissions.links(tree_look())
    assert finding.status == "fail"
    assert "give a web address to secrets of the program, for example public/x" in finding.evidence


def test_a_link_of_the_web_users_to_a_directory_of_its_own(tree_look, project, web_user):
    (project / "public/x").symlink_to("../var/upload")
    assert permissions.links(tree_look()).status == "pass"
    os.lchown(project / "public/x", pwd.getpwnam(web_user).pw_uid, -1)
    assert "public/x" in permissions.links(tree_look()).evidence


def test_links_of_the_administrators_to_data_and_in_the_program(tree_look, project, web_user):
    """Upload directories on another disk, assets of Symfony's bundles, what releases have in common."""
    data, shared = project.parent / "data", project.parent / "shared"
    for directory in (data, shared, project / "vendor/bundle/public", project / "public/bundles"):
        directory.mkdir(parents=True)
    shutil.chown(data, web_user)
    (shared / ".env").write_text("APP_ENV=prod\n")
    (shared / "settings.yaml").touch()
    for link, target in (
        ("public/courses", data),
        ("public/upload", "../var/upload"),
        ("public/bundles/x", "../../vendor/bundle/public"),
        (".env.local", shared / ".env"),
        ("config/settings.yaml", shared / "settings.yaml"),
        ("var/upload/y", "resource/essay.txt"),
        ("config/sticky.php", "/nonexistent/a.php"),
    ):
        (project / link).symlink_to(target)
    os.lchown(project / "public/bundles/x", pwd.getpwnam(web_user).pw_uid, -1)  # an upgrade made it
    finding = permissions.links(tree_look())
    assert finding.status == "pass", finding.evidence


def test_a_link_into_a_var_that_is_elsewhere(tree_look, project):
    shutil.move(project / "var", project.parent / "shared")
    (project / "var").symlink_to(project.parent / "shared")
    assert permissions.links(tree_look()).status == "pass"
    (project / "src/Planted.php").symlink_to("../var/upload/resource/essay.txt")
    assert "src/Planted.php" in permissions.links(tree_look()).evidence


def test_hard_links(tree_look, project):
    os.link(project / "var/log/prod.log", project / "var/log/again.log")
    assert permissions.links(tree_look()).status == "pass"
    (project.parent / "outside").write_text("the other name\n")
    os.link(project.parent / "outside", project / "var/upload/trap")
    finding = permissions.links(tree_look())
    assert finding.status == "fail"
    assert "var/upload/trap" in finding.evidence


def test_a_shared_var_behind_the_administrators_link_is_part_of_the_site(tree_look, project):
    shutil.move(project / "var", project.parent / "shared")
    (project / "var").symlink_to(project.parent / "shared")
    observer = tree_look()
    assert permissions.var(observer).status == "pass"
    (project.parent / "shared/log/prod.log").chmod(0o666)
    assert permissions.var(tree_look()).status == "fail"
    assert permissions.no_777(tree_look()).status == "fail"
    (project.parent / "shared/log/prod.log").chmod(0o660)
    (project.parent / "shared").chmod(0o777)
    assert permissions.no_777(tree_look()).evidence.startswith("1 entry can be changed by every account of this host")


def test_names_that_could_harm_a_terminal_are_escaped(tree_look, project):
    name = "evil\x1b[2Jname\n"
    (project / "var" / name).write_text("x")
    (project / "var" / name).chmod(0o777)
    finding = permissions.no_777(tree_look())
    assert "\x1b" not in finding.evidence
    assert r"evil\x1b[2Jname\n" in finding.evidence


def test_a_loop_of_links_has_an_end(tree_look, project):
    before = tree.tree(tree_look()).entries
    (project / "var/upload/loop").symlink_to(project)
    (project / "var/upload/self").symlink_to("self")
    (project / "config/nowhere").symlink_to("/nonexistent")
    assert tree.tree(tree_look()).entries == before + 3


def test_a_pipe_is_never_opened(tree_look, project):
    os.mkfifo(project / "public/.env.old", 0o666)
    (project / "public/.env.old").chmod(0o666)
    seen = tree.tree(tree_look())
    assert seen.every_address.samples == ["public/.env.old"] and seen.left == []


def test_the_topmost_directory_that_the_web_user_can_change_is_named(tree_look, project, web_user):
    (project / "public/plugin/deep").mkdir(parents=True)
    for path in ("public/plugin", "public/plugin/deep"):
        shutil.chown(project / path, web_user)
    seen = tree.tree(tree_look())
    assert (seen.public_writable, seen.public_writable_count) == (["public/plugin"], 1)


def test_a_directory_that_the_web_user_can_change_behind_a_link_below_public_is_named_by_its_address(
    tree_look, project, web_user
):
    data = project.parent / "data"
    for directory in (data / "upload/deep", data / "own", project / "public/img", project / "vendor/bundle/public"):
        directory.mkdir(parents=True)
    shutil.chown(data / "upload", web_user)
    for link, target in (
        ("public/courses", "../var/upload"),
        ("public/files", data),
        ("public/img/again", data / "upload"),
        ("public/bundle", "../vendor/bundle/public"),
        ("public/self", "."),
        ("public/gone", "/nonexistent"),
        ("../data/0", "0"),
        ("public/loop", "loop"),
        ("public/page.html", "index.php"),
    ):
        (project / link).symlink_to(target)
    (data / "upload/more").symlink_to("/tmp")  # within what is named anyway
    observer = tree_look()
    seen = tree.tree(observer)
    there = ["courses", "files/upload", "img/again"]
    assert sorted(seen.public_writable) == [f"public/{name}" for name in (*there, *(f"self/{name}" for name in there))]
    assert seen.public_unread == []
    assert permissions.links(tree_look()).status == "pass", "uploads that the administrator has elsewhere"


def test_too_much_behind_a_link_below_public_is_reported(tree_look, project, monkeypatch):
    (project / "public/shared").symlink_to("../src")
    (project / "src/deep").mkdir()
    monkeypatch.setattr(tree, "_ELSEWHERE", 1)
    seen = tree.tree(tree_look())
    assert (seen.public_writable, seen.public_unread) == ([], ["public/shared"])


def test_what_cannot_be_read_below_a_web_root_is_reported(tmp_path):
    assert tree.writable_directories(str(tmp_path / "gone"), ()) == ([], False)


def test_no_user_is_guessed(look_at):
    with pytest.raises(Unseen, match="neither a web server nor PHP"):
        tree.web_users(look_at())
    with pytest.raises(Unseen, match="the user PHP runs as could not be found"):
        tree.php_user(look_at())
    with pytest.raises(Unseen, match="no-such-user, as whom the site runs, does not exist"):
        tree.identity("no-such-user")


def test_the_web_user_is_never_a_rightful_owner(tree_look, project, web_user):
    """Not even where the whole directory is its own, or where it is declared as the owner."""
    shutil.chown(project, web_user)
    assert tree.owners(tree_look(options={"owner": web_user})) == {0}
    assert tree.owners(tree_look(options={"owner": "no-such-user"})) == {0}


def acl(*entries):
    """As the kernel has it: kind, rights, and the number of a user or group."""
    mask = max(rights for _kind, rights, _number in entries)
    given = sorted([*entries, (1, 6, 2**32 - 1), (4, 4, 2**32 - 1), (0x10, mask, 2**32 - 1)])
    if not any(kind == 0x20 for kind, _rights, _number in entries):
        given.append((0x20, 0, 2**32 - 1))
    return packed(given)


USER, OTHERS = 2, 0x20
ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"


@pytest.mark.parametrize("place", [".", "public", "public/build", "src", "config"])
@pytest.mark.parametrize("kind", [ACCESS, DEFAULT])
def test_an_acl_by_which_the_web_user_can_write_in_the_program_is_red(tree_look, project, web_user, place, kind):
    os.setxattr(project / place, kind, acl((USER, 7, pwd.getpwnam(web_user).pw_uid)))
    finding = permissions.config(tree_look()) if place == "config" else permissions.code(tree_look())
    assert finding.status == "fail"
    assert "an ACL" in finding.evidence and "gives more than" in finding.evidence


@pytest.mark.parametrize("secret", [".env", "config/jwt/private.pem"])
def test_an_acl_by_which_another_reads_secrets_is_red(tree_look, project, secret):
    os.setxattr(project / secret, ACCESS, acl((USER, 4, 1)))
    check = permissions.env if secret == ".env" else permissions.config
    finding = check(tree_look())
    assert finding.status == "fail" and "ACL" in finding.evidence and "gives more than" in finding.evidence


def test_an_acl_by_which_all_could_write_what_is_to_come_is_red(tree_look, project):
    os.setxattr(project / "public/build", DEFAULT, acl((OTHERS, 7, 2**32 - 1)))
    finding = permissions.no_777(tree_look())
    assert finding.status == "fail" and "public/build" in finding.evidence


def test_an_acl_that_gives_no_more_than_the_mode_is_none_of_the_audits_business(tree_look, project):
    os.setxattr(project / "src", DEFAULT, acl((USER, 5, 1)))
    os.setxattr(project / "var/upload", DEFAULT, acl((USER, 7, 1)))
    for check in (permissions.code, permissions.config, permissions.env, permissions.no_777):
        assert check(tree_look()).status == "pass"


def test_an_acl_above_the_site_counts_as_well(tree_look, project, web_user):
    os.setxattr(project.parent, ACCESS, acl((USER, 7, pwd.getpwnam(web_user).pw_uid)))
    assert "so the whole directory can be exchanged" in permissions.code(tree_look()).evidence


def test_an_acl_that_cannot_be_read_is_not_green(tree_look, monkeypatch):
    def refuse(_path, _name, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "getxattr", refuse)
    assert permissions.code(tree_look()).status == "not_assessed"


@pytest.fixture
def shown_as(monkeypatch, project):
    """``shown_as(path, change)``: what the walk sees there is what ``change`` makes of it."""

    def show(path, change):
        real = tree._entries

        def entries(directory):
            listed = real(directory)
            place = f"{project.resolve()}/{path}"
            return [(entry, change(status) if entry.path == place else status) for entry, status in listed]

        monkeypatch.setattr(tree, "_entries", entries)

    return show


def test_an_entry_that_cannot_be_seen_hides_no_other(tree_look, project, shown_as):
    shown_as("public/build", lambda _status: None)
    finding = permissions.no_777(tree_look())
    assert finding.status == "not_assessed" and "public/build" in finding.evidence
    (project / "public/index.php").chmod(0o646)
    assert "public/index.php" in permissions.no_777(tree_look()).evidence


@pytest.mark.parametrize("kind", [stat.S_IFCHR, stat.S_IFBLK])
def test_a_device_is_named(tree_look, shown_as, kind):
    facts = {"st_mode": kind | 0o660, "st_nlink": 1, "st_size": 0, "st_dev": 1, "st_ino": 1}
    shown_as("var/log/prod.log", lambda status: SimpleNamespace(st_uid=status.st_uid, st_gid=status.st_gid, **facts))
    finding = permissions.links(tree_look())
    assert (finding.status, finding.evidence) == ("fail", "1 entry are device files, for example var/log/prod.log.")


def test_another_account_than_root_takes_no_other_one_to_read(tree_look, project, monkeypatch):
    real, taken = tree._entries, []

    def closed(directory):
        if directory.endswith("var/upload"):
            raise PermissionError
        return real(directory)

    monkeypatch.setattr(tree, "_entries", closed)
    monkeypatch.setattr(tree.os, "seteuid", taken.append)
    monkeypatch.setattr(tree.os, "geteuid", lambda: 1000)
    finding = permissions.no_777(tree_look())
    assert finding.status == "not_assessed" and "var/upload" in finding.evidence
    assert taken == []


@pytest.mark.parametrize(
    ("file", "directory", "readable"), [(0o604, 0o701, True), (0o640, 0o701, False), (0o604, 0o700, False)]
)
def test_who_can_read_needs_the_whole_way(tmp_path, monkeypatch, file, directory, readable):
    path = tmp_path / "a/b"
    path.parent.mkdir()
    path.write_text("x")
    path.chmod(file)
    path.parent.chmod(directory)
    # What lies above is the test's own business.
    real = os.stat
    above = set(map(str, tmp_path.parents)) | {str(tmp_path)}
    monkeypatch.setattr(os, "stat", lambda where, **k: real("/", **k) if str(where) in above else real(where, **k))
    assert tree.can_read(tree.Identity("nobody", 65534, frozenset({65534})), str(path)) is readable
