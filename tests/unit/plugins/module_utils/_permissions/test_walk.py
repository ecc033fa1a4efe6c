# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real files, as root. The web user is www-data."""

from __future__ import annotations

import contextlib
import errno
import grp
import json
import os
import pwd
import resource
import signal
import socket
import stat
import struct
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import vouch
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import walk as permissions_walk
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.walk import (
    Found,
    Order,
    PermsError,
    Policy,
    Rule,
    built_in,
    run,
)

WEB = pwd.getpwnam("www-data")
PROGRAMS = ("public/index.php", "public/main", "public/plugin")
OWN = "config/packages/prod/zz_chamilo_hardening"  # what the collection lays for the application


def order(root, profile="production", policy=(), **options):
    rules = (*policy, *built_in(profile, 0, WEB.pw_gid, WEB.pw_uid))
    return Order(str(root), rules, WEB.pw_uid, frozenset({WEB.pw_gid}), programs=PROGRAMS, **options)


@pytest.fixture(autouse=True)
def same_umask():
    old = os.umask(0o022)
    yield
    os.umask(old)


@pytest.fixture
def outside(tmp_path):
    """What must never change."""
    file = tmp_path / "shadow"
    file.write_text("root:secret")
    file.chmod(0o600)
    return file


@pytest.fixture
def site(tmp_path):
    return sloppy(tmp_path / "chamilo")


def sloppy(root):
    """A portal after `chown -R www-data` and `chmod -R 777`."""
    for path in (
        ".env",
        ".env.local",
        "bin/console",
        "config/authentication.yaml",
        "config/jwt/private.pem",
        "public/index.php",
        "public/main/admin/index.php",
        "public/build/app.js",
        "src/Kernel.php",
        "var/cache/prod/x.php",
        "var/log/prod.log",
        "vendor/bin/doctrine",
        "vendor/a/b/bin/tool",
        "vendor/autoload.php",
    ):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(path)
    subprocess.run(["chown", "-R", "www-data:www-data", root], check=True)
    subprocess.run(["chmod", "-R", "777", root], check=True)
    return root


def state(path):
    status = os.lstat(path)
    return status.st_uid, status.st_gid, f"{stat.S_IMODE(status.st_mode):04o}"


def picture(folder):
    """Owner, group, mode and content of everything."""
    found = {}
    for where, folders, files in os.walk(os.fsencode(folder)):
        for name in [b".", *folders, *files]:
            path = os.path.join(where, name)
            found[path] = state(path)
    return found


def give(path, mode, owner="www-data"):
    account = pwd.getpwnam(owner)
    os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
    if not os.path.islink(path):
        os.chmod(path, mode)


def reasons(found):
    return {one["path"]: one["why"] for one in found.refused}


# ------------------------------------------------------------------------------------------------------ the rules


def test_a_portal_that_was_777_is_as_the_guide_wants_it(site):
    found = run(order(site))
    code, secret, data = (0, WEB.pw_gid), (0, WEB.pw_gid), (WEB.pw_uid, WEB.pw_gid)
    assert {path: state(site / path) for path in WANTED} == {
        path: (*{"code": code, "secret": secret, "data": data}[kind], mode) for path, (kind, mode) in WANTED.items()
    }
    assert found.fixed["mode"] and found.fixed["owner"] and not found.refused_total


