# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links, files with several names, and what is exchanged meanwhile. Real files, as root; the web user is www-data."""

from __future__ import annotations

import errno
import os
import socket
import stat

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import entries
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.entries import Entries
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.walk import run
from tests.unit.plugins.module_utils._permissions.conftest import WEB, at_the_moment, give, order, reasons, state


@pytest.fixture
def outside(tmp_path):
    """What must never change."""
    file = tmp_path / "shadow"
    file.write_text("root:secret")
    file.chmod(0o600)
    return file


def test_no_link_is_followed(site, outside, tmp_path):
    os.symlink(outside, site / "var/link")
    os.symlink(tmp_path, site / "src/folder")
    before = state(outside), state(tmp_path)
    run(order(site))
    assert (state(outside), state(tmp_path)) == before


def test_a_hard_link_to_a_file_elsewhere_is_left_alone(site, outside):
    os.link(outside, site / "var/log/shadow")
    os.link(outside, site / "src/shadow.php")
    before = state(outside)
    found = run(order(site))
    assert state(outside) == before
    assert [*reasons(found).values()] == ["has 3 names, and 1 of them not in this tree"]


def test_names_that_are_all_in_the_tree_are_set_once(site):
    os.link(site / "src/Kernel.php", site / "src/Again.php")
    found = run(order(site))
    assert state(site / "src/Again.php") == (0, WEB.pw_gid, "0644")
    assert not found.refused_total


@pytest.mark.parametrize(
    ("profile", "directory", "movable"),
    [
        ("production", "src", False),  # PHP may read there
        ("production", "var/log", True),
        ("upgrade", "src", True),  # its group may write there
    ],
)
def test_a_check_knows_where_names_could_be_moved(site, profile, directory, movable):
    for name in ("one", "two"):
        (site / directory / name).mkdir()
    (site / directory / "one/file").write_text("")  # root's, so a name may hide one that is elsewhere
    os.link(site / directory / "one/file", site / directory / "two/file")
    predicted = run(order(site, profile), check=True)
    done = run(order(site, profile))
    for found in (predicted, done):
        names = list(reasons(found))  # the one that is met first, in the order of the file system
        assert len(names) == movable and {*names} <= {f"{directory}/one/file", f"{directory}/two/file"}


def by_a_link(path, outside):
    os.unlink(path)
    os.symlink(outside, path)


def by_a_name_of_a_file_of_root_s(path, outside):
    os.unlink(path)
    os.link(outside, path)


def by_a_fifo(path, outside):
    os.unlink(path)
    os.mkfifo(path)


def by_a_folder(path, outside):
    os.unlink(path)
    os.mkdir(path)


@pytest.mark.parametrize("exchange", [by_a_link, by_a_name_of_a_file_of_root_s, by_a_fifo, by_a_folder])
def test_a_file_that_is_exchanged_at_the_very_moment(site, outside, monkeypatch, exchange):
    """Between its inspection and its opening: nothing outside changes, and the walk does not wait."""
    file = site / "src/Kernel.php"
    before = state(outside)
    at_the_moment(monkeypatch, file.name, lambda: exchange(file, outside))
    messages = reasons(run(order(site)))
    assert state(outside) == before
    assert list(messages) == ["src/Kernel.php"]
    assert "exchanged" in messages["src/Kernel.php"] or "not in this tree" in messages["src/Kernel.php"]


def of_another_file(site, outside):
    os.unlink(site / "src/Again.php")
    os.link(outside, site / "src/Again.php")


def with_a_name_less(site, _outside):
    os.unlink(site / "src/Kernel.php")


def by_a_link_on_the_way(site, outside):
    os.rename(site / "src", site / "gone")
    os.symlink(outside.parent, site / "src")


@pytest.mark.parametrize("exchange", [of_another_file, with_a_name_less, by_a_link_on_the_way])
def test_names_that_are_exchanged_after_they_were_counted(site, outside, monkeypatch, exchange):
    os.link(site / "src/Kernel.php", site / "src/Again.php")
    os.link(site / "src/Kernel.php", site / "src/Last.php")
    before = state(outside)
    settle = Entries.settle_links

    def late(walk):
        exchange(site, outside)
        settle(walk)

    monkeypatch.setattr(Entries, "settle_links", late)
    messages = [*reasons(run(order(site))).values()]
    assert state(outside) == before
    assert messages == ["was exchanged during the check"]


