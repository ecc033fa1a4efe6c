# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of files: what it contains, what it notices, what it takes for its own."""

from __future__ import annotations

import hashlib
import json
import os

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application import comparison, release_files
from ansible_collections.chamilo.hardening.plugins.module_utils._common import files
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.integrity import (
    Changes,
    IntegrityError,
    Manifest,
)


@pytest.fixture
def portal(monkeypatch, tmp_path):
    monkeypatch.setattr(files, "STATE", str(tmp_path / "state"))
    root = tmp_path / "portal"
    for path in ("public/index.php", "config/app.yaml", ".env", "var/upload/x", ".git/HEAD"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    (root / "public/link").symlink_to("index.php")
    manifest = Manifest("campus", str(root))
    manifest.accept(comparison.files(str(root)), "first list")
    return manifest


def test_it_covers_the_program_its_configuration_and_secrets_and_no_data(portal):
    known = portal.read()["files"]
    assert set(known) == {"public/index.php", "config/app.yaml", ".env", "public/link"}
    assert known[".env"] == hashlib.sha256(b".env").hexdigest() and known["public/link"] == "-> index.php"
    assert os.stat(portal.path).st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "damage", ["{}", "[]", "null", '{"digest": "x"}', '{"files": []}', '{"files": {"a": "b"}}', "{"]
)
def test_a_damaged_list_reports_what_to_do(portal, damage):
    with open(portal.path, "w", encoding="utf-8") as file:
        file.write(damage)
    with pytest.raises(IntegrityError, match="is damaged: .* Compare the files with the copy off this host .* run"):
        portal.inspect()


def test_a_sparse_file_is_not_read_to_its_end(portal, monkeypatch):
    """A terabyte that takes no room, as an intruder leaves it before the tree is given to root."""
    path = f"{portal.root}/public/holes"
    with open(path, "wb") as file:
        file.truncate(1 << 40)
    monkeypatch.setattr(release_files, "MOST", 8192)
    monkeypatch.setattr(comparison, "_CHUNK", 4096)
    known = comparison.files(portal.root)["public/holes"]
    assert known == f"{hashlib.sha256(bytes(8192)).hexdigest()} of the first part of {1 << 40} bytes"
    with open(path, "r+b") as file:
        file.truncate((1 << 40) + 1)
    assert comparison.files(portal.root)["public/holes"] != known


def test_each_change_is_noticed(portal):
    assert not portal.inspect()[0]
    root = portal.root
    with open(f"{root}/.env", "a", encoding="utf-8") as file:
        file.write("X=1")
    os.unlink(f"{root}/public/link")
    os.symlink("../.env", f"{root}/public/link")
    os.unlink(f"{root}/config/app.yaml")
    os.mkfifo(f"{root}/public/pipe")
    os.chmod(f"{root}/public/index.php", 0o4755)
    changes = portal.inspect()[0]
    assert changes.changed == [".env", "public/index.php", "public/link"]
    assert (changes.added, changes.gone) == (["public/pipe"], ["config/app.yaml"])
    assert changes.description().splitlines()[0] == "new: public/pipe"


@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_a_link_in_the_program_leads_to_is_on_the_list(portal, tmp_path, elsewhere):
    root = portal.root
    if elsewhere:
        os.rename(f"{root}/var", tmp_path / "shared")
        os.symlink(tmp_path / "shared", f"{root}/var")
    for link, target in (("Kernel.php", "../var/upload/x"), ("folder", "../var/upload"), ("index", "index.php")):
        os.symlink(target, f"{root}/public/{link}")
    os.symlink("../var/upload/later", f"{root}/public/later.php")
    os.symlink("loop", f"{root}/public/loop")
    present = comparison.files(root)
    assert present["public/Kernel.php"] == f"-> ../var/upload/x {hashlib.sha256(b'var/upload/x').hexdigest()}"
    assert (present["public/folder"], present["public/index"]) == ("-> ../var/upload", "-> index.php")
    portal.accept(present, "accepted")
    assert not portal.inspect()[0]
    for name in ("x", "later"):
        with open(f"{root}/var/upload/{name}", "a", encoding="utf-8") as file:
            file.write("#")
    assert portal.inspect()[0].changed == ["public/Kernel.php", "public/later.php"]


def test_no_link_has_it_read_without_end(portal, monkeypatch):
    monkeypatch.setattr(release_files, "MOST", 2 << 20)
    os.symlink("../var/upload/large", f"{portal.root}/public/large.php")
    large = f"{portal.root}/var/upload/large"
    with open(large, "w", encoding="ascii") as file:
        file.truncate(1 << 40)
    portal.accept(comparison.files(portal.root), "accepted")
    os.truncate(large, (1 << 40) + 1)
    assert portal.inspect()[0].changed == ["public/large.php"]


