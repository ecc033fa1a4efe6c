# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PHP that the web user planted outside public/, in a real tree and as root. The web user is www-data."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import pwd
import signal
import stat
import struct
import subprocess
import threading
import time
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import policy, quarantine
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import release as permissions_release
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import walk as permissions_walk
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.entries import Entries
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.release import Release

WEB = pwd.getpwnam("www-data")
CLASSES = [f"src/CoreBundle/C{number}.php" for number in range(15)] + ["src/Kernel.php"]
PACKAGES = [f"vendor/a/b/src/C{number}.php" for number in range(15)]
# Laid with the release, in no map.
DATA = ["vendor/a/b/Resources/data.php", "src/CoreBundle/Resources/data.php"]
OTHERS = ["public/index.php", "public/main/inc/global.inc.php", "vendor/autoload.php", "config/bundles.php"]


def give(path, owner=0):
    os.chown(path, owner, WEB.pw_gid if owner else 0)
    path.chmod(0o644)


def put(site, name, owner=WEB.pw_uid):
    path = site / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("<?php")
    give(path, owner)
    return path


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(permissions_release, "_FEW", 10)


@pytest.fixture
def site(tmp_path):
    """A release of root's, with the map that Composer makes for it."""
    site = tmp_path / "chamilo"
    for name in CLASSES + PACKAGES + DATA + OTHERS:
        put(site, name, 0)
    (site / "var").mkdir()
    write_map(site)
    return site


def write_map(site, names=(*CLASSES, *PACKAGES)):
    lines = [
        f"    'C{number}' => "
        + (f"$vendorDir . '/{name[7:]}'" if name.startswith("vendor/") else f"$baseDir . '/{name}'")
        + ",\n"
        for number, name in enumerate(names)
    ]
    path = put(site, "vendor/composer/autoload_classmap.php", 0)
    path.write_text("<?php\nreturn array(\n" + "".join(lines) + ");\n")


def tree(site, **given):
    return {"path": str(site), "owner": "root", "web_user": "www-data", **given}


def order(site, profile="production", **given):
    return policy.order(tree(site, **given), profile)


def state(path):
    status = os.lstat(path)
    return status.st_uid, status.st_gid, f"{stat.S_IMODE(status.st_mode):04o}"


OURS = (0, WEB.pw_gid, "0644")
PLANTED = [
    "bin/shell.php",
    "config/packages/shell.php",
    "shell.php",
    "src/CoreBundle/Shell.php",
    "templates/shell.phtml",
    "vendor/a/b/src/Shell.php",
]


def test_what_was_planted_is_put_aside_until_it_is_acknowledged(site):
    planted = [put(site, name) for name in PLANTED]
    before = sorted(path for path in site.rglob("*"))
    predicted = permissions_walk.run(order(site), check=True)
    assert sorted(path for path in site.rglob("*")) == before
    found = permissions_walk.run(order(site))
    assert predicted.result() == found.result()
    assert (found.quarantined, found.quarantined_total, found.doubtful) == (PLANTED, 6, [])
    for path in planted:
        assert not path.exists()
        assert state(f"{path}.quarantined") == (0, 0, "0200")
    again = permissions_walk.run(order(site))
    assert (again.changed, again.quarantined) == (False, PLANTED)
    acknowledged = ["src/CoreBundle/Shell.php", "config/**"]
    found = permissions_walk.run(order(site, acknowledged=acknowledged))
    assert found.changed
    assert state(site / "src/CoreBundle/Shell.php") == OURS
    assert state(site / "config/packages/shell.php") == (0, WEB.pw_gid, "0640")
    found = permissions_walk.run(order(site, acknowledged=acknowledged))
    assert (found.changed, found.quarantined) == (
        False,
        [name for name in PLANTED if not name.startswith(("sr", "co"))],
    )


@pytest.mark.parametrize("name", ["src/Kernel.php", PACKAGES[0], "config/bundles.php", "vendor/composer/platform.php"])
def test_what_the_portal_may_need_runs_on_and_is_reported_until_it_is_acknowledged(site, name):
    path = put(site, name)
    for changed in (True, False):
        found = permissions_walk.run(order(site))
        assert (found.changed, found.quarantined, found.doubtful) == (changed, [], [name])
    mode = "0240" if name.startswith("config") else "0244"
    assert state(path) == (0, WEB.pw_gid, mode)
    found = permissions_walk.run(order(site, acknowledged=[name]))
    assert (found.changed, found.doubtful) == (True, [])
    assert state(path) == (0, WEB.pw_gid, "0640" if name.startswith("config") else "0644")


