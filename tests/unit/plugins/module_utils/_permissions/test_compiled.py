# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cache of the application, compiled again. Real files and commands, as root; the web user is www-data."""

from __future__ import annotations

import errno
import os
import pwd
import stat
import sys
import threading

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import services
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import compiled, policy, walk

WEB = pwd.getpwnam("www-data")
CONSOLE = ["php", "bin/console", "cache:warmup"]


@pytest.fixture
def cache(tmp_path):
    directory = tmp_path / "var/cache"
    (directory / "prod/ContainerX").mkdir(parents=True)
    (directory / "prod/ContainerX/getX.php").write_text("<?php // planted")
    (directory / "prod/link").symlink_to("/etc")
    return directory


def renew(cache, run, console=CONSOLE):
    handle = os.open(cache, os.O_RDONLY)
    try:
        return compiled.renew(handle, console, run)
    finally:
        os.close(handle)


def console(cache, *lines):
    """A command that does this as the web user, in the cache."""
    return ["runuser", "-u", "www-data", "--", "sh", "-ec", "\n".join([f"cd {cache}", *lines])]


@pytest.fixture
def served(cache):
    """The cache is the web user's, and any user may come to it."""
    for path in [cache, *cache.rglob("*")]:
        os.chown(path, WEB.pw_uid, WEB.pw_gid, follow_symlinks=False)
    for directory in cache.parents:
        if directory.stat().st_mode & 0o005 != 0o005:
            directory.chmod(directory.stat().st_mode | 0o055)
    cache.chmod(0o775)
    return cache


def test_requests_find_the_old_one_until_the_new_one_is_there(served):
    """Each of them reads a file of the compiled code: with none of it in its place, requests were answered 500."""
    asked, missed, over = [], [], threading.Event()

    def visit():
        while not over.is_set():
            try:
                asked.append((served / "prod/ContainerX/getX.php").read_text())
            except OSError as problem:
                missed.append(problem)

    visitor = threading.Thread(target=visit)
    visitor.start()
    new = "test -z \"$(ls -A)\"; mkdir -p prod/ContainerX; sleep 0.3; echo '<?php // new' >prod/ContainerX/getX.php"
    try:
        assert renew(served, services.run, console(served, new)) == ""
    finally:
        over.set()
        visitor.join()
    assert missed == [] and {"<?php // planted"} <= set(asked)
    assert [str(path.relative_to(served)) for path in sorted(served.rglob("*"))] == [
        "prod",
        "prod/ContainerX",
        "prod/ContainerX/getX.php",
    ]
    assert (served / "prod/ContainerX/getX.php").read_text() == "<?php // new\n"
    assert (served / "prod").owner() == "www-data"
    assert str(served) not in open("/proc/self/mountinfo").read()


def test_it_stays_in_use_where_the_new_one_cannot_be_compiled(served):
    output = renew(served, services.run, console(served, "mkdir prod", "echo no memory", "exit 3"))
    assert "the old one is back" in output and "ended with 3: no memory" in output
    assert os.listdir(served) == ["prod"]
    assert (served / "prod/ContainerX/getX.php").read_text() == "<?php // planted"


def test_a_directory_in_its_place_is_not_taken_for_it(served, tmp_path):
    """The web user exchanges the cache for a link: neither is what it leads to hidden, nor is anything taken over."""
    other = tmp_path / "etc"
    (other / "prod").mkdir(parents=True)

    handle = os.open(served, os.O_RDONLY)
    try:
        served.rename(served.with_name("real"))
        served.symlink_to(other)
        view = [sys.executable, "-I", "-c", compiled._VIEW, *compiled._named(handle)]
        found = os.fstat(handle)
        code, output = services.run([*view, str(served), f"{found.st_dev}:{found.st_ino}", "touch", f"{other}/x"], 60)
    finally:
        os.close(handle)
    assert code and "was exchanged meanwhile" in output
    assert os.listdir(other) == ["prod"]


