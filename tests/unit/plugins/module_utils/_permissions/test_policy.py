# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What applies to each entry of a tree, in whole runs as root. The web user is www-data."""

from __future__ import annotations

import os
import stat

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.policy import Policy, Rule
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.walk import run
from tests.unit.plugins.module_utils._permissions.conftest import WEB, give, order, picture, state

OWN = "config/packages/prod/zz_chamilo_hardening"  # what the collection lays for the application


def test_a_portal_that_was_777_is_as_the_guide_wants_it(site):
    found = run(order(site))
    code, secret, data = (0, WEB.pw_gid), (0, WEB.pw_gid), (WEB.pw_uid, WEB.pw_gid)
    assert {path: state(site / path) for path in DESIRED} == {
        path: (*{"code": code, "secret": secret, "data": data}[kind], mode) for path, (kind, mode) in DESIRED.items()
    }
    assert found.fixed["mode"] and found.fixed["owner"] and not found.refused_total


DESIRED = {
    ".": ("code", "0755"),
    ".env": ("secret", "0640"),
    ".env.local": ("secret", "0640"),
    "bin": ("code", "0755"),
    "bin/console": ("code", "0755"),
    "config": ("secret", "0750"),
    "config/jwt": ("secret", "0750"),
    "config/jwt/private.pem": ("secret", "0640"),
    "public": ("code", "0755"),
    "public/index.php": ("code", "0644"),
    "public/build/app.js": ("code", "0644"),
    "var": ("data", "0770"),
    "var/cache/prod/x.php": ("data", "0660"),
    "var/log": ("data", "0770"),
    "vendor/bin/doctrine": ("code", "0755"),
    "vendor/a/b/bin/tool": ("code", "0755"),
    "vendor/autoload.php": ("code", "0644"),
}


def test_sessions_that_the_application_keeps_itself_stay_as_php_makes_them(site):
    session = site / "var/sessions/prod/sess_1"
    session.parent.mkdir(parents=True)
    session.touch(0o600)
    for path in (session.parent.parent, session.parent, session):
        give(path, stat.S_IMODE(os.lstat(path).st_mode))
    run(order(site))
    assert (state(session)[2], state(session.parent)[2]) == ("0600", "0770")
    session.with_name("sess_2").touch(0o600)
    give(session.with_name("sess_2"), 0o600)
    assert not run(order(site)).changed


def test_what_chamilo_3_makes_for_its_own_check_of_files_stays_as_it_makes_it(site):
    """With mode 755, as the only one below var/, when it first compares: after a run, in the daily work."""
    run(order(site))
    directory = site / "var/security/file_integrity"
    directory.mkdir(parents=True)
    (directory / "baseline.json").touch()
    for path, mode in ((directory.parent, 0o750), (directory, 0o750), (directory / "baseline.json", 0o660)):
        path.chmod(mode)
        give(path, mode)
    assert not run(order(site)).changed


def test_a_program_keeps_its_x_where_programs_are_and_nowhere_else(site):
    (site / "bin/plain").write_text("")
    (site / "src/tool").write_text("")
    (site / "src/tool").chmod(0o755)
    run(order(site))
    assert state(site / "bin/plain")[2] == "0644"
    assert state(site / "src/tool")[2] == "0644"


@pytest.mark.parametrize(
    ("profile", "path", "mode"),
    [
        ("install", "config", "0770"),
        ("install", "src", "0755"),
        ("install", f"{OWN}.d", "0750"),
        ("install", f"{OWN}.yaml", "0640"),
        ("production", ".env.d", "0750"),
        ("upgrade", ".env", "0660"),
        ("upgrade", "src", "0775"),
        ("upgrade", "src/Kernel.php", "0664"),
        ("upgrade", "config", "0770"),
    ],
)
def test_the_open_profiles_let_php_write_what_they_are_for(site, profile, path, mode):
    (site / ".env.d").mkdir()
    (site / f"{OWN}.d").mkdir(parents=True)
    (site / f"{OWN}.yaml").write_text("")
    run(order(site, profile))
    assert state(site / path)[2] == mode


def test_a_rule_of_the_users_own_comes_first_and_leaves_the_rest(site):
    (site / "public/custom/deep").mkdir(parents=True)
    (site / "public/custom/deep/x.css").write_text("")
    rules = (Rule("public/custom/**/*.css", file_mode=0o600), Rule("public/custom", owner=WEB.pw_uid))
    run(order(site, policy=rules))
    assert state(site / "public/custom/deep") == (WEB.pw_uid, WEB.pw_gid, "0755")
    assert state(site / "public/custom/deep/x.css") == (WEB.pw_uid, WEB.pw_gid, "0600")


def test_what_is_excluded_is_not_scanned(site):
    found = run(order(site, exclude=("var/cache", "**/*.pem")))
    assert state(site / "var/cache/prod/x.php")[2] == "0777"
    assert state(site / "config/jwt/private.pem")[2] == "0777"
    assert found.entries == sum(1 for _ in site.rglob("*")) + 1 - 4


@pytest.mark.parametrize("root", ["var", "var/log", ".env"])
def test_a_declared_part_that_is_excluded_is_not_scanned(site, root):
    before = picture(site / "var"), state(site / ".env")
    found = run(order(site, roots=(root,), exclude=("var", ".env")))
    assert (picture(site / "var"), state(site / ".env")) == before
    assert found.entries == sum(1 for _ in site.rglob("*")) + 1 - 7


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("var/log", "var/log", True),
        ("var/log", "var/log/x/y", True),
        ("var/log", "var/logs", False),
        ("**/x", "a/b/x/c", True),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/c/d/b", True),
        ("a/?[0-9]", "a/x1", True),
        ("a/**/c/*.x", "a/c/c/c/1.x/below", True),
        ("*/b", "a/b", True),
        ("*/b", "b", False),
    ],
)
def test_globs(pattern, path, fits):
    place = Policy(order("/x", policy=(Rule(pattern, file_mode=0o400),))).of(path)
    assert (place.want.file_mode == 0o400) is fits
