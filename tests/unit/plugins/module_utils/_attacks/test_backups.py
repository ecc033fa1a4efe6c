# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The attacks on backups, as the account `nobody`, in directories of the tests' own."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import zipfile
from types import SimpleNamespace

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._attacks import backups
from ansible_collections.chamilo.hardening.plugins.module_utils._attacks._insider import Insider
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.site import Php, Site

DUMP = b"-- MariaDB dump 10.19  Distrib 11.8.3-MariaDB\n--\nCREATE TABLE `user` (\n"


@pytest.fixture
def host(open_host, monkeypatch):
    """A portal whose repository and key are root's alone."""
    places = {"_CONFIGURATION": "etc/chamilo-hardening", "_STATE": "var/lib", "_USUAL": "var/backups"}
    for name, place in places.items():
        (open_host.root / place).mkdir(parents=True)
        monkeypatch.setattr(backups, name, str(open_host.root / place))
    host = SimpleNamespace(root=open_host.root, etc=open_host.root / "etc/chamilo-hardening")

    def file(path, content, mode=0o600):
        file = host.root / path
        for directory in reversed(file.relative_to(host.root).parents[:-1]):
            (host.root / directory).mkdir(mode=0o755, exist_ok=True)
        file.write_bytes(content)
        file.chmod(mode)
        return file

    host.file = file
    host.insider = Insider(Site("campus.test", root=str(host.root / "www"), php=Php(user="nobody")))
    file("etc/chamilo-hardening/backups-campus.key", b"the key\n")
    settings = {"repository": str(host.root / "repository")}
    file("etc/chamilo-hardening/backups-campus.json", json.dumps(settings).encode())
    file("repository/data/00/0011", bytes(range(256)) * 64)
    file("www/public/index.php", b"<?php\n", 0o644)
    return host


def test_an_encrypted_and_closed_repository_passes(host):
    found = backups.read_without_the_key(host.insider)
    assert found.status == "pass" and f"1 files of {host.root}/repository show nothing" in found.evidence
    assert backups.read_as_the_web_user(host.insider).status == "pass"


@pytest.mark.parametrize("word", [b"CREATE TABLE", b"DATABASE_PASSWORD"])
def test_a_copy_in_clear_is_seen(host, word):
    host.file("repository/plain", b"\x00" * 5000 + word)
    found = backups.read_without_the_key(host.insider)
    assert (found.status, f"repository/plain contains {word.decode()} in clear" in found.evidence) == ("fail", True)


def test_so_many_files_of_a_repository_are_read_and_no_more(host, monkeypatch):
    host.file("repository/data/00/0022", b"CREATE TABLE")
    monkeypatch.setattr(backups, "_FILES", 1)
    assert f"1 files of {host.root}/repository show nothing" in backups.read_without_the_key(host.insider).evidence
    monkeypatch.setattr(backups, "_FILES", 2)
    assert backups.read_without_the_key(host.insider).status == "fail"


def test_the_first_repository_on_this_host_is_tried(host):
    for name, place in (
        ("a.json", "/own"),
        ("backups-a.txt", "/text"),
        ("backups-b.json", "rest:https://vault.test/"),
        ("backups-c.json", "/second"),
    ):
        host.file(f"etc/chamilo-hardening/{name}", json.dumps({"repository": place}).encode())
    assert backups._repository() == "/second"
    (host.etc / "backups-c.json").unlink()
    assert backups._repository() == f"{host.root}/repository"


def test_without_our_configuration_there_is_no_repository(host, monkeypatch):
    monkeypatch.setattr(backups, "_CONFIGURATION", "/nonexistent")
    assert backups._repository() == ""


def test_the_first_file_that_opens_is_found(host):
    usual = str(host.root / "var/backups")
    for name in ("alternatives.sql", "dpkg.status.0", "old/dpkg.status.0"):
        host.file(f"var/backups/{name}", b"x")
    (host.root / "var/backups/broken.sql").symlink_to("/nonexistent")
    assert backups._first((f"{host.root}/nonexistent", usual))() == f"{usual}/old/dpkg.status.0", (
        "Debian keeps no other"
    )
    host.file("var/backups/campus.sql", b"x")
    assert backups._first((usual,))() == f"{usual}/campus.sql"
    assert backups._first(())() == ""


def test_no_repository_of_ours_protects_nothing(host):
    (host.etc / "backups-campus.json").write_text('{"offsite": "rest:https://vault.test/"}')
    found = backups.read_without_the_key(host.insider)
    assert found.status == "fail" and "no encrypted repository on this host" in found.evidence


def test_an_empty_repository_proves_nothing(host):
    (host.root / "repository/data/00/0011").unlink()
    with pytest.raises(OSError, match="repository is empty"):
        backups.read_without_the_key(host.insider)


@pytest.mark.parametrize(
    "path", ["etc/chamilo-hardening/backups-campus.key", "repository/data/00/0011", "etc/chamilo-hardening/a/deep.key"]
)
def test_what_others_can_read_is_named(host, path):
    host.file(path, b"\x01\x02", 0o644)
    for attack in (backups.read_without_the_key, backups.read_as_the_web_user):
        found = attack(host.insider)
        assert (found.status, f"nobody reads {host.root}/{path}." == found.evidence) == ("fail", True), found.evidence


def test_a_closed_directory_keeps_what_is_in_it(host):
    host.file("repository/data/00/0011", b"\x01", 0o644)
    (host.root / "repository").chmod(0o700)
    assert backups.read_as_the_web_user(host.insider).status == "pass"


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("campus.sql", "fail"),
        ("campus.sql.gz", "fail"),
        ("chamilo.tar", "fail"),
        ("dpkg.status.0", "pass"),
        ("alternatives.tar.0", "pass"),  # Debian's own, readable for all, on every host that is a day old
    ],
)
def test_debians_lists_are_no_backups(host, name, status):
    host.file(f"var/backups/{name}", b"x", 0o644)
    assert backups.read_as_the_web_user(host.insider).status == status


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("dump.sql", bytes),
        ("old/DUMP.SQL", b"/*M!999999\\- enable the sandbox mode */\n".__add__),
        ("pma.sql", lambda _dump: b"-- phpMyAdmin SQL Dump\n"),
        ("dump.sql.gz", gzip.compress),
        ("dump.sql.bz2", bz2.compress),
        ("dump.sql.xz", lzma.compress),
    ],
)
def test_a_dump_that_visitors_can_ask_for_is_named(host, name, pack):
    host.file(f"www/public/{name}", pack(DUMP))
    found = backups.read_as_the_web_user(host.insider)
    assert (found.status, f"www/public/{name}." in found.evidence) == ("fail", True), found.evidence


def test_what_only_has_the_name_of_a_dump_is_none(host):
    for name in ("a.sql", "a.sql.gz", "a.sql.bz2", "a.sql.xz"):
        host.file(f"www/public/{name}", b"SELECT 1; -- of a plugin\n")
    host.file("www/public/cut.sql.gz", gzip.compress(b"x" * 9999)[:20])
    with zipfile.ZipFile(host.root / "www/public/scorm.zip", "w") as archive:
        archive.writestr("imsmanifest.xml", "<manifest/>")
    (host.root / "www/public/gone.sql").symlink_to("/nonexistent")
    assert backups.read_as_the_web_user(host.insider).status == "pass"


def test_an_account_that_cannot_be_taken_proves_nothing(host):
    host.insider.as_user = lambda name, function: SimpleNamespace(error="stopped without a word", value=None)
    with pytest.raises(OSError, match="stopped without a word"):
        backups.read_as_the_web_user(host.insider)
