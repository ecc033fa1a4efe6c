# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release is laid from, and what of a portal it leaves alone."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tarfile
import zipfile

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application import package
from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._program.new_release import Package, PackageError

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


def release(path):
    """The package there, with its right checksum."""
    return Package(str(path), hashlib.sha256(path.read_bytes()).hexdigest())


OWNER = (os.geteuid(), os.getegid())


@pytest.mark.parametrize("form", ["zip", "tar.gz"])
def test_a_release_is_laid_and_what_is_the_owner_s_stays(tmp_path, portal, form):
    made = release(packed(tmp_path / f"chamilo.{form}", FILES))
    assert made.version == "3.0.2"
    assert made.parts == ["config", "public", "src", "version.php"]
    lay(portal, {"public/edited.php": "of the owner now"})
    of_before = {**OLD, "public/edited.php": "<?php", "public/gone.php": "<?php"}
    made.lay(str(portal), OWNER, package.read(str(packed(tmp_path / "before.zip", of_before))))
    there = {str(path.relative_to(portal)): path.read_text() for path in portal.rglob("*") if path.is_file()}
    kept = {name: OLD[name] for name in OLD if name.startswith((".env", "var/"))}
    new = {name: text for name, text in FILES.items() if not name.startswith((".env", "var/"))}
    assert there == {**kept, **new, "public/edited.php": "of the owner now"}
    assert (portal / "public/main/new.php").stat().st_mode & 0o777 == 0o644
    assert (portal / "public/main").stat().st_mode & 0o777 == 0o755


def test_without_the_package_of_the_release_before_what_it_alone_had_stays(tmp_path, portal):
    release(packed(tmp_path / "chamilo.zip", FILES)).lay(str(portal), OWNER)
    assert (portal / "public/old-page.php").exists() and (portal / "public/plugin/Own/index.php").exists()
    assert not (portal / "src/Gone.php").exists(), "but in directories that are the release's alone"


def test_a_package_with_another_checksum_is_refused(tmp_path):
    with pytest.raises(HardeningError, match=f"not {'0' * 64}"):
        Package(str(packed(tmp_path / "chamilo.zip", FILES)), "0" * 64)


@pytest.mark.parametrize("name", ["../evil.php", "public/../../evil.php", "/etc/evil", "public//evil.php"])
def test_what_leads_elsewhere_is_refused(tmp_path, name):
    with pytest.raises(PackageError, match="leads elsewhere"):
        release(packed(tmp_path / "chamilo.zip", {**FILES, name: "<?php"}, top=""))


@pytest.mark.parametrize("path", ["public/plugin/Bbb", "public/main"])
def test_a_link_in_the_portal_is_not_followed(tmp_path, portal, path):
    other = lay(tmp_path / "other", {"kept.php": "<?php"})
    (portal / path).rename(portal / "aside") if (portal / path).exists() else None
    (portal / path).symlink_to(other)
    made = release(packed(tmp_path / "chamilo.zip", FILES))
    with pytest.raises(PackageError, match="is a link") if path.endswith("Bbb") else contextlib.nullcontext():
        made.lay(str(portal), OWNER)
    assert [each.name for each in other.iterdir()] == ["kept.php"]


def test_what_is_no_release_is_refused(tmp_path):
    with pytest.raises(HardeningError, match="contains no public/index.php"):
        release(packed(tmp_path / "other.zip", {"readme.txt": ""}))


def test_a_directory_in_the_place_of_a_file_is_refused(tmp_path, portal):
    (portal / "config/services.yaml").mkdir(parents=True)
    words = (
        f"^{portal}/config/services.yaml is a directory, and a file in {tmp_path}/chamilo.zip. Nothing was changed.$"
    )
    with pytest.raises(PackageError, match=words):
        release(packed(tmp_path / "chamilo.zip", FILES)).lay(str(portal), OWNER)
    assert list((portal / "config/services.yaml").iterdir()) == []