def test_what_we_wrote_is_expected_and_what_comes_after_it_is_not(portal):
    path = f"{portal.root}/.env"
    with open(path, "w", encoding="utf-8") as file:
        file.write("APP_ENV=prod")
    files.note_written(path)
    drop_in = f"{portal.root}/config/ours.yaml"
    with open(drop_in, "w", encoding="utf-8") as file:
        file.write("ours")
    after = {"kind": "file", "sha256": hashlib.sha256(b"ours").hexdigest()}
    records = {"sessions": {"at": "", "generation": "", "files": {drop_in: {"after": after}}}}
    state = {"records": records, "left": {f"{portal.root}/public/index.php": {"kind": "absent"}}}
    os.unlink(f"{portal.root}/public/index.php")
    files.replace_file(f"{files.STATE}/state.json", json.dumps(state))
    assert not portal.inspect()[0]
    for changed in (path, drop_in):
        with open(changed, "a", encoding="utf-8") as file:
            file.write("#")
    changes = portal.inspect()[0]
    assert (changes.changed, changes.added) == ([".env"], ["config/ours.yaml"])


def test_a_new_file_is_expected_that_the_package_of_the_release_has_byte_for_byte(portal):
    """As one that an earlier version had disabled, and left out of its list."""
    page, digest = f"{portal.root}/public/page.php", hashlib.sha256(b"page").hexdigest()
    release_files.remember(
        release_files.Manifest("chamilo.zip", "5f" * 32, "", {"public/page.php": digest}), portal.root
    )
    for path in (page, f"{portal.root}/public/own.php"):
        with open(path, "w", encoding="utf-8") as file:
            file.write("page")
    assert portal.inspect()[0] == Changes(added=["public/own.php"])
    with open(page, "a", encoding="utf-8") as file:
        file.write("#")
    assert portal.inspect()[0] == Changes(added=["public/own.php", "public/page.php"])


def test_a_list_that_was_made_fit_is_not_believed(portal):
    with open(portal.path, encoding="utf-8") as file:
        known = json.load(file)
    known["files"]["public/shell.php"] = "0"
    files.replace_file(portal.path, json.dumps(known))
    with pytest.raises(IntegrityError, match="was changed by hand"):
        portal.inspect()
    files.replace_file(portal.path, "{")
    with pytest.raises(IntegrityError, match="is damaged"):
        portal.inspect()


def test_names_that_could_harm_a_terminal_are_escaped_and_many_are_cut():
    reported = Changes(added=["a\x1b[2J", *map(str, range(40))]).description(3)
    assert reported.splitlines()[0] == "new: a\\x1b[2J" and reported.endswith("and 38 more")


def test_a_portal_that_is_gone_is_an_error(tmp_path):
    with pytest.raises(comparison.ComparisonError, match="no directory"):
        comparison.files(str(tmp_path / "nothing"))


def at_config(portal, monkeypatch, change):
    """What another process does just before this directory is opened."""
    real = os.open

    def opening(path, *given, **more):
        if path == "config":
            os.rename(f"{portal.root}/config", f"{portal.root}/var/config")
            change()
        return real(path, *given, **more)

    monkeypatch.setattr(os, "open", opening)


def test_a_directory_that_goes_meanwhile_is_not_on_the_list(portal, monkeypatch):
    whole = comparison.files(portal.root)
    at_config(portal, monkeypatch, lambda: None)
    assert comparison.files(portal.root) == {path: known for path, known in whole.items() if path != "config/app.yaml"}


def test_a_directory_that_becomes_a_link_meanwhile_is_not_entered(portal, monkeypatch, tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root/secret").write_text("secret")
    at_config(portal, monkeypatch, lambda: os.symlink(tmp_path / "root", f"{portal.root}/config"))
    found = comparison.files(portal.root)
    assert found["config"].startswith("unread: ") and "config/secret" not in found


def test_directories_that_are_nested_too_deep_are_named_and_end_nothing(portal):
    """The path of the lowest is longer than the kernel takes."""
    handle = os.open(portal.root, os.O_RDONLY)
    for _level in range(120):
        os.mkdir("x" * 200, dir_fd=handle)
        below = os.open("x" * 200, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    os.close(handle)
    found = comparison.files(portal.root)
    assert [known for path, known in found.items() if "xxx" in path] == ["unread: more than 100 levels deep"]
    assert "config/app.yaml" in found


def test_no_device_is_opened_that_a_link_leads_to(portal, monkeypatch):
    """What is not listed itself is compared behind a link: where it leads elsewhere, that may be an order."""
    os.symlink("/dev", f"{portal.root}/node_modules")
    os.symlink("/dev/null", f"{portal.root}/public/device")
    opened, real = [], os.open
    monkeypatch.setattr(os, "open", lambda path, *given, **more: opened.append(path) or real(path, *given, **more))
    assert comparison.files(portal.root)["public/device"] == "-> /dev/null unread: no regular file but a device"
    assert not {"null", "/dev/null"} & set(opened)