WANTED = {
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


def test_a_second_run_changes_nothing_and_looks_at_everything(site):
    first = run(order(site))
    second = run(order(site))
    assert not second.fixed.total() and not second.samples
    assert second.entries == first.entries == sum(1 for _ in site.rglob("*")) + 1


@pytest.mark.parametrize(("wrong", "most"), [(0, 0), (1, 2)])
def test_what_is_right_costs_one_look(site, monkeypatch, wrong, most):
    """No file of it is opened, but the one after a wrong one, which mostly is wrong too."""
    for number in range(30):
        (site / f"src/{number}").write_text("")
    run(order(site))
    for number in range(wrong):
        (site / f"src/{number}").chmod(0o666)
    opened = []
    openly = os.open

    def look(path, flags, *given, **options):
        if not flags & (os.O_DIRECTORY | os.O_PATH):
            opened.append(path)
        return openly(path, flags, *given, **options)

    monkeypatch.setattr(os, "open", look)
    assert run(order(site)).changed is bool(wrong)
    assert wrong <= len(opened) <= most


def test_a_check_says_what_a_run_does_and_touches_nothing(site):
    (site / "var/upload").mkdir()
    os.link(site / "src/Kernel.php", site / "src/Second.php")
    os.link(site / "src/Kernel.php", site / "var/upload/third.php")
    before = picture(site)
    predicted = run(order(site), check=True)
    assert picture(site) == before
    done = run(order(site))
    assert vars(predicted) == {**vars(done), "links": predicted.links}


def test_a_program_keeps_its_x_where_programs_are_and_nowhere_else(site):
    (site / "bin/plain").write_text("")
    (site / "src/tool").write_text("")
    (site / "src/tool").chmod(0o755)
    run(order(site))
    assert state(site / "bin/plain")[2] == "0644"
    assert state(site / "src/tool")[2] == "0644"


def test_setuid_goes_and_is_counted(site):
    give(site / "bin/console", 0o4755)
    give(site / "var/log/prod.log", 0o6770)
    found = run(order(site))
    assert found.fixed["setuid"] == 2
    assert state(site / "bin/console")[2] == "0755"


def test_a_folder_for_a_group_is_no_program_that_runs_as_one(site):
    give(site / "src", 0o2777)
    found = run(order(site))
    assert state(site / "src")[2] == "0755"
    assert found.fixed["setuid"] == 0


def test_each_kind_of_change_is_counted_by_itself(site):
    run(order(site))
    os.chown(site / "src/Kernel.php", 1, WEB.pw_gid)
    os.chown(site / "vendor/autoload.php", 0, 1)
    os.chown(site / "bin", 1, 1)
    (site / ".env").chmod(0o600)
    found = run(order(site), check=True)
    assert dict(found.fixed) == {"owner": 2, "group": 2, "mode": 1, "setuid": 0}
    assert found.result()["fixed"] == {"owner": 2, "group": 2, "mode": 1, "setuid": 0, "acl": 0}
    assert found.samples == [
        {"path": ".env", "before": "root:www-data 0600", "after": "root:www-data 0640"},
        {"path": "bin", "before": "daemon:daemon 0755", "after": "root:www-data 0755"},
        {"path": "src/Kernel.php", "before": "daemon:www-data 0644", "after": "root:www-data 0644"},
        {"path": "vendor/autoload.php", "before": "root:daemon 0644", "after": "root:www-data 0644"},
    ]


def test_twenty_are_told_one_by_one_and_all_are_counted(site):
    """Of what is changed, of what is left alone and of what cannot run any more."""
    (site / "public/build/shells").mkdir()
    for number in range(23):
        os.symlink("/etc/shadow", site / f"var/log/{number:02}")
        give(site / f"var/log/{number:02}", 0)
        shell = site / f"public/build/shells/{number:02}.php"
        shell.write_text("<?php")
        give(shell, 0o644)
    found = run(order(site), check=True)
    assert (found.refused_total, found.quarantined_total) == (23, 23)
    for told in ([one["path"] for one in found.refused], found.quarantined, [one["path"] for one in found.samples]):
        assert len(told) == len(set(told)) == 20
        assert told == sorted(told)
    owners, groups, modes = (found.fixed[kind] for kind in ("owner", "group", "mode"))
    told = permissions_walk.diff(str(site), found)["after"].splitlines()
    assert told[20:] == [f"and others: {owners} owners, {groups} groups, {modes} modes"]


def test_a_number_that_is_nobody_s_is_told_as_it_is(site):
    os.chown(site / "src/Kernel.php", 54321, 54322)
    told = {one["path"]: one["before"] for one in run(order(site), check=True).samples}
    assert told["src/Kernel.php"] == "54321:54322 0777"


def various(site):
    """Files of each kind beside each other, right and wrong, so that each follows each."""
    owners = [(0, 0), (0, WEB.pw_gid), (WEB.pw_uid, WEB.pw_gid), (WEB.pw_uid, 0)]
    number = 0
    for folder in ("src", "public/main", "public/build", "vendor/bin", "config", "var/upload"):
        (site / folder).mkdir(parents=True, exist_ok=True)
        for mode in (0o644, 0o640, 0o660, 0o666, 0o600, 0o755, 0o777, 0o4755, 0o2644, 0o6644):
            for owner in owners:
                number += 1
                file = site / folder / f"{number * 7919 % 1000:03}.{'txt' if number % 3 else 'php'}"
                file.write_text("")
                os.chown(file, *owner)
                file.chmod(mode)
        os.symlink("000.php", site / folder / "link.php")
        os.mkfifo(site / folder / "fifo.php")
        os.setxattr(site / folder / file.name, "system.posix_acl_access", acl())
    os.link(site / "src/Kernel.php", site / "src/again.php")


def test_what_is_told_of_the_first_is_done_to_all(site, tmp_path, monkeypatch):
    """Once enough is told, most files are set right in a shorter way. It has to end the same."""
    various(site)
    twin = tmp_path / "twin"
    subprocess.run(["cp", "-a", site, twin], check=True)
    with monkeypatch.context() as patched:
        patched.setattr(permissions_walk._Walk, "_simply", lambda *given: False)
        listed = run(order(site))
    monkeypatch.setattr(permissions_walk, "_LISTED", 0)
    calls = []
    change = permissions_walk._Walk._set
    monkeypatch.setattr(
        permissions_walk._Walk, "_set", lambda walk, *given: calls.append(given[1]) or change(walk, *given)
    )
    short = run(order(twin))
    ours, theirs = (
        {os.path.relpath(path, os.fsencode(top)): what for path, what in picture(top).items()} for top in (site, twin)
    )
    assert ours == theirs
    plain = {what for path, what in ours.items() if path.startswith(b"src/") and path.endswith(b".txt")}
    assert plain == {(0, WEB.pw_gid, "0644")}
    for name in ("entries", "fixed", "refused_total", "quarantined_total", "doubtful_total"):
        assert (name, getattr(short, name)) == (name, getattr(listed, name))
    assert len(calls) < short.fixed["mode"] / 2, "the short way was not taken"
    assert not run(order(twin)).changed


@pytest.mark.parametrize("listed", [0, 20])
@pytest.mark.parametrize(
    ("was", "between"),
    [
        (0o660, 0o640),
        (0o600, 0o600),
        (0o700, 0o600),
        (0o020, 0o000),
        # Everybody had it, so the group gains nothing.
        (0o666, 0o666),
        (0o662, 0o662),
        (0o664, 0o640),
    ],
)
def test_nobody_may_hold_for_a_moment_what_only_others_had(site, monkeypatch, was, between, listed):
    """A group that is new must not open for writing what it may only read in the end."""
    monkeypatch.setattr(permissions_walk, "_LISTED", listed)
    give(site / ".env", was, "root")
    seen = []
    change = os.fchown

    def fchown(handle, owner, group):
        if os.readlink(f"/proc/self/fd/{handle}").endswith("/.env"):
            seen.append(stat.S_IMODE(os.fstat(handle).st_mode))
        change(handle, owner, group)

    monkeypatch.setattr(os, "fchown", fchown)
    run(order(site))
    assert seen == [between]
    assert state(site / ".env") == (0, WEB.pw_gid, "0640")


@pytest.mark.parametrize(
    ("profile", "path", "mode"),
    [
        ("install", "config", "0770"),
        ("install", ".env", "0660"),
        ("install", "src", "0755"),
        ("install", ".env.d", "0770"),
        ("install", f"{OWN}.d", "0750"),
        ("install", f"{OWN}.yaml", "0640"),
        ("production", ".env.d", "0750"),
        ("upgrade", ".env", "0660"),
        ("upgrade", ".env.d", "0770"),
        ("upgrade", "src", "0775"),
        ("upgrade", "src/Kernel.php", "0664"),
        ("upgrade", "config", "0770"),
        ("upgrade", "var", "0770"),
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


def test_what_is_excluded_is_not_looked_at(site):
    found = run(order(site, exclude=("var/cache", "**/*.pem")))
    assert state(site / "var/cache/prod/x.php")[2] == "0777"
    assert state(site / "config/jwt/private.pem")[2] == "0777"
    assert found.entries == sum(1 for _ in site.rglob("*")) + 1 - 4


@pytest.mark.parametrize("root", ["var", "var/log", ".env"])
def test_a_declared_part_that_is_excluded_is_not_looked_at(site, root):
    before = picture(site / "var"), state(site / ".env")
    found = run(order(site, roots=(root,), exclude=("var", ".env")))
    assert (picture(site / "var"), state(site / ".env")) == before
    assert found.entries == sum(1 for _ in site.rglob("*")) + 1 - 7


def test_the_part_after_one_that_is_excluded_is_looked_at(site, mount):
    mount("-t", "tmpfs", "-o", "mode=777", "tmpfs", site / "var")
    found = run(order(site, roots=("config", "var"), exclude=("config",)))
    assert not found.refused_total
    assert state(site / "var") == (WEB.pw_uid, WEB.pw_gid, "0770")


def test_no_handle_is_left_open(site):
    before = set(os.listdir("/proc/self/fd"))
    run(order(site, roots=("var", "config")))
    assert set(os.listdir("/proc/self/fd")) <= before


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("var/log", "var/log", True),
        ("var/log", "var/log/x/y", True),
        ("var/log", "var/logs", False),
        ("var/*.log", "var/a/b.log", False),
        ("**/x", "x", True),
        ("**/x", "a/b/x/c", True),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/c/d/b", True),
        ("a/**/b", "a/c/d", False),
        ("a/?[0-9]", "a/x1", True),
        ("a/**", "a/b", True),
        ("a/**", "b", False),
        ("a/**/c/*.x", "a/c/1.x", True),
        ("a/**/c/*.x", "a/c/c/c/1.x/below", True),
        ("a/**/c/*.x", "a/c/d/1.x", False),
        ("*/b", "a/b", True),
        ("*/b", "a/c", False),
        ("*/b", "b", False),
    ],
)
def test_globs(pattern, path, fits):
    place = Policy(order("/x", policy=(Rule(pattern, file_mode=0o400),))).of(path)
    assert (place.want.file_mode == 0o400) is fits


# ---------------------------------------------------------------------------------------- what lies in such a tree


def test_no_link_is_followed(site, outside, tmp_path):
    os.symlink(outside, site / "var/link")
    os.symlink(tmp_path, site / "src/folder")
    before = state(outside), state(tmp_path)
    run(order(site))
    assert (state(outside), state(tmp_path)) == before


def test_a_link_of_the_web_user_s_that_leads_out_is_told(site, outside):
    for path, target in {"var/out": outside, "var/in": "../src", "var/up": "../../shadow"}.items():
        os.symlink(target, site / path)
        give(site / path, 0)
    assert list(reasons(run(order(site)))) == ["var/out", "var/up"]


@pytest.mark.parametrize(
    ("target", "leads_out"),
    [
        ("/etc/passwd", True),
        ("../../../..", True),
        ("../../../chamilo", True),  # out of it, and in again by another name
        ("a/../../../../etc", True),
        ("../..", False),
        ("./../log/./prod.log", False),
        ("../../src//Kernel.php", False),
        ("nowhere", False),
    ],
)
def test_where_a_link_of_the_web_user_s_leads(site, target, leads_out):
    for name in ("theirs", "roots"):
        os.symlink(target, site / f"var/log/{name}")
    give(site / "var/log/theirs", 0)
    said = reasons(run(order(site)))
    assert list(said) == ["var/log/theirs"] * leads_out
    assert all("leads out of the tree" in why for why in said.values())


def test_a_link_of_the_web_user_s_with_the_tree_s_own_path_stays_in_it(site):
    os.symlink(site / "src/Kernel.php", site / "var/whole")
    os.symlink(f"{site}-other/src", site / "var/beside")
    os.symlink(f"{site}/../{site.name}/src", site / "var/again")
    os.symlink(f"{site}/../elsewhere", site / "var/above")
    for name in ("whole", "beside", "again", "above"):
        give(site / f"var/{name}", 0)
    assert sorted(reasons(run(order(site)))) == ["var/above", "var/beside"]


@pytest.mark.parametrize(
    ("link", "target", "told"),
    [
        ("src/Later.php", "../var/log/prod.log", True),
        (".env.prod", "var/log/prod.log", True),
        (".env.prod", "{site}/var/log/prod.log", True),
        ("src/Later.php", "Kernel.php", False),
        ("var/Later.php", "log/prod.log", False),
    ],
)
def test_a_link_of_the_web_user_s_from_the_program_to_what_it_can_change_is_told(site, link, target, told):
    os.symlink(target.format(site=site), site / link)
    assert reasons(run(order(site))) == {}, "root's own"
    give(site / link, 0)
    said = reasons(run(order(site)))
    assert list(said) == [link] * told
    assert all("leads to what it can change" in why for why in said.values())


def test_a_hard_link_to_a_file_elsewhere_is_left_alone(site, outside):
    os.link(outside, site / "var/log/shadow")
    os.link(outside, site / "src/shadow.php")
    before = state(outside)
    found = run(order(site))
    assert state(outside) == before
    assert [*reasons(found).values()] == ["has 3 names, and 1 of them not in this tree"]


def test_one_of_the_web_user_s_own_as_well(site, tmp_path):
    own = tmp_path / "own"
    own.write_text("")
    give(own, 0o666)
    os.link(own, site / "var/own")
    found = run(order(site))
    assert state(own)[2] == "0666"
    assert "1 of them not in this tree" in reasons(found)["var/own"]


def test_names_that_are_all_in_the_tree_are_set_once(site):
    os.link(site / "src/Kernel.php", site / "src/Again.php")
    found = run(order(site))
    assert state(site / "src/Again.php") == (0, WEB.pw_gid, "0644")
    assert not found.refused_total


@pytest.mark.parametrize(
    ("profile", "folder", "movable"),
    [
        ("production", "src", False),  # PHP may read there
        ("production", "config", False),
        ("production", "var/log", True),
        ("upgrade", "src", True),  # its group may write there
        ("install", "src", False),
    ],
)
def test_a_check_knows_where_names_could_be_moved(site, profile, folder, movable):
    for name in ("one", "two"):
        (site / folder / name).mkdir()
    (site / folder / "one/file").write_text("")  # root's, so a name may hide one that is elsewhere
    os.link(site / folder / "one/file", site / folder / "two/file")
    predicted = run(order(site, profile), check=True)
    done = run(order(site, profile))
    for found in (predicted, done):
        assert list(reasons(found)) == [f"{folder}/one/file"] * movable


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
    """Between the look at it and its opening: nothing outside changes, and the walk does not wait."""
    file = site / "src/Kernel.php"
    before = state(outside)
    at_the_moment(monkeypatch, file.name, lambda: exchange(file, outside))
    said = reasons(run(order(site)))
    assert state(outside) == before
    assert list(said) == ["src/Kernel.php"]
    assert "exchanged" in said["src/Kernel.php"] or "not in this tree" in said["src/Kernel.php"]


@pytest.mark.parametrize("turn", [1, 2])
def test_a_folder_that_is_exchanged_at_the_very_moment(site, tmp_path, monkeypatch, turn):
    """When it is met, and when its turn comes."""
    other = sloppy(tmp_path / "other")
    before = picture(other)

    def exchange():
        os.rename(site / "var/log", tmp_path / "away")
        os.symlink(other, site / "var/log")

    at_the_moment(monkeypatch, "log", exchange, turn)
    assert "exchanged" in reasons(run(order(site)))["var/log"]
    assert picture(other) == before


@pytest.mark.parametrize("turn", [1, 2])
def test_a_folder_that_goes_meanwhile_is_no_fault(site, tmp_path, monkeypatch, turn):
    at_the_moment(monkeypatch, "log", lambda: os.rename(site / "var/log", tmp_path / "away"), turn)
    found = run(order(site))
    assert found.refused_total == 0
    assert state(site / "var/cache/prod/x.php")[2] == "0660"


def test_a_folder_that_another_file_system_covers_when_its_turn_comes(site, mount, monkeypatch):
    def cover():
        mount("-t", "tmpfs", "-o", "mode=777", "tmpfs", site / "var/log")
        (site / "var/log/file").touch(0o666)

    at_the_moment(monkeypatch, "log", cover, 2)
    run(order(site))
    assert state(site / "var/log/file")[2] == "0644", "it was not looked at"


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
    settle = permissions_walk._Walk.settle_links

    def late(walk):
        exchange(site, outside)
        settle(walk)

    monkeypatch.setattr(permissions_walk._Walk, "settle_links", late)
    said = [*reasons(run(order(site))).values()]
    assert state(outside) == before
    assert said == ["was exchanged while it was looked at"]


def test_several_processes_tell_all_that_one_tells(site):
    """Every kind of thing, in the last folders that are looked at."""
    fill(site, 400, 1)
    for number in (7, 250, 399):
        folder = site / f"var/upload/{number % 20}/{number}"
        os.mkfifo(folder / "fifo")
        os.link(folder / "0", folder / "again")
        os.symlink("/etc/shadow", folder / "link")
        give(folder / "link", 0)
        (site / f"public/build/{number}").mkdir()
        (site / f"public/build/{number}/x.php").write_text("<?php")
        give(site / f"public/build/{number}/x.php", 0o600)
    one = run(order(site), check=True, processes=1)
    two = run(order(site), check=True, processes=2)
    assert one.quarantined_total == len(one.quarantined) == 3
    for name in ("entries", "fixed", "refused", "refused_total", "quarantined", "quarantined_total", "links"):
        assert getattr(two, name) == getattr(one, name)
    assert len(two.samples) == len(one.samples) == 20


def at_the_moment(monkeypatch, name, exchange, turn=1):
    """Right before this name is opened for the first time, or the second."""
    openly = os.open
    seen = []

    def opened(path, *given, **options):
        if path == name:
            seen.append(name)
            if len(seen) == turn:
                exchange()
        return openly(path, *given, **options)

    monkeypatch.setattr(os, "open", opened)


def test_a_name_that_was_counted_twice_is_not_believed(site, monkeypatch):
    """Somebody moved it ahead of the walk: then one more is hidden somewhere else."""
    os.link(site / "src/Kernel.php", site / "src/Again.php")
    look = permissions_walk._Walk._opened

    def twice(walk, handle, path, *given):
        look(walk, handle, path, *given)
        if path == "src/Again.php":
            look(walk, handle, path, *given)

    monkeypatch.setattr(permissions_walk._Walk, "_opened", twice)
    assert [*reasons(run(order(site))).values()] == ["has 2 names, and -1 of them not in this tree"]
    assert state(site / "src/Kernel.php")[2] == "0777"


def test_more_files_with_several_names_than_can_be_remembered_are_told(site, monkeypatch):
    monkeypatch.setattr(permissions_walk, "_LINKS", 2)
    for number in range(3):
        (site / f"src/{number}").write_text("")
        (site / f"src/{number}").chmod(0o666)
        os.link(site / f"src/{number}", site / f"vendor/{number}")
    said = reasons(run(order(site)))
    assert len(said) == 2 and all("too many files" in why for why in said.values())
    assert sorted(state(site / f"src/{number}")[2] for number in range(3)) == ["0644", "0644", "0666"]


def test_several_names_in_a_declared_part_beside_one_that_is_called_alike(site, tmp_path):
    """var is a root of its own, and various is not below it."""
    (site / "various").mkdir()
    for folder in ("var/log", "various"):
        (site / folder / "first").write_text("")
        give(site / folder / "first", 0o777)
        os.link(site / folder / "first", site / folder / "second")
    os.rename(site / "var", tmp_path / "shared")
    os.symlink(tmp_path / "shared", site / "var")
    os.chown(site, 0, 0)
    site.chmod(0o755)
    assert not run(order(site, roots=("var",))).refused_total
    assert state(tmp_path / "shared/log/second") == (WEB.pw_uid, WEB.pw_gid, "0660")
    assert state(site / "various/second") == (0, WEB.pw_gid, "0644")


def test_names_for_which_different_rules_hold_are_left_alone(site):
    give(site / ".env", 0o640, "root")
    os.link(site / ".env", site / "var/env")
    found = run(order(site))
    assert state(site / ".env") == (0, 0, "0640")
    assert "different rules" in reasons(found)[".env"]


def test_a_count_of_names_that_can_be_moved_is_not_believed(site):
    os.link(outside_of_the_web_user(site), site / "var/log/second")
    found = run(order(site))
    assert "move them" in [*reasons(found).values()][0]


def outside_of_the_web_user(site):
    file = site / "var/log/root.log"
    file.write_text("")
    give(file, 0o600, "root")
    return file


def test_fifo_socket_and_device_are_told_and_left(site):
    os.mkfifo(site / "var/fifo", 0o666)
    listener = socket.socket(socket.AF_UNIX)
    os.chdir(site / "var")
    listener.bind("socket")
    os.chdir("/")
    os.mknod(site / "public/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    before = {name: state(site / name) for name in ("var/fifo", "var/socket", "public/null")}
    said = reasons(run(order(site)))
    assert {name: state(site / name) for name in before} == before
    assert "a FIFO" in said["var/fifo"] and "a socket" in said["var/socket"] and "a device" in said["public/null"]
    listener.close()


def test_whose_something_is_is_asked_once_however_much_of_it_there_is(site, monkeypatch):
    """Users may be in a directory on another host, and nothing limits what the web user makes."""
    for number in range(30):
        os.mkfifo(site / f"var/{number}")
        os.chown(site / f"var/{number}", 54323, 54323)
    asked = []
    user, group = pwd.getpwuid, grp.getgrgid
    monkeypatch.setattr(pwd, "getpwuid", lambda number: asked.append(("user", number)) or user(number))
    monkeypatch.setattr(grp, "getgrgid", lambda number: asked.append(("group", number)) or group(number))
    assert run(order(site), check=True).refused_total == 30
    assert asked.count(("user", 54323)) == asked.count(("group", 54323)) == 1


def test_a_fifo_that_is_as_a_file_there_would_be_is_not_told(site):
    for name, mode, owner in (("right", 0o660, "www-data"), ("open", 0o666, "www-data"), ("roots", 0o660, "root")):
        os.mkfifo(site / f"var/{name}")
        give(site / f"var/{name}", mode, owner)
    os.chown(site / "var/roots", 0, WEB.pw_gid)
    said = reasons(run(order(site)))
    assert sorted(said) == ["var/open", "var/roots"]
    assert "www-data:www-data 0666" in said["var/open"]


@pytest.mark.parametrize("name", ["src/Kernel.php", "src"])
@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOENT, None),
        (errno.ELOOP, "was exchanged"),
        (errno.ENOTDIR, "was exchanged"),
        (errno.ENXIO, "was exchanged"),
        (errno.EPERM, "Operation not permitted"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_what_goes_or_is_exchanged_while_it_is_looked_at(site, monkeypatch, name, number, words):
    """What has gone is no fault; all else is told, and the walk goes on."""
    openly = os.open

    def opened(path, *given, **options):
        if path == os.path.basename(name):
            raise OSError(number, os.strerror(number))
        return openly(path, *given, **options)

    monkeypatch.setattr(os, "open", opened)
    said = reasons(run(order(site)))
    assert list(said) == ([name] if words else [])
    assert all(words in why for why in said.values())
    assert state(site / "vendor/autoload.php")[2] == "0644"


def test_names_are_never_raw_in_what_is_told(site):
    names = [b"line\nbreak", b"esc\x1b[31m", b"latin\xe9", b"\xff\xfe"]
    for name in names:
        with open(os.path.join(os.fsencode(site / "var"), name), "w"):
            pass
        os.link(os.path.join(os.fsencode(site / "var"), name), os.path.join(os.fsencode(site.parent), name))
    told = run(order(site))
    assert told.refused_total == 4
    text = json.dumps([told.refused, told.samples], ensure_ascii=False)
    text.encode()
    assert "\\u001b" not in text and "\x1b" not in text and "\\n" not in text.replace("\\\\n", "")


def test_an_immutable_file_is_told_in_a_check_too(site):
    file = site / "src/Kernel.php"
    subprocess.run(["chattr", "+i", file], check=True)
    try:
        for check in (True, False):
            assert "immutable" in reasons(run(order(site), check=check))["src/Kernel.php"]
        assert state(file)[2] == "0777"
    finally:
        subprocess.run(["chattr", "-i", file], check=True)


def test_a_change_that_the_system_forbids_for_another_reason_is_told_with_its_words(site, monkeypatch):
    change = os.fchown

    def fchown(handle, *owner):
        if os.readlink(f"/proc/self/fd/{handle}").endswith("/Kernel.php"):
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        change(handle, *owner)

    monkeypatch.setattr(os, "fchown", fchown)
    assert reasons(run(order(site))) == {"src/Kernel.php": "Operation not permitted"}


def acl(user=1, rights=4):
    """user::rw- user:1:r-- group::r-- mask::r-- other::---"""
    entries = [(1, 6, 0xFFFFFFFF), (2, rights, user), (4, 4, 0xFFFFFFFF), (0x10, rights, 0xFFFFFFFF)]
    entries.append((0x20, 0, 0xFFFFFFFF))
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"


def acls(site):
    return sorted(
        str(path.relative_to(site))
        for path in [site, *site.rglob("*")]
        if not path.is_symlink() and set(os.listxattr(path)) & {ACCESS, DEFAULT}
    )


def test_an_acl_on_data_is_told_whether_or_not_the_mode_was_right(site):
    os.setxattr(site / "var/log/prod.log", ACCESS, acl())
    for _again in range(2):
        assert "ACL" in reasons(run(order(site)))["var/log/prod.log"]
    assert acls(site) == ["var/log/prod.log"]


@pytest.mark.parametrize("hardened", [False, True])
def test_an_acl_in_the_program_that_gives_more_than_its_mode_is_removed(site, hardened):
    if hardened:
        run(order(site))
    secrets = [".env", "config/jwt/private.pem"]
    folders = [".", "config", "public/main", "src"]
    for name in secrets:
        os.setxattr(site / name, ACCESS, acl())
    for name in folders:
        for kind in (ACCESS, DEFAULT):
            os.setxattr(site / name, kind, acl(WEB.pw_uid, 7))
    if not hardened:  # nothing is let by an ACL that a mode of 0644 does not show
        os.setxattr(site / "src/Kernel.php", ACCESS, acl(WEB.pw_uid, 6))
    predicted = run(order(site), check=True)
    assert acls(site) == sorted([*secrets, *folders, *([] if hardened else ["src/Kernel.php"])])
    found = run(order(site))
    assert (predicted.result(), found.fixed["acl"]) == (found.result(), len(acls_of(secrets, folders)) + (not hardened))
    assert acls(site) == [] and not found.refused
    (site / "public/main/new.php").write_text("")
    assert state(site / "public/main") == (0, WEB.pw_gid, "0755")
    assert state(site / "public/main/new.php")[2] == "0644", "what root makes is root's to write"
    assert run(order(site)).fixed["acl"] == 0


def acls_of(secrets, folders):
    return [*secrets, *folders, *folders]


def test_what_is_no_acl_or_lets_nobody_more_in_stays(site):
    os.setxattr(site / ".env", "user.note", b"x")
    os.setxattr(site / "src", DEFAULT, acl())  # everybody can read it anyway
    for _again in range(2):
        assert not run(order(site)).refused_total
    assert acls(site) == ["src"]


def test_an_acl_that_cannot_be_removed_is_told(site, monkeypatch):
    os.setxattr(site / "src", DEFAULT, acl(WEB.pw_uid, 7))

    def refuse(_handle, _name):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "removexattr", refuse)
    assert reasons(run(order(site))) == {"src": "has an ACL that cannot be removed: Operation not permitted"}


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


@pytest.mark.parametrize(("number", "asked_again"), [(errno.ENOTSUP, False), (errno.EIO, True)])
def test_a_file_system_that_knows_no_acl_is_asked_once(site, monkeypatch, number, asked_again):
    asked = []

    def listxattr(file, **options):
        asked.append(file)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "listxattr", listxattr)
    run(order(site))
    found = run(order(site))
    assert (found.refused_total, found.changed) == (0, False)
    assert (len(asked) > 2) is asked_again


