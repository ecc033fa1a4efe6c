# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of the program that nothing vouches for, before and after they were marked. Real files, as root."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import files as common_files
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring import unvouched
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.tree import identity
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.unvouched import Unvouched
from tests.unit.plugins.module_utils._common.test_acl import let_write
from tests.unit.plugins.module_utils._permissions.test_vouch import IMPLANTS, NEUTRALISED, WEB, git, harden, lay, site

__all__ = ["site"]


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setattr(common_files, "STATE", str(tmp_path / "state"))
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


def seen(site):
    found = Unvouched(SimpleNamespace(root=str(site)), (identity("www-data"),))
    try:
        for directory, _directories, files in os.walk(site):
            for name in files:
                path = os.path.join(directory, name)
                found.inspect(os.path.relpath(path, site), os.lstat(path))
        return sorted(found.doubtful), sorted(found.held), found.git(), found.unread
    finally:
        found.close()


def test_it_names_before_and_after_what_permissions_names(site):
    assert seen(site) == ([], [], [], 0)
    for name, text in IMPLANTS.items():
        lay(site, name, text, days=30)
    assert seen(site) == (sorted(IMPLANTS), [], [], 0)
    harden(site)
    assert seen(site) == (sorted(set(IMPLANTS) - set(NEUTRALISED)), NEUTRALISED, [], 0)


def test_what_an_accepted_list_has_is_vouched_for_until_it_changes(site, state):
    lay(site, "bin/console", "<?php // ours", days=30)
    handle = os.open(site / "bin/console", os.O_RDONLY)
    files = {"bin/console": unvouched.vouch.checksum(handle)}
    os.close(handle)
    (state / "integrity-campus.json").write_text(json.dumps({"root": str(site), "files": files}))
    assert seen(site)[0] == []
    lay(site, "bin/console", "<?php // theirs", days=30)
    assert seen(site)[0] == ["bin/console"]


def test_git_is_asked_in_the_project_and_in_plugins(site):
    git(site, "[core]\n\tfsmonitor = id\n")
    lay(site, "public/plugin/Shipped/.git/config", "[core]\n\tpager = id\n")
    (site / "public/plugin/Other").mkdir()
    (site / "public/plugin/Other/.git").write_text("gitdir: /elsewhere")
    assert seen(site)[2:] == ([".git: core.fsmonitor", "public/plugin/Shipped/.git: core.pager"], 0)


def test_what_an_acl_lets_the_web_user_write_is_theirs(site):
    lay(site, "public/img/logo.php", "<?php // theirs", days=30, owner=0, mode=0o644)
    directory = git(site, "[core]\n\tfsmonitor = id\n", mode=0o644, owner=0)
    os.chmod(directory, 0o755)
    lay(site, ".git/hooks/pre-commit", "#!/bin/sh\n", mode=0o755, owner=0)
    assert seen(site) == ([], [], [], 0)
    for path in ("public/img/logo.php", ".git/config", ".git/hooks/pre-commit"):
        let_write(site / path, WEB.pw_uid)
    assert seen(site) == (["public/img/logo.php"], [], [".git: core.fsmonitor", ".git: hooks/pre-commit"], 0)


def test_more_than_can_be_read_is_named_unread(site, monkeypatch):
    monkeypatch.setattr(unvouched, "_MOST", 0)
    lay(site, "public/img/logo.png", "\x89PNG", days=50)
    assert seen(site)[0] == ["public/img/logo.png"]


@pytest.fixture
def closed(monkeypatch):
    """``closed(path)``: it cannot be opened from now on."""
    paths, opened = [], unvouched.vouch.open_below

    def open_below(top, path, *more):
        if path in paths:
            raise PermissionError
        return opened(top, path, *more)

    monkeypatch.setattr(unvouched.vouch, "open_below", open_below)
    return paths.append


def test_what_cannot_be_opened_is_counted_and_hides_no_other(site, closed, monkeypatch):
    git(site, "[core]\n\tfsmonitor = id\n")
    lay(site, "public/plugin/Shipped/.git/config", "[core]\n\tpager = id\n")
    lay(site, "public/img/logo.php", "<?php // theirs", days=30)
    closed(".git")
    assert seen(site)[2:] == (["public/plugin/Shipped/.git: core.pager"], 1)
    closed("public/img/logo.php")
    assert seen(site) == ([], [], ["public/plugin/Shipped/.git: core.pager"], 2)

    def fails(_handle, _theirs):
        raise OSError

    monkeypatch.setattr(unvouched.vouch, "git_runs", fails)
    assert seen(site)[2:] == ([], 3)


def test_whether_it_is_a_shell_is_known_where_it_can_be_opened(site, closed):
    lay(site, "public/plugin/Own/a.php", "<?php eval($_POST['x']);")
    lay(site, "public/plugin/Own/b.php", "<?php echo 1;")
    found = Unvouched(SimpleNamespace(root=str(site)), (identity("www-data"),))
    try:
        handles = len(os.listdir("/proc/self/fd"))
        assert [found._is_shell(f"public/plugin/Own/{name}.php") for name in "ab"] == [True, False]
        assert len(os.listdir("/proc/self/fd")) == handles
        closed("public/plugin/Own/a.php")
        assert (found._is_shell("public/plugin/Own/a.php"), found.unread) == (False, 1)
    finally:
        found.close()


def test_the_history_of_a_plugin_is_read_once(site, monkeypatch):
    asked = []
    monkeypatch.setattr(unvouched.vouch, "own_history", lambda _top, path: asked.append(path) or own)
    own = unvouched.vouch.NOT_THERE
    for name in "ab":
        lay(site, f"public/plugin/Own/{name}.php", "<?php echo 1;", days=30)
    assert seen(site)[0] == ["public/plugin/Own/a.php", "public/plugin/Own/b.php"]
    assert asked == ["public/plugin/Own"]
