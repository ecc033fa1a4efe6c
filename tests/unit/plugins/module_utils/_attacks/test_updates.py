# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._attacks import updates
from ansible_collections.chamilo.hardening.plugins.module_utils._common.http import Answer

WELCOME = Answer("", 200, (), b"Chamilo installation")


def test_an_installer_that_is_refused_passes(portal):
    assert updates.installer(portal({"/main/install/index.php": Answer("", 403)})).status == "pass"


@pytest.mark.parametrize(
    "path",
    [
        "/main/install/",
        "//main/install/index.php",
        "/main/install/version.php",
        "/check.php",
        "/main/%69nstall/index.php",
    ],
)
def test_one_open_way_is_enough(portal, path):
    found = updates.installer(portal({path: WELCOME}))
    assert found.status == "fail"
    assert path in found.evidence


def test_a_portal_that_answers_everything_with_one_page_has_no_installer(portal):
    page = Answer("", 200, (), b"one page application")
    answers = dict.fromkeys((*updates._WAYS, "/chamilo-hardening-asks-for-what-is-not-there"), page)
    assert updates.installer(portal(answers)).status == "pass"


def test_a_portal_that_is_down_does_not_pass(portal):
    with pytest.raises(OSError, match="no answer"):
        updates.installer(portal({path: Answer("", 0, (), b"", "refused") for path in updates._WAYS}))