def test_secrets_stay_secret_while_they_are_doubted(site):
    path = put(site, ".env.local.php")
    assert permissions_walk.run(order(site)).doubtful == [".env.local.php"]
    assert state(path) == (0, WEB.pw_gid, "0240")


def test_without_a_map_of_all_classes_files_are_doubtful(site):
    write_map(site, CLASSES[:3])
    put(site, "src/CoreBundle/Shell.php")
    found = permissions_walk.run(order(site))
    assert (found.quarantined, found.doubtful) == ([], ["src/CoreBundle/Shell.php"])


def test_a_part_that_is_the_web_user_s_as_a_whole_is_no_suspect(site):
    """Composer ran as the web user: each file is reported, none is quarantined, in the second run neither."""
    for path in (site / "vendor").rglob("*.php"):
        give(path, WEB.pw_uid)
    for _again in range(2):
        found = permissions_walk.run(order(site))
        assert found.quarantined == []
        assert found.doubtful_total == len(PACKAGES) + 3
    assert (site / DATA[0]).exists()


def test_what_came_an_hour_after_nearly_all_of_its_part(site, monkeypatch):
    monkeypatch.setattr(permissions_release, "_LAID", 60)
    top = os.open(site, os.O_RDONLY)
    release = Release(top, WEB.pw_uid)
    status = os.stat(site / DATA[0])
    assert release.needs(DATA[0], status)
    later = os.stat_result([*status[:9], status.st_ctime + 120])
    assert not release.needs(DATA[0], later)
    assert release.needs(PACKAGES[0], later)
    os.close(top)


def like(owner, changed):
    return os.stat_result([stat.S_IFREG | 0o644, 0, 0, 1, owner, 0, 0, 0, 0, changed])


@pytest.fixture
def laid(site, monkeypatch):
    """``laid(files)``: a release with files of these owners and times in src/. A ctime cannot be set."""

    def made(files):
        names = [f"src/C{number:02}.php" for number in range(len(files))]
        write_map(site, names)
        known = {name: like(*file) for name, file in zip(names, files)}
        seen, pattern = permissions_release.seen, []
        monkeypatch.setattr(
            permissions_release, "seen", lambda top, path: pattern.append(path) or known.get(path) or seen(top, path)
        )
        top = os.open(site, os.O_RDONLY)
        release = Release(top, WEB.pw_uid)
        release.inspect()
        os.close(top)
        return release, [path for path in pattern if path in known]

    return made


def test_the_file_with_the_version_is_needed(laid):
    """Of 3.0, in the project directory: no map of Composer's names it."""
    release, _looks = laid([(0, 100)] * 40)
    assert release.needs("version.php", like(WEB.pw_uid, 10**9))
    assert not release.needs("public/version.php", like(WEB.pw_uid, 10**9))


@pytest.mark.parametrize(("touched", "when"), [(0, 100), (2, 100), (3, 8000)])
def test_two_touched_files_of_forty_do_not_show_when_a_part_was_laid(laid, touched, when):
    release, _looks = laid([(0, 8000)] * touched + [(0, 100)] * (40 - touched))
    assert release.needs("src/data.php", like(0, when + 3600))
    assert not release.needs("src/data.php", like(0, when + 3601))


@pytest.mark.parametrize(
    ("owners", "theirs"),
    [
        ([WEB.pw_uid] * 40, True),
        ([0] * 37 + [WEB.pw_uid] * 3, True),
        ([0] * 38 + [WEB.pw_uid] * 2, False),
        ([0] * 40, False),
        ([1000] * 40, False),
    ],
)
def test_whose_a_part_is(laid, owners, theirs):
    """The web user's, where more than one file of twenty is."""
    release, _looks = laid([(owner, 100) for owner in owners])
    assert release.needs("src/data.php", like(WEB.pw_uid, 100)) is theirs
    assert release.needs("src/data.php", like(1000, 100))


