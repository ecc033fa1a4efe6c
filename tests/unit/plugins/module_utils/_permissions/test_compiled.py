# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cache of the application, put away and compiled again. Real files, as root; the web user is www-data."""

from __future__ import annotations

import errno
import os
import pwd
import stat

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import compiled, policy, walk

WEB = pwd.getpwnam("www-data")
CONSOLE = ["php", "bin/console", "cache:warmup"]


@pytest.fixture
def cache(tmp_path):
    folder = tmp_path / "var/cache"
    (folder / "prod/ContainerX").mkdir(parents=True)
    (folder / "prod/ContainerX/getX.php").write_text("<?php // planted")
    (folder / "prod/link").symlink_to("/etc")
    return folder


def renew(cache, run):
    handle = os.open(cache, os.O_RDONLY)
    try:
        return compiled.renew(handle, CONSOLE, run)
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
    assert renew(cache, compiles(cache)) == ""
    assert [str(path.relative_to(cache)) for path in cache.rglob("*")] == ["prod", "prod/new.php"]
    assert os.path.exists("/etc/passwd")


def test_the_old_one_comes_back_where_the_new_one_cannot_be_compiled(cache):
    said = renew(cache, compiles(cache, 1))
    assert "the old one is back" in said and "what failed" in said
    assert os.listdir(cache) == ["prod"]
    assert (cache / "prod/ContainerX/getX.php").exists() and not (cache / "prod/new.php").exists()


def test_the_old_one_comes_back_where_the_console_cannot_be_started(cache):
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


def test_a_link_in_its_place_is_not_followed_and_told(tmp_path):
    root = site(tmp_path, WEB.pw_uid)
    (root / "var/cache").rename(root / "var/elsewhere")
    (root / "var/cache").symlink_to("/etc")
    found = walk.run(order(root), renew=lambda _handle: "asked")
    assert any(one["path"] == "var/cache" and "put away" in one["why"] for one in found.refused)
