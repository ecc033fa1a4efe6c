# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an administrator has to answer for: all of the program, or what differs from the release."""

from __future__ import annotations

import hashlib
import json
import os

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import files as common_files
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring import integrity, provenance
from ansible_collections.chamilo.hardening.plugins.module_utils._monitoring.tree import identity
from ansible_collections.chamilo.hardening.plugins.module_utils._permissions import basis
from tests.unit.plugins.module_utils._common.test_acl import let_write

RELEASE = {"public/index.php": "<?php", "public/a.js": "a()", **{f"src/C{n}.php": "<?php" for n in range(20)}}


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setattr(common_files, "STATE", str(tmp_path / "state"))
    (tmp_path / "state").mkdir()
    for path, text in RELEASE.items():
        lay(tmp_path / "chamilo", path, text)
    return tmp_path / "chamilo"


def lay(site, path, text):
    (site / path).parent.mkdir(parents=True, exist_ok=True)
    (site / path).write_text(text)


def named(site, archive=True):
    if archive:
        files = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in RELEASE.items()}
        known = {"root": str(site), "files": files}
        (site.parent / "state/release-1.json").write_text(json.dumps(known))
    changes = integrity.Changes()
    provenance.open_questions(str(site), integrity.files(str(site)), changes)
    return changes


def test_where_nothing_was_the_web_user_s_nothing_is_asked(site):
    lay(site, "public/own.php", "<?php")
    assert not named(site)


def test_all_of_it_is_open_until_there_is_a_package(site):
    basis.taken(str(site), common_files.STATE, 22, {})
    lay(site, "public/shell.php", "<?php")
    lay(site, "public/logo.gif", "GIF")
    lay(site, "public/a.js", "evil()")
    assert named(site, archive=False).unproven == 22
    found = named(site)
    assert (found.unproven, found.unvouched) == (0, ["public/a.js", "public/shell.php"])
    assert not found.added and not found.changed


def test_what_the_release_has_and_the_portal_has_not_is_gone_but_for_what_it_need_not_have(site, monkeypatch):
    """And but for what this collection removed itself."""
    release = dict.fromkeys(("src/C.php", "var/x", ".git/x", "tests/x", "public/main/install/x", "src/ours"), "5f")
    present = {"public/new.php": "6f 1 2", "public/new.gif": "7f 1 2"}
    for path in present:
        lay(site, path, "x")
    monkeypatch.setattr(integrity, "written", lambda: {str(site / "src/ours"): {""}})
    found = provenance.differences(str(site), release, present)
    assert (found.gone, found.changed, found.added) == (["src/C.php"], [], ["public/new.php"])
    listed = {"src/C.php": "5f", "src/D.php": "5f"}
    same = provenance.differences(str(site), listed, {**listed, "src/D.php": "6f"})
    assert (same.gone, same.changed, same.added) == ([], ["src/D.php"], [])


def test_a_pipe_does_not_keep_the_others_from_being_compared(site):
    basis.taken(str(site), common_files.STATE, 22, {})
    os.mkfifo(site / "public/pipe")
    lay(site, "public/shell.php", "<?php")
    assert named(site).unvouched == ["public/pipe", "public/shell.php"]


def test_a_package_of_another_release_answers_for_nothing(site):
    basis.taken(str(site), common_files.STATE, 22, {})
    for number in range(20):
        lay(site, f"src/C{number}.php", "<?php // updated since")
    assert named(site).unproven == 22


def test_what_the_web_user_can_write_is_counted_but_for_environment_files(site):
    for path in ("public/index.php", ".env", "src/C1.php"):
        lay(site, path, "x")
        (site / path).chmod(0o666)
    os.chown(site / "src/C2.php", 33, 33)
    (site / "public/link").symlink_to("index.php")
    let_write(site / "src/C3.php", identity("www-data").user)
    assert provenance.writable(str(site), integrity.files(str(site)), (identity("www-data"),)) == 4


def test_a_link_counts_as_a_program_and_what_went_meanwhile_does_not(site):
    (site / "public/link").symlink_to("index.php")
    names = ("public/link", "public/gone.php", "public/index.php", "public/a.js", "src/logo.gif")
    lay(site, "src/logo.gif", "GIF")
    handles = len(os.listdir("/proc/self/fd"))
    assert [provenance._could_run(str(site), name) for name in names] == [True, False, True, True, False]
    assert len(os.listdir("/proc/self/fd")) == handles


def test_a_file_that_went_meanwhile_hides_no_other_that_can_be_written(site):
    (site / "src/C1.php").chmod(0o666)
    present = {"src/gone.php": "", "src/C1.php": ""}
    assert provenance.writable(str(site), present, (identity("www-data"),)) == 1
