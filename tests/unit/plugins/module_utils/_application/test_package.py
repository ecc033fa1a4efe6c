# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package of a release, read as a manifest, and what a host keeps of it."""

from __future__ import annotations

import hashlib
import os
import tarfile
import zipfile

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application import package, release_files
from ansible_collections.chamilo.hardening.plugins.module_utils._application.release_files import ArchiveError

FILES = {
    "public/index.php": "<?php index();",
    "public/main/install/version.php": "<?php\n$new_version = '2.0.1';\n",
    "src/Kernel.php": "<?php kernel();",
}
LINK = "vendor/bin/tool"


def packed(path, kind="zip", top="chamilo-2.0.1/", files=FILES):
    source = path.parent / "source"
    for name, text in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(zipfile.ZipInfo(f"{top}public/"), "")
            for name, text in files.items():
                archive.writestr(f"{top}{name}", text)
            link = zipfile.ZipInfo(f"{top}{LINK}")
            link.external_attr = 0o120777 << 16
            archive.writestr(link, "../a/b/tool")
    else:
        with tarfile.open(path, f"w:{kind}") as archive:
            archive.add(source / "public", f"{top}public", recursive=False)
            for name in files:
                archive.add(source / name, f"{top}{name}")
            entry = tarfile.TarInfo(f"{top}{LINK}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "../a/b/tool"
            archive.addfile(entry)
    return str(path)


@pytest.mark.parametrize(("kind", "top"), [("zip", "chamilo-2.0.1/"), ("zip", ""), ("gz", "./"), ("xz", "a/b/")])
def test_a_package_is_read_as_a_manifest_whatever_it_is_packed_with(tmp_path, kind, top):
    archive = packed(tmp_path / "2.0.1", kind, top)
    found = package.read(archive)
    checksums = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in FILES.items()}
    assert found.files == {**checksums, LINK: "-> ../a/b/tool"}
    assert (found.package, found.version) == ("2.0.1", "2.0.1")
    assert package.read(archive, found.sha256.upper()) == release_files.parse(found.text()) == found
    with open(archive, "rb") as stream:
        names = [name.removeprefix("./")[len(top.removeprefix("./")) :] for name, _content in package.members(stream)]
    assert names == list(FILES), "a directory and a link have no content"


def test_another_package_than_the_one_that_is_meant_is_refused(tmp_path):
    with pytest.raises(ArchiveError, match="has the sha256 .*, not 00"):
        package.read(packed(tmp_path / "chamilo.zip"), "00")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"text", "no whole zip or tar file"),
        (b"PK\x05\x06" + b"\0" * 18, "contains no public/index.php"),
        (None, "cannot be read"),
    ],
)
def test_what_is_no_package_is_refused(tmp_path, content, words):
    path = tmp_path / "chamilo.zip"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ArchiveError, match=words):
        package.read(str(path))


def test_a_package_without_end_is_refused(tmp_path, monkeypatch):
    archive = packed(tmp_path / "chamilo.zip")
    monkeypatch.setattr(package, "_ENTRIES", 2)
    with pytest.raises(ArchiveError, match="more than 2 files"):
        package.read(archive)
    monkeypatch.setattr(package, "_UNPACKED", 20)
    with pytest.raises(ArchiveError, match="unpacks to more than"):
        package.read(archive)


def test_what_is_no_file_is_no_package(tmp_path):
    sparse = tmp_path / "2.0.1.zip"
    sparse.touch()
    os.truncate(sparse, 1 << 40)
    for path in ("/dev/null", str(sparse)):
        with pytest.raises(ArchiveError, match=f"^{path} is no file, or a sparse one"):
            package.read(path)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"package": "x", "sha256": "5f", "version": "", "files": {"a": "b"}}']
)
def test_what_is_no_manifest_is_refused(text):
    with pytest.raises(ArchiveError, match="no manifest of a package"):
        release_files.parse(text)


def test_a_host_keeps_one_manifest_for_each_portal_and_goes_by_it_for_its_version_alone(tmp_path):
    manifest = package.read(packed(tmp_path / "chamilo.zip"))
    state = str(tmp_path / "state")
    assert release_files.known("/srv/a", "2.0.1", state) is None
    release_files.remember(manifest, "/srv/a", state)
    assert release_files.known("/srv/a", "2.0.1", state) == release_files.known("/srv/a", "", state) == manifest
    assert (
        release_files.known("/srv/a", "2.0.2", state) is None and release_files.known("/srv/b", "2.0.1", state) is None
    )


def test_a_package_that_cannot_be_had_is_asked_for_again_a_day_later_or_for_another_release(tmp_path, monkeypatch):
    state, now = str(tmp_path / "state"), 1_700_000_000.0
    monkeypatch.setattr(release_files.time, "time", lambda: now)
    assert release_files.refusal("/srv/a", "3.0.2", state) == ""
    release_files.refuse("no answer", "/srv/a", "3.0.2", state)
    assert release_files.refusal("/srv/a", "3.0.2", state) == "no answer"
    assert release_files.refusal("/srv/a", "3.0.3", state) == release_files.refusal("/srv/b", "3.0.2", state) == ""
    now += 86_400
    assert release_files.refusal("/srv/a", "3.0.2", state) == ""
    now -= 86_400
    release_files.remember(package.read(packed(tmp_path / "chamilo.zip")), "/srv/a", state)
    assert release_files.refusal("/srv/a", "3.0.2", state) == ""