def without_view(run):
    """Where the kernel gives no process a view of its own."""

    def refused(argv, seconds):
        return (1, "Operation not permitted") if argv[0] == sys.executable else run(argv, seconds)

    return refused


def compiles(cache, code=0):
    """What the console does, and whether there was anything of the old cache by then."""

    @without_view
    def run(argv, _seconds):
        assert argv == CONSOLE
        assert not (cache / "prod").exists()
        (apart,) = os.listdir(cache)
        assert stat.S_IMODE((cache / apart).stat().st_mode) == 0o700
        (cache / "prod").mkdir()
        (cache / "prod/new.php").write_text("<?php")
        return code, "a long story of what failed"

    return run


def test_what_was_planted_is_gone_and_no_link_was_followed(cache):
    assert renew(cache, compiles(cache)) == ""
    assert [str(path.relative_to(cache)) for path in cache.rglob("*")] == ["prod", "prod/new.php"]
    assert os.path.exists("/etc/passwd")


def test_the_old_one_comes_back_where_the_new_one_cannot_be_compiled(cache):
    output = renew(cache, compiles(cache, 1))
    assert "the old one is back" in output and "what failed" in output
    assert os.listdir(cache) == ["prod"]
    assert (cache / "prod/ContainerX/getX.php").exists() and not (cache / "prod/new.php").exists()


def test_the_old_one_comes_back_where_the_console_cannot_be_started(cache):
    @without_view
    def run(_argv, _seconds):
        raise OSError("no such program")

    with pytest.raises(OSError, match="no such program"):
        renew(cache, run)
    assert (cache / "prod/ContainerX/getX.php").exists()


@pytest.mark.parametrize("code", [0, 1])
def test_what_cannot_be_moved_is_removed_where_it_lies(cache, monkeypatch, code):
    """A directory of a container image's lower layer."""
    rename = os.rename

    def refuse(old, new, **options):
        if old == "prod" and not (cache / "prod/new.php").exists():
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        rename(old, new, **options)

    monkeypatch.setattr(os, "rename", refuse)
    assert bool(renew(cache, compiles(cache, code))) is bool(code)
    assert os.listdir(cache) == ([] if code else ["prod"])
    assert os.path.exists("/etc/passwd")


def site(tmp_path, owner):
    root = tmp_path / "chamilo"
    for name in ("src/Kernel.php", "public/index.php", "var/cache/prod/x.php"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("<?php")
        os.chown(root / name, owner, WEB.pw_gid)
    os.chown(root / "var/cache/prod/x.php", WEB.pw_uid, WEB.pw_gid)
    return root


def order(root, **given):
    return policy.order({"path": str(root), "owner": "root", "web_user": "www-data", **given}, "production")


@pytest.mark.parametrize("roots", [[], ["var"]])
def test_it_is_renewed_once_when_code_got_another_owner(tmp_path, roots):
    root = site(tmp_path, WEB.pw_uid)
    asked = []
    found = walk.run(order(root, roots=roots), check=True, renew=lambda handle: asked.append(handle) or "")
    assert not asked and found.taken == 2
    walk.run(order(root, roots=roots), renew=lambda handle: asked.append(os.listdir(handle)) or "")
    walk.run(order(root, roots=roots), renew=lambda handle: asked.append(os.listdir(handle)) or "")
    assert asked == [["prod"]]


def test_it_stays_where_only_modes_or_data_were_wrong(tmp_path):
    root = site(tmp_path, 0)
    (root / "public/index.php").chmod(0o777)
    (root / "var/cache/prod/x.php").chmod(0o777)
    os.chown(root / "var/cache/prod/x.php", 0, 0)
    assert walk.run(order(root), renew=lambda _handle: "asked").changed
    assert not walk.run(order(root), renew=lambda _handle: "asked").refused


def test_a_link_in_its_place_is_not_followed_and_reported(tmp_path):
    root = site(tmp_path, WEB.pw_uid)
    (root / "var/cache").rename(root / "var/elsewhere")
    (root / "var/cache").symlink_to("/etc")
    found = walk.run(order(root), renew=lambda _handle: "asked")
    assert any(one["path"] == "var/cache" and "put away" in one["why"] for one in found.refused)


def exchanging(monkeypatch, number):
    def refused(*_given):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(compiled, "exchange", refused)


def as_root(cache):
    """The console in a view of its own, which here is the directory itself: what it compiles lies beside."""

    def run(argv, _seconds):
        if argv[-1] != "true":
            (apart,) = (name for name in os.listdir(cache) if name.startswith(".chamilo-hardening-"))
            new = cache / apart / "new"
            for name in ("prod", "other"):
                (new / name).mkdir()
                (new / name / "new.php").write_text("<?php")
        return 0, ""

    return run


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EXDEV])
def test_what_cannot_change_places_takes_the_place_of_nothing(cache, monkeypatch, number):
    """There was none before, or it is of an image's lower layer."""
    if number == errno.ENOENT:
        (cache / "prod").rename(cache / "old")
    exchanging(monkeypatch, number)
    (cache / "other").mkdir()
    if number == errno.ENOENT:
        (cache / "other").rmdir()
    assert renew(cache, as_root(cache)) == ""
    assert sorted(str(path.relative_to(cache)) for path in cache.rglob("*")) == [
        "other",
        "other/new.php",
        "prod",
        "prod/new.php",
    ]


