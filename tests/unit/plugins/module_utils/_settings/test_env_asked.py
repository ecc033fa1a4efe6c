# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Discovery answers for chamilo_env only while the environment, as it is now, is what was asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._application.installation import Installation
from ansible_collections.chamilo.hardening.plugins.module_utils._common import files
from ansible_collections.chamilo.hardening.plugins.module_utils._settings import env_asked
from ansible_collections.chamilo.hardening.plugins.module_utils._settings.env_file import Desired

REQUEST = "5f" * 32
PRODUCTION = Desired(values={"APP_ENV": "prod", "APP_DEBUG": "0"})


@pytest.fixture
def portal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Installation:
    monkeypatch.setattr(files, "STATE", str(tmp_path / "state"))
    (tmp_path / "campus").mkdir()
    (tmp_path / "campus/.env").write_text("APP_ENV=prod\nAPP_DEBUG=0\nAPP_SECRET=\n")
    return Installation(str(tmp_path / "campus"), "www-data")


def test_what_is_as_asked_for_is_answered(portal: Installation) -> None:
    assert env_asked.answer(portal) == {}
    env_asked.remember(portal.root, REQUEST, PRODUCTION)
    found = env_asked.answer(portal)
    assert found["request"] == REQUEST and not found["result"]["changed"] and "diff" not in found["result"]


@pytest.mark.parametrize(
    "desired",
    [
        replace(PRODUCTION, values={"APP_ENV": "dev"}),
        replace(PRODUCTION, require=("APP_SECRET",), generate=True),
    ],
)
def test_what_would_change_is_not(portal: Installation, desired: Desired) -> None:
    env_asked.remember(portal.root, REQUEST, desired)
    assert env_asked.answer(portal) == {}


def test_what_was_edited_since_is_not(portal: Installation) -> None:
    env_asked.remember(portal.root, REQUEST, PRODUCTION)
    Path(portal.root, ".env").write_text("APP_ENV=dev\n")
    assert env_asked.answer(portal) == {}


@pytest.mark.parametrize(
    "more",
    [
        {"secret_values": {"APP_SECRET": "canary"}},
        {"values": {"APP_SECRET": "canary"}},
        {"sealed": "canary"},
        {"salt": "canary"},
    ],
)
def test_no_secret_is_remembered(portal: Installation, more: dict[str, Any], tmp_path: Path) -> None:
    env_asked.remember(portal.root, REQUEST, replace(PRODUCTION, **more))
    env_asked.remember(portal.root, "", PRODUCTION)
    assert not (tmp_path / "state").exists()
