# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release is laid from, and what of a portal it leaves alone."""

from __future__ import annotations

import io
import json
import os
import tarfile
import zipfile

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._updates.package import Package, PackageError

VERSION = "<?php\nreturn ['new_version' => '3.0.2', 'new_version_status' => 'stable'];\n"
FILES = {
    "version.php": VERSION,
    "public/index.php": "<?php // new",
    "public/main/new.php": "<?php",
    "public/plugin/Bbb/webhook.php": "<?php // new",
    "src/Kernel.php": "<?php // new",
    "config/services.yaml": "new",
    ".env": "APP_SECRET=published",
    "var/themes/chamilo/theme.css": "new",
}
OLD = {
    "version.php": VERSION.replace("3.0.2", "3.0.1"),
    "public/index.php": "<?php // old",
    "public/main/old.php": "<?php // vulnerable",
    "public/old-page.php": "<?php // retired",
    "public/plugin/Own/index.php": "<?php // of the owner",
    "src/Gone.php": "<?php",
    "config/settings_overrides.yaml": "of the owner",
    ".env": "APP_SECRET=secret",
    "var/upload/lesson.txt": "6 * 7",
}


def lay(directory, files):
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    return directory


def packed(path, files, top="chamilo-3.0.2/"):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in files.items():
                archive.writestr(f"{top}{name}", text)
        return path
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"./{top}{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return path


@pytest.fixture
def portal(tmp_path):
    return lay(tmp_path / "portal", OLD)


@pytest.mark.parametrize("form", ["zip", "tar.gz", "directory"])
def test_a_release_is_laid_and_what_is_the_owner_s_stays(tmp_path, portal, form):
    files = {**FILES, "UPDATE-METADATA.json": json.dumps({"format": 1, "remove": ["public/old-page.php"]})}
    if form == "directory":
        source = lay(tmp_path / "checkout", files)
        (source / "vendor").mkdir()
        (source / "vendor/link").symlink_to("/etc/passwd")
    else:
        source = packed(tmp_path / f"chamilo.{form}", files)
    release = Package(str(source), "www-data")
    assert release.version == "3.0.2"
    assert release.parts == ["config", "public", "src", "version.php"]
    release.lay(str(portal), (os.geteuid(), os.getegid()))
    there = {str(path.relative_to(portal)): path.read_text() for path in portal.rglob("*") if path.is_file()}
    kept = {name: OLD[name] for name in OLD if name.startswith((".env", "var/", "config/", "public/plugin/Own"))}
    new = {name: text for name, text in FILES.items() if not name.startswith((".env", "var/"))}
    assert there == {**kept, **new}
    assert (portal / "public/main/new.php").stat().st_mode & 0o777 == 0o644
    assert (portal / "public/main").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("name", ["../evil.php", "public/../../evil.php", "/etc/evil", "public//evil.php"])
def test_what_leads_elsewhere_is_refused(tmp_path, portal, name):
    source = packed(tmp_path / "chamilo.zip", {**FILES, name: "<?php"}, top="")
    with pytest.raises(PackageError, match="leads elsewhere"):
        Package(str(source), "www-data").lay(str(portal))


@pytest.mark.parametrize("path", [".env", "var/upload", "../x", "/etc/passwd", "public/../.env", "", "a\0b"])
def test_a_list_that_removes_what_is_not_the_release_s_is_refused(tmp_path, path):
    files = {**FILES, "UPDATE-METADATA.json": json.dumps({"format": 1, "remove": [path]})}
    with pytest.raises(PackageError, match="none of the release's"):
        Package(str(packed(tmp_path / "chamilo.zip", files)), "www-data")


@pytest.mark.parametrize("text", ["[", "[]", "{}", '{"format": 2, "remove": []}', '{"format": 1, "remove": [1]}'])
def test_a_list_of_another_form_is_refused(tmp_path, text):
    with pytest.raises(PackageError, match="another form"):
        Package(str(packed(tmp_path / "chamilo.zip", {**FILES, "UPDATE-METADATA.json": text})), "www-data")


def test_a_link_in_the_portal_is_not_followed(tmp_path, portal):
    (portal / "public/plugin/Bbb").symlink_to("/etc")
    with pytest.raises(PackageError, match="is a link"):
        Package(str(packed(tmp_path / "chamilo.zip", FILES)), "www-data").lay(str(portal))


@pytest.mark.parametrize(("path", "mode"), [("src/Kernel.php", 0o666), ("src", 0o777), (".git/hooks", 0o777)])
def test_a_directory_that_others_write_is_refused(tmp_path, path, mode):
    source = checkout(tmp_path / "checkout", FILES)
    (source / path).chmod(mode)
    with pytest.raises(PackageError, match="by any"):
        Package(str(source), "www-data", checkout=True)


def checkout(directory, files):
    """As git clone leaves it: with directories that are empty, and a hook that runs."""
    (directory / ".git/refs/heads").mkdir(parents=True)
    lay(directory, {**files, ".git/HEAD": "3.0.2", ".git/hooks/post-checkout": "#!/bin/sh"})
    (directory / ".git/hooks/post-checkout").chmod(0o755)
    return directory


def test_a_checkout_takes_over_the_history_of_the_release_whole(tmp_path, portal):
    source = checkout(tmp_path / "built", FILES)
    lay(portal, {".git/HEAD": "3.0.1", ".git/refs/heads/own": "3.0.1"})
    release = Package(str(source), "www-data", checkout=True)
    assert release.history and ".git" in release.parts
    release.lay(str(portal), (os.geteuid(), os.getegid()))
    assert (portal / ".git/HEAD").read_text() == "3.0.2" and not list((portal / ".git/refs/heads").iterdir())
    assert (portal / ".git").stat().st_mode & 0o777 == 0o700
    assert (portal / ".git/hooks/post-checkout").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("form", ["zip", "built", "linked"])
def test_there_is_no_history_to_take_over(tmp_path, portal, form):
    source = packed(tmp_path / "chamilo.zip", FILES) if form == "zip" else lay(tmp_path / "built", FILES)
    if form == "linked":
        (source / ".git").symlink_to(checkout(tmp_path / "elsewhere", FILES) / ".git")
    release = Package(str(source), "www-data", checkout=True)
    release.lay(str(portal))
    assert not release.history and ".git" not in release.parts and not (portal / ".git").exists()


def test_a_portal_without_a_history_is_given_none(tmp_path, portal):
    release = Package(str(checkout(tmp_path / "built", FILES)), "www-data")
    release.lay(str(portal))
    assert not release.history and ".git" not in release.parts and not (portal / ".git").exists()


def test_what_is_no_release_is_refused(tmp_path):
    with pytest.raises(HardeningError, match="contains no public/index.php"):
        Package(str(packed(tmp_path / "other.zip", {"readme.txt": ""})), "www-data")


def test_a_directory_in_the_place_of_a_file_is_refused(tmp_path, portal):
    (portal / "config/services.yaml").mkdir(parents=True)
    words = (
        f"^{portal}/config/services.yaml is a directory, and a file in {tmp_path}/chamilo.zip. Nothing was changed.$"
    )
    with pytest.raises(PackageError, match=words):
        Package(str(packed(tmp_path / "chamilo.zip", FILES)), "www-data").lay(str(portal))
    assert list((portal / "config/services.yaml").iterdir()) == []
