# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the application's database reports of the portal itself."""

from __future__ import annotations

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application import application
from ansible_collections.chamilo.hardening.plugins.module_utils._application.application import Known
from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import (
    Account,
    DatabaseError,
)
from ansible_collections.chamilo.hardening.plugins.module_utils._application.portal_reader import PortalReader
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._common.tree import Tree

SITE = Site("campus.test", root="/srv/campus")


@pytest.fixture
def campus(tmp_path):
    for name in ("BuyCourses", "Bbb", "bbb", "ims_lti", "CStudio", "a|b", "index.php", "XApi"):
        (tmp_path / "public/plugin" / name).mkdir(parents=True)
    return Site("campus.test", root=str(tmp_path))


def asked(monkeypatch, plugins):
    def ask(sql):
        if "access_url_rel_plugin" in sql:
            if plugins is None:
                raise DatabaseError("there is no such table")
            return [{"title": title} for title in plugins]
        return [{"id": "1", "url": "https://campus.test/"}] if "access_url WHERE" in sql else []

    monkeypatch.setattr(PortalReader, "of", lambda _where: PortalReader(Account("chamilo"), ask=ask))


@pytest.mark.parametrize(
    ("titles", "found"),
    [
        ([], ()),
        (["BuyCourses"], ("BuyCourses",)),
        (["Buy Courses", "buycourses"], ("BuyCourses",)),
        (["Bbb"], ("Bbb",)),  # not what an older release left beside it
        (["BBB"], ("Bbb", "bbb")),
        (["ImsLti"], ("ims_lti",)),
        (["a|b", "..", "", ".*", None], ()),  # the application's database is its own to write
        (["Gone"], ()),
        (None, ()),  # an older release
    ],
)
def test_the_directories_of_plugins_that_are_enabled(monkeypatch, campus, titles, found):
    asked(monkeypatch, titles)
    assert application.known_to(campus, Tree()) == Known(("campus.test",), found)


def test_without_a_database_nothing_is_known(monkeypatch):
    def gone(_site):
        raise DatabaseError("gone")

    monkeypatch.setattr(PortalReader, "of", gone)
    assert application.known_to(SITE, Tree()) == Known()


@pytest.mark.parametrize(("setting", "accounts", "there"), [("true", 0, True), ("false", 1, True), ("false", 0, False)])
def test_two_factor_login_is_offered_or_an_account_has_it(monkeypatch, campus, setting, accounts, there):
    def ask(sql):
        if "mfa_enabled" in sql:
            return [{"id": "7"}] * accounts
        if "FROM settings" in sql:
            row = {"category": "security", "variable": "2fa_enable", "access_url": "1", "selected_value": setting}
            return [{**row, "access_url_changeable": "0"}]
        return []

    monkeypatch.setattr(PortalReader, "of", lambda _where: PortalReader(Account("chamilo"), ask=ask))
    assert application.known_to(campus, Tree()).two_factor is there
