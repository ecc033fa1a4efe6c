# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Git would run of what the web user wrote. Real files, as root; the web user is www-data."""

from __future__ import annotations

import os
import types

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import git as permissions_git
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import policy, walk
from tests.unit.plugins.module_utils._common.test_acl import let_write
from tests.unit.plugins.module_utils._permissions.conftest import WEB, state


@pytest.fixture
def site(tmp_path):
    (tmp_path / "chamilo/public").mkdir(parents=True)
    (tmp_path / "chamilo/var").mkdir()
    return tmp_path / "chamilo"


def lay(site, name, text, mode=0o777, owner=WEB.pw_uid):
    path = site / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    os.chown(path, owner, WEB.pw_gid if owner else 0)


def harden(site):
    return walk.run(policy.order({"path": str(site), "owner": "root", "web_user": "www-data"}, "production"))


def mode(path):
    owner, _group, rights = state(path)
    return owner, rights


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[core]\n\tbare = false\n\tfileMode = true\n", []),
        ("[core]\n\tfsmonitor = touch /tmp/x\n", ["core.fsmonitor"]),
        ("[CORE] FSMonitor=/tmp/x ; one line", ["core.fsmonitor"]),
        ("[core]\n\tfsmon\\\nitor = /tmp/x\n", ["core.fsmonitor"]),
        ('[filter "lfs"]\n\tclean = sh -c id\n', ["filter.lfs.clean"]),
        ('[diff "x"]\ntextconv = id\n[diff]\nexternal = id\n', ["diff.x.textconv", "diff.external"]),
        ("[alias]\nco = !id\n", ["alias.co"]),
        ('[includeIf "gitdir:/"]\npath = /tmp/x\n', ["includeif.gitdir:/.path"]),
        ("[of_tomorrow]\ncommand = id\n", ["of_tomorrow.command"]),
        ('[remote "origin"]\nurl = https://github.com/chamilo/chamilo-lms\nfetch = +refs/*\n', []),
        ('[remote "origin"]\nurl = ext::sh -c id\n', ["remote.origin.url"]),
        ('[remote "origin"]\nuploadpack = id\n', ["remote.origin.uploadpack"]),
        ('[branch "main"]\nremote = origin\nmerge = refs/heads/main\n', []),
        ("[core]\npager\n", ["core.pager"]),
        ('[submodule "x"]\nactive = true\n[submodule "y"]\nupdate = !id\n', ["submodule.y.update"]),
        ('[url "ext::sh -c id"]\ninsteadOf = x\n[url "https://x"]\ninsteadOf = y\n', ["ext::sh -c id.insteadof"]),
        ("# [core]\n; editor = id\n[user]\nname = id\n", []),
        ('\ufeff[core]\neditor = "id"\n', ["core.editor"]),
    ],
)
def test_settings_that_git_runs(text, names):
    found = permissions_git.git_settings(text)
    assert len(found) == len(names) and all(reported.endswith(name) for reported, name in zip(found, names)), found


def git(site, text="[core]\n\tbare = false\n", mode=0o777, owner=WEB.pw_uid):
    lay(site, ".git/config", text, mode=mode, owner=owner)
    lay(site, ".git/hooks/pre-commit.sample", "#!/bin/sh\n")
    os.chown(site / ".git", owner, WEB.pw_gid)
    return site / ".git"


def test_git_that_runs_what_an_acl_lets_the_web_user_set(site):
    directory = git(site, "[core]\n\tfsmonitor = touch /tmp/x\n", mode=0o644, owner=0)
    os.chmod(directory, 0o755)
    assert not harden(site).refused
    let_write(directory / "config", WEB.pw_uid)
    (refused,) = harden(site).refused
    assert refused["path"] == ".git" and "core.fsmonitor" in refused["why"]


