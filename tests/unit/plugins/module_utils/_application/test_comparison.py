# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a portal differs from the package of its release: real files, grouped as an administrator reads them."""

from __future__ import annotations

import os
import zipfile

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application import comparison, package, release_files
from ansible_collections.chamilo.hardening.plugins.module_utils._common import files
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.store import Store

PROGRAM = {
    "version.php": '<?php\nreturn ["version" => "3.0.2"];\n',
    "public/index.php": "<?php index();",
    "public/main/auth/courses.php": "<?php courses();",
    "public/main/install/index.php": "<?php install();",
    "src/CoreBundle/Kernel.php": "<?php kernel();",
    "vendor/autoload.php": "<?php autoload();",
    "var/.gitkeep": "",
}


@pytest.fixture
def portal(tmp_path, monkeypatch):
    """A portal as its package has it, whose manifest the host has."""
    monkeypatch.setattr(files, "STATE", str(tmp_path / "state"))
    root = tmp_path / "chamilo"
    with zipfile.ZipFile(tmp_path / "chamilo-3.0.2.zip", "w") as archive:
        for path, text in PROGRAM.items():
            lay(root, path, text)
            archive.writestr(f"chamilo/{path}", text)
        link = zipfile.ZipInfo("chamilo/vendor/bin/tool")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "../a/b/tool")
    (root / "vendor/bin").mkdir()
    (root / "vendor/bin/tool").symlink_to("../a/b/tool")
    release_files.remember(package.read(str(tmp_path / "chamilo-3.0.2.zip")), str(root))
    return root


def lay(root, path, text="<?php", at=0):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)
    if at:
        os.utime(root / path, (at, at))


def lines(root, version="3.0.2"):
    return comparison.against_release(str(root), version, Store(files.STATE).written()).lines()


def test_a_portal_as_its_package_has_it_has_nothing_to_list(portal):
    """Nor has what the installation made, what is data, and an installer that was removed."""
    for path in (".env", "config/jwt/private.pem", "var/cache/prod/x.php", ".git/config"):
        lay(portal, path)
    (portal / "public/main/install/index.php").unlink()
    found = comparison.against_release(str(portal), "3.0.2", {})
    assert found.groups == () and found.package.startswith("the package chamilo-3.0.2.zip (sha256 ")


def test_what_differs_or_is_in_no_package_is_one_line_of_its_directory(portal):
    lay(portal, "public/main/auth/courses.php", "<?php ours();", at=1_700_000_000)
    for path in ("plugin.php", "src/a.php", "view/b.tpl"):
        lay(portal, f"public/plugin/Ours/{path}", at=1_600_000_000)
    lay(portal, "public/shell.php", at=1_700_000_000)
    os.chown(portal / "public/plugin/Ours/src/a.php", 12345, 12345)
    (portal / "src/CoreBundle/Kernel.php").unlink()
    (portal / "vendor/bin/tool").unlink()
    (portal / "vendor/bin/tool").symlink_to("/tmp/tool")
    known = [line for line in lines(portal) if not line.startswith("vendor/bin: ")]
    assert known == [
        "public/main/auth: 1 file differs from the package (owner root, newest 2023-11-14)",
        "public: 1 file is in no package (owner root, newest 2023-11-14)",
        "public/plugin: 3 files are in no package (owner 12345, root, newest 2020-09-13)",
        "src/CoreBundle: 1 file of the package is missing",
    ]
    assert any(line.startswith("vendor/bin: 1 file differs from the package") for line in lines(portal))


def test_a_line_is_no_longer_than_a_person_reads(portal):
    """A program of another build differs everywhere: its directories are put together."""
    for number in range(300):
        lay(portal, f"vendor/owner{number}/package/src/a.php")
        lay(portal, f"vendor/{number}.php")
    assert [line.partition(" (")[0] for line in lines(portal)] == ["vendor: 600 files are in no package"]


def test_without_the_package_of_the_installed_release_nothing_is_concluded(portal, tmp_path):
    lay(portal, "public/shell.php")
    for root, version in ((portal, "3.0.3"), (tmp_path, "3.0.2")):
        assert comparison.against_release(str(root), version, Store(files.STATE).written()) == comparison.Comparison()
    assert lines(portal, "") != []  # a checkout that names no version: the administrator named its package
    next((tmp_path / "state").glob("release-*.json")).write_text("{")
    assert comparison.against_release(str(portal), "3.0.2", {}) == comparison.Comparison()


def test_what_this_collection_wrote_is_left_out(portal):
    lay(portal, "config/packages/prod/chamilo_hardening.yaml")
    files.note_written(str(portal / "config/packages/prod/chamilo_hardening.yaml"))
    assert lines(portal) == []


def test_what_cannot_be_read_as_a_file_differs_and_delays_nothing(portal):
    (portal / "public/index.php").unlink()
    os.mkfifo(portal / "public/index.php")
    assert [line.partition(" (")[0] for line in lines(portal)] == ["public: 1 file differs from the package"]


@pytest.mark.parametrize("moment", [1e18, -1e18, float("inf")])
def test_a_file_may_have_any_time(moment: float) -> None:
    assert comparison.day(moment) == "no date"