def test_300_levels_and_a_path_of_4000_characters(site):
    here = os.open(site / "var", os.O_RDONLY)
    for _level in range(300):
        os.mkdir("a" * 14, dir_fd=here)
        below = os.open("a" * 14, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, 0o777, dir_fd=here))
    found = run(order(site))
    assert not found.refused_total
    assert stat.S_IMODE(os.stat("file", dir_fd=here).st_mode) == 0o660
    os.close(here)


@pytest.mark.parametrize(
    ("allowed", "asked"),
    [
        ((64, resource.RLIM_INFINITY), [(1000, resource.RLIM_INFINITY)]),
        ((64, 4096), [(1000, 4096)]),
        ((64, 500), [(500, 500)]),
        ((1000, 4096), []),
        ((999, 4096), [(1000, 4096)]),
    ],
)
def test_as_many_descriptors_as_the_depth_needs_are_asked_for(site, monkeypatch, allowed, asked):
    made = []
    monkeypatch.setattr(resource, "getrlimit", lambda _what: allowed)
    monkeypatch.setattr(resource, "setrlimit", lambda _what, wanted: made.append(wanted))
    run(order(site), check=True)
    assert made == asked


def test_deeper_than_any_descriptor_can_go_is_told(site):
    """And what lies beside the way is looked at."""
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


