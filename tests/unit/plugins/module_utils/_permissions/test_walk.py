# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole trees and several processes. Real files, as root; the web user is www-data."""

from __future__ import annotations

import errno
import os
import signal

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import walk as permissions_walk
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.policy import PermsError
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.walk import run
from tests.unit.plugins.module_utils._common.test_acl import let_write
from tests.unit.plugins.module_utils._permissions.conftest import (
    WEB,
    at_the_moment,
    fill,
    give,
    order,
    picture,
    reasons,
    sloppy,
    state,
)


def test_a_second_run_changes_nothing_and_scans_everything(site):
    first = run(order(site))
    second = run(order(site))
    assert not second.fixed.total() and not second.samples
    assert second.entries == first.entries == sum(1 for _ in site.rglob("*")) + 1


def test_a_check_reports_what_a_run_does_and_touches_nothing(site):
    (site / "var/upload").mkdir()
    os.link(site / "src/Kernel.php", site / "src/Second.php")
    os.link(site / "src/Kernel.php", site / "var/upload/third.php")
    before = picture(site)
    predicted = run(order(site), check=True)
    assert picture(site) == before
    done = run(order(site))
    assert vars(predicted) == {**vars(done), "links": predicted.links}


def test_no_handle_is_left_open(site):
    before = set(os.listdir("/proc/self/fd"))
    run(order(site, roots=("var", "config")))
    assert set(os.listdir("/proc/self/fd")) <= before


@pytest.mark.parametrize("turn", [1, 2])
def test_a_directory_that_is_exchanged_at_the_very_moment(site, tmp_path, monkeypatch, turn):
    """When it is met, and when its turn comes."""
    other = sloppy(tmp_path / "other")
    before = picture(other)

    def exchange():
        os.rename(site / "var/log", tmp_path / "away")
        os.symlink(other, site / "var/log")

    at_the_moment(monkeypatch, "log", exchange, turn)
    assert "exchanged" in reasons(run(order(site)))["var/log"]
    assert picture(other) == before


def test_a_directory_that_another_file_system_covers_when_its_turn_comes(site, mount, monkeypatch):
    def cover():
        mount("-t", "tmpfs", "-o", "mode=777", "tmpfs", site / "var/log")
        (site / "var/log/file").touch(0o666)

    at_the_moment(monkeypatch, "log", cover, 2)
    run(order(site))
    assert state(site / "var/log/file")[2] == "0644", "it was not looked at"


def test_several_processes_report_all_that_one_reports(site):
    """Every kind of thing, in the last directories of the scan."""
    fill(site, 400, 1)
    for number in (7, 250, 399):
        directory = site / f"var/upload/{number % 20}/{number}"
        os.mkfifo(directory / "fifo")
        os.link(directory / "0", directory / "again")
        os.symlink("/etc/shadow", directory / "link")
        give(directory / "link", 0)
        (site / f"public/build/{number}").mkdir()
        (site / f"public/build/{number}/x.php").write_text("<?php")
        give(site / f"public/build/{number}/x.php", 0o600, "root")
    one = run(order(site), check=True, processes=1)
    two = run(order(site), check=True, processes=2)
    assert one.disabled == dict.fromkeys((f"public/build/{number}" for number in (7, 250, 399)), 1)
    for name in ("entries", "fixed", "refused", "refused_total", "disabled", "links"):
        assert getattr(two, name) == getattr(one, name)
    assert len(two.samples) == len(one.samples) == 20


