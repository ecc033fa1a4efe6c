# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PHP that the web user could have written cannot run. Real files, as root; the web user is www-data."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from unittest.mock import Mock

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import quarantine, vouch
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.found import Found
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.walk import run
from tests.unit.plugins.module_utils._permissions.conftest import (
    ACCESS,
    WEB,
    acl,
    give,
    order,
    state,
)


def test_what_an_acl_let_the_web_user_write_is_suspect(site):
    path, other = site / "public/main/late.php", site / "public/main/root.php"
    for name in (path, other, *(site / f"src/C{number}.php" for number in range(48))):
        name.write_text("<?php")
    for name in site.rglob("*"):
        os.utime(name, (1_700_000_000, 1_700_000_000))
    for name in (path, other):
        os.utime(name)
        name.chmod(0o660)
    os.setxattr(path, ACCESS, acl(WEB.pw_uid, 6))
    os.setxattr(other, ACCESS, acl(1, 6))
    found = run(order(site))
    assert found.quarantined == ["public/main/late.php"]


def test_php_where_none_belongs_cannot_run_until_it_was_reviewed(site):
    shell = site / "public/build/shell.php"
    shell.write_text("<?php")
    give(shell, 0o644)
    (site / "public/build/theirs.php").write_text("<?php")  # root's: no web user wrote it
    for _again in range(2):
        found = run(order(site))
        assert found.quarantined == ["public/build/shell.php"]
        assert state(shell) == (0, 0, "0600")
    assert not found.fixed.total()
    assert state(site / "public/build/theirs.php")[2] == "0644"
    found = run(order(site, acknowledged=("public/build/shell.php",)))
    assert not found.quarantined
    assert state(shell) == (0, WEB.pw_gid, "0644")


@pytest.mark.parametrize(
    ("owner", "group", "mode", "theirs"),
    [
        (WEB.pw_uid, 0, 0o600, True),
        (0, WEB.pw_gid, 0o664, True),
        (0, 0, 0o646, True),
        (1, WEB.pw_gid, 0o644, False),
        (0, 0, 0o664, False),
        (0, 0, 0o644, False),
        (0, 0, 0o600, False),
    ],
)
def test_what_the_web_user_could_have_written(site, owner, group, mode, theirs):
    file = site / "public/build/some.php"
    file.write_text("<?php")
    os.chown(file, owner, group)
    file.chmod(mode)
    waits = (owner, group, mode) == (0, 0, 0o600)  # as one that was quarantined already
    assert run(order(site), check=True).quarantined == ["public/build/some.php"] * (theirs or waits)


@pytest.mark.parametrize(
    ("name", "php"),
    [("a.php", True), ("a.PHP7", True), ("a.phtml", True), ("a.phar", True), ("a.php.txt", False), ("aphp", False)],
)
def test_what_a_server_could_take_for_php(site, name, php):
    (site / "public/build" / name).write_text("<?php")
    give(site / "public/build" / name, 0o644)
    assert run(order(site), check=True).quarantined == [f"public/build/{name}"] * php


def release(site, files=("public/main/lib.php", "public/main/user/list.php", "src/Kernel.php", "vendor/a/b/B.php")):
    """Some files of a program that was laid at once."""
    for name in files:
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("<?php")
        give(path, 0o644)
    return [site / name for name in files]


def test_a_release_of_the_web_user_s_own_is_no_suspect(site):
    release(site)
    found = run(order(site))
    assert (found.quarantined, found.doubtful) == ([], [])


def test_php_of_the_web_user_s_in_a_release_of_root_s_cannot_run(site):
    laid = release(site, ("public/main/lib.php", "public/main/planted.php", "vendor/a/planted.php", "src/Kernel.php"))
    (plain,) = release(site, ("vendor/bin/planted.php",))  # a place where what can be executed stays so
    for path in site.rglob("*"):
        if path not in (laid[1], laid[2], plain, site / "bin/console") and path.is_file():
            os.chown(path, 0, 0)
    (site / "public/main/picture.png").write_text("<?php")
    give(site / "public/main/picture.png", 0o644)
    predicted = run(order(site), check=True)
    for found in (predicted, run(order(site))):
        assert found.quarantined == ["public/main/picture.png", "public/main/planted.php"]
        assert found.doubtful == ["bin/console", "vendor/a/planted.php", "vendor/bin/planted.php"]
        assert (found.quarantined_total, found.doubtful_total) == (2, 3)
    assert state(site / "bin/console") == (0, WEB.pw_gid, "0355")
    assert state(laid[0]) == (0, WEB.pw_gid, "0644")
    assert state(laid[1]) == (0, 0, "0600")
    assert state(laid[2]) == state(plain) == (0, WEB.pw_gid, "0244")
    again = run(order(site))
    assert (again.changed, again.quarantined, again.doubtful) == (
        False,
        ["public/main/picture.png", "public/main/planted.php"],
        ["bin/console", "vendor/a/planted.php", "vendor/bin/planted.php"],
    )
    run(order(site, acknowledged=("public/main/planted.php", "vendor/**")))
    assert state(laid[1]) == state(laid[2]) == (0, WEB.pw_gid, "0644")


def test_php_that_came_after_the_release_cannot_run(site, monkeypatch):
    """A file's ctime cannot be set, so what is laid is set back."""
    laid = release(site)
    monkeypatch.setattr(vouch, "LAID", -3600)
    os.chown(laid[1], 0, 0)
    laid[1].chmod(0o644)  # not the web user's to change, so newer or not
    found = run(order(site), check=True)
    assert set(found.quarantined) >= {"public/main/lib.php"}
    assert "public/main/user/list.php" not in found.quarantined
    assert set(found.doubtful) >= {"public/index.php", "src/Kernel.php", "vendor/a/b/B.php"}
    while_open = run(order(site, opened=time.time() - 600), check=True)
    assert (while_open.quarantined, while_open.doubtful) == ([], [])


@pytest.mark.parametrize(
    ("own", "text", "vouched"),
    [(True, "<?php echo 1;", True), (True, "<?php system($_GET['c']);", False), (False, "<?php echo 1;", False)],
)
def test_a_plugin_with_a_history_of_its_own_vouches_for_its_php_and_for_no_shell(tmp_path, own, text, vouched):
    file = tmp_path / "x.php"
    file.write_text(text)
    plugins: dict[str, str] = {}
    tree = Mock(has_own_history=lambda _path, _status: own, came=lambda _path: 0.0)
    judge = Mock(_at=Mock(tree=tree, found=Mock(plugins=plugins)))
    handle = os.open(file, os.O_RDONLY)
    path = "public/plugin/Own/x.php"
    assert quarantine.Quarantine._is_of_a_plugin(judge, handle, path, os.fstat(handle)) is vouched
    os.close(handle)
    assert plugins == ({"public/plugin/Own": "root, 1970-01-01"} if own else {})


def test_a_list_that_cannot_take_its_place_names_nothing(tmp_path, monkeypatch):
    """What the last run named is better than nothing."""
    path = tmp_path / "state/suspects"
    found = Found(quarantined_total=2, doubtful_total=1)
    with contextlib.closing(quarantine.Listing(str(path), 1)) as listing:
        path.write_text("the last run's")
        assert listing.name("quarantined", "public/x.php")

        def refused(_old, _new):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "replace", refused)
        listing.done(found)
    assert (found.unnamed, found.unnamed_why, found.listing) == (3, "No space left on device", "")
    assert path.read_text() == "the last run's"
    assert os.listdir(tmp_path / "state") == ["suspects"]