@pytest.fixture
def mount(tmp_path):
    """``mount(*words)``; skipping is no answer, so where mounts are forbidden the test fails."""
    done = []

    def mounted(*words):
        subprocess.run(["mount", *map(str, words)], check=True)
        if "remount" not in str(words):
            done.append(words[-1])

    yield mounted
    for target in reversed(done):
        subprocess.run(["umount", "-l", target], check=True)


def test_a_bind_mount_of_the_same_file_system_is_not_entered(site, tmp_path, mount):
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").write_text("")
    (site / "var/mounted").mkdir()
    mount("--bind", other, site / "var/mounted")
    before = picture(other)
    said = reasons(run(order(site)))
    assert picture(other) == before
    assert "another file system" in said["var/mounted"]


@pytest.mark.parametrize("listed", [0, 20])
def test_a_bind_mount_over_a_file_is_not_changed(site, outside, mount, monkeypatch, listed):
    monkeypatch.setattr(permissions_walk, "_LISTED", listed)
    mount("--bind", outside, site / "src/Kernel.php")
    before = state(outside)
    found = run(order(site))
    assert state(outside) == before
    assert found.refused_total == 1
    assert listed == 0 or "mounted" in reasons(found)["src/Kernel.php"]


def test_a_declared_part_may_be_a_file_system_of_its_own(site, mount):
    mount("-t", "tmpfs", "-o", "mode=777", "tmpfs", site / "var")
    (site / "var/file").write_text("")
    assert "var" in reasons(run(order(site), check=True))
    found = run(order(site, roots=("var",)))
    assert not found.refused_total
    assert state(site / "var") == (WEB.pw_uid, WEB.pw_gid, "0770")
    assert state(site / "var/file")[2] == "0660"


