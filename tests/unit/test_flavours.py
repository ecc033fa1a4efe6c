# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The application of the testbed in a later version: every change fits, and rests on a fact that is listed."""

from __future__ import annotations

import os

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._portal import release
from ansible_collections.chamilo.hardening.plugins.module_utils._portal.configuration import Tree
from tests.testbed import flavours, hosts, images
from tests.testbed.app import build
from tests.testbed.engine import EngineError

LATER = flavours.VERSIONS[1:]


@pytest.mark.parametrize("version", LATER)
def test_every_file_of_a_version_rests_on_a_listed_fact(version):
    named = {path for paths in flavours.FACTS[version].values() for path in paths}
    with flavours.overlay(version) as top:
        found = {str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()}
    assert found | {"changes.sql"} == named


@pytest.mark.parametrize("version", LATER)
def test_the_release_has_one_date_and_what_it_wrote_later_has_not(version):
    with flavours.overlay(version) as top:
        files = [path for path in top.rglob("*") if path.is_file()]
        dated = {path for path in files if path.stat().st_mtime == build.DATE}
        assert dated == {path for path in files if not path.is_relative_to(top / "var")}


def test_an_edit_that_no_longer_fits_is_noticed(monkeypatch):
    gone = flavours.Edit("composer.json", "not in there", "")
    monkeypatch.setattr(flavours, "EDITS", {"3.0": (gone,)})
    with pytest.raises(flavours.FlavourError, match="composer.json has not exactly once: not in there"):
        flavours.edited("3.0")


def test_what_is_laid_out_is_taken_for_3_0_2():
    with flavours.overlay("3.0") as top:
        os.makedirs(top / "public/main", exist_ok=True)
        found = release.installed(Tree(), str(top), "nobody")
    assert (found.version, found.source, found.branch) == ("3.0.2", "version.php", "3.0")


def test_a_release_whose_php_is_too_old_is_refused():
    old = hosts.Host("campus", "net", release="bookworm")
    with pytest.raises(EngineError, match="Chamilo 3.0 needs PHP 8.3; bookworm has 8.2"):
        old.become("3.0")
    assert images.PHP["bookworm"] == "8.2"