@pytest.mark.parametrize(("files", "enough"), [(9, False), (10, True)])
def test_few_files_in_the_map_report_nothing_of_the_others(laid, files, enough):
    release, _looks = laid([(0, 100)] * files)
    assert release.needs("src/data.php", like(0, 8000)) is not enough


def test_a_large_part_is_known_by_a_sample_of_its_files(laid, monkeypatch):
    monkeypatch.setattr(permissions_release, "_SAMPLE", 20)
    release, pattern = laid([(0, 100)] * 39)
    assert len(pattern) == 20 and {"src/C00.php", "src/C38.php"} < set(pattern)
    assert not release.needs("src/data.php", like(0, 8000))


def test_a_second_name_does_not_help(site):
    path = put(site, "src/CoreBundle/Shell.php")
    other = site / "src/CoreBundle/Other.php"
    os.link(path, other)
    data = put(site, "public/build/shell.php")
    (site / "var/upload").mkdir()
    os.chown(site / "var/upload", WEB.pw_uid, WEB.pw_gid)
    os.link(data, site / "var/upload/x")
    for _again in range(2):
        found = permissions_walk.run(order(site))
        assert found.quarantined_total == 2
        assert state(path) == state(other) == (0, 0, "0200")
        assert state(data) == (0, 0, "0600")


def test_a_name_that_is_taken_does_not_help(site):
    put(site, "src/CoreBundle/Shell.php")
    (site / "src/CoreBundle/Shell.php.quarantined").mkdir()
    for _again in range(2):
        found = permissions_walk.run(order(site))
        assert found.quarantined == ["src/CoreBundle/Shell.php"]
        assert [one["path"] for one in found.refused] == ["src/CoreBundle/Shell.php"]
        assert state(site / "src/CoreBundle/Shell.php") == (0, 0, "0200")


def test_what_could_not_be_renamed_is_so_in_the_next_run_and_nothing_else(site, monkeypatch):
    """The listing of its directory breaks off after the file was seen."""
    put(site, "src/A/Shell.php")
    others = [put(site, f"src/B{number}/Shell.php", 0) for number in range(20)]  # some are scanned after it
    scandir = os.scandir

    class Broken:
        def __init__(self, handle):
            self.entries = scandir(handle)

        def __enter__(self):
            return self

        def __exit__(self, *_problem):
            self.entries.close()

        def __iter__(self):
            for entry in self.entries:
                yield entry
                if entry.name == "Shell.php" and os.lstat(entry.name).st_mode == stat.S_IFREG | 0o200:
                    raise OSError(5, "broken")

    monkeypatch.setattr(os, "scandir", Broken)
    found = permissions_walk.run(order(site))
    assert found.quarantined == ["src/A/Shell.php"]
    monkeypatch.undo()
    monkeypatch.setattr(permissions_release, "_FEW", 10)
    assert state(site / "src/A/Shell.php") == (0, 0, "0200")
    assert [state(path) for path in others] == [OURS] * 20
    found = permissions_walk.run(order(site))
    assert found.quarantined == ["src/A/Shell.php"]
    assert state(site / "src/A/Shell.php.quarantined") == (0, 0, "0200")


def test_an_open_tree_lets_nothing_out(site):
    planted = [put(site, "public/main/shell.php"), put(site, "src/CoreBundle/Shell.php")]
    permissions_walk.run(order(site))
    found = permissions_walk.run(order(site, "upgrade"))
    assert found.quarantined_total == 2
    assert state(planted[0]) == (0, 0, "0600")
    new = put(site, "public/main/new.php")
    assert state(new) == (WEB.pw_uid, WEB.pw_gid, "0644")
    found = permissions_walk.run(order(site, "upgrade"))
    assert found.quarantined_total == 2  # what the update writes is no suspect


