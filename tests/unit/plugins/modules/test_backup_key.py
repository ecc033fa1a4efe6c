# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module shows of the key, and to whom."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._backups import key, portal
from ansible_collections.chamilo.hardening.plugins.module_utils._backups.proof import fingerprint
from ansible_collections.chamilo.hardening.plugins.module_utils._common import files
from ansible_collections.chamilo.hardening.plugins.modules import backup_key
from tests.tools.asking import ask


@pytest.fixture(autouse=True)
def directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(portal, "CONFIGURATION", str(tmp_path / "etc"))
    monkeypatch.setattr(files, "STATE", str(tmp_path / "state"))
    monkeypatch.setattr(key, "machine", lambda: "host")
    (tmp_path / "etc").mkdir()
    return tmp_path


def call(capsys: pytest.CaptureFixture[str], **arguments: Any) -> dict[str, Any]:
    return ask(backup_key, capsys, **{"site": "campus", "salt": "s", **arguments})


def noted(directory: Path) -> dict[str, Any]:
    entry: dict[str, Any] = json.loads((directory / "state" / "backups.json").read_text())["encrypted"]
    return entry


def test_a_key_is_made_once_for_root_alone_and_can_be_fetched(
    directories: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = call(capsys, elsewhere="controller", fetch=True)
    path = directories / "etc" / "backups-campus.key"
    assert first["changed"] and first["key"] == path.read_text().strip() and len(first["key"]) >= 40
    assert path.stat().st_mode & 0o777 == 0o600
    second = call(capsys, elsewhere="controller", password=first["key"])
    assert not second["changed"] and "key" not in second
    assert second["fingerprint"] == fingerprint(first["key"], "s")
    assert noted(directories)["ok"] is True


def test_what_is_refused_is_reported(directories: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = call(capsys, elsewhere="controller", create=False)
    assert answer["failed"] and "chamilo_backups_password" in answer["msg"]


def test_check_mode_makes_nothing(directories: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = call(capsys, elsewhere="controller", _ansible_check_mode=True)
    assert answer["changed"] and answer["due"] == ["backup", "drill"]
    assert not list((directories / "etc").iterdir())
    assert not (directories / "state").exists()


def test_it_works_through_its_action_plugin_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert "action plugin" in call(capsys, salt="")["msg"]
