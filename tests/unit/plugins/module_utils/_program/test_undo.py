# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `chamilo-hardening undo` finds on hosts that an older version set up."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from ansible_collections.chamilo.hardening.plugins.module_utils._application.database import Account
from ansible_collections.chamilo.hardening.plugins.module_utils._application.site import Site
from ansible_collections.chamilo.hardening.plugins.module_utils._database.undo_data import UndoData
from ansible_collections.chamilo.hardening.plugins.module_utils._php.php import Php
from ansible_collections.chamilo.hardening.plugins.module_utils._program import undo
from ansible_collections.chamilo.hardening.plugins.module_utils._program.undo import KINDS
from ansible_collections.chamilo.hardening.plugins.module_utils._settings import apply, undo_data
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.engine import Engine
from ansible_collections.chamilo.hardening.plugins.module_utils._transaction.store import Store
from tests.unit.plugins.module_utils._settings.test_undo_data import LOCK, NAME, portal_in

# As the first release wrote them: without what was asked for last, and without an earlier value.
OLD: dict[str, Any] = {
    "state.json": {"version": 1, "serial": 3, "open": None, "pending": {}, "directories": [], "records": {}},
    "settings.json": {
        "passwords:campus": {
            "root": "/srv/campus",
            "settings": {"security.check_password": {"rows": [], "overrides": {}, "ours": "true"}},
        }
    },
    "environment.json": {
        "https:campus": {
            "domain": "campus.test",
            "root": "/srv/campus",
            "web_server": "nginx",
            "before": {"TRUSTED_PROXIES": None},
            "ours": {"TRUSTED_PROXIES": "127.0.0.1"},
        }
    },
    "database-campus.json": {"old": {"'chamilo'@'localhost'": {"who": ["chamilo", "localhost"], "grants": None}}},
}


@pytest.fixture
def state(tmp_path: Path) -> str:
    for name, known in OLD.items():
        (tmp_path / name).write_text(json.dumps(known))
    return str(tmp_path)


def test_each_kind_reads_what_the_first_release_wrote(state: str) -> None:
    found = {kind.memory.name: kind.memory.names("https", state) for kind in KINDS}
    assert found == {"settings": [], "environment": ["https:campus"]}
    reported = [
        line for kind in KINDS for name in kind.memory.recall(state) for line in kind.memory.description([name], state)
    ]
    assert reported == [
        "These settings of /srv/campus as well: security.check_password",
        "These keys of the environment of /srv/campus as well: TRUSTED_PROXIES",
    ]
    kept = KINDS[0].memory.recall(state)["passwords:campus"]
    assert kept.asked is None and kept.settings["security.check_password"].earlier is None
    assert Store(state).peek() == {**OLD["state.json"], "left": {}}
    accounts = UndoData(f"{state}/database-campus.json", lambda _step: None)
    accounts.load()
    assert accounts.known == OLD["database-campus.json"]


def test_undo_of_settings_finds_the_portal_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    portal = portal_in(tmp_path)
    portal.set(settings={LOCK: 5})
    site = Site(domain="", root=portal.root, php=Php(user="www-data"))
    monkeypatch.setattr(undo.discovery, "discover", lambda _domain, root: site if root == portal.root else None)
    monkeypatch.setattr(apply.Reader, "of", lambda _portal: SimpleNamespace(account=Account("chamilo")))
    monkeypatch.setattr(apply, "Host", lambda account, installation, state: portal.host())
    (kind,) = (kind for kind in KINDS if kind.memory is undo_data.MEMORY)
    assert kind.undo(NAME, Engine(portal.state)) == [f"{LOCK} is not set again."]
    assert undo_data.MEMORY.names("passwords", portal.state) == []


def test_what_does_not_come_back_is_reported_of_sections_that_there_are() -> None:
    table = yaml.safe_load((Path(__file__).parents[5] / "meta/controls.yml").read_text(encoding="utf-8"))
    assert set(undo.GONE) <= {control["section"] for control in table["controls"]}