def given(site):
    """As the module gets it, with the parts that the role names."""
    tree = {"path": str(site), "owner": "root", "group": None, "web_user": WEB.pw_name, "roots": ["var", "config"]}
    return permissions_walk.order(tree, "production")


def test_a_disk_for_uploads_is_discovered(site, tmp_path, mount):
    """Before a role names it; what shows a part of the host's own disk, and what is no data, stays as it is."""
    for name in ("var/upload/big", "var/mounted", "public/mounted", "var/user"):
        (site / name).mkdir(parents=True)
    for name in ("var/upload", "public/mounted"):
        mount("-t", "tmpfs", "-o", "mode=777", "tmpfs", site / name)
    mount("--bind", tmp_path, site / "var/mounted")
    (site / "var/upload/big").mkdir(mode=0o777)
    (site / "var/upload/big/file").write_text("")
    found = run(given(site))
    assert state(site / "var/upload") == state(site / "var/upload/big") == (WEB.pw_uid, WEB.pw_gid, "0770")
    assert state(site / "var/upload/big/file") == (WEB.pw_uid, WEB.pw_gid, "0660")
    assert set(reasons(found)) == {"var/mounted", "public/mounted"}
    assert not run(given(site)).changed


def test_a_disk_behind_the_link_of_var_is_discovered(site, tmp_path, mount):
    shared = tmp_path / "shared"
    os.rename(site / "var", shared)
    os.symlink(shared, site / "var")
    site.chmod(0o755)
    os.chown(site, 0, 0)
    (shared / "upload").mkdir()
    mount("-t", "tmpfs", "-o", "mode=777", "tmpfs", shared / "upload")
    assert not run(given(site)).refused_total
    assert state(shared / "upload") == (WEB.pw_uid, WEB.pw_gid, "0770")


def test_what_a_user_serves_is_not_asked(site, mount, monkeypatch):
    (site / "var/upload").mkdir()
    mount("-t", "tmpfs", "-o", "mode=777", "tmpfs", site / "var/upload")
    monkeypatch.setattr(permissions_walk, "served_by_users", lambda: {str(site / "var/upload")})
    assert "another file system" in reasons(run(given(site)))["var/upload"]


