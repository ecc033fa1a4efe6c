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


def lay(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


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


def test_a_directory_that_others_write_is_refused(tmp_path):
    source = lay(tmp_path / "checkout", FILES)
    (source / "src/Kernel.php").chmod(0o666)
    with pytest.raises(PackageError, match="by any"):
        Package(str(source), "www-data")


def test_what_is_no_release_is_refused(tmp_path):
    with pytest.raises(HardeningError, match="holds no public/index.php"):
        Package(str(packed(tmp_path / "other.zip", {"readme.txt": ""})), "www-data")
