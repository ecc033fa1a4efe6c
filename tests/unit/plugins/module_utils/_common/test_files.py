# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files replaced whole, through directories that no other account can exchange."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import files
from ansible_collections.chamilo.hardening.plugins.module_utils._common.files import (
    ABSENT,
    Item,
    StateError,
    Tree,
    file_item,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction import our_lines
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.our_lines import file_of_root

ME = (os.geteuid(), os.getegid())


def test_a_file_that_was_written_twice_is_noted_once_and_as_it_is_now(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for path, text in ((one, "a"), (other, "b"), (one, "c")):
        path.write_text(text)
        files.note_written(str(path), str(tmp_path))
    expected = [(str(path), hashlib.sha256(path.read_bytes()).hexdigest()) for path in (other, one)]
    assert files.noted(str(tmp_path)) == expected


def test_a_file_is_seen_with_content_owner_and_mode(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old\xff")
    path.chmod(0o640)
    with Tree() as tree:
        seen = tree.inspect(str(path))
    assert seen.same(file_item(b"old\xff", *ME, 0o640))
    assert not seen.same(file_item(b"old\xff", *ME, 0o644))
    assert not seen.same(file_item(b"other", *ME, 0o640))
    assert seen.data == b"old\xff"


def test_what_is_not_there_is_absent_even_below_what_is_not_there(tmp_path: Path) -> None:
    with Tree() as tree:
        assert tree.inspect(str(tmp_path / "a/b/c")) == ABSENT
        assert tree.missing_parents(str(tmp_path / "a/b/c")) == [str(tmp_path / "a"), str(tmp_path / "a/b")]


def test_a_directory_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with Tree() as tree, pytest.raises(StateError, match="neither a file nor a link"):
        tree.inspect(str(tmp_path))


def test_a_fifo_that_takes_the_place_of_a_file_at_the_last_moment_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").write_text("x")
    real = os.stat

    def exchanged(*args: Any, **options: Any) -> os.stat_result:
        info = real(*args, **options)
        if stat.S_ISREG(info.st_mode):
            (tmp_path / "x").unlink()
            os.mkfifo(tmp_path / "x")
        return info

    monkeypatch.setattr(os, "stat", exchanged)
    with Tree() as tree, pytest.raises(StateError, match="neither a file nor a link"):
        tree.inspect(str(tmp_path / "x"))


def test_a_giant_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    with open(tmp_path / "file", "wb") as file:
        file.truncate(1 << 40)
    with Tree() as tree, pytest.raises(StateError, match="larger than 64 MiB"):
        tree.inspect(str(tmp_path / "file"))


def test_a_link_is_inspected_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("x")
    (tmp_path / "link").symlink_to("real")
    with Tree() as tree:
        assert tree.inspect(str(tmp_path / "link")).same(Item("link", target="real"))


def test_links_of_root_on_the_way_are_followed(tmp_path: Path) -> None:
    (tmp_path / "releases/7").mkdir(parents=True)
    (tmp_path / "current").symlink_to("releases/7")
    (tmp_path / "absolute").symlink_to(tmp_path / "current")
    (tmp_path / "releases/7/x").write_text("x")
    with Tree() as tree:
        assert tree.inspect(str(tmp_path / "current/x")).data == b"x"
        assert tree.inspect(str(tmp_path / "absolute/x")).data == b"x"


@pytest.mark.parametrize("how", ["look", "write"])
def test_a_link_of_another_user_is_not_followed(tmp_path: Path, how: str) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "trap").symlink_to("target")
    os.chown(tmp_path / "trap", 33, 33, follow_symlinks=False)
    path = str(tmp_path / "trap/x")
    with Tree() as tree, pytest.raises(StateError, match="trap is a link to target that an account other than root"):
        tree.inspect(path) if how == "look" else tree.write(path, file_item(b"x", *ME, 0o644))
    assert list((tmp_path / "target").iterdir()) == []


@pytest.mark.parametrize(("owner", "mode"), [(33, 0o755), (0, 0o775), (0, 0o777)])
def test_a_link_of_root_is_not_followed_where_others_can_move_it(tmp_path: Path, owner: int, mode: int) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target/x").write_text("x")
    (tmp_path / "web").mkdir(mode)
    (tmp_path / "web").chmod(mode)
    (tmp_path / "web/link").symlink_to("../target")
    os.chown(tmp_path / "web", owner, owner)
    with Tree() as tree, pytest.raises(StateError, match="link is a link to ../target that an account other than root"):
        tree.inspect(str(tmp_path / "web/link/x"))


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with Tree() as tree, pytest.raises(StateError, match="too many links"):
        tree.inspect(str(tmp_path / "a/x"))


def test_a_file_is_replaced_not_written_into(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    os.link(path, tmp_path / "other-name")
    with Tree() as tree:
        tree.write(str(path), file_item(b"new", *ME, 0o600))
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (tmp_path / "other-name").read_text() == "old"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["other-name", "x"]


def test_no_umask_changes_a_mode(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with Tree() as tree:
            tree.make_directory(str(tmp_path / "d"))
            tree.write(str(tmp_path / "d/x"), file_item(b"", *ME, 0o666))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "d").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "d/x").stat().st_mode) == 0o666


def test_time_and_attributes_come_back_with_an_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    os.setxattr(path, "user.note", b"\x00kept")
    os.utime(path, ns=(5, 1_000_000_007))
    with Tree() as tree:
        old = tree.inspect(str(path))
        tree.write(str(path), file_item(b"new", *ME, 0o644))
        assert os.listxattr(path) == []
        tree.write(str(path), old)
    assert path.read_text() == "old"
    assert os.getxattr(path, "user.note") == b"\x00kept"
    assert path.stat().st_mtime_ns == 1_000_000_007


@pytest.mark.parametrize(("number", "fatal"), [(errno.EPERM, False), (errno.ENOTSUP, False), (errno.EIO, True)])
def test_a_label_that_cannot_be_set_keeps_no_content_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, fatal: bool
) -> None:
    def refuse(*_unused: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "setxattr", refuse)
    item = Item("file", *ME, 0o644, xattrs=(("security.x", "AA=="),), data=b"content")
    with Tree() as tree, pytest.raises(OSError) if fatal else contextlib.nullcontext():
        tree.write(str(tmp_path / "x"), item)
    assert (tmp_path / "x").exists() is not fatal