def test_git_that_runs_what_the_web_user_set_never_becomes_root_s(site):
    directory = git(site, "[core]\n\tfsmonitor = touch /tmp/x\n")
    found = harden(site)
    (reported,) = found.refused
    assert reported["path"] == ".git" and "core.fsmonitor" in reported["why"]
    assert mode(directory) == (WEB.pw_uid, "0700") and mode(directory / "config")[0] == WEB.pw_uid
    again = harden(site)
    assert not again.changed and again.refused == found.refused
    (directory / "config").write_text("[core]\n\tbare = false\n")
    assert harden(site).refused == []
    assert (mode(directory), mode(directory / "config")) == ((0, "0700"), (0, "0600"))
    assert not harden(site).changed


def test_a_hook_of_the_web_user_s_too(site):
    directory = git(site)
    lay(site, ".git/hooks/post-checkout", "#!/bin/sh\nid\n")
    (reported,) = harden(site).refused
    assert "hooks/post-checkout" in reported["why"]
    assert mode(directory) == (WEB.pw_uid, "0700")


@pytest.fixture
def repository(tmp_path):
    """An empty .git and ``runs``: what of it Git would run, where these paths of it are the web user's."""
    (tmp_path / ".git/hooks").mkdir(parents=True)

    def runs(*theirs):
        def is_theirs(where, status):
            return any(os.path.samestat(status, os.lstat(tmp_path / ".git" / path)) for path in theirs)

        top = os.open(tmp_path / ".git", os.O_DIRECTORY)
        try:
            return permissions_git.git_runs(top, is_theirs)
        finally:
            os.close(top)

    return types.SimpleNamespace(at=tmp_path / ".git", runs=runs)


@pytest.mark.parametrize("name", ["config", "hooks"])
def test_what_cannot_be_opened_of_git_counts_where_it_is_the_web_user_s(repository, name):
    (repository.at / "hooks").rmdir()
    (repository.at / name).symlink_to("/srv/x")
    (why,) = repository.runs(".")
    assert why.startswith(f"{name}: ") and repository.runs() == []


def test_settings_of_git_too_long_to_be_searched(repository, monkeypatch):
    text = "[core]\neditor = id\n"
    monkeypatch.setattr(permissions_git, "_READ", len(text))
    (repository.at / "config").write_text(text)
    assert repository.runs(".") == ["core.editor"]
    (repository.at / "config").write_text(f"{text}\n")
    assert repository.runs(".") == ["core.editor", "config, which is too long"]


def test_which_hooks_git_runs(repository):
    hooks = repository.at / "hooks"
    for name, rights in (("a", 0o755), ("b", 0o644), ("c.sample", 0o755), ("d", 0o601)):
        (hooks / name).touch()
        (hooks / name).chmod(rights)
    (hooks / "e").mkdir(0o755)
    (hooks / "f").symlink_to("/srv/x")
    assert repository.runs(".") == repository.runs("hooks") == ["hooks/a", "hooks/d", "hooks/f"]
    assert repository.runs("hooks/d", "hooks/b", "hooks/c.sample") == ["hooks/d"] and repository.runs() == []


def test_modules_of_git_are_inspected_and_not_without_end(site):
    at = ".git"
    for level in range(6):
        at += f"/modules/m{level}"
        lay(site, f"{at}/config", "[core]\nfsmonitor = id\n")
        lay(site, f"{at}/hooks/post-merge", "#!/bin/sh\n", mode=0o755)
    top = os.open(site / ".git", os.O_DIRECTORY)
    try:
        found = permissions_git.git_runs(top, lambda *_which: True)
    finally:
        os.close(top)
    modules = [one for one in found if "modules" in one]
    assert modules == [
        *(f"modules/m{level}: {one}" for level in range(4) for one in ("core.fsmonitor", "hooks/post-merge")),
        "modules, which are nested too deep",
    ]


def test_settings_of_root_s_own_are_root_s(site):
    directory = git(site, "[core]\n\tsshCommand = ssh -i /root/key\n", mode=0o600, owner=0)
    lay(site, ".git/hooks/post-merge", "#!/bin/sh\n", mode=0o755, owner=0)
    (directory / "hooks").chmod(0o755)
    directory.chmod(0o755)
    os.chown(directory / "hooks", 0, 0)
    assert harden(site).refused == []
    assert mode(directory / "hooks/post-merge") == (0, "0700")
