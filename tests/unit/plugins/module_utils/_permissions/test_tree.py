# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree and its declared parts, and whom the way to them is trusted to. Real files, as root."""

from __future__ import annotations

import os

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.mounts import Mount
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import policy
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import walk as permissions_walk
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.policy import PermsError
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.walk import run
from tests.unit.plugins.module_utils._permissions.conftest import WEB, give, given, order, reasons, state


def test_a_declared_part_may_be_a_file_system_of_its_own(site, mount):
    mount("-t", "tmpfs", "-o", "mode=777", "tmpfs", site / "var")
    (site / "var/file").write_text("")
    assert "var" in reasons(run(order(site), check=True))
    found = run(order(site, roots=("var",)))
    assert not found.refused_total
    assert state(site / "var") == (WEB.pw_uid, WEB.pw_gid, "0770")
    assert state(site / "var/file")[2] == "0660"


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
    monkeypatch.setattr(policy, "mounts", lambda: {str(site / "var/upload"): Mount("fuse", of_user=True)})
    assert "another file system" in reasons(run(given(site)))["var/upload"]


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


@pytest.mark.parametrize(
    ("owner", "link", "mode", "followed"),
    [
        (0, 0, 0o755, True),
        (0, 0, 0o1777, True),
        (0, 0, 0o775, False),
        (0, 0, 0o757, False),
        (1, 0, 0o755, False),
        (0, WEB.pw_uid, 0o755, False),
    ],
)
def test_a_link_is_followed_where_no_other_account_could_have_laid_it(site, tmp_path, owner, link, mode, followed):
    """In a directory such as /tmp all accounts can lay one, but none can exchange root's."""
    os.symlink("chamilo", tmp_path / "current")
    os.lchown(tmp_path / "current", link, -1)
    os.chown(tmp_path, owner, 0)
    tmp_path.chmod(mode)
    if followed:
        assert run(order(tmp_path / "current")).changed
    else:
        with pytest.raises(PermsError, match="current is a link to chamilo that an account other than root"):
            run(order(tmp_path / "current"))


def test_links_that_lead_to_each_other_have_an_end(site, tmp_path):
    os.symlink("there", tmp_path / "back")
    os.symlink("back", tmp_path / "there")
    with pytest.raises(PermsError, match="too many links"):
        run(order(tmp_path / "there"))


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


def test_a_root_that_cannot_be_trusted_is_refused_before_or_reported_after_the_others(site):
    give(site / "public/index.php", 0o666)
    (site / "config").rename(site / "real")
    (site / "config").symlink_to("real")
    os.lchown(site / "config", WEB.pw_uid, -1)
    for partly, mode in ((False, 0o666), (True, 0o644)):
        with pytest.raises(PermsError, match="^config"):
            run(order(site, roots=("var", "config")), partly=partly)
        assert os.stat(site / "public/index.php").st_mode & 0o777 == mode
