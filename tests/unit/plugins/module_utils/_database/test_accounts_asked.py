# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Discovery answers for chamilo_database_account only while the accounts, as they are now, are what was asked for."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.installation import Installation
from ansible_collections.chamilo.hardening.plugins.module_utils._common import files
from ansible_collections.chamilo.hardening.plugins.module_utils._database import accounts_asked
from ansible_collections.chamilo.hardening.plugins.module_utils._database.context import Context, Desired
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.probe import Probe

REQUEST = "5f" * 32
DESIRED = Desired("campus", split=True, backup=True, probe=(Probe("https://campus.test/"),))


@pytest.fixture
def portal(sloppy: Any, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """A host whose accounts are as DESIRED."""
    monkeypatch.setattr(files, "STATE", str(sloppy.directory / "asked"))
    root, etc = str(sloppy.directory / "state"), str(sloppy.directory / "etc")
    monkeypatch.setattr(accounts_asked, "Context", partial(Context, root=root, credentials=etc))
    sloppy.apply(split=True, backup=True)
    return Installation(str(sloppy.directory / "campus"), "www-data", php="8.4")


def test_what_is_as_asked_for_is_answered(portal: Installation, sloppy: Any) -> None:
    assert accounts_asked.answer(portal) == {}
    accounts_asked.remember(portal.root, REQUEST, DESIRED)
    sloppy.server.statements.clear()
    found = accounts_asked.answer(portal)
    assert found["request"] == REQUEST and not found["result"]["changed"]
    assert found["result"]["accounts"]["application"] == "chamilo_campus@localhost"
    assert not [one for one in sloppy.server.statements if not one.startswith("SHOW ")], "nothing is changed by it"


def test_what_was_granted_since_is_not(portal: Installation, sloppy: Any) -> None:
    accounts_asked.remember(portal.root, REQUEST, DESIRED)
    sloppy.server.rights("'chamilo_campus'@'localhost'").append("ALL PRIVILEGES ON *.*")
    assert accounts_asked.answer(portal) == {}


def test_what_was_not_asked_for_here_is_not_remembered(portal: Installation) -> None:
    accounts_asked.remember(portal.root, "", DESIRED)
    accounts_asked.remember("", REQUEST, DESIRED)
    accounts_asked.remember(portal.root, REQUEST, replace(DESIRED, elsewhere=True))
    assert accounts_asked.answer(portal) == {}
