# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package of a release against a tree that an intruder changed. Real files, as root; the web user is www-data."""

from __future__ import annotations

import os
import stat
import tarfile
import zipfile

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import basis, package, policy, vouch, walk
from tests.unit.plugins.module_utils._permissions.test_vouch import IMPLANTS, NEUTRALISED, RELEASE, lay, site

__all__ = ["site"]


def packed(site, path, kind="zip", top="chamilo-2.0.1/", more=()):
    names = [name for name in (*RELEASE, *more) if name != ".env"]
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.write(site / name, f"{top}{name}")
            link = zipfile.ZipInfo(f"{top}public/link.php")
            link.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(link, "index.php")
    else:
        with tarfile.open(path, f"w:{kind}") as archive:
            for name in names:
                archive.add(site / name, f"{top}{name}")
            entry = tarfile.TarInfo(f"{top}public/link.php")
            entry.type, entry.linkname = tarfile.SYMTYPE, "index.php"
            archive.addfile(entry)
    return str(path)


@pytest.mark.parametrize(("kind", "top"), [("zip", "chamilo-2.0.1/"), ("zip", ""), ("gz", "./"), ("xz", "a/b/")])
def test_a_package_vouches_for_its_files_whatever_their_times_report(site, tmp_path, kind, top):
    state = tmp_path / "state"
    state.mkdir()
    archive = packed(site, tmp_path / "2.0.1", kind, top)
    known = package.learn(archive, "", str(site), str(state))
    assert set(known) == {*RELEASE, "public/link.php"} - {".env"}
    assert package.learn(archive, "", str(site), str(state)) == known  # what was written down
    reported = basis.read(str(site), str(state)).words
    assert reported.startswith("the package 2.0.1 (sha256 ") and len(reported) > 64
    assert "no package" in basis.read(str(tmp_path), str(state)).words
    for name, text in IMPLANTS.items():
        lay(site, name, text, days=-30)  # older than the release, as `touch` makes it
    lay(site, "config/packages/framework.yaml", days=90)  # newer, and as in the package
    lists = [str(path) for path in state.glob("release-*.json")]
    order = policy.order({"path": str(site), "owner": "root", "web_user": "www-data"}, "production")
    found = walk.run(order, lists=lists)
    assert (found.quarantined, found.doubtful) == (NEUTRALISED, sorted(set(IMPLANTS) - set(NEUTRALISED)))
    assert not walk.run(order, lists=lists).changed


def test_what_a_plugin_of_the_release_does_not_have_came_later_whatever_its_times_report(site, tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    plugin = [f"public/plugin/Theirs/{name}" for name in ("plugin.php", "composer.json", "src/a.php", "view/b.tpl")]
    for name in plugin:
        lay(site, name)
    package.learn(packed(site, tmp_path / "2.0.1.zip", more=plugin), "", str(site), str(state))
    lay(site, "public/plugin/Theirs/src/more.php", "<?php include 'x';")
    order = policy.order({"path": str(site), "owner": "root", "web_user": "www-data"}, "production")
    found = walk.run(order, lists=[str(path) for path in state.glob("release-*.json")])
    assert found.quarantined == ["public/plugin/Theirs/src/more.php"]


def test_another_package_is_refused_before_anything_is_written(site, tmp_path):
    archive = packed(site, tmp_path / "chamilo.zip")
    with pytest.raises(package.ArchiveError, match="has the sha256 .*, not 00"):
        package.learn(archive, "00", str(site), str(tmp_path))
    assert not list(tmp_path.glob("*.json"))


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
    with pytest.raises(package.ArchiveError, match=words):
        package.learn(str(path), "", str(tmp_path), str(tmp_path))


def test_a_package_without_end_is_refused(site, tmp_path, monkeypatch):
    archive = packed(site, tmp_path / "chamilo.zip")
    monkeypatch.setattr(package, "_ENTRIES", 20)
    with pytest.raises(package.ArchiveError, match="more than 20 files"):
        package.learn(archive, "", str(site), str(tmp_path))
    monkeypatch.setattr(package, "_UNPACKED", 20)
    with pytest.raises(package.ArchiveError, match="unpacks to more than"):
        package.learn(archive, "", str(site), str(tmp_path))


def test_the_package_of_another_release_is_refused_and_an_old_one_counts_no_longer(site, tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    archive = packed(site, tmp_path / "2.0.1.zip")
    package.learn(archive, "", str(site), str(state))
    lists = [str(path) for path in state.glob("release-*.json")]
    assert vouch.Lists(str(site), lists).release
    for number in range(40):
        lay(site, f"src/CoreBundle/C{number}.php", "<?php // the next release")
    assert not vouch.Lists(str(site), lists).release
    with pytest.raises(package.ArchiveError, match="of another release: 40 of 122 files differ"):
        package.learn(archive, "", str(site), str(state))
    order = policy.order({"path": str(site), "owner": "root", "web_user": "www-data"}, "production")
    found = walk.run(order, lists=lists)
    assert (found.quarantined, found.doubtful) == ([], [])


def test_what_visitors_browsers_run_is_compared_as_well(site, tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    assets = ("public/build/app.js", "public/build/same.js", "public/img/logo.svg", "public/build/font.woff2")
    for name in assets:
        lay(site, name, "as published")
    package.learn(packed(site, tmp_path / "2.0.1.zip", more=assets), "", str(site), str(state))
    for name in ("public/build/app.js", "public/img/logo.svg", "public/build/font.woff2", "public/sw.js"):
        lay(site, name, "fetch('//x.test')")
    for name in ("public/login2.html", "public/photo.jpg", "var/upload/page.html"):
        lay(site, name, "<script src=//x.test>")
    order = policy.order({"path": str(site), "owner": "root", "web_user": "www-data"}, "production")
    lists = [str(path) for path in state.glob("release-*.json")]
    named = ["public/build/app.js", "public/img/logo.svg", "public/login2.html", "public/sw.js"]
    assert sorted(walk.run(order, lists=lists).doubtful) == named
    assert sorted(walk.run(order, lists=lists).doubtful) == named, "until somebody has compared them"
    lay(site, "public/build/app.js", "as published", owner=0, mode=0o644)
    assert walk.run(order, lists=lists).doubtful == named[1:]


def test_of_an_archive_files_alone_are_read(tmp_path):
    """A directory and a link have no content."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a/file").write_text("text")
    (tmp_path / "a/link").symlink_to("file")
    link = zipfile.ZipInfo("a/link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(link, "file")
        archive.write(tmp_path / "a", "a")
        archive.write(tmp_path / "a/file", "a/file")
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as archive:
        for name in ("a/link", "a"):
            archive.add(tmp_path / name, name, recursive=name == "a")
    for name in ("x.zip", "x.tar.gz"):
        with open(tmp_path / name, "rb") as stream:
            assert [(path, content.read()) for path, content in package.members(stream)] == [("a/file", b"text")]


def test_what_is_no_file_is_no_package(site, tmp_path):
    sparse = tmp_path / "2.0.1.zip"
    sparse.touch()
    os.truncate(sparse, 1 << 40)
    for path in ("/dev/null", str(sparse)):
        with pytest.raises(package.ArchiveError, match=f"^{path} is no file, or a sparse one"):
            package.learn(path, "", str(site), str(tmp_path))