def test_only_empty_directories_go(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/x").write_text("")
    with Tree() as tree:
        assert not tree.remove_directory(str(tmp_path / "d"))
        (tmp_path / "d/x").unlink()
        assert tree.remove_directory(str(tmp_path / "d"))
        assert tree.remove_directory(str(tmp_path / "d"))
    assert not (tmp_path / "d").exists()


def test_an_item_survives_json() -> None:
    item = Item("file", 1, 2, 0o640, "", "abc", "baseline/x", 5, (("user.a", "Yg=="),))
    assert Item.from_json(item.to_json()) == item
    assert ABSENT.to_json() == {"kind": "absent"}


@pytest.mark.parametrize(
    ("mode", "group", "used"),
    [(0o644, 0, True), (0o664, 0, True), (0o664, 1, False), (0o644, 1, True), (0o646, 0, False), (0o602, 0, False)],
)
def test_a_file_that_others_than_root_can_write_is_not_used(tmp_path: Path, mode: int, group: int, used: bool) -> None:
    path = tmp_path / "x"
    path.touch()
    os.chown(path, 0, group)
    path.chmod(mode)
    (tmp_path / "link").symlink_to("x")
    with contextlib.nullcontext() if used else pytest.raises(StateError, match=f"{path} is not changed"):
        assert file_of_root(str(tmp_path / "link")) == str(path)


def test_a_file_of_another_user_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.touch(0o600)
    os.chown(path, 1, 0)
    with pytest.raises(StateError, match=f"{path} is not changed: others than root"):
        file_of_root(str(path))


def test_an_access_list_shows_in_the_bits_of_the_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    path.touch()
    path.chmod(0o664)
    monkeypatch.setattr(our_lines, "has_acl", lambda _handle: True)
    with pytest.raises(StateError, match="others than root can write"):
        file_of_root(str(path))


def test_a_directory_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir(0o700)
    with Tree() as tree:
        tree.make_directory(f"{tmp_path}/there", 0o755)
        tree.make_directory(f"{tmp_path}/new", 0o750)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("there", "new")] == [0o700, 0o750]


def test_what_was_not_staged_takes_no_place(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("old")
    with Tree() as tree:
        with pytest.raises(FileNotFoundError):
            tree.swap(f"{tmp_path}/x", file_item(b"new", *ME, 0o644), ".new")
        assert (tmp_path / "x").read_text() == "old"
        for _again in range(2):
            tree.swap(f"{tmp_path}/x", ABSENT, ".new")
    assert not (tmp_path / "x").exists()


def test_what_lies_below_a_file_cannot_be_reached(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    before = set(os.listdir("/proc/self/fd"))
    with Tree() as tree:
        for name, words in (("file/a", "something on the way is not a directory"), ("file", "it is not a directory")):
            for _again in range(2):
                with pytest.raises(StateError, match=f"^{tmp_path}/{name} cannot be reached: {words}.$"):
                    tree.make_directory(f"{tmp_path}/{name}/x")
    assert set(os.listdir("/proc/self/fd")) <= before
