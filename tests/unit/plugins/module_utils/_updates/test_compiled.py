# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cache of the application, compiled again, as root."""

from __future__ import annotations

import errno
import os
import stat

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._updates import compiled

CONSOLE = ["php", "bin/console", "cache:warmup"]


@pytest.fixture
def cache(tmp_path):
    directory = tmp_path / "var/cache"
    (directory / "prod/ContainerX").mkdir(parents=True)
    (directory / "prod/ContainerX/getX.php").write_text("<?php // planted")
    (directory / "prod/link").symlink_to("/etc")
    return directory


def anew(cache, run, console=CONSOLE):
    handle = os.open(cache, os.O_RDONLY)
    try:
        return compiled.anew(handle, console, run)
    finally:
        os.close(handle)


def compiles(cache, code=0):
    """What the console does, and whether there was anything of the old cache by then."""

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
    assert anew(cache, compiles(cache)) == ""
    assert [str(path.relative_to(cache)) for path in cache.rglob("*")] == ["prod", "prod/new.php"]
    assert os.path.exists("/etc/passwd")


def test_the_old_one_comes_back_where_the_new_one_cannot_be_compiled(cache):
    output = anew(cache, compiles(cache, 1))
    assert "the old one is back" in output and "what failed" in output
    assert os.listdir(cache) == ["prod"]
    assert (cache / "prod/ContainerX/getX.php").exists() and not (cache / "prod/new.php").exists()


def test_the_old_one_comes_back_where_the_console_cannot_be_started(cache):
    def run(_argv, _seconds):
        raise OSError("no such program")

    with pytest.raises(OSError, match="no such program"):
        anew(cache, run)
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
    assert bool(anew(cache, compiles(cache, code))) is bool(code)
    assert os.listdir(cache) == ([] if code else ["prod"])
    assert os.path.exists("/etc/passwd")


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