def test_what_cannot_change_places_for_another_reason_ends_the_renewal(cache, monkeypatch):
    exchanging(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match="Input/output error"):
        renew(cache, as_root(cache))
    assert os.listdir(cache) == ["prod"]
    assert (cache / "prod/ContainerX/getX.php").read_text() == "<?php // planted"


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EIO])
def test_what_goes_while_it_is_moved_is_no_fault_and_all_else_is(cache, monkeypatch, number):
    (cache / "first").mkdir()
    rename, refused = os.rename, []

    def moved(old, new, **options):
        if not refused:
            refused.append(old)
            raise OSError(number, os.strerror(number))
        rename(old, new, **options)

    target = cache.parent / "target"
    target.mkdir()
    handles = [os.open(path, os.O_RDONLY) for path in (cache, target)]
    monkeypatch.setattr(os, "rename", moved)
    try:
        if number == errno.ENOENT:
            compiled._move(*handles)
            assert sorted(os.listdir(target)) == sorted({"first", "prod"} - set(refused))
        else:
            with pytest.raises(OSError, match="Input/output error"):
                compiled._move(*handles)
            assert os.listdir(target) == []
    finally:
        for handle in handles:
            os.close(handle)


def test_what_cannot_be_removed_is_no_success(cache, monkeypatch):
    handle = os.open(cache, os.O_RDONLY)
    monkeypatch.setattr(os, "rmdir", lambda *_given, **_more: None)
    try:
        with pytest.raises(OSError, match="Directory not empty: 'prod'"):
            compiled._delete(handle, "prod")
    finally:
        os.close(handle)


@pytest.mark.parametrize(
    ("uid", "mode", "ours"), [(0, 0o040700, True), (33, 0o040700, False), (0, 0o040710, False), (0, 0o040701, False)]
)
def test_a_directory_that_is_exchanged_when_it_is_made_is_not_used(cache, monkeypatch, uid, mode, ours):
    handle = os.open(cache, os.O_RDONLY)
    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "fstat", lambda _handle: os.stat_result((mode, 1, 1, 1, uid, 0, 0, 0, 0, 0)))
    try:
        if ours:
            name, apart = compiled._apart(cache=handle)
            assert name.startswith(".chamilo-hardening-") and len(name) == 35
            os.close(apart)
        else:
            with pytest.raises(OSError, match="was exchanged meanwhile"):
                compiled._apart(handle)
        assert len(os.listdir("/proc/self/fd")) == before
    finally:
        os.close(handle)
