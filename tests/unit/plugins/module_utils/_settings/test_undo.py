# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import Account
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._php.php import Php
from ansible_collections.chamilo.hardening.plugins.module_utils._settings import undo, undo_data
from tests.unit.plugins.module_utils._settings.test_undo_data import LOCK, NAME, portal_in


@pytest.fixture
def portal(tmp_path):
    return portal_in(tmp_path)


def test_undo_finds_the_portal_again(portal, monkeypatch):
    portal.set(settings={LOCK: 5})
    site = Site(domain="", root=portal.root, php=Php(user="www-data"), environment={"APP_ENV": "dev"})
    monkeypatch.setattr(undo, "discover", lambda _domain, root: site if root == portal.root else None)
    monkeypatch.setattr(undo.Reader, "of_site", lambda _site: type("R", (), {"account": Account("chamilo")}))
    monkeypatch.setattr(undo, "Host", lambda account, application, state: portal.host())
    assert undo.undo(NAME, portal.state) == [f"{LOCK} is not set again."]
    assert undo_data.MEMORY.names("passwords", portal.state) == []


def test_what_does_not_come_back_is_reported_of_sections_that_there_are():
    table = yaml.safe_load((Path(__file__).parents[5] / "meta/controls.yml").read_text(encoding="utf-8"))
    assert set(undo.GONE) <= {control["section"] for control in table["controls"]}
