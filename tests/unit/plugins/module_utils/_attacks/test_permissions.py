# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._attacks import permissions
from ansible_collections.chamilo.hardening.plugins.module_utils._wire import Answer

PAGE = {"/": Answer("", 200, (), b"welcome")}


def test_nothing_to_fetch_holds(portal):
    assert permissions.fetch_secrets(portal(PAGE)).status == "pass"


@pytest.mark.parametrize(
    "path, body",
    [
        ("/.env", b"# settings\nAPP_SECRET=x\n"),
        ("/public/../.env.bak", b"DATABASE_PASSWORD=x"),
        ("/.git/config", b"[core]\n\tbare = false"),
        ("/config/jwt/private.pem", b"-----BEGIN ENCRYPTED PRIVATE KEY-----"),
        ("/dump.sql", b"-- dump\nCREATE TABLE user"),
        ("/main/template/default/layout/layout_1_col.tpl", b"{% extends %}"),
        ("/build/..%2f..%2fcomposer.json", b'{ "name": "chamilo/chamilo-lms" }'),
    ],
)
def test_a_file_that_can_be_fetched_is_named(portal, path, body):
    found = permissions.fetch_secrets(portal({**PAGE, path: Answer("", 200, (), body)}))
    assert found.status == "fail"
    assert path in found.evidence


def test_a_page_of_the_application_is_no_loot(portal):
    answers = {path: Answer("", 200, (), b"<html>one page for everything</html>") for path in permissions._LOOT}
    found = permissions.fetch_secrets(portal({**PAGE, **answers}))
    assert found.status == "pass", found.evidence


def test_a_portal_that_is_down_is_no_portal_that_holds(portal):
    with pytest.raises(OSError, match="no answer"):
        permissions.fetch_secrets(portal({"/": Answer("", 0, (), b"", "refused")}))