def test_a_name_that_was_counted_twice_is_not_believed(site, monkeypatch):
    """It was moved ahead of the walk: then one more is hidden somewhere else."""
    os.link(site / "src/Kernel.php", site / "src/Again.php")
    observer = Entries.opened

    def twice(walk, handle, path, *given):
        observer(walk, handle, path, *given)
        if path == "src/Again.php":
            observer(walk, handle, path, *given)

    monkeypatch.setattr(Entries, "opened", twice)
    assert [*reasons(run(order(site))).values()] == ["has 2 names, and -1 of them not in this tree"]
    assert state(site / "src/Kernel.php")[2] == "0777"


def test_more_files_with_several_names_than_can_be_remembered_are_reported(site, monkeypatch):
    monkeypatch.setattr(entries, "_LINKS", 2)
    for number in range(3):
        (site / f"src/{number}").write_text("")
        (site / f"src/{number}").chmod(0o666)
        os.link(site / f"src/{number}", site / f"vendor/{number}")
    messages = reasons(run(order(site)))
    assert len(messages) == 2 and all("too many files" in why for why in messages.values())
    assert sorted(state(site / f"src/{number}")[2] for number in range(3)) == ["0644", "0644", "0666"]


def test_a_file_that_the_system_does_not_give_away_is_reported_and_the_others_are_set(site, monkeypatch):
    give_away = os.fchown

    def forbidden(handle, *given):
        if os.readlink(f"/proc/self/fd/{handle}").endswith("/Kernel.php"):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        give_away(handle, *given)

    monkeypatch.setattr(os, "fchown", forbidden)
    found = run(order(site))
    assert reasons(found) == {"src/Kernel.php": "Operation not permitted"}
    assert state(site / "src/Kernel.php")[0] == WEB.pw_uid
    assert state(site / "vendor/autoload.php")[::2] == (0, "0644")


def test_several_names_in_a_declared_part_beside_one_that_is_called_alike(site, tmp_path):
    """var is a root of its own, and various is not below it."""
    (site / "various").mkdir()
    for directory in ("var/log", "various"):
        (site / directory / "first").write_text("")
        give(site / directory / "first", 0o777)
        os.link(site / directory / "first", site / directory / "second")
    os.rename(site / "var", tmp_path / "shared")
    os.symlink(tmp_path / "shared", site / "var")
    os.chown(site, 0, 0)
    site.chmod(0o755)
    assert not run(order(site, roots=("var",))).refused_total
    assert state(tmp_path / "shared/log/second") == (WEB.pw_uid, WEB.pw_gid, "0660")
    assert state(site / "various/second") == (0, WEB.pw_gid, "0644")


def test_names_with_different_rules_are_left_alone(site):
    give(site / ".env", 0o640, "root")
    os.link(site / ".env", site / "var/env")
    found = run(order(site))
    assert state(site / ".env") == (0, 0, "0640")
    assert "different rules" in reasons(found)[".env"]


def test_fifo_socket_and_device_are_reported_and_left(site):
    os.mkfifo(site / "var/fifo", 0o666)
    listener = socket.socket(socket.AF_UNIX)
    os.chdir(site / "var")
    listener.bind("socket")
    os.chdir("/")
    os.mknod(site / "public/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    before = {name: state(site / name) for name in ("var/fifo", "var/socket", "public/null")}
    messages = reasons(run(order(site)))
    assert {name: state(site / name) for name in before} == before
    assert (
        "a FIFO" in messages["var/fifo"]
        and "a socket" in messages["var/socket"]
        and "a device" in messages["public/null"]
    )
    listener.close()


def test_a_bind_mount_over_a_file_is_not_changed(site, outside, mount):
    mount("--bind", outside, site / "src/Kernel.php")
    before = state(outside)
    found = run(order(site))
    assert state(outside) == before
    assert found.refused_total == 1
    assert "mounted" in reasons(found)["src/Kernel.php"]