@pytest.mark.parametrize("profile", ["upgrade", "install"])
@pytest.mark.parametrize("name", ["src/Kernel.php", "config/bundles.php"])
def test_an_open_tree_forgets_no_doubt(site, listing, name, profile):
    path = put(site, name)
    production, opened = ("0240", "0260") if name.startswith("config") else ("0244", "0264")
    if profile == "install" and name.startswith("src"):
        opened = production
    permissions_walk.run(order(site), listing=str(listing))
    assert state(path) == (0, WEB.pw_gid, production)
    began = time.time()
    for _again in range(2):
        found = permissions_walk.run(order(site, profile), listing=str(listing))
        assert (found.doubtful, listing.read_text()) == ([name], f"doubtful {name}\n")
        assert state(path) == (0, WEB.pw_gid, opened)
    for closing in (policy.order(tree(site), "production", began), order(site)):
        found = permissions_walk.run(closing, listing=str(listing))
        assert (found.doubtful, listing.read_text()) == ([name], f"doubtful {name}\n")
        assert state(path) == (0, WEB.pw_gid, production)
    assert permissions_walk.run(order(site, acknowledged=[name])).doubtful == []
    assert state(path) == (0, WEB.pw_gid, "0640" if name.startswith("config") else "0644")


def by_a_link(path):
    path.rename(f"{path}.old")
    path.symlink_to(f"{path}.old")


def by_a_fifo(path):
    path.unlink()
    os.mkfifo(path)


def by_a_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("kind", ["fifo", "link", "garbage", "nothing"])
def test_a_map_that_is_none(site, kind):
    path = site / "vendor/composer/autoload_classmap.php"
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to("/etc/passwd")
    elif kind == "garbage":
        path.write_bytes(b"\xff=> $vendorDir . '/\xff\x00'" * 100)
    put(site, "src/CoreBundle/Shell.php")
    assert permissions_walk.run(order(site)).doubtful == ["src/CoreBundle/Shell.php"]


@pytest.mark.parametrize("exchange", [os.unlink, by_a_link, by_a_fifo, by_a_folder])
def test_a_map_that_is_exchanged_after_its_inspection(site, monkeypatch, exchange):
    path = site / "vendor/composer/autoload_classmap.php"
    seen = permissions_release.seen

    def late(top, name):
        status = seen(top, name)
        if name.endswith("classmap.php"):
            exchange(path)
        return status

    monkeypatch.setattr(permissions_release, "seen", late)
    top = os.open(site, os.O_RDONLY)
    release = Release(top, WEB.pw_uid)
    assert release.needs("src/CoreBundle/Shell.php", like(WEB.pw_uid, 0)), "without a map nobody can say"
    os.close(top)


# ---------------------------------------------------------------------------------- all names, before anything changes


@pytest.fixture
def listing(tmp_path):
    return tmp_path / "state/planted.txt"


def crowd(site, directories=1, each=25):
    names = [f"public/build/d{directory}/s{number}.php" for directory in range(directories) for number in range(each)]
    for name in names:
        put(site, name)
    put(site, "config/bundles.php")
    return sorted([f"quarantined {name}" for name in names] + ["doubtful config/bundles.php"])


@pytest.mark.parametrize("directories", [1, 250])
def test_all_are_named_in_a_file_and_each_before_its_owner_changes(site, listing, monkeypatch, directories):
    """Of 250 directories several processes make a list."""
    names = crowd(site, directories, 25 if directories == 1 else 2)
    fchown, early = os.fchown, []

    def watch(handle, owner, group):
        path = os.path.relpath(os.readlink(f"/proc/self/fd/{handle}"), site)
        if path.endswith(".php") and f" {path}\n" not in (listing.parent / "planted.txt.new").read_text():
            early.append(path)
        fchown(handle, owner, group)

    monkeypatch.setattr(permissions_walk.os, "fchown", watch)
    found = permissions_walk.run(order(site), processes=2, listing=str(listing))
    # What was the release's own changes its group alone.
    assert not [path for path in early if path.startswith("public/build") or path == "config/bundles.php"]
    assert found.quarantined_total == len(names) - 1 and len(found.quarantined) == 20
    assert (found.listing, state(listing)) == (str(listing), (0, 0, "0600"))
    assert sorted(listing.read_text().splitlines()) == names
    again = permissions_walk.run(order(site), processes=2, listing=str(listing))
    assert not again.changed and sorted(listing.read_text().splitlines()) == names


def test_a_check_writes_no_list_and_one_of_nothing_is_not_kept(site, listing):
    planted = put(site, "public/build/shell.php")
    assert permissions_walk.run(order(site), check=True, listing=str(listing)).listing == ""
    assert not listing.parent.exists()
    permissions_walk.run(order(site), listing=str(listing))
    assert listing.read_text() == "quarantined public/build/shell.php\n"
    planted.unlink()
    assert permissions_walk.run(order(site), listing=str(listing)).listing == ""
    assert list(listing.parent.iterdir()) == []