@pytest.fixture
def squashed(monkeypatch):
    """``squashed(path)``: a mount that refuses root, as NFS with root_squash does. It stands in for one."""

    def squash(path):
        device = os.lstat(path).st_dev

        def of(what, options):
            if isinstance(what, int):
                return os.fstat(what).st_dev
            return real["stat"](what, dir_fd=options.get("dir_fd"), follow_symlinks=False).st_dev

        def refusing(name, code):
            def call(what, *more, **options):
                if name == "open" and more and more[0] & os.O_CREAT:
                    return real[name](what, *more, **options)
                if os.geteuid() == 0 and of(what, options) == device and not (name == "open" and more[0] & os.O_PATH):
                    inside = what if isinstance(what, int) else None
                    status = (
                        os.fstat(inside) if inside is not None else real["stat"](what, dir_fd=options.get("dir_fd"))
                    )
                    if name != "open" or not status.st_mode & 0o004:
                        raise OSError(code, os.strerror(code), str(what))
                return real[name](what, *more, **options)

            return call

        real = {name: getattr(os, name) for name in ("open", "fchmod", "fchown", "stat")}
        for name, code in (("open", errno.EACCES), ("fchmod", errno.EPERM), ("fchown", errno.EPERM)):
            monkeypatch.setattr(os, name, refusing(name, code))

    return squash


def test_where_root_may_not_the_web_user_sets_what_is_its_own(site, tmp_path, mount, squashed):
    (site / "var/upload").mkdir()
    mount("-t", "tmpfs", "-o", "mode=777", "tmpfs", site / "var/upload")
    for path in (tmp_path, *tmp_path.parents):  # the web user has to get there
        if str(path).startswith("/tmp/pytest"):
            path.chmod(0o755)
    (site / "var/upload/deep").mkdir(mode=0o700)
    (site / "var/upload/deep/lesson").write_text("")
    (site / "var/upload/foreign").write_text("")
    for name in ("", "/deep", "/deep/lesson"):
        os.chown(f"{site}/var/upload{name}", WEB.pw_uid, WEB.pw_gid)
    os.chown(site / "var/upload/foreign", 12345, WEB.pw_gid)
    (site / "var/upload/foreign").chmod(0o666)
    (site / "var/upload/deep").chmod(0o777)
    (site / "var/upload").chmod(0o777)
    squashed(site / "var/upload")
    found = run(given(site))
    assert os.geteuid() == 0
    assert state(site / "var/upload") == state(site / "var/upload/deep") == (WEB.pw_uid, WEB.pw_gid, "0770")
    assert state(site / "var/upload/deep/lesson")[2] == "0660"
    assert reasons(found) == {"var/upload/foreign": "Operation not permitted"}
    again = run(given(site))
    assert not again.changed and reasons(again) == reasons(found)


def test_a_read_only_file_system_is_said_once(site, mount):
    mount("--bind", site, site)
    mount("-o", "remount,ro,bind", site)
    for check in (True, False):
        with pytest.raises(PermsError, match="read-only"):
            run(order(site), check=check)


def test_a_link_of_root_s_to_a_declared_part_is_followed(site, tmp_path):
    shared = tmp_path / "shared"
    os.rename(site / "var", shared)
    os.symlink(shared, site / "var")
    site.chmod(0o755)
    os.chown(site, 0, 0)
    for again in (True, False):
        found = run(order(site, roots=("var",)))
        assert bool(found.fixed.total()) is again
    assert state(shared / "log/prod.log") == (WEB.pw_uid, WEB.pw_gid, "0660")


def test_the_start_may_be_a_link_of_root_s(site, tmp_path):
    os.symlink("chamilo", tmp_path / "current")
    run(order(tmp_path / "current"))
    assert state(site / ".env")[2] == "0640"


def test_a_link_that_somebody_else_could_have_laid_is_not_followed(site, tmp_path):
    link = tmp_path / "current"
    os.symlink("chamilo", link)
    give(link, 0)
    with pytest.raises(PermsError, match="current is a link to chamilo that an account other than root"):
        run(order(link))
    os.unlink(link)
    os.symlink("chamilo", link)
    os.chmod(tmp_path, 0o777)
    with pytest.raises(PermsError, match="current is a link to chamilo that an account other than root"):
        run(order(link))


@pytest.mark.parametrize(
    ("mode", "followed"), [(0o755, True), (0o1777, True), (0o775, False), (0o757, False), (0o777, False)]
)
def test_who_could_have_laid_a_link_in_that_folder(site, tmp_path, mode, followed):
    """In a folder such as /tmp everybody can lay one, but nobody can exchange root's."""
    os.symlink("chamilo", tmp_path / "current")
    tmp_path.chmod(mode)
    if followed:
        assert run(order(tmp_path / "current")).changed
    else:
        with pytest.raises(PermsError, match="an account other than root"):
            run(order(tmp_path / "current"))


def test_a_folder_of_somebody_else_s_can_be_full_of_links_by_root_s_name(site, tmp_path):
    os.symlink("chamilo", tmp_path / "current")
    os.chown(tmp_path, 1, 0)
    with pytest.raises(PermsError, match="an account other than root"):
        run(order(tmp_path / "current"))


@pytest.mark.parametrize(("links", "refused"), [(40, False), (41, True)])
def test_a_way_of_many_links_has_an_end(site, tmp_path, links, refused):
    last = "chamilo"
    for number in range(links):
        os.symlink(last, tmp_path / f"link{number}")
        last = f"link{number}"
    if refused:
        with pytest.raises(PermsError, match="too many links"):
            run(order(tmp_path / last))
    else:
        assert run(order(tmp_path / last)).changed


def test_a_declared_part_may_be_a_single_file(site, tmp_path):
    secret = tmp_path / "shared.env"
    os.rename(site / ".env", secret)
    os.symlink(secret, site / ".env")
    os.chown(site, 0, 0)
    site.chmod(0o755)
    assert not run(order(site, roots=(".env",))).refused_total
    assert state(secret) == (0, WEB.pw_gid, "0640")


def test_a_start_that_is_not_there_or_no_directory_is_refused(site):
    with pytest.raises(PermsError, match="No such file"):
        run(order(site / "nothing"))
    with pytest.raises(PermsError, match="not a directory"):
        run(order(site / ".env"))


def test_the_system_itself_is_no_tree(site, monkeypatch):
    """Nothing would be left of the host. The walk is taken out, lest a mistake here be the proof."""
    monkeypatch.setattr(permissions_walk._Walk, "begin", lambda walk: pytest.fail("it would have walked"))
    with pytest.raises(PermsError, match=r"^/ leads to /, which belongs to the system"):
        run(order("/"))
    os.chown(site, 0, 0)
    site.chmod(0o755)
    (site / "data").symlink_to("/etc")
    with pytest.raises(PermsError, match=r"^data leads to /etc, which belongs to the system"):
        run(order(site, roots=("data",)))


def test_only_root_can(site, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 33)
    with pytest.raises(PermsError, match="Only root"):
        run(order(site))


