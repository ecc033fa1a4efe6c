# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The application of the testbed in a later version: every change fits, and rests on a fact that is listed."""

from __future__ import annotations

import os

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application import release
from ansible_collections.chamilo.hardening.plugins.module_utils._common.tree import Tree
from tests.testbed import flavours
from tests.testbed.app import build

LATER = flavours.VERSIONS[1:]


@pytest.mark.parametrize("version", LATER)
def test_the_release_has_one_date_and_what_it_wrote_later_has_not(version):
    with flavours.overlay(version) as top:
        files = [path for path in top.rglob("*") if path.is_file()]
        dated = {path for path in files if path.stat().st_mtime == build.DATE}
        assert dated == {path for path in files if not path.is_relative_to(top / "var")}


def test_what_is_laid_out_is_taken_for_3_0_2():
    with flavours.overlay("3.0") as top:
        os.makedirs(top / "public/main", exist_ok=True)
        found = release.installed(Tree(), str(top), "nobody")
    assert (found.version, found.source, found.branch) == ("3.0.2", "version.php", "3.0")