@pytest.mark.parametrize("name", ["src/Kernel.php", "src"])
@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOENT, None),
        (errno.ELOOP, "was exchanged"),
        (errno.EPERM, "Operation not permitted"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_what_goes_or_is_exchanged_during_the_scan(site, monkeypatch, name, number, words):
    """What has gone is no fault; all else is reported, and the walk continues."""
    openly = os.open

    def opened(path, *given, **options):
        if path == os.path.basename(name):
            raise OSError(number, os.strerror(number))
        return openly(path, *given, **options)

    monkeypatch.setattr(os, "open", opened)
    output = reasons(run(order(site)))
    assert list(output) == ([name] if words else [])
    assert all(words in why for why in output.values())
    assert state(site / "vendor/autoload.php")[2] == "0644"


def test_deeper_than_any_descriptor_can_go_is_reported(site):
    """And what lies beside the way is scanned."""
    here = os.open(site / "var", os.O_RDONLY)
    for level in range(1000):
        os.mkdir("d", dir_fd=here)
        for name in range(4 if level < 20 else 0):  # some are listed after it
            os.mkdir(f"{level}-{name}", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    found = run(order(site))
    assert found.refused_total == 1 and "levels deep" in found.refused[0]["why"]
    beside = [site / "var" / ("d/" * level) / f"{level}-{name}" for level in range(20) for name in range(4)]
    assert {state(path)[2] for path in beside} == {"0770"}


def test_a_bind_mount_of_the_same_file_system_is_not_entered(site, tmp_path, mount):
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").write_text("")
    (site / "var/mounted").mkdir()
    mount("--bind", other, site / "var/mounted")
    before = picture(other)
    output = reasons(run(order(site)))
    assert picture(other) == before
    assert "another file system" in output["var/mounted"]


def test_only_root_can(site, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 33)
    with pytest.raises(PermsError, match="Only root"):
        run(order(site))


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """A directory of 4,100 files that are as they should be."""
    directory = tmp_path_factory.mktemp("crowd")
    for number in range(4100):
        os.close(os.open(directory / str(number), os.O_CREAT, 0o644))
    run(order(directory))
    assert not run(order(directory)).changed
    return directory


def test_filling_a_directory_with_what_is_right_cannot_block_the_walk_for_ever(crowd, monkeypatch):
    """Its end may never come, so it is not waited for."""
    monkeypatch.setattr(permissions_walk, "_IN_ONE", 4000)
    with pytest.raises(PermsError, match="/crowd0 has more than 4,000 entries, or is being filled"):
        run(order(crowd))
    with pytest.raises(PermsError, match="not wholly checked in time"):
        run(order(crowd), patience=-1)


@pytest.mark.parametrize("processes", [1, 2])
def test_filling_a_directory_keeps_no_other_one_open(site, monkeypatch, processes):
    fill(site)
    (site / "var/upload/crowd").mkdir()
    for number in range(4100):
        (site / f"var/upload/crowd/{number}").touch()
    others = [site / "public/index.php", *(site / f"var/upload/{number % 20}/{number}/0" for number in range(400))]
    for path in others:
        give(path, 0o666)
    monkeypatch.setattr(permissions_walk, "_IN_ONE", 4000)
    with pytest.raises(PermsError, match="crowd has more than 4,000 entries"):
        run(order(site), processes=processes)
    assert not [path for path in others if path.stat().st_mode & 0o002]


def without_a_word():
    """As the kernel ends it where the memory ends."""
    os.kill(os.getpid(), signal.SIGKILL)


def with_an_error():
    raise MemoryError("no more")


@pytest.mark.parametrize(("die", "words"), [(with_an_error, "MemoryError: no more"), (without_a_word, "it was killed")])
def test_a_process_that_dies_is_no_success(site, monkeypatch, die, words):
    fill(site)
    monkeypatch.setattr(permissions_walk, "_ENOUGH", 1)
    parent, work = os.getpid(), permissions_walk._Walk.work

    def dying(walk, *arguments):
        if os.getpid() != parent:
            die()
        work(walk, *arguments)

    monkeypatch.setattr(permissions_walk._Walk, "work", dying)
    with pytest.raises(PermsError, match=f"not all of it was checked: {words}"):
        run(order(site), processes=2)


@pytest.mark.parametrize("way", ["owner", "mode", "acl"])
def test_what_git_could_run_for_the_web_user_never_becomes_root_s(site, way):
    """Git works for root in what is root's, and refuses to in what is another user's."""
    git = site / ".git"
    (git / "hooks").mkdir(parents=True)
    (git / "config").write_text("[core]\n\tfsmonitor = touch /tmp/x\n")
    git.chmod(0o755)
    if way == "acl":
        let_write(git, WEB.pw_uid)
    else:
        give(git, 0o777, "root" if way == "mode" else "www-data")
    found = run(order(site))
    assert "chown -R" in reasons(found)[".git"] and state(git)[::2] == (WEB.pw_uid, "0700")
    assert state(git / "config")[2] == "0644", "it was not entered"
    again = run(order(site))
    assert not again.changed and reasons(again) == reasons(found)
    for path in (git, git / "hooks", git / "config"):  # as an administrator does who has read them
        os.chown(path, 0, 0)
    assert reasons(run(order(site))) == {}
    assert [state(path)[::2] for path in (git, git / "config")] == [(0, "0700"), (0, "0600")]
