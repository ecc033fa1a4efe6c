# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the web updater of Chamilo 3.0 would lay: proved, or refused with what to do."""

from __future__ import annotations

import json
import os
import zipfile

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import files
from ansible_collections.chamilo.hardening.plugins.module_utils._common.errors import HardeningError
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import signature, updater
from tests.minisign import Signer

VERSION = "<?php\nreturn ['new_version' => '3.0.1'];\n"
FILES = {
    "version.php": VERSION.replace("3.0.1", "3.0.2"),
    "composer.json": "{}",
    "public/index.php": "<?php",
    "vendor/autoload.php": "<?php",
    "UPDATE-METADATA.json": json.dumps({"format": 1, "remove": []}),
}
STAGED = "var/update/staging/3.0.2-20261103100000-0a1b2c3d"
PACKAGE = "var/update/downloads/chamilo-3.0.2.zip"


class Portal:
    """A portal with 3.0.1, whose web updater downloaded 3.0.2 and unpacked it."""

    def __init__(self, directory, top):
        self.root, self.signer = directory / "campus", Signer()
        self.write("version.php", VERSION)
        for name in ("public/index.php", "public/main/index.php", "bin/console", ".env"):
            self.write(name, "")
        self.package = self.root / PACKAGE
        self.package.parent.mkdir(parents=True)
        with zipfile.ZipFile(self.package, "w") as archive:
            for name, text in FILES.items():
                archive.writestr(top + name, text)
                self.write(f"{STAGED}/{top}{name}", text)
        self.signer.sign(self.package, "file:chamilo-3.0.2.zip")
        for note in ("STAGING-INFO", "APPLY-PLAN", "POST-APPLY-CHECKS"):
            self.write(f"{STAGED}/{note}.json", "{}")
        self.staged = self.root / STAGED / top

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def prove(self):
        return updater.prove(str(self.root), "www-data")

    def refuse(self):
        with pytest.raises(HardeningError) as problem:
            self.prove()
        return str(problem.value)


@pytest.fixture(params=["chamilo/", ""], ids=["in a directory", "at the top"])
def portal(tmp_path, monkeypatch, request):
    made = Portal(tmp_path, request.param)
    monkeypatch.setattr(files, "STATE", str(tmp_path))
    monkeypatch.setattr(signature, "OFFICIAL", made.signer.public)
    return made


def test_what_its_maintainers_signed_is_named(portal):
    assert portal.prove() == [
        f"{PACKAGE} is signed: file:chamilo-3.0.2.zip.",
        f"{STAGED} is what {PACKAGE} contains.",
    ]


def test_without_a_web_updater_there_is_nothing_to_prove(portal):
    portal.package.write_bytes(b"of another release")
    (portal.root / "version.php").unlink()  # before 3.0
    assert portal.prove() == []


def test_what_is_left_of_an_update_without_the_updater_s_notes_is_none_of_its(portal):
    """It takes nothing from such a directory."""
    for path in (portal.root / STAGED).glob("[SAP]*.json"):
        path.unlink()
    portal.write(f"{STAGED}/more.php", "<?php")
    assert portal.prove() == [f"{PACKAGE} is signed: file:chamilo-3.0.2.zip."]


@pytest.mark.parametrize("value", ["1", "true", "yes", "On", '" 1 "'])
def test_a_web_updater_that_takes_any_package_is_refused(portal, value):
    portal.write(".env.local", f"CHAMILO_UPDATE_DEVELOPMENT_TOOLS={value}\n")
    words = portal.refuse()
    assert ".env.local (CHAMILO_UPDATE_DEVELOPMENT_TOOLS)" in words and "Remove the line" in words


@pytest.mark.parametrize("value", ["", "0", "false"])
def test_one_that_takes_signed_packages_alone_is_not(portal, value):
    portal.write(".env.local", f"CHAMILO_UPDATE_DEVELOPMENT_TOOLS={value}\n")
    assert len(portal.prove()) == 2


def test_an_environment_that_cannot_be_read_is_refused(portal):
    (portal.root / ".env").unlink()
    assert len(portal.prove()) == 2, "before the installation there is none"
    (portal.root / ".env").mkdir()
    assert ".env cannot be read" in portal.refuse()


def test_the_key_is_that_of_chamilo_s_releases(portal, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(files, "STATE", str(portal.root.parent))
    words = portal.refuse()
    assert "A158EB4EFF622FB3 is the trusted one" in words and words.startswith(PACKAGE)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda portal: portal.package.write_bytes(portal.package.read_bytes() + b"x"), "the signature does not fit"),
        (lambda portal: portal.package.with_name("chamilo-3.0.2.zip.minisig").unlink(), "has no signature beside it"),
        (lambda portal: portal.package.unlink(), "there is no signed package of it"),
        (lambda portal: portal.write(f"{PACKAGE}.part", "PK"), "chamilo-3.0.2.zip.part has no signature beside it"),
        (lambda portal: (portal.staged / "public/index.php").write_text("<?php evil();"), "public/index.php is none"),
        (
            lambda portal: (portal.staged / "public/more.php").write_text("<?php"),
            "public/more.php is none",
        ),
        (lambda portal: (portal.staged / "vendor/autoload.php").unlink(), f"files of {PACKAGE} are missing"),
        (lambda portal: (portal.root / STAGED / "evil.php").write_text("<?php"), "evil.php is none of its files"),
        (lambda portal: (portal.staged / "src").symlink_to("/etc"), "src is none of its files"),
        (lambda portal: os.mkfifo(portal.staged / "public/pipe"), "public/pipe is none of its files"),
    ],
)
def test_what_was_not_signed_is_refused(portal, change, words):
    change(portal)
    assert words in portal.refuse()


def test_a_link_in_the_place_of_what_it_unpacked_is_not_followed(portal):
    (portal.root / STAGED).rename(portal.root / "elsewhere")
    (portal.root / STAGED).symlink_to(portal.root / "elsewhere")
    assert "cannot be read" in portal.refuse()


def test_a_signed_file_that_is_no_package_is_refused(portal):
    portal.package.write_bytes(b"no archive")
    portal.signer.sign(portal.package)
    assert f"{PACKAGE} is no whole zip or tar file" in portal.refuse()


def test_a_fifo_in_the_place_of_a_package_is_refused(portal):
    portal.package.unlink()
    os.mkfifo(portal.package)
    assert "is no package of a release" in portal.refuse()


def test_what_root_copied_is_removed(portal):
    portal.prove()
    assert sorted(path.name for path in portal.root.parent.iterdir()) == ["campus"]