@pytest.fixture
def full(listing):
    """The list is on a disk of its own, and nothing fits on it any more."""
    listing.parent.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", listing.parent], check=True)
    (listing.parent / "filler").write_bytes(b"x" * 65536)
    yield listing.parent / "filler"
    subprocess.run(["umount", "-l", listing.parent], check=True)


@pytest.mark.parametrize("directories", [1, 250])
def test_a_full_disk_lets_no_planted_php_run_and_keeps_nothing_else_open(site, listing, full, directories):
    names = crowd(site, directories, 2)
    doubted, open_file = site / "config/bundles.php", site / "src/CoreBundle/C1.php"
    open_file.chmod(0o777)
    found = permissions_walk.run(order(site), processes=2, listing=str(listing))
    assert (found.quarantined_total, found.doubtful_total) == (len(names) - 1, 1)
    assert (found.unnamed, found.unnamed_why) == (len(names), "No space left on device")
    assert found.listing == "" and os.listdir(listing.parent) == ["filler"]
    assert {state(path) for path in (site / "public/build").rglob("*.php")} == {(0, 0, "0600")}
    assert state(doubted) == (0, WEB.pw_gid, "0240") and state(open_file) == OURS
    full.unlink()
    found = permissions_walk.run(order(site), processes=2, listing=str(listing))
    assert (found.changed, found.unnamed, found.unnamed_why) == (False, 0, "")
    assert sorted(listing.read_text().splitlines()) == names


def test_where_no_list_can_be_all_is_counted(site, listing):
    planted = put(site, "public/build/shell.php")
    listing.parent.write_text("")
    found = permissions_walk.run(order(site), listing=str(listing))
    assert (found.listing, found.unnamed, found.unnamed_why) == ("", 1, "File exists")
    assert state(planted) == (0, 0, "0600")


def test_a_disk_that_becomes_full_leaves_what_was_named(site, listing, monkeypatch):
    """Half of a line fits, and nothing after it."""
    crowd(site, 1, 5)
    write, written = os.write, []

    def some(handle, data):
        if len(written) < 3:
            written.append(data)
            return write(handle, data if len(written) < 3 else data[:9])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(permissions_walk.os, "write", some)
    found = permissions_walk.run(order(site), listing=str(listing))
    assert (found.quarantined_total + found.doubtful_total, found.unnamed) == (6, 4)
    assert found.listing == str(listing) and os.listdir(listing.parent) == ["planted.txt"]
    assert len(listing.read_text().splitlines()) == 3


def test_a_list_has_an_end_and_reports_how_many_more_there_are(site, listing, monkeypatch):
    monkeypatch.setattr(quarantine, "_LIST", 100)
    names = crowd(site, 1, 10)
    for _again in range(2):
        found = permissions_walk.run(order(site), listing=str(listing))
        *named, blank, last = listing.read_text().splitlines()
        assert len("\n".join(named)) <= 100 and set(named) < set(names)
        assert found.unnamed == len(names) - len(named) > 0 and blank == ""
        assert last == f"and {found.unnamed} more: the list ends at 0 MB"
        assert {state(path) for path in (site / "public/build").rglob("*.php")} == {(0, 0, "0600")}


def test_no_name_is_longer_than_a_path_can_be(site, listing):
    """A path of many directories has 10 characters in the list for each of 4 bytes."""
    here = os.open(put(site, "public/build/x.php", 0).parent, os.O_RDONLY)
    for _level in range(30):
        name = "\U000e0001" * 60
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    planted = os.open("shell.php", os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=here)
    os.fchown(planted, WEB.pw_uid, WEB.pw_gid)
    found = permissions_walk.run(order(site), listing=str(listing))
    assert os.fstat(planted).st_mode & 0o777 == 0o600
    os.close(here)
    os.close(planted)
    (named,) = found.quarantined
    assert listing.read_text() == f"quarantined {named}\n"
    assert len(named) < 4200
    assert named.startswith("public/build/\\U000e0001") and named.endswith("\\U000e0001/shell.php")


