# Copyright (c) 2026, the chamilo.hardening maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was asked for last is remembered for each module and portal, and written only when it is another."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.chamilo.hardening.plugins.module_utils._common import asked, files, records

REQUEST = "5f" * 32


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(files, "STATE", str(tmp_path))
    return tmp_path


def test_each_portal_has_its_own(state: Path) -> None:
    asked.remember("chamilo_env", "/srv/a", REQUEST, {"require": ("APP_SECRET",)})
    asked.remember("chamilo_env", "/srv/b", REQUEST, {})
    assert asked.recall("chamilo_env", "/srv/a") == (REQUEST, {"require": ["APP_SECRET"]})
    assert asked.recall("chamilo_env", "/srv/b") == (REQUEST, {})
    assert asked.recall("chamilo_perms", "/srv/a") == asked.recall("chamilo_env", "/srv/c") == ("", {})


def test_the_same_is_not_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked.remember("chamilo_env", "/srv/a", REQUEST, {"require": ("APP_SECRET",)})
    monkeypatch.setattr(records, "note", None)
    asked.remember("chamilo_env", "/srv/a", REQUEST, {"require": ("APP_SECRET",)})


@pytest.mark.parametrize("text", ["", "[]", '{"chamilo_env:/srv/a": 1}', '{"chamilo_env:/srv/a": {"request": "5f"}}'])
def test_of_a_damaged_record_nothing_is_known(state: Path, text: str) -> None:
    (state / asked.FILE).write_text(text)
    assert asked.recall("chamilo_env", "/srv/a") == ("", {})