def test_php_where_none_belongs_cannot_run_until_somebody_looked(site):
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
    for path in site.rglob("*"):
        if path not in (laid[1], laid[2], site / "bin/console") and path.is_file():
            os.chown(path, 0, 0)
    (site / "public/main/picture.png").write_text("<?php")
    give(site / "public/main/picture.png", 0o644)
    predicted = run(order(site), check=True)
    for found in (predicted, run(order(site))):
        assert found.quarantined == ["public/main/picture.png", "public/main/planted.php"]
        assert found.doubtful == ["bin/console", "vendor/a/planted.php"]
        assert (found.quarantined_total, found.doubtful_total) == (2, 2)
    assert state(site / "bin/console") == (0, WEB.pw_gid, "0355")
    assert state(laid[0]) == (0, WEB.pw_gid, "0644")
    assert state(laid[1]) == (0, 0, "0600")
    assert state(laid[2]) == (0, WEB.pw_gid, "0244")
    again = run(order(site))
    assert (again.changed, again.quarantined, again.doubtful) == (
        False,
        ["public/main/picture.png", "public/main/planted.php"],
        ["bin/console", "vendor/a/planted.php"],
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


# ------------------------------------------------------------------------------------------------ many, and races


def fill(site, folders=400, files=5):
    for folder in range(folders):
        path = site / f"var/upload/{folder % 20}/{folder}"
        path.mkdir(parents=True)
        for file in range(files):
            (path / str(file)).write_text("")


def test_a_folder_of_thousands_of_folders_is_looked_at_whole(site):
    few = run(order(site)).entries
    for number in range(4200):
        os.mkdir(site / f"var/log/{number}")
        os.close(os.open(site / f"var/log/{number}/file", os.O_CREAT))
    assert run(order(site), check=True, processes=2).entries == few + 2 * 4200, "each once"


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """A folder of 4,100 files that are as they should be."""
    folder = tmp_path_factory.mktemp("crowd")
    for number in range(4100):
        os.close(os.open(folder / str(number), os.O_CREAT, 0o644))
    run(order(folder))
    assert not run(order(folder)).changed
    return folder


def test_somebody_who_fills_a_folder_with_what_is_right_cannot_hold_it_for_ever(crowd, monkeypatch):
    """Its end may never come, so it is not waited for."""
    monkeypatch.setattr(permissions_walk, "_IN_ONE", 4000)
    with pytest.raises(PermsError, match="/crowd0 has more than 4,000 entries, or somebody fills it"):
        run(order(crowd))
    with pytest.raises(PermsError, match="not wholly looked at in time"):
        run(order(crowd), patience=-1)


@pytest.mark.parametrize("processes", [1, 2])
def test_somebody_who_fills_a_folder_keeps_no_other_one_open(site, monkeypatch, processes):
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


def test_a_root_that_cannot_be_trusted_is_refused_before_or_told_after_the_others(site):
    give(site / "public/index.php", 0o666)
    (site / "config").rename(site / "real")
    (site / "config").symlink_to("real")
    os.lchown(site / "config", WEB.pw_uid, -1)
    for partly, mode in ((False, 0o666), (True, 0o644)):
        with pytest.raises(PermsError, match="^config"):
            run(order(site, roots=("var", "config")), partly=partly)
        assert os.stat(site / "public/index.php").st_mode & 0o777 == mode


def test_a_folder_with_as_many_entries_as_can_be_is_no_fault(crowd, monkeypatch):
    monkeypatch.setattr(permissions_walk, "_IN_ONE", 4100)
    assert run(order(crowd)).entries == 4101


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_several_processes_find_what_one_finds(site, processes):
    fill(site)
    os.link(site / "var/upload/0/0/1", site / "var/upload/19/399/again")
    give(site / "var/upload/0/0/1", 0o666)
    predicted = run(order(site), check=True, processes=1)
    done = run(order(site), processes=processes)
    assert (done.entries, done.fixed, done.refused_total) == (
        predicted.entries,
        predicted.fixed,
        predicted.refused_total,
    )
    assert not run(order(site), processes=processes).fixed.total()


def test_a_process_that_dies_is_no_success(site, monkeypatch):
    fill(site)
    parent = os.getpid()
    work = permissions_walk._Walk.work

    def die(walk, *arguments):
        if os.getpid() != parent:
            raise MemoryError("no more")
        work(walk, *arguments)

    monkeypatch.setattr(permissions_walk._Walk, "work", die)
    with pytest.raises(PermsError, match="not all of it was looked at: MemoryError: no more"):
        run(order(site), processes=2)


def test_of_several_processes_that_die_the_first_is_told(site, monkeypatch):
    monkeypatch.setattr(permissions_walk, "_ENOUGH", 1)
    parent, fork, work, children = os.getpid(), os.fork, permissions_walk._Walk.work, []

    def count():
        children.append(None)
        return fork()

    def die(walk, *arguments):
        if os.getpid() != parent:
            raise PermsError(f"child {len(children)}")
        work(walk, *arguments)

    monkeypatch.setattr(os, "fork", count)
    monkeypatch.setattr(permissions_walk._Walk, "work", die)
    with pytest.raises(PermsError, match="not all of it was looked at: child 1$"):
        run(order(site), processes=3)


def test_a_process_that_is_killed_is_no_success(site, monkeypatch):
    """Without a word: by the kernel, for example, where the memory ends."""
    monkeypatch.setattr(permissions_walk, "_ENOUGH", 1)
    parent, work = os.getpid(), permissions_walk._Walk.work

    def die(walk, *arguments):
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        work(walk, *arguments)

    monkeypatch.setattr(permissions_walk._Walk, "work", die)
    with pytest.raises(PermsError, match="not all of it was looked at: it was killed"):
        run(order(site), processes=2)


def test_what_was_found_travels_between_processes(site):
    found = run(order(site))
    assert vars(Found.from_json(found.to_json())) == vars(found)


def test_the_working_directory_stays(site):
    before = os.getcwd()
    run(order(site))
    assert os.getcwd() == before


# Each makes anew what is to be changed: what is right is not touched, and could not be led astray.
ATTACKS = {
    "exchanges a folder and a link": """
        mkdir('d'); open('d/secret','w').close()
        while True:
            chmod('d', 0o777); chmod('d/secret', 0o666)
            rename('d', 'kept'); symlink(OUT, 'd'); os.unlink('d'); rename('kept', 'd')
    """,
    "exchanges a file and a link": """
        open('f','w').close()
        while True:
            chmod('f', 0o666)
            rename('f', 'kept'); symlink(OUT + '/secret', 'f'); os.unlink('f'); rename('kept', 'f')
    """,
    "moves a folder out and back": """
        mkdir('d'); open('d/f','w').close()
        while True:
            chmod('d', 0o777); chmod('d/f', 0o666)
            rename('d', OUT + '/open/d'); rename(OUT + '/open/d', 'd')
    """,
    "moves the names of a hard link about": """
        while True:
            rename('hard', 'a0/hard'); rename('a0/hard', 'z9/hard'); rename('z9/hard', 'hard')
    """,
    "makes files without end": """
        n = 0
        while True:
            n += 1
            open(f'n{n}','w').close()
            if n % 2000 == 0:
                for k in range(n - 1999, n + 1): os.unlink(f'n{k}')
    """,
}


@contextlib.contextmanager
def attacker(code, here, out):
    """A process of the web user's that does not rest."""
    lines = "\n".join(line[8:] for line in code.strip("\n").splitlines())
    start = f"import os\nfrom os import chmod, mkdir, rename, symlink\nos.chdir({str(here)!r}); OUT = {str(out)!r}\n"
    program = f"{start}{lines}\n"
    process = subprocess.Popen(
        ["/usr/bin/python3", "-c", program], user="www-data", group="www-data", extra_groups=[], stderr=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()


@pytest.fixture
def arena():
    """A folder that others may pass, in memory, where an attacker is fastest. Those of pytest are closed to them."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def battlefield(arena):
    site, out = sloppy(arena / "chamilo"), arena / "out"
    here = site / "var/upload"
    (out / "open").mkdir(parents=True)
    watched = [out / "secret", out / "open/roots"]
    for name in ("a0", "z9", *(f"m{number}" for number in range(30))):
        (here / name).mkdir(parents=True)
        (here / name / "f").write_text("")
        watched.append(out / "open" / name)  # for whoever thinks to be in upload/ still
    for path in watched:
        path.write_text("")
        path.chmod(0o600)
    give(out / "open", 0o777)
    os.link(out / "secret", here / "hard")
    subprocess.run(["chown", "-R", "www-data:", here / "a0", here / "z9"], check=True)
    give(here, 0o777)
    return site, here, out, [out, *watched]


def by_name(root):
    """A walk as one writes it in a minute."""
    for where, folders, files in os.walk(root):
        for name in [*folders, *files]:
            with contextlib.suppress(OSError):
                path = os.path.join(where, name)
                if not os.path.islink(path):
                    os.chown(path, WEB.pw_uid, WEB.pw_gid)


def by_going_there(root):
    """Into each folder and back, so that no path is long."""
    back = os.getcwd()
    os.chdir(root)
    try:
        for name in sorted(os.listdir(".")):
            with contextlib.suppress(OSError):
                os.chown(name, WEB.pw_uid, WEB.pw_gid, follow_symlinks=False)
                os.chdir(name)
                for file in os.listdir("."):
                    os.chown(file, WEB.pw_uid, WEB.pw_gid, follow_symlinks=False)
                os.chdir("..")
    finally:
        os.chdir(back)


def by_counting_names(root):
    """A file with several names is changed when as many were met as it has."""
    met = {}
    for where, _folders, files in os.walk(root):
        for path in (os.path.join(where, name) for name in files):
            with contextlib.suppress(OSError):
                status = os.lstat(path)
                met.setdefault((status.st_dev, status.st_ino, status.st_nlink), []).append(path)
    for (_device, _inode, names), paths in met.items():
        for path in paths if len(paths) >= names else ():
            with contextlib.suppress(OSError):
                os.chown(path, WEB.pw_uid, WEB.pw_gid, follow_symlinks=False)


def all_right(root):
    """One pass, and whether it had nothing to do. As somebody writes it who goes on until that is so."""
    right = True
    for entry in os.scandir(root):
        with contextlib.suppress(FileNotFoundError):
            if entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_mode & 0o777 != 0o600:
                os.chmod(entry.path, 0o600)
                right = False
    return right


# What each attack gets through to.
NAIVE = {
    "exchanges a folder and a link": by_name,
    "exchanges a file and a link": by_name,
    "moves a folder out and back": by_going_there,
    "moves the names of a hard link about": by_counting_names,
}


@pytest.mark.parametrize(("attack", "walk"), NAIVE.items())
def test_the_attacks_get_through_to_a_naive_walk(attack, walk, arena):
    _site, here, out, watched = battlefield(arena)
    if walk is not by_counting_names:
        os.unlink(here / "hard")
    before = [state(path) for path in watched]
    for _round in range(3):
        walk(here)
    assert [state(path) for path in watched] == before, "without the attack it does no harm"
    with attacker(ATTACKS[attack], here, out):
        until = time.monotonic() + 60
        while [state(path) for path in watched] == before:
            assert time.monotonic() < until, "this attack is none"
            walk(here)


def test_files_without_end_keep_whoever_goes_on_until_all_is_right(arena):
    _site, here, out, _watched = battlefield(arena)
    all_right(here)
    assert all_right(here)
    with attacker(ATTACKS["makes files without end"], here, out):
        filled(here, 100)
        clean = 0  # now and then it has just emptied the folder, and another process has its turn
        for _pass in range(20):
            clean += all_right(here)
            time.sleep(0.1)
        assert clean <= 5, "this attack is none"


def filled(folder, files):
    until = time.monotonic() + 60
    while len(os.listdir(folder)) < files:
        assert time.monotonic() < until, "nobody fills it"
        time.sleep(0.05)


def walked(site):
    """What is wrong in a tree that nobody changes, by another walk: entries, how much, where, and what is refused."""
    entries, fixed, wrong, refused = 0, Counter(), set(), set()
    for where, folders, files in os.walk(site):
        for path in [where, *(os.path.join(where, name) for name in files)] + [
            path for path in (os.path.join(where, name) for name in folders) if os.path.islink(path)
        ]:
            entries += 1
            name, status = os.path.relpath(path, site), os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                if status.st_uid == WEB.pw_uid and not os.path.realpath(path).startswith(f"{site}/"):
                    refused.add(name)
                continue
            if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
                refused.add(name)
                continue
            want = by_hand(name, stat.S_ISDIR(status.st_mode), bool(status.st_mode & 0o100))
            differs = [one != other for one, other in zip(state(path), want, strict=True)]
            fixed.update(kind for kind, yes in zip(("owner", "group", "mode"), differs, strict=True) if yes)
            if any(differs):
                wrong.add(name)
    return entries, fixed, wrong, refused


def by_hand(name, is_folder, runs):
    """The guide's rules once more, as a person reads them."""
    if name == "var" or name.startswith("var/"):
        return WEB.pw_uid, WEB.pw_gid, "0770" if is_folder else "0660"
    if name == "config" or name.startswith(("config/", ".env")):
        return 0, WEB.pw_gid, "0750" if is_folder else "0640"
    keeps = runs and name.startswith(("bin/", "vendor/bin/", "vendor/a/b/bin/"))
    return 0, WEB.pw_gid, "0755" if is_folder or keeps else "0644"


def tells_the_truth(site, found):
    """As another walk has it."""
    entries, fixed, wrong, refused = walked(site)
    assert found.entries == entries
    assert {kind: found.fixed[kind] for kind in ("owner", "group", "mode")} == {
        kind: fixed[kind] for kind in ("owner", "group", "mode")
    }
    assert set(reasons(found)) == refused and found.refused_total == len(refused)
    told = {one["path"] for one in found.samples}
    assert told == wrong if len(wrong) <= 20 else len(told) == 20 and told < wrong
    return wrong


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_outside_changes_while_somebody_attacks(attack, arena):
    site, here, out, watched = battlefield(arena)
    before = [state(path) for path in watched]
    with attacker(ATTACKS[attack], here, out) as process:
        time.sleep(0.2)
        for round_ in range(100):
            # Something to do in each round, in the attacked folder.
            os.chmod(here, 0o777)
            os.chmod(site / "src", 0o777)
            found = run(order(site), processes=2)
            assert [state(path) for path in watched] == before, f"round {round_}"
            assert state(site / "src")[2] == "0755"
            assert all(one["path"].startswith("var/upload/") and one["why"] for one in found.refused)
        assert process.poll() is None, process.stderr.read().decode()
    os.chmod(here, 0o777)
    os.chown(site / "src", 1, 1)
    os.chown(here / "m3/f", 1, 1)
    predicted = run(order(site), check=True, processes=2)
    assert tells_the_truth(site, predicted) >= {"var/upload", "src", "var/upload/m3/f"}
    done = run(order(site), processes=2)
    assert done.result() == predicted.result()
    assert tells_the_truth(site, run(order(site))) == set()
    assert [state(path) for path in watched] == before


def test_a_folder_that_only_grows_is_left_in_time_and_looked_at_whole_afterwards(arena, monkeypatch):
    site, here, out, watched = battlefield(arena)
    before = [state(path) for path in watched]
    run(order(site))

    def done():
        with os.scandir(here) as listing:
            yield from (entry for entry in listing if entry.is_file() and entry.stat().st_mode & 0o777 == 0o660)

    def clock():
        """Time runs out as soon as anything here was done: it is not gone through to its end, if it has one."""
        return 20.0 if state(here)[2] == "0770" and any(done()) else 0.0

    grow = ATTACKS["makes files without end"].partition("if n % 2000")[0]
    with attacker(grow, here, out) as process:
        filled(here, 6000)
        os.chmod(here, 0o777)
        monkeypatch.setattr(permissions_walk, "time", SimpleNamespace(monotonic=clock))
        with pytest.raises(PermsError, match="not wholly looked at in time"):
            run(order(site), processes=2, patience=10)
        assert 0 < len(list(done())) <= 4096
        assert process.poll() is None, process.stderr.read().decode()
    monkeypatch.undo()
    tells_the_truth(site, run(order(site), check=True, processes=2))
    run(order(site), processes=2)
    assert tells_the_truth(site, run(order(site))) == set()
    assert [state(path) for path in watched] == before


def test_somebody_who_fills_the_tree_cannot_hold_it_for_ever(site):
    fill(site, 50)
    with pytest.raises(PermsError, match="not wholly looked at in time"):
        run(order(site), patience=-1)