@contextlib.contextmanager
def another_run(site, listing):
    """One that has scanned everything, and is about to end."""
    reported, notify = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        settle = Entries.settle_links

        def wait(walk):
            os.write(reported[1], b"x")
            os.read(notify[0], 1)
            settle(walk)

        Entries.settle_links = wait
        try:
            permissions_walk.run(order(site), listing=str(listing))
        finally:
            os._exit(0)
    try:
        os.read(reported[0], 1)
        yield lambda: os.write(notify[1], b"x")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_two_runs_over_one_tree_wait_for_each_other(site, listing):
    """One directory may have two names in the inventory."""
    put(site, "public/build/shell.php")
    with another_run(site, listing) as end:
        put(site, "public/build/other.php")
        with pytest.raises(policy.PermsError, match=r"Another run .* has .*/planted\.txt\.new\. Run again"):
            permissions_walk.run(order(site), listing=str(listing), patience=0)
        assert state(site / "public/build/other.php")[0] == WEB.pw_uid
        assert permissions_walk.run(order(site), check=True, listing=str(listing), patience=0.1).quarantined_total == 2
        threading.Timer(0.3, end).start()
        found = permissions_walk.run(order(site), listing=str(listing), patience=30)
    assert (found.listing, found.quarantined_total) == (str(listing), 2)
    assert len(listing.read_text().splitlines()) == 2


def test_a_run_that_was_killed_keeps_no_other_waiting(site, listing):
    put(site, "public/build/shell.php")
    with another_run(site, listing):
        pass
    assert os.listdir(listing.parent) == ["planted.txt.new"]
    assert permissions_walk.run(order(site), listing=str(listing), patience=5).listing == str(listing)
    assert listing.read_text() == "quarantined public/build/shell.php\n"
    assert os.listdir(listing.parent) == ["planted.txt"]


def test_a_run_that_ends_early_keeps_what_the_last_one_named(site, listing, monkeypatch):
    put(site, "public/build/shell.php")
    permissions_walk.run(order(site), listing=str(listing))
    old = listing.read_text()
    put(site, "public/build/other.php")
    monkeypatch.setattr(Entries, "settle_links", lambda _walk: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        permissions_walk.run(order(site), listing=str(listing))
    monkeypatch.undo()
    assert listing.read_text() == old
    assert os.listdir(listing.parent) == ["planted.txt"]
    assert permissions_walk.run(order(site), listing=str(listing)).quarantined_total == 2


def test_when_a_file_was_made_is_what_no_user_can_set(tmp_path):
    path = tmp_path / "x"
    before = time.time() - 1
    path.write_text("")
    os.utime(path, (1, 1))
    handle = os.open(path, os.O_RDONLY)
    made = permissions_release.born(handle)
    os.close(handle)
    system = subprocess.run(["stat", "-f", "-c", "%T", path], capture_output=True, text=True, check=True).stdout.strip()
    assert made is None if system == "overlayfs" else before <= made <= time.time()
    with open("/proc/self/status", "rb") as never:
        assert permissions_release.born(never.fileno()) is None


@pytest.mark.parametrize(
    ("failed", "kind", "unknown", "mask", "made"),
    [
        (0, 0xEF53, 0, 0x800, 1.5),
        (1, 0xEF53, 0, 0x800, None),
        (0, permissions_release._OVERLAY, 0, 0x800, None),
        (0, 0xEF53, 1, 0x800, None),
        (0, 0xEF53, None, 0x800, None),
        (0, 0xEF53, 0, 0x7FF, None),
    ],
)
def test_when_a_file_was_made_is_known_only_where_its_file_system_keeps_it(
    monkeypatch, failed, kind, unknown, mask, made
):
    def fstatfs(_handle, reported):
        struct.pack_into("@l", reported, 0, kind)
        return failed

    def statx(_handle, _name, _flags, _wanted, reported):
        struct.pack_into("=I", reported, 0, mask)
        struct.pack_into("=qI", reported, permissions_release._BTIME_AT, 1, 500_000_000)
        return unknown

    system = SimpleNamespace(fstatfs=fstatfs, **({} if unknown is None else {"statx": statx}))
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: system)
    assert permissions_release.born(3) == made
