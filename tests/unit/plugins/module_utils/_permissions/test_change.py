# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a file or directory gets its rights, in whole runs as root. The web user is www-data."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.policy import PermsError
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.walk import run
from tests.unit.plugins.module_utils._permissions.conftest import (
    ACCESS,
    DEFAULT,
    WEB,
    acl,
    give,
    order,
    picture,
    reasons,
    state,
)


def test_setuid_goes_and_is_counted(site):
    give(site / "bin/console", 0o4755)
    give(site / "var/log/prod.log", 0o6770)
    found = run(order(site))
    assert found.fixed["setuid"] == 2
    assert state(site / "bin/console")[2] == "0755"


def various(site):
    """Files of each kind beside each other, right and wrong, so that each follows each."""
    owners = [(0, 0), (0, WEB.pw_gid), (WEB.pw_uid, WEB.pw_gid), (WEB.pw_uid, 0)]
    number = 0
    for directory in ("src", "public/main", "public/build", "vendor/bin", "config", "var/upload"):
        (site / directory).mkdir(parents=True, exist_ok=True)
        for mode in (0o644, 0o640, 0o660, 0o666, 0o600, 0o755, 0o777, 0o4755, 0o2644, 0o6644):
            for owner in owners:
                number += 1
                file = site / directory / f"{number * 7919 % 1000:03}.{'txt' if number % 3 else 'php'}"
                file.write_text("")
                os.chown(file, *owner)
                file.chmod(mode)
        os.symlink("000.php", site / directory / "link.php")
        os.mkfifo(site / directory / "fifo.php")
        os.setxattr(site / directory / file.name, "system.posix_acl_access", acl())
    os.link(site / "src/Kernel.php", site / "src/again.php")


def test_each_kind_of_wrong_file_is_set_right_behind_any_other(site):
    various(site)
    found = run(order(site))
    assert found.fixed["owner"] and found.fixed["mode"] and found.fixed["setuid"] and found.fixed["acl"]
    plain = {what for path, what in picture(site).items() if b"/src/" in path and path.endswith(b".txt")}
    assert plain == {(0, WEB.pw_gid, "0644")}
    assert not run(order(site)).changed


@pytest.mark.parametrize(
    ("was", "between"),
    [
        (0o660, 0o640),
        (0o600, 0o600),
        # All had it, so the group gains nothing.
        (0o666, 0o666),
        (0o664, 0o640),
    ],
)
def test_no_account_has_the_rights_of_others_for_a_moment(site, monkeypatch, was, between):
    """A group that is new must not open for writing what it may only read in the end."""
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


def test_an_immutable_file_is_reported_in_a_check_too(site):
    file = site / "src/Kernel.php"
    subprocess.run(["chattr", "+i", file], check=True)
    try:
        for check in (True, False):
            assert "immutable" in reasons(run(order(site), check=check))["src/Kernel.php"]
        assert state(file)[2] == "0777"
    finally:
        subprocess.run(["chattr", "-i", file], check=True)


def acls(site):
    return sorted(
        str(path.relative_to(site))
        for path in [site, *site.rglob("*")]
        if not path.is_symlink() and set(os.listxattr(path)) & {ACCESS, DEFAULT}
    )


def test_an_acl_on_data_is_reported_whether_or_not_the_mode_was_right(site):
    os.setxattr(site / "var/log/prod.log", ACCESS, acl())
    for _again in range(2):
        assert "ACL" in reasons(run(order(site)))["var/log/prod.log"]
    assert acls(site) == ["var/log/prod.log"]


@pytest.mark.parametrize("hardened", [False, True])
def test_an_acl_in_the_program_that_gives_more_than_its_mode_is_removed(site, hardened):
    if hardened:
        run(order(site))
    secrets = [".env", "config/jwt/private.pem"]
    directories = [".", "config", "public/main", "src"]
    for name in secrets:
        os.setxattr(site / name, ACCESS, acl())
    for name in directories:
        for kind in (ACCESS, DEFAULT):
            os.setxattr(site / name, kind, acl(WEB.pw_uid, 7))
    if not hardened:  # nothing is let by an ACL that a mode of 0644 does not show
        os.setxattr(site / "src/Kernel.php", ACCESS, acl(WEB.pw_uid, 6))
    predicted = run(order(site), check=True)
    assert acls(site) == sorted([*secrets, *directories, *([] if hardened else ["src/Kernel.php"])])
    found = run(order(site))
    assert (predicted.result(), found.fixed["acl"]) == (
        found.result(),
        len(secrets) + 2 * len(directories) + (not hardened),
    )
    assert acls(site) == [] and not found.refused
    (site / "public/main/new.php").write_text("")
    assert state(site / "public/main") == (0, WEB.pw_gid, "0755")
    assert state(site / "public/main/new.php")[2] == "0644", "what root makes is root's to write"
    assert run(order(site)).fixed["acl"] == 0


def test_an_acl_comes_back_where_the_portal_fails_without_it(site, tmp_path):
    path = site / "src/Kernel.php"
    path.chmod(0o640)
    os.setxattr(path, ACCESS, acl(1, 6))
    before = os.getxattr(path, ACCESS)
    pages = SimpleNamespace(probe=lambda: None, broken=lambda: "/ answers 500")
    with pytest.raises(PermsError, match="^The portal's health check failed: / answers 500. The owners and modes of"):
        run(order(site), state=str(tmp_path / "state"), pages=pages)
    assert os.getxattr(path, ACCESS) == before
    pages.broken = lambda: ""
    run(order(site), state=str(tmp_path / "state"), pages=pages)
    assert ACCESS not in os.listxattr(path)


def test_what_is_no_acl_or_grants_no_more_access_stays(site):
    os.setxattr(site / ".env", "user.note", b"x")
    os.setxattr(site / "src", DEFAULT, acl())  # all can read it anyway
    for _again in range(2):
        assert not run(order(site)).refused_total
    assert acls(site) == ["src"]


def test_an_acl_that_cannot_be_removed_is_reported(site, monkeypatch):
    os.setxattr(site / "src", DEFAULT, acl(WEB.pw_uid, 7))

    def refuse(_handle, _name):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "removexattr", refuse)
    assert reasons(run(order(site))) == {"src": "has an ACL that cannot be removed: Operation not permitted"}


def test_a_read_only_file_system_is_reported_once(site, mount):
    mount("--bind", site, site)
    mount("-o", "remount,ro,bind", site)
    for check in (True, False):
        with pytest.raises(PermsError, match="read-only"):
            run(order(site), check=check)
