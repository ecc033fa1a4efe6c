# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of files that an earlier version disabled. Real files, as root; the web user is www-data."""

from __future__ import annotations

import hashlib
import os
import stat

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application import release_files
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer
from ansible_collections.chamilo.hardening.plugins.module_utils._common.services import Machine
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import apply, open_windows
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import pages as permissions_pages
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.open_windows import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions.policy import PermsError
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine
from tests.unit.plugins.module_utils._permissions.conftest import WEB, state

PROGRAM = "<?php // of the release"
VERSION = '<?php\nreturn ["version" => "3.0.2"];\n'
# As earlier versions left them: path, mode, and whether the package of the release has it.
DISABLED = {
    "public/main/auth/courses.php": (0o600, True),
    "public/plugin/Ours/start.php": (0o600, False),
    "public/build/logo.gif": (0o600, False),  # PHP, by what was in it
    "public/.htaccess.quarantined": (0o200, True),
    "src/CoreBundle/Event.php.quarantined": (0o200, True),
    "src/CoreBundle/Ours.php.quarantined": (0o200, False),
}


class Host:
    def __init__(self, directory, monkeypatch):
        self.root, self.state = directory / "chamilo", directory / "state"
        self.engine = Engine(str(self.state), Machine(lambda argv, seconds: (0, ""), systemd=True), self.fetch)
        self.tree = {"path": str(self.root), "owner": "root", "web_user": "www-data", "group": None}
        self.lay("version.php", VERSION)
        for path, (mode, of_release) in DISABLED.items():
            self.lay(path, PROGRAM if of_release else "<?php // ours", mode)
        self.lay("public/index.php", PROGRAM, 0o244)  # one that ran on, and was marked
        self.state.mkdir()
        self.planted = self.state / f"planted-{str(self.root).strip('/').replace('-', '--').replace('/', '-')}.txt"
        self.planted.write_text("doubtful public/index.php\nquarantined public/build/logo.gif\n")
        for name in ("vouched.json", "release-campus.archive"):
            (self.state / name).write_text("{}")
        self.works = True
        site = Site("campus", self.tree, {}, {"probe": [{"url": "https://campus.example/"}]})
        monkeypatch.setattr(open_windows, "sites", lambda directory="": {"campus": site})
        monkeypatch.setattr(permissions_pages, "ANSWER_SECONDS", 0)

    def fetch(self, probe):
        return Answer(probe.url, 200 if self.works else 500)

    def lay(self, path, text, mode=0o644):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)
        (self.root / path).chmod(mode)

    def remember(self, version="3.0.2"):
        digest = hashlib.sha256(PROGRAM.encode()).hexdigest()
        paths = ("public/index.php", "public/main/auth/courses.php", "public/.htaccess", "src/CoreBundle/Event.php")
        manifest = release_files.Manifest("chamilo.zip", "5f" * 32, version, dict.fromkeys(paths, digest))
        release_files.remember(manifest, str(self.root), str(self.state))

    def harden(self, check=False):
        pages = [{"url": "https://campus.example/"}]
        return apply.produce(self.tree, "production", pages, str(self.state), check, fetch=self.fetch)

    def modes(self):
        return {
            path: stat.S_IMODE((self.root / path).stat().st_mode) for path in DISABLED if (self.root / path).exists()
        }


@pytest.fixture
def host(tmp_path, monkeypatch):
    return Host(tmp_path, monkeypatch)


def test_without_a_package_all_of_it_stays_as_it_is_and_is_listed_by_directory(host):
    for _run in range(2):
        found = host.harden()
        assert host.modes() == {path: mode for path, (mode, _release) in DISABLED.items()}
        assert found.result()["disabled"] == [
            "public: 1 files",
            "public/build: 1 files",
            "public/main/auth: 1 files",
            "public/plugin/Ours: 1 files",
            "src/CoreBundle: 2 files",
        ]
        assert state(host.root / "public/index.php")[2] == "0644", "it ran on all the time"
    assert not found.changed and host.planted.exists()
    assert not (host.state / "vouched.json").exists() and not (host.state / "release-campus.archive").exists()


@pytest.mark.parametrize("version", ["3.0.2", "3.0.1"])
def test_what_the_package_of_the_installed_release_has_byte_for_byte_is_used_again_by_itself(host, version):
    host.remember(version)
    predicted = host.harden(check=True)
    found = host.harden()
    assert (predicted.given_back, sum(predicted.disabled.values())) == (found.given_back, sum(found.disabled.values()))
    ours = {path: mode for path, (mode, of_release) in DISABLED.items() if not of_release}
    if version == "3.0.1":
        assert found.given_back == 0 and len(host.modes()) == 6
        return
    assert found.given_back == 3 and found.changed
    assert host.modes() == {**ours, "public/main/auth/courses.php": 0o644}
    for path in ("public/.htaccess", "src/CoreBundle/Event.php", "public/main/auth/courses.php"):
        assert state(host.root / path) == (0, WEB.pw_gid, "0644")
    again = host.harden()
    assert not again.changed and again.disabled == found.disabled


def test_one_byte_more_is_not_what_the_package_has(host):
    host.remember()
    host.lay("public/main/auth/courses.php", PROGRAM + "\n")
    (host.root / "public/main/auth/courses.php").chmod(0o600)
    assert host.harden().given_back == 2
    assert host.modes()["public/main/auth/courses.php"] == 0o600


def test_what_an_administrator_gives_another_mode_is_used_again(host):
    (host.root / "src/CoreBundle/Ours.php.quarantined").rename(host.root / "src/CoreBundle/Ours.php")
    for path in ("src/CoreBundle/Ours.php", "public/plugin/Ours/start.php"):
        (host.root / path).chmod(0o644)
    assert sum(host.harden().disabled.values()) == 4 and host.planted.exists()
    assert state(host.root / "public/plugin/Ours/start.php")[2] == "0644"
    for path in host.modes():
        (host.root / path).unlink()
    assert not host.harden().disabled and not host.planted.exists() and not host.harden().changed


def test_a_name_that_is_taken_meanwhile_is_left(host):
    host.remember()
    host.lay("src/CoreBundle/Event.php", "<?php // of an update")
    found = host.harden()
    assert any("cannot be renamed to Event.php: File exists" in one["why"] for one in found.refused)
    assert (host.root / "src/CoreBundle/Event.php").read_text() == "<?php // of an update"
    assert host.modes()["src/CoreBundle/Event.php.quarantined"] == 0o200


def test_a_portal_that_does_not_work_with_it_has_it_disabled_again(host):
    host.remember()
    before = host.modes()
    fetch, asked = host.fetch, []

    def broken_by_it(probe):
        asked.append(probe)
        return fetch(probe) if len(asked) == 1 else Answer(probe.url, 500)

    host.fetch = broken_by_it
    with pytest.raises(PermsError, match="were rolled back"):
        host.harden()
    assert host.modes() == before


def test_files_of_root_s_own_that_no_earlier_version_disabled_get_their_rights(host):
    """But for PHP, of which that is not known once the list is gone."""
    host.planted.unlink()
    host.harden()
    assert host.modes()["public/build/logo.gif"] == 0o644
    assert host.modes()["public/plugin/Ours/start.php"] == 0o600


def test_data_of_the_web_user_is_never_disabled(host):
    host.lay("var/log/root.log", "", 0o600)
    host.harden()
    assert state(host.root / "var/log/root.log") == (WEB.pw_uid, WEB.pw_gid, "0660")
    assert os.path.exists(host.planted)
